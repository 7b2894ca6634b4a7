"""Tensors for inputs that are not Gaussian: regressions inside mixture components, and cubics.

Inside a region the linear and quadratic coefficients of a regression of y are sums over the hidden
units of ``u_j`` and ``u_j u_j^T``, with weights of the region's own: extra slices that share the
directions with all others.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.arrays import from_numpy, to_numpy
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.moments import NetworkMoments, solve_moments, taylor
from spectral_nn.moments.frame import Frame
from spectral_nn.moments.polynomial import (
    NormalEquations,
    low_features,
    low_moments,
    monomial_index,
    monomials,
)
from spectral_nn.moments.scores import fit_mixture
from spectral_nn.runners.base import Runner

__all__ = ["cubic_moments", "find_components", "mixture_moments"]

_SAMPLE = 20_000
MAX_COMPONENTS = 4
_ROWS_A_DIMENSION = 20  # of a component, at the least
_ROWS_A_REGRESSOR = 1.5
MAX_FEATURES = 1000  # of the regression on cubics
_ROWS_A_CUBIC = 3


def find_components(rows: Table, frame: Frame, seed: int) -> Any | None:
    """Fit a Gaussian mixture to the inputs, its number of components (2 to 4) by BIC.

    Returns
    -------
    The fitted `sklearn.mixture.GaussianMixture`, or None if one component is as good, or if the
    components would hold too few rows to regress in.

    Notes
    -----
    At most 20,000 rows are looked at.
    """
    from sklearn.exceptions import ConvergenceWarning

    K, n = frame.n_dimensions, rows.n_rows
    Z = to_numpy(frame.inputs(dense(rows.sample(_SAMPLE))[0]))
    regressors = 1 + K + K * (K + 1) // 2
    least = max(_ROWS_A_DIMENSION * K, _ROWS_A_REGRESSOR * regressors)
    best, best_bic = None, np.inf
    for n_components in range(1, MAX_COMPONENTS + 1):
        if n_components * least > n:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # BIC judges what came of it
            mixture = fit_mixture(Z, n_components, reg_covar=1e-4, seed=seed)
        if mixture.weights_.min() * n < least:
            break
        bic = mixture.bic(Z)
        if bic < best_bic:
            best, best_bic = mixture, bic
    return best if best is not None and best.n_components > 1 else None


@by_blocks
def _component_moments(rows: Rows, frame: Frame, mixture: Any, component: int) -> NormalEquations:
    """Normal equations of a chunk, each row weighted by how far it belongs to a component."""
    Z = to_numpy(frame.inputs(dense(rows)[0]))
    share = from_numpy(mixture.predict_proba(Z)[:, component], like=rows.weight)
    return low_moments(rows._replace(weight=rows.weight * share), frame)


def mixture_moments(
    rows: Table, moments: NetworkMoments, mixture: Any, run: Runner
) -> NetworkMoments:
    """Add slices of orders 1 and 2 from regressions inside the components of a mixture.

    Notes
    -----
    One pass a component, O(n K^4 / 16) each.
    """
    frame, K = moments.frame, moments.frame.n_dimensions
    first, second, *higher = moments.tensors
    for component, share in enumerate(mixture.weights_):
        passes = partial(_component_moments, frame=frame, mixture=mixture, component=component)
        coefficients = solve_moments(run.total(passes, rows.chunks()))
        local = taylor(coefficients, K, moments.residual)
        # White noise again, as far as a component is about as wide as the whole.
        first = np.concatenate([first, np.sqrt(share) * local[0]], axis=-1)
        second = np.concatenate([second, np.sqrt(share) * local[1]], axis=-1)
    return NetworkMoments((first, second, *higher), frame, moments.noise, moments.residual)


@by_blocks
def _cubic_low_moments(rows: Rows, frame: Frame) -> NormalEquations:
    """Normal equations of a chunk for the regression on all cubics."""
    X, xp = dense(rows)
    Z, Y = frame.inputs(X), frame.outputs(rows.Y)
    features = xp.concat([low_features(Z), monomials(Z, 3)], axis=1)
    return NormalEquations.of(features, Y, rows.weight)


def cubic_moments(rows: Table, moments: NetworkMoments, run: Runner) -> NetworkMoments | None:
    r"""Replace moments by the coefficients of the regression on all cubics.

    No law of the inputs is assumed: the coefficients of a polynomial that approximates
    :math:`\sum_j a_j \sigma(u_j^T z)` are themselves such sums over units, order by order, as
    far as the approximation goes.

    Returns
    -------
    NetworkMoments of orders 1 to 3; None if the rows are too few, or the dimensions too many, for
    the regression.

    Notes
    -----
    One pass, O(n K^6 / 36).
    """
    frame, K = moments.frame, moments.frame.n_dimensions
    n_low = 1 + K + K * (K + 1) // 2
    n_features = n_low + K * (K + 1) * (K + 2) // 6
    if n_features > MAX_FEATURES or n_features * _ROWS_A_CUBIC > moments.noise**-2:
        return None
    low = run.total(partial(_cubic_low_moments, frame=frame), rows.chunks())
    coefficients = solve_moments(low)
    first, second = taylor(coefficients[:n_low], K, moments.residual)
    # A product's coefficient is shared by the places that its factors can stand in.
    index = monomial_index(K, 3)
    third = 6.0 * (coefficients[n_low:] / np.bincount(index.ravel())[:, None])[index]
    return NetworkMoments(
        (first, second, third / (np.sqrt(6) * moments.residual)),
        frame,
        moments.noise,
        moments.residual,
    )
