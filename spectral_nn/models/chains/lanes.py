"""The lane layout: cut long sequences into overlapping lanes and walk them side by side.

A hidden Markov model forgets where it came from, so a filter that starts `W` tokens early from
anywhere agrees with the exact one when its own tokens begin.  Cutting the data into lanes with a
*halo* of W burn-in tokens on both sides therefore turns one long sequential recursion into many
short ones, and every time step into the product of a whole batch of lanes with the transition
matrix.  The price is known, not hoped for: the end of one lane and the burn-in of the next are the
same time step, and the *lane error* is how far apart the two filters are there.

A sequence that fits into one lane is not cut and is treated exactly; so are weighted windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.compiled import Compiled, writeable
from spectral_nn.data import Blocks, Sequences, Window, blocks
from spectral_nn.emissions.gaussian import moments_of
from spectral_nn.models.chains.kernels import LANES
from spectral_nn.models.chains.observations import number

_AT_ONCE = 8  # steps of a lane, whose rows follow each other in memory
_FOR_UNITS = 2**12  # rows that say where the others are, about


class LaidRows(NamedTuple):
    """Rows of numbers with the lanes innermost, in the units of their chunk.

    Attributes
    ----------
    rows : (steps, p + 1, 32) the p columns, less `centre` and over `scale`, and a one; zeros where
        a lane has no row, or all of it is missing.
    centre, scale : (p,) mean and deviation of some of the rows.
    """

    rows: NDArray[np.floating]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True)
class LaneBatches:
    """Lanes laid out batch after batch, step after step, with the 32 lanes of a batch innermost.

    Attributes
    ----------
    symbols : (32 * sum of steps,) int32 codes, padded with the code of a missing symbol; or rows of
        `values`, padded with their number.
    offsets : (n_batches + 1,) int64, number of steps before each batch.
    own : (n_batches, 3, 32) int32: first and last own step of each lane (half open), and 1 where
        the lane starts its sequence.
    weight : (n_batches, 32) multiplicity of each lane, 0 for padding.
    joined : (n_joints, 2) slots of lanes that follow each other in one sequence.
    values : (n, p) observations that are rows of numbers; None where `symbols` are codes.
    times : (n + 1,) how often lanes own each row; None where `symbols` are codes.
    """

    symbols: NDArray[np.int32]
    offsets: NDArray[np.int64]
    own: NDArray[np.int32]
    weight: NDArray[np.float64]
    joined: NDArray[np.int64]
    values: NDArray[np.float64] | None = None
    times: NDArray[np.float64] | None = None
    _laid: dict[np.dtype, LaidRows | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def n_rows(self) -> int:
        """Positions that the lanes own."""
        return int((self.own[:, 1] - self.own[:, 0]).sum())

    def lay_rows(self, dtype: DTypeLike) -> LaidRows | None:
        """Rows with the lanes innermost; None where some entries of a row are missing.

        Also where squares of some would overflow, in units that few rows settle. They are laid out
        once, and kept: p + 1 numbers a step and lane.
        """
        key = np.dtype(dtype)
        if key not in self._laid:
            self._laid[key] = self._lay_rows(key)
        return self._laid[key]

    def _lay_rows(self, dtype: np.dtype) -> LaidRows | None:
        assert self.values is not None
        values, symbols = writeable(self.values), writeable(self.symbols)
        n, p = values.shape
        centre, variance = moments_of(values[:: max(1, n // _FOR_UNITS)])
        scale = np.sqrt(variance)
        rows = np.empty((self.offsets[-1], p + 1, LANES), dtype=dtype)
        most = np.finfo(dtype).max ** 0.25
        if _lay_out(values, symbols.reshape(-1, LANES), centre, 1 / scale, most, rows):
            return None
        return LaidRows(rows, centre, scale)

    def select(self, batches: NDArray[np.integer]) -> LaneBatches:
        """Some of the batches, in the order given; joints with lanes left behind are dropped."""
        steps = np.diff(self.offsets)[batches]
        offsets = np.concatenate([[0], np.cumsum(steps)])
        rows = np.repeat(self.offsets[batches] - offsets[:-1], steps) + np.arange(offsets[-1])
        slot = np.full(self.weight.size, -1)
        slot.reshape(-1, LANES)[batches] = np.arange(batches.size * LANES).reshape(-1, LANES)
        joined = slot[self.joined]
        chosen = LaneBatches(
            symbols=self.symbols.reshape(-1, LANES)[rows].ravel(),
            offsets=offsets,
            own=self.own[batches],
            weight=self.weight[batches],
            joined=joined[(joined >= 0).all(axis=1)],
        )
        return chosen if self.values is None else chosen._with_rows(self.values)

    def _with_rows(self, values: NDArray[np.float64]) -> LaneBatches:
        """Lanes with those of the rows that their symbols refer to, numbered anew."""
        used = np.zeros(values.shape[0] + 1, dtype=bool)
        used[self.symbols] = True
        symbols = (np.cumsum(used, dtype=np.int32) - 1)[self.symbols]
        kept = np.flatnonzero(used[:-1])
        step = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], np.diff(self.offsets))
        own = np.repeat(self.own[:, :2], np.diff(self.offsets), axis=0)
        inside = (own[:, 0] <= step[:, None]) & (step[:, None] < own[:, 1])
        weight = np.repeat(self.weight, np.diff(self.offsets), axis=0) * inside
        times = np.bincount(symbols, weight.ravel(), minlength=kept.size + 1).astype(np.float64)
        return replace(self, symbols=symbols, values=values[kept], times=times)

    def halves(self) -> tuple[LaneBatches, LaneBatches]:
        """The batches in two parts."""
        one, other = np.array_split(np.arange(self.own.shape[0]), 2)
        return self.select(one), self.select(other)

    def chunks(self, steps: int) -> list[LaneBatches]:
        """The batches in runs of about `steps` time steps, whatever machine will take them."""
        every = np.arange(self.own.shape[0])
        return [self.select(every[run]) for run in self.runs(steps)]

    def runs(self, steps: int) -> list[slice]:
        """Which batches follow each other for about `steps` time steps."""
        group = (self.offsets[1:] - 1) // steps
        ends = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1, [group.size]])
        return [slice(*pair) for pair in pairwise(ends.tolist())]


def lane_batches(
    sequences: Sequences,
    length: int,
    burn_in: int,
    pad: int,
    *,
    weight: NDArray[np.floating | np.integer] | None = None,
) -> LaneBatches:
    """Lay coded sequences out as batches of lanes.

    Parameters
    ----------
    sequences : int32 codes, m sequences.
    length : most own tokens of a lane.
    burn_in : tokens of context on both sides of a lane that a cut has made.
    pad : code of the missing symbol, of likelihood 1.
    weight : (m,) multiplicity of each sequence; None for 1.

    Returns
    -------
    LaneBatches, longest lanes first.

    Raises
    ------
    ValueError
        If `length` is below 1.

    Notes
    -----
    O(n) time and 4 (length + 2 burn_in) / length bytes a token.  Lanes of similar length share a
    batch, so padding is small whatever the lengths of the sequences.
    """
    lanes = blocks(sequences, length, (burn_in, burn_in))
    fresh = lanes.first == sequences.offsets[lanes.sequence]
    weights = np.ones(len(sequences)) if weight is None else np.asarray(weight, dtype=np.float64)
    return _laid_out(sequences.values, lanes, fresh, pad, weights[lanes.sequence])


def window_lanes(values: NDArray, window: Window, pad: int | None) -> LaneBatches:
    """Lay the blocks of a window out as batches of lanes, see `lane_batches`.

    Parameters
    ----------
    values : int32 codes of the window, or rows of numbers (n, p).
    window : blocks, with the burn-in as their halo on both sides.
    pad : code of the missing symbol, of likelihood 1; None for rows.

    Returns
    -------
    LaneBatches, longest lanes first.
    """
    weight = np.ones(window.begins.size) if window.weight is None else window.weight
    pad = values.shape[0] if pad is None else pad
    lanes = _laid_out(number(values), window.blocks, window.begins, pad, weight)
    return lanes if values.ndim == 1 else lanes._with_rows(values)


def _laid_out(
    codes: NDArray[np.int32],
    lanes: Blocks,
    fresh: NDArray[np.bool_],
    pad: int,
    weight: NDArray[np.float64],
) -> LaneBatches:
    n_lanes = lanes.first.size
    size = lanes.last - lanes.first
    order = np.argsort(-size, kind="stable")
    n_slots = -(-n_lanes // LANES) * LANES

    def by_slot(values, dtype):
        out = np.zeros(n_slots, dtype=dtype)
        out[:n_lanes] = values[order]
        return out.reshape(-1, LANES)

    sizes = by_slot(size, np.int64)
    own = (lanes.start - lanes.first, lanes.stop - lanes.first, fresh)
    slot = np.empty(n_lanes, dtype=np.int64)
    slot[order] = np.arange(n_lanes)
    joints = np.flatnonzero(np.diff(lanes.sequence) == 0)
    return LaneBatches(
        symbols=_interleave(codes, by_slot(lanes.first, np.int64), sizes, pad),
        offsets=np.concatenate([[0], np.cumsum(sizes[:, 0])]),
        own=np.stack([by_slot(values, np.int32) for values in own], axis=1),
        weight=by_slot(weight, np.float64),
        joined=np.stack([slot[joints], slot[joints + 1]], axis=1),
    )


def _interleave(codes, first, sizes, pad):
    """Codes of every lane, step after step; batches of one length are gathered at once."""
    steps = sizes[:, 0]
    offsets = np.cumsum(steps) - steps
    symbols = np.empty((steps.sum(), LANES), dtype=np.int32)
    for n_steps in np.unique(steps):
        batches = np.flatnonzero(steps == n_steps)
        t = np.arange(n_steps)[:, None]
        inside = t < sizes[batches, None, :]
        position = np.where(inside, first[batches, None, :] + t, 0)
        rows = (offsets[batches, None] + np.arange(n_steps)).ravel()
        symbols[rows] = np.where(inside, codes[position], pad).reshape(-1, LANES)
    return symbols.ravel()


@Compiled
def _lay_out(x, numbers, centre, inverse, most, out):
    """Fill `out` as `LaidRows` says; how many rows miss some entries, and entries exceed `most`."""
    n, p = x.shape
    n_lanes = numbers.shape[1]
    n_unfit = 0
    u = np.empty((_AT_ONCE, n_lanes, p), dtype=out.dtype)
    for first in range(0, numbers.shape[0], _AT_ONCE):
        n_steps = min(_AT_ONCE, numbers.shape[0] - first)
        for lane in range(n_lanes):
            for step in range(n_steps):
                i = numbers[first + step, lane]
                n_missing = p
                if i < n:
                    n_missing = 0
                    for j in range(p):
                        value = (x[i, j] - centre[j]) * inverse[j]
                        n_missing += value != value
                        n_unfit += abs(value) > most
                        u[step, lane, j] = value
                if n_missing > 0:
                    u[step, lane] = 0
                    n_unfit += n_missing < p
                out[first + step, p, lane] = n_missing == 0
        for step in range(n_steps):
            for j in range(p):
                for lane in range(n_lanes):
                    out[first + step, j, lane] = u[step, lane, j]
    return n_unfit
