"""Counts of n-grams: the sufficient statistic of a moment fit to symbol sequences.

A window of `order` consecutive symbols is written as one integer in base ``n_symbols + 1``; the
digit ``n_symbols`` is a missing symbol.  Windows start at every position that has at least three
symbols from there on (or at the first, in a shorter sequence) and are filled up with missing
symbols past the end, so that short sequences count for what they carry and the first three digits
of the windows are exactly the trigrams.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.arrays import to_numpy
from spectral_nn.data import Cut, Window

_LEAST = 3  # symbols in a window of a sequence that has as many: what third moments need
_CHUNK = 2**17  # tokens counted at once: 8 MB of work space
_MOST_WINDOWS = 2**23  # distinct windows kept: 128 MiB


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """Distinct windows with their counts; ``a + b`` counts both data sets.

    Attributes
    ----------
    order : symbols in a window.
    n_symbols : size d of the alphabet; the digit d stands for a missing symbol.
    codes : (U,) int64, windows in base d + 1, sorted.
    counts : (U,) int64.
    symbols : (d,) int64, how often each symbol occurs.
    first : (d,) int64, how often each symbol begins a sequence.
    n_sequences, n_rows : sequences and positions counted, missing ones included.
    share : share of the windows that `counts` holds, see `thinned`.
    """

    order: int
    n_symbols: int
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    symbols: NDArray[np.int64]
    first: NDArray[np.int64]
    n_sequences: int
    n_rows: int
    share: float = 1.0

    @property
    def n_tokens(self) -> int:
        """Positions that are not missing."""
        return int(self.symbols.sum())

    @property
    def frequency(self) -> NDArray[np.float64]:
        """(d,) share of each symbol, add-one smoothed."""
        return smooth_frequency(self.symbols)

    def __add__(self, other: NgramCounts) -> NgramCounts:
        """Counts of both; ValueError when the windows are of different kinds.

        Memory is bounded: beyond 2^23 distinct windows every second occurrence is let go.
        """
        if (self.order, self.n_symbols) != (other.order, other.n_symbols):
            raise ValueError(
                f"counts of {self.order}-grams of {self.n_symbols} symbols cannot be added to "
                f"{other.order}-grams of {other.n_symbols}."
            )
        share = min(self.share, other.share)
        parts = [self.thinned(share), other.thinned(share)]
        codes, counts = _merge(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )
        both = NgramCounts(
            self.order,
            self.n_symbols,
            codes,
            counts,
            self.symbols + other.symbols,
            self.first + other.first,
            self.n_sequences + other.n_sequences,
            self.n_rows + other.n_rows,
            share,
        )
        while both.codes.size > _MOST_WINDOWS:
            both = both.thinned(both.share / 2)
        return both

    def thinned(self, share: float) -> NgramCounts:
        """Counts of a uniform sample of the windows, that holds `share` of all ever counted.

        Positions are sampled, not distinct windows, which would bias all moments.  The draw
        depends on the data alone.
        """
        if share == self.share:
            return self
        rng = np.random.default_rng([self.n_rows, self.codes.size, int(self.codes.sum() % 2**32)])
        return self._recounted(rng.binomial(self.counts, share / self.share), share)

    def shortened(self, order: int) -> NgramCounts:
        """Counts of the first `order` symbols of the windows; O(U)."""
        codes = self.codes // (self.n_symbols + 1) ** (self.order - order)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        return replace(
            self,
            order=order,
            codes=codes[first],
            counts=np.add.reduceat(self.counts, first) if first.size else self.counts,
        )

    def bigrams(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """First and second symbol of the distinct pairs without a missing one, and counts."""
        pairs = self.shortened(2)
        windows = pairs.windows()
        whole = (windows < self.n_symbols).all(axis=1)
        first, second = windows[whole].T
        return first, second, pairs.counts[whole]

    def resampled(self, rng: np.random.Generator) -> NgramCounts:
        """Poisson bootstrap: the counts that another sample of the same size might have had."""
        return self._recounted(rng.poisson(self.counts), self.share)

    def _recounted(self, counts: NDArray[np.int64], share: float) -> NgramCounts:
        kept = counts > 0
        return replace(self, codes=self.codes[kept], counts=counts[kept], share=share)

    def windows(self) -> NDArray[np.int32]:
        """(U, order) symbols of the distinct windows, `n_symbols` where missing."""
        return symbols_at(range(self.order), self.codes, self.order, self.n_symbols)


def smooth_frequency(symbols: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share (d,) of each symbol by its count, add-one smoothed."""
    return (symbols + 1) / (symbols + 1).sum()


def symbols_at(
    positions: Iterable[int], codes: NDArray[np.int64], order: int, n_symbols: int
) -> NDArray[np.int32]:
    """Symbols of some windows at some positions.

    Parameters
    ----------
    positions : L of them, from 0 to ``order - 1``.
    codes : (U,) windows, as in `NgramCounts`.
    order, n_symbols : of the counts.

    Returns
    -------
    (U, L) symbols, `n_symbols` where missing.
    """
    base = n_symbols + 1
    return np.column_stack(
        [(codes // base ** (order - 1 - j) % base).astype(np.int32) for j in positions]
    )


def window_order(n_symbols: int) -> int:
    """Longest odd window whose codes fit an int64: 5 where (d + 1)^5 is below 2^63, else 3.

    Raises
    ------
    ValueError
        If not even trigrams do: beyond 2,097,151 symbols.
    """
    bits = np.log2(n_symbols + 1)
    if 3 * bits >= 63:
        raise ValueError(
            f"n_features={n_symbols} symbols are too many: trigrams fit 64 bits up to 2,097,151. "
            "Group rare symbols, to have n_features below 2097152."
        )
    return 5 if 5 * bits < 63 else 3


@dataclass(frozen=True, eq=False)
class NgramChunk:
    """Codes of some blocks and what their windows reach into; made by `ngram_chunk`."""

    values: NDArray[np.int32]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    last: NDArray[np.int64]
    begins: NDArray[np.bool_]  # the block begins a sequence


def ngram_cut(order: int, length: int = _CHUNK) -> Cut:
    """How data are cut into chunks of about `length` tokens that count independently."""
    return Cut(length, (0, order - 1), length)


def ngram_chunk(values: NDArray[np.int32], window: Window) -> NgramChunk:
    """The chunk of one window of int32 codes, whose blocks `ngram_cut` has cut."""
    blocks = window.blocks
    return NgramChunk(values, blocks.start, blocks.stop, blocks.last, window.begins)


def count_ngrams(chunk: NgramChunk, order: int, n_symbols: int) -> NgramCounts:
    """Count the windows that begin in a chunk.

    Parameters
    ----------
    chunk : codes below d + 1; labels (higher multiples of d + 1) are left out of account.
    order : symbols in a window, at least 3.
    n_symbols : d, with (d + 1)^order below 2^63.

    Notes
    -----
    O(n log n) time by sorting, O(n) where (d + 1)^order is small; 30 bytes a token of a chunk.
    """
    base = n_symbols + 1
    values, start, stop, ends, begins = map(  # sorting is for the host, wherever the chunk is
        to_numpy, (chunk.values, chunk.start, chunk.stop, chunk.last, chunk.begins)
    )
    symbols = np.append(values % base, np.full(order - 1, n_symbols))
    row, at = lay_out(start, stop - start)
    own = np.bincount(symbols[at], minlength=base)
    initial = begins[row] & (at == start[row])
    first = np.bincount(symbols[at[initial]], minlength=base)
    kept = (at + _LEAST <= ends[row]) | initial
    at, last = at[kept], ends[row[kept]]
    codes = np.zeros(at.size, dtype=np.int64)
    for j in range(order):
        codes *= base
        codes += np.where(at + j < last, symbols[at + j], n_symbols)
    return NgramCounts(
        order,
        n_symbols,
        *distinct_codes(codes, base**order),
        own[:n_symbols],
        first[:n_symbols],
        int(begins.sum()),
        int(own.sum()),
    )


def lay_out(
    start: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Block and place of every position of some blocks, which begin at `start`, one by one."""
    block = np.repeat(np.arange(sizes.size), sizes)
    return block, np.arange(block.size) + (start - (np.cumsum(sizes) - sizes))[block]


@dataclass(frozen=True, eq=False)
class SymbolCounts(Additive):
    """What there is of single symbols.

    Attributes
    ----------
    symbols, first : (d,) int64, how often each occurs, and begins a sequence.
    n_sequences, n_rows : sequences and positions, missing ones included.
    """

    symbols: NDArray[np.int64]
    first: NDArray[np.int64]
    n_sequences: int
    n_rows: int


def count_symbols(chunk: NgramChunk, n_symbols: int) -> SymbolCounts:
    """Count the symbols of a chunk; O(n).

    Parameters
    ----------
    chunk : codes, of blocks that follow each other.
    n_symbols : d.
    """
    base = n_symbols + 1
    values, begins = to_numpy(chunk.values) % base, to_numpy(chunk.begins)
    own = values[int(chunk.start[0]) : int(chunk.stop[-1])]
    return SymbolCounts(
        np.bincount(own, minlength=base)[:n_symbols],
        np.bincount(values[to_numpy(chunk.start)[begins]], minlength=base)[:n_symbols],
        int(begins.sum()),
        own.size,
    )


def count_rows(chunk: NgramChunk) -> int:
    """Number of rows of a chunk."""
    return int((to_numpy(chunk.stop) - to_numpy(chunk.start)).sum())


def distinct_codes(codes: NDArray[np.int64], n_codes: int) -> tuple[NDArray, NDArray]:
    """Distinct codes, each below `n_codes`, in order, with their counts."""
    if n_codes <= 4 * codes.size:
        dense = np.bincount(codes, minlength=n_codes)
        found = np.flatnonzero(dense)
        return found, dense[found]
    found, counts = np.unique(codes, return_counts=True)
    return found, counts


def _merge(codes: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
    """Add the counts of equal codes."""
    order = np.argsort(codes, kind="stable")
    codes, counts = codes[order], counts[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[first], np.add.reduceat(counts, first) if first.size else counts
