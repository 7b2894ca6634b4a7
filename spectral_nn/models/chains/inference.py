"""Exact inference for sequences under a model: likelihoods, posteriors, paths, next states.

`spectral_nn.models.chains.recursions` computes, from tables of likelihoods that are made here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Sequences
from spectral_nn.models.chains import recursions
from spectral_nn.models.chains.observations import look_up_rows, number
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["filter_last", "find_paths", "log_likelihoods", "smooth"]


def log_likelihoods(parameters: HMMParameters, data: Sequences) -> NDArray[np.float64]:
    """Log-likelihood of every sequence.

    Parameters
    ----------
    parameters : HMMParameters
    data : Sequences
        Codes or rows, without labels.

    Returns
    -------
    ndarray of shape (m,)
        Nats; -inf for impossible sequences.

    Notes
    -----
    2 K^2 flops a position.
    """
    return filter_last(parameters, data)[1]


def filter_last(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution (m, K) of the last state of every sequence given all of it; log-likelihoods."""
    arguments, shift = _prepare(parameters, data)
    last, found = recursions.filtered(*arguments)
    return last, found + shift


def smooth(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution (n, K) of every state given its whole sequence; log-likelihoods (m,)."""
    arguments, shift = _prepare(parameters, data)
    posterior, found = recursions.posteriors(*arguments)
    return posterior, found + shift


def find_paths(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Most likely states (n,) of every sequence (Viterbi), and ``log P(path, x)`` (m,), nats."""
    arguments, shift = _prepare(parameters, data)
    states, found = recursions.viterbi(*arguments)
    return states, found + shift


def _prepare(parameters: HMMParameters, data: Sequences) -> tuple[tuple[Any, ...], Any]:
    """Arguments of the recursions, and what to add to the logarithm of each sequence."""
    table, log_scale, logarithms = look_up_rows(
        parameters.emission, data.values if parameters.emission.rows else None
    )
    arguments = (
        parameters.startprob,
        parameters.transmat,
        table,
        number(data.values),
        data.offsets,
        logarithms,
    )
    shift = 0.0 if log_scale is None else np.add.reduceat(log_scale[:-1], data.offsets[:-1])
    return arguments, shift
