"""Counts of surroundings: every position of the data with what is around it.

The window of a position t is its `reach` predecessors, itself, and its `reach` successors.  It is
written as one integer in base ``n_symbols + 2``: digit ``n_symbols`` is a missing symbol, and digit
``n_symbols + 1`` what lies outside of the sequence, before its beginning or behind its end.  So
counts of windows know how sequences begin and end, and those of shorter substrings are sums of
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data import Cut, Window
from spectral_nn.moments.ngrams import NgramCounts, distinct_codes, lay_out

__all__ = [
    "MAX_REACH",
    "SurroundingsChunk",
    "count_surroundings",
    "reach",
    "surroundings_chunk",
    "surroundings_cut",
]

MAX_REACH = 10
_CHUNK = 2**17  # tokens counted at once: 10 MB of work space
_BITS = 63


def reach(n_symbols: int, wanted: int) -> int:
    """Longest reach, at most `wanted`, whose windows fit 63 bits.

    Raises
    ------
    ValueError
        If not even one symbol on either side does: beyond 2,097,149 symbols.
    """
    bits = np.log2(n_symbols + 2)
    if 3 * bits >= _BITS:
        raise ValueError(
            f"n_features={n_symbols} symbols are too many: three of them fit 64 bits up to "
            "2,097,149. Group rare symbols."
        )
    longest = int((_BITS / bits - 1) / 2)
    return max(1, min(wanted, longest if (2 * longest + 1) * bits < _BITS else longest - 1))


@dataclass(frozen=True, eq=False)
class SurroundingsChunk:
    """Codes of some blocks and what their windows reach into; made by `surroundings_chunk`."""

    values: NDArray[np.int32]
    first: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    last: NDArray[np.int64]
    begins: NDArray[np.bool_]  # the block begins a sequence


def surroundings_cut(reach: int, length: int = _CHUNK) -> Cut:
    """How data are cut into chunks of about `length` tokens that count independently."""
    return Cut(length, (reach, reach), length)


def surroundings_chunk(values: NDArray[np.int32], window: Window) -> SurroundingsChunk:
    """The chunk of one window of int32 codes, whose blocks `surroundings_cut` has cut."""
    blocks = window.blocks
    begins = window.begins & (blocks.first == blocks.start)
    return SurroundingsChunk(values, blocks.first, blocks.start, blocks.stop, blocks.last, begins)


def count_surroundings(
    chunk: SurroundingsChunk, reach: int, n_symbols: int, ends: bool
) -> NgramCounts:
    """Count the windows around the positions of a chunk.

    Parameters
    ----------
    chunk : codes of symbols 0 .. d - 1, d where missing.
    reach : symbols on either side.
    n_symbols : d.
    ends : whether the place behind the last symbol of a sequence is a position, too.

    Returns
    -------
    NgramCounts
        Of order ``2 * reach + 1`` and d + 1 symbols, of which the last is "missing"; what is
        outside of a sequence is a missing symbol to them.

    Notes
    -----
    O(n log n) time by sorting, O(n) where the base is small; 40 bytes a token of a chunk.
    """
    base = n_symbols + 2
    values, first, start, stop, last, begins = map(
        to_numpy, (chunk.values, chunk.first, chunk.start, chunk.stop, chunk.last, chunk.begins)
    )
    positions = stop - start
    sizes = positions + (ends & (last == stop))
    block, at = lay_out(start, sizes)
    low, high = first[block], last[block]
    codes = np.zeros(at.size, dtype=np.int64)
    for j in range(-reach, reach + 1):
        place = at + j
        inside = (place >= low) & (place < high)
        codes *= base
        codes += np.where(inside, values[np.where(inside, place, 0)], n_symbols + 1)
    own = values[at[at < stop[block]]]
    return NgramCounts(
        2 * reach + 1,
        n_symbols + 1,
        *distinct_codes(codes, base ** (2 * reach + 1)),
        np.bincount(own, minlength=base)[: n_symbols + 1],
        np.bincount(values[start[begins]], minlength=base)[: n_symbols + 1],
        int(begins.sum()),
        int(positions.sum()),
    )
