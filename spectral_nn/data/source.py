"""What a fit asks of sequences, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from spectral_nn.data.container import Sequences
from spectral_nn.data.cuts import Cut, Place, Window

__all__ = ["ELSEWHERE", "Source"]

ELSEWHERE = (
    "X is a dask collection, whose sequences stay where they are. Call this method on its "
    "partitions, for instance bag.map_partitions(model.predict) or array.map_blocks(...)."
)
"""Why a dask collection has no pieces here."""


class Source(Protocol):
    """Sequences in memory, in a stream, in a file or on a cluster.

    What a source is made into is a list, which a runner may keep (see
    `spectral_nn.runners.base.Runner.place`), or a `Walk` of the data in every pass.  Its entries
    are chunks where the data are at hand, and otherwise parts.

    Attributes
    ----------
    remote : bool
        Whether dask holds the data, so that it has to compute.
    """

    @property
    def remote(self) -> bool:
        """Whether dask has to compute."""

    def pieces(self) -> Iterator[Sequences]:
        """Yield whole sequences, piece by piece, here."""

    def look(self, function: Callable[[Any, Place], Any]) -> Iterable[Any]:
        """Make ``function(values, place)`` of stretches of values, not encoded."""

    def coded(self, encode: Callable[[Any, Place], Any]) -> Source:
        """The same sequences of ``encode(values, place)``."""

    def parts(self, cut: Cut, make: Callable[[Any, Window], Any]) -> Iterable[Any]:
        """Make ``make(values, window)`` of every window, in order."""
