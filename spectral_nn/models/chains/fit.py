"""The fit of a hidden Markov model: count, start, race, refine.

1. Count symbols, gather an excerpt of the data, and count its n-grams.
2. Start: decompositions of the moments, anchors of large alphabets, or random draws.  (Rows of
   numbers have starts of their own, see `spectral_nn.models.chains.row_fit`.)
3. Race: fit the trigrams from every start (composite EM; longer windows where there are more states
   than symbols), then take EM steps on parts of the excerpt, more steps from fewer and fewer starts
   (successive halving).  It costs about one climb: `spectral_nn.models.chains.plan` sets sizes.
   Starts with anchors, which give each symbol few states, are not fitted to windows, and a part of
   the excerpt that the race holds out is the judge (of more than 4,096 positions).
4. Over-relaxed EM on all data from the winner, to convergence.

With ``init="random"`` nothing races: EM climbs to convergence from every start.

Fits of the trigrams rank starts only weakly, and so do the first steps of EM; that is why the
field narrows in steps.  (Passes of online EM in the place of EM steps were tried: on texts of 1e5
and 4e5 characters they cost as much and ranked no better.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.data import Source
from spectral_nn.models.base import Fit, OnStep, Start, silent
from spectral_nn.models.chains.composite import race_on_windows, windows_for
from spectral_nn.models.chains.evidence import Evidence
from spectral_nn.models.chains.excerpts import Excerpt
from spectral_nn.models.chains.label_starts import label_start, nearly_even
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import MAX_WINDOWS, plan_race
from spectral_nn.models.chains.problem import Problem, check_amount, refine, shown_of
from spectral_nn.models.chains.report import ChainReport
from spectral_nn.models.chains.row_fit import fit_rows
from spectral_nn.models.chains.spectral import fit_startprob
from spectral_nn.models.chains.starts import (
    LASTING,
    from_anywhere,
    kinds_of,
    make_starts,
    with_parts,
)
from spectral_nn.models.fit import finish, maximise_likelihood
from spectral_nn.moments.contexts import (
    ContextCounts,
    context_cut,
    contexts_of_ngrams,
    count_contexts,
)
from spectral_nn.moments.ngrams import (
    NgramCounts,
    SymbolCounts,
    count_ngrams,
    count_symbols,
    ngram_chunk,
    ngram_cut,
    window_order,
)
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult
from spectral_nn.trainers.halving import Round

__all__ = ["HMMOptions", "count", "fit_counts", "fit_hmm"]

_MOMENT_STEPS = 60  # of the fit of trigrams where no EM follows
_WINDOW_STEPS = 12  # of every start, where counts are all there is


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


def _count_contexts(source: Source, options: HMMOptions, run: Runner) -> ContextCounts | None:
    """Contexts of symbols, where anchors are wanted."""
    if not wants_anchors(options):
        return None
    lags = options.context_lags or (1, 2)
    of_chunk = partial(count_contexts, lags=lags, n_symbols=options.n_symbols)
    return run.total(of_chunk, source.parts(context_cut(lags), ngram_chunk))


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
        If its sequences have weights, EM is weighted, and all before sees whole copies of them.
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
    Two passes before EM begins, three with anchors, whose contexts are counted: one counts symbols,
    the other gathers 2^19 positions at most, or all there are. These are counted and raced on,
    which takes about 125 E-steps of them, or half as many (see
    `spectral_nn.models.chains.plan`). Then one pass a step of EM, at 6 K^2 flops a token and pass.
    What the race looks at is gathered here, wherever the data are; all other sums are made where
    they are.
    """
    tell, run = on_step or silent, run or SerialRunner()
    if options.law is not None:
        return fit_rows(source, options, rng, run, tell)
    d, (source, weighted) = options.n_symbols, shown_of(source)
    if options.n_iter:
        order, symbols = window_order(d), partial(count_symbols, n_symbols=d)
        seen = _counted(source, symbols, 1, run)
        seed = int(rng.integers(2**31))
        problem = Problem(source, options, seed, seen.n_rows, seen.symbols, weighted)
        engine = problem.engine(run)
        some = engine.excerpt()
        contexts = _count_contexts(source, options, run)
        evidence = Evidence(count_excerpt(some, seen, d, order), some, contexts)
    else:
        evidence = Evidence(count(source, d, run), None, _count_contexts(source, options, run))
        counts = evidence.counts
        seed = int(rng.integers(2**31))
        problem = Problem(source, options, seed, counts.n_rows, counts.symbols, weighted)
        engine = problem.engine(run)
        if plan_race(counts, options).wide:
            evidence = Evidence(counts, engine.excerpt())
    counts = evidence.counts
    check_amount(counts.n_rows, counts.n_tokens, options.n_components)
    tell("distinct windows", counts.codes.size, float("nan"))
    if options.labelled:
        even = nearly_even(options.n_components, counts, rng)
        start = label_start(even, options, engine.expect, counts.frequency)
        return refine(problem, [start], (), ChainReport(), engine, run, tell)
    starts, rounds, report = _make_starts(evidence, options, problem.model, rng, run, tell)
    return refine(problem, starts, rounds, report, engine, run, tell)


def _make_starts(
    evidence: Evidence,
    options: HMMOptions,
    model: ChainModel,
    rng: np.random.Generator,
    run: Runner,
    tell: OnStep,
) -> tuple[list[Start[HMMParameters]], tuple[Round, ...], ChainReport]:
    """Starts of symbols, best first by their windows, and the rounds to come."""
    counts = evidence.counts
    plan = plan_race(counts, options)
    starts, report = make_starts(evidence, options, kinds_of(options, plan), rng)
    if options.n_iter == 0:
        return [_without_em(starts[0], counts, options, model, rng, run)], (), report
    if len(starts) == 1 or options.init == "random":
        return starts, (), report
    if wants_anchors(options):  # which trigrams would rank by how many symbols each state may have
        return starts, plan.rounds, report
    windows = windows_for(counts, options, rng, plan.n_windows)
    # Few symbols in a row know nothing of states that last, and would only lead away from them.
    lasting = [start for start in starts if start.kind in LASTING]
    others = [start for start in starts if start.kind not in LASTING]
    others = race_on_windows(
        others, windows, model, options, n_iter=plan.window_steps, run=run, on_step=tell
    )
    return others + lasting, plan.rounds, report


def _without_em(
    start: Start[HMMParameters],
    counts: NgramCounts,
    options: HMMOptions,
    model: ChainModel,
    rng: np.random.Generator,
    run: Runner,
) -> Start[HMMParameters]:
    """The start as a model of its own, made from counts alone.

    A decomposition is not constrained to be a model, and what clipping makes of it is far off; so
    it is followed by the fit of its trigrams. The distribution of first states that is not fixed is
    fitted to first symbols.
    """
    if start.kind == "tensor":
        windows = windows_for(counts, options, rng, MAX_WINDOWS)
        [start] = race_on_windows(
            [start], windows, model, options, n_iter=_MOMENT_STEPS, run=run, on_step=silent
        )
    startprob = options.fixed.get("startprob")
    if startprob is None:
        startprob = fit_startprob(start.parameters, counts)
    return with_parts(start, startprob=startprob)


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
    check_amount(counts.n_rows, counts.n_tokens, options.n_components)
    plan = plan_race(counts, options)
    problem = Problem(None, options, 0, counts.n_rows, counts.symbols)
    model, kinds, contexts = problem.model, kinds_of(options, plan), None
    if wants_anchors(options):  # no sequence is left to judge other starts by
        kinds = [kind for kind in kinds if kind == "anchor"]
        contexts = contexts_of_ngrams(counts, options.context_lags or (1, 2))
    starts, report = make_starts(Evidence(counts, None, contexts), options, kinds, rng)
    if options.n_iter == 0:
        best = _without_em(starts[0], counts, options, model, rng, SerialRunner())
        return finish(EMResult(best.parameters, [], False), [best], report)
    windows = windows_for(counts, options, rng, MAX_WINDOWS)
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
    return finish(replace(result, parameters=parameters), starts, report)
