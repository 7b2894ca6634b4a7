"""Graphs and partly known labels, checked, with errors that name the argument."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from spectral_estimators._answers import is_missing
from spectral_estimators._network_input import DTYPES, LARGEST, check_magnitude
from spectral_nn.models.graphs.affinity import Graph, make_graph, symmetrise
from spectral_nn.warn import warn

__all__ = ["check_exponents", "check_weights", "neighbor_graph", "read_labels", "weighted_graph"]

_ROUNDING = 100  # units in the last place of the largest weight
_SUM = 1e-3  # by which rows of y may miss one


def read_labels(estimator: Any, y: Any, dtype: Any) -> tuple[NDArray, NDArray]:
    """Classes, and what is known of each row.

    Parameters
    ----------
    estimator : for errors.
    y : array-like of shape (n,), unlabelled -1, or None among objects; or distributions of shape
        (n, C), unlabelled a row of zeros or of NaN.
    dtype : of the distributions.

    Returns
    -------
    classes : array (C,)
    given : array (n, C)
        Rows sum to one, or are zero.

    Raises
    ------
    ValueError
        Naming y.
    """
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    try:
        table = np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"y must be a row of labels or a table of distributions: {error}"
        ) from error
    if table.ndim == 2 and table.shape[1] > 1:
        return _read_distributions(y, dtype)
    values = column_or_1d(y, warn=True)
    if values.dtype.kind == "O":
        absent = is_missing(values) | (values == -1)
    else:
        values = check_array(values, ensure_2d=False, dtype=None, input_name="y")
        absent = np.asarray(values == -1) & (values.dtype.kind in "iuf")
    if absent.all():
        raise ValueError(
            f"y holds no label: all of its {values.size} entries are -1, which stands for unknown. "
            "Label one row at least."
        )
    known = values[~absent]
    kinds = {type(value).__name__ for value in known} if known.dtype.kind == "O" else set()
    if "str" in kinds and len(kinds) > 1:
        raise ValueError(
            f"y holds labels of several kinds: {', '.join(sorted(kinds))}. Give all as strings, or "
            "all as numbers; -1 or None where unknown."
        )
    check_classification_targets(known)
    classes, codes = np.unique(known, return_inverse=True)
    given = np.zeros((values.size, classes.size), dtype)
    given[np.flatnonzero(~absent), codes] = 1
    return classes, given


def _read_distributions(y: Any, dtype: Any) -> tuple[NDArray, NDArray]:
    """Classes, which are the columns of y, and its rows."""
    names = getattr(y, "columns", None)
    given = check_array(y, dtype=dtype, ensure_all_finite="allow-nan", input_name="y", copy=True)
    given[np.isnan(given).all(axis=1)] = 0
    if np.isnan(given).any() or (given < 0).any():
        row, column = np.argwhere(~(given >= 0))[0]
        raise ValueError(
            f"y[{row}, {column}] is {given[row, column]}: rows of y are distributions of labels, or"
            " zeros or NaN all along where nothing is known."
        )
    totals = given.sum(axis=1)
    known = totals > 0
    wrong = known & (np.abs(totals - 1) > _SUM)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"row {row} of y sums to {totals[row]:g}, and {int(wrong.sum())} rows do not sum to 1. "
            "Divide rows by their sums; give zeros where nothing is known."
        )
    if not known.any():
        raise ValueError("y holds no label: all of its rows are zeros or NaN. Label one row.")
    given[known] /= totals[known, None]
    return np.arange(given.shape[1]) if names is None else np.asarray(names), given


def check_exponents(X: Any, gamma: float) -> None:
    """Check that gamma times squares of the numbers in X are finite; ValueError naming X."""
    check_magnitude(X)
    values = X.data if sparse.issparse(X) else X
    most = float(np.abs(values).max(initial=0))
    if gamma**0.5 * most > LARGEST[values.dtype]:
        raise ValueError(
            f"X holds numbers up to {most:.3g} in size: their squares times gamma={gamma:g} are no "
            f"finite numbers in {values.dtype}. Scale the columns of X, or lower gamma."
        )


def neighbor_graph(X: Any, finder: NearestNeighbors) -> sparse.csr_array:
    """Edges of weight one from each row to its nearest neighbours, itself among them."""
    weights = finder.kneighbors_graph(X, mode="connectivity")
    return sparse.csr_array(weights).astype(X.dtype)


def check_weights(weights: Any, name: str, shape: tuple[int | None, int | None]) -> Any:
    """Check that weights are finite, not negative, and of some shape.

    Parameters
    ----------
    weights : array or sparse matrix
    name : where they come from, for errors.
    shape : of which None is any.

    Returns
    -------
    csr_array or ndarray
        In float64 or float32.

    Raises
    ------
    ValueError
        Naming where they come from.
    """
    weights = check_array(weights, accept_sparse="csr", dtype=DTYPES, input_name=name)
    if any(want not in (None, got) for want, got in zip(shape, weights.shape, strict=True)):
        wanted = " x ".join("any number" if one is None else str(one) for one in shape)
        raise ValueError(
            f"{name} has shape {weights.shape}: weights between these rows are {wanted}."
        )
    values = weights.data if sparse.issparse(weights) else weights
    if (values < 0).any():
        raise ValueError(
            f"{name} holds {int((values < 0).sum())} negative weights, the least {values.min():g}. "
            "Weights say how alike two rows are: distances d, for example, become exp(-d)."
        )
    return sparse.csr_array(weights) if sparse.issparse(weights) else weights


def weighted_graph(weights: Any, name: str, solver: str) -> Graph:
    """Graph of checked weights, without directions unless the solver takes these.

    Warns
    -----
    UserWarning
        If directions are averaged away.
    """
    graph = make_graph(weights)
    if solver == "power" or graph.symmetric:
        return graph
    apart, largest = abs(graph.weights - graph.weights.T).max(), graph.weights.max()
    if apart > _ROUNDING * np.finfo(graph.weights.dtype).eps * largest:
        warn(
            f"{name} is not symmetric: weights of an edge there and back differ by up to {apart:g},"
            f" the largest weight is {largest:g}. solver={solver!r} takes their mean; "
            "solver='power' follows directions.",
            UserWarning,
        )
    return symmetrise(graph)
