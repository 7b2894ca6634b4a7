r"""The textbook algorithm for one hidden layer: score moments, tensor power, Fourier, ridge.

Janzamin, Sedghi and Anandkumar, *Beating the perils of non-convexity: guaranteed training of
neural networks using tensor methods* (arXiv 1506.08473), Algorithm 1, NN-LIFT. For

.. math:: E[y \mid x] = \langle a_2, \sigma(A_1^T x + b_1) \rangle + b_2

and the score functions of the inputs (`spectral_nn.moments.scores`), Stein's identity gives

.. math:: E[y \cdot S_3(x)] = \sum_j \lambda_j\, (A_1)_j^{\otimes 3}, \qquad
    \lambda_j = a_2(j)\, E[\sigma'''(z_j)], \qquad z_j = \langle (A_1)_j, x \rangle + b_1(j).

What the method assumes, and where it bites:

* *Columns of A_1 have unit length.* The tensor knows directions only. With other lengths the
  directions are found all the same, but biases and output weights belong to another network.
* *At most d units.* They are whitened to be orthogonal.
* :math:`E[\sigma'''(z_j)]` *does not vanish.* It does for ReLU and softplus at b = 0 on centred
  symmetric inputs, and for polynomials of degree two. What is found then is noise.
* *The matrix that whitens is definite:* :math:`E[y S_2] = \sum_j a_2(j) E[\sigma''(z_j)] (A_1)_j
  (A_1)_j^T` when output weights and second derivatives have one sign (the latter vanishes for odd
  activations at b = 0), a slice :math:`E[y S_3](I, I, \theta)` when all
  :math:`\lambda_j \langle (A_1)_j, \theta \rangle` have one. Output weights of both signs rule
  out the first; many units the second, since a random slice is definite with a chance of about
  2^(1-k). After an indefinite whitening an error remains that more rows do not remove.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, from_numpy, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.lift_biases import match_biases
from spectral_nn.models.network.lift_directions import (
    Whitener,
    directions,
    orient,
    whiten_second,
    whiten_slices,
)
from spectral_nn.models.network.score_tensors import mean_scores
from spectral_nn.models.network.units import hidden_moments
from spectral_nn.moments.scores import Score
from spectral_nn.runners.base import Runner

__all__ = ["LiftResult", "lift"]

Floats = NDArray[np.float64]

MAX_SLICES = 64  # of the third moment that are computed
_RIDGE = 1e-6  # on squares of a_2, in units of the mean variance of the hidden units


@dataclass(frozen=True, eq=False)
class LiftResult:
    """A network fitted by the textbook algorithm.

    Attributes
    ----------
    network : Network
    whitener : Whitener
    residual : relative residual of the whitened tensor, 0 for a perfect decomposition.
    """

    network: Network
    whitener: Whitener
    residual: float


def lift(
    rows: Table,
    n_components: int,
    activation: str,
    *,
    score: Score,
    rng: np.random.Generator,
    run: Runner,
    whitening: str = "auto",
    find_biases: Callable[..., Floats] = match_biases,
) -> LiftResult:
    r"""Fit a network with one hidden layer by the textbook algorithm.

    1. Means of :math:`y S_1, y S_2` and, unless the second moment serves, of slices of
       :math:`y S_3`; whitening; a pass for the whitened tensor :math:`E[y S_3](W, W, W)`.
    2. Orthogonal tensor power iteration with deflation; un-whitening gives the columns of A_1 up
       to sign (appendix B), and `orient` the signs.
    3. Waves along the directions for b_1 (in the place of Procedure 2, see `match_biases`).
    4. Ridge regression of y on the hidden units for a_2 and b_2 (Procedure 3).

    Parameters
    ----------
    rows : table
    n_components : int
        k, at most d.
    activation : str
        A key of `ACTIVATIONS`.
    score : Score
        Score functions of the inputs.
    rng : numpy.random.Generator
    run : Runner
        Who computes.
    whitening : "auto", "second" or "slice"
        Whiten by :math:`E[y S_2]`, or by a random slice of the third moment. "auto" takes the
        former if its k leading eigenvalues have one sign and stand out.
    find_biases : callable
        As `match_biases`.

    Returns
    -------
    LiftResult
        The network's arrays are of the library and device of the table.

    Raises
    ------
    ValueError
        If the outputs are constant.

    Warns
    -----
    RankWarning
        If the moments have a numerical rank below n_components.

    Notes
    -----
    Where it departs from the paper: y is centred, which changes no expectation (scores have mean
    zero) and lowers the variance; the range of a slice is the one that all computed slices
    share (their leading singular vectors), and of a thousand random slices the definite one that
    lies farthest from singular is used; power iterations start at random rather than from slices'
    singular vectors; biases, by default, by `match_biases`.

    Cost: O(n d² q min(d, 64)) for the slices where they are needed, O(n d² k q) for the tensor,
    and O(n k (d + 25 k)) for biases and regression: five passes over the rows, six with slices.
    Memory O(q d² min(d, 64)) and that of a chunk.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.data.rows import Rows
    >>> from spectral_nn.models.network.lift import lift
    >>> from spectral_nn.moments.scores import GaussianScore
    >>> from spectral_nn.runners.base import SerialRunner
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 3))
    >>> y = np.tanh(X[:, 0] + 0.5) + np.tanh(X[:, 1] + 0.5)
    >>> rows, score = Rows(X, y[:, None], np.ones(len(y))), GaussianScore(np.zeros(3), np.eye(3))
    >>> network = lift(rows, 2, "tanh", score=score, rng=rng, run=SerialRunner()).network
    >>> bool(np.abs(network.predict(X)[:, 0] - y).mean() < 0.05)
    True
    """
    inputs = run.total(_table_sums, rows.chunks())
    if not np.any(inputs.output_scatter() > 0):
        raise ValueError("y is constant: there is nothing for hidden units to explain.")
    centred = partial(_centred, centre=inputs.outputs / inputs.weight)

    def means(thetas: Floats) -> tuple[Floats, Floats, Floats]:
        return mean_scores(rows, score, thetas, centred, run)

    axes = _axes(rows.n_features, rng)
    first, second, _ = means(axes[:, :1])
    whitener = None
    if whitening != "slice":
        whitener = whiten_second(second, n_components, always=whitening == "second", rng=rng)
    if whitener is None:
        third = means(axes)[2]
        whitener = whiten_slices(third.reshape(-1, *third.shape[2:]), n_components, rng=rng)
    W = whitener.whitener
    core = W.T @ means(W)[2] @ W
    unit, residual = directions(core, whitener, rng=rng)
    unit, loadings = orient(unit, first, second, activation)
    mean = inputs.first / inputs.weight
    covariance = inputs.second / inputs.weight - np.outer(mean, mean)
    shift = find_biases(rows, unit, loadings, activation, mean=mean, covariance=covariance, run=run)
    coefs, intercepts = _regress(run, rows, unit, shift, activation)
    network = Network(
        tuple(from_numpy(part, like=rows.like) for part in (unit, coefs)),
        tuple(from_numpy(part, like=rows.like) for part in (shift, intercepts)),
        activation,
        "identity",
    )
    return LiftResult(network, whitener, residual)


@dataclass(frozen=True, eq=False)
class _TableSums(Additive):
    """Sums over rows of weights, x (d,), x xᵀ (d, d), y (q,) and y² (q,)."""

    weight: float
    first: Floats
    second: Floats
    outputs: Floats
    squares: Floats

    def output_scatter(self) -> Floats:
        """Variances of the outputs beyond rounding error."""
        mean = self.outputs / self.weight
        square = self.squares / self.weight
        return square - mean**2 - 1e-12 * square


@by_blocks
def _table_sums(rows: Rows) -> _TableSums:
    X, xp = dense(rows)
    return _TableSums(
        float(xp.sum(rows.weight)),
        to_numpy(rows.weight @ X),
        to_numpy((X * rows.weight[:, None]).T @ X),
        to_numpy(rows.weight @ rows.Y),
        to_numpy(rows.weight @ rows.Y**2),
    )


def _centred(X: Array, Y: Array, centre: Floats) -> Array:
    return Y - from_numpy(centre, like=Y)


def _axes(d: int, rng: np.random.Generator) -> Floats:
    """Orthonormal directions (d, m) of the slices: all axes, or random ones where d is large."""
    if d <= MAX_SLICES:
        return np.eye(d)
    return np.linalg.qr(rng.standard_normal((d, MAX_SLICES)))[0]


def _regress(
    run: Runner, rows: Table, unit: Floats, shift: Floats, activation: str
) -> tuple[Floats, Floats]:
    """Output weights (k, q) and intercepts (q,), which are not penalised."""
    statistic = partial(hidden_moments, coef=unit, intercept=shift, activation=activation)
    sums = run.total(statistic, rows.chunks())
    gram, cross = to_numpy(sums.gram), to_numpy(sums.cross)
    weight = gram[0, 0]
    mean, outputs = gram[0, 1:] / weight, cross[0] / weight
    covariance = gram[1:, 1:] / weight - np.outer(mean, mean)
    slopes = cross[1:] / weight - np.outer(mean, outputs)
    penalty = _RIDGE * np.trace(covariance) / len(covariance) + np.finfo(np.float64).tiny
    coefs = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), slopes)
    return coefs, outputs - mean @ coefs
