"""The fit of a categorical hidden Markov model: count, start, race, refine.

1. Count n-grams, once.
2. Start: decompositions of the moments, classes of symbols, or random draws.
3. Race by successive halving: fit the trigrams from every start (composite EM; longer windows
   where there are more states than symbols), then a few steps of EM on the data, or on a sample of
   large data, from all, 3/8, 1/4, 1/8 of them.
4. Over-relaxed EM on all data from the winner, to convergence.

With ``init="random"`` nothing races: EM climbs to convergence from every start.

Fits of the trigrams rank starts only weakly, and so do the first steps of EM; that is why the
field narrows in steps.  (Passes of online EM in the place of EM steps were tried: on texts of 1e5
and 4e5 characters they cost as much and ranked no better.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.execute.runner import Runner, SerialRunner, runner, total
from spectral_nn.models.hmm.composite import MOST_WINDOWS, window_batches
from spectral_nn.models.hmm.engine import LaneEngine
from spectral_nn.models.hmm.expectation import expect_lanes
from spectral_nn.models.hmm.lanes import LaneBatches
from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.spectral import fit_startprob
from spectral_nn.moments.ngrams import NgramCounts, count_ngrams, ngram_chunks, window_order
from spectral_nn.recipes.hmm.climb import Climber
from spectral_nn.recipes.hmm.options import HMMFit, HMMOptions
from spectral_nn.recipes.hmm.starts import Start, label_start, make_starts
from spectral_nn.recipes.listening import OnStep, silent
from spectral_nn.refine.em import EMResult
from spectral_nn.sequences import Sequences, SequenceStream

__all__ = ["HMMFit", "HMMOptions", "count", "fit_counts", "fit_hmm"]

_COMPOSITE_STEPS = 30
_LEAST_WINDOWS = 2**12
_COMPOSITE_TOL = 1e-5  # nats a window
_ROUNDS = ((1.0, 5), (3 / 8, 10), (1 / 4, 20), (1 / 8, 40))  # share of the starts, EM steps each
_PATIENCE = (10, 30)  # states: between these, rounds last longer in proportion, as EM slows down
_RACE_ROWS = 2**19  # what the race looks at, of larger data
_TOL = 3e-6  # nats a token
_STAGES = {"composite": "windows", "likelihood": "race"}  # what listeners are told


def count(source: Sequences | SequenceStream, n_symbols: int, run: Runner) -> NgramCounts:
    """N-gram counts of all pieces of coded data.

    Parameters
    ----------
    source : int32 codes.
    n_symbols : d.
    run : who computes.

    Returns
    -------
    NgramCounts, of order `window_order(n_symbols)`.

    Raises
    ------
    ValueError
        If there are more than 2,097,151 symbols, or a stream is empty.

    Notes
    -----
    One pass; O(n log n) time by sorting, O(n) for small alphabets; at most 2^23 distinct windows
    (128 MiB) are kept.
    """
    order = window_order(n_symbols)
    statistic = partial(count_ngrams, order=order, n_symbols=n_symbols)
    chunks = (chunk for piece in source.pieces() for chunk in ngram_chunks(piece, order))
    return total(run, statistic, chunks)


def fit_hmm(
    source: Sequences | SequenceStream,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    on_step: OnStep | None = None,
) -> HMMFit:
    """Fit a model to coded sequences.

    Parameters
    ----------
    source : int32 codes (see `spectral_nn.models.hmm.coding`).
    options : what to fit.
    rng : draws the starts and the order of the lanes.
    n_jobs : workers, as joblib means it; the result does not depend on it.
    on_step : told (stage, step, objective) as the fit goes on.

    Returns
    -------
    HMMFit

    Raises
    ------
    ValueError
        If there are more states than observations, or as `count`.

    Warns
    -----
    RankWarning
        If the moments carry fewer than K components.

    Notes
    -----
    One counting pass, 300 (K <= 10) to 1800 (K >= 30) passes over at most 2^19 positions for the
    race of the starts, and one pass a step of EM, at 6 K^2 flops a token and pass.
    """
    tell = on_step or silent
    with runner(n_jobs) as run:
        counts = count(source, options.n_symbols, run)
        _check_amount(counts, options)
        tell("distinct windows", counts.codes.size, float("nan"))
        problem = _Problem(source, counts, options, int(rng.integers(2**31)))
        engine = problem.engine(run)
        notes: dict[str, Any] = {}
        if options.labelled:
            starts = [label_start(counts, options, engine.expect, rng)]
        else:
            starts, notes = make_starts(counts, options, rng)
        if options.n_iter == 0:
            return _as_started(starts[0], counts, options, notes)
        if options.init == "random" and len(starts) > 1:
            return _baum_welch(problem, starts, run, tell)
        if len(starts) > 1:
            # More windows than a sixth of the positions would cost more than a look at the data.
            most = int(np.clip(counts.n_rows // 6, _LEAST_WINDOWS, MOST_WINDOWS))
            starts = _on_windows(starts, problem, _windows(problem, rng, most), run, tell)
            starts = _on_data(starts, problem, engine, run, tell)
        result = problem.climb(starts[0].parameters, engine, tell)
        winner = replace(starts[0], likelihood=result.history[-1])
        return _finished(result, [winner, *starts[1:]], notes | engine.notes())


def fit_counts(
    counts: NgramCounts,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> HMMFit:
    """Fit a model to n-gram counts alone: the starts and EM on the windows.

    The model is a function of the summed counts (and of `rng`), so it does not matter in how many
    parts, or in which order, the data were counted.

    Parameters
    ----------
    counts : n-gram counts.
    options : what to fit; `n_iter` and `tol` are for EM on the windows from the best start.
    rng : draws the starts.
    on_step : told (stage, step, objective) as the fit goes on.

    Returns
    -------
    HMMFit, whose history is the composite objective of the windows.

    Raises
    ------
    ValueError
        If there are more states than observations.

    Warns
    -----
    RankWarning
        If the moments carry fewer than K components.

    Notes
    -----
    6 K^2 flops a window symbol and step, for at most 65,536 windows.
    """
    tell = on_step or silent
    _check_amount(counts, options)
    starts, notes = make_starts(counts, options, rng)
    if options.n_iter == 0:
        return _as_started(starts[0], counts, options, notes)
    problem = _Problem(None, counts, options, 0)
    windows = _windows(problem, rng, MOST_WINDOWS)
    starts = _on_windows(starts, problem, windows, SerialRunner(), tell)
    result = problem.climb_windows(starts[0].parameters, windows, options.n_iter, problem.tol, tell)
    parameters = result.parameters
    if "s" in options.update and "startprob" not in options.fixed:
        parameters = replace(parameters, startprob=fit_startprob(parameters, counts))
    return _finished(replace(result, parameters=parameters), starts, notes)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Data and options of a fit; a source of None means that only counts are left."""

    source: Sequences | SequenceStream | None
    counts: NgramCounts
    options: HMMOptions
    seed: int

    @property
    def climber(self) -> Climber:
        return Climber(self.options.priors(self.counts.frequency), self.options.update)

    @property
    def tol(self) -> float:
        return _TOL * self.counts.n_tokens if self.options.tol is None else self.options.tol

    def engine(self, run: Runner) -> LaneEngine:
        assert self.source is not None
        return LaneEngine(
            self.source,
            n_rows=self.counts.n_rows,
            pad=self.options.n_symbols,
            dtype=self.options.dtype,
            labelled=self.options.labelled,
            run=run,
            seed=self.seed,
        )

    def climb(self, start: HMMParameters, engine: LaneEngine, tell: OnStep) -> EMResult:
        """EM on all data, to convergence."""
        return self.climber.climb(start, engine.expect, self.options.n_iter, self.tol, tell)

    def climb_alone(self, start: HMMParameters) -> tuple[EMResult, dict[str, Any]]:
        """The same in this process alone."""
        engine = self.engine(SerialRunner())
        return self.climb(start, engine, silent), engine.notes()

    def climb_windows(
        self,
        start: HMMParameters,
        windows: LaneBatches,
        n_iter: int,
        tol: float,
        tell: OnStep = silent,
    ) -> EMResult:
        """Composite EM."""
        expect = partial(expect_lanes, dtype=self.options.dtype)
        return self.climber.climb_chunks(start, expect, [windows], n_iter, tol, tell)


def _check_amount(counts: NgramCounts, options: HMMOptions) -> None:
    """What only counting tells of streams: whether the data can carry the model at all."""
    if options.n_components > counts.n_tokens:
        raise ValueError(
            f"n_components={options.n_components} states need at least as many observations; X has "
            f"{counts.n_tokens} that are not missing. Use fewer states or more data."
        )


def _windows(problem: _Problem, rng: np.random.Generator, most: int) -> LaneBatches:
    """Trigrams, or longer windows where there are more states than symbols."""
    options, counts = problem.options, problem.counts
    order = counts.order if options.n_components > options.n_symbols else 3
    return window_batches(counts, order, rng, most)


def _on_windows(
    starts: list[Start], problem: _Problem, windows: LaneBatches, run: Runner, tell: OnStep
) -> list[Start]:
    """Composite EM from every start; all of them, best first."""
    climb = partial(
        replace(problem, source=None).climb_windows,  # a worker needs the windows, not the data
        windows=windows,
        n_iter=_COMPOSITE_STEPS,
        tol=_COMPOSITE_TOL * float(windows.weight.sum()),
    )
    return _climbed(starts, climb, "composite", run, tell)


def _on_data(
    starts: list[Start], problem: _Problem, engine: LaneEngine, run: Runner, tell: OnStep
) -> list[Start]:
    """Rounds of EM on a sample from fewer and fewer starts; all starts, the best first."""
    engine.expect(starts[0].parameters)  # settles how long the burn-in has to be
    climb = partial(
        problem.climber.climb_chunks,
        statistic=engine.statistic,
        chunks=engine.sample(_RACE_ROWS),
        tol=problem.tol,
    )
    field = len(starts)
    dropped: list[Start] = []
    longer = np.clip(problem.options.n_components, *_PATIENCE) / _PATIENCE[0]
    for share, steps in _ROUNDS:
        n_kept = int(np.ceil(share * field))
        starts, dropped = starts[:n_kept], starts[n_kept:] + dropped
        n_iter = min(int(steps * longer), problem.options.n_iter)
        starts = _climbed(starts, partial(climb, n_iter=n_iter), "likelihood", run, tell)
    return starts + dropped


def _climbed(
    starts: list[Start],
    climb: Callable[[HMMParameters], EMResult],
    figure: str,
    run: Runner,
    tell: OnStep,
) -> list[Start]:
    """Climb from every start; best first by the objective reached, which is kept as `figure`."""
    results = run.map(climb, [start.parameters for start in starts])
    moved = []
    for i, (start, result) in enumerate(zip(starts, results, strict=True)):
        value = result.history[-1]
        tell(f"{_STAGES[figure]}, {start.kind} start", i, value)
        reached: dict[str, Any] = {"parameters": result.parameters, figure: value}
        moved.append(replace(start, **reached))
    return sorted(moved, key=lambda start: -getattr(start, figure))


def _baum_welch(problem: _Problem, starts: list[Start], run: Runner, tell: OnStep) -> HMMFit:
    """EM to convergence from each of several starts, in parallel; the best."""
    results = run.map(problem.climb_alone, [start.parameters for start in starts])
    finished = []
    for i, (start, (result, notes)) in enumerate(zip(starts, results, strict=True)):
        tell(f"EM, {start.kind} start", i, result.history[-1])
        finished.append((replace(start, likelihood=result.history[-1]), result, notes))
    finished.sort(key=lambda one: -one[0].likelihood)
    _, result, notes = finished[0]
    return _finished(result, [start for start, _, _ in finished], notes)


def _as_started(
    start: Start, counts: NgramCounts, options: HMMOptions, notes: dict[str, Any]
) -> HMMFit:
    """A start by itself, with the first state read off the first symbols."""
    parameters = start.parameters
    if "startprob" not in options.fixed:
        parameters = replace(parameters, startprob=fit_startprob(parameters, counts))
    return _finished(EMResult(parameters, [], False), [start], notes)


def _finished(result: EMResult, starts: list[Start], notes: dict[str, Any]) -> HMMFit:
    """A fit with its diagnostics; of the starts, the winner comes first."""
    race = {"winner": starts[0].kind, "starts": [start.note() for start in starts]}
    return HMMFit(result.parameters, result.history, result.converged, notes | race)
