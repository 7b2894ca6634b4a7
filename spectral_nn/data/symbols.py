"""Codes: the integers that the core computes with, made from what a user has.

Inside the core an observation is one int32 *code*, the row of an emission table that holds the
likelihood of that observation under every state.  A code says everything there is to know
about a position: the symbol, that it is missing, and the label of its state if known.

========================  =====================================
symbol ``x``, no label    ``x``                  for 0 <= x < d
missing, no label         ``d``                  likelihood 1
``x`` with label ``k``    ``x + (d + 1) (k + 1)``, missing: x = d
========================  =====================================

Symbols are numbers from 0, or strings, which stand for their places in a sorted array of symbols.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from spectral_nn.data.cuts import Place

__all__ = ["CHUNK", "advise_on_missing", "alphabet", "encode", "find_missing"]

CHUNK = 1 << 20  # rows looked at together: temporaries stay in megabytes for any n
_STRINGS = "SUT"  # kinds of NumPy's arrays of strings
_LARGEST_CODE = np.iinfo(np.int32).max


def encode(
    values: Any,
    n_symbols: int,
    missing: float | str | None = None,
    labels: Any = None,
    n_components: int | None = None,
    place: Place | None = None,
    symbols: np.ndarray | None = None,
    place_of_labels: Place | None = None,
) -> np.ndarray:
    """Check symbols (and labels) and turn them into codes.

    Parameters
    ----------
    values : array, shape (n,) or (n, 1)
        Symbols 0 .. n_symbols - 1; floats are welcome if whole.  Entries that a masked array
        masks are missing, whatever lies under the mask.  Strings, with `symbols`.
    n_symbols : int
        Size d of the alphabet.
    missing : number or str, optional
        The value that stands for "not observed"; NaN is allowed.
    labels : array of int, shape (n,), optional
        State of every position, -1 (or masked) where it is unknown.
    n_components : int, optional
        Number of states; needed with ``labels``.
    place : Place, optional
        Where the values come from, for errors.
    symbols : array of str, shape (n_symbols,), optional
        The strings that values are made of, sorted; None where symbols are numbers.
    place_of_labels : Place, optional
        Where the labels come from, for errors.

    Returns
    -------
    codes : array of int32, shape (n,)

    Raises
    ------
    ValueError
        Naming ``X`` (or ``y``), the first offending position and its value, when a symbol is
        negative, fractional, not finite or at least ``n_symbols``, a string none of `symbols`, or
        a label is out of range.

    Notes
    -----
    O(n) time, n int32 plus a few megabytes of memory.

    Examples
    --------
    >>> encode([0, 2, -1], 3, missing=-1).tolist()
    [0, 2, 3]
    >>> encode([0, 2, 1], 3, labels=[-1, 0, 1], n_components=2).tolist()
    [0, 6, 9]
    >>> encode(["b", "a"], 2, symbols=np.array(["a", "b"])).tolist()
    [1, 0]
    """
    place = place or Place()
    column = _column(values, place.name())
    codes = np.empty(column.shape[0], dtype=np.int32)
    if symbols is not None:
        checked = _looked_up(_strings(column, place), missing, place.at, symbols)
    else:
        checked = _checked(_numbers(column, place.name()), missing, place.at)
    for start, chunk, gone in checked:
        high = (chunk >= n_symbols) & ~gone
        if high.any():
            at = int(np.argmax(high))
            raise ValueError(
                f"{place.at(start + at)} is {chunk[at]}, but symbols must be below "
                f"n_features={n_symbols}. Set n_features before fitting, or recode X."
            )
        codes[start : start + len(chunk)] = np.where(gone, n_symbols, chunk)
    if labels is not None:
        where = place_of_labels or Place(argument="y")
        _add_labels(codes, labels, n_symbols, n_components, where)
    return codes


def alphabet(
    values: Any, missing: float | str | None = None, place: Place | None = None
) -> int | np.ndarray:
    """Symbols observed; checks them as `encode` does.

    Parameters
    ----------
    values : array, shape (n,) or (n, 1)
    missing : number or str, optional
    place : Place, optional
        Where the values come from, for errors.

    Returns
    -------
    int or array of str
        The largest of numbers, -1 when every entry is missing; the distinct strings, sorted.

    Raises
    ------
    ValueError
        As `encode`, apart from the bound.

    Examples
    --------
    >>> alphabet([3, 0, -1], missing=-1)
    3
    >>> alphabet(["b", "a", "b"]).tolist()
    ['a', 'b']
    """
    largest = -1
    place = place or Place()
    column = _column(values, place.name())
    if _holds_strings(column):
        strings = _strings(column, place)
        seen = np.unique(np.ma.compressed(strings))
        return seen if missing is None else seen[seen != missing]
    for _, chunk, gone in _checked(_numbers(column, place.name()), missing, place.at):
        seen = chunk[~gone]
        largest = max(largest, int(seen.max()) if seen.size else -1)
    return largest


def find_missing(values: np.ndarray, masked: np.ndarray, missing: float | str | None) -> np.ndarray:
    """Which values are missing.

    Parameters
    ----------
    values : ndarray
        Of numbers or strings.
    masked : ndarray of bool
        Which are missing in any case.
    missing : number, str or None
        What else stands for "not observed"; NaN is allowed.
    """
    if missing is None:
        return masked
    if missing == missing:
        return masked | (values == missing)
    return masked | np.isnan(values) if values.dtype.kind == "f" else masked


def advise_on_missing(value: float) -> str:
    """What to do about a number that is not allowed, if it stands for "not observed"."""
    if np.isinf(value):
        return "Remove it, mask it, or set it to NaN and declare that with missing=np.nan."
    declared = "np.nan" if np.isnan(value) else str(value)
    return f"Remove it, mask it, or declare it with missing={declared}."


def _column(values: Any, name: str) -> Any:
    """``values`` as one column, shape (n,)."""
    values = np.asanyarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={values.shape}) while a minimum of 1 is "
            f"required: {name} has no column."
        )
    if values.ndim != 1:
        raise ValueError(
            f"{name} has rows of shape {values.shape[1:]}, but a categorical observation is one "
            "symbol: give one column, (n, 1), with time along the rows."
        )
    return values


def _holds_strings(column: Any) -> bool:
    """Whether a column holds strings, a single one of objects that are not masked."""
    if column.dtype.kind != "O":
        return column.dtype.kind in _STRINGS
    return any(isinstance(value, str) for value in np.ma.compressed(column))


def _strings(column: Any, place: Place) -> Any:
    """A column of strings in an array of NumPy's strings."""
    if not _holds_strings(column):
        raise ValueError(
            f"{place.name()} is of {column.dtype}, but the model was fitted to strings, see "
            "symbols_. Give strings."
        )
    if column.dtype.kind != "O":
        return column
    gone = np.ma.getmaskarray(column)
    pairs = zip(np.ma.getdata(column), gone, strict=True)
    words = ["" if out else word for word, out in pairs]
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise ValueError(
                f"{place.at(i)} is {word!r}, but other symbols are strings. Remove it, mask it "
                "(np.ma.masked_array), or write a string in its place that is no symbol, and "
                "declare this with missing, such as missing='?': a number is none of the strings."
            )
    return np.ma.masked_array(np.array(words), gone)


def _numbers(column: Any, name: str) -> Any:
    """A column of real numbers."""
    if column.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold whole numbers.")
    if column.dtype.kind in "biuf":
        return column
    if _holds_strings(column):
        raise ValueError(
            f"{name} must hold whole numbers here, but holds strings. Strings are taken where fit "
            "finds the symbols itself: without n_features, without emissionprob_ of other data. "
            "Else recode X: np.unique with return_inverse=True, or OrdinalEncoder."
        )
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold whole numbers, got {column.dtype}: {error}") from error


def _looked_up(
    column: Any, missing: float | str | None, at: Callable[[int], str], symbols: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """As `_checked`, of strings: chunks of their places among the symbols."""
    for start in range(0, column.shape[0], CHUNK):
        part = column[start : start + CHUNK]
        chunk = np.ma.getdata(part)
        gone = find_missing(chunk, np.ma.getmaskarray(part), missing)
        places = np.minimum(np.searchsorted(symbols, chunk), symbols.size - 1)
        unknown = (symbols[places] != chunk) & ~gone
        if unknown.any():
            first = int(np.argmax(unknown))
            few = ", ".join(repr(str(symbol)) for symbol in symbols[:5])
            raise ValueError(
                f"{at(start + first)} is {str(chunk[first])!r}, which is none of the "
                f"{symbols.size} symbols of the model: {few}{', ...' * (symbols.size > 5)}. "
                "Remove it, mask it, or fit to data that show it."
            )
        yield start, places, gone


def _checked(
    column: Any, missing: float | str | None, at: Callable[[int], str]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Chunks of a column with their start and the mask of what is missing; rejects non-symbols."""
    for start in range(0, column.shape[0], CHUNK):
        part = column[start : start + CHUNK]
        chunk = np.ma.getdata(part)
        gone = find_missing(chunk, np.ma.getmaskarray(part), missing)
        bad = (chunk < 0) & ~gone
        if chunk.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                bad |= ~(np.isfinite(chunk) & (chunk == np.floor(chunk))) & ~gone
        if bad.any():
            first = int(np.argmax(bad))
            _reject(at(start + first), chunk[first])
        yield start, chunk, gone


def _reject(entry: str, value: Any) -> None:
    """Raise the error for a value that is no symbol, or no label."""
    if entry.startswith("y"):
        raise ValueError(
            f"{entry} is {value}, but labels are whole numbers from 0, or -1 where unknown."
        )
    if np.isfinite(value) and value != np.floor(value):
        raise ValueError(
            f"Fractional values in data: {entry} is {value}. X looks like real numbers, but this "
            "model is of symbols: whole numbers from 0. Discretise X (KBinsDiscretizer), or take a "
            "model of real numbers, such as GaussianHMM."
        )
    what = "Negative values"
    if not np.isfinite(value):
        what = "NaN" if np.isnan(value) else "Infinity"
    raise ValueError(
        f"{what} in data: {entry} is {value}, but symbols are whole numbers from 0. "
        f"{advise_on_missing(value)}"
    )


def _add_labels(
    codes: np.ndarray, labels: Any, n_symbols: int, n_components: int | None, place: Place
) -> None:
    """Add the part of the labels to codes, in place."""
    if n_components is None:
        raise ValueError("labels need n_components, the number of states.")
    column = _column(labels, "y")
    if _holds_strings(column):
        raise ValueError("y holds strings, but labels are whole numbers from 0; -1 where unknown.")
    column = _numbers(column, "y")
    if column.shape[0] != codes.shape[0]:
        raise ValueError(
            f"y has {column.shape[0]} labels for {codes.shape[0]} observations of X; give one "
            "each, -1 where the state is unknown."
        )
    if (n_symbols + 1) * (n_components + 1) > _LARGEST_CODE:
        raise ValueError(f"{n_symbols} symbols with {n_components} labels overflow 32 bits.")
    for start, chunk, unknown in _checked(column, -1, place.at):
        high = (chunk >= n_components) & ~unknown
        if high.any():
            at = int(np.argmax(high))
            raise ValueError(
                f"{place.at(start + at)} is {chunk[at]}, but states are 0 .. {n_components - 1} "
                "(n_components), or -1 where unknown."
            )
        label = np.where(unknown, -1, chunk).astype(np.int32)
        codes[start : start + len(chunk)] += (n_symbols + 1) * (label + 1)
