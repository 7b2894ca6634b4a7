"""What to fit, and what a fit returns, for the categorical hidden Markov model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import Priors

LARGE_ALPHABET = 1000  # from here on a symbol mostly belongs to one state, and classes are a start


@dataclass(frozen=True, eq=False)
class HMMOptions:
    """What to fit.

    Attributes
    ----------
    n_components, n_symbols : K and d.
    init : "tensor", "random" or "spectral-clustering".
    n_init : number of starts; None for 4 to 12, see `spectral_nn.models.chains.plan`, or 1 with
        init="random".
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

    def priors(self, frequency: NDArray[np.float64]) -> Priors:
        """Pseudo-counts, given the smoothed share of each symbol.

        None for what is not updated, nor where the user has given a zero: that is structure.
        """
        emission = 1.0 + frequency if self.emissionprob_prior is None else self.emissionprob_prior
        alphas = {
            "startprob": self.startprob_prior,
            "transmat": self.transmat_prior,
            "emissionprob": emission,
        }
        return Priors(*(self._pseudo_counts(part, alpha) for part, alpha in alphas.items()))

    def _pseudo_counts(self, part: str, alpha: NDArray | float) -> NDArray | float:
        if part[0] not in self.update:
            return 0.0
        pseudo = np.asarray(alpha) - 1.0
        return np.where(self.fixed[part] == 0, 0.0, pseudo) if part in self.fixed else pseudo


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
