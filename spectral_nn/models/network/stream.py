"""The same tensors from one pass, for rows that come in instalments and are not kept."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.moments import (
    NetworkMoments,
    deviation_of,
    solve_moments,
    taylor,
)
from spectral_nn.moments.frame import Frame
from spectral_nn.moments.polynomial import NormalEquations, low_features, monomial_index, monomials
from spectral_nn.runners.base import Runner

__all__ = ["MAX_FOURTH", "StreamMoments", "stream_moments", "stream_sums", "tensors_of_stream"]

MAX_FOURTH = 12  # dimensions beyond which products with the fourth order cost too much


@dataclass(frozen=True, eq=False)
class StreamMoments(Additive):
    """Sums over rows seen in a fixed frame of K dimensions; ``a + b`` holds both.

    Low features are 1, z and its pairs (F); high ones the products of three and four (H).

    Attributes
    ----------
    weight, squared_weight : sums of weights and of their squares.
    gram : (F, F) of low features.
    mixed : (F, H) of low and high features.
    low, high : (F, S) and (H, S), with the outputs.
    squares : (S,) of the outputs.
    """

    weight: Array
    squared_weight: Array
    gram: Array
    mixed: Array
    low: Array
    high: Array
    squares: Array


@by_blocks
def stream_sums(rows: Rows, frame: Frame) -> StreamMoments:
    """Sums of a chunk; see `stream_moments` for the cost."""
    X, xp = dense(rows)
    Z, Y, w = frame.inputs(X), frame.outputs(rows.Y), rows.weight
    low, high = low_features(Z), monomials(Z, 3)
    if frame.n_dimensions <= MAX_FOURTH:
        high = xp.concat([high, monomials(Z, 4)], axis=1)
    weighted, weighted_Y = low * w[:, None], Y * w[:, None]
    return StreamMoments(
        xp.sum(w),
        w @ w,
        weighted.T @ low,
        weighted.T @ high,
        low.T @ weighted_Y,
        high.T @ weighted_Y,
        w @ (Y * Y),
    )


def stream_moments(rows: Table, frame: Frame, run: Runner) -> StreamMoments:
    """Sums over a batch of rows, on the host: batches may come from several libraries.

    Notes
    -----
    One pass; O(n K^6 / 48) up to twelve dimensions, O(n K^5 / 12) and no fourth order beyond;
    memory O(K^6 / 48), whatever the number of rows.
    """
    sums = run.total(partial(stream_sums, frame=frame), rows.chunks())
    return StreamMoments(*(to_numpy(getattr(sums, field.name)) for field in fields(sums)))


def tensors_of_stream(sums: StreamMoments, frame: Frame) -> NetworkMoments:
    r"""The tensors that `network_moments` makes in two passes, from the sums of one.

    Moments of the residuals r = y - c^T f are those of y less ``c`` times those of the low
    features f, so the regression need not be known beforehand.  Nor is the frame: where all rows
    have mean m and covariance C in it, those of their own white coordinates
    :math:`C^{-1/2} (z - m)` follow, as r is orthogonal to all quadratics.

    Returns
    -------
    NetworkMoments, in the frame that is white for all rows.

    Notes
    -----
    O(K^6 / 8), independent of n.
    """
    K, weight = frame.n_dimensions, float(sums.weight)
    gram, low = to_numpy(sums.gram) / weight, to_numpy(sums.low) / weight
    coefficients = solve_moments(NormalEquations(gram, low))
    high = (to_numpy(sums.high) - to_numpy(sums.mixed).T @ coefficients) / weight
    explained = np.sum(coefficients * (2 * low - gram @ coefficients), axis=0)
    residual = deviation_of(to_numpy(sums.squares) / weight - explained)
    mean = gram[0, 1 : K + 1]
    values, vectors = np.linalg.eigh(gram[1 : K + 1, 1 : K + 1] - np.outer(mean, mean))
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    gradient, hessian = taylor(coefficients, K, residual)
    gradient = gradient + np.sqrt(2) * np.einsum("ijs,j->is", hessian, mean)
    tensors = [_apply_to_modes(gradient, root), _apply_to_modes(hessian, root)]
    begin = 0
    for order, size in ((3, 6), (4, 24)):
        index = monomial_index(K, order)
        if begin < high.shape[0]:
            tensors.append(
                _apply_to_modes(high[begin:][index] / (np.sqrt(size) * residual), inverse)
            )
        begin += int(index.max()) + 1
    n_effective = weight**2 / float(sums.squared_weight)
    white = replace(
        frame,
        centre=frame.centre + np.linalg.pinv(frame.whitener).T @ mean,
        whitener=frame.whitener @ inverse,
    )
    return NetworkMoments(tuple(tensors), white, 1 / np.sqrt(n_effective), residual)


def _apply_to_modes(T: NDArray, A: NDArray) -> NDArray:
    """Apply a symmetric matrix to every mode of (K, ..., K, S) but the last."""
    for mode in range(T.ndim - 1):
        T = np.moveaxis(np.tensordot(A, T, axes=(1, mode)), 0, mode)
    return T
