r"""Biases of hidden units by the published Fourier method, to compare with.

Procedure 2 of Janzamin, Sedghi and Anandkumar, *Beating the perils of non-convexity* (arXiv
1506.08473); see `spectral_nn.models.network.lift_biases` for what the library does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, to_numpy
from spectral_nn.data.rows import Rows, dense
from spectral_nn.runners.base import Runner

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


class HasDensity(Protocol):
    """A score that also knows the density."""

    def log_density(self, X: Array) -> Array:
        """Return log p(x) (n,) of rows X (n, d)."""


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
    **_: Any,
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
    sums = run.total(statistic, enumerate(rows.chunks()))
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
