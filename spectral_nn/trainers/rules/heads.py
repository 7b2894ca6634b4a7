"""Auxiliary heads: small networks on a hidden layer's values, whose loss is the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from spectral_nn.arrays import Array, from_numpy
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, forward, pull_back

__all__ = ["HEADS", "Head", "draw_head", "head_layers", "head_size", "local_error"]

Head: TypeAlias = Literal["linear", "mlp"]
HEADS = ("linear", "mlp")
_MLP_UNITS = 64


def head_size(head: Head) -> int:
    """Return how many arrays the parameters of a head are."""
    return 2 if head == "linear" else 4


def draw_head(
    head: Head, layer: DenseLayer, n_outputs: int, rng: np.random.Generator
) -> list[Array]:
    """Draw the parameters of a head on what a layer passes on, as those of a network are drawn.

    "linear" maps values (rows, k) to outputs (rows, q); "mlp" has 64 units between.
    """
    k = int(layer.coef.shape[1])
    widths = (k, n_outputs) if head == "linear" else (k, _MLP_UNITS, n_outputs)
    parts = []
    for fan_in, fan_out in pairwise(widths):
        bound = np.sqrt(6.0 / (fan_in + fan_out))
        parts += [rng.uniform(-bound, bound, (fan_in, fan_out)), np.zeros(fan_out)]
    return [from_numpy(part, like=layer.coef) for part in parts]


def head_layers(parts: Sequence[Array], layer: DenseLayer) -> list[DenseLayer]:
    """Return the layers of a head; hidden ones have the function of the layer that it is on."""
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    return [
        DenseLayer(coef, intercept, layer.activation if i < len(pairs) - 1 else None)
        for i, (coef, intercept) in enumerate(pairs)
    ]


def local_error(
    layers: Sequence[DenseLayer], values: Array, batch: Batch, into: Sequence[Array]
) -> Array:
    """Return the gradient (rows, k) of a head's loss by the values it stands on.

    Parameters
    ----------
    layers : of the head.
    values : array (rows, k)
    batch : whose targets the head is to meet.
    into : where the gradient of the head's own parameters goes.
    """
    traces = forward(layers, values)
    _, error = batch.loss(traces[-1].out)
    pairs: list[Gradient] = list(zip(into[::2], into[1::2], strict=True))
    below = pull_back(layers, traces, error, pairs, to_input=True)
    return below
