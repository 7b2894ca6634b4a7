"""What a chain does next: states, means and quantiles some steps ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions.monomials import row_blocks
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["Forecast", "forecast", "mixture_quantiles"]

_SIGN = np.int64(-(2**63))  # the sign bit of a float64
_HALVINGS = 64  # of the whole numbers that count all float64


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is expected some steps ahead; of one prefix alone, arrays lack the first axis.

    Attributes
    ----------
    states : array of shape (m, steps, K)
        Probabilities of the states, 1 .. steps ahead.
    mean : array of shape (m, steps, p)
        Expectation of the observation; for symbols (m, steps, d), their probabilities.
    quantiles : array of shape (m, steps, p, n_levels), or None
        Marginal quantiles of each column; None for symbols, and where none are asked for.
    levels : ndarray of shape (n_levels,), or None
        Their levels, between 0 and 1.
    """

    states: NDArray[np.float64]
    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64] | None
    levels: NDArray[np.float64] | None


def forecast(
    parameters: HMMParameters,
    following: NDArray[np.float64],
    steps: int,
    levels: NDArray[np.float64] | None = None,
) -> Forecast:
    r"""Distributions of states and observations 1 .. `steps` ahead.

    .. math:: P(h_{T+s} = k) = (\phi\, T^{s-1})_k, \qquad
              P(x_{T+s} \le x) = \sum_k P(h_{T+s} = k)\, F_k(x)

    where :math:`\phi` is the distribution of the next state and :math:`F_k` the distribution
    function of an observation in state k.

    Parameters
    ----------
    parameters : HMMParameters
        A model with K states.
    following : ndarray of shape (m, K)
        Distribution of the next state after each of m prefixes.
    steps : int
        At least 1.
    levels : ndarray of shape (n_levels,), optional
        Of the quantiles, between 0 and 1. None: no quantiles.

    Returns
    -------
    Forecast

    See Also
    --------
    spectral_nn.models.chains.inference.filter_last : The last state, given a prefix.
    spectral_nn.models.chains.parameters.stationary : Where long forecasts end.

    Notes
    -----
    Cost: m steps K^2 flops, and 64 distribution functions for each state, column and level.

    References
    ----------
    Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition, 2016,
    chapter 5 (forecast distributions and state prediction).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.emissions.poisson import PoissonEmission
    >>> law = PoissonEmission(np.array([[1.0], [8.0]]))
    >>> parameters = HMMParameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], law)
    >>> found = forecast(parameters, np.array([[1.0, 0.0]]), 3, np.array([0.05, 0.95]))
    >>> found.mean[0, :, 0].round(2).tolist()
    [1.0, 1.7, 2.19]
    >>> found.quantiles[0, :, 0].tolist()
    [[0.0, 3.0], [0.0, 8.0], [0.0, 9.0]]
    """
    states = np.empty((steps, *following.shape))
    states[0] = following
    for step in range(1, steps):
        states[step] = states[step - 1] @ parameters.transmat
    # Rows of a user's transitions sum to one to a few digits only, which many steps would show.
    states /= states.sum(axis=2, keepdims=True)
    states = np.ascontiguousarray(states.transpose(1, 0, 2))
    mean = states @ parameters.emission.mean()
    cdf = getattr(parameters.emission, "cdf", None)
    if levels is None or cdf is None:
        return Forecast(states, mean, None, levels)
    weights = states.reshape(-1, states.shape[2])
    found = mixture_quantiles(cdf, weights, mean.shape[2], levels)
    return Forecast(states, mean, found.reshape(*mean.shape, -1), levels)


def mixture_quantiles(
    cdf: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    weights: NDArray[np.float64],
    n_columns: int,
    levels: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Marginal quantiles of mixtures of the laws of states: the least x with ``F(x) >= level``.

    Parameters
    ----------
    cdf : callable
        `spectral_nn.emissions.base.MarginalEmission.cdf`: from rows (n, p) to (n, K, p).
    weights : ndarray of shape (n, K)
        Of the states in each of n mixtures; rows sum to one.
    n_columns : int
        p.
    levels : ndarray of shape (n_levels,)
        Between 0 and 1.

    Returns
    -------
    ndarray of shape (n, p, n_levels)

    Notes
    -----
    Bisection over all float64 in their order, so that no scale has to be known and the result is
    that of the distribution function to the last bit: of counts, a whole number.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.emissions.gaussian import DiagonalGaussian
    >>> law = DiagonalGaussian(np.array([[-1.0], [1.0]]), np.ones((2, 1)))
    >>> mixture_quantiles(law.cdf, np.array([[0.5, 0.5]]), 1, np.array([0.1, 0.9])).round(3)
    array([[[-1.849,  1.849]]])
    """
    n, width = weights.shape[0], levels.size * n_columns
    found = np.empty((n, levels.size, n_columns))
    for block in row_blocks(n, width * weights.shape[1]):
        found[block] = _bisect(cdf, weights[block], n_columns, levels)
    return found.transpose(0, 2, 1)


def _bisect(
    cdf: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    weights: NDArray[np.float64],
    n_columns: int,
    levels: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Quantiles (n, n_levels, p)."""
    n, K = weights.shape
    shape = (n, levels.size, n_columns)
    low, high = (np.full(shape, _rank(np.array(end))) for end in (-np.inf, np.inf))
    for _ in range(_HALVINGS):
        middle = (low & high) + ((low ^ high) >> 1)  # the mean, which the sum would overflow
        with np.errstate(over="ignore"):
            each = cdf(_number(middle).reshape(-1, n_columns))
        mixed = weights[:, None, None] @ each.reshape(*shape[:2], K, n_columns)
        reached = mixed[:, :, 0] >= levels[:, None]
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return _number(high) + 0.0  # -0.0 is 0


def _rank(x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers in the order of the floats that they stand for."""
    bits = x.view(np.int64)
    return np.where(bits < 0, bits ^ ~_SIGN, bits)


def _number(rank: NDArray[np.int64]) -> NDArray[np.float64]:
    """The floats that ranks stand for."""
    return np.where(rank < 0, rank ^ ~_SIGN, rank).view(np.float64)
