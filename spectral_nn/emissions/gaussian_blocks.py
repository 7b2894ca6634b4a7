"""Real numbers in groups of columns that are independent of each other within a state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions.gaussian import GaussianPrior, GaussianSums
from spectral_nn.emissions.gaussian_full import FullGaussian

__all__ = ["BlockGaussian"]


@dataclass(frozen=True, eq=False)
class BlockGaussian(FullGaussian):
    r"""Columns of different views are independent, ``P(x | h = k) = \prod_v N(x_v; mu_kv, S_kv)``.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (K, p, p)
        Symmetric, positive definite, zero between views.
    views : tuple of int
        The view of each column.

    See Also
    --------
    FullGaussian

    Notes
    -----
    E-steps cost what those of `FullGaussian` do: n K p^2 flops.

    Examples
    --------
    >>> import numpy as np
    >>> law = FullGaussian(np.zeros((1, 2)), np.array([[[2.0, 1.0], [1.0, 1.0]]]))
    >>> BlockGaussian.of(law, (0, 1)).covariances.tolist()
    [[[2.0, 0.0], [0.0, 1.0]]]
    """

    views: tuple[int, ...] = ()

    @classmethod
    def of(cls, law: FullGaussian, views: tuple[int, ...]) -> Self:
        """A law without its covariances between views."""
        return cls(law.means, law.covariances * _same(views), views)

    @property
    def n_parameters(self) -> int:
        """Those of means and of symmetric blocks."""
        p = self.means.shape[1]
        return self.means.size + self.n_components * int(_same(self.views).sum() + p) // 2

    def maximise(self, sums: GaussianSums, prior: GaussianPrior | None = None) -> Self:
        """As that of `FullGaussian`, block by block."""
        found = super().maximise(sums, prior)
        return replace(found, covariances=found.covariances * _same(self.views))


def _same(views: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pairs of columns (p, p) are of one view."""
    of = np.array(views)
    return of[:, None] == of
