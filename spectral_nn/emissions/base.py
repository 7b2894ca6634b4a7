"""What a law of observations offers: every recursion, fit and estimator asks this and no more."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.arrays import Array

__all__ = ["Emission", "MarginalEmission", "RowEmission", "fill_missing", "log_products"]


class Emission(Protocol):
    """A law of an observation for each of K states: a frozen dataclass of arrays.

    Observations are rows of numbers (n, p), NaN where missing, or symbols of an alphabet. The law
    of symbols has ``rows = False``, and a `table` of likelihoods in the place of
    `RowEmission.log_likelihoods`: the symbols number its rows, and `gather` is given None for them.

    See Also
    --------
    spectral_nn.emissions.categorical, spectral_nn.emissions.poisson,
    spectral_nn.emissions.multinomial, spectral_nn.emissions.bernoulli
    """

    rows: ClassVar[bool]
    """Whether observations are rows of numbers."""

    @property
    def n_components(self) -> int:
        """Number of states, K."""

    @property
    def n_parameters(self) -> int:
        """Free parameters of all states, as AIC and BIC count them."""

    def gather(self, x: Array | None, mass: NDArray[np.float64]) -> Any:
        """Sum what `maximise` needs over observations; the result adds up over chunks.

        `mass` (D, K) is how much of each row belongs to each state.
        """

    def maximise(self, sums: Any, prior: Any) -> Self:
        """M-step; a state without mass keeps its law."""

    def log_prior(self, prior: Any) -> float:
        """Logarithm of the prior density up to a constant, nats."""

    def relax(self, new: Self, power: float) -> Self:
        """Reach beyond an M-step from here to `new`, which is the outcome at power 1."""

    def sample(self, states: NDArray[np.int64], rng: Any) -> NDArray:
        """Draw an observation for each state of a path, with a NumPy generator."""

    def mean(self) -> NDArray[np.float64]:
        """Expectation of an observation in each state, (K, p); for symbols (K, d) probabilities."""


class RowEmission(Emission, Protocol):
    """A law of rows of numbers, which starts are made for.

    See Also
    --------
    spectral_nn.models.chains.row_starts
    """

    correlated: ClassVar[bool]
    """Whether columns depend on each other within a state."""

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.floating]:
        """Log-likelihoods (n, K) of rows (n, p), nats; of what is missing the marginal ones.

        Single precision may be used where `dtype` allows it and nothing is lost.
        """

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> Self:
        """The same law in every state: that of all rows (n, p) together."""

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (n, f) in which distances between rows mean something, NaN where missing."""


class MarginalEmission(RowEmission, Protocol):
    """A law of rows that has quantiles, column by column; optional.

    See Also
    --------
    spectral_nn.models.chains.forecast, spectral_nn.models.chains.residuals
    """

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution functions (n, K, p) of the columns, each by itself, at rows x (n, p).

        Entries of x are any numbers, infinite ones too; between counts the function is flat.
        """


def fill_missing(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Which entries are not missing, as 0 and 1, and the entries with zeros where they are."""
    missing = np.isnan(x)
    return 1.0 - missing, np.where(missing, 0.0, x)


def log_products(counts: NDArray[np.float64], bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sum_j counts[i, j] log bases[k, j]``, where ``0 log 0 = 0``, as a product of matrices.

    Parameters
    ----------
    counts : ndarray of shape (n, p)
        Finite, at least 0.
    bases : ndarray of shape (K, p)
        At least 0.

    Returns
    -------
    ndarray of shape (n, K)
        Nats; -inf where a base of zero has a count.
    """
    never = bases == 0
    found = counts @ np.log(np.where(never, 1.0, bases)).T
    if never.any():
        found[(counts @ never.T) > 0] = -np.inf
    return found
