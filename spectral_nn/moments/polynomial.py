"""Moments of outputs with polynomials of whitened inputs, order by order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations_with_replacement
from typing import Any, Self

import numpy as np

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.moments.frame import Frame

__all__ = [
    "HighMoments",
    "NormalEquations",
    "high_moments",
    "linear_moments",
    "low_features",
    "low_moments",
    "monomial_index",
    "monomials",
    "n_fourth_moments",
    "slice_moments",
    "tube_moments",
]

_BAND = 4  # inputs whose pairs make one product of matrices
_by_small_blocks = partial(by_blocks, n_rows=1024)  # pairs of thirty features fit a cache, too


def monomials(Z: Array, order: int) -> Array:
    """Products of `order` columns, ``z_i z_j ...`` of all ``i <= j <= ...``, in lexical order.

    Parameters
    ----------
    Z : (n, K)
    order : at least 1.

    Returns
    -------
    (n, C) array, ``C = K (K + 1) ... (K + order - 1) / order!``.
    """
    return Z if order == 1 else _multiply_rows(_rows_of(Z), order).T


def _rows_of(Z: Array) -> Array:
    """Columns as rows, each in one piece, which makes products of them fast: (K, n)."""
    return get_namespace(Z).stack([Z[:, i] for i in range(Z.shape[1])])


def _multiply_rows(z: Array, order: int) -> Array:
    """Monomials of rows (K, n): (C, n)."""
    if order == 1:
        return z
    xp = get_namespace(z)
    products = [z[i, :] * _multiply_rows(z[i:, :], order - 1) for i in range(z.shape[0])]
    return xp.concat(products)


def monomial_index(K: int, order: int) -> np.ndarray:
    """Where the product (i, j, ...) stands among `monomials`: (K, ..., K), symmetric."""
    places = K ** np.arange(order)[::-1]
    among = np.array(list(combinations_with_replacement(range(K), order))) @ places
    axes = np.indices((K,) * order).reshape(order, -1)
    return np.searchsorted(among, places @ np.sort(axes, axis=0)).reshape((K,) * order)


@by_blocks
def linear_moments(rows: Rows, frame: Frame) -> Array:
    """Sum of z y^T of a chunk, (d', S); O(n d'^2)."""
    Z, Y, w, _ = _seen(rows, frame)
    return Z.T @ (w[:, None] * Y)


@by_blocks
def slice_moments(rows: Rows, frame: Frame, slopes: np.ndarray, along: np.ndarray) -> Array:
    r"""Two slices an output of the moments of order 2 and 3 of linear residuals r of a chunk.

    Parameters
    ----------
    rows : table.
    frame : centres it; its whitener is left to the caller, ``W.T @ M @ W``.
    slopes : (d0, S) of the linear regression that is taken off.
    along : (d0, S) directions b.

    Returns
    -------
    (2 S, d0, d0) array, sums of :math:`r_s x x^T`, then of :math:`r_s (b_s^T x) x x^T`, x centred.

    Notes
    -----
    O(n d0^2 S).
    """
    x, Y, w, xp = _centred(rows, frame)
    residual = (Y - x @ from_numpy(slopes, like=x)) * w[:, None]
    tilted = residual * (x @ from_numpy(along, like=x))
    factors = xp.concat([residual, tilted], axis=1)
    return xp.stack([(x * factors[:, s : s + 1]).T @ x for s in range(factors.shape[1])])


@_by_small_blocks
def tube_moments(rows: Rows, frame: Frame, slopes: np.ndarray, basis: np.ndarray) -> Array:
    r"""Third moments of a chunk, two of whose modes are seen in a basis (d0, K).

    Returns
    -------
    (d0, S P) array, sums of :math:`r_s\, x \otimes \mathrm{monomials}(B^T x, 2)`, x centred.

    Notes
    -----
    O(n d0 S K^2 / 2).
    """
    x, Y, w, xp = _centred(rows, frame)
    residual = (Y - x @ from_numpy(slopes, like=x)) * w[:, None]
    products = monomials(x @ from_numpy(basis, like=x), 2)
    tubes = [x.T @ (products * residual[:, s : s + 1]) for s in range(residual.shape[1])]
    return xp.concat(tubes, axis=1)


@dataclass(frozen=True, eq=False)
class NormalEquations(Additive):
    """``gram`` (F, F) of features and ``cross`` (F, S) with outputs, of a regression on them."""

    gram: Array
    cross: Array

    @classmethod
    def of(cls, features: Array, Y: Array, weight: Array) -> Self:
        """Sum over rows: features (n, F), outputs (n, S), weights (n,)."""
        weighted = features * weight[:, None]
        return cls(weighted.T @ features, weighted.T @ Y)


def low_features(Z: Array) -> Array:
    """1, z and its pairs, ``z_i z_j`` of all ``i <= j``: (n, 1 + K + K (K + 1) / 2)."""
    return _multiply_rows(_with_one(Z), 2).T


def _with_one(Z: Array) -> Array:
    """1 and z as rows, whose pairs are the `low_features`: (1 + K, n)."""
    xp = get_namespace(Z)
    return _rows_of(xp.concat([xp.ones_like(Z[:, :1]), Z], axis=1))


def _fourth_moments(z: Array, pairs: Array, weight: Array) -> Array:
    r"""Sums of :math:`w\, z_a z_b z_c z_d`, each as often as a band holds it (see `_square`).

    Parameters
    ----------
    z : (K, n)
    pairs : (P, n), the monomials of order 2.
    weight : (n,)

    Notes
    -----
    O(n K^4 / 16), a quarter of what the product of all pairs with all pairs takes: pairs (a, b)
    of indices up to the end of a band are multiplied with those from its begin on.
    """
    xp = get_namespace(z)
    weighted, K = z * weight, z.shape[0]
    bands = []
    for low, high, begin in _bands(K):
        lower = xp.concat([weighted[b, :] * z[: b + 1, :] for b in range(low, high)])
        bands.append(xp.reshape(lower @ pairs[begin:, :].T, (-1,)))
    return xp.concat(bands)


def _square(moments: Array, K: int) -> Array:
    """`_fourth_moments` of K rows as a symmetric matrix of pairs and pairs: (P, P)."""
    xp, P = get_namespace(moments), K * (K + 1) // 2
    return xp.reshape(xp.take(moments, from_numpy(_places_in_bands(K), like=moments)), (P, P))


def _bands(K: int) -> list[tuple[int, int, int]]:
    """First index of each band, the one after its last, and where pairs from the first on begin."""
    return [
        (low, min(low + _BAND, K), low * K - low * (low - 1) // 2) for low in range(0, K, _BAND)
    ]


def n_fourth_moments(K: int) -> int:
    """Products of four inputs, of K and 1, that `low_moments` and `high_moments` add up."""
    n_pairs = (K + 1) * (K + 2) // 2
    return sum(
        (high * (high + 1) - low * (low + 1)) // 2 * (n_pairs - begin)
        for low, high, begin in _bands(K + 1)
    )


@cache
def _places_in_bands(K: int) -> np.ndarray:
    """Where `_fourth_moments` holds the product of two pairs, for all of them: (P^2,)."""
    one, other = np.triu_indices(K)
    P = one.size
    quadruples = np.broadcast_arrays(one[:, None], other[:, None], one, other)
    a, b, c, d = np.sort(np.stack(quadruples), axis=0)
    pair = np.zeros((K, K), dtype=np.intp)
    pair[one, other] = np.arange(P)
    places, before = np.empty((P, P), dtype=np.intp), 0
    for low, high, begin in _bands(K):
        row = (b * (b + 1) - low * (low + 1)) // 2 + a
        here = (low <= b) & (b < high)
        places[here] = (before + row * (P - begin) + pair[c, d] - begin)[here]
        before += (high * (high + 1) - low * (low + 1)) // 2 * (P - begin)
    return places.ravel()


@dataclass(frozen=True, eq=False)
class _LowSums(Additive):
    fourth: Array
    cross: Array


@_by_small_blocks
def _low_sums(rows: Rows, frame: Frame) -> _LowSums:
    Z, Y, w, _ = _seen(rows, frame)
    z = _with_one(Z)
    features = _multiply_rows(z, 2)
    return _LowSums(_fourth_moments(z, features, w), features @ (w[:, None] * Y))


def low_moments(rows: Rows, frame: Frame) -> NormalEquations:
    """Normal equations of a chunk for the regression on all quadratics; O(n K^4 / 16)."""
    sums = _low_sums(rows, frame)
    return NormalEquations(_square(sums.fourth, 1 + frame.n_dimensions), sums.cross)


@dataclass(frozen=True, eq=False)
class HighMoments(Additive):
    """Moments of residuals r of the regression on all quadratics.

    Attributes
    ----------
    squares : (S,), sum of r^2.
    third : (S, P, K), sums of r pairs(z) z^T.
    fourth : (S, P, P), sums of r pairs(z) pairs(z)^T; (S, 0, 0) if not asked for.
    """

    squares: Array
    third: Array
    fourth: Array


@_by_small_blocks
def _high_sums(
    rows: Rows, frame: Frame, coefficients: np.ndarray, with_fourth: bool
) -> HighMoments:
    """Moments up to the fourth as `_fourth_moments` of 1 and z, (S, .), unless there are none."""
    Z, Y, w, xp = _seen(rows, frame)
    z = _with_one(Z)
    features = _multiply_rows(z, 2)
    residual = Y - features.T @ from_numpy(coefficients, like=Z)
    weights = [w * residual[:, s] for s in range(Y.shape[1])]
    if with_fourth:
        fourth = xp.stack([_fourth_moments(z, features, weight) for weight in weights])
        return HighMoments(w @ residual**2, fourth[:, :0], fourth)
    pairs = features[z.shape[0] :, :]
    third = xp.stack([(pairs * weight) @ Z for weight in weights])
    return HighMoments(w @ residual**2, third, third[:, :0, :0])


def high_moments(
    rows: Rows, frame: Frame, coefficients: np.ndarray, with_fourth: bool
) -> HighMoments:
    """Third and fourth moments of a chunk; O(n S K^4 / 16)."""
    sums = _high_sums(rows, frame, coefficients, with_fourth)
    if not with_fourth:
        return sums
    xp, n = get_namespace(sums.fourth), 1 + frame.n_dimensions
    whole = xp.stack([_square(sums.fourth[s, :], n) for s in range(sums.fourth.shape[0])])
    return HighMoments(sums.squares, whole[:, n:, 1:n], whole[:, n:, n:])


def _centred(rows: Rows, frame: Frame) -> tuple[Array, Array, Array, Any]:
    """Centred inputs, standardised outputs, weights and namespace of a chunk."""
    X, xp = dense(rows)
    return frame.centred(X), frame.outputs(rows.Y), rows.weight, xp


def _seen(rows: Rows, frame: Frame) -> tuple[Array, Array, Array, Any]:
    """Whitened inputs, standardised outputs, weights and namespace of a chunk."""
    X, xp = dense(rows)
    return frame.inputs(X), frame.outputs(rows.Y), rows.weight, xp
