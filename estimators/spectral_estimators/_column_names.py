"""Names of the columns of sequences that are data frames: told by `fit`, checked afterwards."""

from typing import Any

import numpy as np

from spectral_estimators._sklearn_compat import check_feature_names, feature_names

__all__ = ["check_names", "names_of"]


def names_of(X: Any) -> Any:
    """Names (p,) of the columns of a data frame, or of all those of a list; None for none.

    Raises
    ------
    ValueError
        If the frames of a list have other names, or names in another order, than the first.
    """
    frames = X if isinstance(X, (list, tuple)) else [X]
    first: Any = feature_names(frames[0]) if len(frames) else None
    if first is None:
        return None
    for i, frame in enumerate(frames):
        names: Any = feature_names(frame)
        if names is None or not np.array_equal(names, first):
            found = "no names of columns" if names is None else f"columns {list(names)}"
            raise ValueError(
                f"sequence {i} of X has {found}, sequence 0 has columns {list(first)}: all must "
                "have the same columns, in one order."
            )
    return first


def check_names(estimator: Any, X: Any) -> None:
    """Check that sequences have the columns of `fit`; ValueError, or scikit-learn's warning.

    Parameters that were set by hand, without a fit, take columns of any name.
    """
    names_of(X)
    if hasattr(estimator, "n_features_in_") or hasattr(estimator, "feature_names_in_"):
        check_feature_names(estimator, X[0] if isinstance(X, (list, tuple)) and len(X) else X)
