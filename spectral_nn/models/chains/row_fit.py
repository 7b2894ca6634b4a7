"""The fit of a hidden Markov model to rows of numbers: start from frames, race, refine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Source
from spectral_nn.emissions import MixedEmission, RowEmission
from spectral_nn.models.base import Fit, OnStep, Start
from spectral_nn.models.chains.engine import RACE_ROWS, LaneEngine
from spectral_nn.models.chains.excerpts import Excerpt, Share
from spectral_nn.models.chains.frames import Frames
from spectral_nn.models.chains.label_starts import label_start
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.problem import Problem, check_amount, refine, shown_of
from spectral_nn.models.chains.report import ChainReport
from spectral_nn.models.chains.row_starts import fit_law, kinds_of_rows, make_row_starts
from spectral_nn.models.chains.split_merge import LEAST_STATES, Advance, improve
from spectral_nn.models.chains.starts import with_parts
from spectral_nn.models.fit import advance
from spectral_nn.moments.ngrams import count_rows, ngram_chunk, ngram_cut
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.halving import Round
from spectral_nn.warn import warn

__all__ = ["PosedRows", "fit_rows", "pose_rows", "settled", "solve_rows"]

_STICKY = 0.8  # share that stays, in a start of which only the emissions are known
_FRAMES = 2**13  # that starts are made of
_RACE = ((16, 10, 2**13), (8, 20, 2**14), (4, 40, 2**16))  # starts, EM steps each, rows


class PosedRows(NamedTuple):
    """A fit of rows, before there are starts.

    Attributes
    ----------
    problem : with a settled prior.
    engine : E-steps of its data.
    some : rows that starts are made of and race on.
    pooled : the law of these together.
    """

    problem: Problem
    engine: LaneEngine
    some: Excerpt
    pooled: RowEmission


def fit_rows(
    source: Source, options: HMMOptions, rng: np.random.Generator, run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """Fit a model to rows of numbers.

    Parameters
    ----------
    source : Source
        Rows (n, p), NaN where missing, with a last column of labels if there are labels.
    options : HMMOptions
        With a law.
    rng : Generator
        Draws the starts, and the rows that they are made from.
    run : Runner
        Who computes.
    tell : callable
        Told (stage, step, objective).

    Raises
    ------
    ValueError
        If every observation is missing.

    Warns
    -----
    UserWarning
        If there are fewer numbers than free parameters, or no column varies.

    Notes
    -----
    Two passes before EM begins: one counts rows, the other gathers 2^19 of them at most. Starts are
    made from 8,192 of those.
    """
    return solve_rows(pose_rows(source, options, rng, run), rng, run, tell)


def pose_rows(
    source: Source, options: HMMOptions, rng: np.random.Generator, run: Runner
) -> PosedRows:
    """Count rows, look at some of them, and settle the prior; see `fit_rows`."""
    law = options.law
    assert law is not None
    shown, weighted = shown_of(source)
    n_rows = run.total(count_rows, shown.parts(ngram_cut(1), ngram_chunk))
    problem = Problem(shown, options, int(rng.integers(2**31)), n_rows, weighted=weighted)
    engine = problem.engine(run)
    some = engine.excerpt()
    x = some.stretches()[0]  # without the context of blocks, which are rows of others
    x = x[:, :-1] if options.labelled else x
    check_amount(n_rows, int((~np.isnan(x)).any(axis=1).sum()), options.n_components)
    pooled = law(x, options.n_components)
    _check_size(x, pooled)
    if not options.labelled:
        _check_variation(x, options.n_components)
    problem = replace(problem, options=settled(options, pooled))
    return PosedRows(problem, engine, some, pooled)  # E-steps, and so the engine, know no prior


def settled(options: HMMOptions, pooled: RowEmission) -> HMMOptions:
    """The options with the prior that is made of the law of all rows together."""
    prior = options.emission_prior
    return replace(options, emission_prior=prior(pooled)) if callable(prior) else options


def solve_rows(
    posed: PosedRows, rng: np.random.Generator, run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """Start, race, refine; see `fit_rows`."""
    problem, engine, some, pooled = posed
    options = problem.options
    if options.labelled:
        start = label_start(pooled, options, engine.expect, options.emission_prior)
        if isinstance(pooled, MixedEmission):
            start = _tell_parts_apart(start, some.values, pooled, options, rng)
        return refine(problem, [start], (), ChainReport(), engine, run, tell)
    given = _given(pooled, options)
    if given is not None:
        return refine(problem, [given], (), ChainReport(), engine, run, tell)
    frames = Frames.of(_few(some, rng), pooled)
    starts = make_row_starts(frames, options, kinds_of_rows(options), rng)
    starts = [with_parts(start, **options.fixed) for start in starts]
    if options.init != "tensor" or options.n_iter == 0:
        return refine(problem, starts, (), ChainReport(), engine, run, tell)
    rounds = _race(len(starts), options, problem.n_rows)
    in_order = bool(options.fixed) or options.n_components < LEAST_STATES

    def again(starts: list[Start[HMMParameters]]) -> list[Start[HMMParameters]]:
        climb = _climb_on(engine, problem, run)
        best = improve(starts[0], frames, climb, options.emission_prior, rng)
        return [best, *starts[1:]]

    return refine(
        problem, starts, rounds, ChainReport(), engine, run, tell, None if in_order else again
    )


def _tell_parts_apart(
    start: Start[HMMParameters],
    values: NDArray[np.float64],
    pooled: MixedEmission,
    options: HMMOptions,
    rng: np.random.Generator,
) -> Start[HMMParameters]:
    """The same start with the parts of mixtures that labelled rows suggest."""
    labels = values[:, -1].astype(np.int64)
    known = labels >= 0
    frames = Frames(values[known, :-1], np.zeros(known.sum(), dtype=bool), pooled)
    mass = np.eye(options.n_components)[labels[known]]
    emission = fit_law(frames, mass, options.emission_prior, rng)
    return with_parts(with_parts(start, emission=emission), **options.fixed)


def _check_size(x: NDArray[np.float64], pooled: RowEmission) -> None:
    """Warn where there are fewer numbers than free parameters."""
    K = pooled.n_components
    n_free, n_seen = pooled.n_parameters + K * K - 1, int((~np.isnan(x)).sum())
    if n_free > n_seen:
        warn(
            f"Fitting a model of {n_free} free parameters to {n_seen} numbers will result in a "
            "degenerate solution. Use fewer states, or covariances of fewer parameters.",
            UserWarning,
        )


def _check_variation(x: NDArray[np.float64], n_components: int) -> None:
    """Warn where all rows are equal, so that they do not tell states apart."""
    least, most = np.fmin.reduce(x), np.fmax.reduce(x)
    if n_components == 1 or len(x) == 1 or (most > least).any():
        return
    shown = ", ".join(f"{value:g}" for value in most[:5])
    warn(
        f"No column of X varies: the {len(x)} rows that starts are made of "
        f"are all ({shown}{', ...' if most.size > 5 else ''}), which does not tell "
        f"n_components={n_components} states apart. Use n_components=1, or look for the columns "
        "that X should have had.",
        UserWarning,
    )


def _given(pooled: RowEmission, options: HMMOptions) -> Start[HMMParameters] | None:
    """The one start that follows from known emissions, or from having a single state."""
    K = options.n_components
    sticky = _STICKY * np.eye(K) + (1 - _STICKY) / K
    start = Start("given", HMMParameters(np.full(K, 1 / K), sticky, pooled))
    start = with_parts(start, **options.fixed)
    n_parts = pooled.n_parts if isinstance(pooled, MixedEmission) else 1
    known = not isinstance(options.fixed.get("emission", {}), dict)
    apart = np.ptp(start.parameters.emission.mean(), axis=0).any()
    return start if K * n_parts == 1 or known or apart else None


def _few(some: Excerpt, rng: np.random.Generator) -> Excerpt:
    """Blocks of rows that starts are made from."""
    if some.n_rows <= _FRAMES:
        return some
    return some.choose(Share(_FRAMES / some.n_rows, int(rng.integers(2**31))))


def _climb_on(engine: LaneEngine, problem: Problem, run: Runner) -> Advance:
    """EM steps of starts on samples of the data."""

    def climb(starts: list[Start[HMMParameters]], one: Round) -> Any:
        return advance(
            problem.model,
            starts,
            engine.sample(one.n_rows),
            n_iter=min(one.n_steps, problem.options.n_iter),
            tol=problem.race_tol * min(problem.n_rows, one.n_rows),
            run=run,
            figure="likelihood",
        )

    return climb


def _race(n_starts: int, options: HMMOptions, n_rows: int) -> tuple[Round, ...]:
    """Rounds of the race."""
    share = n_starts / _RACE[0][0]
    rows = min(n_rows, RACE_ROWS)
    return tuple(
        Round(max(2, round(share * n)), min(steps, max(options.n_iter, 1)), min(size, rows))
        for n, steps, size in _RACE
    )
