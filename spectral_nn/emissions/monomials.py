"""Squares and products of rows, in a frame: what Gaussian likelihoods and sums are linear in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.compiled import Compiled

__all__ = ["farthest", "precision_for", "products", "row_blocks", "square_lanes", "squares"]

_BLOCK_BYTES = 2**18  # of monomials, which then stay in the second-level cache
_SAFE = 1e3  # largest term of a log-density of which single precision loses less than 1e-4 nats


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Rows 0 .. n - 1 in blocks of which so many monomials stay in the cache."""
    size = max(_BLOCK_BYTES // (8 * width), 64)
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))


def precision_for(means: NDArray[np.float64], inverse: NDArray[np.float64], wanted: Any) -> Any:
    """Single precision where that is wanted and safe, else double.

    Parameters
    ----------
    means : ndarray of shape (K, p)
        In the frame.
    inverse : ndarray that broadcasts to (K, p)
        Largest eigenvalue of each state's precision in the frame, or its diagonal.
    wanted : dtype
    """
    safe = np.dtype(wanted) == np.float32 and np.max((1 + means**2) * inverse) < _SAFE
    return np.float32 if safe else np.float64


def squares(
    x: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    dtype: DTypeLike = np.float64,
) -> NDArray[np.floating]:
    """Squares of ``u = (x - centre) / scale``, u itself, and ones; zeros where x is missing.

    Parameters
    ----------
    x : ndarray of shape (n, p)
        NaN where missing.
    centre, scale : ndarray of shape (p,)
    dtype : dtype
        Of the result; u is computed in double precision.

    Returns
    -------
    ndarray of shape (n, 3 p), or of shape (n, 2 p + 1) where nothing is missing
    """
    n, p = x.shape
    found = np.empty((n, 2 * p + 1), dtype=dtype)
    if not _square(np.ascontiguousarray(x), centre, 1 / scale, farthest(dtype), found):
        return found
    return np.concatenate([found[:, :-1], ~np.isnan(x)], axis=1)


def products(
    x: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    dtype: DTypeLike = np.float64,
) -> NDArray[np.floating]:
    """Products ``u_i u_j``, i <= j, of ``u = (x - centre) / scale``; then u itself, and a one.

    Parameters
    ----------
    x : ndarray of shape (n, p)
        Without missing entries.
    centre, scale : ndarray of shape (p,)
    dtype : dtype
        Of the result; u is computed in double precision.

    Returns
    -------
    ndarray of shape (n, p (p + 1) / 2 + p + 1)
    """
    n, p = x.shape
    found = np.empty((n, p * (p + 1) // 2 + p + 1), dtype=dtype)
    _multiply(np.ascontiguousarray(x), centre, 1 / scale, farthest(dtype), found)
    return found


def farthest(dtype: DTypeLike) -> float:
    """Where u is cut off: products of it, and of what weighs them, are finite numbers."""
    return float(np.finfo(dtype).max) ** 0.25


@Compiled
def square_lanes(rows, out):
    """Squares of columns, then the rows, with lanes innermost.

    Parameters
    ----------
    rows : (steps, p + 1, lanes) columns, and ones.
    out : (steps, at least 2 p + 1, lanes) to be filled; what is left with zeros.
    """
    n_steps, width, n_lanes = rows.shape
    p = width - 1
    for t in range(n_steps):
        for j in range(p):
            for lane in range(n_lanes):
                out[t, j, lane] = rows[t, j, lane] * rows[t, j, lane]
        for j in range(width):
            for lane in range(n_lanes):
                out[t, p + j, lane] = rows[t, j, lane]
        out[t, p + width :] = 0


@Compiled
def _square(x, centre, inverse, farthest, out):
    """Write squares, columns and a one; whether anything is missing, which is written as zero."""
    n, p = x.shape
    n_missing = 0
    u = np.empty(p)
    for i in range(n):
        row = out[i]
        for j in range(p):
            value = (x[i, j] - centre[j]) * inverse[j]
            n_missing += value != value
            value = value if value == value else 0.0
            u[j] = min(max(value, -farthest), farthest)
        for j in range(p):
            row[j] = u[j] * u[j]
        for j in range(p):
            row[p + j] = u[j]
        row[2 * p] = 1.0
    return n_missing > 0


@Compiled
def _multiply(x, centre, inverse, farthest, out):
    """Write products of each row, its columns and a one."""
    n, p = x.shape
    u = np.empty(p, dtype=out.dtype)
    for i in range(n):
        row = out[i]
        for j in range(p):
            u[j] = min(max((x[i, j] - centre[j]) * inverse[j], -farthest), farthest)
        at = np.uint64(0)  # an index without a sign lets the loop below use vectors
        for j in range(p):
            for k in range(p - j):
                row[at + np.uint64(k)] = u[j] * u[j + k]
            at += np.uint64(p - j)
        for j in range(p):
            row[at + np.uint64(j)] = u[j]
        row[-1] = 1.0
