"""Moments of outputs with polynomials of whitened inputs, order by order."""

from __future__ import annotations

from dataclasses import dataclass
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
    "slice_moments",
    "tube_moments",
]


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
    if order == 1:
        return Z
    xp = get_namespace(Z)
    columns = range(Z.shape[1])
    return xp.concat([Z[:, i : i + 1] * monomials(Z[:, i:], order - 1) for i in columns], axis=1)


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


@by_blocks
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
    xp = get_namespace(Z)
    return xp.concat([xp.ones_like(Z[:, :1]), Z, monomials(Z, 2)], axis=1)


@by_blocks
def low_moments(rows: Rows, frame: Frame) -> NormalEquations:
    """Normal equations of a chunk for the regression on all quadratics; O(n K^4 / 4)."""
    Z, Y, w, _ = _seen(rows, frame)
    return NormalEquations.of(low_features(Z), Y, w)


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


@by_blocks
def high_moments(
    rows: Rows, frame: Frame, coefficients: np.ndarray, with_fourth: bool
) -> HighMoments:
    """Third and fourth moments of a chunk; O(n S K^4 / 4)."""
    Z, Y, w, xp = _seen(rows, frame)
    features = low_features(Z)
    residual = Y - features @ from_numpy(coefficients, like=Z)
    products = features[:, 1 + Z.shape[1] :]
    third, fourth = [], []
    for s in range(Y.shape[1]):
        weighted = products * (w * residual[:, s])[:, None]
        third.append(weighted.T @ Z)
        fourth.append(weighted.T @ products if with_fourth else weighted[:0, :0])
    return HighMoments(w @ residual**2, xp.stack(third), xp.stack(fourth))


def _centred(rows: Rows, frame: Frame) -> tuple[Array, Array, Array, Any]:
    """Centred inputs, standardised outputs, weights and namespace of a chunk."""
    X, xp = dense(rows)
    return frame.centred(X), frame.outputs(rows.Y), rows.weight, xp


def _seen(rows: Rows, frame: Frame) -> tuple[Array, Array, Array, Any]:
    """Whitened inputs, standardised outputs, weights and namespace of a chunk."""
    X, xp = dense(rows)
    return frame.inputs(X), frame.outputs(rows.Y), rows.weight, xp
