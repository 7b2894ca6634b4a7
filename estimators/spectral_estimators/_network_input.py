"""Data and settings of the network estimators, checked, with errors that name the argument."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_consistent_length, check_X_y, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

__all__ = [
    "DTYPES",
    "LARGEST",
    "check_known",
    "check_magnitude",
    "check_weight_range",
    "columns",
    "counts",
    "fit_classes",
    "layer_sizes",
    "one_hot",
    "read_table",
    "read_x",
    "read_xy",
    "row_major",
    "row_weights",
]

DTYPES = (np.float64, np.float32)

LARGEST = {np.dtype(np.float64): 1e90, np.dtype(np.float32): 1e15}
"""Up to which sums of products of two numbers, in double precision of three, are finite."""

_LARGEST_WEIGHT = 1e30


def layer_sizes(hidden_layer_sizes: Any, init: str) -> Any:
    """Units of each hidden layer as a tuple, or "auto".

    Raises
    ------
    ValueError
        If a size is no positive whole number, or "auto" meets ``init="random"``.
    """
    if isinstance(hidden_layer_sizes, str):  # the constraints leave "auto" alone
        if init == "random":
            raise ValueError(
                "hidden_layer_sizes='auto' reads the width off the moments, which init='random' "
                "does not take. Use init='tensor', or give the width as a number."
            )
        return "auto"
    sizes = np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object))
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes.flat)
    if sizes.ndim != 1 or not whole or any(size < 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be whole numbers > 0, one a layer, got {hidden_layer_sizes}."
        )
    return tuple(int(size) for size in sizes)


def read_xy(
    estimator: Any, X: Any, y: Any, *, resume: bool, numeric: bool, missing: bool = False
) -> tuple[Any, Any]:
    """Rows and targets, with the estimator left untouched.

    Parameters
    ----------
    resume : whether X has to have the columns of an earlier fit.
    numeric : whether y holds numbers.
    missing : whether X may hold NaN.

    Returns
    -------
    X : array or CSR (n, d), float64 or float32
    y : array (n,) or (n, q)

    Raises
    ------
    ValueError
        Naming X or y: NaN, infinity, no rows, lengths that differ, or other columns than before.
    """
    checks = _checks(missing) | {"multi_output": True, "y_numeric": numeric}
    if resume:
        X, y = validate_data(estimator, X, y, reset=False, **checks)
    else:
        X, y = check_X_y(X, y, estimator=estimator, **checks)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return row_major(X), y


def read_x(estimator: Any, X: Any, *, resume: bool, missing: bool = False) -> Any:
    """Rows of a table that has no targets; see `read_xy`."""
    if resume:
        X = validate_data(estimator, X, reset=False, **_checks(missing))
    else:
        X = check_array(X, estimator=estimator, input_name="X", **_checks(missing))
    return row_major(X)


def _checks(missing: bool) -> dict[str, Any]:
    finite = "allow-nan" if missing else True
    return {"accept_sparse": "csr", "dtype": DTYPES, "ensure_all_finite": finite}


def read_table(estimator: Any, X: Any) -> Any:
    """Rows for a fitted estimator: array or CSR (n, d), float64 or float32; errors name X."""
    return row_major(validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=DTYPES))


def row_major(X: Any) -> Any:
    """X with each row in one piece, where it holds its columns so, as data frames do.

    Products of matrices round differently in the two layouts, and a frame is to give the numbers
    of the array that it holds. Views that are in neither (of `Lagged`) stay as they are.
    """
    flags = getattr(X, "flags", None)
    return np.ascontiguousarray(X) if getattr(flags, "fnc", False) else X


def row_weights(sample_weight: Any, X: Any, Y: NDArray) -> tuple[Any, NDArray, NDArray | None]:
    """Rows of positive weight, their targets, and their weights.

    A row of weight zero is a row that is not there, for the split of early stopping and the
    batches of Adam as well.

    Returns
    -------
    X, Y : what is left.
    sample_weight : array (n,) of the dtype of X, or None.

    Raises
    ------
    ValueError
        Naming ``sample_weight``.
    """
    if sample_weight is None:
        return X, Y, None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(X.shape[0], sample_weight, dtype=X.dtype)
    with np.errstate(over="ignore"):  # of single precision, which is an error of the check
        weights = check_array(
            sample_weight, ensure_2d=False, dtype=X.dtype, input_name="sample_weight", order="C"
        )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar; sample_weight has shape {weights.shape}."
        )
    check_consistent_length(X, weights)
    if (weights < 0).any():
        at = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"sample_weight[{at}] is {weights[at]}; weights must not be negative.")
    kept = weights > 0
    if not kept.any():
        raise ValueError("sample_weight is zero for every row of X; at least one must count.")
    if kept.all():
        return X, Y, weights
    return X[kept], Y[kept], weights[kept]


def check_weight_range(weights: NDArray) -> None:
    """Check that squares and sums of positive weights are finite numbers above zero.

    Raises
    ------
    ValueError
        Naming ``sample_weight``.
    """
    least, most = weights.min(), weights.max()
    if least < 1 / _LARGEST_WEIGHT or most > _LARGEST_WEIGHT:
        raise ValueError(
            f"sample_weight must lie between {1 / _LARGEST_WEIGHT:g} and {_LARGEST_WEIGHT:g}, or "
            f"be 0; got {least:g} to {most:g}. Divide all by one number."
        )


def check_magnitude(X: Any) -> None:
    """Check that products of the numbers in X are finite.

    Parameters
    ----------
    X : array or sparse matrix, float64 or float32
        NaN where missing.

    Raises
    ------
    ValueError
        Naming X.
    """
    values = X.data if issparse(X) else np.asarray(X)
    most = LARGEST[values.dtype]
    low = np.fmin.reduce(values, axis=None, initial=0.0)  # a table of sizes would be a copy of X
    largest = max(np.fmax.reduce(values, axis=None, initial=0.0), -low)
    if largest > most:
        raise ValueError(
            f"X holds numbers up to {largest:.3g} in size: beyond {most:g} their "
            f"products are no finite numbers in {values.dtype}. Scale the columns of X."
        )


def fit_classes(y: Any) -> LabelBinarizer:
    """How labels, or a list of all classes, become columns of 0 and 1; refuses other targets."""
    check_classification_targets(y)
    return LabelBinarizer().fit(y)


def columns(y: Any, dtype: Any) -> NDArray:
    """Numbers as columns (n, q); ValueError naming y if it holds none."""
    try:
        with np.errstate(over="ignore"):
            Y = np.asarray(y, dtype=dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold numbers: {error}") from error
    if not np.isfinite(Y).all():
        raise ValueError(
            f"y holds numbers beyond {Y.dtype}, the precision of X. Scale y, or give X in float64."
        )
    return Y[:, None] if Y.ndim == 1 else Y


def counts(y: Any, dtype: Any) -> NDArray:
    """Numbers that are not negative, else ValueError, as columns (n, q)."""
    Y = columns(y, dtype)
    if (Y < 0).any():
        raise ValueError(
            f"y holds negative numbers, such as {Y.min():g}, and loss='poisson' is for counts. Use "
            "loss='squared_error'."
        )
    return Y


def one_hot(binarizer: LabelBinarizer, y: Any, dtype: Any) -> NDArray:
    """Columns of 0 and 1 for labels: one column for two classes, else one a class."""
    return binarizer.transform(y).astype(dtype)


def check_known(binarizer: LabelBinarizer, y: Any, *, same: bool = False) -> None:
    """Check that labels are of the kind and among the classes that a binarizer knows.

    Parameters
    ----------
    binarizer : of `fit_classes`.
    y : labels.
    same : whether y must have all of the classes, as a warm start must.

    Raises
    ------
    ValueError
        Naming y and what is new in it.
    """
    check_classification_targets(y)
    kind = type_of_target(y)
    multilabel = binarizer.y_type_.startswith("multilabel")
    if kind.startswith("multilabel") != multilabel:
        raise ValueError(
            f"y is a {kind} target, but an earlier call was given a {binarizer.y_type_} target."
        )
    if multilabel:
        if y.shape[1] != len(binarizer.classes_):
            raise ValueError(
                f"y has {y.shape[1]} columns of labels; earlier calls had "
                f"{len(binarizer.classes_)}."
            )
    else:
        known, found = binarizer.classes_, np.unique(y)
        if same and set(found.tolist()) != set(known.tolist()):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {known}, `y` has {found}. Set warm_start=False, or "
                "use partial_fit."
            )
        extra = sorted(set(found.tolist()) - set(known.tolist()), key=str)
        if extra:
            raise ValueError(
                f"y has classes that are not among those of earlier calls: {extra[:5]}; known "
                f"classes are {known.tolist()[:20]}."
            )
