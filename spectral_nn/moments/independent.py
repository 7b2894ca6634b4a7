r"""Scores of inputs whose columns are independent, each of a law that is known.

A column is :math:`x = T(g)` of a standard normal g, :math:`T = F^{-1} \circ \Phi`.  For a function
f of it and a weight :math:`\tau`, partial integration, m times over, gives a score q_m with

.. math:: E[f(x)\, q_m(x)] = E[\tau(x)\, f^{(m)}(x)] / E[\tau(x)]

as long as :math:`\tau` times the density vanishes at the ends of the support, with m - 1
derivatives.  Where the support is the whole line, :math:`\tau = 1` and q_m is the score of the
density.  Where it has an end (a uniform, an exponential law), :math:`\tau = T'(g)^m`, which
vanishes there; m = 1 is the moment of f with g.  Both are Hermite's polynomials for a normal law.

Of several columns the scores are products, of one factor for each column among the indices: by the
chain rule, moments of products of Hermite's polynomials of g would show each column's curvature
:math:`T''` beside the derivatives of f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.moments.scores import Triple

__all__ = ["IndependentScore", "univariate_scores"]

_END = 6.0  # deviations of g: scores are constant beyond
_STEP = 0.01


def univariate_scores(law: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Tabulate the scores q_1, q_2, q_3 of a law.

    Parameters
    ----------
    law : frozen continuous law of `scipy.stats`, of finite variance.

    Returns
    -------
    x : (m,) increasing, where they are tabulated.
    scores : (3, m)

    Notes
    -----
    With :math:`\ell = T'' / T'` and :math:`h = T'^p b`, a partial integration makes of h

    .. math:: T'^{p-1} \big(g b - b' - (p - 1) \ell b\big).
    """
    g = np.arange(-_END, _END + _STEP / 2, _STEP)
    x = np.where(g < 0, law.ppf(norm.cdf(g)), law.isf(norm.sf(g)))
    with np.errstate(divide="ignore"):
        log_slope = norm.logpdf(g) - law.logpdf(x)  # of T'
    inside = np.isfinite(x) & np.isfinite(log_slope)
    inside[1:] &= np.diff(x) > 0
    g, x, log_slope = g[inside], x[inside], log_slope[inside]
    curvature = np.gradient(log_slope, g, edge_order=2)
    has_end = np.isfinite(law.support()).any()
    scores = []
    for order in (1, 2, 3):
        first = order if has_end else 0
        b = np.ones_like(g)
        for power in range(first, first - order, -1):
            b = g * b - np.gradient(b, g, edge_order=2) - (power - 1) * curvature * b
        if has_end:
            weight = norm.pdf(g)
            b = b / np.average(np.exp(order * log_slope), weights=weight)
        else:
            b = b * np.exp(-order * log_slope)
        scores.append(b)
    return x, np.array(scores)


@dataclass(frozen=True, eq=False)
class IndependentScore:
    r"""Scores of rows whose columns are independent and of known laws.

    With the scores :math:`q_m(x_i)` of the columns, :math:`(S_1)_i = q_1(x_i)`;
    :math:`(S_2)_{ij} = q_1(x_i) q_1(x_j)`, but :math:`q_2(x_i)` on the diagonal; and so on.

    Parameters
    ----------
    tables : for each column what `univariate_scores` returns; equal laws may share theirs.

    Notes
    -----
    Scores are interpolated on the host.  Sums over n rows cost O(n d²) for each direction, as for
    a Gaussian.
    """

    tables: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]

    @classmethod
    def of(cls, laws: Sequence[Any]) -> IndependentScore:
        """Tabulate the scores of one law for each column."""
        made: dict[int, Any] = {}
        for law in laws:
            if id(law) not in made:
                made[id(law)] = univariate_scores(law)
        return cls(tuple(made[id(law)] for law in laws))

    def __call__(self, X: Array, theta: Array) -> Triple:
        """Return S1 (n, d), S2 (n, d, d) and S3 theta (n, d, d) of rows X (n, d)."""
        xp = get_namespace(X)
        q, second, third = self._columns(X)
        along = (q @ theta)[:, None, None]
        one = xp.eye(X.shape[1], dtype=X.dtype, device=array_api_compat.device(X))
        outer = q[:, :, None] * q[:, None, :]
        cross = (second * theta)[:, :, None] * q[:, None, :]
        own = along * second[:, :, None] * one + (third * theta)[:, :, None] * one
        return (
            q,
            outer + second[:, :, None] * one,
            along * outer + cross + xp.matrix_transpose(cross) + own,
        )

    def moments(self, X: Array, R: Array, theta: Array) -> Triple:
        """Sum R times the scores over rows by matrix products; shapes as in `ScoreMoments`."""
        xp = get_namespace(X)
        q, second, third = self._columns(X)
        one = xp.eye(X.shape[1], dtype=X.dtype, device=array_api_compat.device(X))
        columns = [R[:, o] for o in range(R.shape[1])] if R.ndim == 2 else [R]
        thetas = [theta[:, m] for m in range(theta.shape[1])] if theta.ndim == 2 else [theta]
        sums: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
        for r in columns:
            sums[0].append(r @ q)
            sums[1].append((q * r[:, None]).T @ q + (r @ second) * one)
            cross, own = (second * r[:, None]).T @ q, r @ third
            slices = []
            for direction in thetas:
                weight = r * (q @ direction)
                mixed = direction[:, None] * cross
                slices.append(
                    (q * weight[:, None]).T @ q
                    + mixed
                    + mixed.T
                    + (weight @ second + own * direction) * one
                )
            sums[2].append(xp.stack(slices) if theta.ndim == 2 else slices[0])
        one_response = R.ndim == 1
        first, pairs, triples = (part[0] if one_response else xp.stack(part) for part in sums)
        return first, pairs, triples

    def _columns(self, X: Array) -> Triple:
        """Of each column q_1, and what q_2 and q_3 have beyond products of lower ones: (n, d)."""
        columns = zip(to_numpy(X).T, self.tables, strict=True)
        found = [[np.interp(x, at, score) for score in scores] for x, (at, scores) in columns]
        first, second, third = np.array(found).transpose(1, 2, 0)
        second -= first**2
        third -= first**3 + 3 * second * first
        q, second, third = (from_numpy(part, like=X) for part in (first, second, third))
        return q, second, third
