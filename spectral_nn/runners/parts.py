"""Parts of data: chunks, or what functions make of them when and where they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from spectral_nn.blas import one_blas_thread

__all__ = ["Part", "Walk", "as_part", "evaluate", "load", "mapped"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Part:
    """A chunk seen through functions, which are called where the part is loaded.

    Attributes
    ----------
    chunk : Any
        A chunk, another part, or what stands for a chunk elsewhere (a delayed object or a future of
        dask), which only the runner that has put it there can load.
    functions : tuple of callable
        Picklable; the one to call first comes first.
    """

    chunk: Any
    functions: tuple[Callable[[Any], Any], ...] = ()

    def map(self, function: Callable[[Any], Any]) -> Part:
        """See the part through one more function, and keep nothing of what it makes."""
        return Part(self.chunk, (*self.functions, function))

    def load(self) -> Any:
        """Call the functions, here."""
        return reduce(lambda made, function: function(made), self.functions, load(self.chunk))


@dataclass(frozen=True, eq=False)
class Walk:
    """Parts that are made anew in every walk; none of them is kept.

    Attributes
    ----------
    begin : callable
        Without arguments; returns an iterator of parts.
    """

    begin: Callable[[], Iterator[Any]]

    def __iter__(self) -> Iterator[Any]:
        return self.begin()


def as_part(part: Any) -> Part:
    """Return a part as it is, and a chunk as a part."""
    return part if isinstance(part, Part) else Part(part)


def load(part: Any) -> Any:
    """Return the chunk that a part stands for; a chunk stands for itself."""
    return part.load() if isinstance(part, Part) else part


def mapped(function: Callable[[Any], Any], parts: Iterable[Any]) -> list[Part] | Walk:
    """See every part through a function: a list becomes a list, any other iterable a walk."""
    if isinstance(parts, list):
        return [as_part(part).map(function) for part in parts]
    return Walk(lambda: (as_part(part).map(function) for part in parts))


def evaluate(function: Callable[[Any], T], part: Any) -> T:
    """Call a function with the chunk that a part stands for; BLAS has one thread meanwhile."""
    with one_blas_thread():
        return function(load(part))
