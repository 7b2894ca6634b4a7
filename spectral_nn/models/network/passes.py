"""Forward and backward passes of blocks of rows through a dense network.

Two classes with the same three methods: `HostPasses` writes into work space that stays in the
cache, `LibraryPasses` is for arrays of any other library. Both hold a block as (units, rows), so
that a bias and a function run along memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.arrays import Array, clip, from_numpy, get_namespace, to_numpy
from spectral_nn.models.network.activations import Activation, add_bias, logistic, outer

__all__ = [
    "Block",
    "HostPasses",
    "LibraryPasses",
    "log_losses",
    "same_kind",
    "softmax",
    "split",
    "take",
]

_CACHE_BYTES = 2 * 1024 * 1024  # of the work space of a block
_FEWEST_ROWS, _MOST_ROWS = 512, 4096


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of the data.

    Attributes
    ----------
    X : array (rows, d), dense or CSR
    targets : array (q, rows)
    weight : array (rows,), or None for ones
    weight_sum : sum of the weights
    """

    X: Array
    targets: Array
    weight: Array | None
    weight_sum: float

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return cast(int, self.X.shape[0])


class HostPasses:
    """Passes for NumPy arrays, and sparse inputs.

    Parameters
    ----------
    sizes : widths of all layers
    activation : of the hidden layers
    output : "identity", "logistic" or "softmax"
    like : ndarray
        Precision of products; sums over blocks are double.
    """

    def __init__(
        self, sizes: Sequence[int], activation: Activation, output: str, like: NDArray[np.floating]
    ) -> None:
        self._sizes, self._activation, self._output = sizes, activation, output
        self._dtype = like.dtype
        n_parameters = sum((a + 1) * b for a, b in pairwise(sizes))
        self._n_weights = n_parameters - sum(sizes[1:])
        # parameters and sums have their weights turned, (fan_out, fan_in)
        self._parameters = np.zeros(n_parameters, like.dtype)
        self._coefs, self._intercepts = split(self._parameters, sizes, turned=True)
        self._partial = np.zeros(n_parameters, like.dtype)
        self._partial_coefs, self._partial_intercepts = split(self._partial, sizes, turned=True)
        self._sums = np.zeros(n_parameters)
        self._sums_coefs, _ = split(self._sums, sizes, turned=True)
        self._spaces: dict[int, _WorkSpace] = {}

    @property
    def rows_a_block(self) -> int:
        """How many rows should pass at a time."""
        row = self._dtype.itemsize * (2 * sum(self._sizes[1:]) + self._sizes[0])
        return min(max(_CACHE_BYTES // row, _FEWEST_ROWS), _MOST_ROWS)

    def load(self, vector: NDArray[np.floating]) -> None:
        """Take parameters (p,), and begin new sums."""
        coefs, _ = split(vector, self._sizes)
        for mine, coef in zip(self._coefs, coefs, strict=True):
            mine[...] = coef.T
        self._parameters[self._n_weights :] = vector[self._n_weights :]
        self._sums[:] = 0

    def add(self, block: Block, *, with_gradient: bool) -> float:
        """Add the gradient of the loss of a block to the sums on demand; return the loss."""
        if block.rows not in self._spaces:
            self._spaces[block.rows] = _WorkSpace(
                self._sizes, block.rows, self._dtype, self._activation.keeps_input
            )
        space = self._spaces[block.rows]
        self._forward(block, space)
        loss, delta = _loss(np, self._output, space.inputs[-1], block)
        if with_gradient:
            self._backward(block, space, delta)
            self._sums += self._partial
        return loss

    def sums(self) -> NDArray[np.float64]:
        """Gradient (p,) of the sum of the losses of all blocks added: a new array."""
        gradient = np.empty(self._sums.shape[0])
        for mine, part in zip(split(gradient, self._sizes)[0], self._sums_coefs, strict=True):
            mine[...] = part.T
        gradient[self._n_weights :] = self._sums[self._n_weights :]
        return gradient

    def _forward(self, block: Block, space: _WorkSpace) -> None:
        last = len(self._coefs) - 1
        for layer, (coef, intercept) in enumerate(zip(self._coefs, self._intercepts, strict=True)):
            Z = space.inputs[layer]
            if layer > 0:
                np.matmul(coef, space.hidden[layer - 1], out=Z)
            elif sparse.issparse(block.X):
                Z[...] = (block.X @ coef.T).T
            else:
                np.matmul(coef, block.X.T, out=Z)
            if layer < last:
                self._activation.write(Z, intercept, space.hidden[layer])
            else:
                add_bias(Z, intercept)

    def _backward(self, block: Block, space: _WorkSpace, delta: NDArray[np.floating]) -> None:
        for layer in range(len(self._coefs) - 1, -1, -1):
            grad = self._partial_coefs[layer]
            if layer > 0:
                np.matmul(delta, space.hidden[layer - 1].T, out=grad)
            elif sparse.issparse(block.X):
                grad[...] = (block.X.T @ delta.T).T
            else:
                np.matmul(delta, block.X, out=grad)
            np.matmul(delta, space.ones, out=self._partial_intercepts[layer])
            if layer > 0:
                below, coef = space.deltas[layer - 1], self._coefs[layer]
                if delta.shape[0] == 1:
                    outer(coef[0], delta[0], below)
                else:
                    np.matmul(coef.T, delta, out=below)
                self._activation.scale(
                    below, space.inputs[layer - 1], space.hidden[layer - 1], space.work[layer - 1]
                )
                delta = below


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
        self.deltas = [np.empty((size, rows), dtype) for size in middle]
        work = np.empty(max(middle, default=0) * rows, dtype)
        self.work = [work[: size * rows].reshape(size, rows) for size in middle]
        self.ones = np.ones(rows, dtype)


class LibraryPasses:
    """Passes for arrays of any library that follows the array API standard.

    Parameters
    ----------
    sizes, activation, output : see `HostPasses`
    like : array
        Gives library, device and precision.
    """

    rows_a_block = 1 << 16  # many: a call to a device costs more than a miss of the cache

    def __init__(
        self, sizes: Sequence[int], activation: Activation, output: str, like: Array
    ) -> None:
        self._sizes, self._activation, self._output = sizes, activation, output
        self._like = like
        self._xp: ModuleType = get_namespace(like)

    def load(self, vector: Array) -> None:
        """Take parameters (p,), and begin new sums."""
        self._from_host = isinstance(vector, np.ndarray)
        vector = same_kind(vector, self._like)
        self._coefs, self._intercepts = split(vector, self._sizes)
        self._sums = [self._xp.zeros_like(part) for part in (*self._coefs, *self._intercepts)]

    def add(self, block: Block, *, with_gradient: bool) -> float:
        """Add the gradient of the loss of a block to the sums on demand; return the loss."""
        xp, last = self._xp, len(self._coefs) - 1
        inputs, values = [], [block.X.T]
        for layer, (coef, intercept) in enumerate(zip(self._coefs, self._intercepts, strict=True)):
            inputs.append(coef.T @ values[-1] + intercept[:, None])
            if layer < last:
                values.append(self._activation.value(inputs[-1]))
        loss, delta = _loss(xp, self._output, inputs[-1], block)
        if not with_gradient:
            return loss
        for layer in range(last, -1, -1):
            self._sums[layer] += values[layer] @ delta.T
            self._sums[last + 1 + layer] += xp.sum(delta, axis=1)
            if layer > 0:
                delta = self._coefs[layer] @ delta
                delta *= self._activation.derivative(inputs[layer - 1], values[layer])
        return loss

    def sums(self) -> Array:
        """Gradient (p,) of the sum of the losses of all blocks added: a new array."""
        gradient = self._xp.concat([self._xp.reshape(part, (-1,)) for part in self._sums])
        return to_numpy(gradient).astype(np.float64) if self._from_host else gradient


def _loss(xp: ModuleType, output: str, Z: Array, block: Block) -> tuple[float, Array]:
    """Sum of the losses of outputs (q, rows), and its gradient with respect to Z, which goes."""
    if output == "identity":
        Z -= block.targets
        delta = Z / Z.shape[0] if Z.shape[0] > 1 else Z
        if block.weight is not None:
            delta = delta * block.weight
        return 0.5 * float(xp.vecdot(xp.reshape(Z, (-1,)), xp.reshape(delta, (-1,)))), delta
    losses, P = log_losses(Z, block.targets, output, axis=0)
    delta = P - block.targets
    if block.weight is not None:
        losses *= block.weight
        delta *= block.weight
    return float(xp.sum(losses)), delta


def log_losses(Z: Array, targets: Array, output: str, axis: int) -> tuple[Array, Array]:
    """Log losses, and the probabilities, of outputs before the output function.

    Logarithms of probabilities would end at that of the precision, at 16 in float32, where their
    gradient goes on, which misleads line searches.

    Parameters
    ----------
    Z, targets : arrays, (n, q) or (q, n); targets are 0 and 1
    output : "logistic" or "softmax"
    axis : that of the q outputs

    Returns
    -------
    losses, P : arrays of the shape of Z; losses are to be summed along the axis
    """
    xp = get_namespace(Z)
    if output == "logistic":
        return clip(Z, low=0.0) - targets * Z + xp.log1p(xp.exp(-xp.abs(Z))), logistic(Z)
    below = Z - xp.max(Z, axis=axis, keepdims=True)
    P = xp.exp(below)
    total = xp.sum(P, axis=axis, keepdims=True)
    return targets * (xp.log(total) - below), P / total


def softmax(Z: Array, axis: int) -> Array:
    """Return exp(Z) scaled to a sum of one along an axis, without overflow."""
    xp = get_namespace(Z)
    P = xp.exp(Z - xp.max(Z, axis=axis, keepdims=True))
    return P / xp.sum(P, axis=axis, keepdims=True)


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
