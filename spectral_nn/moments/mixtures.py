r"""Moments of rows that a mixture is read off, up to the third, which are seen through projections.

With :math:`u = (x - m) / s` and :math:`y = W^T u` of q columns, third moments are the
tensor of :math:`E[y^{\otimes 3}]`, q^3 numbers, and :math:`E[u_i^2\, y]`, p q numbers: no array of
p^3 is ever made (Pereira, Kileel, Kolda, *Tensor moments of Gaussian mixture models: theory and
applications*, 2022). All sums add up over chunks. Missing entries stand at the centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.data.rows import Rows, by_blocks
from spectral_nn.data.table import Table
from spectral_nn.runners.base import Runner

__all__ = ["SecondMoments", "ThirdMoments", "second_moments", "third_moments"]


@dataclass(frozen=True, eq=False)
class SecondMoments(Additive):
    """Sums over rows about a centre.

    Attributes
    ----------
    weight, squared_weight : float
        Of weights of rows, and of their squares.
    seen : ndarray of shape (p,)
        Weight of the rows that have each column.
    first : ndarray of shape (p,)
    second : ndarray of shape (p, p)
    """

    weight: float
    squared_weight: float
    seen: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def n_effective(self) -> float:
        """Rows of equal weight that would carry as much."""
        return self.weight**2 / self.squared_weight

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance (p, p) of rows."""
        mean = self.first / self.weight
        return self.second / self.weight - np.outer(mean, mean)


@dataclass(frozen=True, eq=False)
class ThirdMoments(Additive):
    """Sums of third order over rows in a frame.

    Attributes
    ----------
    weight : float
    cross : ndarray of shape (p, q)
        Of ``u_i^2 y_a``.
    third : ndarray of shape (q, q, q)
        Of ``y_a y_b y_c``.
    """

    weight: float
    cross: NDArray[np.float64]
    third: NDArray[np.float64]


def second_moments(table: Table, centre: NDArray[np.float64], run: Runner) -> SecondMoments:
    """Sum first and second moments about a centre (p,), in one pass of n p^2 flops."""
    return run.total(partial(_second, centre=centre), table.chunks())


def third_moments(
    table: Table,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    projection: NDArray[np.float64],
    run: Runner,
) -> ThirdMoments:
    """Sum third moments of rows in units (p,), projected (p, q): 2 n (2 p q + q^3) flops."""
    how = {"mean": mean, "scale": scale, "projection": projection}
    return run.total(partial(_third, **how), table.chunks())


@by_blocks
def _second(rows: Rows, centre: NDArray[np.float64]) -> SecondMoments:
    u, weight = _from_centre(rows, centre)
    seen = weight @ ~np.isnan(u)
    u = np.nan_to_num(u)
    return SecondMoments(
        float(weight.sum()), float(weight @ weight), seen, weight @ u, (u * weight[:, None]).T @ u
    )


@by_blocks
def _third(
    rows: Rows,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    projection: NDArray[np.float64],
) -> ThirdMoments:
    u, weight = _from_centre(rows, mean)
    u = np.nan_to_num(u) / scale
    y = u @ projection
    q = y.shape[1]
    weighted = y * weight[:, None]
    pairs = (y[:, :, None] * y[:, None, :]).reshape(-1, q * q)
    third = (pairs.T @ weighted).reshape(q, q, q)
    return ThirdMoments(float(weight.sum()), (u * u).T @ weighted, third)


def _from_centre(rows: Rows, centre: NDArray[np.float64]) -> tuple[NDArray[np.float64], Any]:
    """Rows about a centre in double precision, NaN where missing, and their weights."""
    weight = np.asarray(rows.weight, dtype=np.float64)
    return np.asarray(rows.X, dtype=np.float64) - centre, weight
