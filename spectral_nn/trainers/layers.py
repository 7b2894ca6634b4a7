"""A dense layer in closed forms: its values, errors back through it, and tangents forward.

Every rule that trains a network layer by layer is written in these three, for arrays of any library
that follows the array API standard.  Rows come first: values are (rows, units).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from spectral_nn.arrays import Array, get_namespace

__all__ = ["DenseLayer", "Gradient", "Nonlinearity", "Trace", "forward", "pull_back"]

Gradient: TypeAlias = tuple[Array, Array]
"""Of weights (fan_in, fan_out) and intercepts (fan_out,): arrays to be written to."""


class Nonlinearity(Protocol):
    """A function of each unit, such as `spectral_nn.models.network.activations.Activation`.

    Attributes
    ----------
    value : Z (...) -> σ(Z) (...).
    derivative : (Z (...), σ(Z) (...)) -> σ'(Z) (...); Z is read only with `keeps_input`.
    scale : (D, Z, σ(Z), work) -> None: multiplies D by the derivative in place, for NumPy's arrays.
    keeps_input : whether the derivative is read off the sums rather than its values.
    """

    @property
    def value(self) -> Callable[[Array], Array]: ...  # noqa: D102

    @property
    def derivative(self) -> Callable[[Array, Array], Array]: ...  # noqa: D102

    @property
    def scale(self) -> Callable[..., None]: ...  # noqa: D102

    @property
    def keeps_input(self) -> bool: ...  # noqa: D102


class Trace(NamedTuple):
    """What a layer leaves behind on the way forward.

    Attributes
    ----------
    below : (rows, fan_in), its input.
    sums : (rows, fan_out) Z, or `active` where the derivative is read off that.
    active : (rows, fan_out) σ(Z).
    out : (rows, fan_out), what it passes on.
    """

    below: Array
    sums: Array
    active: Array
    out: Array


@dataclass(frozen=True, eq=False)
class DenseLayer:
    r"""A dense layer, with or without a way around it.

    .. math:: f(h) = g\, \sigma(h W + b) \quad\text{or}\quad f(h) = h + g\, \sigma(h W + b)

    Attributes
    ----------
    coef : array (fan_in, fan_out), W.
    intercept : array (fan_out,), b.
    activation : σ, None for the identity.
    skip : whether the input is added to what comes out.
    gate : g; 0 where a batch goes around the layer (Huang et al., *Deep networks with stochastic
        depth*, ECCV 2016, equation 2).

    Notes
    -----
    2 fan_in fan_out flops a row forward, as many for a tangent of the input or of the weights, and
    twice as many back.
    """

    coef: Array
    intercept: Array
    activation: Nonlinearity | None
    skip: bool = False
    gate: float = 1.0

    def forward(self, below: Array) -> Trace:
        """Return what leaves the layer, and what is needed on the way back."""
        Z = below @ self.coef
        Z += self.intercept
        if self.activation is None:
            return Trace(below, Z, Z, Z)
        active = self.activation.value(Z)
        if not self.activation.keeps_input:
            Z = active
        out = active if self.gate == 1 else self.gate * active
        return Trace(below, Z, active, below + out if self.skip else out)

    def sums_error(self, trace: Trace, error: Array) -> Array:
        """Return the error (rows, fan_out) of the sums Z from that of what leaves the layer.

        The array of `error` may be overwritten, unless the layer has a way around it.
        """
        if self.activation is None:
            return error
        if self.skip or self.gate != 1:
            error = self.gate * error
        if isinstance(error, np.ndarray):
            work = np.empty_like(error)
            self.activation.scale(error, trace.sums, trace.active, work)
            return error
        return error * self.activation.derivative(trace.sums, trace.active)

    def write_gradient(self, trace: Trace, sums_error: Array, into: Gradient) -> None:
        """Write the gradient of weights and intercepts, from the error of the sums."""
        write_product(trace.below, sums_error, into[0])
        into[1][...] = get_namespace(sums_error).sum(sums_error, axis=0)

    def error_below(self, sums_error: Array, error: Array, through: Array | None = None) -> Array:
        """Return the error (rows, fan_in) of the input.

        Parameters
        ----------
        sums_error, error : of the sums, and of what leaves the layer.
        through : array (fan_in, fan_out) that errors go back through in the place of the weights.
        """
        back = sums_error @ (self.coef if through is None else through).T
        return back + error if self.skip else back

    def pull_back(self, trace: Trace, error: Array, into: Gradient | None) -> Array:
        """Write the gradient (unless `into` is None), and return the error of the input."""
        delta = self.sums_error(trace, error)
        if into is not None:
            self.write_gradient(trace, delta, into)
        return self.error_below(delta, error)

    def push_forward(
        self,
        trace: Trace,
        below: Array | None,
        coef: Array | None = None,
        intercept: Array | None = None,
    ) -> Array:
        """Return the tangent (rows, fan_out) of what leaves the layer.

        Parameters
        ----------
        trace : of the pass forward.
        below : tangent (rows, fan_in) of the input, None for zero.
        coef, intercept : tangents of weights and intercepts, None for zero.
        """
        tangent = None if below is None else below @ self.coef
        if coef is not None:
            of_weights = trace.below @ coef
            tangent = of_weights if tangent is None else tangent + of_weights
        if intercept is not None:
            tangent = intercept + (0 * trace.sums if tangent is None else tangent)
        assert tangent is not None, "a tangent of the input or of the parameters is needed"
        if self.activation is not None:
            tangent = tangent * self.activation.derivative(trace.sums, trace.active)
            if self.gate != 1:
                tangent = self.gate * tangent
        return tangent + below if self.skip and below is not None else tangent


def forward(layers: Iterable[DenseLayer], X: Array) -> list[Trace]:
    """Return the traces of all layers, the last of which has the outputs."""
    traces: list[Trace] = []
    for layer in layers:
        traces.append(layer.forward(traces[-1].out if traces else X))
    return traces


def pull_back(
    layers: Sequence[DenseLayer],
    traces: Sequence[Trace],
    error: Array,
    into: Sequence[Gradient],
    *,
    to_input: bool = False,
) -> Array | None:
    """Send an error of the outputs back through all layers, and write their gradients.

    Returns
    -------
    error : (rows, d) of the inputs, None unless `to_input`
    """
    for i in range(len(layers) - 1, 0, -1):
        error = layers[i].pull_back(traces[i], error, into[i])
    if to_input:
        return layers[0].pull_back(traces[0], error, into[0])
    layers[0].write_gradient(traces[0], layers[0].sums_error(traces[0], error), into[0])
    return None


def write_product(left: Array, right: Array, out: Array) -> None:
    """Write left.T @ right to an array, without another of its size where that is possible."""
    if isinstance(left, np.ndarray) and isinstance(out, np.ndarray):
        np.matmul(left.T, right, out=out)
    else:
        out[...] = left.T @ right
