r"""Biases of hidden units from averages of the response times complex waves.

A unit :math:`\sigma(\langle w, x \rangle + b)` is a ridge: shifting it by b turns the phase of its
Fourier transform. Procedure 2 of Janzamin, Sedghi and Anandkumar, *Beating the perils of
non-convexity* (arXiv 1506.08473), reads the bias off that phase, from an average that weighs rows
by 1/p(x), which must be bounded: on inputs with tails it has no variance (`bench.network_lift`
shows it). `match_biases` keeps the waves and leaves out the weight. The response of a unit to a
wave is then no longer a pure turn, but it is known for every bias from the inputs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from spectral_nn.additive import Additive
from spectral_nn.arrays import from_numpy, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.runners.base import Runner

__all__ = ["match_biases"]

Floats = NDArray[np.float64]

_REACH = 3.0  # biases are sought within so many deviations of a unit's input
_NODES = 25
_WAVE = 2.0  # angular frequency of a wave, per deviation of a unit's input


def match_biases(
    rows: Table,
    W: Floats,
    loadings: Floats,
    activation: str,
    *,
    mean: Floats,
    covariance: Floats,
    run: Runner,
) -> Floats:
    r"""Estimate biases by matching the responses to waves along the directions.

    .. math:: v_l = \mathrm{cov}\big(y, e^{-j s \langle w_l, x \rangle}\big)
        = \sum_m a_m F_{lm}(b_m), \qquad
        F_{lm}(b) = \mathrm{cov}\big(\sigma(\langle w_m, x \rangle + b),
        e^{-j s \langle w_l, x \rangle}\big)

    The responses F are averaged over the rows for a grid of biases and interpolated; the k
    complex equations are solved for real a and b by least squares, with a eliminated, from the
    biases that give each unit alone the right phase.

    Parameters
    ----------
    rows : table
    W : ndarray (d, k), directions of unit length
    loadings : ndarray (k, q)
        Output weights of each unit up to a positive factor.
    activation : str
    mean : ndarray (d,), of the inputs
    covariance : ndarray (d, d), of the inputs
    run : Runner

    Returns
    -------
    biases : ndarray (k,)
        Within three standard deviations of each unit's input.

    Notes
    -----
    The waves are those of Procedure 2 with the frequency along the direction itself, and the
    inputs' density in the place of 1: no density needs to be known, and the average has a
    variance whatever the inputs. Cost: O(n (d k + 25 k²)).
    """
    k = W.shape[1]
    spread = np.sqrt(np.maximum(np.einsum("dk,de,ek->k", W, covariance, W), 0))
    spread = np.where(spread > 0, spread, 1.0)
    nodes = np.linspace(-_REACH, _REACH, _NODES)
    statistic = partial(
        _responses, scaled=W / spread, mean=mean, spread=spread, nodes=nodes, activation=activation
    )
    sums = run.total(statistic, rows.chunks())
    response, waves, units, outputs = (
        array / sums.weight for array in (sums.response, sums.waves, sums.units, sums.outputs)
    )
    v = response - waves[:, None] * outputs  # (2k, q), real parts before imaginary ones
    table = sums.table / sums.weight - waves[:, None, None] * units
    spline = CubicSpline(nodes, table, axis=2)  # (2k, k) at a bias; a unit needs its own column
    shifts = _solve(v, spline, _alone(v, loadings, spline, k))
    return shifts * spread - mean @ W


@dataclass(frozen=True, eq=False)
class _Responses(Additive):
    """Sums over rows: of waves (2k,), units (k, nodes), outputs (q,), and their products."""

    weight: float
    waves: Floats
    units: Floats
    outputs: Floats
    response: Floats
    table: Floats


@by_blocks
def _responses(
    rows: Rows, *, scaled: Floats, mean: Floats, spread: Floats, nodes: Floats, activation: str
) -> _Responses:
    """Sums of waves times outputs and times units, for all shifts of the units."""
    X, xp = dense(rows)
    t = (X - from_numpy(mean, like=X)) @ from_numpy(scaled, like=X)
    waves = xp.concat([xp.cos(_WAVE * t), -xp.sin(_WAVE * t)], axis=1)
    n, k = t.shape
    grid = from_numpy(nodes, like=X)
    inputs = (t[:, :, None] + grid) * from_numpy(spread, like=X)[None, :, None]
    units = xp.reshape(ACTIVATIONS[activation].value(inputs), (n, -1))
    weighted = waves * rows.weight[:, None]
    table = to_numpy(weighted.T @ units)
    return _Responses(
        float(xp.sum(rows.weight)),
        to_numpy(xp.sum(weighted, axis=0)),
        to_numpy(rows.weight @ units).reshape(k, -1),
        to_numpy(rows.weight @ rows.Y),
        to_numpy(weighted.T @ rows.Y),
        table.reshape(2 * k, k, -1),
    )


def _alone(v: Floats, loadings: Floats, spline: Any, k: int) -> Floats:
    """Return the shifts (k,) that give each unit by itself the phase of its wave."""
    shifts = np.linspace(-_REACH, _REACH, 20 * _NODES)
    table = spline(shifts)  # (2k, k, shifts)
    starts = []
    for unit in range(k):
        own = table[[unit, k + unit], unit, :]
        seen = v[[unit, k + unit], :] @ loadings[unit]
        length = np.linalg.norm(own, axis=0)
        # where a unit hardly bends, its phase is no evidence
        usable = length > 1e-3 * length.max()
        agreement = np.where(usable, (seen @ own) / np.where(usable, length, 1.0), -np.inf)
        starts.append(shifts[np.argmax(agreement)])
    return np.array(starts)


def _solve(v: Floats, spline: Any, start: Floats) -> Floats:
    """Return the shifts for which some output weights explain all waves best."""
    units = np.arange(len(start))

    def residual(shifts: Floats) -> Floats:
        F = np.stack([spline(shifts[unit])[:, unit] for unit in units], axis=1)
        a = np.linalg.lstsq(F, v, rcond=1e-6)[0]
        return (F @ a - v).ravel()

    inside = np.clip(start, -0.99 * _REACH, 0.99 * _REACH)
    scale = float(np.linalg.norm(v)) or 1.0
    # Slow to import, and needed by nothing else here.
    from scipy.optimize import least_squares

    found = least_squares(
        lambda shifts: residual(shifts) / scale, inside, bounds=(-_REACH, _REACH), max_nfev=100
    )
    return found.x
