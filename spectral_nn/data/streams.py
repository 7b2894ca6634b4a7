"""Sequences that come one after another, from an iterable that is walked again in every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from spectral_nn.data.container import Sequences, as_rows
from spectral_nn.data.cuts import Cut, Place, Window
from spectral_nn.runners.parts import Walk

__all__ = ["SequenceStream"]

T = TypeVar("T")


class SequenceStream:
    """Sequences from an iterable that can be walked again and again, piece by piece.

    Parameters
    ----------
    iterable : iterable of arrays, each of shape (t,) or (t, p)
        Every `pieces` call iterates it afresh, so a generator (which can be walked once) needs
        a class with ``__iter__`` around it.  Empty arrays add nothing.
    encode : callable, (values, place) -> values, optional
        Applied to the values of every piece as it is made.
    chunk_tokens : int, default=2**18
        Least number of rows in a piece, apart from the last.  Memory is about that of one
        piece and its longest sequence.

    See Also
    --------
    Sequences : Sequences in memory.

    Examples
    --------
    >>> import numpy as np
    >>> class Days:
    ...     def __iter__(self):
    ...         for day in range(3):
    ...             yield np.full(4, day)  # read from a file, say
    >>> stream = SequenceStream(Days(), chunk_tokens=8)
    >>> [piece.lengths.tolist() for piece in stream.pieces()]
    [[4, 4], [4]]
    """

    remote = False

    def __init__(
        self,
        iterable: Iterable[Any],
        encode: Callable[[Any, Place], Any] | None = None,
        chunk_tokens: int = 2**18,
    ) -> None:
        self.iterable = iterable
        self.encode = encode
        self.chunk_tokens = chunk_tokens

    def pieces(self) -> Iterator[Sequences]:
        """Yield the data as `Sequences` of at least ``chunk_tokens`` rows (the last may be less).

        Yields
        ------
        Sequences

        Raises
        ------
        ValueError
            If the iterable yields nothing (spent generators do).
        """
        for piece, place in self._placed():
            if self.encode is None:
                yield piece
            else:
                yield Sequences(self.encode(piece.values, place), piece.offsets)

    def look(self, function: Callable[[Any, Place], T]) -> Walk:
        """``function(values, place)`` of each piece, without encoding it, in every walk.

        Parameters
        ----------
        function : callable, (values, place) -> T

        Returns
        -------
        Walk of T
        """
        return Walk(lambda: (function(piece.values, place) for piece, place in self._placed()))

    def coded(self, encode: Callable[[Any, Place], Any]) -> SequenceStream:
        """The same sequences of ``encode(values, place)``, which is called in every walk.

        Parameters
        ----------
        encode : callable, (values, place) -> values

        Returns
        -------
        SequenceStream
        """
        return SequenceStream(self.iterable, encode, self.chunk_tokens)

    def parts(self, cut: Cut, make: Callable[[Any, Window], T]) -> Walk:
        """``make(values, window)`` of each window of each piece, in every walk.

        Parameters
        ----------
        cut : Cut
            How sequences are cut into blocks, and blocks into windows.
        make : callable, (values, window) -> T

        Returns
        -------
        Walk of T
        """

        def walk() -> Iterator[T]:
            row = 0
            for piece in self.pieces():
                yield from piece.parts(cut, make, row)
                row += int(piece.offsets[-1])

        return Walk(walk)

    def _placed(self) -> Iterator[tuple[Sequences, Place]]:
        """Pieces, and where they are."""
        waiting: list[Any] = []
        rows = chunk = walked = 0

        def piece() -> tuple[Sequences, Place]:
            joined = Sequences.from_list(waiting)
            return joined, Place(0, chunk, walked - len(waiting), joined.offsets)

        for position, item in enumerate(self.iterable):
            array = as_rows(item, f"sequence {position} of X")
            if array.shape[0] == 0:
                continue
            waiting.append(array)
            walked += 1
            rows += array.shape[0]
            if rows >= self.chunk_tokens:
                yield piece()
                waiting, rows, chunk = [], 0, chunk + 1
        if waiting:
            yield piece()
        if not walked:
            raise ValueError(
                "X yielded no sequences. If it is a generator it is spent: pass a list or an "
                "object whose __iter__ starts again."
            )
