"""Statistics that add up: the base of everything that is summed over chunks of rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

__all__ = ["Additive"]


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
