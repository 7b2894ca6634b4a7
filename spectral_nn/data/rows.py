"""Tables of rows: inputs, outputs and weights, and how they are cut into chunks and blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce, wraps
from operator import add
from typing import Any, NamedTuple, TypeVar

import array_api_compat
import numpy as np
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.runners.base import CHUNK_ROWS

__all__ = ["CHUNK_ROWS", "Rows", "by_blocks", "dense", "drawn", "evenly", "joined"]

T = TypeVar("T")

BLOCK_ROWS = 4096  # a block's pairs of ten features fit the second-level cache
_FOREIGN_ROWS = 4 * CHUNK_ROWS  # of arrays of other libraries, which may be on a device
_FEW_OF = 50  # times the rows to be drawn: beyond, no list of all rows is made


class Rows(NamedTuple):
    """A table.

    Attributes
    ----------
    X : array (n, d), or a CSR matrix
    Y : array (n, q)
        No columns where there are no targets.
    weight : array (n,)
    """

    X: Any
    Y: Array
    weight: Array

    @classmethod
    def of(cls, X: Any, Y: Array | None = None, weight: Array | None = None) -> Rows:
        """Put a table together, by default without targets and of weights 1."""
        if Y is None:
            like = X.data if hasattr(X, "toarray") else X
            xp = get_namespace(like)
            where = {"dtype": like.dtype, "device": array_api_compat.device(like)}
            Y = xp.empty((X.shape[0], 0), **where)
        if weight is None:
            xp = get_namespace(Y)
            where = {"dtype": Y.dtype, "device": array_api_compat.device(Y)}
            weight = xp.ones(X.shape[0], **where)
        return cls(X, Y, weight)

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.X.shape[0])

    @property
    def n_features(self) -> int:
        """D."""
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """Q."""
        return int(self.Y.shape[1])

    @property
    def like(self) -> Array:
        """An array of the library, device and precision of the table."""
        return self.Y[:0, ...]

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return float(get_namespace(self.weight).sum(self.weight))

    def chunks(self, n_rows: int = CHUNK_ROWS) -> list[Rows]:
        """Cut into tables that workers take at once: views, of 16,384 rows or more."""
        foreign = not isinstance(self.Y, np.ndarray)
        return list(self.blocks(max(n_rows, _FOREIGN_ROWS) if foreign else n_rows))

    def blocks(self, n_rows: int = BLOCK_ROWS) -> Iterator[Rows]:
        """Cut into tables of at most `n_rows` rows: views."""
        n = self.n_rows
        for begin in range(0, n, n_rows):
            yield self.cut(begin, min(begin + n_rows, n))

    def halves(self) -> tuple[Rows, Rows]:
        """Cut in the middle: two views."""
        middle = self.n_rows // 2
        return self.cut(0, middle), self.cut(middle, self.n_rows)

    def cut(self, begin: int, end: int) -> Rows:
        """Some of the rows: views."""
        part = slice(begin, end)
        X = self.X[part] if hasattr(self.X, "toarray") else self.X[part, ...]
        return Rows(X, self.Y[part, ...], self.weight[part])

    def sample(self, n_rows: int) -> Rows:
        """Take at most so many rows, evenly spread."""
        return self.take(evenly(self.n_rows, n_rows))

    def take(self, index: np.ndarray) -> Rows:
        """Take some of the rows."""
        if hasattr(self.X, "toarray") or isinstance(self.X, np.ndarray):
            X, places = self.X[index], index  # NumPy's take first copies a view, whole
        else:
            places = from_numpy(index, like=self.X)
            X = get_namespace(self.X).take(self.X, places, axis=0)
        xp = get_namespace(self.Y)
        return Rows(X, xp.take(self.Y, places, axis=0), xp.take(self.weight, places))

    def mapped(self, function: Callable[[Rows], Rows]) -> Rows:
        """What a function makes of the table, row by row."""
        return function(self)


def joined(tables: list[Rows]) -> Rows:
    """Tables on top of each other."""
    if len(tables) == 1:
        return tables[0]
    xp = get_namespace(tables[0].Y)
    Y = xp.concat([rows.Y for rows in tables])
    weight = xp.concat([rows.weight for rows in tables])
    if hasattr(tables[0].X, "toarray"):
        return Rows(sparse.vstack([rows.X for rows in tables], format="csr"), Y, weight)
    return Rows(xp.concat([rows.X for rows in tables]), Y, weight)


def evenly(n: int, n_rows: int) -> np.ndarray:
    """Indices of at most so many of n rows, evenly spread, in order."""
    return np.linspace(0, n - 1, min(n, n_rows)).astype(np.intp)


def drawn(n: int, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most so many of n rows, at random, in random order.

    Of very many rows they are drawn without a list of all.
    """
    if n > _FEW_OF * n_rows:
        return rng.choice(n, n_rows, replace=False)
    return rng.permutation(n)[:n_rows]


def by_blocks(statistic: Callable[..., T], n_rows: int = BLOCK_ROWS) -> Callable[..., T]:
    """Let a statistic of rows take NumPy's block by block, and sum.

    Parameters
    ----------
    statistic : function of `Rows`, and of what else it takes.
    n_rows : of a block, a power of two; fewer for statistics that make many numbers of each row.

    Notes
    -----
    A chunk is what a worker is sent, a block what its cache holds.  Blocks are summed by chunks of
    16,384 rows, and these in a binary tree: a chunk of two, four, eight ... times as many rows is a
    branch of the tree that smaller ones grow.  Chunks of other libraries, which may be on a device,
    are taken whole.
    """

    @wraps(statistic)
    def summed(rows: Rows, *args: Any, **kwargs: Any) -> T:
        if rows.n_rows <= n_rows or not isinstance(rows.Y, np.ndarray):
            return statistic(rows, *args, **kwargs)
        return tree_sum(
            reduce(add, (statistic(block, *args, **kwargs) for block in chunk.blocks(n_rows)))
            for chunk in rows.blocks(CHUNK_ROWS)
        )

    return summed


def dense(rows: Rows) -> tuple[Array, Any]:
    """X of a chunk as a dense array, and its namespace."""
    X = rows.X.toarray() if hasattr(rows.X, "toarray") else rows.X
    return X, get_namespace(X)
