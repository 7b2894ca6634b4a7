"""Forward and backward passes of blocks of rows through a dense network.

Two classes with the same methods: `HostPasses` writes into work space that stays in the cache and
holds a block as (units, rows), so that a bias and a function run along memory; `LibraryPasses` is
for arrays of any other library.  A gradient is `forward`, `Output.error` of what comes out, and
`backward` of this error, which may be sent back through other weights than the network's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.arrays import Array, get_namespace, to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS, add_bias, outer
from spectral_nn.models.network.dense import Network, Shape, same_kind, split

__all__ = ["HostPasses", "LibraryPasses", "Passes", "passes_of"]

_CACHE_BYTES = 2 * 1024 * 1024  # of the work space of a block
MIN_ROWS, MAX_ROWS = 512, 4096


class Passes(Protocol):
    """Passes of blocks through a network whose parameters are loaded.

    Attributes
    ----------
    axis : that of the outputs in what `forward` returns.
    """

    axis: int

    @property
    def rows_a_block(self) -> int:
        """How many rows should pass at a time."""

    def load(self, vector: Array, feedback: Array | None = None) -> None:
        """Take parameters (p,), and others for errors to go back through; begin new sums."""

    def forward(self, X: Array) -> Array:
        """Return the outputs of a block (rows, d) before the output function."""

    def backward(self, X: Array, error: Array) -> None:
        """Add to the sums the gradient of the block that went forward last, error as its outputs'.

        What `forward` returned and `error` may be overwritten.
        """

    def gradient(self) -> Array:
        """Return the sums (p,): a new array."""


class HostPasses:
    """Passes for NumPy arrays, and sparse inputs.

    Parameters
    ----------
    shape : of the network
    like : ndarray
        Precision of products; sums over blocks are double.
    """

    axis = 0

    def __init__(self, shape: Shape, like: NDArray[np.floating]) -> None:
        self._sizes, self._dtype = shape.sizes, like.dtype
        self._activation = ACTIVATIONS[shape.activation]
        self._n_weights = shape.n_weights
        n_parameters = self._n_weights + sum(self._sizes[1:])
        # parameters and sums have their weights turned, (fan_out, fan_in)
        self._parameters = np.zeros(n_parameters, like.dtype)
        self._coefs, self._intercepts = split(self._parameters, self._sizes, turned=True)
        self._partial = np.zeros(n_parameters, like.dtype)
        self._partial_coefs, self._partial_intercepts = split(
            self._partial, self._sizes, turned=True
        )
        self._sums = np.zeros(n_parameters)
        self._sums_coefs, _ = split(self._sums, self._sizes, turned=True)
        self._spaces: dict[int, _WorkSpace] = {}

    @property
    def rows_a_block(self) -> int:
        """How many rows should pass at a time."""
        row = self._dtype.itemsize * (2 * sum(self._sizes[1:]) + self._sizes[0])
        return min(max(_CACHE_BYTES // row, MIN_ROWS), MAX_ROWS)

    def load(
        self, vector: NDArray[np.floating], feedback: NDArray[np.floating] | None = None
    ) -> None:
        """Take parameters (p,), and others for errors to go back through; begin new sums."""
        coefs, _ = split(vector, self._sizes)
        for mine, coef in zip(self._coefs, coefs, strict=True):
            mine[...] = coef.T
        self._parameters[self._n_weights :] = vector[self._n_weights :]
        self._back = self._coefs
        if feedback is not None:
            back, _ = split(feedback, self._sizes)
            self._back = [np.ascontiguousarray(coef.T, self._dtype) for coef in back]
        self._sums[:] = 0

    def forward(self, X: Array) -> NDArray[np.floating]:
        """Return the outputs (q, rows) of a block before the output function, in work space."""
        n_rows, last = X.shape[0], len(self._coefs) - 1
        if n_rows not in self._spaces:
            self._spaces[n_rows] = _WorkSpace(
                self._sizes, n_rows, self._dtype, self._activation.keeps_input
            )
        space = self._spaces[n_rows]
        for layer, (coef, intercept) in enumerate(zip(self._coefs, self._intercepts, strict=True)):
            Z = space.inputs[layer]
            if layer > 0:
                np.matmul(coef, space.hidden[layer - 1], out=Z)
            elif sparse.issparse(X):
                Z[...] = (X @ coef.T).T
            else:
                np.matmul(coef, X.T, out=Z)
            if layer < last:
                self._activation.write(Z, intercept, space.hidden[layer])
            else:
                add_bias(Z, intercept)
        return space.inputs[-1]

    def backward(self, X: Array, error: NDArray[np.floating]) -> None:
        """Add the gradient of the block that went forward last, from the error (q, rows)."""
        space = self._spaces[X.shape[0]]
        for layer in range(len(self._coefs) - 1, -1, -1):
            grad = self._partial_coefs[layer]
            if layer > 0:
                np.matmul(error, space.hidden[layer - 1].T, out=grad)
            elif sparse.issparse(X):
                grad[...] = (X.T @ error.T).T
            else:
                np.matmul(error, X, out=grad)
            np.matmul(error, space.ones, out=self._partial_intercepts[layer])
            if layer > 0:
                below, back = space.errors[layer - 1], self._back[layer]
                if error.shape[0] == 1:
                    outer(back[0], error[0], below)
                else:
                    np.matmul(back.T, error, out=below)
                self._activation.scale(
                    below, space.inputs[layer - 1], space.hidden[layer - 1], space.work[layer - 1]
                )
                error = below
        self._sums += self._partial

    def gradient(self) -> NDArray[np.float64]:
        """Return the sums (p,): a new array."""
        gradient = np.empty(self._sums.shape[0])
        for mine, part in zip(split(gradient, self._sizes)[0], self._sums_coefs, strict=True):
            mine[...] = part.T
        gradient[self._n_weights :] = self._sums[self._n_weights :]
        return gradient


class _WorkSpace:
    """What a block of so many rows leaves on its way."""

    def __init__(
        self, sizes: Sequence[int], rows: int, dtype: np.dtype[Any], keeps_input: bool
    ) -> None:
        middle = sizes[1:-1]
        self.inputs = [np.empty((size, rows), dtype) for size in sizes[1:]]
        self.hidden = self.inputs[:-1]
        if keeps_input:
            self.hidden = [np.empty((size, rows), dtype) for size in middle]
        self.errors = [np.empty((size, rows), dtype) for size in middle]
        work = np.empty(max(middle, default=0) * rows, dtype)
        self.work = [work[: size * rows].reshape(size, rows) for size in middle]
        self.ones = np.ones(rows, dtype)


class LibraryPasses:
    """Passes for arrays of any library that follows the array API standard.

    Parameters
    ----------
    shape : of the network
    like : array
        Gives library, device and precision.
    """

    axis = 1
    rows_a_block = 1 << 16  # many: a call to a device costs more than a miss of the cache

    def __init__(self, shape: Shape, like: Array) -> None:
        self._shape, self._like = shape, like

    def load(self, vector: Array, feedback: Array | None = None) -> None:
        """Take parameters (p,), and others for errors to go back through; begin new sums."""
        self._from_host = isinstance(vector, np.ndarray)
        coefs, intercepts = split(same_kind(vector, self._like), self._shape.sizes)
        self._network = Network(
            tuple(coefs), tuple(intercepts), self._shape.activation, self._shape.output
        )
        self._back = coefs
        if feedback is not None:
            self._back, _ = split(same_kind(feedback, self._like), self._shape.sizes)
        xp = get_namespace(self._like)
        self._sums = [xp.zeros_like(part) for part in (*coefs, *intercepts)]

    def forward(self, X: Array) -> Array:
        """Return the outputs (rows, q) of a block before the output function."""
        self._layers = list(self._network.forward(X))
        return self._layers[-1][0]

    def backward(self, X: Array, error: Array) -> None:
        """Add the gradient of the block that went forward last, from the error (rows, q)."""
        xp, last = get_namespace(error), len(self._layers) - 1
        derivative = ACTIVATIONS[self._shape.activation].derivative
        for layer in range(last, -1, -1):
            values = self._layers[layer - 1][1] if layer > 0 else X
            self._sums[layer] += values.T @ error
            self._sums[last + 1 + layer] += xp.sum(error, axis=0)
            if layer > 0:
                error = error @ self._back[layer].T
                error *= derivative(*self._layers[layer - 1])

    def gradient(self) -> Array:
        """Return the sums (p,): a new array."""
        xp = get_namespace(self._like)
        gradient = xp.concat([xp.reshape(part, (-1,)) for part in self._sums])
        return to_numpy(gradient).astype(np.float64) if self._from_host else gradient


def passes_of(shape: Shape, like: Array) -> Passes:
    """Return the passes of a network for arrays such as one."""
    return HostPasses(shape, like) if isinstance(like, np.ndarray) else LibraryPasses(shape, like)
