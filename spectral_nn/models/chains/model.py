"""The hidden Markov model as a latent-variable model: its E-step, M-step and priors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from spectral_nn.data import Sequences
from spectral_nn.emissions import LosingEmission
from spectral_nn.emissions.simplex import restore_rows
from spectral_nn.models.chains.expectation import expect_exact, expect_lanes
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import HMMStatistics, Priors, maximise, relax

__all__ = ["ChainModel"]


@dataclass(frozen=True, eq=False)
class ChainModel:
    """A `spectral_nn.models.base.LatentModel` of lanes and of whole sequences.

    Attributes
    ----------
    priors : Priors
    update : str
        Which of "s", "t", "e" to re-estimate.
    labelled : bool
        Whether observations carry labels.
    dtype : dtype
        Precision of the E-step on lanes.
    """

    priors: Priors
    update: str = "ste"
    labelled: bool = False
    dtype: DTypeLike = np.float32

    def for_windows(self) -> ChainModel:
        """The model of windows, whose first state is any state: it has no prior and is not kept."""
        update = "s" + self.update.replace("s", "")
        return replace(self, priors=replace(self.priors, start=0.0), update=update, labelled=False)

    @np.errstate(under="ignore")  # what is that small counts for nothing, in any precision
    def statistic(self, parameters: HMMParameters, chunk: Any) -> HMMStatistics:
        """E-step of a chunk: lanes, or whole sequences by the exact recursion."""
        if isinstance(chunk, Sequences):
            return expect_exact(parameters, chunk, labelled=self.labelled)
        return expect_lanes(parameters, chunk, dtype=self.dtype, labelled=self.labelled)

    def maximise(self, statistics: HMMStatistics, parameters: HMMParameters) -> HMMParameters:
        """M-step, see `spectral_nn.models.chains.statistics.maximise`."""
        return maximise(statistics, parameters, self.priors, self.update)

    def log_prior(self, parameters: HMMParameters) -> float:
        """Logarithm of the prior density up to a constant, nats."""
        return self.priors.log_density(parameters)

    def relax(self, old: HMMParameters, new: HMMParameters, power: float) -> HMMParameters:
        """Reach beyond an M-step, see `spectral_nn.models.chains.statistics.relax`."""
        return relax(old, new, power)

    def judge(self, parameters: HMMParameters, chunk: Any) -> float:
        """Log-likelihood of stretches of sequences, which may begin anywhere."""
        K = parameters.n_components
        anywhere = replace(parameters, startprob=np.full(K, 1 / K))
        return float(self.statistic(anywhere, chunk).log_likelihood)

    def restore(self, old: HMMParameters, new: HMMParameters) -> HMMParameters:
        """What EM on a sample has made impossible, and was not, is all but impossible."""
        emission = new.emission
        if isinstance(emission, LosingEmission):
            emission = emission.restore(old.emission)
        return HMMParameters(
            restore_rows(old.startprob, new.startprob),
            restore_rows(old.transmat, new.transmat),
            emission,
        )
