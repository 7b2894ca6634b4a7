"""What every fit of a hidden Markov model has in hand, and how it goes on once there are starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Sequences, Source
from spectral_nn.models.base import Fit, OnStep, Start
from spectral_nn.models.chains.engine import LaneEngine, WeightedEngine
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.report import ChainReport
from spectral_nn.models.fit import finish, fit, maximise_likelihood
from spectral_nn.moments.ngrams import smooth_frequency
from spectral_nn.results import RankWarning
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult
from spectral_nn.trainers.halving import Round
from spectral_nn.warn import warn

__all__ = ["Problem", "check_amount", "refine", "shown_of"]

_ALONE_ROWS = 2**21  # up to here, a worker climbs alone with all data
_TOL = 3e-6  # nats a token


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and options of a fit.

    Attributes
    ----------
    source : what starts are made of and race on, and EM climbs on; None if only counts are left.
    options : what to fit.
    seed : chooses the lanes of a sample.
    n_rows : positions of the source.
    symbols : counts of each; None for rows of numbers.
    weighted : what EM climbs on in the place of the source.
    """

    source: Source | None
    options: HMMOptions
    seed: int
    n_rows: int
    symbols: NDArray[np.int64] | None = None
    weighted: Sequences | None = None

    @property
    def model(self) -> ChainModel:
        """What is fitted."""
        options = self.options
        frequency = None if self.symbols is None else smooth_frequency(self.symbols)
        return ChainModel(
            options.priors(frequency), options.update, options.labelled, options.dtype
        )

    @property
    def tol(self) -> float:
        """Least gain of an EM step on all data, nats."""
        n_tokens = self.n_rows if self.symbols is None else int(self.symbols.sum())
        default = _TOL * n_tokens * self._weight_of_a_row
        return default if self.options.tol is None else self.options.tol

    @property
    def race_tol(self) -> float:
        """The same in the race, nats a position."""
        return self.tol / (self.n_rows * self._weight_of_a_row)

    @property
    def _weight_of_a_row(self) -> float:
        """How often a position of the source counts on all data, in the mean."""
        if self.weighted is None or self.weighted.weight is None:
            return 1.0
        return float(self.weighted.weight @ self.weighted.lengths) / self.n_rows

    def engine(self, run: Runner) -> LaneEngine:
        """E-steps of the data."""
        assert self.source is not None
        how: dict[str, Any] = {
            "model": self.model,
            "pad": None if self.options.law else self.options.n_symbols,
            "run": run,
            "seed": self.seed,
            "holds_out": wants_anchors(self.options),
        }
        engine = LaneEngine(self.source, n_rows=self.n_rows, **how)
        if self.weighted is None:
            return engine
        return WeightedEngine(self.weighted, engine, n_rows=int(self.weighted.offsets[-1]), **how)

    def climb(
        self, start: HMMParameters, run: Runner | None = None
    ) -> tuple[EMResult[HMMParameters], ChainReport]:
        """EM on all data, to convergence, in this process if no runner is given."""
        engine = self.engine(run or SerialRunner())
        n_iter = self.options.n_iter
        result = maximise_likelihood(self.model, start, engine.expect, n_iter=n_iter, tol=self.tol)
        return result, engine.complete(ChainReport())


def shown_of(source: Source) -> tuple[Source, Sequences | None]:
    """What starts see: sequences without weights; and those with weights, where there are any."""
    if not isinstance(source, Sequences) or source.weight is None:
        return source, None
    if not source.weight.any():
        raise ValueError("The weight of every sequence of X is 0. Give one of them a weight.")
    weighted = source[source.weight > 0]
    return weighted.in_copies(), weighted


def check_amount(n_rows: int, n_observed: int, n_components: int) -> None:
    """What only counting tells of streams: whether there are data, and enough for the model.

    Raises
    ------
    ValueError
        If nothing is observed.

    Warns
    -----
    RankWarning
        If there are fewer observations than states.
    """
    if not n_observed:
        raise ValueError(f"Every one of the {n_rows} observations in X is missing.")
    if n_components > n_observed:
        warn(
            f"n_components={n_components} states are more than the {n_observed} observations in X "
            "that are not missing, so the model says little but what X is. Use fewer states or "
            "more data.",
            RankWarning,
        )


def refine(
    problem: Problem,
    starts: list[Start[HMMParameters]],
    rounds: tuple[Round, ...],
    report: ChainReport,
    engine: LaneEngine,
    run: Runner,
    tell: OnStep,
    improve: Callable[[list[Start[HMMParameters]]], list[Start[HMMParameters]]] | None = None,
) -> Fit[HMMParameters]:
    """Race the starts on the data, and EM from the best; from all of them without rounds."""
    options = problem.options
    if options.n_iter == 0:
        return finish(EMResult(starts[0].parameters, [], False), starts, report)
    if len(starts) > 1 and not rounds:
        return _baum_welch(problem, starts, run, tell)
    result, starts = fit(
        problem.model,
        engine,
        starts,
        rounds=rounds,
        n_iter=options.n_iter,
        tol=problem.tol,
        race_tol=problem.race_tol,
        run=run,
        on_step=tell,
        improve=improve,
    )
    if starts[0].kind == "anchor":
        report = replace(report, support=result.parameters.emission.probs > 0)
        parameters = _release(problem.model, result.parameters, engine)
        result = replace(result, parameters=parameters)
    return finish(result, starts, engine.complete(report))


def _release(model: ChainModel, parameters: HMMParameters, engine: LaneEngine) -> HMMParameters:
    """Two EM steps in which the prior alone says what states a symbol may have.

    Few states for each symbol is what makes states parts of speech, but as a model of new sentences
    it is too strict. On Portuguese tweets, K=17, two steps gain .006 bits a word of held-out
    sentences for .3 points of accuracy and .4 of V-measure; twenty gain .056 for 5 and 6. (How many
    was settled on tweets and on two splits of the text that ``bench/words.py`` reports on.)

    Notes
    -----
    Two E-steps.
    """
    possible = replace(parameters, emission=parameters.emission.restore())
    released = model.maximise(engine.expect(parameters), possible)
    return model.maximise(engine.expect(released), released)


def _baum_welch(
    problem: Problem, starts: list[Start[HMMParameters]], run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """EM to convergence from each of several starts; the best.

    Little data go with every start to a worker; of much, or elsewhere, each step is spread.
    """
    source, few = problem.source, problem.n_rows <= _ALONE_ROWS
    assert source is not None
    if few and run.n_workers > 1 and not source.remote:
        results = run.map(problem.climb, [start.parameters for start in starts])
    else:
        results = (problem.climb(start.parameters, run) for start in starts)
    finished = []
    for i, (start, (result, report)) in enumerate(zip(starts, results, strict=True)):
        tell(f"EM, {start.kind} start", i, result.history[-1])
        finished.append((replace(start, likelihood=result.history[-1]), result, report))
    finished.sort(key=lambda one: -one[0].likelihood)
    _, result, report = finished[0]
    return finish(result, [start for start, _, _ in finished], report)
