"""Observations as recursions see them: rows of a table of likelihoods, with labels or without.

Two forms of values go through the cuts and lanes. *Codes* are int32, one a position: the symbol,
that it is missing, and its label all at once (see `spectral_nn.data.symbols`), and number the rows
of one table for all data. *Rows* are float64 (n, p), with the label, -1 where unknown, in a last
column if there are labels; each has a row of its own in the table of its chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.compiled import Compiled

__all__ = ["Likelihoods", "gather", "look_up_rows", "number", "tabulate"]


class Likelihoods(NamedTuple):
    """Likelihoods that recursions look up by row.

    Attributes
    ----------
    table : ndarray of shape (D + 1, K)
        Likelihood of each row under each state. The last row is ones: padding, or an observation
        that is missing. D is the number of codes, else that of observations.
    log_scale : ndarray of shape (D + 1,) or None
        Logarithm of what each row was divided by, nats; None where rows are as they are.
    logarithms : ndarray of shape (D + 1, K) or None
        Of `table`, also of what is too small for it; None where those of its entries will do.
    """

    table: NDArray
    log_scale: NDArray[np.float64] | None = None
    logarithms: NDArray[np.float64] | None = None


def number(values: NDArray) -> NDArray[np.int32]:
    """Row of the table of likelihoods for each position of a chunk: its code, or its place."""
    return values if values.ndim == 1 else np.arange(values.shape[0], dtype=np.int32)


def look_up_rows(emission: Any, values: NDArray | None, labelled: bool = False) -> Likelihoods:
    """Likelihoods of all rows that `number` refers to, float64.

    Parameters
    ----------
    emission : Emission
    values : ndarray of shape (n, p), (n, p + 1) with labels, or None
        None for codes.
    labelled : bool
        Whether values, or codes, carry labels. A label leaves one state possible.

    Returns
    -------
    Likelihoods
        Of d + 1 symbols, or (d + 1)(K + 1) with labels; or of the n rows, and one of ones.
    """
    if values is None:
        return Likelihoods(_symbols(emission, labelled))
    scaled = np.empty((values.shape[0] + 1, emission.n_components))
    shift = np.empty(scaled.shape[0])
    _shift_rows(np.ascontiguousarray(_logarithms(emission, values, labelled)), shift, scaled)
    with np.errstate(under="ignore"):
        return Likelihoods(np.exp(scaled), shift, scaled)


def tabulate(
    emission: Any,
    values: NDArray | None,
    size: int,
    *,
    dtype: DTypeLike = np.float64,
    labelled: bool = False,
) -> Likelihoods:
    """Likelihoods of all rows, in some precision and padded to `size` states of likelihood 0.

    Parameters
    ----------
    emission, values, labelled
        As in `look_up_rows`.
    size : int
        At least K.
    dtype : dtype
        Of the table.
    """
    if values is None:
        table = _symbols(emission, labelled)
        padded = np.zeros((table.shape[0], size), dtype=dtype)
        padded[:, : table.shape[1]] = table
        return Likelihoods(padded)
    padded = np.empty((values.shape[0] + 1, size), dtype=dtype)
    shift = np.empty(padded.shape[0])
    logarithms = _logarithms(emission, values, labelled, dtype)
    _shift_rows(np.ascontiguousarray(logarithms), shift, padded)
    with np.errstate(under="ignore"):
        return Likelihoods(np.exp(padded, out=padded), shift)


def gather(
    emission: Any, values: NDArray | None, mass: NDArray[np.float64], labelled: bool = False
) -> Any:
    """What the emission gathers of posteriors.

    Parameters
    ----------
    emission : Emission
    values : ndarray or None
        As in `look_up_rows`.
    mass : ndarray of shape (D, K)
        Posteriors, summed over the positions that refer to each row of its table.
    labelled : bool
        Whether values, or codes, carry labels.
    """
    if values is None:
        if labelled:
            K = emission.n_components
            mass = mass.reshape(K + 1, -1, K).sum(axis=0)
        return emission.gather(None, mass[:-1])
    return emission.gather(values[:, :-1] if labelled else values, mass[:-1])


def _symbols(emission: Any, labelled: bool) -> NDArray[np.float64]:
    """Likelihoods of codes."""
    if not labelled:
        return emission.table
    K = emission.n_components
    masks = np.concatenate([np.ones((1, K)), np.eye(K)])
    return (masks[:, None, :] * emission.table).reshape(-1, K)


def _logarithms(
    emission: Any, values: NDArray, labelled: bool, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Log-likelihoods (n, K) of rows."""
    if not labelled:
        return emission.log_likelihoods(values, dtype)
    found = emission.log_likelihoods(values[:, :-1], dtype)
    labels = values[:, -1:].astype(np.int64)
    return np.where((labels < 0) | (labels == np.arange(found.shape[1])), found, -np.inf)


@Compiled
def _shift_rows(logarithms, shift, out):
    """Take off each row its largest entry; pad with -inf, and add a row of zeros.

    A row of -inf is impossible and stays so.
    """
    n, n_components = logarithms.shape
    for i in range(n):
        largest = -np.inf
        for k in range(n_components):
            largest = max(largest, logarithms[i, k])
        if largest == -np.inf:
            largest = 0.0
        shift[i] = largest
        for k in range(n_components):
            out[i, k] = logarithms[i, k] - largest
        out[i, n_components:] = -np.inf
    shift[n] = 0.0
    out[n, :n_components] = 0.0
    out[n, n_components:] = -np.inf
