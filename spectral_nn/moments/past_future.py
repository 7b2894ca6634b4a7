"""Moments between the past, the present and the future of a symbol sequence.

A window of n-gram counts has a middle symbol, a past before it and a future after it.  Both sides
are described by one-hot features of every lag and of the nearest pair, each divided by the square
root of its frequency.  In a hidden Markov model with K states all of their cross moments have
rank K, whatever the number of features.

Features of half a million different windows would take more memory than all else in a fit, so they
are made for a block of windows at a time, and the moments are summed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.moments.ngrams import NgramCounts, symbols_at

__all__ = ["Features", "PastFuture", "Side", "past_future"]

_MOST_PAIRS = 4000
_BLOCK = 2**15  # windows whose features there are at once: 10 MB of work space


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some windows.

    Attributes
    ----------
    past, future : (m, D) sparse scaled features.
    middle : (m,) symbol between them, ascending.
    weight : (m,) probabilities of the windows.
    """

    past: sparse.csr_matrix
    future: sparse.csr_matrix
    middle: NDArray[np.int32]
    weight: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Side:
    """How one side of a window is described.

    Attributes
    ----------
    positions : of its symbols in a window, the nearest to the middle first.
    pairs : (P,) codes of the frequent pairs of the two nearest symbols, ascending.
    columns : (P,) place of each among the features of pairs.
    scale : (D,) value of each feature, those of the lags first.
    """

    positions: range
    pairs: NDArray[np.int64]
    columns: NDArray[np.int64]
    scale: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PastFuture:
    """Distinct windows in the order of their middles, and how their sides are described.

    Attributes
    ----------
    order, n_symbols : as in `NgramCounts`.
    codes : (U,) windows.
    middle : (U,) symbol in the middle, ascending.
    weight : (U,) probabilities of the windows.
    past, future : the two sides.
    """

    order: int
    n_symbols: int
    codes: NDArray[np.int64]
    middle: NDArray[np.int32]
    weight: NDArray[np.float64]
    past: Side
    future: Side

    def blocks(self) -> Iterator[Features]:
        """Features of all windows, block by block."""
        for begin in range(0, max(self.codes.size, 1), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            yield Features(
                self._features(self.past, rows),
                self._features(self.future, rows),
                self.middle[rows],
                self.weight[rows],
            )

    def cross_moment(self) -> sparse.csr_matrix:
        """``H = E[f p^T]``, (D, D)."""
        return tree_sum(
            (block.future.T @ block.past.multiply(block.weight[:, None])).tocsr()
            for block in self.blocks()
        )

    def observable_operators(self, left: NDArray, right: NDArray) -> NDArray:
        r"""``M(v) = E[1(x = v) (left^T f)(right^T p)^T]`` for every symbol v: (d, K, K).

        With ``left^T H right = I`` this is ``R diag(P(x = v | h)) R^-1`` (Hsu, Kakade, Zhang 2009,
        Lemma 3, for a whitened pair of views).

        Parameters
        ----------
        left, right : (D, K) maps of future and past into K dimensions.

        Returns
        -------
        (d, K, K) array; zero for symbols that are in the middle of no window.

        Notes
        -----
        O(U K^2) time for U windows.
        """
        operators = np.zeros((self.n_symbols, left.shape[1], right.shape[1]))
        for block in self.blocks():
            future = block.future @ left
            past = (block.past @ right) * block.weight[:, None]
            edges = np.flatnonzero(np.diff(block.middle, prepend=-1, append=-1))
            for begin, end in pairwise(edges):
                operators[block.middle[begin]] += future[begin:end].T @ past[begin:end]
        return operators

    def _features(self, side: Side, rows: slice) -> sparse.csr_matrix:
        """Scaled one-hot features of some windows on one side; a missing symbol has none."""
        d, lags = self.n_symbols, len(side.positions)
        symbols = symbols_at(side.positions, self.codes[rows], self.order, d)
        columns = symbols + d * np.arange(lags)
        present = symbols < d
        if side.pairs.size:
            pair = _pair(symbols, d)
            at = np.minimum(np.searchsorted(side.pairs, pair), side.pairs.size - 1)
            columns = np.column_stack([columns, d * lags + side.columns[at]])
            present = np.column_stack([present, side.pairs[at] == pair])
        entries = columns[present]
        begins = np.append(0, np.cumsum(present.sum(axis=1)))
        shape = (symbols.shape[0], side.scale.size)
        return sparse.csr_matrix((side.scale[entries], entries, begins), shape=shape)


def past_future(counts: NgramCounts) -> PastFuture:
    """Features of n-gram counts of odd order; windows with a missing middle are left out.

    Parameters
    ----------
    counts : U distinct windows of 3 or 5 symbols, d different ones.

    Returns
    -------
    PastFuture
        D = d features a side for trigrams; for 5 symbols 2 d and at most 4000 of pairs.

    Notes
    -----
    O(U log U) time; at most three entries a window and side.
    """
    order, d = counts.order, counts.n_symbols
    half = order // 2
    middle = symbols_at([half], counts.codes, order, d)[:, 0]
    kept = np.argsort(middle, kind="stable")[: np.count_nonzero(middle < d)]  # missing ones last
    codes, weight = counts.codes[kept], counts.counts[kept]
    weight = weight / max(weight.sum(), 1)
    n = max(counts.n_tokens, 1)
    past, future = (
        _side(positions, symbols_at(positions, codes, order, d), weight, d, n)
        for positions in (range(half - 1, -1, -1), range(half + 1, order))
    )
    return PastFuture(order, d, codes, middle[kept], weight, past, future)


def _side(
    positions: range, symbols: NDArray[np.int32], weight: NDArray[np.float64], d: int, n: int
) -> Side:
    """Scales of the features of each lag, and of the frequent pairs of the two nearest.

    A feature divided by the root of its frequency has noise of one size, so D features have noise
    of size sqrt(D / n).  Pairs are many: weighted down to half the noise of the lags they still
    add the directions that single symbols lack, and more than halve the error of the transitions
    of a planted model (K=4, d=20, n=3e4) against full weight.
    """
    frequency = [np.bincount(lag, weights=weight, minlength=d + 1)[:d] for lag in symbols.T]
    n_lags = d * len(frequency)
    if len(frequency) == 1:
        nothing = np.empty(0, dtype=np.int64)
        return Side(positions, nothing, nothing, 1 / np.sqrt(frequency[0] + 5 / n))
    codes, place = np.unique(_pair(symbols, d), return_inverse=True)
    mass = np.bincount(place, weights=weight)
    whole = codes >= 0
    codes, mass = codes[whole], mass[whole]
    frequent = np.argsort(-mass, kind="stable")[:_MOST_PAIRS]
    ascending = np.argsort(frequent)
    sizes = np.ones(n_lags + frequent.size)
    sizes[n_lags:] = min(1.0, 0.5 * np.sqrt(n_lags / max(frequent.size, 1)))
    scale = sizes / np.sqrt(np.concatenate([*frequency, mass[frequent]]) + 5 / n)
    return Side(positions, codes[frequent[ascending]], ascending, scale)


def _pair(symbols: NDArray[np.int32], n_symbols: int) -> NDArray[np.int64]:
    """Codes of the two nearest symbols, -1 where one is missing."""
    code = symbols[:, 0].astype(np.int64) * n_symbols + symbols[:, 1]
    return np.where((symbols[:, :2] < n_symbols).all(axis=1), code, -1)
