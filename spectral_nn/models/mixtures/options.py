"""Settings of a fit of a Gaussian mixture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions.gaussian_blocks import BlockGaussian
from spectral_nn.models.base import Options
from spectral_nn.models.mixtures.gaussian import LAWS

__all__ = ["MixtureOptions"]


@dataclass(frozen=True, eq=False)
class MixtureOptions(Options):
    """Settings of a fit.

    Attributes
    ----------
    n_components : int
        K.
    covariance_type : {"full", "tied", "diag", "spherical"}
    init : {"tensor", "kmeans", "k-means++", "random", "random_from_data"}
        Where starts come from; "tensor" is the race, and without EM the moments alone.
    n_init : int
        Starts that are climbed to the end; of a race, how many times as many take part.
    n_iter : int
        Most EM steps on all data.
    tol : float
        EM stops when a step gains less, nats a row.
    ridge : float
        Added to variances by each M-step.
    fixed : dict
        Parts of the start that are given: weights (K,), means (K, p), covariances.
    views : tuple of int
        The view of each column, where views are independent within a component; of covariances
        "full" or "diag". Empty: there are no views.
    """

    n_components: int
    covariance_type: str = "full"
    init: str = "tensor"
    n_init: int = 1
    n_iter: int = 100
    tol: float = 1e-3
    ridge: float = 1e-6
    fixed: dict[str, Any] = field(default_factory=dict)
    views: tuple[int, ...] = ()

    def pooled(self, x: NDArray[np.float64]) -> Any:
        """The law of all rows (n, p) together, in each of K components."""
        law = LAWS[self.covariance_type].pooled(x, self.n_components)
        return BlockGaussian.of(law, self.views) if self.views and law.correlated else law
