"""The fit of a hidden Markov model: count, start, race, refine.

1. Count symbols, gather an excerpt of the data, and count its n-grams.
2. Start: decompositions of the moments, classes of symbols, or random draws.  Rows of numbers are
   sorted into cells first, which are the symbols of the starts.
3. Race: fit the trigrams from every start (composite EM; longer windows where there are more states
   than symbols), then take EM steps on parts of the excerpt, more steps from fewer and fewer starts
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
from numpy.typing import NDArray

from spectral_nn.data import Source
from spectral_nn.models.base import Fit, OnStep, Start, silent
from spectral_nn.models.chains.composite import race_on_windows, windows_for
from spectral_nn.models.chains.engine import RACE_ROWS, LaneEngine
from spectral_nn.models.chains.excerpts import Excerpt
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import MAX_WINDOWS, plan_race
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
    SymbolCounts,
    count_ngrams,
    count_rows,
    count_symbols,
    ngram_chunk,
    ngram_cut,
    smooth_frequency,
    window_order,
)
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult
from spectral_nn.trainers.halving import Round

__all__ = ["HMMOptions", "count", "fit_counts", "fit_hmm"]

_WINDOW_STEPS = 12  # of every start, where counts are all there is
_ALONE_ROWS = 2**21  # up to here, a worker climbs alone with all data
_TOL = 3e-6  # nats a token
_STICKY = 0.8  # share that stays, in a start of which only the emissions are known


def count(source: Source, n_symbols: int, run: Runner) -> NgramCounts:
    """N-gram counts of int32 codes, of order `window_order(n_symbols)`.

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
    return _counted(source, partial(count_ngrams, order=order, n_symbols=n_symbols), order, run)


def count_excerpt(some: Excerpt, seen: SymbolCounts, n_symbols: int, order: int) -> NgramCounts:
    """N-gram counts of an excerpt, which is their `share`, beside the counts of all symbols."""
    chunk = ngram_chunk(some.values, some.window)
    few = count_ngrams(chunk, order, n_symbols)
    everywhere = {name: getattr(seen, name) for name in vars(seen)}
    return replace(few, share=some.n_rows / seen.n_rows, **everywhere)


def _counted(source: Source, statistic: Callable[..., Any], order: int, run: Runner) -> Any:
    """Total of a statistic of n-gram chunks."""
    return run.total(statistic, source.parts(ngram_cut(order), ngram_chunk))


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
    Two passes before EM begins: one counts symbols, the other gathers 2^19 positions at most, or
    all there are. These are counted and raced on, which takes about 125 E-steps of them (see
    `spectral_nn.models.chains.plan`). Then one pass a step of EM, at 6 K^2 flops a token and pass.
    What the race looks at is gathered here, wherever the data are; all other sums are made where
    they are.
    """
    tell, run = on_step or silent, run or SerialRunner()
    if options.law is not None:
        return _fit_rows(source, options, rng, run, tell)
    d = options.n_symbols
    if options.n_iter:
        order, symbols = window_order(d), partial(count_symbols, n_symbols=d)
        seen = _counted(source, symbols, 1, run)
        problem = _Problem(source, options, int(rng.integers(2**31)), seen.n_rows, seen.symbols)
        engine = problem.engine(run)
        counts = count_excerpt(engine.excerpt(), seen, d, order)
    else:
        counts = count(source, d, run)
        seed = int(rng.integers(2**31))
        problem = _Problem(source, options, seed, counts.n_rows, counts.symbols)
        engine = problem.engine(run)
    _check_amount(counts, options)
    tell("distinct windows", counts.codes.size, float("nan"))
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
    n_rows = run.total(count_rows, source.parts(ngram_cut(1), ngram_chunk))
    problem = _Problem(source, options, int(rng.integers(2**31)), n_rows)
    engine = problem.engine(run)
    values, window, _ = engine.excerpt()
    cells = learn_cells(values, law, K, options.labelled, rng)
    of_cells, order = options.for_cells(cells.n_cells), window_order(cells.n_cells)
    counts = count_ngrams(ngram_chunk(cells.encode(values), window), order, cells.n_cells)
    counts = replace(counts, share=counts.n_rows / n_rows, n_rows=n_rows)
    _check_amount(counts, options)
    if options.labelled:
        start = label_start(cells.law, options, engine.expect, options.emission_prior)
        return _refine(problem, [start], (), {}, engine, run, tell)
    known = options.fixed.get("emission")
    if known is None and K > 1:
        model = ChainModel(of_cells.priors(counts.frequency), dtype=options.dtype)
        starts, rounds, notes = _make_starts(counts, of_cells, model, rng, run, tell)
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
        return [_settle_startprob(starts[0], counts, options)], (), notes
    if len(starts) == 1 or options.init == "random":
        return starts, (), notes
    windows = windows_for(counts, options, rng, plan.n_windows)
    starts = race_on_windows(
        starts, windows, model, options, n_iter=plan.window_steps, run=run, on_step=tell
    )
    return starts, plan.rounds, notes


def _settle_startprob(
    start: Start[HMMParameters], counts: NgramCounts, options: HMMOptions
) -> Start[HMMParameters]:
    """The start with the distribution of first states that is fixed, or else fitted to counts."""
    startprob = options.fixed.get("startprob")
    if startprob is None:
        startprob = fit_startprob(start.parameters, counts)
    return with_parts(start, startprob=startprob)


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
        race_tol=problem.tol / problem.n_rows,
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
    problem = _Problem(None, options, 0, counts.n_rows, counts.symbols)
    starts, notes = make_starts(counts, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        best = _settle_startprob(starts[0], counts, options)
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
    options: HMMOptions
    seed: int
    n_rows: int
    symbols: NDArray[np.int64] | None = None  # counts of each; None for rows of numbers

    @property
    def model(self) -> ChainModel:
        options = self.options
        frequency = None if self.symbols is None else smooth_frequency(self.symbols)
        return ChainModel(
            options.priors(frequency), options.update, options.labelled, options.dtype
        )

    @property
    def tol(self) -> float:
        n_tokens = self.n_rows if self.symbols is None else int(self.symbols.sum())
        return _TOL * n_tokens if self.options.tol is None else self.options.tol

    def engine(self, run: Runner) -> LaneEngine:
        assert self.source is not None
        return LaneEngine(
            self.source,
            self.model,
            n_rows=self.n_rows,
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
    source, few = problem.source, problem.n_rows <= _ALONE_ROWS
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
