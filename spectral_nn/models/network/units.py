"""Hidden units from directions, and the linear algebra of the layer above them."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import from_numpy, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.hermite import unit_grid
from spectral_nn.moments.frame import Frame
from spectral_nn.moments.polynomial import NormalEquations
from spectral_nn.runners.base import Runner

__all__ = [
    "find_flipped_units",
    "find_weakest_units",
    "fit_second_layer",
    "hidden_moments",
    "read_units_on_data",
]

_RIDGE = 1e-6  # of the features' mean square
_KNOTS = 8
_REFLECTS = {"relu", "softplus"}  # sigma(t) - sigma(-t) = t


@by_blocks
def hidden_moments(
    rows: Rows,
    coef: NDArray,
    intercept: NDArray,
    activation: str,
    frame: Frame | None = None,
) -> NormalEquations:
    """Normal equations of a chunk for the layer above hidden units: on 1, inputs, hidden values.

    Parameters
    ----------
    rows : table.
    coef, intercept : (d, k) and (k,) of the hidden layer.
    activation : a name in `ACTIVATIONS`.
    frame : whose inputs the layer above sees, too; None for none.

    Notes
    -----
    O(n k (d + k)); O(n (d + k)^2) with inputs.
    """
    X, xp = dense(rows)
    # hidden values are nearly collinear
    X, Y, weight = (xp.astype(part, xp.float64) for part in (X, rows.Y, rows.weight))
    inner = X @ from_numpy(coef, like=X) + from_numpy(intercept, like=X)
    hidden = ACTIVATIONS[activation].value(inner)
    parts = [xp.ones_like(hidden[:, :1]), hidden]
    if frame is not None:
        parts.insert(1, frame.inputs(X))
    return NormalEquations.of(xp.concat(parts, axis=1), Y, weight)


def _solve(moments: NormalEquations, kept: NDArray) -> tuple[NDArray, NDArray]:
    """Ridge coefficients (f, q) on some features, and the diagonal of the inverse Gram matrix."""
    gram = to_numpy(moments.gram)[np.ix_(kept, kept)]
    ridge = _RIDGE * np.maximum(np.diag(gram), 1e-12 * gram[0, 0])
    ridge[0] = 0.0
    inverse = np.linalg.pinv(gram + np.diag(ridge), hermitian=True)
    return inverse @ to_numpy(moments.cross)[kept], np.maximum(np.diag(inverse), 1e-300)


def fit_second_layer(
    rows: Table, coef: NDArray, intercept: NDArray, activation: str, run: Runner
) -> Network:
    """Put the ridge regression of the outputs on top of hidden units.

    Returns
    -------
    Network, of linear output.

    Notes
    -----
    One pass, O(n k (d + k)).
    """
    passes = partial(hidden_moments, coef=coef, intercept=intercept, activation=activation)
    moments = run.total(passes, rows.chunks())
    solved, _ = _solve(moments, np.arange(moments.gram.shape[0]))
    return Network((coef, solved[1:]), (intercept, solved[0]), activation, "identity")


def find_weakest_units(
    moments: NormalEquations, n_inputs: int, n_drop: int
) -> tuple[NDArray, NDArray]:
    r"""Find units to keep so that the regression on the others loses least.

    Dropping feature j of a least-squares fit with coefficients c and Gram matrix G costs
    :math:`c_j^2 / (G^{-1})_{jj}`; the cheapest goes, again and again.

    Parameters
    ----------
    moments : of 1, `n_inputs` inputs (which always stay) and k units.
    n_inputs : 0 without a linear skip.
    n_drop : units to take away.

    Returns
    -------
    kept : (k - n_drop,) indices of units.
    coefficients : (1 + n_inputs + k - n_drop, q) of the regression that is left.
    """
    fixed = 1 + n_inputs
    kept = np.arange(moments.gram.shape[0])
    solved, spread = _solve(moments, kept)
    for _ in range(n_drop):
        cost = np.sum(solved**2, axis=1) / spread
        cost[:fixed] = np.inf
        kept = np.delete(kept, int(np.argmin(cost)))
        solved, spread = _solve(moments, kept)
    return kept[fixed:] - fixed, solved


def find_flipped_units(coef: NDArray, activation: str, skip: NDArray, above: NDArray) -> NDArray:
    r"""Find the units that look the wrong way, from the linear function that makes up for them.

    A ReLU that looks the wrong way is a poor optimum that gradients do not leave:
    :math:`\sigma(t) = \sigma(-t) + t`, so the fit is right up to a linear function.  Of the
    regression on units and inputs, the inputs' coefficients then are minus the sum of
    :math:`a_j w_j` over the units that look the wrong way, and regressing them on the
    :math:`a_j w_j` tells which.

    Parameters
    ----------
    coef : (d, k) weights of the units.
    activation : all units are right but for those with :math:`\sigma(t) - \sigma(-t) = t`.
    skip : (d, q) coefficients of the inputs.
    above : (k, q) coefficients of the units.

    Returns
    -------
    sign : (k,), -1 for units to be turned round.
    """
    k = coef.shape[1]
    if activation not in _REFLECTS:
        return np.ones(k)
    explained = np.einsum("dj,jq->dqj", coef, above).reshape(-1, k)
    share = np.linalg.lstsq(explained, skip.reshape(-1), rcond=1e-8)[0]
    return np.where(share < -0.5, -1.0, 1.0)


def read_units_on_data(
    projections: NDArray, Y: NDArray, weight: NDArray, activation: str
) -> tuple[NDArray, NDArray, NDArray]:
    """Read sign, scale and bias of each unit off an additive fit to data of any distribution.

    The outputs are regressed on a linear spline of each unit's projection; linear parts stay, as
    a ReLU's sign is in them.  Each spline is compared with the activation on a grid of scales,
    biases and signs.

    Parameters
    ----------
    projections : (n, k) ``X @ u_j`` of standardised inputs.
    Y : (n, q)
    weight : (n,)
    activation : a name in `ACTIVATIONS`.

    Returns
    -------
    sign, scale, bias : (k,), so that units are ``sigma(scale * sign * (projection) + bias)``.

    Notes
    -----
    O(n k^2) for the regression, O(n_points k g) for the grid.
    """
    k = projections.shape[1]
    levels = np.linspace(0.06, 0.94, _KNOTS)
    knots = _quantiles(projections, weight, levels)
    mean = np.average(projections, axis=0, weights=weight)
    variance = np.average((projections - mean) ** 2, axis=0, weights=weight)
    spread = np.maximum(np.sqrt(variance), 1e-12)
    hinges = np.maximum(projections[:, None, :] - knots, 0.0) / spread
    width = 1 + _KNOTS
    features = np.concatenate([projections[:, None, :] / spread, hinges], axis=1)
    flat = np.concatenate(
        [np.ones((len(Y), 1)), features.transpose(0, 2, 1).reshape(len(Y), -1)], 1
    )
    weighted = flat * weight[:, None]
    gram = weighted.T @ flat
    ridge = np.maximum(1e-3 * np.diag(gram), 1e-9 * gram[0, 0])
    ridge[0] = 0.0
    solved = np.linalg.solve(gram + np.diag(ridge), weighted.T @ Y)[1:].reshape(k, width, -1)
    sign, scale, bias = np.ones(k), np.ones(k), np.zeros(k)
    scales, biases = unit_grid(activation)
    value = ACTIVATIONS[activation].value
    points = _quantiles(projections, weight, np.linspace(0.01, 0.99, 60))
    for j in range(k):
        t = points[:, j] / spread[j]
        hinge = np.maximum(points[:, j, None] - knots[:, j], 0.0) / spread[j]
        curve = np.concatenate([t[:, None], hinge], axis=1) @ solved[j]
        curve = curve - curve.mean(axis=0)
        best = -np.inf
        for s in (1.0, -1.0):
            model = value(s * scales[:, None] * t + biases[:, None])
            model = model - model.mean(axis=1, keepdims=True)
            norm = np.maximum(np.sum(model**2, axis=1), 1e-12)
            fit = np.sum((model @ curve) ** 2, axis=1) / norm
            at = int(np.argmax(fit))
            if fit[at] > best:
                best, sign[j], scale[j], bias[j] = fit[at], s, scales[at] / spread[j], biases[at]
    return sign, scale, bias


def _quantiles(X: NDArray, weight: NDArray, levels: NDArray) -> NDArray:
    """Quantiles (levels, k) of the columns of X (n, k), rows weighted."""
    return np.quantile(X, levels, axis=0, weights=weight, method="inverted_cdf")
