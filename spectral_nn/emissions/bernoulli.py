"""Several marks at once, each there or not: each state has a probability for each mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.emissions.base import fill_missing, log_products
from spectral_nn.emissions.coordinates import Chance, Real
from spectral_nn.emissions.simplex import (
    log_dirichlet,
    maximise_rows,
    relax_rows,
    restore_rows,
    score_rows,
)

__all__ = ["BernoulliEmission"]


@dataclass(frozen=True, eq=False)
class BernoulliEmission:
    r"""Columns are independent, ``P(x | h = k) = \prod_j p_kj^{x_j} (1 - p_kj)^{1 - x_j}``.

    The law of the marks of a chromatin state (Ernst, Kellis, "ChromHMM", Nature Methods 9, 2012).
    Its prior is an array that broadcasts to (K, p, 2): pseudo-counts of ones and of zeros, the
    parameters of Beta distributions less one.

    Parameters
    ----------
    probs : ndarray of shape (K, p)
        Probability that an entry is 1, from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> law = BernoulliEmission(np.array([[0.9, 0.5], [0.2, 1.0]]))
    >>> np.exp(law.log_likelihoods(np.array([[1.0, 0.0], [0.0, np.nan]]))).round(4).tolist()
    [[0.45, 0.0], [0.1, 0.8]]
    """

    probs: NDArray[np.float64]

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = False

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.probs.shape[0]

    @property
    def n_parameters(self) -> int:
        """``K p``."""
        return self.probs.size

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.float64]:
        """``x log p + (1 - x) log(1 - p)``, in products of matrices: 4 n K p flops."""
        seen, ones = fill_missing(x)
        return log_products(ones, self.probs) + log_products(seen - ones, 1 - self.probs)

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected numbers of ones and of zeros in each state, (K, p, 2)."""
        seen, ones = fill_missing(x)
        return np.stack([mass.T @ ones, mass.T @ (seen - ones)], axis=-1)

    def maximise(
        self, sums: NDArray[np.float64], prior: NDArray[np.float64] | float | None = None
    ) -> BernoulliEmission:
        """Share of ones among ones and zeros, both with pseudo-counts: the mode."""
        pseudo = 0.0 if prior is None else prior
        return BernoulliEmission(maximise_rows(sums, pseudo, self.both)[..., 0])

    def log_prior(self, prior: NDArray[np.float64] | float | None = None) -> float:
        """``sum (alpha - 1) log p + (beta - 1) log(1 - p)``, nats."""
        return 0.0 if prior is None else log_dirichlet(self.both, prior)

    def relax(self, new: BernoulliEmission, power: float) -> BernoulliEmission:
        """See `spectral_nn.emissions.simplex.relax_rows`."""
        return BernoulliEmission(relax_rows(self.both, new.both, power)[..., 0])

    def restore(self, old: BernoulliEmission | None = None) -> BernoulliEmission:
        """Marks that `old` may have, or lack, stay possible; all, without it."""
        return BernoulliEmission(restore_rows(None if old is None else old.both, self.both)[..., 0])

    def sample(
        self, states: NDArray[np.int64], rng: np.random.Generator | np.random.RandomState
    ) -> NDArray[np.int64]:
        """Draw a row of zeros and ones in each state."""
        uniforms = rng.random((states.size, self.probs.shape[1]))
        return (uniforms < self.probs[states]).astype(np.int64)

    def mean(self) -> NDArray[np.float64]:
        """The probabilities (K, p)."""
        return self.probs

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``P(mark <= x)`` of each column, (n, K, p)."""
        x = x[:, None]
        return np.where(x < 0, 0.0, np.where(x < 1, 1 - self.probs, 1.0))

    def coordinates(self) -> dict[str, Real]:
        """Logits."""
        return {"probs": Chance()}

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """``ones - p (ones + zeros)``."""
        return {"probs": score_rows(sums, self.both)[..., 0]}

    def support(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The rarer of ones and zeros."""
        return {"probs": sums.min(axis=-1)}

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> BernoulliEmission:
        """Share of ones of each column in every state, with half a one and half a zero more."""
        seen, ones = fill_missing(x)
        share = (ones.sum(axis=0) + 0.5) / (seen.sum(axis=0) + 1)
        return cls(np.tile(share, (n_components, 1)))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows themselves; starts take moving averages of them."""
        return x

    @property
    def both(self) -> NDArray[np.float64]:
        """Probabilities of 1 and of 0, (K, p, 2)."""
        return np.stack([self.probs, 1 - self.probs], axis=-1)
