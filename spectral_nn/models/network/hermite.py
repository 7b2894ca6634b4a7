"""Hermite coefficients of activations, and the unit that a few of them belong to."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.network.activations import ACTIVATIONS

__all__ = ["ORDERS", "hermite_coefficients", "normal_grid", "read_units", "unit_grid"]

ORDERS = 4
_NODES, _REACH = 2401, 9.0
_HOMOGENEOUS = {"relu", "square", "squared_relu", "identity"}  # their scale is in the second layer


def hermite_coefficients(
    activation: str, scale: NDArray, bias: NDArray, n_orders: int = ORDERS
) -> NDArray:
    r"""Coefficients of :math:`t \mapsto \sigma(s t + b)` in normalised Hermite polynomials.

    .. math:: c_m = \mathbb{E}\big[\sigma(s t + b)\, \mathrm{He}_m(t)\big] / \sqrt{m!},
        \qquad t \sim N(0, 1), \quad m = 1, \dots, M

    Parameters
    ----------
    activation : a name in `ACTIVATIONS`.
    scale, bias : (g,)
    n_orders : M, at most 200.

    Returns
    -------
    (g, M) array.

    Notes
    -----
    By the trapezoid rule on 2,401 points, exact to 1e-5 for activations with kinks and to
    rounding for smooth ones.  With :math:`x \sim N(0, I)` and a unit vector u,
    :math:`\mathbb{E}[\sigma(s\, u^T x + b)\, \mathrm{He}_m(x)] / \sqrt{m!} = c_m u^{\otimes m}`
    (Stein's lemma, m times).
    """
    t, density = normal_grid()
    values = ACTIVATIONS[activation].value(scale[:, None] * t + bias[:, None])
    return values @ (_polynomials(n_orders) * density).T


def normal_grid() -> tuple[NDArray, NDArray]:
    """Points t of the trapezoid rule, and weights under which sums are standard normal means."""
    t = np.linspace(-_REACH, _REACH, _NODES)
    return t, np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])


@lru_cache(maxsize=4)
def _polynomials(n_orders: int) -> NDArray:
    """Normalised Hermite polynomials of orders 1 to M on the grid, (M, points)."""
    t, _ = normal_grid()
    found = [np.ones_like(t), t]
    for m in range(1, n_orders):
        found.append((t * found[m] - np.sqrt(m) * found[m - 1]) / np.sqrt(m + 1))
    return np.stack(found[1 : n_orders + 1])


def unit_grid(activation: str) -> tuple[NDArray, NDArray]:
    """Scales and biases (g,) that units of a standardised projection are looked for among."""
    scales = np.array([1.0]) if activation in _HOMOGENEOUS else np.geomspace(0.1, 8.0, 24)
    offsets = np.linspace(-2.5, 2.5, 81)
    scale, offset = (grid.ravel() for grid in np.meshgrid(scales, offsets, indexing="ij"))
    return scale, offset * np.maximum(scale, 1.0)


@lru_cache(maxsize=16)
def _table(activation: str) -> tuple[NDArray, NDArray, NDArray]:
    """Scales, biases (g,) and their coefficients (g, 4) on the grid."""
    scale, bias = unit_grid(activation)
    return scale, bias, hermite_coefficients(activation, scale, bias)


def read_units(
    weights: list[NDArray], variances: NDArray, activation: str
) -> tuple[NDArray, NDArray, NDArray]:
    """Read sign, scale and bias of each unit off its weights in the moments of orders 1 to 4.

    The activation's coefficients, times a free factor an output, are fitted to the weights by
    least squares, over a grid of scales and biases and both signs of the direction.

    Parameters
    ----------
    weights : one array (k, S) an order, from the first on; the last may be left out.
    variances : (number of orders, k) of the weights.
    activation : a name in `ACTIVATIONS`.

    Returns
    -------
    sign, scale, bias : (k,)

    Notes
    -----
    O(k g S) for g = 81 or 1,944 points.
    """
    scales, biases, table = _table(activation)
    k = weights[0].shape[0]
    width = max(weight.shape[1] for weight in weights)
    signs = np.array([1.0, -1.0])
    sign, scale, bias = np.ones(k), np.ones(k), np.zeros(k)
    for j in range(k):
        have = [m for m in range(len(weights)) if weights[m].shape[1] == width]
        precision = 1 / np.sqrt(variances[have, j])
        observed = np.stack([weights[m][j] for m in have]) * precision[:, None]
        best = -np.inf
        for s in signs:
            model = table[:, have] * s ** (np.array(have) + 1) * precision
            norm = np.maximum(np.sum(model**2, axis=1), 1e-12)
            fit = np.sum((model @ observed) ** 2, axis=1) / norm
            at = int(np.argmax(fit))
            if fit[at] > best:
                best, sign[j], scale[j], bias[j] = fit[at], s, scales[at], biases[at]
    return sign, scale, bias
