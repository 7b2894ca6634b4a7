"""Rows of numbers that come in instalments: a fit to the first, and an EM step for each later one.

What an E-step sums adds up over instalments, but depends on the model at that time, and rows that
were seen are gone. So what each has left under the model of its time is kept, and the M-step is of
all sums together: incremental EM, with one visit of each part of the data (Neal, Hinton, "A view of
the EM algorithm that justifies incremental, sparse, and other variants", 1998).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spectral_nn.data import Source
from spectral_nn.emissions import FramedEmission, RowEmission
from spectral_nn.models.base import Fit, OnStep, Start, silent
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.problem import Problem
from spectral_nn.models.chains.report import ChainReport
from spectral_nn.models.chains.row_fit import pose_rows, settled, solve_rows
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.models.fit import finish
from spectral_nn.moments.ngrams import count_rows, ngram_chunk, ngram_cut
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult

__all__ = ["RowsSeen", "fit_first", "fit_next"]


@dataclass(frozen=True, eq=False)
class RowsSeen:
    """What is kept of rows that were seen.

    Attributes
    ----------
    statistics : HMMStatistics
        Their expected counts, of each instalment under the model as it was when it came.
    law : RowEmission
        The law of the model when the last of them came, in whose frame the sums are.
    pooled : RowEmission
        The law of the first instalment as a whole, which priors are made of.
    """

    statistics: HMMStatistics
    law: RowEmission
    pooled: RowEmission

    def under(self, law: RowEmission) -> HMMStatistics:
        """The statistics, to which those that another law gathers can be added."""
        if not isinstance(self.law, FramedEmission):
            return self.statistics
        sums = self.law.reframe(self.statistics.emission, law)
        return replace(self.statistics, emission=sums)


def fit_first(
    source: Source,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    run: Runner | None = None,
    on_step: OnStep | None = None,
) -> tuple[Fit[HMMParameters], RowsSeen]:
    """Fit a model to rows, as `spectral_nn.models.chains.row_fit.fit_rows`, and keep their sums.

    Notes
    -----
    A pass on top of those of the fit.
    """
    run = run or SerialRunner()
    posed = pose_rows(source, options, rng, run)
    result = solve_rows(posed, rng, run, on_step or silent)
    statistics = posed.engine.expect(result.parameters)
    return result, RowsSeen(statistics, result.parameters.emission, posed.pooled)


def fit_next(
    seen: RowsSeen,
    parameters: HMMParameters,
    source: Source,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    run: Runner | None = None,
    on_step: OnStep | None = None,
) -> tuple[Fit[HMMParameters], RowsSeen]:
    """Take an EM step, whose E-step adds more rows to those that were seen.

    Parameters
    ----------
    seen : RowsSeen
    parameters : HMMParameters
        Where the model stands.
    source : Source
        More rows, with or without labels.
    options : HMMOptions
        Of which priors and `update` count.
    rng : Generator
        For how the lanes are cut.
    run : Runner, optional
        Who computes; None for this process alone.
    on_step : callable, optional
        Told (stage, step, objective).

    Returns
    -------
    Fit
        Its history is the objective of the new rows before the step.
    RowsSeen

    Warns
    -----
    UserWarning
        If a new sequence is impossible under the model.

    Notes
    -----
    Two passes over the new rows: one counts them.
    """
    run = run or SerialRunner()
    n_rows = run.total(count_rows, source.parts(ngram_cut(1), ngram_chunk))
    seed = int(rng.integers(2**31))
    problem = Problem(source, settled(options, seen.pooled), seed, n_rows)
    model, engine = problem.model, problem.engine(run)
    found = engine.expect(parameters)
    objective = found.log_likelihood + model.log_prior(parameters)
    (on_step or silent)("EM", 0, objective)
    statistics = seen.under(parameters.emission) + found
    step = EMResult(model.maximise(statistics, parameters), [objective], False)
    start = Start("given", parameters, likelihood=objective)
    result = finish(step, [start], engine.complete(ChainReport()))
    return result, RowsSeen(statistics, parameters.emission, seen.pooled)
