"""From tables of answers of any kind to codes: what is missing, and which categories there are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

__all__ = ["categories_of", "codes_of", "is_missing", "read_answers", "set_columns", "values_of"]


def read_answers(estimator: Any, X: Any, *, reset: bool) -> NDArray:
    """X as an array (n, p) of numbers, strings or objects, NaN and None in it; errors name X.

    The estimator is left untouched: `set_columns` is called where a fit ends.
    """
    how: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan"}
    if reset:
        return check_array(X, estimator=estimator, input_name="X", **how)
    return validate_data(estimator, X, reset=False, **how)


def set_columns(estimator: Any, X: Any) -> None:
    """Set ``n_features_in_`` and ``feature_names_in_``."""
    validate_data(estimator, X, skip_check_array=True)


def is_missing(values: NDArray) -> NDArray[np.bool_]:
    """Whether entries are NaN, None, or pandas' NA."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(values.shape, dtype=bool)
    return np.vectorize(_is_nothing, otypes=[bool])(values)


def _is_nothing(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def categories_of(
    values: NDArray, missing: NDArray[np.bool_], name: str, advice: str = ""
) -> NDArray:
    """Distinct values that are not missing, sorted.

    Parameters
    ----------
    values : array
    missing : array of bool
    name : of the values, for errors.
    advice : what else may be the matter where they are of several kinds.

    Raises
    ------
    ValueError
        Naming what they are of: nothing but missing, or values that have no order.
    """
    kept = values[~missing]
    if kept.size == 0:
        raise ValueError(f"{name} has no answers: all of it is missing. Leave it out.")
    try:
        found = np.unique(kept)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in kept})
        raise ValueError(
            f"{name} holds answers of several kinds: {', '.join(kinds)}. Give all as strings, or "
            f"all as numbers.{advice}"
        ) from None
    found = np.array(found.tolist()) if found.dtype.kind == "O" else found
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{name} holds infinity. Set it to NaN if it stands for no answer.")
    return found


def codes_of(
    values: NDArray, missing: NDArray[np.bool_], categories: NDArray, name: str
) -> NDArray[np.float64]:
    """Places of values among the categories, NaN where missing.

    Raises
    ------
    ValueError
        Naming the first value that is no category.
    """
    codes = np.full(values.shape, np.nan)
    if missing.all():
        return codes
    kept = values[~missing]
    try:
        kept = np.array(kept.tolist()) if kept.dtype.kind == "O" else kept
        places = np.minimum(np.searchsorted(categories, kept), categories.size - 1)
        known = categories[places] == kept
    except (TypeError, ValueError):
        places, known = np.zeros(kept.size, dtype=np.int64), np.zeros(kept.size, dtype=bool)
    if not np.all(known):
        at = int(np.flatnonzero(~known)[0])
        value = kept[at : at + 1].tolist()[0]
        shown = ", ".join(repr(one) for one in categories[:10].tolist())
        raise ValueError(
            f"{name} holds {value!r}, which is none of its {categories.size} categories "
            f"({shown}{', ...' if categories.size > 10 else ''}). Set it to NaN, which leaves it "
            "out, or name all categories before fit."
        )
    codes[~missing] = places
    return codes


def values_of(codes: NDArray[np.int64], categories: list[NDArray]) -> NDArray:
    """Table (n, p) of the categories that codes stand for; of objects if columns differ in kind."""
    columns = [cats[code] for code, cats in zip(codes.T, categories, strict=True)]
    kinds = {"s" if column.dtype.kind in "SU" else column.dtype.kind for column in columns}
    if len(kinds) == 1 or kinds <= set("iuf"):
        return np.stack(columns, axis=1)
    return np.stack([column.astype(object) for column in columns], axis=1)
