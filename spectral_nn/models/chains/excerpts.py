"""Excerpts: some blocks of data that are anywhere, gathered here.

Which blocks, is decided by where they are in the whole of the data, so that an excerpt does not
depend on how the data come: in memory, in a stream, in a file, or in the partitions of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Blocks, Cut, Sequences, Source, Window
from spectral_nn.runners.base import Runner
from spectral_nn.runners.parts import load


class Excerpt(NamedTuple):
    """Blocks with their context, each with rows of its own.

    Attributes
    ----------
    values : observations of one block after another, with their context.
    window : the blocks in `values`; those that follow each other in the data are of one sequence.
    rows : row of the data where each block starts.
    """

    values: NDArray
    window: Window
    rows: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """Rows that the blocks own."""
        return int((self.window.blocks.stop - self.window.blocks.start).sum())

    def stretches(self) -> tuple[NDArray, NDArray[np.int64]]:
        """Rows that the blocks own, one after another, and where runs of adjoining ones begin."""
        blocks = self.window.blocks
        lengths = blocks.stop - blocks.start
        first = np.cumsum(lengths) - lengths
        rows = np.arange(self.n_rows) + np.repeat(blocks.start - first, lengths)
        begins = np.diff(blocks.sequence, prepend=-1) != 0
        return self.values[rows], np.append(first[begins], self.n_rows)

    def choose(self, chosen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Excerpt:
        """Some of the blocks, by the rows where they start."""
        kept = chosen(self.rows)
        blocks = Blocks(*(x[kept] for x in self.window.blocks))
        return _gather(self.values, blocks, self.window.begins[kept], self.rows[kept])


@dataclass(frozen=True)
class Share:
    """Choose about a share of the blocks, at random: by a hash of where they start.

    Attributes
    ----------
    share : from 0 to 1.
    seed : of the hash.
    without : share of the blocks that are left out first, by another hash.
    """

    share: float
    seed: int
    without: float = 0.0

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each block, given the global row where it starts, is chosen."""
        chosen = _hashed(rows, self.seed) < self.share
        return chosen & (_hashed(rows, self.seed + 1) >= self.without) if self.without else chosen


@dataclass(frozen=True)
class Beginning:
    """Choose the first blocks.

    Attributes
    ----------
    n_rows : blocks that start below this row are chosen.
    """

    n_rows: int

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each block, given the global row where it starts, is chosen."""
        return rows < self.n_rows


def excerpt(run: Runner, source: Source, cut: Cut) -> Excerpt:
    """Gather the chosen blocks of data.

    Notes
    -----
    Reads windows that hold chosen blocks, from the first to the last of them; of `Beginning`, no
    more windows than these.
    """
    most = cut.chosen.n_rows if isinstance(cut.chosen, Beginning) else None
    found: list[Excerpt] = []
    rows = 0
    for made in run.map(load, source.parts(cut, _compact)):
        found.append(made)
        rows = sum(one.n_rows for one in found) if most is not None else 0
        if most is not None and rows >= most:
            break
    return _joined(found)


def _compact(values: NDArray, window: Window) -> Excerpt:
    """Rows of the blocks of a window alone."""
    return _gather(values, window.blocks, window.begins, window.row + window.blocks.start)


def _gather(
    values: NDArray, blocks: Blocks, begins: NDArray[np.bool_], rows: NDArray[np.int64]
) -> Excerpt:
    """Lay blocks, with their context, one after another."""
    sizes = blocks.last - blocks.first
    first = np.cumsum(sizes) - sizes
    shift = first - blocks.first
    at = np.arange(sizes.sum()) - np.repeat(shift, sizes)
    follows = (blocks.sequence[1:] == blocks.sequence[:-1]) & (blocks.start[1:] == blocks.stop[:-1])
    sequence = np.append(np.zeros(min(sizes.size, 1), np.int64), np.cumsum(~follows))
    moved = Blocks(sequence, first, blocks.start + shift, blocks.stop + shift, first + sizes)
    return Excerpt(values[at], Window(0, at.size, moved, begins), rows)


def _joined(excerpts: list[Excerpt]) -> Excerpt:
    """One excerpt of all blocks."""
    values = np.concatenate([one.values for one in excerpts])
    row = sequence = 0
    moved = []
    for one in excerpts:
        blocks = one.window.blocks
        moved.append(Blocks(blocks.sequence + sequence, *(x + row for x in blocks[1:])))
        row += one.values.shape[0]
        sequence += int(blocks.sequence.max(initial=-1)) + 1
    together = Blocks(*(np.concatenate(column) for column in zip(*moved, strict=True)))
    begins = np.concatenate([one.window.begins for one in excerpts])
    rows = np.concatenate([one.rows for one in excerpts])
    return Excerpt(values, Window(0, values.shape[0], together, begins), rows)


def _hashed(rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that look random (splitmix64: Steele, Lea, Flood 2014, figure 15)."""
    z = (rows.astype(np.uint64) + np.uint64(seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) * 2.0**-64


def beginning(run: Runner, source: Source, n_rows: int) -> Sequences:
    """The first sequences of some data, in memory here; the last is cut off at `n_rows` rows."""
    values, window, _ = excerpt(run, source, Cut(n_rows, chosen=Beginning(n_rows)))
    begins = window.blocks.start[window.begins]
    n = min(values.shape[0], n_rows)
    return Sequences(values[:n], np.append(begins[begins < n], n))
