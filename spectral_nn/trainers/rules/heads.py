"""Heads: small networks on the values of hidden layers, which give each a loss of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from spectral_nn.arrays import Array, from_numpy
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, Trace, forward

__all__ = ["HEADS", "HeadKind", "HeadPass", "as_heads", "draw_heads", "pass_head"]

HeadKind: TypeAlias = Literal["linear", "mlp"]

HEADS: dict[str, tuple[int, ...]] = {"linear": (), "mlp": (64,)}
"""Widths of the hidden layers of a head, by its name."""


class HeadPass(NamedTuple):
    """A batch on its way through a head.

    Attributes
    ----------
    layers : of the head.
    traces : of these.
    error : (rows, q) of its outputs.
    out_error : (rows, units) of the values that it was given.
    """

    layers: Sequence[DenseLayer]
    traces: list[Trace]
    error: Array
    out_error: Array


def draw_heads(
    kind: HeadKind, hidden: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
) -> list[Array]:
    """Return random weights and intercepts of a head for each hidden layer, one after another.

    They are uniform, of the variance of Glorot, Bengio, *Understanding the difficulty of training
    deep feedforward neural networks*, AISTATS 2010, equation 16.
    """
    arrays = []
    for layer in hidden:
        sizes = (layer.intercept.shape[0], *HEADS[kind], n_outputs)
        for fan_in, fan_out in pairwise(sizes):
            bound = np.sqrt(6.0 / (fan_in + fan_out))
            for shape in ((fan_in, fan_out), (fan_out,)):
                arrays.append(from_numpy(rng.uniform(-bound, bound, shape), like=layer.coef))
    return arrays


def as_heads(arrays: Sequence[Array], hidden: Sequence[DenseLayer]) -> list[list[DenseLayer]]:
    """Return heads of hidden layers, whose parameters lie as `draw_heads` returns them."""
    heads = []
    size = len(arrays) // max(len(hidden), 1)
    for i, layer in enumerate(hidden):
        own = arrays[i * size : (i + 1) * size]
        activations = [*[layer.activation] * (size // 2 - 1), None]
        heads.append(
            [DenseLayer(*each) for each in zip(own[::2], own[1::2], activations, strict=True)]
        )
    return heads


def pass_head(
    head: Sequence[DenseLayer], values: Array, batch: Batch, into: Sequence[Gradient] | None = None
) -> HeadPass:
    """Send values (rows, units) of a layer through its head, and the error of its loss back.

    The gradient of the head is written, unless `into` is None.
    """
    traces = forward(head, values)
    _, error = batch.loss(traces[-1].out)
    out_error = error
    for i in range(len(head) - 1, -1, -1):
        out_error = head[i].pull_back(traces[i], out_error, None if into is None else into[i])
    return HeadPass(head, traces, error, out_error)
