r"""What the outputs of a network with one hidden layer depend on, in closed form.

Of :math:`f(x) = \sum_j a_j\, \sigma(w_j^T x + b_j) + c` with Gaussian inputs, each unit is a
function of one standard normal number, :math:`\sigma(s_j t_j + b_j) = \sum_q c_{jq} h_q(t_j)` in
orthonormal Hermite polynomials, and :math:`E[h_p(t) h_q(t')] = \delta_{pq}\, \rho^q` where t and t'
are correlated by :math:`\rho`.  So all is known by the covariances of pairs of units,

.. math:: K_{jl}(\rho) = \sum_{q \ge 1} c_{jq} c_{lq}\, \rho^q,

and their slopes: the conditional variances of f, which are those at the correlations that given
columns make, and the mean product of its gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.hermite import hermite_coefficients, normal_grid
from spectral_nn.moments.frame import with_fixed_signs

__all__ = ["ActiveSubspace", "SobolIndices", "active_subspace", "sobol_indices"]

Floats = NDArray[np.float64]

_ORDERS, _FEW_ORDERS = 200, 30
_NEGLIGIBLE = 1e-8  # of a unit's mean squared slope: what later orders may hold
_NEAR = 0.5  # correlation up to which 30 orders do for any unit: 0.5^31
_NODES = {0: 24, 1: 200}  # for covariances, of which there are many, and for slopes
_KINKS = {"relu": (2, 1.0), "squared_relu": (3, 2.0)}  # which derivative is a Dirac mass, its size
_LEAST_SCALE = 1e-8  # beside the bias: what a flatter unit adds to its bias is rounding


@dataclass(frozen=True, eq=False)
class SobolIndices:
    r"""Shares of the variance of a function of independent inputs, one row an output.

    Attributes
    ----------
    first : ndarray of shape (q, g)
        :math:`\mathrm{Var}\, E[f \mid x_A] / \mathrm{Var} f`: what a column, or a group A of
        columns, explains by itself.
    total : ndarray of shape (q, g)
        :math:`1 - \mathrm{Var}\, E[f \mid x_{\bar A}] / \mathrm{Var} f`: what is lost without it.
    variance : ndarray of shape (q,)
        :math:`\mathrm{Var} f`.
    remainder : ndarray of shape (q,)
        Bound on the error of each index, as orders beyond 200 are left out: 0 but for steep units.
    """

    first: Floats
    total: Floats
    variance: Floats
    remainder: Floats


@dataclass(frozen=True, eq=False)
class ActiveSubspace:
    r"""Directions along which a function varies, most of all first, one row an output.

    Eigenvectors of :math:`C = E[g g^T]`, where g is the gradient of f with respect to inputs in
    units of their standard deviations.

    Attributes
    ----------
    eigenvalues : ndarray of shape (q, r)
        Mean squared derivatives along the directions; r = min(d, k), all others are 0.
    directions : ndarray of shape (q, d, r)
        Orthonormal columns.
    mean, deviation : ndarray of shape (d,)
        Of the inputs: positions on the directions are ``(x - mean) / deviation @ directions[i]``.
    remainder : ndarray of shape (q,)
        Bound on what is left out of the trace of C, as a share of it: 0 but for steep units.
    """

    eigenvalues: Floats
    directions: Floats
    mean: Floats
    deviation: Floats
    remainder: Floats

    @property
    def matrix(self) -> Floats:
        """The matrices C, of shape (q, d, d)."""
        return (self.directions * self.eigenvalues[:, None, :]) @ self.directions.mT


def sobol_indices(
    coefs: Sequence[NDArray],
    intercepts: Sequence[NDArray],
    activation: str,
    *,
    mean: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
    groups: Sequence[Sequence[int]] | None = None,
) -> SobolIndices:
    r"""Sobol' indices under independent Gaussian inputs.

    .. math:: \mathrm{Var}\, E[f \mid x_A] = \sum_{jl} a_j a_l K_{jl}(u_{jA} \cdot u_{lA})

    with the unit vectors u of the weights on standardised inputs.

    Parameters
    ----------
    coefs : (d, k) and (k, q)
    intercepts : (k,) and (q,)
    activation : a name in `ACTIVATIONS`.
    mean, variance : of the inputs, (d,) or one number for all.
    groups : columns of each group; None for every column by itself.

    Notes
    -----
    O(d k^2) for each of 30 orders.  Where correlations are above 0.5 they are at most 200, as many
    as smooth units need; the covariance of units with a kink is an integral of one dimension there
    (see `_Units._kinked`).  Indices of an output that does not vary are NaN.

    Sobol', *Sensitivity estimates for nonlinear mathematical models*, Math. Model. Comput. Exp. 1
    (1993); Homma, Saltelli, Reliab. Eng. Syst. Saf. 52 (1996).

    Examples
    --------
    The first two columns interact, and explain nothing by themselves:

    >>> import numpy as np
    >>> W = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> a = np.array([[0.25], [-0.25], [0.5]])  # x_1 x_2 + x_3^2 / 2
    >>> found = sobol_indices((W, a), (np.zeros(3), np.zeros(1)), "square")
    >>> found.variance.round(9).tolist()
    [1.5]
    >>> (found.first * 3).round(9).tolist(), (found.total * 3).round(9).tolist()
    ([[0.0, 0.0, 1.0]], [[2.0, 2.0, 1.0]])
    """
    deviation = np.sqrt(np.broadcast_to(np.asarray(variance, np.float64), len(coefs[0])))
    scaled = np.asarray(coefs[0], np.float64) * deviation[:, None]
    units = _units(coefs[0], intercepts[0], activation, mean, np.sum(scaled**2, axis=0))
    U = scaled / units.scale
    i, j = units.pairs
    products = U[:, i] * U[:, j]
    whole = products.sum(axis=0)
    if groups is not None:
        products = np.stack([products[list(group)].sum(axis=0) for group in groups])
    a = np.asarray(coefs[1], np.float64)
    weights = a[i] * a[j] * np.where(i == j, 1.0, 2.0)[:, None]
    total = units.covariances(whole) @ weights
    total[total <= np.finfo(float).eps * np.sum(a**2 * units.variance[:, None], axis=0)] = np.nan
    inside = (units.covariances(products) @ weights / total).T
    outside = (units.covariances(whole - products) @ weights / total).T
    return SobolIndices(
        first=np.maximum(inside, 0.0),
        total=np.maximum(1 - outside, 0.0),
        variance=np.nan_to_num(total),
        remainder=(np.sqrt(units.tail) @ np.abs(a)) ** 2 / total,
    )


def active_subspace(
    coefs: Sequence[NDArray],
    intercepts: Sequence[NDArray],
    activation: str,
    *,
    mean: ArrayLike = 0.0,
    covariance: ArrayLike = 1.0,
) -> ActiveSubspace:
    r"""Active subspace under Gaussian inputs.

    .. math:: E[g g^T] = \sum_{jl} a_j a_l\, \frac{K_{jl}'(\rho_{jl})}{s_j s_l}\, D w_j w_l^T D

    with :math:`s_j^2 = w_j^T \Sigma w_j`, :math:`\rho_{jl} = w_j^T \Sigma w_l / (s_j s_l)`, and the
    deviations D of the inputs.

    Parameters
    ----------
    coefs : (d, k) and (k, q)
    intercepts : (k,) and (q,)
    activation : a name in `ACTIVATIONS`.
    mean : of the inputs, (d,) or one number for all.
    covariance : of the inputs, (d, d); or their variances, (d,), or one number for all.

    Notes
    -----
    O(d k^2 + k^3 q).

    Constantine, *Active Subspaces* (SIAM, 2015).

    Examples
    --------
    >>> import numpy as np
    >>> W = np.array([[0.6], [0.8]])
    >>> found = active_subspace((W, np.array([[2.0]])), (np.zeros(1), np.zeros(1)), "relu")
    >>> found.matrix.round(6).tolist()  # 4 w w^T, where the unit is on: half of the time
    [[[0.72, 0.96], [0.96, 1.28]]]
    """
    W, A = (np.asarray(coef, np.float64) for coef in coefs)
    sigma = np.asarray(covariance, np.float64)
    d = len(W)
    if sigma.ndim < 2:
        deviation = np.sqrt(np.broadcast_to(sigma, d))
        gram = (W * deviation[:, None] ** 2).T @ W
    else:
        deviation, gram = np.sqrt(np.diag(sigma)), W.T @ sigma @ W
    units = _units(W, intercepts[0], activation, mean, np.diag(gram))
    i, j = units.pairs
    slopes = np.empty_like(gram)
    scales = units.scale[i] * units.scale[j]
    slopes[i, j] = slopes[j, i] = units.slopes(gram[i, j] / scales) / scales
    Q, R = np.linalg.qr(W * deviation[:, None])
    inner = [R @ (np.outer(a, a) * slopes) @ R.T for a in A.T]
    values, vectors = np.linalg.eigh(np.stack(inner))
    directions = np.stack([with_fixed_signs(Q @ V[:, ::-1]) for V in vectors])
    eigenvalues = np.maximum(values[:, ::-1], 0.0)
    lengths = np.linalg.norm(R, axis=0) / units.scale * np.sqrt(units.slope_tail)
    trace = eigenvalues.sum(axis=1)
    return ActiveSubspace(
        eigenvalues=eigenvalues,
        directions=directions,
        mean=np.broadcast_to(np.asarray(mean, np.float64), d),
        deviation=deviation,
        remainder=(lengths @ np.abs(A)) ** 2 / np.where(trace > 0, trace, np.nan),
    )


@dataclass(frozen=True, eq=False)
class _Units:
    """Hidden units as functions of standard normal numbers.

    Attributes
    ----------
    activation : its name.
    scale, bias : (k,), of :math:`s t + b`.
    series : (k, Q) Hermite coefficients from order 1 on.
    variance : (k,)
    tail, slope_tail : (k,) what later orders hold of the variance and of the mean squared slope.
    """

    activation: str
    scale: Floats
    bias: Floats
    series: Floats
    variance: Floats
    tail: Floats
    slope_tail: Floats

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """All pairs of units, each once, and each unit with itself."""
        return np.triu_indices(self.scale.size)

    def covariances(self, rho: Floats) -> Floats:
        """K of all pairs, (..., P), at correlations (..., P)."""
        return self._at(rho, 0)

    def slopes(self, rho: Floats) -> Floats:
        """The derivative of K of all pairs, (P,), at correlations (P,)."""
        return self._at(rho, 1)

    def _at(self, rho: Floats, derivative: int) -> Floats:
        """K of all pairs, or its derivative: many orders only where correlations are high."""
        i, j = self.pairs
        products = (self.series[i] * self.series[j]).T
        found = _power_series(products[:_FEW_ORDERS], rho, derivative)
        *rest, pair = np.nonzero(np.abs(rho) > _NEAR)
        near = (*rest, pair)
        if self.activation in _KINKS:
            found[near] = self._kinked(rho[near], i[pair], j[pair], derivative)
        elif len(products) > _FEW_ORDERS:
            found[near] = _power_series(products[:, pair], rho[near], derivative)
        return found

    def _kinked(
        self, rho: Floats, i: NDArray[np.intp], j: NDArray[np.intp], derivative: int
    ) -> Floats:
        r"""K of units with a kink, or its derivative, at correlations (m,) of pairs (m,).

        The derivative of K of order m by :math:`\rho` is the mean product of the units' m-th
        derivatives (Price, IRE Trans. Inf. Theory 4, 1958): where these are Dirac masses, a normal
        density in two dimensions.  So K is its Taylor polynomial at 0 and

        .. math:: \int_0^\rho \frac{(\rho - r)^{m-1}}{(m-1)!}\, J_j J_l\, \phi_r(\beta_j, \beta_l)\,
            dr, \qquad r = \sin\theta.
        """
        order, jump = _KINKS[self.activation]
        size = jump * self.scale ** (order - 1)
        beta = self.bias / self.scale
        power = order - 1 - derivative
        nodes, weights = np.polynomial.legendre.leggauss(_NODES[derivative])
        end = np.arcsin(np.clip(rho, -1, 1))
        mean_square, product = (beta[i] ** 2 + beta[j] ** 2) / 2, beta[i] * beta[j]
        integral = np.zeros_like(rho)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            r = np.sin(node * end)
            density = np.exp((r * product - mean_square) / (1 - r * r)) / (2 * np.pi)
            integral += weight * (rho - r) ** power / factorial(power) * density
        taylor = sum(
            (q**derivative * self.series[i, q - 1] * self.series[j, q - 1])
            * rho ** (q - derivative)
            for q in range(1, order)
        )
        return taylor + integral * end * size[i] * size[j]


def _power_series(coefs: Floats, rho: Floats, derivative: int) -> Floats:
    """Sum of coefs[q - 1] rho^q over q = 1, ..., Q, or its derivative, by Horner's scheme."""
    orders = np.arange(1, len(coefs) + 1)[:, None]
    found = np.zeros_like(rho)
    for term in (coefs * orders**derivative)[::-1]:
        found *= rho
        found += term
    return found if derivative else found * rho


def _units(
    coef: NDArray, bias: NDArray, activation: str, mean: ArrayLike, squared_scale: Floats
) -> _Units:
    """Units on inputs of a mean, (d,) or one number, of a variance (k,) before the bias."""
    W = np.asarray(coef, np.float64)
    bias = np.asarray(bias, np.float64) + np.broadcast_to(np.asarray(mean, np.float64), len(W)) @ W
    scale = np.maximum(np.sqrt(squared_scale), np.maximum(_LEAST_SCALE * np.abs(bias), 1e-150))
    t, density = normal_grid()
    inner = scale[:, None] * t + bias[:, None]
    values = ACTIVATIONS[activation].value(inner)
    slopes = scale[:, None] * ACTIVATIONS[activation].derivative(inner, values)
    variance = (values - (values @ density)[:, None]) ** 2 @ density
    series = hermite_coefficients(
        activation, scale, bias, _FEW_ORDERS if activation in _KINKS else _ORDERS
    )
    q = np.arange(1, series.shape[1] + 1)
    left = variance[:, None] - np.cumsum(series**2, axis=1)
    energy = slopes**2 @ density
    slope_left = energy[:, None] - np.cumsum(q * series**2, axis=1)
    if activation in _KINKS:
        tails = np.zeros((2, scale.size))  # `_Units._kinked` leaves out none
    else:
        enough = (slope_left <= _NEGLIGIBLE * energy[:, None]).all(axis=0)
        n_orders = int(np.argmax(enough)) + 1 if enough.any() else q.size
        series = series[:, :n_orders]
        tails = np.maximum(np.stack([left, slope_left])[:, :, n_orders - 1], 0.0)
    return _Units(activation, scale, bias, series, variance, *tails)
