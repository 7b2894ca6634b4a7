"""Counts of the contexts of symbols: which symbols occur at which distance of which.

A table of counts for each distance says how often one symbol precedes another by so many
positions.  The edges of sequences take part as one more symbol, on both sides; what is missing
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.arrays import to_numpy
from spectral_nn.data import Cut
from spectral_nn.moments.ngrams import NgramChunk, NgramCounts, lay_out, ngram_cut, symbols_at

__all__ = ["ContextCounts", "context_cut", "contexts_of_ngrams", "count_contexts"]


@dataclass(frozen=True, eq=False)
class ContextCounts:
    """Counts of pairs of symbols at some distances; ``a + b`` counts both data sets.

    Attributes
    ----------
    n_symbols : int
        Size d of the alphabet; the number d stands for an edge of a sequence.
    pairs : dict of int to csr_array of shape (d + 1, d + 1)
        For each distance m how often symbol w (column) is m positions after symbol v (row).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> table = sparse.csr_array(np.array([[0, 2, 1], [0, 0, 2], [2, 1, 0]]))
    >>> counts = ContextCounts(2, {1: table})
    >>> counts.table((-1, 1)).toarray().tolist()
    [[0, 0, 2, 0, 2, 1], [2, 0, 1, 0, 0, 2]]
    """

    n_symbols: int
    pairs: dict[int, sparse.csr_array]

    def __add__(self, other: ContextCounts) -> ContextCounts:
        """Counts of both."""
        pairs = {m: table + other.pairs[m] for m, table in self.pairs.items()}
        return ContextCounts(self.n_symbols, pairs)

    def table(self, lags: Sequence[int]) -> sparse.csr_array:
        """Counts (d, L (d + 1)) of what is at each of L lags of every symbol, lag after lag."""
        sides = [self.pairs[lag] if lag > 0 else self.pairs[-lag].T for lag in lags]
        return sparse.hstack([side.tocsr()[: self.n_symbols] for side in sides], format="csr")


def context_cut(lags: Sequence[int]) -> Cut:
    """How data are cut into chunks whose contexts count independently."""
    return ngram_cut(1 + max(map(abs, lags)))


def count_contexts(chunk: NgramChunk, lags: Sequence[int], n_symbols: int) -> ContextCounts:
    """Count the pairs that begin in a chunk.

    Parameters
    ----------
    chunk : NgramChunk
        Codes below d + 1, cut by `context_cut`; labels (higher multiples of d + 1) are left out.
    lags : sequence of int
        Where contexts are, relative to a symbol: not 0.
    n_symbols : int
        d.

    Returns
    -------
    ContextCounts
        Of the distances of the lags.

    Notes
    -----
    O(n) time and 40 bytes a token for each distance.
    """
    values, start, stop, ends, begins = map(  # sorting is for the host, wherever the chunk is
        to_numpy, (chunk.values, chunk.start, chunk.stop, chunk.last, chunk.begins)
    )
    symbols = values % (n_symbols + 1)
    row, at = lay_out(start, stop - start)
    into, last = (at - start[row]).astype(np.int64), ends[row]
    pairs = {}
    for m in sorted({abs(lag) for lag in lags}):
        left, right = symbols[at], symbols[np.minimum(at + m, symbols.size - 1)]
        ended = at + m >= last
        fresh = begins[row] & (into < m)
        seen = (left < n_symbols) & ((right < n_symbols) | ended)
        first = symbols[at[fresh & (left < n_symbols)]]
        v = np.concatenate([left[seen], np.full(first.size, n_symbols, left.dtype)])
        w = np.concatenate([np.where(ended, n_symbols, right)[seen], first])
        pairs[m] = _tabulate(v, w, np.ones(v.size, np.int64), n_symbols)
    return ContextCounts(n_symbols, pairs)


def contexts_of_ngrams(counts: NgramCounts, lags: Sequence[int]) -> ContextCounts:
    """Contexts of the windows of n-gram counts, where these are all that is left of the data.

    Parameters
    ----------
    counts : NgramCounts
        Of windows longer than the longest lag.
    lags : sequence of int

    Returns
    -------
    ContextCounts
        Pairs at the beginning of a window, and the first symbols of sequences.  What is in the last
        two symbols of a sequence alone is not counted, nor is its end.
    """
    pairs = {}
    for m in sorted({abs(lag) for lag in lags}):
        left, right = symbols_at((0, m), counts.codes, counts.order, counts.n_symbols).T
        seen = (left < counts.n_symbols) & (right < counts.n_symbols)
        first = np.flatnonzero(counts.first)
        v = np.concatenate([left[seen], np.full(first.size, counts.n_symbols)])
        w = np.concatenate([right[seen], first])
        times = np.concatenate([counts.counts[seen], counts.first[first]])
        pairs[m] = _tabulate(v, w, times, counts.n_symbols)
    return ContextCounts(counts.n_symbols, pairs)


def _tabulate(
    rows: NDArray, columns: NDArray, times: NDArray[np.int64], n_symbols: int
) -> sparse.csr_array:
    shape = (n_symbols + 1, n_symbols + 1)
    return sparse.coo_array((times, (rows, columns)), shape=shape).tocsr()
