r"""Units of inputs, targets and weights in which a network can be fitted, whatever theirs are.

With :math:`x_j = 2^{e_j} x'_j`, :math:`y = m + 2^{b} y'` and :math:`w = 2^{c} w'`, the penalised
loss of a network at (x, y, w) is :math:`2^{2b}` times that of the network whose first layer takes
x', whose last layer gives y', at (x', y', w') and with another penalty for each layer (`Penalty`):
the same function in other variables.  Powers of two round nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, clip, from_numpy, numpy_dtype
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import ChunkedRows, Table
from spectral_nn.models.network.dense import Network, Shape
from spectral_nn.moments.extent import powers

__all__ = ["Penalty", "Scaling", "layers_above", "of_each_weight"]


@dataclass(frozen=True, eq=False)
class Penalty:
    """The penalty of a network in the units of a `Scaling`.

    Attributes
    ----------
    alpha : of the last layer's weights.
    inputs : (d,) exponents of the columns of X, None for units of one.
    outputs : exponent of the targets.
    """

    alpha: float
    inputs: NDArray[np.int32] | None
    outputs: int

    def of(self, shape: Shape) -> NDArray[np.float64]:
        """Penalties (n_weights,) in the order of `spectral_nn.models.network.dense.flatten`."""
        layers = []
        for layer, (fan_in, fan_out) in enumerate(pairwise(shape.sizes)):
            exponent = np.zeros((fan_in, fan_out), np.int32)
            if layer == 0 and self.inputs is not None:
                exponent -= 2 * self.inputs[:, None]
            if layer < len(shape.sizes) - 2:
                exponent -= 2 * self.outputs
            layers.append(exponent.ravel())
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.alpha, np.concatenate(layers))


def of_each_weight(alpha: float | Penalty, shape: Shape) -> float | NDArray[np.float64]:
    """A penalty as numbers: one for all weights, or one for each (n_weights,)."""
    return alpha.of(shape) if isinstance(alpha, Penalty) else alpha


def layers_above(alpha: float | Penalty) -> float | Penalty:
    """The penalty of a network without its first layer."""
    return replace(alpha, inputs=None) if isinstance(alpha, Penalty) else alpha


@dataclass(frozen=True, eq=False)
class Scaling:
    """Units of a table, and of networks that are fitted to it.

    Attributes
    ----------
    inputs : (d,) exponents of the columns of X.
    shift : (q,) of Y.
    outputs : exponent of Y.
    weights : exponent of the weights.
    """

    inputs: NDArray[np.int32]
    shift: NDArray[np.float64]
    outputs: int
    weights: int

    def rows(self, table: Table) -> Table:
        """A table in these units: itself where they are one."""
        if not (self.inputs.any() or self.shift.any() or self.outputs or self.weights):
            return table
        scaled = table.mapped(partial(_scaled, scaling=self))
        if isinstance(scaled, ChunkedRows):
            weight = float(np.ldexp(scaled.total_weight, -self.weights))
            scaled = replace(scaled, total_weight=weight)
        return scaled

    def inside(self, network: Network) -> Network:
        """A network of the user's units in these."""
        return self._mapped(network, 1)

    def outside(self, network: Network) -> Network:
        """A network of these units in the user's."""
        return self._mapped(network, -1)

    def _mapped(self, network: Network, way: int) -> Network:
        coefs, intercepts = list(network.coefs), list(network.intercepts)
        dtype = numpy_dtype(coefs[0].dtype)
        if self.inputs.any():
            factor = powers(way * self.inputs, dtype)[:, None]
            coefs[0] = coefs[0] * from_numpy(factor, like=coefs[0])
        if self.outputs:
            times = float(powers(-way * self.outputs, dtype))
            coefs[-1], intercepts[-1] = coefs[-1] * times, intercepts[-1] * times
        if self.shift.any():
            shift = self.shift * (powers(-self.outputs, dtype) if way == 1 else 1.0)
            intercepts[-1] = intercepts[-1] - way * from_numpy(shift, like=intercepts[-1])
        return replace(network, coefs=tuple(coefs), intercepts=tuple(intercepts))

    def loss(self, value: float) -> float:
        """A loss of these units in the user's; infinite where it is too large for a number."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value, 2 * self.outputs))

    def penalty(self, alpha: float | Penalty) -> float | Penalty:
        """The user's penalty, one number, in these units."""
        assert not isinstance(alpha, Penalty)
        with np.errstate(over="ignore", under="ignore"):
            alpha = float(np.ldexp(alpha, -self.weights)) if self.weights else alpha
        if self.inputs.any() or self.outputs:
            return Penalty(alpha, self.inputs, self.outputs)
        return alpha


def _scaled(rows: Rows, scaling: Scaling) -> Rows:
    """Rows of a chunk in other units."""
    X, Y, weight = rows
    dtype = numpy_dtype(Y.dtype)
    if scaling.inputs.any():
        X = _columns_times(X, powers(-scaling.inputs, dtype))
    if scaling.outputs:
        Y = Y * float(powers(-scaling.outputs, dtype))
    if scaling.shift.any():
        Y = Y - from_numpy(scaling.shift * powers(-scaling.outputs, dtype), like=Y)
    if scaling.weights:
        least = float(np.finfo(dtype).tiny)  # a row that is there keeps some weight
        weight = clip(weight * float(powers(-scaling.weights, dtype)), low=least)
    return Rows(X, Y, weight)


def _columns_times(X: Array, factor: NDArray[np.float64]) -> Array:
    """Columns of a dense or CSR matrix (n, d), each times a number."""
    if hasattr(X, "toarray"):
        X = X.copy()
        X.data *= factor[X.indices].astype(X.dtype)
        return X
    return X * from_numpy(factor, like=X)
