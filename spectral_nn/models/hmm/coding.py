"""Codes: the integers that the core computes with, made from what a user has.

Inside the core an observation is one int32 *code*, the row of an emission table that holds the
likelihood of that observation under every state.  A code says everything there is to know
about a position: the symbol, that it is missing, and the label of its state if known.

========================  =====================================
symbol ``x``, no label    ``x``                  for 0 <= x < d
missing, no label         ``d``                  likelihood 1
``x`` with label ``k``    ``x + (d + 1) (k + 1)``, missing: x = d
========================  =====================================
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from spectral_nn.sequences import Place

__all__ = ["CHUNK", "emission_table", "encode", "largest_symbol"]

CHUNK = 1 << 20  # rows looked at together: temporaries stay in megabytes for any n
_LARGEST_CODE = np.iinfo(np.int32).max


def encode(
    values: Any,
    n_symbols: int,
    missing: float | None = None,
    labels: Any = None,
    n_components: int | None = None,
    place: Place | None = None,
) -> np.ndarray:
    """Check symbols (and labels) and turn them into codes.

    Parameters
    ----------
    values : array, shape (n,) or (n, 1)
        Symbols 0 .. n_symbols - 1; floats are welcome if whole.  Entries that a masked array
        masks are missing, whatever lies under the mask.
    n_symbols : int
        Size d of the alphabet.
    missing : number, optional
        The value that stands for "not observed"; NaN is allowed.
    labels : array of int, shape (n,), optional
        State of every position, -1 (or masked) where it is unknown.
    n_components : int, optional
        Number of states; needed with ``labels``.
    place : Place, optional
        Where the values come from, for errors.

    Returns
    -------
    codes : array of int32, shape (n,)

    Raises
    ------
    ValueError
        Naming ``X`` (or ``y``), the first offending position and its value, when a symbol is
        negative, fractional, not finite or at least ``n_symbols``, or a label is out of range.

    Notes
    -----
    O(n) time, n int32 plus a few megabytes of memory.

    Examples
    --------
    >>> encode([0, 2, -1], 3, missing=-1).tolist()
    [0, 2, 3]
    >>> encode([0, 2, 1], 3, labels=[-1, 0, 1], n_components=2).tolist()
    [0, 6, 9]
    """
    place = place or Place()
    column = _column(values, place.name())
    codes = np.empty(column.shape[0], dtype=np.int32)
    for start, chunk, gone in _checked(column, missing, place.at):
        high = (chunk >= n_symbols) & ~gone
        if high.any():
            at = int(np.argmax(high))
            raise ValueError(
                f"{place.at(start + at)} is {chunk[at]}, but symbols must be below "
                f"n_features={n_symbols}. Set n_features before fitting, or recode X."
            )
        codes[start : start + len(chunk)] = np.where(gone, n_symbols, chunk)
    if labels is not None:
        _add_labels(codes, labels, n_symbols, n_components)
    return codes


def largest_symbol(values: Any, missing: float | None = None, place: Place | None = None) -> int:
    """Largest symbol observed, -1 when every entry is missing; checks symbols as `encode` does.

    Parameters
    ----------
    values : array, shape (n,) or (n, 1)
    missing : number, optional
    place : Place, optional
        Where the values come from, for errors.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        As `encode`, apart from the bound.

    Examples
    --------
    >>> largest_symbol([3, 0, -1], missing=-1)
    3
    """
    largest = -1
    place = place or Place()
    for _, chunk, gone in _checked(_column(values, place.name()), missing, place.at):
        seen = chunk[~gone]
        largest = max(largest, int(seen.max()) if seen.size else -1)
    return largest


def emission_table(emissionprob: np.ndarray, labelled: bool = False) -> np.ndarray:
    """Likelihood of every code under every state.

    Parameters
    ----------
    emissionprob : array, shape (K, d)
    labelled : bool
        Whether codes may carry labels: the table then has the rows for them too.

    Returns
    -------
    table : array of float64, shape (D, K), C-ordered
        D = d + 1, or (d + 1)(K + 1) with labels.  Row ``d`` is one everywhere (a missing
        observation says nothing); the row of symbol x with label k is ``emissionprob[k, x]``
        in column k and zero elsewhere.

    Examples
    --------
    >>> emission_table(np.array([[.9, .1], [.2, .8]])).tolist()
    [[0.9, 0.2], [0.1, 0.8], [1.0, 1.0]]
    """
    n_components, n_symbols = emissionprob.shape
    table = np.ones((n_symbols + 1, n_components))
    table[:n_symbols] = emissionprob.T
    if not labelled:
        return table
    masks = np.concatenate([np.ones((1, n_components)), np.eye(n_components)])
    return (masks[:, None, :] * table).reshape(-1, n_components)


def _column(values: Any, name: str) -> Any:
    """``values`` as one column of real numbers, shape (n,)."""
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
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold whole numbers.")
    if values.dtype.kind not in "biuf":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} must hold whole numbers, got {values.dtype}: {error}"
            ) from error
    return values


def _checked(
    column: Any, missing: float | None, at: Callable[[int], str]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Chunks of a column with their start and the mask of what is missing; rejects non-symbols."""
    for start in range(0, column.shape[0], CHUNK):
        part = column[start : start + CHUNK]
        gone = np.ma.getmaskarray(part)
        chunk = np.ma.getdata(part)
        if missing is not None:
            gone = gone | (np.isnan(chunk) if missing != missing else chunk == missing)
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
            f"{entry} is {value}, but labels are whole numbers from 0, or -1 for unknown."
        )
    if not np.isfinite(value):
        what, advice = ("NaN" if np.isnan(value) else "Infinity"), "declare it with missing=np.nan"
    elif value < 0:
        what, advice = "Negative values", f"declare it with missing={value}"
    else:
        what, advice = "Fractional values", "encode categories as 0, 1, 2, ..."
    raise ValueError(
        f"{what} in data: {entry} is {value}, but symbols are whole numbers from 0. "
        f"Remove it, mask it, or {advice}."
    )


def _add_labels(codes: np.ndarray, labels: Any, n_symbols: int, n_components: int | None) -> None:
    """Add the part of the labels to codes, in place."""
    if n_components is None:
        raise ValueError("labels need n_components, the number of states.")
    column = _column(labels, "y")
    if column.shape[0] != codes.shape[0]:
        raise ValueError(
            f"y has {column.shape[0]} labels for {codes.shape[0]} observations of X; give one "
            "each, -1 where the state is unknown."
        )
    if (n_symbols + 1) * (n_components + 1) > _LARGEST_CODE:
        raise ValueError(f"{n_symbols} symbols with {n_components} labels overflow 32 bits.")
    for start, chunk, unknown in _checked(column, -1, "y[{}]".format):
        high = (chunk >= n_components) & ~unknown
        if high.any():
            at = int(np.argmax(high))
            raise ValueError(
                f"y[{start + at}] is {chunk[at]}, but states are 0 .. {n_components - 1} "
                "(n_components) or -1 for unknown."
            )
        label = np.where(unknown, -1, chunk).astype(np.int32)
        codes[start : start + len(chunk)] += (n_symbols + 1) * (label + 1)
