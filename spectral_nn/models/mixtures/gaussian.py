"""Mixtures of Gaussians: covariances of four types, to whose diagonals M-steps add a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions.gaussian import DiagonalGaussian, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters
from spectral_nn.results import DegenerateError

__all__ = ["LAWS", "GaussianMixtureModel", "check_positive", "with_ridge"]

LAWS: dict[str, Any] = {
    "full": FullGaussian,
    "tied": TiedGaussian,
    "diag": DiagonalGaussian,
    "spherical": SphericalGaussian,
}
"""Law of each type of covariance."""


@dataclass(frozen=True, eq=False)
class GaussianMixtureModel(MixtureModel):
    """A mixture of Gaussians whose variances are raised by a number in each M-step.

    Attributes
    ----------
    ridge : float
        What is added to the variances of components that have rows: scikit-learn's ``reg_covar``.
    """

    ridge: float = 0.0

    def maximise_law(self, sums: Any, counts: NDArray[np.float64], law: Any) -> Any:
        """M-step; a `DegenerateError` if a covariance is not positive definite after it."""
        law = with_ridge(law.maximise(sums), np.where(counts > 0, self.ridge, 0.0))
        check_positive(law)
        return law

    def log_prior(self, parameters: MixtureParameters) -> float:
        """Zero: there is no prior."""
        return 0.0


def with_ridge(law: Any, ridge: NDArray[np.float64]) -> Any:
    """The law with numbers (K,) added to the variances of its components.

    Of a covariance that all share, the largest.
    """
    covariances = law.covariances
    if law.correlated:
        each = ridge.max() if covariances.ndim == 2 else ridge[:, None, None]
        covariances = covariances + each * np.eye(law.means.shape[1])
    else:
        covariances = covariances + ridge.reshape(-1, *[1] * (covariances.ndim - 1))
    return replace(law, covariances=covariances)


def check_positive(law: Any) -> None:
    """Check the covariances of a law; a `DegenerateError` if one is not positive definite."""
    if law.correlated:
        try:
            _ = law.roots
            return
        except np.linalg.LinAlgError:
            pass
    elif (law.covariances > 0).all():
        return
    raise DegenerateError(
        "Fitting the mixture model failed because some components have ill-defined empirical "
        "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
        "number of components, increase reg_covar, or scale the input data."
    )
