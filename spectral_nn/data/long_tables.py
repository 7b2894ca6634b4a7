"""Long tables: a row an observation, and a column that says to which sequence it belongs.

Frames of pandas, polars, PyArrow and others are read alike, through narwhals.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.container import Sequences
from spectral_nn.data.frames import array_of_columns, holds_numbers, holds_words, missing_in

__all__ = ["TableSequences", "sequences_of_table"]


class TableSequences(NamedTuple):
    """The sequences of a long table, and where they were.

    Attributes
    ----------
    sequences : Sequences
        m sequences of n rows in all, for `fit`, `predict` and all else that takes X.
    ids : ndarray of shape (m,)
        Whose sequence each one is.
    rows : ndarray of int, shape (n,)
        ``sequences.values[i]`` is row ``rows[i]`` of the table, counted from 0.
    """

    sequences: Sequences
    ids: NDArray[Any]
    rows: NDArray[np.int64]


def sequences_of_table(
    table: Any, *, by: Any, order: Any = None, columns: Any = None
) -> TableSequences:
    """Sequences of a data frame that has one row for each observation.

    Parameters
    ----------
    table : data frame in memory, of pandas, polars, PyArrow or what else narwhals reads
    by : str
        The column that says to which sequence a row belongs.  Sequences come in the order in which
        their ids first appear.
    order : str, optional
        The column by which rows are sorted within a sequence; rows that are equal in it, and all
        rows if there is none, stay in the order of the table.
    columns : str or list of str, optional
        What was observed.  None: all columns but `by` and `order`.

    Returns
    -------
    TableSequences
        ``(sequences, ids, rows)``.  Observations are rows (n, p) of float64, NaN where something is
        missing (estimators take that with ``missing=np.nan``).  A single column may also hold
        symbols (n, 1): whole numbers stay whole if none is missing, strings and categories are
        strings, masked where missing.

    Raises
    ------
    ValueError
        If the table has no rows, or not these columns; if no column is left to observe, or one that
        is observed holds no numbers; if `by` or `order` is missing somewhere.
    TypeError
        If `table` is no data frame in memory.

    See Also
    --------
    Sequences.from_input : Lists of arrays, and arrays with lengths.

    Notes
    -----
    Time O(n log n), and one copy of the observations.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"who": ["b", "a", "b"], "day": [2, 1, 1], "x": [0.5, 1.0, 1.5]})
    >>> sequences, ids, rows = sequences_of_table(table, by="who", order="day")
    >>> ids.tolist(), [s.tolist() for s in sequences], rows.tolist()
    (['b', 'a'], [[[1.5], [0.5]], [[1.0]]], [2, 0, 1])
    """
    try:
        frame = nw.from_native(table, eager_only=True)
    except TypeError as error:
        raise TypeError(
            f"table is of type {type(table).__name__}; give a data frame in memory, of pandas, "
            "polars or PyArrow. Collect a lazy one first (collect(), compute())."
        ) from error
    if not len(frame):
        raise ValueError("table has no rows: give at least one.")
    keys = [by] if order is None else [by, order]
    if columns is None:
        observed = [name for name in frame.columns if name not in keys]
    else:
        observed = [columns] if isinstance(columns, str) else list(columns)
    for argument, names in (("by", keys[:1]), ("order", keys[1:]), ("columns", observed)):
        for name in names:
            if name not in frame.columns:
                raise ValueError(
                    f"{argument} names {name!r}, but table has the columns {frame.columns}."
                )
    if not observed:
        raise ValueError(
            f"No column is left to observe: table has {frame.columns}, and by and order are not "
            "observed unless columns names them."
        )
    _, first, which, lengths = np.unique(
        _ranks(frame, "by", by), return_index=True, return_inverse=True, return_counts=True
    )
    within = [] if order is None else [_ranks(frame, "order", order)]
    rows = np.lexsort([*within, first[which]])  # stable; the last key is the first to sort by
    shown = np.argsort(first)  # ids, as they appear
    offsets = np.cumsum([0, *lengths[shown]])
    ids = frame.get_column(by).to_numpy()[first[shown]]
    return TableSequences(Sequences(_values(frame, observed)[rows], offsets), ids, rows)


def _ranks(frame: nw.DataFrame[Any], argument: str, name: Any) -> NDArray[np.float64]:
    """The place (n,) of each entry of a column among its sorted distinct entries."""
    column = frame.get_column(name)
    gone = missing_in(column)
    if gone.any():
        raise ValueError(
            f"{argument}={name!r} is missing in {gone.sum()} of {gone.size} rows, first in row "
            f"{gone.argmax()}. Fill it in, or drop these rows."
        )
    return column.rank("dense").to_numpy()


def _values(frame: nw.DataFrame[Any], names: Sequence[Any]) -> Any:
    """Observations (n, p), in the order of the table."""
    columns = [frame.get_column(name) for name in names]
    words = len(columns) == 1 and holds_words(columns[0])
    for name, column in zip(names, columns, strict=True):
        if not (words or holds_numbers(column)):
            raise ValueError(
                f"Column {name!r} of table holds {column.dtype}, not numbers. Convert it, or leave "
                "it out: columns= names what was observed. (Strings have to be the only column.)"
            )
    return array_of_columns(columns)
