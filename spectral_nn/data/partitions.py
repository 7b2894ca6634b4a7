"""Sequences in the partitions of a dask collection: they are looked at where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from spectral_nn.data.container import Sequences, as_rows, is_list_of_sequences
from spectral_nn.data.cuts import Cut, Place, Window, whole
from spectral_nn.data.source import ELSEWHERE
from spectral_nn.runners.parts import Part
from spectral_nn.stored import is_dask

__all__ = ["Partitions", "is_partitioned"]


def is_partitioned(X: Any) -> bool:
    """Whether X is a dask.bag, a dask.delayed, or a list that has dask.delayed in it."""
    if isinstance(X, (list, tuple)):
        return any(map(is_dask, X))
    return is_dask(X) and not hasattr(X, "rechunk")


class Partitions:
    """Sequences that lie in tasks of dask, each a list of arrays, a `Sequences`, or one sequence.

    Parameters
    ----------
    parts : dask.delayed, in the order of the data.
    encode : callable, (values, place) -> values, optional
        Applied to the values of every partition where it is.
    rows : rows of each partition; None as long as nobody has looked, see `measured`.
    """

    remote = True

    def __init__(
        self,
        parts: Sequence[Any],
        encode: Callable[[Any, Place], Any] | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        self._parts, self._encode, self._rows = parts, encode, rows

    @classmethod
    def from_input(cls, X: Any) -> Partitions:
        """Read a dask.bag, one dask.delayed or a list of them.

        Raises
        ------
        ValueError
            If X is another collection of dask, or an empty one.
        """
        if isinstance(X, (list, tuple)):
            return cls(X)
        kind = type(X).__module__
        if kind.startswith("dask.delayed"):
            return cls([X])
        if kind.startswith("dask.bag"):
            return cls(X.to_delayed())
        raise ValueError(
            f"X is a {kind}.{type(X).__name__}; of dask, give a dask.array, a dask.bag of sequences"
            ", or a list of dask.delayed."
        )

    def pieces(self) -> Iterator[Sequences]:
        """Refuse: the data are not here."""
        raise ValueError(ELSEWHERE)

    def look(self, function: Callable[[Any, Place], Any]) -> list[Part]:
        """Parts that stand for ``function(values, place)``, None for an empty partition."""
        return [
            Part(part).map(partial(_look, chunk=chunk, function=function))
            for chunk, part in enumerate(self._parts)
        ]

    def measured(self, rows: Iterable[int]) -> Partitions:
        """The same with the number of rows of each partition known.

        Raises
        ------
        ValueError
            If all are empty.
        """
        known = list(rows)
        if not any(known):
            raise ValueError(f"X holds no sequences: its {len(known)} partitions are empty.")
        return Partitions(self._parts, self._encode, known)

    def coded(self, encode: Callable[[Any, Place], Any]) -> Partitions:
        """The same sequences of ``encode(values, place)``, called where they are."""
        return Partitions(self._parts, encode, self._rows)

    def parts(self, cut: Cut, make: Callable[[Any, Window], Any]) -> list[Part]:
        """Parts that stand for ``make(values, window)``; a whole partition is one window."""
        assert self._rows is not None, "partitions must be measured before they are cut"
        parts, row = [], 0
        for chunk, (part, rows) in enumerate(zip(self._parts, self._rows, strict=True)):
            if rows:
                made = partial(_make, chunk=chunk, encode=self._encode, cut=cut, make=make, row=row)
                parts.append(Part(part).map(made))
            row += rows
        return parts


def _sequences(content: Any, chunk: int) -> Sequences | None:
    """What a partition holds; None where it is empty."""
    if isinstance(content, Sequences):
        return content if len(content) else None
    if hasattr(content, "shape") and not is_list_of_sequences(content):
        content = [content]
    arrays = [as_rows(s, f"sequence {i} in chunk {chunk} of X") for i, s in enumerate(content)]
    arrays = [array for array in arrays if array.shape[0]]
    return Sequences.from_list(arrays) if arrays else None


def _look(content: Any, *, chunk: int, function: Callable[[Any, Place], Any]) -> Any:
    """What a function finds in a partition."""
    sequences = _sequences(content, chunk)
    if sequences is None:
        return None
    return function(sequences.values, Place(0, chunk, 0, sequences.offsets))


def _make(
    content: Any,
    *,
    chunk: int,
    encode: Callable[[Any, Place], Any] | None,
    cut: Cut,
    make: Callable[[Any, Window], Any],
    row: int,
) -> Any:
    """What is made of a partition."""
    sequences = _sequences(content, chunk)
    assert sequences is not None  # empty partitions are left out
    values = sequences.values
    if encode is not None:
        values = encode(values, Place(0, chunk, 0, sequences.offsets))
    window = whole(sequences.offsets, cut, row)
    return make(values[window.low : window.high], window)
