"""EM of the categorical hidden Markov model, with any E-step: what a worker is sent to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from spectral_nn.callbacks import OnStep, silent
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import HMMStatistics, Priors, maximise, relax
from spectral_nn.runners.base import SerialRunner, total
from spectral_nn.trainers.em import EMResult, em


@dataclass(frozen=True, eq=False)
class Climber:
    """The objective of a fit, log-likelihood plus log prior, and EM towards it.

    Attributes
    ----------
    priors : pseudo-counts.
    update : which of "s", "t", "e" to re-estimate.
    """

    priors: Priors
    update: str = "ste"

    def for_windows(self) -> Climber:
        """The same for windows, whose first state is any state: it has no prior and is not kept."""
        update = "s" + self.update.replace("s", "")
        return Climber(replace(self.priors, start=0.0), update)

    def objective(self, statistics: HMMStatistics, parameters: HMMParameters) -> float:
        """Log-likelihood plus log prior.

        Parameters
        ----------
        statistics : of the data under `parameters`.
        parameters : the model.

        Returns
        -------
        float, nats, up to the constant of the prior.
        """
        return statistics.log_likelihood + self.priors.log_density(parameters)

    def maximise(self, statistics: HMMStatistics, parameters: HMMParameters) -> HMMParameters:
        """M-step, see `spectral_nn.models.chains.statistics.maximise`.

        Parameters
        ----------
        statistics : of the data under `parameters`.
        parameters : the model.

        Returns
        -------
        HMMParameters
        """
        return maximise(statistics, parameters, self.priors, self.update)

    def climb(
        self,
        start: HMMParameters,
        expect: Callable[[HMMParameters], HMMStatistics],
        n_iter: int,
        tol: float,
        tell: OnStep = silent,
    ) -> EMResult[HMMParameters]:
        """EM from a start with a given E-step, see `spectral_nn.trainers.em.em`.

        Parameters
        ----------
        start : the model to begin with.
        expect : E-step, parameters -> statistics of all data.
        n_iter : most M-steps.
        tol : stop when a step gains less, nats.
        tell : told ("EM", step, objective).

        Returns
        -------
        EMResult

        Notes
        -----
        One E-step an iteration, one more for each step taken back.
        """
        return em(
            start,
            expect=expect,
            objective=self.objective,
            maximise=self.maximise,
            relax=relax,
            n_iter=n_iter,
            tol=tol,
            on_step=partial(tell, "EM"),
        )

    def climb_chunks(
        self,
        start: HMMParameters,
        statistic: Callable[[HMMParameters, Any], HMMStatistics],
        chunks: Iterable[Any],
        n_iter: int,
        tol: float,
        tell: OnStep = silent,
    ) -> EMResult[HMMParameters]:
        """EM on some chunks, in this process; everything it takes can be sent to a worker.

        Parameters
        ----------
        start : the model to begin with.
        statistic : E-step of a chunk, (parameters, chunk) -> statistics.
        chunks : at least one; walked in every step.
        n_iter, tol, tell : as in `climb`.

        Returns
        -------
        EMResult
        """
        return self.climb(
            start, lambda p: total(SerialRunner(), partial(statistic, p), chunks), n_iter, tol, tell
        )
