"""Output functions, and the loss that belongs to each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from spectral_nn.arrays import Array, clip, get_namespace
from spectral_nn.models.network.activations import logistic, softplus

__all__ = ["OUTPUTS", "Output", "softmax"]

_LOWEST = -36.0  # below, softplus(z) is exp(z) in every precision


class Output(ABC):
    """An output function and its loss; arrays are (n, q) or (q, n), `axis` is that of the q."""

    name: ClassVar[str]
    bounded: ClassVar[bool] = True
    """Whether `value` is a number whatever Z is."""

    @abstractmethod
    def value(self, Z: Array, axis: int) -> Array:
        """Apply the function to the sums Z that reach the last layer."""

    @abstractmethod
    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses, to be summed along the axis, and their derivatives with respect to Z."""

    def error(
        self, Z: Array, targets: Array, weight: Array | None, axis: int
    ) -> tuple[float, Array]:
        """Return the sum of weighted losses, and its gradient with respect to Z, which goes."""
        losses, error = self.losses(Z, targets, axis)
        if weight is not None:
            losses *= weight
            error *= weight
        return float(get_namespace(losses).sum(losses)), error

    def labels(self, outputs: Array) -> Array | None:
        """Return the classes (n, ...) that outputs (n, q) are in, None for numbers."""
        return None


class Identity(Output):
    """Half the squared error, averaged over the outputs."""

    name = "identity"
    bounded = False

    def value(self, Z: Array, axis: int) -> Array:
        """Return Z itself."""
        return Z

    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses and derivatives."""
        residual = Z - targets
        return 0.5 * residual**2 / Z.shape[axis], residual / Z.shape[axis]

    def error(
        self, Z: Array, targets: Array, weight: Array | None, axis: int
    ) -> tuple[float, Array]:
        """Return sum and gradient, by one product of the residuals with their derivatives."""
        xp = get_namespace(Z)
        Z -= targets
        error = Z / Z.shape[axis] if Z.shape[axis] > 1 else Z
        if weight is not None:
            error = error * weight
        return 0.5 * float(xp.vecdot(xp.reshape(Z, (-1,)), xp.reshape(error, (-1,)))), error


class Exponential(Output):
    """Half the Poisson deviance of each output."""

    name = "exp"
    bounded = False

    def value(self, Z: Array, axis: int) -> Array:
        """Return the mean of each count."""
        return get_namespace(Z).exp(Z)

    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses and derivatives."""
        means = get_namespace(Z).exp(Z)
        return _half_deviance(targets, means, Z), means - targets


class Softplus(Output):
    """Half the Poisson deviance of each output, whose mean is nearly Z where that is above one."""

    name = "softplus"
    bounded = False

    def value(self, Z: Array, axis: int) -> Array:
        """Return the mean of each count."""
        return softplus(Z)

    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses and derivatives."""
        xp = get_namespace(Z)
        low = clip(Z, low=_LOWEST)  # means that vanish have logarithms all the same
        size = xp.abs(low)
        means = (low + size) / 2 + xp.log1p(xp.exp(-size))
        logs = xp.log(means) + (Z - low)
        return _half_deviance(targets, means, logs), -xp.expm1(-means) * (1 - targets / means)


def _half_deviance(targets: Array, means: Array, logs: Array) -> Array:
    """Half the Poisson deviance of counts from means, whose logarithms are known, too."""
    xp = get_namespace(means)
    own = xp.log(xp.where(targets > 0, targets, xp.ones_like(targets)))
    return targets * (own - logs) - targets + means


# Logarithms of probabilities would end at that of the precision, at 16 in float32, where their
# gradient goes on, which misleads line searches: log losses are computed from Z.


class Logistic(Output):
    """Log loss of each output on its own."""

    name = "logistic"

    def value(self, Z: Array, axis: int) -> Array:
        """Return the probability of each output."""
        return logistic(Z)

    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses and derivatives."""
        xp = get_namespace(Z)
        losses = clip(Z, low=0.0) - targets * Z + xp.log1p(xp.exp(-xp.abs(Z)))
        return losses, logistic(Z) - targets

    def labels(self, outputs: Array) -> Array:
        """Return which of the outputs apply."""
        return outputs > 0.5


class Softmax(Output):
    """Log loss of the class."""

    name = "softmax"

    def value(self, Z: Array, axis: int) -> Array:
        """Return the probability of each class."""
        return softmax(Z, axis)

    def losses(self, Z: Array, targets: Array, axis: int) -> tuple[Array, Array]:
        """Return losses and derivatives."""
        xp = get_namespace(Z)
        below = Z - xp.max(Z, axis=axis, keepdims=True)
        P = xp.exp(below)
        total = xp.sum(P, axis=axis, keepdims=True)
        return targets * (xp.log(total) - below), P / total - targets

    def labels(self, outputs: Array) -> Array:
        """Return the likeliest class."""
        return get_namespace(outputs).argmax(outputs, axis=1)[:, None]


def softmax(Z: Array, axis: int) -> Array:
    """Return exp(Z) scaled to a sum of one along an axis, without overflow."""
    xp = get_namespace(Z)
    P = xp.exp(Z - xp.max(Z, axis=axis, keepdims=True))
    return P / xp.sum(P, axis=axis, keepdims=True)


OUTPUTS: Mapping[str, Output] = MappingProxyType(
    {each.name: each for each in (Identity(), Exponential(), Softplus(), Logistic(), Softmax())}
)
"""Output functions by name, those of scikit-learn's ``out_activation_`` among them."""
