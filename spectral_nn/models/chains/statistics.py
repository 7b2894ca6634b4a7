"""Expected counts of a hidden Markov model: what an E-step sums, and the M-step that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.emissions.simplex import log_dirichlet, maximise_rows, relax_rows
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["HMMStatistics", "Priors", "maximise", "relax"]


@dataclass(frozen=True, eq=False)
class HMMStatistics(Additive):
    """Expected counts of a chunk of data; ``a + b`` are those of both chunks.

    Attributes
    ----------
    start : ndarray of shape (K,)
        Expected number of sequences that start in each state.
    trans : ndarray of shape (K, K)
        Expected number of transitions.
    emission : additive
        What the emission gathered; for symbols their expected counts (K, d).
    log_likelihood : float
        Total, nats.
    disagreement : float
        Summed L1 distance between the two filters of every cut between lanes.
    n_cuts : int
        Cuts looked at.
    """

    start: NDArray[np.float64]
    trans: NDArray[np.float64]
    emission: Any
    log_likelihood: float
    disagreement: float = 0.0
    n_cuts: int = 0

    @property
    def lane_error(self) -> float:
        """Mean L1 distance of the two filters at a cut; 0 where nothing is cut."""
        return self.disagreement / max(self.n_cuts, 1)


@dataclass(frozen=True, eq=False)
class Priors:
    """Priors of the three parts.

    Attributes
    ----------
    start, trans : float or ndarray that broadcasts to (K,) and (K, K)
        Dirichlet pseudo-counts, ``alpha - 1``.
    emission : anything
        What the emission calls its prior; pseudo-counts of symbols.
    """

    start: NDArray[np.float64] | float = 0.0
    trans: NDArray[np.float64] | float = 0.0
    emission: Any = 0.0

    def log_density(self, parameters: HMMParameters) -> float:
        """Logarithm of the prior density up to a constant, nats; -inf where it is zero."""
        return (
            log_dirichlet(parameters.startprob, self.start)
            + log_dirichlet(parameters.transmat, self.trans)
            + parameters.emission.log_prior(self.emission)
        )


def maximise(
    statistics: HMMStatistics, parameters: HMMParameters, priors: Priors, update: str = "ste"
) -> HMMParameters:
    """M-step: the posterior mode of each part (Rabiner 1989, equation 40a-c, with priors).

    Parameters
    ----------
    statistics : HMMStatistics
        Expected counts under `parameters`.
    parameters : HMMParameters
        What stays where `update` leaves it out, or where a state has no count.
    priors : Priors
    update : str
        Which of "s"tart, "t"ransitions and "e"missions to re-estimate.

    Notes
    -----
    O(K^2), and what the emission takes.
    """
    startprob, transmat, emission = parameters.startprob, parameters.transmat, parameters.emission
    if "s" in update:
        startprob = maximise_rows(statistics.start, priors.start, startprob)
    if "t" in update:
        transmat = maximise_rows(statistics.trans, priors.trans, transmat)
    if "e" in update:
        emission = emission.maximise(statistics.emission, priors.emission)
    return HMMParameters(startprob, transmat, emission)


def relax(old: HMMParameters, new: HMMParameters, power: float) -> HMMParameters:
    """Reach beyond an M-step, see `spectral_nn.emissions.simplex.relax_rows`."""
    emission = new.emission
    if emission is not old.emission:
        emission = old.emission.relax(emission, power)
    return HMMParameters(
        relax_rows(old.startprob, new.startprob, power),
        relax_rows(old.transmat, new.transmat, power),
        emission,
    )
