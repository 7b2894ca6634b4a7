"""Backpropagation from a random share of the activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, Trace, write_product
from spectral_nn.trainers.rules.base import Rule

__all__ = ["RandomizedAD"]

_LEVELS = 255  # steps between the smallest derivative of a layer and the largest


@dataclass(frozen=True)
class RandomizedAD(Rule):
    r"""Randomised automatic differentiation: the gradient on average, with a share of the memory.

    Values and loss are exact. For the way back, each layer keeps its inputs for a random share of
    the rows S, drawn anew for each layer and batch, and stands in for the others with these:

    .. math:: \nabla W_l \approx \frac{n}{|S_l|} \sum_{i \in S_l} h_{l-1,i}\, \delta_{l,i}^\top

    Errors go back for all rows, through derivatives that are kept in few bits: one each where they
    take two values, as those of the ReLU do; eight where they do not, rounded up or down at random
    so that they are right on average.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.
    keep : float, default=0.1
        Share of the activations that is kept, above 0 and at most 1.

    Raises
    ------
    ValueError
        If ``optimizer`` is not one of these, or ``keep`` is no such share.

    See Also
    --------
    Checkpointed : the exact gradient with less memory, for more time.
    Backprop : the exact gradient.

    Notes
    -----
    The gradient is linear in the inputs of a layer, and in the derivatives of each, so that it is
    right on average where these are. It is exact for intercepts; for the first layer, whose input
    is the batch itself; and for the last, whose input is still there when the error is known.

    In single precision, a hidden unit and row takes 4 ``keep`` bytes, and one bit or one byte for
    the derivative, where backpropagation keeps 4 bytes. Hidden layers' gradients take
    2 + 2 ``keep`` flops a weight and row, where backpropagation takes 4.

    The paper samples units instead of rows. For as many values, other units for each row have the
    same variance, the same units for all rows have more, and both need smaller steps: on MNIST-1D,
    they diverged at a learning rate of 0.1, where rows did not.

    References
    ----------
    .. [1] Oktay, McGreivy, Aduol, Beatson, Adams, "Randomized automatic differentiation",
       ICLR 2021, sections 3 and 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import RandomizedAD
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32, 32), solver=RandomizedAD("sgd"), init="random", max_iter=20,
    ...                     learning_rate="cosine", learning_rate_init=0.05, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    """

    name: ClassVar[str] = "randomized-ad"
    unbiased: ClassVar[bool] = True
    uses_backward: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    keep: float = 0.1

    def __post_init__(self) -> None:
        """Check the share."""
        super().__post_init__()
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep={self.keep}: give a share above 0 and at most 1")

    def write(
        self,
        layers: Sequence[DenseLayer],
        batch: Batch,
        into: Sequence[Gradient],
        *,
        rng: np.random.Generator,
        **how: Any,
    ) -> float:
        """Write an estimate of the gradient of a batch; return its loss."""
        *hidden, last = layers
        kept, below = [], batch.X
        for i, layer in enumerate(hidden):
            trace = layer.forward(below)
            inputs = _Sampled.draw(below, self.keep, rng) if i else None
            kept.append((inputs, _Derivative.of(layer, trace, rng)))
            below = trace.out
            del trace
        trace = last.forward(below)
        value, error = batch.loss(trace.out)
        last.write_gradient(trace, error, into[-1])
        error = last.error_below(error, error)
        del trace, below
        for layer, place in zip(reversed(hidden), reversed(into[:-1]), strict=True):
            inputs, derivative = kept.pop()
            sums_error = derivative.times(error)
            place[1][...] = get_namespace(error).sum(sums_error, axis=0)
            if inputs is None:
                write_product(batch.X, sums_error, place[0])
            else:
                inputs.write_product(sums_error, place[0])
                error = layer.error_below(sums_error, error)
        return value


class _Sampled(NamedTuple):
    """Some rows (k, units) of an array, and which of it they are."""

    values: Array
    rows: Array

    @classmethod
    def draw(cls, array: Array, share: float, rng: np.random.Generator) -> _Sampled:
        """Keep a share of the rows, one at least."""
        n = array.shape[0]
        rows = from_numpy(rng.permutation(n)[: max(1, round(share * n))], like=array)
        return cls(get_namespace(array).take(array, rows, axis=0), rows)

    def write_product(self, error: Array, out: Array) -> None:
        """Write what the product of all rows with the error (rows, fan_out) is on average."""
        some = get_namespace(error).take(error, self.rows, axis=0)
        some *= error.shape[0] / some.shape[0]
        write_product(self.values, some, out)


class _Derivative(NamedTuple):
    """The derivative of a layer, in bits or bytes.

    Attributes
    ----------
    codes : of ``low + step * number``, with the number (rows, units) a bit, eight to a byte where
        the array is NumPy's, or a byte; None where all are 0.
    """

    codes: Array | None
    low: float
    step: float

    @classmethod
    def of(cls, layer: DenseLayer, trace: Trace, rng: np.random.Generator) -> _Derivative:
        """Read it off the pass of a hidden layer."""
        assert layer.activation is not None, "a hidden layer has an activation"
        values = layer.gate * layer.activation.derivative(trace.sums, trace.active)
        xp = get_namespace(values)
        low, high = float(xp.min(values)), float(xp.max(values))
        if low == high:
            return cls(None, low, 0.0)
        above = values > low
        if bool(xp.all(above == (values == high))):
            return cls(
                np.packbits(above) if isinstance(above, np.ndarray) else above, low, high - low
            )
        step = (high - low) / _LEVELS
        values = (values - low) / step
        values += from_numpy(rng.random(tuple(values.shape), dtype=np.float32), like=values)
        return cls(xp.astype(xp.clip(values, max=_LEVELS), xp.uint8), low, step)

    def times(self, error: Array) -> Array:
        """Return the error (rows, units) times the derivative."""
        if self.codes is None:
            return self.low * error
        codes = self.codes
        if isinstance(codes, np.ndarray) and codes.ndim == 1:
            codes = np.unpackbits(codes, count=error.size).reshape(error.shape)
        values = get_namespace(codes).astype(codes, error.dtype)
        values *= self.step
        values += self.low
        values *= error
        return values
