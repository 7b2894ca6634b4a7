"""Tensors from the score functions that a user gives for the inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, from_numpy, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.moments import NetworkMoments, Summary, solve_moments, taylor
from spectral_nn.moments.frame import Frame
from spectral_nn.moments.polynomial import NormalEquations, low_features
from spectral_nn.moments.scores import Score, ScoreMoments, score_moments
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.matching import unit_columns

__all__ = ["mean_scores", "moments_from_score"]

Residuals: TypeAlias = Callable[[Array, Array], Array]
"""From X (n, d) and Y (n, q) to what is left of the outputs (n, S)."""


def moments_from_score(
    rows: Table, seen: Summary, K: int, score: Score, run: Runner
) -> NetworkMoments:
    r"""Tensors of orders 1 to 3 by Stein's identity, :math:`E[y S_m(x)] = E[\nabla^m f(x)]`.

    Parameters
    ----------
    rows : table.
    seen : what `summarise` found.
    K : dimensions to keep.
    score : callable ``score(X, theta) -> (S1, S2, S3 contracted with theta)``.
    run : who computes.

    Returns
    -------
    NetworkMoments, in the span of the K leading left singular vectors of
    :math:`[T_1, T_2, T_3(I, I, b)]` with :math:`b = T_1 / |T_1|`.

    Notes
    -----
    Three passes, O(n d^2 S), O(n K^4 / 4) and O(n d^2 S K).  All quadratics of the K columns are
    regressed out before the last one, whose second and third moments lose most of their variance.
    Janzamin, Sedghi, Anandkumar, *Score function features for discriminative learning*
    (arXiv 1412.2863), theorem 1.
    """
    frame = seen.frame
    # Derivatives by standardised columns: their noise is as white as that of any frame.
    scale = np.zeros(rows.n_features)
    scale[frame.kept] = frame.deviation
    slopes = frame.whitener @ seen.beta
    along = _spread(unit_columns(slopes), frame, scale.size)
    residuals: Residuals = partial(_linear_residuals, seen=seen)
    first, second, third = _mean_scaled_scores(rows, residuals, along, scale, score, run)
    gradient = first.T + _spread(slopes, frame, scale.size)
    own = np.einsum("oode->ode", third)
    flat = [gradient, _side_by_side(second), _side_by_side(own)]
    basis = np.linalg.svd(np.concatenate(flat, axis=1), full_matrices=False)[0][:, :K]
    # The scores see x as it is, so nothing is whitened here.
    plain = replace(frame, centre=np.zeros(frame.kept.size), whitener=basis[frame.kept])
    low = run.total(partial(_quadratic_moments, frame=plain), rows.chunks())
    coefficients = solve_moments(low)
    residuals = partial(_quadratic_residuals, frame=plain, coefficients=coefficients)
    _, second, third = _mean_scaled_scores(rows, residuals, basis, scale, score, run)
    cube = np.einsum("da,okde,eb->abko", basis, third, basis, optimize=True)
    cube = (cube + cube.transpose(1, 2, 0, 3) + cube.transpose(2, 0, 1, 3)) / 3
    deviation = np.ones(first.shape[0])
    hessians = taylor(coefficients, basis.shape[1], deviation)[1]
    hessians = hessians + np.einsum("da,ode,eb->abo", basis, second, basis) / np.sqrt(2)
    tensors = (basis.T @ gradient, hessians, cube / np.sqrt(6))
    return NetworkMoments(tensors, plain, 1 / np.sqrt(seen.columns.n_effective), deviation)


def _side_by_side(matrices: NDArray) -> NDArray:
    """(S, d, d) as (d, S d)."""
    return np.concatenate(list(matrices), axis=1)


def _mean_scaled_scores(
    rows: Table,
    residuals: Residuals,
    theta: NDArray,
    scale: NDArray,
    score: Score,
    run: Runner,
) -> tuple[NDArray, NDArray, NDArray]:
    """Mean residuals times scores: (S, d), (S, d, d) and, of every column of theta, (S, m, d, d).

    The residuals are those of a polynomial, whose derivatives are known, those of higher order to
    be zero: by Stein's identity nothing is lost but variance.  All modes, that of theta included,
    are scaled to columns of unit deviation.
    """
    first, second, third = mean_scores(rows, score, scale[:, None] * theta, residuals, run)
    both = np.outer(scale, scale)
    return first * scale, second * both, third * both


def _linear_residuals(X: Array, Y: Array, seen: Summary) -> Array:
    return seen.frame.outputs(Y) - seen.frame.inputs(X) @ from_numpy(seen.beta, like=X)


@by_blocks
def _quadratic_moments(rows: Rows, frame: Frame) -> NormalEquations:
    """Normal equations of a chunk for the regression on all quadratics of `_projected` columns."""
    X, _ = dense(rows)
    features = low_features(_projected(X, frame))
    return NormalEquations.of(features, frame.outputs(rows.Y), rows.weight)


def _quadratic_residuals(X: Array, Y: Array, frame: Frame, coefficients: NDArray) -> Array:
    return frame.outputs(Y) - low_features(_projected(X, frame)) @ from_numpy(coefficients, like=X)


def _projected(X: Array, frame: Frame) -> Array:
    """Projections (n, K), not clipped: a quadratic of clipped columns has other derivatives."""
    return frame.standardise(X) @ from_numpy(frame.whitener, like=X)


def mean_scores(
    rows: Table,
    score: Score,
    theta: NDArray,
    residuals: Residuals,
    run: Runner,
) -> tuple[NDArray, NDArray, NDArray]:
    """Means of residuals (n, S) times scores: (S, d), (S, d, d), (S, m, d, d), theta (d, m)."""
    passes = partial(_sum_chunk, score=score, theta=theta, residuals=residuals)
    sums: ScoreMoments = run.total(passes, rows.chunks())
    weight = rows.total_weight
    first, second, third = (
        to_numpy(part) / weight for part in (sums.first, sums.second, sums.third)
    )
    return first, second, third


def _spread(slopes: NDArray, frame: Frame, n_features: int) -> NDArray:
    """Slopes of the columns that vary, among zeros for the others."""
    full = np.zeros((n_features, slopes.shape[1]))
    full[frame.kept] = slopes
    return full


@by_blocks
def _sum_chunk(rows: Rows, score: Score, theta: NDArray, residuals: Residuals) -> ScoreMoments:
    X, _ = dense(rows)
    responses = residuals(X, rows.Y) * rows.weight[:, None]
    return score_moments(score, X, responses, from_numpy(theta, like=X))
