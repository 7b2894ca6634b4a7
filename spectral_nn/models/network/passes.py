"""Forward and backward passes of blocks of rows through a dense network.

Two classes with the same methods: `HostPasses` writes into work space that stays in the cache and
holds a block as (units, rows), so that a bias and a function run along memory; `LibraryPasses` is
for arrays of any other library, and for residual networks.  A gradient is `forward`, `Output.error`
of what comes out, and `backward` of this error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.arrays import Array, get_namespace, to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS, add_bias, outer
from spectral_nn.models.network.dense import Shape, same_kind, split
from spectral_nn.trainers.layers import forward, pull_back

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

    def load(self, vector: Array) -> None:
        """Take parameters (p,), and begin new sums."""

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

    def load(self, vector: NDArray[np.floating]) -> None:
        """Take parameters (p,), and begin new sums."""
        coefs, _ = split(vector, self._sizes)
        for mine, coef in zip(self._coefs, coefs, strict=True):
            mine[...] = coef.T
        self._parameters[self._n_weights :] = vector[self._n_weights :]
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
                below, back = space.errors[layer - 1], self._coefs[layer]
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

    def load(self, vector: Array) -> None:
        """Take parameters (p,), and begin new sums."""
        self._from_host = isinstance(vector, np.ndarray)
        vector = same_kind(vector, self._like)
        self._layers = self._shape.layers(*split(vector, self._shape.sizes))
        xp = get_namespace(vector)
        self._sums, self._partial = xp.zeros_like(vector), xp.empty_like(vector)

    def forward(self, X: Array) -> Array:
        """Return the outputs (rows, q) of a block before the output function."""
        self._traces = forward(self._layers, X)
        return self._traces[-1].out

    def backward(self, X: Array, error: Array) -> None:
        """Add the gradient of the block that went forward last, from the error (rows, q)."""
        coefs, intercepts = split(self._partial, self._shape.sizes)
        pull_back(self._layers, self._traces, error, list(zip(coefs, intercepts, strict=True)))
        self._sums += self._partial

    def gradient(self) -> Array:
        """Return the sums (p,): a new array."""
        return to_numpy(self._sums).astype(np.float64) if self._from_host else self._sums


def passes_of(shape: Shape, like: Array) -> Passes:
    """Return the passes of a network for arrays such as one."""
    in_place = isinstance(like, np.ndarray) and not shape.residual
    return HostPasses(shape, like) if in_place else LibraryPasses(shape, like)
