r"""Hankel matrices over frequent substrings, from counts of surroundings.

At every position t of the data there is a past (what has been read) and a future (what is to
come).  With indicators :math:`\phi_u` (the past ends with u) and :math:`\psi_v` (the future begins
with v) of substrings u and v,

.. math:: H_{vu} = E[\psi_v(t)\, \phi_u(t)], \qquad
          (H_x)_{vu} = E[\psi_v(t + 1)\, 1(x_t = x)\, \phi_u(t)].

Entries of H are frequencies of the string uv.  Which substrings there are makes the kind:

===========  ===================================================================================
"factors"    all frequent ones, the empty one, and those at the beginning and the end of sequences
"strings"    whole pasts u and whole futures v, so that H holds the frequencies of strings uv
"symbols"    single symbols, and the beginning and end where a sequence has them:
             ``H = P21`` and ``H_x = P3x1`` of Hsu, Kakade, Zhang (2009)
===========  ===================================================================================

Rows and columns are divided by the root of their frequency: noise then has one size everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.moments.ngrams import NgramCounts

__all__ = ["KINDS", "Basis", "Hankel", "Projected", "hankel"]

KINDS = ("factors", "strings", "symbols")
_BLOCK = 2**15  # windows whose features there are at once
_PSEUDO = 50  # occurrences that every substring is taken to have more than it has


@dataclass(frozen=True, eq=False)
class Basis:
    """Substrings that describe one side of a position.

    Attributes
    ----------
    codes : for each length 0, 1, 2, ... the substrings, in the base of the windows, ascending.
    scale : (D,) value of the indicator of each, in the order of lengths and codes.
    """

    codes: list[NDArray[np.int64]]
    scale: NDArray[np.float64]

    def __len__(self) -> int:
        return self.scale.size

    def features(self, found: list[NDArray[np.int64]]) -> sparse.csr_matrix:
        """Scaled indicators (m, D) of m positions.

        Parameters
        ----------
        found : for each length the substring at each position, (m,) codes.
        """
        rows, columns, before = [], [], 0
        for codes, here in zip(self.codes, found, strict=True):
            if codes.size:
                place = np.minimum(np.searchsorted(codes, here), codes.size - 1)
                hit = np.flatnonzero(codes[place] == here)
                rows.append(hit)
                columns.append(place[hit] + before)
                before += codes.size
        row, column = (np.concatenate([np.empty(0, np.int64), *x]) for x in (rows, columns))
        shape = (found[0].size, len(self))
        return sparse.csr_matrix((self.scale[column], (row, column)), shape=shape)


class Projected(NamedTuple):
    """Moments in K dimensions, under maps W of futures and V of pasts.

    Attributes
    ----------
    operators : (d, K, K), ``W^T H_x V``.
    one, end : (K,), ``V^T E[phi]``, and of the positions where sequences end.
    start, average : (K,), ``W^T E[psi]`` at the beginnings of sequences, and anywhere.
    """

    operators: NDArray[np.float64]
    one: NDArray[np.float64]
    end: NDArray[np.float64]
    start: NDArray[np.float64]
    average: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hankel:
    """Windows whose futures are known, by their middles, and the substrings around them.

    Attributes
    ----------
    n_symbols : d.  A middle of d + 1 is the end of a sequence.
    order : symbols in a window.
    codes : (U,) windows in base d + 2.
    middle : (U,) symbol in the middle, ascending.
    weight : (U,) probabilities.
    total : how many positions there are; n_starts : how many of them begin a sequence.
    past, future : the substrings before and after.
    """

    n_symbols: int
    order: int
    codes: NDArray[np.int64]
    middle: NDArray[np.int64]
    weight: NDArray[np.float64]
    total: float
    n_starts: float
    past: Basis
    future: Basis

    @property
    def most(self) -> int:
        """Largest rank that the matrix can have."""
        return min(len(self.past), len(self.future))

    def cross_moment(self) -> sparse.csr_matrix:
        """``H``, (D_future, D_past), scaled."""
        return tree_sum(
            (self._futures(rows, 0).T @ self._pasts(rows).multiply(self._weights(rows))).tocsr()
            for rows in self._blocks()
        )

    def project(self, left: NDArray, right: NDArray) -> Projected:
        """Moments in K dimensions.

        Parameters
        ----------
        left, right : (D_future, K), (D_past, K) maps of futures and pasts.

        Returns
        -------
        Projected

        Notes
        -----
        O(U K^2) time for U windows.
        """
        d, k = self.n_symbols, left.shape[1]
        operators = np.zeros((d, k, k))
        one, end, start, average = np.zeros((4, k))
        for rows in self._blocks():
            weight = self._weights(rows)
            past = (self._pasts(rows) @ right) * weight
            now, then = (self._futures(rows, offset) @ left for offset in (0, 1))
            average += weight[:, 0] @ now
            start += (weight[:, 0] * self._begin(rows)) @ now
            one += past.sum(axis=0)
            middle = self.middle[rows]
            edges = np.flatnonzero(np.diff(middle, prepend=-1, append=-1))
            for i, j in pairwise(edges):
                if middle[i] < d:
                    operators[middle[i]] += then[i:j].T @ past[i:j]
                else:
                    end += past[i:j].sum(axis=0)
        return Projected(operators, one, end, start * (self.total / max(self.n_starts, 1)), average)

    def _blocks(self) -> Iterator[slice]:
        for begin in range(0, self.codes.size, _BLOCK):
            yield slice(begin, begin + _BLOCK)

    def _weights(self, rows: slice) -> NDArray[np.float64]:
        return self.weight[rows, None]

    def _begin(self, rows: slice) -> NDArray[np.bool_]:
        return _begin(self.codes[rows], self.order, self.n_symbols)

    def _pasts(self, rows: slice) -> sparse.csr_matrix:
        return self.past.features(_pasts(self.codes[rows], self.order, self.n_symbols))

    def _futures(self, rows: slice, offset: int) -> sparse.csr_matrix:
        found = _futures(self.codes[rows], self.order, self.n_symbols, offset)
        return self.future.features(found)


def hankel(counts: NgramCounts, ends: bool, kind: str, n_substrings: int) -> Hankel:
    """Choose the substrings, and lay out the windows.

    Parameters
    ----------
    counts : of `spectral_nn.moments.surroundings.count_surroundings`.
    ends : whether futures include the end; without, positions close to it have no future.
    kind : one of `KINDS`.
    n_substrings : of each side at most, the most frequent ones.

    Raises
    ------
    ValueError
        If no position has a known future.

    Notes
    -----
    A future that reaches over a missing symbol is not known; a past is known as far as it goes.
    Where futures of full length are known of fewer than half of all positions, substrings get
    shorter.  O(U log U) time for U windows.
    """
    d, reach = counts.n_symbols - 1, counts.order // 2
    reach = 1 if kind == "symbols" else reach
    while True:
        codes, weight = _shortened(counts, reach)
        usable = _known(codes, 2 * reach + 1, d, ends)
        if reach == 1 or 2 * weight[usable].sum() > weight.sum():
            break
        reach -= 1
    if not usable.any():
        raise ValueError(
            "X holds no two consecutive symbols that are both known. Give longer sequences"
            + ("." if ends else ", or ends=True, if X holds whole strings.")
        )
    codes, weight, order = codes[usable], weight[usable], 2 * reach + 1
    middle = _digit(codes, reach, d)
    sort = np.argsort(middle, kind="stable")
    codes, middle, weight = codes[sort], middle[sort], weight[sort].astype(np.float64)
    total = float(weight.sum())
    n_starts = float(weight[_begin(codes, order, d)].sum())
    share = weight / total
    sides = []
    for found, past in ((_pasts(codes, order, d), True), (_futures(codes, order, d, 0), False)):
        sides.append(_basis(found, share, total, d, kind, past, n_substrings))
    return Hankel(d, order, codes, middle, share, total, n_starts, *sides)


def _basis(
    found: list[NDArray[np.int64]],
    weight: NDArray[np.float64],
    n: float,
    d: int,
    kind: str,
    past: bool,
    most: int,
) -> Basis:
    """The most frequent substrings of a kind at one side."""
    codes, sizes, mass = [], [], []
    for length, here in enumerate(found):
        distinct, place = np.unique(here, return_inverse=True)
        share = np.bincount(place, weights=weight)
        kept = _belongs(distinct, length, d, kind, past)
        codes.append(distinct[kept])
        mass.append(share[kept])
        sizes.append(int(kept.sum()))
    frequency = np.concatenate(mass)
    frequent = np.zeros(frequency.size, dtype=bool)
    frequent[np.argsort(-frequency, kind="stable")[:most]] = True
    chosen = np.split(frequent, np.cumsum(sizes)[:-1])
    return Basis(
        [one[these] for one, these in zip(codes, chosen, strict=True)],
        1 / np.sqrt(frequency[frequent] + _PSEUDO / n),
    )


def _belongs(
    codes: NDArray[np.int64], length: int, d: int, kind: str, past: bool
) -> NDArray[np.bool_]:
    """Which substrings of one length belong to a kind; none that goes on outside of a sequence."""
    if length == 0:
        return np.full(codes.size, kind == "factors")
    base, outside = d + 2, d + 1
    digits = np.stack([codes // base**j % base for j in range(length)], axis=1)  # last one first
    if past:
        digits = digits[:, ::-1]
    edge = digits[:, 0] == outside  # the far end
    good = ~(digits == d).any(axis=1) & ~(digits[:, 1:] == outside).any(axis=1)
    if kind == "strings":
        return good & edge
    if kind == "symbols":
        return good & (length == 1)
    return good


def _pasts(codes: NDArray[np.int64], order: int, d: int) -> list[NDArray[np.int64]]:
    """For each length 0 .. reach the symbols before the middle."""
    reach, base = order // 2, d + 2
    before = codes // base ** (reach + 1)
    return [before % base**length for length in range(reach + 1)]


def _futures(codes: NDArray[np.int64], order: int, d: int, offset: int) -> list[NDArray[np.int64]]:
    """For each length 0 .. reach the symbols from `offset` after the middle on."""
    reach, base = order // 2, d + 2
    after = codes // base ** (1 - offset) % base**reach
    return [after // base ** (reach - length) for length in range(reach + 1)]


def _begin(codes: NDArray[np.int64], order: int, d: int) -> NDArray[np.bool_]:
    """Whether a sequence begins in the middle."""
    return _digit(codes, order // 2 + 1, d) == d + 1


def _digit(codes: NDArray[np.int64], place: int, d: int) -> NDArray[np.int64]:
    """Digit of a window, counted from its last."""
    return codes // (d + 2) ** place % (d + 2)


def _shortened(counts: NgramCounts, reach: int) -> tuple[NDArray[np.int64], NDArray]:
    """Windows of a shorter reach, not all of them distinct, and their counts."""
    base, off = counts.n_symbols + 1, counts.order // 2 - reach
    return counts.codes // base**off % base ** (2 * reach + 1), counts.counts


def _known(codes: NDArray[np.int64], order: int, d: int, ends: bool) -> NDArray[np.bool_]:
    """Whether nothing from the middle on is missing; nor, without ends, outside."""
    known = np.ones(codes.size, dtype=bool)
    for place in range(order // 2 + 1):
        digit = _digit(codes, place, d)
        known &= (digit != d) & (ends | (digit != d + 1))
    return known
