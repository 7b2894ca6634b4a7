"""Dense networks, laid out as scikit-learn's perceptrons: parameters, predictions, random draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import CHUNK_ROWS
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.trainers.layers import DenseLayer

__all__ = [
    "Network",
    "Shape",
    "flatten",
    "random_network",
    "same_kind",
    "split",
    "take",
    "unflatten",
]


class Shape(NamedTuple):
    """What a network is, without its parameters.

    Attributes
    ----------
    sizes : widths of all layers, from the inputs to the outputs.
    activation, output : names of the functions.
    residual : whether inputs of a hidden layer are added to its values, where it is as wide as the
        hidden layer below.
    depth_drop : probability with which a batch goes around the last of these layers; around the
        others it grows to that in equal steps.
    """

    sizes: tuple[int, ...]
    activation: str
    output: str
    residual: bool = False
    depth_drop: float = 0.0

    @property
    def n_weights(self) -> int:
        """Parameters that are no intercepts; they come first in `flatten`."""
        return sum(a * b for a, b in pairwise(self.sizes))

    @property
    def skips(self) -> tuple[bool, ...]:
        """Whether there is a way around each layer."""
        widths = self.sizes[1:-1]
        return (
            False,
            *(self.residual and a == b for a, b in pairwise(widths)),
            *([False] if widths else []),
        )

    @property
    def survival(self) -> tuple[float, ...]:
        """Probability with which each layer is not gone around.

        Linear in the depth, Huang et al., *Deep networks with stochastic depth*, ECCV 2016,
        equation 4.
        """
        skips = self.skips
        return tuple(
            1 - self.depth_drop * sum(skips[: i + 1]) / sum(skips) if skip else 1.0
            for i, skip in enumerate(skips)
        )

    def layers(
        self,
        coefs: Sequence[Array],
        intercepts: Sequence[Array],
        gates: Sequence[float] | None = None,
    ) -> list[DenseLayer]:
        """Return the layers of some parameters; by default each counts as often as it survives."""
        activation, last = ACTIVATIONS[self.activation], len(coefs) - 1
        parts = zip(coefs, intercepts, self.skips, gates or self.survival, strict=True)
        return [
            DenseLayer(coef, intercept, activation if i < last else None, skip, gate)
            for i, (coef, intercept, skip, gate) in enumerate(parts)
        ]


@dataclass(frozen=True, eq=False)
class Network:
    """A dense feed-forward network.

    Attributes
    ----------
    coefs : arrays (fan_in, fan_out), one a layer
    intercepts : arrays (fan_out,), one a layer
    activation : of the hidden layers, a key of `ACTIVATIONS`
    output : function of the outputs, a key of `OUTPUTS`
    unit : in which this function gives its values
    residual, depth_drop : see `Shape`
    """

    coefs: tuple[Array, ...]
    intercepts: tuple[Array, ...]
    activation: str
    output: str
    unit: float = 1.0
    residual: bool = False
    depth_drop: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together and functions that there are not."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r} is unknown; use one of {sorted(ACTIVATIONS)}"
            )
        if self.output not in OUTPUTS:
            raise ValueError(f"output={self.output!r} is unknown; use one of {sorted(OUTPUTS)}")
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
        return Shape(self.sizes, self.activation, self.output, self.residual, self.depth_drop)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the inputs to the outputs."""
        return (self.coefs[0].shape[0], *(coef.shape[1] for coef in self.coefs))

    def on(self, like: Array) -> Network:
        """Return the network in the library, on the device and in the precision of an array."""
        return replace(
            self,
            coefs=tuple(_like(coef, like) for coef in self.coefs),
            intercepts=tuple(_like(intercept, like) for intercept in self.intercepts),
        )

    @property
    def layers(self) -> list[DenseLayer]:
        """All layers, the last of which is linear."""
        return self.shape.layers(self.coefs, self.intercepts)

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
        return _by_rows(partial(_through, self.layers[:-1]), X)

    def decision(self, X: Array) -> Array:
        """Return the outputs (n, q) before the output function, of X (n, d)."""
        return _by_rows(partial(_through, self.layers), X)

    def predict(self, X: Array) -> Array:
        """Return the outputs (n, q) after the output function, of X (n, d)."""
        values = OUTPUTS[self.output].value(self.decision(X), axis=1)
        return values if self.unit == 1 else values * self.unit


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
    return replace(
        like,
        coefs=tuple(xp.asarray(part, copy=True) for part in coefs),
        intercepts=tuple(xp.asarray(part, copy=True) for part in intercepts),
    )


def split(
    vector: Array, sizes: Sequence[int], *, turned: bool = False
) -> tuple[list[Array], list[Array]]:
    """Return views of all layers' weights, (fan_in, fan_out), and of their intercepts.

    Parameters
    ----------
    vector : array (p,)
    sizes : widths of all layers
    turned : whether weights lie as (fan_out, fan_in).

    Raises
    ------
    ValueError
        If there are more or fewer parameters than the sizes ask for.
    """
    shapes = list(pairwise(sizes))
    n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in shapes)
    if tuple(vector.shape) != (n_parameters,):
        raise ValueError(
            f"vector has shape {tuple(vector.shape)}; a network of sizes {tuple(sizes)} has "
            f"{n_parameters} parameters"
        )
    reshape = np.reshape if isinstance(vector, np.ndarray) else get_namespace(vector).reshape
    coefs, intercepts, start = [], [], 0
    for fan_in, fan_out in shapes:
        shape = (fan_out, fan_in) if turned else (fan_in, fan_out)
        part = vector[start : start + fan_in * fan_out]
        coefs.append(reshape(part, shape))
        start += fan_in * fan_out
    for _, fan_out in shapes:
        intercepts.append(vector[start : start + fan_out])
        start += fan_out
    return coefs, intercepts


def same_kind(vector: Array, like: Array) -> Array:
    """Return a NumPy vector as the library, device and precision of `like` have it."""
    return from_numpy(vector, like=like) if isinstance(vector, np.ndarray) else vector


def take(x: Array, rows: slice | Array) -> Array:
    """Return some rows, as a view where that is possible; integers may be NumPy's."""
    if sparse.issparse(x) or isinstance(x, np.ndarray):
        return x[rows]
    if isinstance(rows, slice):
        return x[rows, ...]
    return get_namespace(x).take(x, same_kind(rows, x), axis=0)


def _through(layers: Sequence[DenseLayer], X: Array) -> Array:
    """Values (n, units) of the last of some layers, of which no other is kept."""
    for layer in layers:
        X = layer.forward(X).out
    return X


def _like(x: Array, like: Array) -> Array:
    if isinstance(x, np.ndarray) and isinstance(like, np.ndarray):
        return x.astype(like.dtype, copy=False)
    return from_numpy(to_numpy(x), like=like)


def _by_rows(function: Callable[[Array], Array], X: Array) -> Array:
    """Apply a function of rows chunk by chunk, and put the results together.

    BLAS rounds the last rows of a product otherwise than those before: cut where data that come in
    chunks are cut as well, values of a row do not hang on how many come at once.
    """
    n = X.shape[0]
    if n <= CHUNK_ROWS:
        return function(X)
    starts = range(0, n, CHUNK_ROWS)
    results = [function(take(X, slice(i, min(i + CHUNK_ROWS, n)))) for i in starts]
    return get_namespace(*results).concat(results)
