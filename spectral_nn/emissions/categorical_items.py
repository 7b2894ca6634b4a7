"""Several categorical items at once: each state has a distribution over the answers to each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from spectral_nn.emissions.simplex import log_dirichlet, restore

__all__ = ["CategoricalItems", "indicators"]


@dataclass(frozen=True, eq=False)
class CategoricalItems:
    r"""Answers are independent, ``P(x | h = k) = \prod_j probs[k, x_j]``: local independence.

    Observations are rows of indicators, a column for every category of every item, as `indicators`
    makes them of codes: an item without an answer has zeros only, and so takes no part. Then the
    likelihood of many rows is one product of matrices, of sparse ones too. A prior is an array of
    pseudo-counts, ``alpha - 1``, that broadcasts to (K, D). A probability of zero is structure,
    which no prior fills.

    Parameters
    ----------
    probs : ndarray of shape (K, D)
        Probabilities of the categories, those of the first item first; sum to one for each item.
    n_categories : tuple of int
        Of each of the p items; D is their sum.

    See Also
    --------
    spectral_nn.emissions.bernoulli.BernoulliEmission : Marks that are there or not.
    spectral_nn.emissions.multinomial.MultinomialEmission : One item, answered many times.

    Examples
    --------
    >>> import numpy as np
    >>> law = CategoricalItems(np.array([[0.9, 0.1, 0.5, 0.3, 0.2]]), (2, 3))
    >>> x = indicators(np.array([[0, 2], [1, np.nan]]), (2, 3))
    >>> np.exp(law.log_likelihoods(x)).round(4).tolist()
    [[0.18], [0.1]]
    """

    probs: NDArray[np.float64]
    n_categories: tuple[int, ...]

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = False

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.probs.shape[0]

    @property
    def n_parameters(self) -> int:
        """``K (D - p)``: the distribution of each item sums to one."""
        return self.n_components * (sum(self.n_categories) - len(self.n_categories))

    def log_likelihoods(self, x: Any, dtype: DTypeLike = np.float64) -> NDArray[np.floating]:
        """Log-likelihoods of indicators (n, D), dense or CSR: 2 n K D flops, or those not zero.

        In the precision of the indicators, and laid out by states.
        """
        never = self.probs == 0
        logs = np.log(np.where(never, 1.0, self.probs)).astype(x.dtype)
        found = (x @ logs.T) if sparse.issparse(x) else (logs @ x.T).T
        if never.any():
            found[(x @ never.T.astype(x.dtype)) > 0] = -np.inf
        return found

    def gather(self, x: Any, mass: NDArray[np.floating]) -> NDArray[np.float64]:
        """Expected number of answers of each category, (K, D)."""
        return np.ascontiguousarray((x.T @ mass).T, dtype=np.float64)

    def maximise(
        self, sums: NDArray[np.float64], prior: NDArray[np.float64] | float | None = None
    ) -> CategoricalItems:
        """Posterior mode; an item that a state has no answers to keeps its probabilities."""
        pseudo = 0.0 if prior is None else np.where(self.probs > 0, prior, 0.0)
        return replace(self, probs=self._scale(np.maximum(sums + pseudo, 0.0), self.probs))

    def log_prior(self, prior: NDArray[np.float64] | float | None = None) -> float:
        """``sum (alpha - 1) log p``, where alpha > 1 over what is possible; nats."""
        return 0.0 if prior is None else log_dirichlet(self.probs, prior, structure=True)

    def relax(self, new: CategoricalItems, power: float) -> CategoricalItems:
        """``old (new / old)^power`` of each item, renormalised; `new` where that is not finite."""
        if new is self:
            return self
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            factor = (new.probs / self.probs) ** (power - 1)
            reached = np.where(new.probs > 0, new.probs * factor, 0.0)
        return replace(self, probs=self._scale(reached, new.probs))

    def restore(self, old: CategoricalItems | None = None) -> CategoricalItems:
        """Answers that `old` may give stay possible; all, without it."""
        found = restore(None if old is None else old.probs, self.probs)
        if np.array_equal(found, self.probs):
            return self
        return replace(self, probs=self._scale(found, self.probs))

    def sample(
        self, states: NDArray[np.int64], rng: np.random.Generator | np.random.RandomState
    ) -> NDArray[np.float64]:
        """Draw the indicators of a row in each state."""
        uniforms = rng.random((states.size, len(self.n_categories)))
        sums = np.cumsum(self.probs, axis=1)
        below = sums - np.repeat(sums[:, self._begins] - self.probs[:, self._begins], self._n, 1)
        passed = np.repeat(uniforms, self._n, axis=1) >= below[states]
        codes = np.add.reduceat(passed, self._begins, axis=1, dtype=np.int64)
        return indicators(np.minimum(codes, self._n - 1), self.n_categories)

    def mean(self) -> NDArray[np.float64]:
        """The probabilities (K, D)."""
        return self.probs

    @classmethod
    def pooled(
        cls, x: Any, n_components: int, n_categories: tuple[int, ...] | None = None
    ) -> CategoricalItems:
        """Shares of the answers of all rows (n, D), with half an answer more of each.

        Without `n_categories`, all columns belong to one item.
        """
        n_categories = (x.shape[1],) if n_categories is None else n_categories
        counts = np.tile(np.asarray(x.sum(axis=0), dtype=np.float64) + 0.5, (n_components, 1))
        law = cls(counts, n_categories)
        return replace(law, probs=law._scale(counts, counts))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The indicators."""
        return x

    def of_items(self) -> list[NDArray[np.float64]]:
        """Probabilities (K, n_categories[j]) of each item j."""
        return np.split(self.probs, self._begins[1:], axis=1)

    def _scale(
        self, counts: NDArray[np.float64], otherwise: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Counts (K, D) of sum one for each item; `otherwise` where they have no positive sum."""
        total = np.add.reduceat(counts, self._begins, axis=1)
        usable = np.isfinite(total) & (total > 0)
        if usable.all():
            return counts / np.repeat(total, self._n, axis=1)
        shares = counts / np.repeat(np.where(usable, total, 1.0), self._n, axis=1)
        return np.where(np.repeat(usable, self._n, axis=1), shares, otherwise)

    @property
    def _n(self) -> NDArray[np.int64]:
        return np.array(self.n_categories, dtype=np.int64)

    @property
    def _begins(self) -> NDArray[np.int64]:
        """First column of each item."""
        return np.cumsum(self._n) - self._n


def indicators(
    codes: NDArray, n_categories: tuple[int, ...], *, csr: bool = False, dtype: DTypeLike = float
) -> Any:
    """Columns that say which category an item has.

    Parameters
    ----------
    codes : ndarray of shape (n, p)
        Whole numbers, 0 to ``n_categories[j] - 1``; NaN or below 0 where there is no answer.
    n_categories : tuple of int
        Of each item, 1 or more; D is their sum.
    csr : bool
        Whether to make a CSR matrix, which is smaller from some dozen categories an item on, or
        where few items are answered.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray or CSR array of shape (n, D)
        Of zeros and ones.
    """
    sizes = np.array(n_categories, dtype=np.int64)
    row, item = np.nonzero(codes >= 0)
    column = (np.cumsum(sizes) - sizes)[item] + codes[row, item].astype(np.int64)
    shape = (codes.shape[0], int(sizes.sum()))
    if csr:
        return sparse.csr_array((np.ones(row.size, dtype=dtype), (row, column)), shape=shape)
    found = np.zeros(shape, dtype=dtype)
    found[row, column] = 1
    return found
