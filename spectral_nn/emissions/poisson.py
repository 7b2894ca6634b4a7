"""Counts: each state has a rate for each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import gammaincc

from spectral_nn.additive import Additive
from spectral_nn.emissions.base import fill_missing, log_factorial, log_products
from spectral_nn.emissions.coordinates import Positive, Real
from spectral_nn.emissions.simplex import restore

__all__ = ["GammaPrior", "PoissonEmission", "PoissonSums"]


class GammaPrior(NamedTuple):
    """A prior density proportional to ``rate^shape exp(-weight rate)`` of each rate.

    Attributes
    ----------
    shape : float or ndarray that broadcasts to (K, p)
        Events seen before the data, alpha.
    weight : float or ndarray that broadcasts to (K, p)
        Observations that they were seen in, beta.
    """

    shape: NDArray[np.float64] | float = 0.0
    weight: NDArray[np.float64] | float = 0.0


@dataclass(frozen=True, eq=False)
class PoissonSums(Additive):
    """What an M-step needs.

    Attributes
    ----------
    events : ndarray of shape (K, p)
        Expected sum of the counts in each state.
    exposure : ndarray of shape (K, p)
        Expected number of counts that are not missing.
    """

    events: NDArray[np.float64]
    exposure: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoissonEmission:
    r"""Columns are independent, ``P(x | h = k) = \prod_j Poisson(x_j; rates[k, j])``.

    Its prior is a `GammaPrior`.

    Parameters
    ----------
    rates : ndarray of shape (K, p)
        Expected counts, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> law = PoissonEmission(np.array([[1.0], [5.0]]))
    >>> np.exp(law.log_likelihoods(np.array([[2.0], [np.nan]]))).round(4).tolist()
    [[0.1839, 0.0842], [1.0, 1.0]]
    """

    rates: NDArray[np.float64]

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = False

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.rates.shape[0]

    @property
    def n_parameters(self) -> int:
        """``K p``."""
        return self.rates.size

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.float64]:
        """``x log rate - rate - log x!``, in products of matrices: 4 n K p flops."""
        seen, counts = fill_missing(x)
        found = log_products(counts, self.rates) - seen @ self.rates.T
        found -= log_factorial(counts).sum(axis=1)[:, None]
        return found

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.float64]) -> PoissonSums:
        """Expected events and exposure of each state."""
        seen, counts = fill_missing(x)
        return PoissonSums(mass.T @ counts, mass.T @ seen)

    def maximise(self, sums: PoissonSums, prior: GammaPrior | None = None) -> PoissonEmission:
        """``(shape + events) / (weight + exposure)``, the mode."""
        shape, weight = prior or GammaPrior()
        events, exposure = sums.events + shape, sums.exposure + weight
        known = exposure > 0
        return PoissonEmission(np.where(known, events / np.where(known, exposure, 1), self.rates))

    def log_prior(self, prior: GammaPrior | None = None) -> float:
        """``sum (shape log rate - weight rate)``, nats."""
        shape, weight = (np.broadcast_to(a, self.rates.shape) for a in prior or GammaPrior())
        used = shape > 0
        with np.errstate(divide="ignore"):
            return float(
                np.sum(shape[used] * np.log(self.rates[used])) - np.sum(weight * self.rates)
            )

    def relax(self, new: PoissonEmission, power: float) -> PoissonEmission:
        """``old (new / old)^power``, and `new` where that is not finite."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            reached = new.rates * (new.rates / self.rates) ** (power - 1)
        return PoissonEmission(np.where(np.isfinite(reached), reached, new.rates))

    def restore(self, old: PoissonEmission | None = None) -> PoissonEmission:
        """Events that `old` may have stay possible; all, without it."""
        return PoissonEmission(restore(None if old is None else old.rates, self.rates))

    def sample(
        self, states: NDArray[np.int64], rng: np.random.Generator | np.random.RandomState
    ) -> NDArray[np.int64]:
        """Draw a row of counts in each state."""
        return rng.poisson(self.rates[states])

    def mean(self) -> NDArray[np.float64]:
        """The rates (K, p)."""
        return self.rates

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``P(counts <= x)`` of each column, (n, K, p)."""
        whole = np.floor(x)[:, None]
        return np.where(whole < 0, 0.0, gammaincc(np.maximum(whole, 0) + 1, self.rates))

    def coordinates(self) -> dict[str, Real]:
        """Logarithms of rates."""
        return {"rates": Positive()}

    def score(self, sums: PoissonSums) -> dict[str, NDArray[np.float64]]:
        """``events - rate exposure``."""
        return {"rates": sums.events - self.rates * sums.exposure}

    def support(self, sums: PoissonSums) -> dict[str, NDArray[np.float64]]:
        """Events."""
        return {"rates": sums.events}

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> PoissonEmission:
        """Mean of each column in every state; 0 where all of it is missing."""
        seen, counts = fill_missing(x)
        mean = counts.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        return cls(np.tile(mean, (n_components, 1)))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``2 sqrt(x + 3/8)``, whose variance is nearly one at any rate (Anscombe 1948)."""
        return 2 * np.sqrt(x + 0.375)
