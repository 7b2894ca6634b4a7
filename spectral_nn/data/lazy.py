"""Long sequences in an array that is not in memory: a mapped file, zarr, h5py, a dask array.

What is needed of it is read window by window, where it is needed, and never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from spectral_nn.data.container import Sequences, offsets_of, whole_sequences
from spectral_nn.data.cuts import WINDOW, Cut, Frame, Place, Window, frames
from spectral_nn.data.source import ELSEWHERE
from spectral_nn.runners.parts import Part, Walk
from spectral_nn.stored import is_dask, portable

__all__ = ["LazySequences"]


class LazySequences:
    """Sequences whose values stay where they are until a window of them is wanted.

    Parameters
    ----------
    array : (n,), (n, p) or (m, t, p), anything with ``shape`` and ``__getitem__``
        A dask array is cut into tasks, which its cluster computes.
    lengths : array of int, shape (m,), optional
        Rows of each sequence, as in `Sequences.from_lengths`.

    Attributes
    ----------
    offsets : (m + 1,) int64, as of `Sequences`; all that is held in memory.

    Raises
    ------
    ValueError
        If the array has no rows, or `lengths` does not fit it.
    """

    def __init__(self, array: Any, lengths: Any = None) -> None:
        shape = tuple(array.shape)
        if len(shape) not in (1, 2, 3):
            raise ValueError(f"X must have 1 to 3 dimensions, got shape {shape}.")
        if any(size != size for size in shape):
            raise ValueError(
                f"X is a dask array of unknown shape {shape}: call X.compute_chunk_sizes() first."
            )
        self.array = portable(array)
        self.offsets = offsets_of(shape, lengths)
        self.encode: Callable[[Any, Place], Any] | None = None
        self.remote = is_dask(array)
        self._stride = shape[1] if len(shape) == 3 else 1  # rows of one entry of the array

    def pieces(self) -> Iterator[Sequences]:
        """Yield whole sequences of about a million rows at a time, or the longest; read here."""
        if self.remote:
            raise ValueError(ELSEWHERE)
        for frame in frames(self.offsets, Cut(int(self.offsets[-1]))):
            window = frame.window()
            assert window is not None  # nothing is left out
            begin, end, rows = self._entries(window.low, window.high)
            yield _make(
                self.array[begin:end],
                rows=rows,
                frame=frame,
                encode=self.encode,
                make=whole_sequences,
            )

    def look(self, function: Callable[[Any, Place], Any]) -> list[Part] | Walk:
        """Parts that stand for ``function(values, place)`` of a million rows each."""
        n = int(self.offsets[-1])

        def walk() -> Iterator[Part]:
            for low in range(0, n, WINDOW):
                look = partial(_look, row=low, function=function)
                yield self._part(low, min(low + WINDOW, n), look)

        return list(walk()) if self.remote else Walk(walk)

    def coded(self, encode: Callable[[Any, Place], Any]) -> LazySequences:
        """The same sequences of ``encode(values, place)``, called for each window as it is read."""
        twin = copy(self)
        twin.encode = encode
        return twin

    def parts(self, cut: Cut, make: Callable[[Any, Window], Any]) -> list[Part] | Walk:
        """Parts that stand for ``make(values, window)`` of each window."""

        def walk() -> Iterator[Part]:
            for frame in frames(self.offsets, cut):
                window = frame.window()
                if window is not None:
                    function = partial(_make, frame=frame, encode=self.encode, make=make)
                    yield self._part(window.low, window.high, function)

        return list(walk()) if self.remote else Walk(walk)

    def _entries(self, low: int, high: int) -> tuple[int, int, slice]:
        """Entries of the array that hold some rows, and where the rows are in them."""
        begin, end = low // self._stride, -(-high // self._stride)
        skipped = low - begin * self._stride
        return begin, end, slice(skipped, skipped + high - low)

    def _part(self, low: int, high: int, function: Callable[..., Any]) -> Part:
        """Part that stands for ``function(entries, rows=...)`` of some rows."""
        begin, end, rows = self._entries(low, high)
        if self.remote:
            stretch = self.array[begin:end].rechunk(-1).to_delayed(optimize_graph=False).item()
            part = Part(stretch)
        elif isinstance(self.array, np.memmap):
            part = Part(self.array[begin:end])  # not read yet; workers get the name of the file
        else:
            part = Part(self.array).map(itemgetter(slice(begin, end)))
        return part.map(partial(function, rows=rows))


def _rows(entries: Any, rows: slice) -> np.ndarray:
    """Rows in memory, of entries that are rows or whole sequences."""
    entries = np.asarray(entries)
    table = entries.reshape(-1, entries.shape[2]) if entries.ndim == 3 else entries
    return table[rows]


def _make(
    entries: Any,
    *,
    rows: slice,
    frame: Frame,
    encode: Callable[[Any, Place], Any] | None,
    make: Callable[[Any, Window], Any],
) -> Any:
    """What is made of a window."""
    window, values = frame.window(), _rows(entries, rows)
    assert window is not None  # empty ones are not sent
    return make(values if encode is None else encode(values, Place(window.low)), window)


def _look(entries: Any, *, rows: slice, row: int, function: Callable[[Any, Place], Any]) -> Any:
    """What a function finds in some rows."""
    return function(_rows(entries, rows), Place(row))
