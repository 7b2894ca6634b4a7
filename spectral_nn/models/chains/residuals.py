"""Pseudo-residuals: how surprising each entry is, given all other rows, on the normal scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spectral_nn.data import Sequences
from spectral_nn.emissions.monomials import row_blocks
from spectral_nn.models.chains.inference import leave_out
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["autocorrelations", "pseudo_residuals"]

_LEAST = 2.0**-53  # probabilities closer to 0 or 1 are taken as this: float64 ends there, below 1


def pseudo_residuals(parameters: HMMParameters, data: Sequences) -> NDArray[np.float64]:
    r"""Ordinary normal pseudo-residuals of every column.

    .. math:: r_{tj} = \Phi^{-1}\Bigl(\sum_k P(h_t = k | \text{all rows but } x_t)\,
              \tfrac12 [F_{kj}(x_{tj}) + F_{kj}(x_{tj}-)]\Bigr)

    where :math:`F_{kj}` is the distribution function of column j in state k, and
    :math:`F_{kj}(x-)` its limit from below: the two differ for counts alone, whose residuals are
    thus those of the middle of the step.

    Parameters
    ----------
    parameters : HMMParameters
        A model with K states, whose emission is a
        `spectral_nn.emissions.base.MarginalEmission`.
    data : Sequences
        Rows (n, p), NaN where missing.

    Returns
    -------
    ndarray of shape (n, p)
        NaN where an entry is missing; between -8.21 and 8.21, where float64 ends below 1.

    See Also
    --------
    spectral_nn.models.chains.inference.leave_out : The states, given all other rows.
    autocorrelations : What is left of their order in time.

    Notes
    -----
    Of real numbers each is standard normal if the model is right. They are not quite independent
    of each other even then: each leans away from the rows that it is seen from, so that neighbours
    have autocorrelations a little below zero. Other columns of the
    same row are not looked at.

    Cost: 2 K^2 exponentials a row, and 2 K p distribution functions.

    References
    ----------
    Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition, 2016,
    chapter 6 (pseudo-residuals).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.emissions.gaussian import DiagonalGaussian
    >>> law = DiagonalGaussian(np.array([[0.0], [5.0]]), np.ones((2, 1)))
    >>> parameters = HMMParameters([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], law)
    >>> data = Sequences(np.array([[0.0], [1.0], [np.nan], [-3.0]]), np.array([0, 4]))
    >>> pseudo_residuals(parameters, data).ravel().round(3).tolist()
    [0.0, 1.0, nan, -3.0]
    """
    states, _ = leave_out(parameters, data)
    x, cdf = data.values, parameters.emission.cdf
    found = np.full(x.shape, np.nan)
    for block in row_blocks(x.shape[0], 4 * states.shape[1] * x.shape[1]):
        seen = np.nan_to_num(x[block])
        middle = (cdf(seen) + cdf(np.nextafter(seen, -np.inf))) / 2
        found[block] = (states[block, None] @ middle)[:, 0]
    found[np.isnan(x)] = np.nan
    return ndtri(np.clip(found, _LEAST, 1 - _LEAST))


def autocorrelations(
    x: NDArray[np.float64], offsets: NDArray[np.int64], n_lags: int
) -> NDArray[np.float64]:
    r"""Autocorrelations of columns, over pairs of one sequence of which both are seen.

    .. math:: \hat\rho_l = \frac{\sum_t z_t z_{t+l} / n_l}{\sum_t z_t^2 / n_0}

    where z are deviations from the mean of the column, and :math:`n_l` is the number of pairs.

    Parameters
    ----------
    x : ndarray of shape (n, p)
        NaN where missing.
    offsets : ndarray of shape (m + 1,)
        Ends of the m sequences.
    n_lags : int
        The largest lag.

    Returns
    -------
    ndarray of shape (n_lags + 1, p)
        1 at lag 0; NaN where there is no pair, or nothing varies.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.array([[1.0], [-1.0], [1.0], [np.nan], [1.0], [-1.0], [-1.0]])
    >>> autocorrelations(wave, np.array([0, 7]), 2).ravel().tolist()
    [1.0, -0.5, 0.3333333333333333]
    """
    sequence = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    seen = ~np.isnan(x)
    mean = np.where(seen, x, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    z = np.where(seen, x - mean, 0.0)
    found = np.full((n_lags + 1, x.shape[1]), np.nan)
    for lag in range(min(n_lags, x.shape[0] - 1) + 1):
        first, second = slice(0, x.shape[0] - lag), slice(lag, None)
        pairs = seen[first] & seen[second] & (sequence[first] == sequence[second])[:, None]
        with np.errstate(invalid="ignore"):
            found[lag] = (z[first] * z[second] * pairs).sum(axis=0) / pairs.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return found / found[0]
