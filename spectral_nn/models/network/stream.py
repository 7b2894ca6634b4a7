"""The same tensors from one pass, for rows that come in instalments and are not kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from spectral_nn.arrays import Array, to_numpy
from spectral_nn.execute.runner import Runner, total
from spectral_nn.models.network.moments import NetworkMoments, solve_moments, taylor
from spectral_nn.moments.additive import Additive
from spectral_nn.moments.polynomial import LowMoments, low_features, monomial_index, monomials
from spectral_nn.moments.rows import Frame, Rows, dense

__all__ = ["StreamMoments", "stream_moments", "tensors_of_stream"]

_MOST_FOURTH = 12  # dimensions beyond which products with the fourth order cost too much


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


def _chunk(rows: Rows, frame: Frame) -> StreamMoments:
    """Sums of a chunk."""
    X, xp = dense(rows)
    Z, Y, w = frame.inputs(X), frame.outputs(rows.Y), rows.weight
    low, high = low_features(Z), monomials(Z, 3)
    if frame.n_dimensions <= _MOST_FOURTH:
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


def stream_moments(rows: Rows, frame: Frame, run: Runner) -> StreamMoments:
    """Sums over a batch of rows.

    Parameters
    ----------
    rows : table.
    frame : K dimensions, fixed by the first batch.
    run : who computes.

    Notes
    -----
    One pass; O(n K^6 / 48) up to twelve dimensions, O(n K^5 / 12) and no fourth order beyond;
    memory O(K^6 / 48), whatever the number of rows.
    """
    return total(run, partial(_chunk, frame=frame), rows.chunks())


def tensors_of_stream(sums: StreamMoments, frame: Frame) -> NetworkMoments:
    """The tensors that `network_moments` makes in two passes, from the sums of one.

    Moments of the residuals r = y - c^T f are those of y less ``c`` times those of the low
    features f, so the regression need not be known beforehand.
    """
    K, weight = frame.n_dimensions, float(sums.weight)
    coefficients = solve_moments(LowMoments(sums.gram, sums.low))
    high = (to_numpy(sums.high) - to_numpy(sums.mixed).T @ coefficients) / weight
    low, gram = to_numpy(sums.low), to_numpy(sums.gram)
    explained = 2 * np.sum(coefficients * low, axis=0)
    explained -= np.sum(coefficients * (gram @ coefficients), axis=0)
    residual = np.sqrt(np.maximum((to_numpy(sums.squares) - explained) / weight, 1e-300))
    tensors = [*taylor(coefficients, K, residual)]
    begin = 0
    for order, size in ((3, 6), (4, 24)):
        index = monomial_index(K, order)
        if begin < high.shape[0]:
            tensors.append(high[begin:][index] / (np.sqrt(size) * residual))
        begin += int(index.max()) + 1
    n_effective = weight**2 / float(sums.squared_weight)
    return NetworkMoments(tuple(tensors), frame, 1 / np.sqrt(n_effective), residual)
