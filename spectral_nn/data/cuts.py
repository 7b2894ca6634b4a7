"""Cuts: sequences into blocks with context, blocks into windows of rows that are read at once.

All of it follows from the offsets of the sequences; no value is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Blocks", "Cut", "Frame", "Place", "Window", "blocks", "frames"]

WINDOW = 2**20


class Blocks(NamedTuple):
    """Blocks of rows and the windows around them; int64 arrays of one length.

    Attributes
    ----------
    sequence : the sequence that each block belongs to.
    first, last : the block with its context, ``[first, last)``, row positions.
    start, stop : the block ``[start, stop)`` itself, inside of that.
    """

    sequence: np.ndarray
    first: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Cut:
    """How data are to be cut.

    Attributes
    ----------
    length : most rows of a block.
    halo : (left, right), rows of context that a block needs but does not own.
    window : rows that are read at once, about: a block belongs to where it starts.
    chosen : picklable, (global rows at which blocks start) -> mask of those wanted; None for all.
    """

    length: int
    halo: tuple[int, int] = (0, 0)
    window: int = WINDOW
    chosen: Callable[[np.ndarray], np.ndarray] | None = None


class Window(NamedTuple):
    """Some blocks, one after another, and the rows that hold them with their context.

    Attributes
    ----------
    low, high : the rows ``[low, high)`` of the data.
    blocks : the blocks, with rows counted from `low`.
    begins : whether a block with its context begins a sequence.
    row : row of the whole data that `low` is.
    weight : how often each block counts; None for once.
    """

    low: int
    high: int
    blocks: Blocks
    begins: np.ndarray
    row: int = 0
    weight: np.ndarray | None = None


class Place(NamedTuple):
    """Where a stretch of values comes from, for the errors that it may raise.

    Attributes
    ----------
    row : row of the data (or of the chunk) at which the stretch begins.
    chunk : number of the chunk of a stream, or of the partition; None where there is only one.
    sequence : number of the first sequence of the chunk.
    offsets : of the sequences of the chunk, or of X itself; None where X is a table, whose rows
        are counted from its beginning.
    argument : "X", or "y" of labels.
    """

    row: int = 0
    chunk: int | None = None
    sequence: int = 0
    offsets: Any = None
    argument: str = "X"

    def name(self) -> str:
        """What the stretch is part of."""
        return self.argument if self.chunk is None else f"chunk {self.chunk} of {self.argument}"

    def at(self, i: int) -> str:
        """What entry i of the stretch is called."""
        if self.offsets is None:
            return f"{self.argument}[{self.row + i}]"
        within = int(np.searchsorted(self.offsets, i, side="right")) - 1
        sequence, entry = self.sequence + within, i - int(self.offsets[within])
        if self.chunk is None:
            return f"{self.argument}[{sequence}][{entry}]"
        return f"{self.argument}[{i}] of chunk {self.chunk} (entry {entry} of sequence {sequence})"


def blocks(sequences: Any, length: int, halo: tuple[int, int] = (0, 0)) -> Blocks:
    """Cut every sequence into ``ceil(len / length)`` nearly equal blocks with halos.

    A halo is context that a block needs but does not own: the rows of an n-gram that begins in
    the block, or the burn-in of a recursion.  Context never crosses the ends of a sequence.

    Parameters
    ----------
    sequences : Sequences, m sequences
    length : int, at least 1
        Upper bound of a block's rows.
    halo : (left, right), ints of at least 0
        How much further the context reaches on either side.

    Returns
    -------
    Blocks
        In the order of the rows; every row is in exactly one block.

    Raises
    ------
    ValueError
        If ``length`` is below 1.

    Notes
    -----
    O(m + number of blocks), up to a factor log m.

    Examples
    --------
    >>> from spectral_nn.data import Sequences
    >>> s = Sequences.from_lengths(np.zeros(7), [5, 2])
    >>> b = blocks(s, 3, halo=(1, 2))
    >>> b.start.tolist(), b.stop.tolist(), b.first.tolist(), b.last.tolist()
    ([0, 2, 5], [2, 5, 7], [0, 1, 5], [4, 5, 7])
    """
    before = _blocks_before(sequences.offsets, length)
    return _blocks(sequences.offsets, before, halo, 0, int(before[-1]))


@dataclass(frozen=True, eq=False)
class Frame:
    """A window that is not cut yet: light to send, whatever the number of its blocks.

    Attributes
    ----------
    offsets : of the sequences that it touches, in rows of the data.
    cut : how.
    first, last : which blocks of these sequences, half open.
    row : global row of row 0.
    """

    offsets: np.ndarray
    cut: Cut
    first: int
    last: int
    row: int

    def window(self) -> Window | None:
        """Cut it; None where no block is chosen."""
        found = self._chosen()
        return _window(found, self.offsets, self.row) if found.first.size else None

    def _chosen(self) -> Blocks:
        before = _blocks_before(self.offsets, self.cut.length)
        found = _blocks(self.offsets, before, self.cut.halo, self.first, self.last)
        if self.cut.chosen is None:
            return found
        chosen = self.cut.chosen(found.start + self.row)
        return Blocks(*(x[chosen] for x in found))


def frames(offsets: np.ndarray, cut: Cut, row: int = 0) -> Iterator[Frame]:
    """Windows of all blocks, in their order.

    Windows end where the global rows are multiples of ``cut.window``, so that they are the same
    however the data come.

    Parameters
    ----------
    offsets : of the sequences.
    cut : how.
    row : global row of row 0.

    Yields
    ------
    Frame

    Notes
    -----
    O(m) memory for m sequences, whatever the number of rows.
    """
    n, before = int(offsets[-1]), _blocks_before(offsets, cut.length)
    first = 0
    for edge in range(cut.window - row % cut.window, n + cut.window, cut.window):
        last = _block_from(offsets, before, min(edge, n))
        if last > first:
            touched = np.searchsorted(before, [first, last - 1], side="right") - 1
            low, high = int(touched[0]), int(touched[1]) + 1
            skipped = int(before[low])
            yield Frame(offsets[low : high + 1], cut, first - skipped, last - skipped, row)
        first = last


def whole(offsets: np.ndarray, cut: Cut, row: int = 0) -> Window:
    """All blocks in one window, an empty one where none is chosen; arguments as of `frames`."""
    before = _blocks_before(offsets, cut.length)
    return _window(Frame(offsets, cut, 0, int(before[-1]), row)._chosen(), offsets, row)


def _window(blocks: Blocks, offsets: np.ndarray, row: int) -> Window:
    """The window of some blocks; `row` is where the offsets begin in the whole data."""
    low, high = (int(blocks.first[0]), int(blocks.last[-1])) if blocks.first.size else (0, 0)
    begins = blocks.first == offsets[blocks.sequence]
    moved = Blocks(blocks.sequence, *(x - low for x in blocks[1:]))
    return Window(low, high, moved, begins, row + low)


def _blocks_before(offsets: np.ndarray, length: int) -> np.ndarray:
    """Number of blocks before each sequence, and in all."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    return np.concatenate([[0], np.cumsum(-(-np.diff(offsets) // length))])


def _block_from(offsets: np.ndarray, before: np.ndarray, row: int) -> int:
    """First block that starts at a row or after it."""
    s = int(np.searchsorted(offsets, row, side="right")) - 1
    if s == offsets.size - 1:
        return int(before[-1])
    begin, end, rank = int(offsets[s]), int(offsets[s + 1]), int(before[s])
    return rank - (begin - row) * (int(before[s + 1]) - rank) // (end - begin)


def _blocks(
    offsets: np.ndarray, before: np.ndarray, halo: tuple[int, int], first: int, last: int
) -> Blocks:
    """Blocks number `first` to `last`, half open."""
    index = np.arange(first, last)
    sequence = np.searchsorted(before, index, side="right") - 1
    begin, end = offsets[sequence], offsets[sequence + 1]
    rank, count = index - before[sequence], (before[1:] - before[:-1])[sequence]
    start = begin + (end - begin) * rank // count
    stop = begin + (end - begin) * (rank + 1) // count
    return Blocks(
        sequence,
        np.maximum(start - halo[0], begin),
        start,
        stop,
        np.minimum(stop + halo[1], end),
    )
