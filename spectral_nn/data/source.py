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

    A *part* stands for what a function has made or will make, here or elsewhere: what a runner
    derives (see `spectral_nn.runners.base`), or the thing itself where it is made at once.

    Attributes
    ----------
    remote : whether its parts are dask's, so that dask has to compute.
    lasting : whether parts are worth keeping between passes, in memory here or in a cluster.
    """

    @property
    def remote(self) -> bool:
        """Whether dask has to compute."""

    @property
    def lasting(self) -> bool:
        """Whether parts are worth keeping."""

    def pieces(self) -> Iterator[Sequences]:
        """Yield whole sequences, piece by piece, here."""

    def look(self, run: Any, function: Callable[[Any, Place], Any]) -> Iterable[Any]:
        """Yield parts that stand for ``function(values, place)`` of stretches of values."""

    def coded(self, encode: Callable[[Any, Place], Any]) -> Source:
        """The same sequences of ``encode(values, place)``."""

    def parts(self, run: Any, cut: Cut, make: Callable[[Any, Window], Any]) -> Iterable[Any]:
        """Yield parts that stand for ``make(values, window)`` of every window, in order."""
