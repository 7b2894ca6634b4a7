"""Data frames of any library, through narwhals: their columns as arrays."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "array_of_columns",
    "array_of_frame",
    "holds_numbers",
    "holds_words",
    "is_frame",
    "missing_in",
]

_STRINGS = (nw.String, nw.Categorical, nw.Enum)


def is_frame(x: Any) -> bool:
    """Whether x is a data frame in memory, of pandas, polars, PyArrow or what narwhals reads."""
    return bool(nw.dependencies.is_into_dataframe(x))


def holds_numbers(column: nw.Series[Any]) -> bool:
    """Whether a column holds numbers, or truth values, some of which may be missing."""
    return bool(column.dtype.is_numeric() or column.dtype == nw.Boolean)


def holds_words(column: nw.Series[Any]) -> bool:
    """Whether a column holds strings or categories, some of which may be missing."""
    return isinstance(column.dtype, _STRINGS)


def missing_in(column: nw.Series[Any]) -> NDArray[np.bool_]:
    """Where a column is null, or NaN."""
    if column.dtype.is_float():
        return np.isnan(column.to_numpy())
    return column.is_null().to_numpy()


def array_of_columns(columns: Sequence[nw.Series[Any]]) -> Any:
    """Columns of numbers, or one of words, as an array (n, p), row by row in memory.

    Numbers are float64, NaN where missing; whole numbers of a single column stay whole if none is
    missing. A column of words becomes strings, masked where missing.
    """
    first = columns[0]
    if len(columns) == 1 and holds_words(first):
        gone = missing_in(first)
        words = first.cast(nw.String).fill_null("").to_numpy().astype(str)
        return (np.ma.masked_array(words, gone) if gone.any() else words)[:, None]
    if len(columns) == 1 and first.dtype.is_integer() and not missing_in(first).any():
        return first.to_numpy()[:, None]
    return np.column_stack([column.cast(nw.Float64).to_numpy() for column in columns])


def array_of_frame(x: Any) -> Any:
    """A frame as an array (n, p), see `array_of_columns`; of other columns as NumPy reads it."""
    frame = nw.from_native(x, eager_only=True)
    columns = [frame.get_column(name) for name in frame.columns]
    words = len(columns) == 1 and holds_words(columns[0])
    if words or (columns and all(map(holds_numbers, columns))):
        return array_of_columns(columns)
    return np.asanyarray(x)
