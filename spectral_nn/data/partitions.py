"""Sequences in the partitions of a dask collection: they are looked at where they are."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple, TypeVar

from spectral_nn.data.container import Sequences, as_rows, is_list_of_sequences
from spectral_nn.data.cuts import Cut, Place, Window
from spectral_nn.data.source import ELSEWHERE
from spectral_nn.stored import is_dask

__all__ = ["Partitions", "Several", "is_partitioned", "over_windows"]

T = TypeVar("T")


def is_partitioned(X: Any) -> bool:
    """Whether X is a dask.bag, a dask.delayed, or a list that has dask.delayed in it."""
    if isinstance(X, (list, tuple)):
        return any(map(is_dask, X))
    return is_dask(X) and not hasattr(X, "rechunk")


class Several(NamedTuple):
    """What is made of the windows of one partition."""

    chunks: list[Any]


def over_windows(statistic: Callable[[Any], T], chunk: Any) -> T:
    """Statistic of a chunk, summed over the windows of a partition.

    Parameters
    ----------
    statistic : chunk -> anything with ``+``.
    chunk : what was made of a window, or of all windows of a partition.
    """
    if not isinstance(chunk, Several):
        return statistic(chunk)
    return reduce(operator.add, map(statistic, chunk.chunks))


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
    lasting = True

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

    def look(self, run: Any, function: Callable[[Any, Place], Any]) -> Iterator[Any]:
        """Yield parts that stand for ``function(values, place)``, None for an empty partition."""
        for chunk, part in enumerate(self._parts):
            yield run.derive(partial(_looked, chunk=chunk, function=function), [part])[0]

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

    def parts(self, run: Any, cut: Cut, make: Callable[[Any, Window], Any]) -> Iterator[Any]:
        """Yield parts that stand for the ``make(values, window)`` of a partition, as `Several`."""
        assert self._rows is not None, "partitions must be measured before they are cut"
        row = 0
        for chunk, (part, rows) in enumerate(zip(self._parts, self._rows, strict=True)):
            if rows:
                made = partial(_made, chunk=chunk, encode=self._encode, cut=cut, make=make, row=row)
                yield run.derive(made, [part])[0]
            row += rows


def _sequences(content: Any, chunk: int) -> Sequences | None:
    """What a partition holds; None where it is empty."""
    if isinstance(content, Sequences):
        return content if len(content) else None
    if hasattr(content, "shape") and not is_list_of_sequences(content):
        content = [content]
    arrays = [as_rows(s, f"sequence {i} in chunk {chunk} of X") for i, s in enumerate(content)]
    arrays = [array for array in arrays if array.shape[0]]
    return Sequences.from_list(arrays) if arrays else None


def _looked(content: Any, *, chunk: int, function: Callable[[Any, Place], Any]) -> Any:
    """What a function finds in a partition."""
    sequences = _sequences(content, chunk)
    if sequences is None:
        return None
    return function(sequences.values, Place(0, chunk, 0, sequences.offsets))


def _made(
    content: Any,
    *,
    chunk: int,
    encode: Callable[[Any, Place], Any] | None,
    cut: Cut,
    make: Callable[[Any, Window], Any],
    row: int,
) -> Several:
    """What is made of the windows of a partition."""
    sequences = _sequences(content, chunk)
    assert sequences is not None  # empty partitions are left out
    if encode is not None:
        place = Place(0, chunk, 0, sequences.offsets)
        sequences = Sequences(encode(sequences.values, place), sequences.offsets)
    return Several(list(sequences.parts(None, cut, make, row)))
