"""Exact inference for sequences under a model: likelihoods, posteriors, paths, next states.

`spectral_nn.models.chains.recursions` computes, from tables of likelihoods that are made here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Sequences
from spectral_nn.models.chains import recursions
from spectral_nn.models.chains.observations import look_up_rows, number
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["filter_last", "find_paths", "leave_out", "log_likelihoods", "smooth"]


def log_likelihoods(parameters: HMMParameters, data: Sequences) -> NDArray[np.float64]:
    """Log-likelihoods (m,) of sequences, nats, -inf where impossible; 2 K^2 flops a position."""
    return filter_last(parameters, data)[1]


def filter_last(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution (m, K) of the last state of every sequence given all of it; log-likelihoods."""
    return _infer(recursions.filtered, parameters, data)


def smooth(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution (n, K) of every state given its whole sequence; log-likelihoods (m,)."""
    return _infer(recursions.posteriors, parameters, data)


def leave_out(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution (n, K) of every state given all other positions; log-likelihoods (m,)."""
    return _infer(recursions.left_out, parameters, data)


def find_paths(
    parameters: HMMParameters, data: Sequences
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Most likely states (n,) of every sequence (Viterbi), and ``log P(path, x)`` (m,), nats."""
    return _infer(recursions.viterbi, parameters, data)


def _infer(
    recursion: Callable[..., tuple[NDArray, NDArray]], parameters: HMMParameters, data: Sequences
) -> tuple[NDArray, NDArray[np.float64]]:
    """What a recursion finds, and logarithms (m,) to which the scale of each row is added again.

    Data are codes or rows, without labels.
    """
    emission = parameters.emission
    table, log_scale, logarithms = look_up_rows(emission, data.values if emission.rows else None)
    found, logs = recursion(
        parameters.startprob,
        parameters.transmat,
        table,
        number(data.values),
        data.offsets,
        logarithms,
    )
    if log_scale is not None:
        logs = logs + np.add.reduceat(log_scale[:-1], data.offsets[:-1])
    return found, logs
