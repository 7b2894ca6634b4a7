"""Moments between wide windows: past and future are the mean one-hots of many symbols.

Where hidden states last for tens of symbols, a symbol or two of past and future say little of the
state, and the frequencies in a window of ten or thirty say much. In a hidden Markov model the
moments of such windows have rank K as those of single symbols do, and are those of another past and
future of the same chain, so the same algebra reads the emissions off them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.compiled import Compiled

__all__ = ["WideWindows", "wide_windows"]


@dataclass(frozen=True, eq=False)
class WideWindows:
    """Symbols of some stretches, one after another, and the windows around them.

    Attributes
    ----------
    codes : (n,) int32, `n_symbols` where missing.
    kept : (n,) bool, positions with a symbol and a whole window of their stretch on both sides.
    width : symbols in a window.
    scale : (d,) value of each symbol in a window, times `width`.
    """

    codes: NDArray[np.int32]
    kept: NDArray[np.bool_]
    width: int
    scale: NDArray[np.float64]

    @property
    def n_symbols(self) -> int:
        """Size d of the alphabet."""
        return self.scale.size

    @property
    def n_kept(self) -> int:
        """Positions that moments are the means over."""
        return int(self.kept.sum())

    def cross_moment(self) -> NDArray[np.float64]:
        """``H = E[f p^T]``, (d, d), over the kept positions.

        Notes
        -----
        A pair of symbols at s and s + lag counts for every kept position that has s in its past and
        s + lag in its future; prefix sums of the kept ones say how many. O(n w), whatever d is.
        """
        before = np.append(0, np.cumsum(self.kept))
        counts = np.zeros((self.n_symbols + 1, self.n_symbols + 1))
        _add_pairs(self.codes, before, self.width, counts)
        moment = counts[:-1, :-1] / (self.width**2 * max(self.n_kept, 1))
        return moment * self.scale[:, None] * self.scale

    def observable_operators(self, left: NDArray, right: NDArray) -> NDArray:
        """``M(v) = E[1(x = v) (left^T f)(right^T p)^T]`` for every symbol v: (d, K, K).

        Parameters
        ----------
        left, right : (D, K) maps of future and past into K dimensions.

        Returns
        -------
        (d, K, K) array; zero for symbols that are at no kept position.

        Notes
        -----
        O(n K^2): sums over windows move on by a symbol at a time.
        """
        n_components = left.shape[1]
        maps = np.zeros((2, self.n_symbols + 1, n_components))  # a missing symbol is nothing
        maps[:, :-1] = np.stack([left, right]) * (self.scale / self.width)[:, None]
        operators = np.zeros((self.n_symbols, n_components, n_components))
        _add_products(self.codes, self.kept, self.width, maps[0], maps[1], operators)
        return operators / max(self.n_kept, 1)


def wide_windows(
    codes: NDArray[np.int32], offsets: NDArray[np.int64], n_symbols: int, width: int
) -> WideWindows:
    """Windows of some stretches; they never reach from one into another.

    Parameters
    ----------
    codes : (n,) symbols of one stretch after another, `n_symbols` where missing.
    offsets : (m + 1,) where the stretches begin, and where the last ends.
    n_symbols : d.
    width : symbols in a window, at least 1.

    Returns
    -------
    WideWindows
        With features divided by the root of the frequencies of the symbols. No position is kept
        where all stretches are shorter than ``2 width + 1``.
    """
    lengths = np.diff(offsets)
    place = np.arange(codes.size) - np.repeat(offsets[:-1], lengths)
    whole = (place >= width) & (place < np.repeat(lengths, lengths) - width)
    seen = np.bincount(codes, minlength=n_symbols + 1)[:n_symbols]
    n = max(int(seen.sum()), 1)
    return WideWindows(
        np.ascontiguousarray(codes, dtype=np.int32),
        whole & (codes < n_symbols),
        width,
        1 / np.sqrt(seen / n + 5 / n),
    )


@Compiled
def _add_pairs(codes, before, width, counts):
    """Add to `counts` (d + 1, d + 1) how often each symbol is in the future of each in the past.

    `before` (n + 1,) counts the kept positions before each.
    """
    n = codes.size
    for lag in range(2, 2 * width + 1):
        first, stop = max(1, lag - width), min(width + 1, lag)  # positions between, from s on
        for s in range(n - lag):
            counts[codes[s + lag], codes[s]] += before[s + stop] - before[s + first]


@Compiled
def _add_products(codes, kept, width, left, right, operators):
    """Add future times past of the kept positions to the operator of their symbol."""
    n_components = left.shape[1]
    future = np.zeros(n_components)
    past = np.zeros(n_components)
    for s in range(min(width, codes.size)):
        for k in range(n_components):
            past[k] += right[codes[s], k]
    for s in range(width, min(2 * width, codes.size)):
        for k in range(n_components):
            future[k] += left[codes[s], k]
    for t in range(width, codes.size - width):  # all that windows fit around, whatever is in them
        here, enters, leaves = codes[t], codes[t + width], codes[t - width]
        for k in range(n_components):
            future[k] += left[enters, k] - left[here, k]
        if kept[t]:
            for i in range(n_components):
                for j in range(n_components):
                    operators[here, i, j] += future[i] * past[j]
        for k in range(n_components):
            past[k] += right[here, k] - right[leaves, k]
