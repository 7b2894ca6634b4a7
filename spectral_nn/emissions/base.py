"""What a law of observations offers: every recursion, fit and estimator asks this and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import gammaln

from spectral_nn.arrays import Array
from spectral_nn.emissions.coordinates import Real

__all__ = [
    "DifferentiableEmission",
    "Emission",
    "FramedEmission",
    "LinearEmission",
    "LinearTerms",
    "LosingEmission",
    "MarginalEmission",
    "MixedEmission",
    "RowEmission",
    "fill_missing",
    "log_factorial",
    "log_products",
]


_LOOKED_UP = 2**16


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


class DifferentiableEmission(Emission, Protocol):
    """A law whose parameters can have standard errors.

    See Also
    --------
    spectral_nn.models.chains.errors
    """

    def coordinates(self) -> dict[str, Real]:
        """Coordinates of each parameter, by the name of its field; "law.field" is one of a part."""

    def score(self, sums: Any) -> dict[str, NDArray[np.float64]]:
        """Derivative of the expected log-likelihood that `gather` summed, by each field.

        By what its coordinates move: numbers, logarithms or logits. Where observations were
        gathered under this very law, that of the log-likelihood itself (Fisher's identity).
        """

    def support(self, sums: Any) -> dict[str, NDArray[np.float64]]:
        """Expected counts behind every entry of each field."""


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


@runtime_checkable
class MixedEmission(RowEmission, Protocol):
    """A law of rows that is a mixture in each state: starts have to tell its parts apart.

    See Also
    --------
    spectral_nn.emissions.gaussian_mixture
    """

    @property
    def n_parts(self) -> int:
        """Number of parts of each state, M."""

    def gather_parts(self, x: NDArray[np.float64], mass: NDArray[np.float64]) -> Any:
        """What `gather` sums, where `mass` (n, K, M) says how much of a row each part has."""


@runtime_checkable
class LosingEmission(Emission, Protocol):
    """A law whose M-step makes impossible what the data lack.

    See Also
    --------
    spectral_nn.models.fit.advance
    """

    def restore(self, old: Self | None = None) -> Self:
        """The law with next to nothing in the place of zeros; those that `old` has, too, stay."""


@runtime_checkable
class FramedEmission(RowEmission, Protocol):
    """A law that gathers in a frame of its own, so that sums of two such laws do not add up.

    See Also
    --------
    spectral_nn.emissions.gaussian
    """

    def reframe(self, sums: Any, law: Any) -> Any:
        """Sums that this law has gathered, in the frame of another of its kind."""


class LinearTerms(NamedTuple):
    """Functions of a row that the log-likelihood is linear in, which are all that an M-step needs.

    Attributes
    ----------
    weights : ndarray of shape (q, K)
        Of each function in the log-likelihood of each state.
    fill : callable
        (rows (steps, p + 1, lanes), out (steps, q or more, lanes)) fills `out` with the functions
        of rows, whose last column is 1, or all zeros where there is no row; then with zeros.
    collect : callable
        (totals (K, q) of posteriors times functions) gives what `Emission.gather` would.
    """

    weights: NDArray[np.float64]
    fill: Callable[[NDArray, NDArray], Any]
    collect: Callable[[NDArray[np.float64]], Any]


class LinearEmission(RowEmission, Protocol):
    """A law of rows whose E-step on lanes can do without a table of likelihoods.

    See Also
    --------
    spectral_nn.models.chains.expectation.expect_lanes
    """

    def linear_terms(
        self, centre: NDArray[np.float64], scale: NDArray[np.float64], dtype: DTypeLike
    ) -> LinearTerms | None:
        """Functions of ``(x - centre) / scale``; None where this precision would not do."""


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


def log_factorial(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the factorial of whole numbers; looked up where they are below 65,536."""
    largest = counts.max(initial=0)
    if largest < _LOOKED_UP:
        return gammaln(np.arange(1.0, largest + 2))[counts.astype(np.int32)]
    return gammaln(counts + 1)


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
