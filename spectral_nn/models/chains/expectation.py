"""E-steps of the hidden Markov model on a CPU: compiled lanes, and the exact recursion.

`spectral_nn.models.chains.expectation_on` has the lanes for other array namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.additive import tree_sum
from spectral_nn.compiled import writeable
from spectral_nn.data import Sequences
from spectral_nn.emissions import LinearEmission
from spectral_nn.models.chains.expectation_on import expect_on
from spectral_nn.models.chains.kernels import LANES, expect_batches, padded, weigh_terms
from spectral_nn.models.chains.lanes import LaneBatches
from spectral_nn.models.chains.observations import gather, look_up_rows, number, tabulate
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.recursions import expected_counts
from spectral_nn.models.chains.statistics import HMMStatistics

_NOTHING = np.zeros(0)
_STEPS_AT_ONCE = 2**9  # of which rows, squares and likelihoods stay in the third-level cache


def expect_lanes(
    parameters: HMMParameters,
    batches: LaneBatches,
    *,
    dtype: DTypeLike = np.float32,
    labelled: bool = False,
) -> HMMStatistics:
    """Expected counts of lanes under a model, by the compiled kernels.

    Lanes that are on a device are computed there, see `spectral_nn.models.chains.expectation_on`.

    Parameters
    ----------
    parameters : K states.
    batches : the lanes, of rows or of codes below d + 1 (or (d + 1)(K + 1) with labels).
    dtype : float32 or float64, the precision of the recursion; sums are always float64.
    labelled : whether observations carry labels.

    Returns
    -------
    HMMStatistics, what the lanes disagree about included.

    Notes
    -----
    6 K^2 flops a token, for K rounded up to a multiple of 4, plus 4 K for the look-ups.
    """
    if not isinstance(batches.symbols, np.ndarray):
        return expect_on(parameters, batches, dtype=dtype, labelled=labelled)
    emission: Any = parameters.emission
    recursion = _Recursion.of(parameters, batches, dtype)
    size, states = recursion.start.size, slice(parameters.n_components)
    if batches.values is not None and not labelled and hasattr(emission, "linear_terms"):
        found = _expect_linear(emission, batches, recursion, dtype)
        if found is not None:
            return recursion.statistics(parameters, batches, *found)
    table, log_scale, _ = tabulate(emission, batches.values, size, dtype=dtype, labelled=labelled)
    # A row is met once, but a symbol so often that its count needs double precision.
    emit = np.zeros(table.size, dtype=np.float64 if batches.values is None else dtype)
    every = slice(batches.own.shape[0])
    longest = int(np.diff(batches.offsets).max(initial=0))
    passes = np.empty((2, longest * size * LANES), dtype=dtype)
    log_likelihood = recursion.expect(batches, every, passes, table=table.ravel(), emit=emit)
    if log_scale is not None and batches.times is not None:
        log_likelihood += float(batches.times @ log_scale)
    gathered = gather(emission, batches.values, emit.reshape(-1, size)[:, states], labelled)
    return recursion.statistics(parameters, batches, gathered, log_likelihood)


def _expect_linear(
    emission: LinearEmission, batches: LaneBatches, recursion: _Recursion, dtype: DTypeLike
) -> tuple[Any, float] | None:
    """What the emission gathers, and the log-likelihood; None where that takes a table.

    Few steps at a time, so that what is made of their rows stays in the cache until it is gathered.
    """
    laid = batches.lay_rows(dtype)
    linear = None if laid is None else emission.linear_terms(laid.centre, laid.scale, dtype)
    if laid is None or linear is None:
        return None
    size, (q, K) = recursion.start.size, linear.weights.shape
    n_terms = padded(q)
    weights = np.zeros((n_terms, size), dtype=dtype)
    weights[:q, :K] = linear.weights
    runs, offsets = batches.runs(_STEPS_AT_ONCE), batches.offsets
    longest = max(int(offsets[run.stop] - offsets[run.start]) for run in runs)
    terms = np.empty((longest, n_terms, LANES), dtype=dtype)
    passes = np.empty((2, longest * size * LANES), dtype=dtype)
    totals, log_likelihood = np.zeros(size * n_terms), 0.0
    for run in runs:
        rows = laid.rows[offsets[run.start] : offsets[run.stop]]
        here = terms[: rows.shape[0]]
        linear.fill(rows, here)
        layout = _layout(batches, run, dtype)
        log_likelihood += weigh_terms(
            here.reshape(-1), n_terms, weights.ravel(), K, *layout, passes[1]
        )
        log_likelihood += recursion.expect(
            batches, run, passes, terms=here.reshape(-1), totals=totals
        )
    return linear.collect(totals.reshape(size, n_terms)[:K, :q]), log_likelihood


class _Recursion(NamedTuple):
    """Arrays of the compiled recursion, padded to `size` states.

    Attributes
    ----------
    entries, matrix, boundary, start, xi : of `expect_batches`.
    """

    entries: NDArray[np.floating]
    matrix: NDArray[np.floating]
    boundary: NDArray[np.floating]
    start: NDArray[np.float64]
    xi: NDArray[np.float64]

    @classmethod
    def of(cls, parameters: HMMParameters, batches: LaneBatches, dtype: DTypeLike) -> _Recursion:
        """Arrays for these lanes under a model; counts are zero."""
        K = parameters.n_components
        size = padded(K)
        matrix = np.zeros((2, size, size), dtype=dtype)
        matrix[0, :K, :K] = parameters.transmat
        matrix[1] = matrix[0].T
        entries = np.zeros((2, size, LANES), dtype=dtype)
        if not (batches.own[:, 2].astype(bool) | (batches.weight == 0)).all():
            entries[0, :K] = parameters.stationary[:, None]
        entries[1, :K] = parameters.startprob[:, None]
        n_batches = batches.own.shape[0] if batches.joined.size else 0
        boundary = np.empty((n_batches, 2, size * LANES), dtype=dtype)
        counts = np.zeros(size), np.zeros(size * size)
        return cls(entries.reshape(2, -1), matrix.reshape(2, -1), boundary, *counts)

    def expect(
        self,
        batches: LaneBatches,
        some: slice,
        passes: NDArray,
        *,
        table: NDArray | None = None,
        emit: NDArray = _NOTHING,
        terms: NDArray | None = None,
        totals: NDArray = _NOTHING,
    ) -> float:
        """Add expected counts of some batches; their log-likelihood, nats."""
        nothing, symbols = self.matrix[0, :0], writeable(batches.symbols)
        return expect_batches(
            self.entries, self.matrix, nothing if table is None else table,
            nothing if terms is None else terms, symbols,
            *_layout(batches, some, self.matrix.dtype), passes,
            self.boundary[some], self.start, self.xi, emit, totals,
        )  # fmt: skip

    def statistics(
        self, parameters: HMMParameters, batches: LaneBatches, gathered: Any, log_likelihood: float
    ) -> HMMStatistics:
        """All that was counted."""
        states, size = slice(parameters.n_components), self.start.size
        boundary = self.boundary.reshape(-1, 2, size, LANES)
        return HMMStatistics(
            self.start[states],
            self.xi.reshape(size, size)[states, states] * parameters.transmat,
            gathered,
            log_likelihood,
            _disagreement(boundary, batches.joined),
            batches.joined.shape[0],
        )


def expect_exact(
    parameters: HMMParameters, sequences: Sequences, *, labelled: bool = False
) -> HMMStatistics:
    """Expected counts of whole sequences of codes by the float64 recursion; no lanes.

    Parameters
    ----------
    parameters : K states.
    sequences : rows, or int32 codes below d + 1 (or (d + 1)(K + 1) with labels); with or without
        weights.
    labelled : whether observations carry labels.

    Returns
    -------
    HMMStatistics; an impossible sequence adds no counts and makes log_likelihood -inf.

    Notes
    -----
    8 K^2 flops a token, sequential; equal to hmmlearn's E-step to rounding.
    """
    if sequences.weight is not None:
        return _expect_weighted(parameters, sequences, labelled)
    whole = np.array([0, sequences.values.shape[0]])
    return next(expect_parts(parameters, sequences, whole, labelled=labelled))


def _expect_weighted(
    parameters: HMMParameters, sequences: Sequences, labelled: bool
) -> HMMStatistics:
    """Expected counts of sequences of one weight together, times the weight; summed."""
    assert sequences.weight is not None
    data = sequences[np.argsort(sequences.weight, kind="stable")]
    weights, first = np.unique(data.weight, return_index=True)
    ends = np.append(data.offsets[first], data.offsets[-1])
    parts = expect_parts(parameters, data, ends, labelled=labelled)
    return tree_sum(w * part for w, part in zip(weights.tolist(), parts, strict=True))


def expect_parts(
    parameters: HMMParameters,
    sequences: Sequences,
    ends: NDArray[np.int64],
    *,
    labelled: bool = False,
) -> Iterator[HMMStatistics]:
    """Expected counts of consecutive parts of the data, each given all observations.

    Parameters
    ----------
    parameters, sequences : as of `expect_exact`.
    ends : ndarray of shape (B + 1,), where parts end: rows ``ends[i]`` to ``ends[i + 1] - 1`` are
        one, none is empty. Sequences may be cut by them.
    labelled : as of `expect_exact`.

    Yields
    ------
    HMMStatistics; they add up to `expect_exact`'s. A transition is counted in the part that it ends
    in, the log-likelihood of a sequence in the part that it begins in.

    Notes
    -----
    8 K^2 flops a token, and memory n K + B K^2.
    """
    emission, index, offsets = parameters.emission, number(sequences.values), sequences.offsets
    values = sequences.values if emission.rows else None
    table, log_scale, logarithms = look_up_rows(emission, values, labelled)
    part = np.repeat(np.arange(ends.size - 1), np.diff(ends))
    trans, posterior, log_likelihood = expected_counts(
        parameters.startprob, parameters.transmat, table, index, offsets, logarithms, part
    )
    if log_scale is not None:
        log_likelihood = log_likelihood + np.add.reduceat(log_scale[:-1], offsets[:-1])
    begins = np.searchsorted(offsets[:-1], ends)
    for i, rows in enumerate(map(slice, ends[:-1], ends[1:])):
        begun = slice(begins[i], begins[i + 1])
        own = posterior[rows]
        if values is None:
            counts = [np.bincount(index[rows], weight, table.shape[0]) for weight in own.T]
            mass: NDArray[np.float64] = np.stack(counts, axis=1, dtype=np.float64)
            gathered = gather(emission, None, mass, labelled)
        else:
            mass = np.append(own, np.zeros((1, table.shape[1])), axis=0)
            gathered = gather(emission, values[rows], mass, labelled)
        start = posterior[offsets[:-1][begun]].sum(axis=0)
        yield HMMStatistics(start, trans[i], gathered, float(log_likelihood[begun].sum()))


def _layout(batches: LaneBatches, some: slice, dtype: DTypeLike) -> tuple[NDArray, ...]:
    """Offsets, own steps and weights of some batches, as kernels want them."""
    offsets = batches.offsets[some.start : some.stop + 1]
    return writeable(offsets), writeable(batches.own[some]), batches.weight[some].astype(dtype)


def _disagreement(boundary: NDArray, joined: NDArray[np.int64]) -> float:
    """Summed L1 distance between filters that end a lane and their successors' burn-in."""
    if not joined.size:
        return 0.0
    before, after = (np.divmod(joined[:, side], LANES) for side in (0, 1))
    leaving = boundary[before[0], 1, :, before[1]]
    entering = boundary[after[0], 0, :, after[1]]
    return float(np.abs(leaving - entering).sum(dtype=np.float64))
