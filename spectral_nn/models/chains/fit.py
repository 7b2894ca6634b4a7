"""The fit of a hidden Markov model: count, start, race, refine.

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

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.callbacks import OnStep, silent
from spectral_nn.data import Cut, Source
from spectral_nn.models.base import Fit, Start
from spectral_nn.models.chains.composite import race_on_windows, windows_for
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.excerpts import Share, beginning
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import MAX_WINDOWS, RACE_ROWS, plan_race
from spectral_nn.models.chains.row_starts import learn_cells, to_rows
from spectral_nn.models.chains.spectral import fit_startprob
from spectral_nn.models.chains.starts import (
    from_anywhere,
    kinds_of,
    label_start,
    make_starts,
    nearly_even,
    warn_rank,
    with_parts,
)
from spectral_nn.models.fit import finish, fit, maximise_likelihood
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
from spectral_nn.trainers.halving import Round

__all__ = ["HMMOptions", "count", "fit_counts", "fit_hmm"]

_WINDOW_STEPS = 12  # of every start, where counts are all there is
_STRETCH = 64  # symbols that are counted together, where not all are
_ALONE_ROWS = 2**21  # up to here, a worker climbs alone with all data
_TOL = 3e-6  # nats a token
_STICKY = 0.8  # share that stays, in a start of which only the emissions are known


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
) -> Fit[HMMParameters]:
    """Fit a model to coded sequences.

    Parameters
    ----------
    source : int32 codes (see `spectral_nn.data.symbols`), or rows of numbers, wherever they are.
    options : what to fit.
    rng : draws the starts, and the lanes that the race looks at.
    run : who computes, on which the result does not depend; None for this process alone.
    on_step : told (stage, step, objective) as the fit goes on.

    Returns
    -------
    Fit

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
    if options.law is not None:
        return _fit_rows(source, options, rng, run, tell)
    counts = count(source, options.n_symbols, run, RACE_ROWS if options.n_iter else None)
    _check_amount(counts, options)
    tell("distinct windows", counts.codes.size, float("nan"))
    problem = _Problem(source, counts, options, int(rng.integers(2**31)))
    engine = problem.engine(run)
    if options.labelled:
        even = nearly_even(options.n_components, counts, rng)
        start = label_start(even, options, engine.expect, counts.frequency)
        return _refine(problem, [start], (), {}, engine, run, tell)
    starts, rounds, notes = _make_starts(counts, options, problem.model, rng, run, tell)
    return _refine(problem, starts, rounds, notes, engine, run, tell)


def _fit_rows(
    source: Source, options: HMMOptions, rng: np.random.Generator, run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """Fit a model to rows of numbers, which cells make symbols of until EM begins."""
    law, K = options.law, options.n_components
    assert law is not None
    sample = beginning(run, source, RACE_ROWS)
    cells = learn_cells(sample.values, law, K, options.labelled, rng)
    symbols = options.for_cells(cells.n_cells)
    coded = source.coded(cells.encode)
    counts = count(coded, cells.n_cells, run, RACE_ROWS if options.n_iter else None)
    _check_amount(counts, options)
    problem = _Problem(source, counts, options, int(rng.integers(2**31)))
    engine = problem.engine(run)
    if options.labelled:
        start = label_start(cells.law, options, engine.expect, options.emission_prior)
        return _refine(problem, [start], (), {}, engine, run, tell)
    known = options.fixed.get("emission")
    if known is None and K > 1:
        model = ChainModel(symbols.priors(counts.frequency), dtype=options.dtype)
        starts, rounds, notes = _make_starts(counts, symbols, model, rng, run, tell)
        starts = list(to_rows(starts, cells, problem.model, engine.sample(RACE_ROWS), run))
    else:
        emission = cells.law if known is None else known
        sticky = HMMParameters(np.full(K, 1 / K), _STICKY * np.eye(K) + (1 - _STICKY) / K, emission)
        starts, rounds, notes = [Start("given", sticky)], (), {}
    starts = [with_parts(start, **options.fixed) for start in starts]
    return _refine(problem, starts, rounds, notes, engine, run, tell)


def _make_starts(
    counts: NgramCounts,
    options: HMMOptions,
    model: ChainModel,
    rng: np.random.Generator,
    run: Runner,
    tell: OnStep,
) -> tuple[list[Start[HMMParameters]], tuple[Round, ...], dict[str, Any]]:
    """Starts from counts of symbols, best first by their windows, and the rounds to come."""
    plan = plan_race(counts, options)
    starts, notes = make_starts(counts, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        startprob = options.fixed.get("startprob")
        if startprob is None:
            startprob = fit_startprob(starts[0].parameters, counts)
        return [with_parts(starts[0], startprob=startprob)], (), notes
    if len(starts) == 1 or options.init == "random":
        return starts, (), notes
    windows = windows_for(counts, options, rng, plan.n_windows)
    starts = race_on_windows(
        starts, windows, model, options, n_iter=plan.window_steps, run=run, on_step=tell
    )
    return starts, plan.rounds, notes


def _refine(
    problem: _Problem,
    starts: list[Start[HMMParameters]],
    rounds: tuple[Round, ...],
    notes: dict[str, Any],
    engine: LaneEngine,
    run: Runner,
    tell: OnStep,
) -> Fit[HMMParameters]:
    """Race the starts on the data, and EM from the best; from all of them without rounds."""
    options = problem.options
    if options.n_iter == 0:
        return finish(EMResult(starts[0].parameters, [], False), starts, notes)
    if len(starts) > 1 and not rounds:
        return _baum_welch(problem, starts, run, tell)
    result, starts = fit(
        problem.model,
        engine,
        starts,
        rounds=rounds,
        n_iter=options.n_iter,
        tol=problem.tol,
        race_tol=problem.tol / problem.counts.n_rows,
        run=run,
        on_step=tell,
    )
    return finish(result, starts, notes | engine.notes())


def fit_counts(
    counts: NgramCounts,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> Fit[HMMParameters]:
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
    Fit, whose history is the composite objective of the windows.

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
    problem = _Problem(None, counts, options, 0)
    starts, notes = make_starts(counts, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        startprob = options.fixed.get("startprob")
        if startprob is None:
            startprob = fit_startprob(starts[0].parameters, counts)
        best = with_parts(starts[0], startprob=startprob)
        return finish(EMResult(best.parameters, [], False), [best], notes)
    windows, model = windows_for(counts, options, rng, MAX_WINDOWS), problem.model
    starts = race_on_windows(
        starts, windows, model, options, n_iter=_WINDOW_STEPS, run=SerialRunner(), on_step=tell
    )
    result = maximise_likelihood(
        model.for_windows(),
        from_anywhere(starts[0]).parameters,
        lambda parameters: model.statistic(parameters, windows),
        n_iter=options.n_iter,
        tol=problem.tol,
        on_step=tell,
    )
    parts = {part: options.fixed[part] for part in ("startprob",) if part in options.fixed}
    parameters = replace(result.parameters, **parts)
    if "s" in options.update:
        parameters = replace(parameters, startprob=fit_startprob(parameters, counts))
    return finish(replace(result, parameters=parameters), starts, notes)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Data and options of a fit; a source of None means that only counts are left."""

    source: Source | None
    counts: NgramCounts
    options: HMMOptions
    seed: int

    @property
    def model(self) -> ChainModel:
        options = self.options
        frequency = self.counts.frequency
        return ChainModel(
            options.priors(frequency), options.update, options.labelled, options.dtype
        )

    @property
    def tol(self) -> float:
        return _TOL * self.counts.n_tokens if self.options.tol is None else self.options.tol

    def engine(self, run: Runner) -> LaneEngine:
        assert self.source is not None
        return LaneEngine(
            self.source,
            self.model,
            n_rows=self.counts.n_rows,
            pad=None if self.options.law else self.options.n_symbols,
            run=run,
            seed=self.seed,
        )

    def climb(
        self, start: HMMParameters, run: Runner | None = None
    ) -> tuple[EMResult[HMMParameters], dict[str, Any]]:
        """EM on all data, to convergence, in this process if no runner is given."""
        engine = self.engine(run or SerialRunner())
        n_iter = self.options.n_iter
        result = maximise_likelihood(self.model, start, engine.expect, n_iter=n_iter, tol=self.tol)
        return result, engine.notes()


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


def _baum_welch(
    problem: _Problem, starts: list[Start[HMMParameters]], run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """EM to convergence from each of several starts; the best.

    Little data go with every start to a worker; of much, or elsewhere, each step is spread.
    """
    source, few = problem.source, problem.counts.n_rows <= _ALONE_ROWS
    assert source is not None
    if few and run.n_workers > 1 and not source.remote:
        results = run.map(problem.climb, [start.parameters for start in starts])
    else:
        results = (problem.climb(start.parameters, run) for start in starts)
    finished = []
    for i, (start, (result, notes)) in enumerate(zip(starts, results, strict=True)):
        tell(f"EM, {start.kind} start", i, result.history[-1])
        finished.append((replace(start, likelihood=result.history[-1]), result, notes))
    finished.sort(key=lambda one: -one[0].likelihood)
    _, result, notes = finished[0]
    return finish(result, [start for start, _, _ in finished], notes)
