"""What to fit, and what a fit returns, for the categorical hidden Markov model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.statistics import Priors

N_STARTS = (16, 32)  # up to ten states, and from twenty on: more states have more poor optima
LARGE_ALPHABET = 1000  # from here on a symbol mostly belongs to one state, and classes are a start


@dataclass(frozen=True, eq=False)
class HMMOptions:
    """What to fit.

    Attributes
    ----------
    n_components, n_symbols : K and d.
    init : "tensor", "random" or "spectral-clustering".
    n_init : number of starts; None for 16 to 32, or 1 with init="random".
    n_iter : most EM steps on all data; 0 leaves the start as it is.
    tol : least gain of such a step, nats; None for 3e-6 a token.
    startprob_prior, transmat_prior : Dirichlet alphas.
    emissionprob_prior : Dirichlet alpha; None for one pseudo-count a state, spread over the
        symbols by their smoothed frequency.
    update : which of "s", "t", "e" EM re-estimates.
    fixed : starting values given by the user, by name; every start begins with them.
    labelled : whether the codes carry labels, which then make the start.
    dtype : working precision of the E-step on lanes.
    """

    n_components: int
    n_symbols: int
    init: str = "tensor"
    n_init: int | None = None
    n_iter: int = 100
    tol: float | None = None
    startprob_prior: NDArray | float = 1.0
    transmat_prior: NDArray | float = 1.0
    emissionprob_prior: NDArray | float | None = None
    update: str = "ste"
    fixed: dict[str, NDArray] = field(default_factory=dict)
    labelled: bool = False
    dtype: DTypeLike = np.float32

    @property
    def kinds(self) -> list[str]:
        """The kind of every start."""
        if self.n_iter == 0:
            return [self.init]
        if self.init == "random":
            return ["random"] * (self.n_init or 1)
        least, most = N_STARTS
        n_init = self.n_init or int(np.clip(least * self.n_components / 10, least, most))
        if self.init == "spectral-clustering":
            return ["spectral-clustering"] * n_init
        spectral = ["tensor"] * -(-n_init // 4)
        if self.n_symbols > LARGE_ALPHABET:
            spectral[1::2] = ["spectral-clustering"] * len(spectral[1::2])
        return spectral + ["random"] * (n_init - len(spectral))

    def priors(self, frequency: NDArray[np.float64]) -> Priors:
        """Pseudo-counts, given the smoothed share of each symbol; none of what is not updated."""
        emit: NDArray | float
        if self.emissionprob_prior is None:
            emit = frequency
        else:
            emit = np.asarray(self.emissionprob_prior) - 1.0
        start, trans = np.asarray(self.startprob_prior) - 1.0, np.asarray(self.transmat_prior) - 1.0
        update = self.update
        return Priors(
            start if "s" in update else 0.0,
            trans if "t" in update else 0.0,
            emit if "e" in update else 0.0,
        )


@dataclass(frozen=True, eq=False)
class HMMFit:
    """A fitted model.

    Attributes
    ----------
    parameters : the model.
    history : objective before each EM step on all data: log-likelihood plus log prior, nats.
    converged : whether the last gain was below `tol`.
    diagnostics : singular_values, sigma_ratio, starts (kind, composite and full objective of
        each, as far as it came), winner (its kind), lane_error, burn_in, exact.
    """

    parameters: HMMParameters
    history: list[float]
    converged: bool
    diagnostics: dict[str, Any]
