"""The fit of observable operators: count, choose the rank, solve."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from spectral_nn.data import Sequences, Source
from spectral_nn.models.base import Options
from spectral_nn.models.chains.excerpts import beginning
from spectral_nn.models.chains.order import hold_out
from spectral_nn.models.operators.hankel import hankel
from spectral_nn.models.operators.report import OperatorReport, RankEvidence
from spectral_nn.models.operators.solve import Operators, filtered, solve
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.moments.surroundings import (
    count_surroundings,
    reach,
    surroundings_chunk,
    surroundings_cut,
)
from spectral_nn.results import RankWarning
from spectral_nn.runners.base import Runner, SerialRunner

__all__ = ["OperatorFit", "OperatorOptions", "RankEvidence", "count", "fit_counts", "fit_operators"]

_GRID = (*range(1, 7), *range(8, 36, 2), *range(36, 48, 4), *range(48, 97, 16))
_MOST_ROWS = 2**20  # of larger data the beginning is looked at, to choose the rank
_MOST_WINDOWS = 2**14  # in which negative probabilities are counted


@dataclass(frozen=True)
class OperatorOptions(Options):
    """What to fit.

    Attributes
    ----------
    n_symbols : d.
    rank : K, or "auto".
    kind : of the Hankel matrix, see `spectral_nn.models.operators.hankel`.
    ends : whether sequences are whole strings.
    max_length : of substrings.
    n_substrings : on either side.
    """

    n_symbols: int
    rank: int | str
    kind: str
    ends: bool
    max_length: int
    n_substrings: int


@dataclass(frozen=True, eq=False)
class OperatorFit:
    """A fitted model, and what there is to say about it."""

    model: Operators
    negative_fraction: float
    report: OperatorReport


def count(source: Source, options: OperatorOptions, run: Runner) -> NgramCounts:
    """Windows around all positions of a source of codes; one pass."""
    length = 1 if options.kind == "symbols" else options.max_length
    far = reach(options.n_symbols, length)
    statistic = partial(
        count_surroundings, reach=far, n_symbols=options.n_symbols, ends=options.ends
    )
    return run.total(statistic, source.parts(surroundings_cut(far), surroundings_chunk))


def fit_operators(
    source: Source,
    options: OperatorOptions,
    *,
    rng: np.random.Generator,
    run: Runner | None = None,
) -> OperatorFit:
    """Fit to coded sequences.

    A rank of "auto" is chosen from 1, 2, 3, ... 96 by the likelihood of held-out sequences, a fifth
    of the first 2^20 symbols.  Sequences without an end are cut into blocks for that.

    Parameters
    ----------
    source : int32 codes, wherever they are.
    options : what to fit.
    rng : chooses what is held out, and seeds the SVD.
    run : who counts, on which the result does not depend.

    Raises
    ------
    ValueError
        If the rank is larger than the number of substrings, nothing is known of consecutive
        symbols, or there is too little to hold any out.

    Notes
    -----
    One pass over the data, two with "auto".  All ranks are read off the same singular value
    decomposition.
    """
    run = run or SerialRunner()
    evidence: list[RankEvidence] = []
    if options.rank == "auto":
        some = beginning(run, source, _MOST_ROWS)
        evidence = _held_out(some, options, rng)
        best = max(evidence, key=lambda one: one.held_out)
        options = replace(options, rank=best.n_components)
    found = fit_counts(count(source, options, run), options, rng=rng)
    if evidence:
        return replace(found, report=replace(found.report, evidence=tuple(evidence)))
    return found


def fit_counts(
    counts: NgramCounts, options: OperatorOptions, *, rng: np.random.Generator
) -> OperatorFit:
    """Fit to counts of windows, which is all that the fit knows of the data.

    Raises
    ------
    ValueError
        If the rank is larger than the number of substrings.
    """
    assert not isinstance(options.rank, str)
    matrix = hankel(counts, options.ends, options.kind, options.n_substrings)
    model = solve(matrix, options.rank, ends=options.ends, rng=rng)
    report = OperatorReport(
        winner="moments",
        singular_values=model.singular_values,
        sigma_ratio=float(model.singular_values[model.rank - 1] / model.singular_values[0]),
        n_substrings=(len(matrix.past), len(matrix.future)),
        max_length=matrix.order // 2,
    )
    return OperatorFit(model, _negative_fraction(model, counts), report)


def _held_out(
    data: Sequences, options: OperatorOptions, rng: np.random.Generator
) -> list[RankEvidence]:
    """Held-out likelihoods of models of growing rank."""
    training, judge = hold_out(data, rng, whole=options.ends)
    counts = count(training, options, SerialRunner())
    matrix = hankel(counts, options.ends, options.kind, options.n_substrings)
    with warnings.catch_warnings():  # the largest rank may well be more than the data carry
        warnings.simplefilter("ignore", RankWarning)
        largest = solve(matrix, max(1, min(_GRID[-1], matrix.most)), ends=options.ends, rng=rng)
    n = judge.values.size
    return [
        RankEvidence(
            rank,
            filtered(largest.truncated(rank), judge.values, judge.offsets).log_likelihoods.sum()
            / n,
        )
        for rank in _GRID
        if rank <= largest.rank
    ]


def _negative_fraction(model: Operators, counts: NgramCounts) -> float:
    """Share of predictions in the windows of the data that had to be clipped.

    Windows that begin a sequence start there, others anywhere.  Of many windows as many as 2^14
    are looked at, evenly.
    """
    reached = np.cumsum(counts.counts)
    places = np.linspace(0, reached[-1] - 1, min(int(reached[-1]), _MOST_WINDOWS))
    some = np.searchsorted(reached, places, side="right")
    windows = replace(counts, codes=counts.codes[some], counts=counts.counts[some]).windows()
    inside = windows <= model.n_symbols
    begins = ~inside[:, 0]
    clipped = 0.0
    for these, start in ((begins, model.start), (~begins, model.average)):
        chosen, within = windows[these], inside[these]
        offsets = np.append(0, np.cumsum(within.sum(axis=1)))
        if offsets.size > 1:
            found = filtered(replace(model, start=start), chosen[within], offsets)
            clipped += found.negative_fraction * (offsets[-1] + offsets.size - 1)
    return float(clipped / (inside.sum() + inside.shape[0]))
