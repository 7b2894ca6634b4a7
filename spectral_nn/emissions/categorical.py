"""Symbols of an alphabet: each state has a distribution over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions.coordinates import Real, Simplex
from spectral_nn.emissions.simplex import (
    log_dirichlet,
    maximise_rows,
    relax_rows,
    restore_rows,
    score_rows,
)

__all__ = ["CategoricalEmission"]


@dataclass(frozen=True, eq=False)
class CategoricalEmission:
    """``P(x = v | h = k) = probs[k, v]``, with a Dirichlet prior.

    Its prior is an array of pseudo-counts, ``alpha - 1``, that broadcasts to (K, d). A probability
    of zero is structure, which no prior fills.

    Parameters
    ----------
    probs : ndarray of shape (K, d)
        Rows sum to one; only the shape is checked.

    Raises
    ------
    ValueError
        If it is no matrix.

    Examples
    --------
    >>> import numpy as np
    >>> law = CategoricalEmission(np.array([[.9, .1], [.2, .8]]))
    >>> law.table.tolist()
    [[0.9, 0.2], [0.1, 0.8], [1.0, 1.0]]
    """

    probs: NDArray[np.float64]

    rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Store float64."""
        array = np.asarray(self.probs, dtype=np.float64)
        if array.ndim != 2:
            raise ValueError(f"probs must have the shape (K, d); got {array.shape}.")
        object.__setattr__(self, "probs", array)

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.probs.shape[0]

    @property
    def n_symbols(self) -> int:
        """Number of symbols, d."""
        return self.probs.shape[1]

    @property
    def n_parameters(self) -> int:
        """``K (d - 1)``: each row sums to one."""
        return self.n_components * (self.n_symbols - 1)

    @property
    def table(self) -> NDArray[np.float64]:
        """Likelihood of every symbol, and ones for what is missing, (d + 1, K)."""
        return np.append(self.probs.T, np.ones((1, self.n_components)), axis=0)

    def gather(self, x: None, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected number of times (K, d) that each state emits each symbol."""
        # In one layout, wherever it was made: sums along an axis depend on it in their last bits.
        return np.ascontiguousarray(mass.T)

    def maximise(
        self, sums: NDArray[np.float64], prior: NDArray[np.float64] | float = 0.0
    ) -> CategoricalEmission:
        """Rows proportional to counts and pseudo-counts (Rabiner 1989, equation 40c)."""
        return CategoricalEmission(maximise_rows(sums, prior, self.probs, structure=True))

    def log_prior(self, prior: NDArray[np.float64] | float = 0.0) -> float:
        """``sum (alpha - 1) log p``, where alpha > 1 over what is possible."""
        return log_dirichlet(self.probs, prior, structure=True)

    def relax(self, new: CategoricalEmission, power: float) -> CategoricalEmission:
        """See `spectral_nn.emissions.simplex.relax_rows`."""
        return CategoricalEmission(relax_rows(self.probs, new.probs, power))

    def restore(self, old: CategoricalEmission | None = None) -> CategoricalEmission:
        """Symbols that `old` may emit stay possible; all, without it."""
        return CategoricalEmission(restore_rows(None if old is None else old.probs, self.probs))

    def sample(self, states: NDArray[np.int64], rng: Any) -> NDArray[np.int64]:
        """Draw a symbol in each state."""
        return self.invert(states, rng.random(states.size))

    def invert(self, states: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """Symbols of states (n,) that uniform numbers (n,) stand for: the inverse distribution.

        O(n log d).
        """
        sums = np.cumsum(self.probs, axis=1)
        sums /= sums[:, -1:]
        symbols = np.empty(states.size, dtype=np.int64)
        for state in range(self.n_components):
            there = np.flatnonzero(states == state)
            symbols[there] = np.searchsorted(sums[state], uniforms[there], side="right")
        return np.minimum(symbols, self.n_symbols - 1)

    def mean(self) -> NDArray[np.float64]:
        """Probabilities (K, d) of the symbols."""
        return self.probs

    def coordinates(self) -> dict[str, Real]:
        """Logits of rows."""
        return {"probs": Simplex()}

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """See `spectral_nn.emissions.simplex.score_rows`."""
        return {"probs": score_rows(sums, self.probs)}

    def support(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The counts."""
        return {"probs": sums}
