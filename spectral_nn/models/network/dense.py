"""Dense networks: parameters, predictions, random draws.

The conventions are those of scikit-learn 1.9's multi-layer perceptrons: the layout of the
weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS, logistic
from spectral_nn.models.network.passes import same_kind, softmax, split, take

__all__ = [
    "OUTPUTS",
    "Network",
    "Shape",
    "flatten",
    "random_network",
    "unflatten",
]

OUTPUTS = ("identity", "logistic", "softmax")
"""Output functions, scikit-learn's ``out_activation_``."""

_ROWS = 1 << 16  # of a block of predictions


class Shape(NamedTuple):
    """Widths of all layers, from the inputs to the outputs, and the names of the functions."""

    sizes: tuple[int, ...]
    activation: str
    output: str

    @property
    def n_weights(self) -> int:
        """Parameters that are no intercepts; they come first in `flatten`."""
        return sum(a * b for a, b in pairwise(self.sizes))


@dataclass(frozen=True, eq=False)
class Network:
    """A dense feed-forward network.

    Attributes
    ----------
    coefs : arrays (fan_in, fan_out), one a layer
    intercepts : arrays (fan_out,), one a layer
    activation : of the hidden layers, a key of `ACTIVATIONS`
    output : "identity", "logistic" (each output on its own) or "softmax" (outputs add up to one)
    """

    coefs: tuple[Array, ...]
    intercepts: tuple[Array, ...]
    activation: str
    output: str

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together and functions that there are not."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r} is unknown; use one of {sorted(ACTIVATIONS)}"
            )
        if self.output not in OUTPUTS:
            raise ValueError(f"output={self.output!r} is unknown; use one of {OUTPUTS}")
        shapes = [tuple(coef.shape) for coef in self.coefs]
        chained = all(a[-1] == b[0] for a, b in pairwise(shapes))
        if not shapes or not chained or any(len(shape) != 2 for shape in shapes):
            raise ValueError(f"coefs have shapes {shapes}; each layer must take the last one's")
        if [tuple(b.shape) for b in self.intercepts] != [shape[1:] for shape in shapes]:
            raise ValueError(
                f"intercepts have shapes {[tuple(b.shape) for b in self.intercepts]}, coefs have "
                f"{shapes}; give one intercept an output of each layer"
            )

    @property
    def shape(self) -> Shape:
        """What the network is, without its parameters."""
        return Shape(self.sizes, self.activation, self.output)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the inputs to the outputs."""
        return (self.coefs[0].shape[0], *(coef.shape[1] for coef in self.coefs))

    def on(self, like: Array) -> Network:
        """Return the network in the library, on the device and in the precision of an array."""
        return Network(
            tuple(_like(coef, like) for coef in self.coefs),
            tuple(_like(intercept, like) for intercept in self.intercepts),
            self.activation,
            self.output,
        )

    def hidden(self, X: Array) -> Array:
        """Return the values of the last hidden layer.

        Parameters
        ----------
        X : array or CSR array (n, d)

        Returns
        -------
        H : array (n, k), `X` itself where there is no hidden layer
        """
        if len(self.coefs) == 1:
            return X
        return _by_rows(self._hidden, X)

    def decision(self, X: Array) -> Array:
        """Return the outputs (n, q) before the output function, of X (n, d)."""
        return _by_rows(lambda rows: self._layer(self._hidden(rows), -1), X)

    def predict(self, X: Array) -> Array:
        """Return the outputs (n, q) after the output function, of X (n, d)."""
        Z = self.decision(X)
        if self.output == "logistic":
            return logistic(Z)
        return softmax(Z, axis=1) if self.output == "softmax" else Z

    def _hidden(self, X: Array) -> Array:
        activation = ACTIVATIONS[self.activation]
        for layer in range(len(self.coefs) - 1):
            X = activation.value(self._layer(X, layer))
        return X

    def _layer(self, X: Array, layer: int) -> Array:
        Z = X @ self.coefs[layer]
        Z += self.intercepts[layer]
        return Z


def random_network(
    sizes: Sequence[int],
    activation: str,
    output: str,
    rng: np.random.Generator,
    *,
    like: Array | None = None,
) -> Network:
    """Draw a network as scikit-learn does (Glorot, Bengio 2010, equation 16).

    Weights and intercepts of a layer are uniform on ±sqrt(6 / (fan_in + fan_out)), ±sqrt(2 / ...)
    for the logistic activation.

    Parameters
    ----------
    sizes : widths of all layers, from the inputs to the outputs
    activation, output : see `Network`
    rng : Generator
        scikit-learn's own numbers come from a ``numpy.random.RandomState``.
    like : array, optional
        Its library, device and precision are those of the network; NumPy's float64 by default.

    Returns
    -------
    Network

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.models.network.dense import random_network
    >>> random_network((30, 10, 1), "relu", "identity", np.random.default_rng(0)).sizes
    (30, 10, 1)
    """
    like = np.empty(0) if like is None else like
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))
        coefs.append(from_numpy(rng.uniform(-bound, bound, (fan_in, fan_out)), like=like))
        intercepts.append(from_numpy(rng.uniform(-bound, bound, fan_out), like=like))
    return Network(tuple(coefs), tuple(intercepts), activation, output)


def flatten(network: Network) -> Array:
    """Return all parameters as one array (p,): the weights of each layer, then the intercepts."""
    xp = get_namespace(*network.coefs)
    return xp.concat([xp.reshape(part, (-1,)) for part in (*network.coefs, *network.intercepts)])


def unflatten(vector: Array, like: Network) -> Network:
    """Return the network whose parameters `flatten` would lay out as `vector`.

    Parameters
    ----------
    vector : array (p,)
        A NumPy array becomes arrays of the library, device and precision of `like`.
    like : Network
        Gives shapes and functions.

    Returns
    -------
    Network
        Its arrays are copies.
    """
    coefs, intercepts = split(same_kind(vector, like.coefs[0]), like.sizes)
    xp = get_namespace(*coefs)
    return Network(
        tuple(xp.asarray(part, copy=True) for part in coefs),
        tuple(xp.asarray(part, copy=True) for part in intercepts),
        like.activation,
        like.output,
    )


def _like(x: Array, like: Array) -> Array:
    if isinstance(x, np.ndarray) and isinstance(like, np.ndarray):
        return x.astype(like.dtype, copy=False)
    return from_numpy(to_numpy(x), like=like)


def _by_rows(function: Callable[[Array], Array], X: Array) -> Array:
    """Apply a function of rows block by block, and put the results together."""
    n_rows, step = X.shape[0], _ROWS
    if n_rows <= step:
        return function(X)
    results = [function(take(X, slice(start, start + step))) for start in range(0, n_rows, step)]
    return get_namespace(*results).concat(results)
