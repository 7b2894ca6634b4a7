"""Counts of categories: each state has a distribution over them, from which trials are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import betainc, xlogy

from spectral_nn.emissions.base import fill_missing, log_factorial, log_products
from spectral_nn.emissions.coordinates import Real, Simplex
from spectral_nn.emissions.simplex import (
    log_dirichlet,
    maximise_rows,
    relax_rows,
    restore_rows,
    score_rows,
)

__all__ = ["MultinomialEmission"]


@dataclass(frozen=True, eq=False)
class MultinomialEmission:
    r"""``P(x | h = k) = n! \prod_j probs[k, j]^{x_j} / x_j!``, where n is the sum of the row.

    Of a row in which some entries are missing, the others and n are known, and so is how many
    trials the missing categories have together: they are one category in the marginal likelihood.
    Its prior is an array of pseudo-counts, ``alpha - 1``, that broadcasts to (K, d).

    Parameters
    ----------
    probs : ndarray of shape (K, d)
        Rows sum to one.
    n_trials : int or None
        Sum of every row; None where rows differ in it. Every row is whole then, or all of it is
        missing.

    Examples
    --------
    >>> import numpy as np
    >>> law = MultinomialEmission(np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), 3)
    >>> x = np.array([[1.0, 0.0, 2.0], [1.0, np.nan, np.nan]])
    >>> np.exp(law.log_likelihoods(x)).round(4).tolist()
    [[0.06, 0.192], [0.375, 0.243]]
    """

    probs: NDArray[np.float64]
    n_trials: int | None = None

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = False

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.probs.shape[0]

    @property
    def n_parameters(self) -> int:
        """``K (d - 1)``: each row sums to one."""
        return self.n_components * (self.probs.shape[1] - 1)

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.float64]:
        """Of the multinomial law, in a product of matrices: 2 n K d flops, twice with holes."""
        seen, counts, rest = self._split(x)
        found = log_products(counts, self.probs)
        if rest.any():
            found += xlogy(rest[:, None], (1 - seen) @ self.probs.T)
        total = counts.sum(axis=1) + rest
        ways = log_factorial(total) - log_factorial(counts).sum(axis=1) - log_factorial(rest)
        return found + ways[:, None]

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected counts (K, d); those that are missing are shared out as each state says."""
        seen, counts, rest = self._split(x)
        found = mass.T @ counts
        if rest.any():
            missing = 1 - seen
            together = missing @ self.probs.T
            possible = together > 0
            each = np.where(possible, mass * rest[:, None] / np.where(possible, together, 1), 0)
            found += self.probs * (each.T @ missing)
        return found

    def maximise(
        self, sums: NDArray[np.float64], prior: NDArray[np.float64] | float | None = None
    ) -> MultinomialEmission:
        """Rows proportional to counts and pseudo-counts, the mode."""
        pseudo = 0.0 if prior is None else prior
        return MultinomialEmission(maximise_rows(sums, pseudo, self.probs), self.n_trials)

    def log_prior(self, prior: NDArray[np.float64] | float | None = None) -> float:
        """``sum (alpha - 1) log p``, nats."""
        return 0.0 if prior is None else log_dirichlet(self.probs, prior)

    def relax(self, new: MultinomialEmission, power: float) -> MultinomialEmission:
        """See `spectral_nn.emissions.simplex.relax_rows`."""
        return MultinomialEmission(relax_rows(self.probs, new.probs, power), self.n_trials)

    def restore(self, old: MultinomialEmission | None = None) -> MultinomialEmission:
        """Symbols that `old` may emit stay possible; all, without it."""
        return MultinomialEmission(
            restore_rows(None if old is None else old.probs, self.probs), self.n_trials
        )

    def sample(
        self, states: NDArray[np.int64], rng: np.random.Generator | np.random.RandomState
    ) -> NDArray[np.int64]:
        """Draw a row of counts in each state.

        Raises
        ------
        ValueError
            If the number of trials is not known.
        """
        if self.n_trials is None:
            raise ValueError("n_trials is not one number, so no row can be drawn. Set n_trials.")
        probs = self.probs / self.probs.sum(axis=1, keepdims=True)
        return np.array([rng.multinomial(self.n_trials, probs[state]) for state in states])

    def mean(self) -> NDArray[np.float64]:
        """Expected counts (K, d); of one trial where the number of trials is not known."""
        return self.probs * (1 if self.n_trials is None else self.n_trials)

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``P(counts <= x)`` of each category, (n, K, d): binomial; of one trial as `mean`."""
        n = 1 if self.n_trials is None else self.n_trials
        whole = np.floor(x)[:, None]
        inside = np.clip(whole, 0, max(n - 1, 0))
        found = betainc(np.maximum(n - inside, 1), inside + 1, 1 - self.probs)
        return np.where(whole < 0, 0.0, np.where(whole < n, found, 1.0))

    def coordinates(self) -> dict[str, Real]:
        """Logits of rows."""
        return {"probs": Simplex()}

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """See `spectral_nn.emissions.simplex.score_rows`."""
        return {"probs": score_rows(sums, self.probs)}

    def support(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The counts."""
        return {"probs": sums}

    @classmethod
    def pooled(
        cls, x: NDArray[np.float64], n_components: int, n_trials: int | None = None
    ) -> MultinomialEmission:
        """Share of each category in every state, with one more trial spread evenly over them."""
        counts = fill_missing(x)[1].sum(axis=0) + 1 / x.shape[1]
        return cls(np.tile(counts / counts.sum(), (n_components, 1)), n_trials)

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Roots of shares, whose Euclidean distance is that of Hellinger."""
        total = x.sum(axis=1, keepdims=True) if self.n_trials is None else self.n_trials
        return np.sqrt(x / np.maximum(total, 1))

    def _split(
        self, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Which entries are not missing; counts, 0 where they are; trials of the missing ones.

        The last are zero in rows of which all is missing: nothing is known of them.
        """
        seen, counts = fill_missing(x)
        rest = np.zeros(x.shape[0])
        if self.n_trials is not None:
            partly = (seen.min(axis=1) == 0) & (seen.max(axis=1) == 1)
            rest[partly] = self.n_trials - counts[partly].sum(axis=1)
        return seen, counts, rest
