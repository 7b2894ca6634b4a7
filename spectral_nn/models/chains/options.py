"""What to fit, for the hidden Markov model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.emissions import RowEmission
from spectral_nn.emissions.simplex import pseudo_counts
from spectral_nn.models.base import Options
from spectral_nn.models.chains.statistics import Priors

__all__ = ["HMMOptions", "unseen_weight", "wants_anchors"]

# Where symbols have few states, a transition that EM makes impossible bars whole sequences.
_LEAST_ALPHA = 1.001
_SYMBOLS_A_COUNT = 30
LARGE_ALPHABET = 1000  # beyond, most symbols belong to few states, and have anchors


@dataclass(frozen=True, eq=False)
class HMMOptions(Options):
    """What to fit.

    Attributes
    ----------
    n_components : int
        Number of states, K.
    n_symbols : int
        Size d of the alphabet; 0 where observations are rows of numbers.
    init : {"tensor", "anchor", "random"}
    n_init : int or None
        Number of starts; None for 3 to 12, see `spectral_nn.models.chains.plan`, or 1 with
        init="random".
    n_iter : int
        Most EM steps on all data; 0 leaves the start as moments make it.
    tol : float or None
        Least gain of such a step, nats; None for 3e-6 a position that is not missing.
    startprob_prior, transmat_prior : float or ndarray
        Dirichlet alphas.
    emission_prior : anything
        What the law of rows calls its prior, or a function that makes it of the law of all rows
        together. Of symbols Dirichlet alphas, or None for `unseen_weight` pseudo-counts a state,
        spread over the symbols by their smoothed frequency.
    update : str
        Which of "s", "t", "e" EM re-estimates.
    fixed : dict
        Starting values that the user gives (startprob, transmat, emission, or a dict of some fields
        of the emission); every start begins with them.
    labelled : bool
        Whether observations carry labels, which then make the start.
    dtype : dtype
        Working precision of the E-step on lanes.
    context_lags : tuple of int or None
        Where the contexts of symbols are, for anchors; None: at most two positions away, see
        `spectral_nn.models.chains.anchors.default_lags`.
    symbol_features : csr_array of shape (d, f) or None
        What else is known of symbols.
    law : callable or None
        Makes the law of all rows together, see `spectral_nn.emissions.RowEmission.pooled`; None for
        symbols.
    """

    n_components: int
    n_symbols: int
    init: str = "tensor"
    n_init: int | None = None
    n_iter: int = 100
    tol: float | None = None
    startprob_prior: NDArray | float = 1.0
    transmat_prior: NDArray | float = 1.0
    emission_prior: Any = None
    update: str = "ste"
    fixed: dict[str, Any] = field(default_factory=dict)
    labelled: bool = False
    dtype: DTypeLike = np.float32
    context_lags: tuple[int, ...] | None = None
    symbol_features: Any = None
    law: Callable[[NDArray[np.float64], int], RowEmission] | None = None

    def priors(self, frequency: NDArray[np.float64] | None = None) -> Priors:
        """Priors of the three parts.

        None for what is not updated, nor for a probability that the user has set to zero: that is
        structure.

        Parameters
        ----------
        frequency : ndarray of shape (d,), optional
            Smoothed share of each symbol.
        """
        fixed = {part: self.fixed.get(part) for part in ("startprob", "transmat")}
        start = self._pseudo_counts("s", self._not_flat(self.startprob_prior), fixed["startprob"])
        trans = self._pseudo_counts("t", self._not_flat(self.transmat_prior), fixed["transmat"])
        if self.law is not None:
            return Priors(start, trans, self.emission_prior if "e" in self.update else None)
        alpha = self.emission_prior
        if alpha is None:
            alpha = 1.0 + (0.0 if frequency is None else unseen_weight(frequency.size) * frequency)
        return Priors(start, trans, self._pseudo_counts("e", alpha))

    def _not_flat(self, alpha: NDArray | float) -> NDArray | float:
        """A prior of starts or transitions, with a little in the place of nothing for anchors."""
        return np.where(np.equal(alpha, 1.0), _LEAST_ALPHA, alpha) if wants_anchors(self) else alpha

    def _pseudo_counts(
        self, letter: str, alpha: Any, known: NDArray | None = None
    ) -> NDArray | float:
        if letter not in self.update:
            return 0.0
        return pseudo_counts(alpha, known)


def unseen_weight(n_symbols: int) -> float:
    """Pseudo-counts of a state, by default: one, or one for 30 symbols where these are many.

    A state of thousands of words is seen with few of them. Of d / 1000, 300, 100, 30 and 10, the
    fourth was best, or within .001 bits of it, for the likelihood of held-out sentences: words of
    NumPy's docstrings (K=20, d=5,542) and Portuguese tweets (K=17, d=32,287). It gained .022 and
    .058 bits a word on the first for random starts, .004 and .016 for anchors.
    """
    return max(1.0, n_symbols / _SYMBOLS_A_COUNT)


def wants_anchors(options: HMMOptions) -> bool:
    """Whether starts are read off the contexts of symbols: by default, those of many."""
    if options.labelled or options.fixed or options.n_components == 1:
        return False  # what the user gives makes the start
    large = options.init == "tensor" and options.n_symbols > LARGE_ALPHABET
    return (large and options.n_iter > 0) or options.init == "anchor"
