"""Gaussian rows of which some entries are missing, taken together by which ones are there.

The likelihood of such a row is the marginal one, and its sums are completed by conditional means
and covariances (Little, Rubin, *Statistical Analysis with Missing Data*, 2002, section 11.2). In
their covariances missing columns are made white and independent, so that all patterns of holes have
matrices of one size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.compiled import Compiled
from spectral_nn.emissions.gaussian import LOG_2_PI, GaussianSums

__all__ = ["Holes", "complete_sums", "find_holes", "marginals"]

_MOST_NUMBERS = 2**20  # of matrices of patterns, at a time


class Holes(NamedTuple):
    """Rows that lack some entries, but not all, and patterns of what is seen.

    Attributes
    ----------
    rows : ndarray of shape (m,)
        Their places, those of a pattern one after another.
    ends : ndarray of shape (P + 1,)
        Where the rows of a pattern begin and end among them.
    seen : ndarray of shape (P, p)
        Which columns rows of a pattern have.
    """

    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    seen: NDArray[np.bool_]

    def blocks(self, n_numbers: int) -> Iterator[Holes]:
        """Some patterns after others, of so many numbers each."""
        size = max(1, _MOST_NUMBERS // n_numbers)
        for low in range(0, len(self.seen), size):
            ends = self.ends[low : low + size + 1]
            rows = self.rows[ends[0] : ends[-1]]
            yield Holes(rows, ends - ends[0], self.seen[low : low + size])


def find_holes(x: NDArray[np.float64]) -> tuple[NDArray[np.int64] | int, Holes]:
    """Places of complete rows, or how many where all are; and the others.

    Rows of which nothing is seen are in none of them.
    """
    missing = np.isnan(x)
    nothing = np.zeros(0, dtype=np.int64)
    if not missing.any():
        return x.shape[0], Holes(nothing, np.zeros(1, dtype=np.int64), missing[:0])
    n_missing = missing.sum(axis=1)
    some = np.flatnonzero((n_missing > 0) & (n_missing < x.shape[1]))
    packed = np.packbits(missing[some], axis=1)
    _, first, number = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    number = number.ravel()
    ends = np.append(0, np.cumsum(np.bincount(number, minlength=first.size)))
    holes = Holes(some[np.argsort(number, kind="stable")], ends, ~missing[some[first]])
    return np.flatnonzero(n_missing == 0), holes


def marginals(
    u: NDArray[np.float64],
    holes: Holes,
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Log-densities (m, K) of what rows have.

    Parameters
    ----------
    u : ndarray of shape (m, p)
        Those of ``holes.rows``, NaN where missing.
    holes : Holes
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (K, p, p)

    Notes
    -----
    p^3 K flops for each pattern, and p^2 K for each row.
    """
    K, p = means.shape
    found = np.empty((u.shape[0], K))
    begin = 0
    for block in holes.blocks(K * p * p):
        precisions, log_dets = _inverses(block, covariances)
        here = slice(begin, begin + block.rows.size)
        _square(u[here], block.ends, block.seen, means, precisions, found[here])
        constant = log_dets + block.seen.sum(axis=1)[:, None] * LOG_2_PI
        found[here] += np.repeat(constant, np.diff(block.ends), axis=0)
        begin = here.stop
    return -0.5 * found


def complete_sums(
    u: NDArray[np.float64],
    mass: NDArray[np.floating],
    holes: Holes,
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
) -> GaussianSums:
    """Sums of rows, completed by what each state expects of the rest.

    Parameters
    ----------
    u : ndarray of shape (m, p)
        As of `marginals`.
    mass : ndarray of shape (m, K)
        Posteriors.
    holes, means, covariances : as of `marginals`

    Notes
    -----
    Where S is the covariance of a state and Q the inverse of its seen part, zero elsewhere, a row
    is expected at ``m + S Q (u - m)``, with the covariance ``S - S Q S``.  p^3 K flops for each
    pattern, and 2 p^2 K for each row.
    """
    K, p = means.shape
    weight, first, second = np.zeros(K), np.zeros((K, p)), np.zeros((K, p, p))
    begin = 0
    for block in holes.blocks(K * p * p):
        inverses, _ = _inverses(block, covariances)
        both = block.seen[:, None, :, None] & block.seen[:, None, None, :]
        completion = covariances @ np.where(both, inverses, 0.0)
        here = slice(begin, begin + block.rows.size)
        each = np.zeros((len(block.seen), K))
        # Rows of S Q lie one after another, as columns of it are added up.
        turned = np.ascontiguousarray(completion.swapaxes(2, 3))
        some = mass[here].astype(np.float64, copy=False)
        _add_up(u[here], block.ends, block.seen, some, means, turned, each, first, second)
        rest = covariances - completion @ covariances
        second += np.einsum("wk,wkij->kij", each, rest)
        weight += each.sum(axis=0)
        begin = here.stop
    cross = first[:, :, None] * means[:, None, :]
    about = second + cross + cross.transpose(0, 2, 1)
    about += weight[:, None, None] * means[:, :, None] * means[:, None, :]
    return GaussianSums(weight, first + weight[:, None] * means, (about + about.swapaxes(1, 2)) / 2)


def _inverses(
    holes: Holes, covariances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverses (P, K, p, p), missing columns made white, and logarithms (P, K) of determinants."""
    both = holes.seen[:, None, :, None] & holes.seen[:, None, None, :]
    factors = np.linalg.cholesky(np.where(both, covariances, np.eye(covariances.shape[-1])))
    inverse = np.linalg.inv(factors)
    log_dets = 2 * np.log(factors.diagonal(axis1=2, axis2=3)).sum(axis=2)
    return inverse.swapaxes(2, 3) @ inverse, log_dets


@Compiled
def _square(u, ends, seen, means, precisions, out):
    """Write ``d^T P d`` of each row and state, d the distance from the mean in what is seen."""
    n_components, p = means.shape
    d, moved = np.empty(p), np.empty(p)
    for w in range(seen.shape[0]):
        for i in range(ends[w], ends[w + 1]):
            for k in range(n_components):
                moved[:] = 0.0
                for j in range(p):
                    d[j] = u[i, j] - means[k, j] if seen[w, j] else 0.0
                    if seen[w, j]:
                        for c in range(p):
                            moved[c] += d[j] * precisions[w, k, j, c]
                total = 0.0
                for j in range(p):
                    total += d[j] * moved[j]
                out[i, k] = total


@Compiled
def _add_up(u, ends, seen, mass, means, completion, each, first, second):
    """Add distances of completed rows from means, their products, and the mass of patterns."""
    n_components, p = means.shape
    expected = np.empty(p)
    for w in range(seen.shape[0]):
        for i in range(ends[w], ends[w + 1]):
            for k in range(n_components):
                share = mass[i, k]
                if share == 0.0:
                    continue
                expected[:] = 0.0
                for j in range(p):
                    if seen[w, j]:
                        d = u[i, j] - means[k, j]
                        for c in range(p):
                            expected[c] += d * completion[w, k, j, c]
                each[w, k] += share
                for j in range(p):
                    weighted = share * expected[j]
                    first[k, j] += weighted
                    for c in range(p):
                        second[k, j, c] += weighted * expected[c]
