"""Tables whose rows are elsewhere: in files, on a cluster, on a device, or made as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from operator import methodcaller
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array
from spectral_nn.data.rows import Rows, evenly, joined
from spectral_nn.runners.base import Runner
from spectral_nn.runners.parts import as_part, load, mapped

__all__ = ["ChunkedRows", "Table", "placed"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ChunkedRows:
    """A table in chunks that a runner can load, with the methods of `Rows`.

    Attributes
    ----------
    run : the runner that has made the parts.
    parts : chunks, each a `Rows` where it is loaded; where sums over them are computed.
    sizes : rows of each.
    n_features, n_outputs : d and q.
    total_weight : sum of the weights of all rows.
    like : an array (0, q) of the library, device and precision that results belong to.
    source : parts that rows are taken from, one by one; None for `parts`.
    sums : sums over all rows that are known already, by their statistic.
    """

    run: Runner
    parts: Iterable[Any]
    sizes: NDArray[np.int64]
    n_features: int
    n_outputs: int
    total_weight: float
    like: Array
    source: Iterable[Any] | None = None
    sums: dict[Callable[[Rows], Any], Any] = field(default_factory=dict, repr=False)

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.sizes.sum())

    def chunks(self) -> Iterable[Any]:
        """Parts, as they were cut."""
        return self.parts

    def total_once(self, statistic: Callable[[Rows], T]) -> T:
        """Sum over all rows, for which they are walked once, however often it is asked for."""
        if statistic not in self.sums:
            self.sums[statistic] = self.run.total(statistic, self.parts)
        return self.sums[statistic]

    def sample(self, n_rows: int) -> Rows:
        """Take at most so many rows, evenly spread."""
        return self.take(evenly(self.n_rows, n_rows))

    def take(self, index: np.ndarray) -> Rows:
        """Take some of the rows, in the order of the index; one walk over the chunks they are in.

        Only the rows asked for leave their chunk.
        """
        ends = np.cumsum(self.sizes)
        order = np.argsort(index, kind="stable")
        chunk = np.searchsorted(ends, index[order], side="right")
        wanted, counts = np.unique(chunk, return_counts=True)
        local = np.split(index[order] - (ends - self.sizes)[chunk], np.cumsum(counts)[:-1])
        places = dict(zip(wanted.tolist(), local, strict=True))
        chosen = (
            as_part(part).map(methodcaller("take", places[position]))
            for position, part in enumerate(self.parts if self.source is None else self.source)
            if position in places
        )
        found = joined(list(self.run.map(load, chosen)))
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        return found.take(back)

    def mapped(self, function: Callable[[Rows], Rows]) -> ChunkedRows:
        """Table that a function makes of this one, chunk by chunk, whenever it is walked."""
        source = None if self.source is None else mapped(function, self.source)
        return replace(self, parts=mapped(function, self.parts), source=source, sums={})


Table: TypeAlias = Rows | ChunkedRows


def placed(rows: Rows, run: Runner) -> Table:
    """The table where a runner computes: itself for this process and its threads.

    Notes
    -----
    Otherwise its chunks are sent once, to files for processes, to a cluster, or to a device, and
    single rows are still taken from the table here.
    """
    chunks = rows.chunks(run.chunk_rows)
    parts = run.place(chunks)
    if parts is chunks:
        return rows
    sizes = np.array([chunk.n_rows for chunk in chunks], dtype=np.int64)
    return ChunkedRows(
        run, parts, sizes, rows.n_features, rows.n_outputs, rows.total_weight, rows.like, chunks
    )
