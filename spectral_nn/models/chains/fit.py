"""The fit of a categorical hidden Markov model: count, start, race, refine.

1. Count n-grams, once.
2. Start: decompositions of the moments, classes of symbols, or random draws.
3. Race: fit the trigrams from every start (composite EM; longer windows where there are more states
   than symbols), then take EM steps on a sample of the data, more steps from fewer and fewer starts
   (successive halving).  It costs about one climb: `spectral_nn.models.chains.plan` sets sizes.
4. Over-relaxed EM on all data from the winner, to convergence.

With ``init="random"`` nothing races: EM climbs to convergence from every start.

Fits of the trigrams rank starts only weakly, and so do the first steps of EM; that is why the
field narrows in steps.  (Passes of online EM in the place of EM steps were tried: on texts of 1e5
and 4e5 characters they cost as much and ranked no better.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.callbacks import OnStep, silent
from spectral_nn.data import Cut, Source
from spectral_nn.models.chains.climb import Climber
from spectral_nn.models.chains.composite import MOST_WINDOWS
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.excerpts import Share
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.options import HMMFit, HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import RACE_ROWS, plan_race
from spectral_nn.models.chains.race import Track, race_on_data, race_on_windows, windows_for
from spectral_nn.models.chains.spectral import fit_startprob
from spectral_nn.models.chains.starts import Start, kinds_of, label_start, make_starts, warn_rank
from spectral_nn.moments.ngrams import (
    NgramCounts,
    count_ngrams,
    count_symbols,
    ngram_chunk,
    ngram_cut,
    window_order,
)
from spectral_nn.runners.base import Runner, SerialRunner, total
from spectral_nn.trainers.em import EMResult

__all__ = ["HMMFit", "HMMOptions", "count", "fit_counts", "fit_hmm"]

_WINDOW_STEPS = 12  # of every start, where counts are all there is
_STRETCH = 64  # symbols that are counted together, where not all are
_ALONE_ROWS = 2**21  # up to here, a worker climbs alone with all data
_TOL = 3e-6  # nats a token


def count(source: Source, n_symbols: int, run: Runner, most: int | None = None) -> NgramCounts:
    """N-gram counts of coded data.

    Parameters
    ----------
    source : int32 codes.
    n_symbols : d.
    run : who computes.
    most : positions to count the windows of, about: of larger data short stretches are chosen,
        by a hash of where they are.  Single symbols are counted everywhere.  None for all.

    Returns
    -------
    NgramCounts, of order `window_order(n_symbols)`.

    Raises
    ------
    ValueError
        If there are more than 2,097,151 symbols, or a stream is empty.

    Notes
    -----
    One pass, or two with `most`; O(n log n) time by sorting, O(n) for small alphabets; at most
    2^23 distinct windows (128 MiB) are kept.
    """
    order = window_order(n_symbols)
    ngrams = partial(count_ngrams, order=order, n_symbols=n_symbols)
    if most is None:
        return _counted(source, ngrams, ngram_cut(order), run)
    seen = _counted(source, partial(count_symbols, n_symbols=n_symbols), ngram_cut(1), run)
    if seen.n_rows <= most:
        return _counted(source, ngrams, ngram_cut(order), run)
    chosen = replace(ngram_cut(order), length=_STRETCH, chosen=Share(most / seen.n_rows, seed=0))
    few = _counted(source, ngrams, chosen, run)
    share = few.n_rows / seen.n_rows
    return replace(few, share=share, **{name: getattr(seen, name) for name in vars(seen)})


def _counted(source: Source, statistic: Callable[..., Any], cut: Cut, run: Runner) -> Any:
    """Total of a statistic of n-gram chunks."""
    return total(run, statistic, source.parts(cut, ngram_chunk))


def fit_hmm(
    source: Source,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    run: Runner | None = None,
    on_step: OnStep | None = None,
) -> HMMFit:
    """Fit a model to coded sequences.

    Parameters
    ----------
    source : int32 codes (see `spectral_nn.models.chains.coding`), wherever they are.
    options : what to fit.
    rng : draws the starts, and the lanes that the race looks at.
    run : who computes, on which the result does not depend; None for this process alone.
    on_step : told (stage, step, objective) as the fit goes on.

    Returns
    -------
    HMMFit

    Raises
    ------
    ValueError
        If every observation is missing, or as `count`.

    Warns
    -----
    RankWarning
        If the moments carry fewer than K components, or there are fewer observations than states.
    UserWarning
        If the data are impossible under the start.

    Notes
    -----
    One counting pass, about 125 passes over 2^19 positions at most for the race of the starts (see
    `spectral_nn.models.chains.plan`), and one pass a step of EM, at 6 K^2 flops a token and pass.
    What the race looks at is gathered here, wherever the data are; all other sums are made where
    they are.
    """
    tell, run = on_step or silent, run or SerialRunner()
    counts = count(source, options.n_symbols, run, RACE_ROWS if options.n_iter else None)
    _check_amount(counts, options)
    tell("distinct windows", counts.codes.size, float("nan"))
    problem = _Problem(source, counts, options, int(rng.integers(2**31)))
    engine = problem.engine(run)
    notes: dict[str, Any] = {}
    if options.labelled:
        starts = [label_start(counts, options, engine.expect, rng)]
    else:
        plan = plan_race(counts, options)
        starts, notes = make_starts(counts, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        return _as_started(starts[0], counts, options, notes)
    if options.init == "random" and len(starts) > 1:
        return _baum_welch(problem, starts, run, tell)
    if len(starts) > 1:
        track = Track(problem.climber, run, problem.tol / counts.n_rows, options, tell)
        windows = windows_for(counts, options, rng, plan.n_windows)
        starts = race_on_windows(starts, windows, plan.window_steps, track)
        starts = race_on_data(starts, engine, plan.rounds, track)
        if engine.exact:  # the winner may mix faster than the start that lanes did not do for
            engine = problem.engine(run)
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
        If every observation is missing.

    Warns
    -----
    RankWarning, UserWarning
        As `fit_hmm`.

    Notes
    -----
    6 K^2 flops a window symbol and step, for at most 65,536 windows.
    """
    tell = on_step or silent
    _check_amount(counts, options)
    plan = plan_race(counts, options)
    starts, notes = make_starts(counts, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        return _as_started(starts[0], counts, options, notes)
    problem = _Problem(None, counts, options, 0)
    windows = windows_for(counts, options, rng, MOST_WINDOWS)
    track = Track(problem.climber, SerialRunner(), problem.tol, options, tell)
    starts = race_on_windows(starts, windows, _WINDOW_STEPS, track)
    on_windows = partial(expect_lanes, dtype=options.dtype)
    result = problem.climber.for_windows().climb_chunks(
        starts[0].from_anywhere().parameters,
        on_windows,
        [windows],
        options.n_iter,
        problem.tol,
        tell,
    )
    parameters = result.parameters
    if "startprob" in options.fixed:
        parameters = replace(parameters, startprob=options.fixed["startprob"])
    if "s" in options.update:
        parameters = replace(parameters, startprob=fit_startprob(parameters, counts))
    return _finished(replace(result, parameters=parameters), starts, notes)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Data and options of a fit; a source of None means that only counts are left."""

    source: Source | None
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

    def climb_on(self, run: Runner, start: HMMParameters) -> tuple[EMResult, dict[str, Any]]:
        """The same with an engine of its own."""
        engine = self.engine(run)
        return self.climb(start, engine, silent), engine.notes()

    def climb_alone(self, start: HMMParameters) -> tuple[EMResult, dict[str, Any]]:
        """The same in this process alone."""
        return self.climb_on(SerialRunner(), start)


def _check_amount(counts: NgramCounts, options: HMMOptions) -> None:
    """What only counting tells of streams: whether there are data, and enough for the model."""
    if not counts.n_tokens:
        raise ValueError(f"Every one of the {counts.n_rows} observations in X is missing.")
    if options.n_components > counts.n_tokens:
        warn_rank(
            f"n_components={options.n_components} states are more than the {counts.n_tokens} "
            "observations in X that are not missing, so the model says little but what X is. Use "
            "fewer states or more data.",
            stacklevel=6,
        )


def _baum_welch(problem: _Problem, starts: list[Start], run: Runner, tell: OnStep) -> HMMFit:
    """EM to convergence from each of several starts; the best.

    Little data go with every start to a worker; of much, or elsewhere, each step is spread.
    """
    source, few = problem.source, problem.counts.n_rows <= _ALONE_ROWS
    assert source is not None
    if few and run.n_workers > 1 and not source.remote:
        results = run.map(problem.climb_alone, [start.parameters for start in starts])
    else:
        results = (problem.climb_on(run, start.parameters) for start in starts)
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
    if result.history[-1:] == [-np.inf]:
        warnings.warn(
            "X is impossible under the start: the objective is -inf. Look for zeros in the parts "
            "that init_params or params leave as they are (startprob_, transmat_, emissionprob_), "
            "or let fit make its own start.",
            UserWarning,
            stacklevel=5,
        )
    race = {"winner": starts[0].kind, "starts": [start.note() for start in starts]}
    return HMMFit(result.parameters, result.history, result.converged, notes | race)
