r"""Biases of hidden units from averages of the response times complex waves.

A unit :math:`\sigma(\langle w, x \rangle + b)` is a ridge: shifting it by b turns the phase of its
Fourier transform. Procedure 2 of Janzamin, Sedghi and Anandkumar, *Beating the perils of
non-convexity* (arXiv 1506.08473), reads the bias off that phase; `fourier_biases` is that
procedure. Its average weighs rows by 1/p(x), which must be bounded: on inputs with tails it has no
variance, so that it cannot be used on Gaussian inputs with more than a few features.
`matched_biases` keeps the waves and leaves out the weight. The response of a unit to a wave is then
no longer a pure turn, but it is known for every bias from the inputs alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
from spectral_nn.moments.scores import HasDensity
from spectral_nn.runners.base import Runner, total

__all__ = ["fourier_biases", "matched_biases"]

Floats = NDArray[np.float64]

# Phases of the Fourier transforms of the activations at a positive frequency. Those that do not
# decay have one as distributions: that of the derivative, divided by i times the frequency.
_PHASES = {
    "tanh": -math.pi / 2,
    "logistic": -math.pi / 2,
    "erf": -math.pi / 2,
    "relu": math.pi,
    "softplus": math.pi,
    "squared_relu": math.pi / 2,
}
_REACH = 3.0  # biases are sought within so many deviations of a unit's input
_NODES = 25
_WAVE = 2.0  # angular frequency of a wave, per deviation of a unit's input


def fourier_biases(
    rows: Rows,
    W: Floats,
    loadings: Floats,
    activation: str,
    *,
    score: HasDensity,
    run: Runner,
    rng: np.random.Generator,
    frequency: float = 0.5,
    cap: float = 0.5,
) -> Floats:
    r"""Estimate biases by the Fourier method as published.

    For each unit l, every row gets a random frequency :math:`\omega_i`, uniform on the part of
    the sphere of radius 1/2 that lies close to :math:`w_l`, and

    .. math:: v = \frac1n \sum_i \frac{y_i}{p(x_i)} e^{-2 \pi j \langle \omega_i, x_i \rangle},
        \qquad b_l = \frac1\pi \big(\angle v - \angle \Sigma(\tfrac12)\big),

    where :math:`\Sigma` is the Fourier transform of the activation.

    Parameters
    ----------
    rows : Rows
    W : ndarray (d, k), directions of unit length
    loadings : ndarray (k, q)
        Output weights of each unit up to a positive factor; the outputs are combined with them.
    activation : str
    score : HasDensity
    run : Runner
    rng : numpy.random.Generator
    frequency : float
        Radius of the sphere, in turns. Biases are only told apart within ±1 / (2 frequency).
    cap : float
        The paper's epsilon: the cosine of frequency and direction is at least 1 - cap² / 2.

    Returns
    -------
    biases : ndarray (k,), in ±1 / (2 frequency)

    Raises
    ------
    ValueError
        If the transform of the activation has no phase at that frequency (polynomials).

    Notes
    -----
    Frequencies opposite to the direction belong to the paper's set, too. They would give the
    conjugate of v and cancel its phase; they are left out.

    Where y / p(x) is not square integrable (all inputs with Gaussian tails), the average is ruled
    by the few rows farthest out, and the biases mean nothing.
    Cost: O(n d k).
    """
    if activation not in _PHASES:
        raise ValueError(
            f"activation={activation!r} has no phase to read a bias from; use one of "
            f"{sorted(_PHASES)}."
        )
    seed = int(rng.integers(2**63))
    statistic = partial(
        _waves,
        draw=partial(_frequencies, W=W, radius=frequency, cap=cap, seed=seed),
        loadings=loadings,
        score=score,
    )
    sums = total(run, statistic, enumerate(rows.chunks()))
    phase = np.angle(sums.real + 1j * sums.imaginary) - _PHASES[activation]
    phase = math.pi - (math.pi - phase) % (2 * math.pi)
    return phase / (2 * math.pi * frequency)


@dataclass(frozen=True, eq=False)
class _Waves(Additive):
    """Sums over rows of the response times a wave (k,)."""

    real: Floats
    imaginary: Floats


def _waves(
    chunk: tuple[int, Rows],
    *,
    draw: Callable[..., Floats],
    loadings: Floats,
    score: HasDensity,
) -> _Waves:
    """Sums of y / p(x) exp(-2 pi j <omega, x>) over a chunk, a frequency a row and unit."""
    index, rows = chunk
    X = to_numpy(dense(rows)[0])
    weight = to_numpy(rows.weight) * np.exp(-to_numpy(score.log_density(X)))
    responses = (to_numpy(rows.Y) @ loadings.T) * weight[:, None]
    angles = np.stack(
        [
            2 * math.pi * np.sum(X * draw(index=index, unit=unit, n=len(X)), axis=1)
            for unit in range(len(loadings))
        ],
        axis=1,
    )
    return _Waves(
        np.sum(responses * np.cos(angles), axis=0), -np.sum(responses * np.sin(angles), axis=0)
    )


def _frequencies(
    *, W: Floats, radius: float, cap: float, seed: int, index: int, unit: int, n: int
) -> Floats:
    """Draw frequencies (n, d) uniformly from the cap about a direction.

    1 - cosine has a density in proportion to (h (2 - h))^((d - 3) / 2). That of h^((d - 3) / 2)
    is drawn and thinned; a chunk has its own generator, so that who computes changes nothing.
    """
    rng = np.random.default_rng([seed, index, unit])
    w = W[:, unit]
    d = len(w)
    if d == 1:
        return np.full((n, 1), radius * w[0])
    widest = cap**2 / 2
    h = np.empty(0)
    while len(h) < n:
        drawn = widest * rng.random(2 * n) ** (2 / (d - 1))
        shape = ((2 - drawn) / 2) ** ((d - 3) / 2)
        kept = rng.random(2 * n) * max(1.0, (1 - widest / 2) ** ((d - 3) / 2)) < shape
        h = np.concatenate([h, drawn[kept]])
    cosine = 1 - h[:n, None]
    beside = rng.standard_normal((n, d))
    beside -= (beside @ w)[:, None] * w
    beside /= np.linalg.norm(beside, axis=1, keepdims=True)
    return radius * (cosine * w + np.sqrt(1 - cosine**2) * beside)


def matched_biases(
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
    sums = total(run, statistic, rows.chunks())
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
