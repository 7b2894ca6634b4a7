"""The fit of a hidden Markov model to rows of numbers: start from frames, race, refine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Source
from spectral_nn.emissions import MixedEmission, RowEmission
from spectral_nn.models.base import Fit, OnStep, Start
from spectral_nn.models.chains.engine import RACE_ROWS
from spectral_nn.models.chains.excerpts import Excerpt, Share
from spectral_nn.models.chains.frames import Frames
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.problem import Problem, check_amount, refine
from spectral_nn.models.chains.row_starts import fit_law, kinds_of_rows, make_row_starts
from spectral_nn.models.chains.starts import label_start, with_parts
from spectral_nn.moments.ngrams import count_rows, ngram_chunk, ngram_cut
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.halving import Round

__all__ = ["fit_rows"]

_STICKY = 0.8  # share that stays, in a start of which only the emissions are known
_FRAMES = 20_000  # that starts are made of
_RACE = ((16, 10, 2**14), (8, 20, 2**14), (4, 40, 2**15))  # starts, EM steps each, rows


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

    Notes
    -----
    Two passes before EM begins: one counts rows, the other gathers 2^19 of them at most. Starts are
    made from 20,000 of those.
    """
    law = options.law
    assert law is not None
    n_rows = run.total(count_rows, source.parts(ngram_cut(1), ngram_chunk))
    problem = Problem(source, options, int(rng.integers(2**31)), n_rows)
    engine = problem.engine(run)
    some = engine.excerpt()
    x = some.values[:, :-1] if options.labelled else some.values
    check_amount(n_rows, int((~np.isnan(x)).any(axis=1).sum()), options.n_components)
    pooled = law(x, options.n_components)
    if callable(options.emission_prior):
        options = replace(options, emission_prior=options.emission_prior(pooled))
        problem = replace(problem, options=options)
        engine = problem.engine(run)
    if options.labelled:
        start = label_start(pooled, options, engine.expect, options.emission_prior)
        if isinstance(pooled, MixedEmission):
            start = _tell_parts_apart(start, some.values, pooled, options, rng)
        return refine(problem, [start], (), {}, engine, run, tell)
    starts = _starts(some, pooled, options, rng)
    rounds = _race(len(starts), options, n_rows) if len(starts) > 1 else ()
    return refine(problem, starts, rounds, {}, engine, run, tell)


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


def _starts(
    some: Excerpt, pooled: RowEmission, options: HMMOptions, rng: np.random.Generator
) -> list[Start[HMMParameters]]:
    """Starts of a race, or the one that follows from known emissions or a single state."""
    K = options.n_components
    sticky = _STICKY * np.eye(K) + (1 - _STICKY) / K
    start = Start("given", HMMParameters(np.full(K, 1 / K), sticky, pooled))
    start = with_parts(start, **options.fixed)
    n_parts = pooled.n_parts if isinstance(pooled, MixedEmission) else 1
    given = not isinstance(options.fixed.get("emission", {}), dict)
    if K * n_parts == 1 or given or np.ptp(start.parameters.emission.mean(), axis=0).any():
        return [start]
    few = some
    if some.n_rows > _FRAMES:
        few = some.choose(Share(_FRAMES / some.n_rows, int(rng.integers(2**31))))
    frames = Frames.of(few, pooled)
    starts = make_row_starts(frames, options, kinds_of_rows(options), rng)
    return [with_parts(start, **options.fixed) for start in starts]


def _race(n_starts: int, options: HMMOptions, n_rows: int) -> tuple[Round, ...]:
    """Rounds of the race; none for starts of one kind that was asked for."""
    if options.init != "tensor":
        return ()
    share = n_starts / _RACE[0][0]
    rows = min(n_rows, RACE_ROWS)
    return tuple(
        Round(max(2, round(share * n)), min(steps, max(options.n_iter, 1)), min(size, rows))
        for n, steps, size in _RACE
    )
