"""Parts of data: chunks, or what makes a chunk when and where it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from spectral_nn.blas import one_blas_thread

__all__ = ["Derived", "Walk", "derived", "evaluate", "load"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Derived:
    """What a function makes of a part, when somebody asks for it; nothing is kept.

    Attributes
    ----------
    function : picklable, called with the loaded part.
    part : anything, or another `Derived`.
    """

    function: Callable[[Any], Any]
    part: Any


@dataclass(frozen=True, eq=False)
class Walk:
    """Derived parts of an iterable that is walked afresh each time; none of them is kept.

    Attributes
    ----------
    function : as in `Derived`.
    parts : iterable that can be walked again and again.
    """

    function: Callable[[Any], Any]
    parts: Iterable[Any]

    def __iter__(self) -> Iterator[Derived]:
        """Derive one part after another."""
        return (Derived(self.function, part) for part in self.parts)


def derived(function: Callable[[Any], Any], parts: Iterable[Any]) -> Sequence[Any] | Walk:
    """Put a function in front of every part: of a list at once, else as the parts are walked."""
    if isinstance(parts, list):
        return [Derived(function, part) for part in parts]
    return Walk(function, parts)


def load(part: Any) -> Any:
    """Chunk that a part stands for."""
    return part.function(load(part.part)) if isinstance(part, Derived) else part


def evaluate(function: Callable[[Any], T], part: Any) -> T:
    """Call a function with the chunk that a part stands for; BLAS has one thread meanwhile."""
    with one_blas_thread():
        return function(load(part))
