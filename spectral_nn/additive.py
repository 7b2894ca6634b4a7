"""Statistics that add up, and the tree they are summed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Generic, Self, TypeVar

__all__ = ["Additive", "Grouped", "tree_sum"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Additive:
    """Statistics of a chunk, all of whose fields are sums over its rows.

    Notes
    -----
    Fields are arrays (or numbers) whose shape does not depend on the number of rows, so that
    ``a + b`` holds the statistics of both chunks in the memory of one.
    """

    def __add__(self, other: Self) -> Self:
        return type(self)(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    def __rmul__(self, weight: float) -> Self:
        """Statistics of a chunk that counts `weight` times."""
        return type(self)(*(weight * getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Grouped(Generic[T]):
    """Sums of groups of rows; ``a + b`` adds group by group."""

    groups: tuple[T, ...]

    def __add__(self, other: Self) -> Self:
        pairs: Any = zip(self.groups, other.groups, strict=True)
        return type(self)(tuple(one + more for one, more in pairs))


def tree_sum(results: Iterable[T]) -> T:
    """Sum in a binary tree, neighbours first: ``((a + b) + (c + d)) + (e + f)``.

    Parameters
    ----------
    results : at least one, of anything with ``+``; walked once.

    Notes
    -----
    Memory is that of log2 of their number.  The tree depends on the number alone, so whoever
    computes parts of it, here or on a cluster, makes the same additions: equal to the last bit.
    """
    waiting: list[tuple[int, Any]] = []  # sums of 2^level neighbours, higher levels first
    for summed in results:
        level, whole = 0, summed
        while waiting and waiting[-1][0] == level:
            whole = waiting.pop()[1] + whole
            level += 1
        waiting.append((level, whole))
    _, whole = waiting.pop()
    while waiting:
        whole = waiting.pop()[1] + whole
    return whole
