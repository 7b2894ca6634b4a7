"""Checks of what anchors are made of: where neighbours are, and features of symbols."""

from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse

from spectral_nn.arrays import to_numpy
from spectral_nn.moments.ngrams import window_order

__all__ = ["checked_features", "checked_lags"]


def checked_lags(lags: Any, n_symbols: int) -> tuple[int, ...] | None:
    """Where neighbours are, relative to a symbol; None where that is left to the fit.

    Raises
    ------
    ValueError
        Naming ``context_lags``: none, no whole numbers, 0, one of them twice, or too far away.
    """
    if lags is None:
        return None
    found = list(lags)
    most = window_order(n_symbols) - 1
    if not found:
        raise ValueError("context_lags is empty. Give positions of neighbours, such as (-1, 1).")
    for lag in found:
        if not isinstance(lag, Integral) or not 1 <= abs(int(lag)) <= most:
            raise ValueError(
                f"context_lags holds {lag!r}, but neighbours of n_features={n_symbols} symbols are "
                f"1 to {most} positions away: whole numbers from -{most} to {most} without 0."
            )
    if len(set(found)) < len(found):
        raise ValueError(f"context_lags={tuple(found)} names a position twice.")
    return tuple(int(lag) for lag in found)


def checked_features(features: Any, n_symbols: int) -> sparse.csr_array | None:
    """Features of symbols as a sparse array of float64.

    Raises
    ------
    ValueError
        Naming ``symbol_features``: no matrix, other rows than symbols, or not finite.
    """
    if features is None:
        return None
    try:
        array = features if sparse.issparse(features) else np.asarray(to_numpy(features))
    except ValueError as error:
        raise ValueError(f"symbol_features must be a matrix: {error}") from error
    if array.dtype.kind == "c":
        raise ValueError("symbol_features must hold real numbers, not complex ones.")
    if array.ndim != 2 or array.shape[0] != n_symbols:
        raise ValueError(
            f"symbol_features must have a row for each of the {n_symbols} symbols; got shape "
            f"{array.shape}. Set n_features if some symbols do not occur in X."
        )
    try:
        found = sparse.csr_array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"symbol_features must hold numbers: {error}") from error
    if not np.isfinite(found.data).all():
        raise ValueError("symbol_features must hold finite numbers.")
    return found
