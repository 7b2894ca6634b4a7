"""Observations as recursions see them: rows of a table of likelihoods, with labels or without.

Two forms of values go through the cuts and lanes. *Codes* are int32, one a position: the symbol,
that it is missing, and its label all at once (see `spectral_nn.data.symbols`), and number the rows
of one table for all data. *Rows* are float64 (n, p), with the label, -1 where unknown, in a last
column if there are labels; each has a row of its own in the table of its chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions import Emission, Likelihoods

__all__ = ["gather", "look_up_rows", "number"]


def number(values: NDArray) -> NDArray[np.int32]:
    """Row of the table of likelihoods for each position of a chunk: its code, or its place."""
    return values if values.ndim == 1 else np.arange(values.shape[0], dtype=np.int32)


def look_up_rows(emission: Emission, values: NDArray | None, labelled: bool = False) -> Likelihoods:
    """Likelihoods of all rows that `number` refers to.

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
    K = emission.n_components
    if not emission.rows:
        found = emission.likelihoods(None)
        if not labelled:
            return found
        masks = np.concatenate([np.ones((1, K)), np.eye(K)])
        return Likelihoods((masks[:, None, :] * found.table).reshape(-1, K))
    assert values is not None
    if not labelled:
        return emission.likelihoods(values)
    table, log_scale, logarithms = emission.likelihoods(values[:, :-1])
    labels = values[:, -1:].astype(np.int64)
    possible = (labels < 0) | (labels == np.arange(K))
    if logarithms is None or log_scale is None:
        table[:-1] *= possible
        return Likelihoods(table, log_scale)
    whole = logarithms[:-1] + log_scale[:-1, None]
    return Likelihoods.from_logarithms(np.where(possible, whole, -np.inf))


def gather(
    emission: Emission, values: NDArray | None, mass: NDArray[np.float64], labelled: bool = False
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
    if not emission.rows:
        if labelled:
            K = emission.n_components
            mass = mass.reshape(K + 1, -1, K).sum(axis=0)
        return emission.gather(None, mass[:-1])
    assert values is not None
    return emission.gather(values[:, :-1] if labelled else values, mass[:-1])
