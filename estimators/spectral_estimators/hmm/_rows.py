"""Observations that are rows of numbers: how wide they are, what is missing, and their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_estimators._validation import labels_of, look_through
from spectral_nn.data import Place, Sequences, Source
from spectral_nn.data.symbols import advise_on_missing, encode, find_missing
from spectral_nn.runners.base import Runner

__all__ = [
    "LARGEST",
    "MOST",
    "RowRule",
    "RowRules",
    "as_rows_of",
    "check_variance",
    "measure",
]

LARGEST = 1e152
"""Up to which sums of squares are finite, of as many rows as there may be."""

_LEAST_VARIANCE = 1e-304

MOST = 2.0**53
"""Up to which whole numbers are told apart in double precision."""


def check_variance(variance: NDArray[np.float64]) -> None:
    """Check that columns that vary do so by numbers that can be squared.

    Raises
    ------
    ValueError
        Naming X.
    """
    least = variance.min()
    if 0 < least < _LEAST_VARIANCE:
        raise ValueError(
            f"A column of X has the variance {least:.3g}, whose square is 0 in double precision. "
            "Scale the columns of X."
        )


Check = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""From rows (n, p) to a mask of the entries that the family does not allow; NaN is missing."""

RowRule = Callable[[NDArray[np.float64], Place], NDArray[np.float64]]
"""From rows (n, p) whose entries are allowed, and their place, to rows that are allowed as such."""


class RowRules(NamedTuple):
    """What rows must be.

    Attributes
    ----------
    model : name of the estimator.
    n_features : columns, p.
    missing : what stands for "not observed", beside masked entries; NaN is allowed.
    check : tells entries that are not allowed; words : what is said of them.
    whole : what holds for rows as such; None for nothing.
    """

    model: str
    n_features: int
    missing: float | None
    check: Check
    words: str
    whole: RowRule | None = None


def measure(source: Source, run: Runner) -> tuple[Source, int]:
    """Look at all data once: the source with its partitions measured, and the number of columns.

    Raises
    ------
    ValueError
        If X has no column, or chunks differ in their number.
    """
    source, looked = look_through(source, _width, run)
    widths = {width for width, _ in looked}
    if len(widths) > 1:
        raise ValueError(
            f"X has chunks of {sorted(widths)} columns; all observations must have the same."
        )
    return source, widths.pop()


def as_rows_of(
    source: Source, rules: RowRules, y: Any = None, n_components: int | None = None
) -> Source:
    """Checked float64 rows (n, p) of a source, NaN where missing.

    Parameters
    ----------
    source : observations, not checked yet.
    rules : what they must be.
    y : labels of a source in memory; they become the last column, -1 where unknown.
    n_components : number of states that labels may name.

    Raises
    ------
    ValueError
        Naming ``X`` or ``y`` with the first offending position; of what is not in memory as it is
        read.
    """
    rows = source.coded(partial(_encode, rules=rules))
    if y is None:
        return rows
    assert isinstance(rows, Sequences)
    assert isinstance(source, Sequences)
    labels, place = labels_of(y, source)
    n = rows.values.shape[0]
    codes = encode(np.zeros(n), 1, None, labels, n_components, place_of_labels=place)
    known = codes // 2 - 1.0
    return replace(rows, values=np.column_stack([rows.values, known]))


def _width(values: Any, place: Place) -> tuple[int, int]:
    """Columns and rows."""
    shape = np.shape(values)
    if len(shape) > 2:
        raise ValueError(
            f"{place.name()} has rows of shape {shape[1:]}; an observation is a row of numbers."
        )
    if shape[1:] == (0,):
        raise ValueError(
            f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required."
        )
    return 1 if len(shape) == 1 else shape[1], shape[0]


def _encode(values: Any, place: Place, rules: RowRules) -> NDArray[np.float64]:
    array = np.asanyarray(values)
    array = array[:, None] if array.ndim == 1 else array
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {place.name()} is complex.")
    if array.ndim != 2 or array.shape[1] != rules.n_features:
        raise ValueError(
            f"{place.name()} has {array.shape[-1]} features, but {rules.model} is expecting "
            f"{rules.n_features} features as input. Got shape {array.shape}."
        )
    try:
        rows = np.array(np.ma.getdata(array), dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        message = f"{place.name()} must hold numbers, got {array.dtype}: {error}"
        raise type(error)(message) from error
    gone = find_missing(rows, np.ma.getmaskarray(array), rules.missing)
    with np.errstate(invalid="ignore"):
        bad = (~np.isfinite(rows) | rules.check(rows)) & ~gone
    if bad.any():
        at, column = np.argwhere(bad)[0]
        value = rows[at, column]
        what = "Values that are not allowed"
        if not np.isfinite(value):
            what = "NaN or infinity"
        elif value < 0:
            what = "Negative values"
        raise ValueError(
            f"{what} in data: {place.at(int(at))} is {value} in column {column}, but "
            f"{rules.words}. {advise_on_missing(value)}"
        )
    rows[gone] = np.nan
    return rows if rules.whole is None else rules.whole(rows, place)
