"""Moments between the past, the present and the future of a symbol sequence.

A window of n-gram counts has a middle symbol, a past before it and a future after it.  Both sides
are described by one-hot features of every lag and of the nearest pair, each divided by the square
root of its frequency.  In a hidden Markov model with K states all of their cross moments have
rank K, whatever the number of features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.moments.ngrams import NgramCounts

_MOST_PAIRS = 4000


@dataclass(frozen=True, eq=False)
class PastFuture:
    """Features of distinct windows.

    Attributes
    ----------
    past, future : (U, D) sparse scaled features.
    middle : (U,) symbol between them.
    weight : (U,) probabilities of the windows.
    """

    past: sparse.csr_matrix
    future: sparse.csr_matrix
    middle: NDArray[np.int32]
    weight: NDArray[np.float64]

    def cross_moment(self) -> sparse.csr_matrix:
        """``H = E[f p^T]``, (D, D)."""
        return (self.future.T @ self.past.multiply(self.weight[:, None])).tocsr()

    def observable_operators(self, left: NDArray, right: NDArray, n_symbols: int) -> NDArray:
        r"""``M(v) = E[1(x = v) (left^T f)(right^T p)^T]`` for every symbol v: (d, K, K).

        With ``left^T H right = I`` this is ``R diag(P(x = v | h)) R^-1`` (Hsu, Kakade, Zhang 2009,
        Lemma 3, for a whitened pair of views).

        Parameters
        ----------
        left, right : (D, K) maps of future and past into K dimensions.
        n_symbols : d.

        Returns
        -------
        (d, K, K) array; zero for symbols that are in the middle of no window.

        Notes
        -----
        O(U K^2) time for U windows.
        """
        future = self.future @ left
        past = (self.past @ right) * self.weight[:, None]
        order = np.argsort(self.middle, kind="stable")
        edges = np.searchsorted(self.middle[order], np.arange(n_symbols + 1))
        operators = np.zeros((n_symbols, left.shape[1], right.shape[1]))
        for v in range(n_symbols):
            rows = order[edges[v] : edges[v + 1]]
            operators[v] = future[rows].T @ past[rows]
        return operators


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
    windows = counts.windows()
    side = counts.order // 2
    kept = windows[:, side] < counts.n_symbols
    windows, weight = windows[kept], counts.counts[kept] / max(counts.counts[kept].sum(), 1)
    n = max(counts.n_tokens, 1)
    return PastFuture(
        past=_features(windows[:, side - 1 :: -1], weight, counts.n_symbols, n),
        future=_features(windows[:, side + 1 :], weight, counts.n_symbols, n),
        middle=windows[:, side],
        weight=weight,
    )


def _features(
    symbols: NDArray[np.int32], weight: NDArray[np.float64], n_symbols: int, n: int
) -> sparse.csr_matrix:
    """Scaled one-hot features of each lag, and of the frequent pairs of the two nearest.

    A feature divided by the root of its frequency has noise of one size, so D features have noise
    of size sqrt(D / n).  Pairs are many: weighted down to half the noise of the lags they still
    add the directions that single symbols lack, and more than halve the error of the transitions
    of a planted model (K=4, d=20, n=3e4) against full weight.
    """
    parts = [_one_hot(column, column < n_symbols, n_symbols) for column in symbols.T]
    sizes = np.ones(n_symbols * len(parts))
    if symbols.shape[1] > 1:
        pair = symbols[:, 0].astype(np.int64) * n_symbols + symbols[:, 1]
        whole = (symbols[:, :2] < n_symbols).all(axis=1)
        codes, column = np.unique(np.where(whole, pair, -1), return_inverse=True)
        mass = np.bincount(column, weights=weight * whole)
        rank = np.empty(codes.size, dtype=np.int64)
        rank[np.argsort(-mass, kind="stable")] = np.arange(codes.size)
        frequent = whole & (rank[column] < _MOST_PAIRS)
        n_pairs = min(codes.size, _MOST_PAIRS)
        parts.append(_one_hot(rank[column], frequent, n_pairs))
        sizes = np.append(
            sizes, np.full(n_pairs, min(1.0, 0.5 * np.sqrt(sizes.size / max(n_pairs, 1))))
        )
    features = sparse.hstack(parts, format="csr")
    frequency = features.T @ weight
    return features @ sparse.diags_array(sizes / np.sqrt(frequency + 5 / n))


def _one_hot(column: NDArray, present: NDArray, width: int) -> sparse.csr_matrix:
    rows = np.flatnonzero(present)
    entries = (np.ones(rows.size), (rows, column[rows]))
    return sparse.csr_matrix(entries, shape=(column.size, width))
