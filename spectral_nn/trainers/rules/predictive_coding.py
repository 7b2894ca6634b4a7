"""Predictive coding: values of layers settle between what is below and above, then layers learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from spectral_nn.arrays import Array, get_namespace
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, Trace, forward
from spectral_nn.trainers.rules.base import Memory, Rule

__all__ = ["PredictiveCoding", "descend", "look_at", "predict"]


@dataclass(frozen=True)
class PredictiveCoding(Rule):
    r"""Predictive coding: values settle to a low energy, and layers learn what is left to predict.

    The values :math:`h_l` of hidden layers are free to move; the energy of a row is

    .. math:: F = \sum_{l \leq L} \tfrac12 |h_l - f_l(h_{l-1})|^2
        + \beta\, E(f_{L+1}(h_L))

    with the row's loss E. From the values of a pass forward, where F is the loss alone, `n_steps`
    steps of gradient descent are taken in all :math:`h_l` at a time, each of which needs no more
    than its layer and the one above; then the direction of the parameters is their gradient of F.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps of the parameters, with the settings of the estimator.
    n_steps : int, default=20
        Steps in which values settle: one at least for each hidden layer, as errors come down by
        one layer a step.
    step : float, default=0.1
        Size of these steps. It is halved, for the batch, in the place of a step in which F would
        rise.
    nudge : float, default=0.1
        β, how much the loss counts beside the predictions of hidden layers; 1 in [1]_. The
        direction is divided by it.

    Raises
    ------
    ValueError
        If a setting is not positive.

    See Also
    --------
    Backprop : what the direction is as `nudge` goes to zero and `n_steps` to infinity.

    Notes
    -----
    As β goes to zero, values stay where they are, and what predictions miss settles at β times the
    errors of backpropagation [2]_; numbers are rounded relative to the values, though, so that in
    single precision β should not be much below 1e-3. Steps end before values have settled: errors
    of lower layers are then too small, those of the first of three layers by a factor of six in a
    network as it is drawn, which Adam makes up for and gradient descent does not. Large weights
    make the settling slower.

    4 flops a weight and row for each step, but for the first layer's weights (none), and 4 for the
    directions: with 20 steps ten times the time of backpropagation.

    References
    ----------
    .. [1] Whittington, Bogacz, "An approximation of the error backpropagation algorithm in a
       predictive coding network with local Hebbian synaptic plasticity", Neural Computation 29,
       2017, equations 2.13 to 2.19.
    .. [2] Millidge, Tschantz, Buckley, "Predictive coding approximates backprop along arbitrary
       computation graphs", Neural Computation 34, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import PredictiveCoding
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), solver=PredictiveCoding(), init="random", batch_size=50,
    ...                     learning_rate="cosine", learning_rate_init=0.01, max_iter=5,
    ...                     random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    """

    name: ClassVar[str] = "predictive coding"
    uses_backward: ClassVar[bool] = True

    n_steps: int = 20
    step: float = 0.1
    nudge: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        for setting in ("n_steps", "step", "nudge"):
            found = getattr(self, setting)
            if not found > 0:
                raise ValueError(f"{setting}={found} moves no values; give a positive number")

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Check that errors reach the first layer; nothing is kept."""
        if self.n_steps < len(layers) - 1:
            raise ValueError(
                f"n_steps={self.n_steps}: errors come down by one layer a step, and there are "
                f"{len(layers) - 1} hidden layers; give that many at least"
            )
        return Memory()

    def write(
        self,
        layers: Sequence[DenseLayer],
        batch: Batch,
        into: Sequence[Gradient],
        *,
        memory: Memory,
        into_learned: Sequence[Array],
        rng: np.random.Generator,
        stage: int,
    ) -> float:
        """Let values settle, and write the energy's gradient over the nudge."""
        weight = self.nudge * batch.X.shape[0]
        traces = forward(layers, batch.X)
        start = state = look_at([trace.out for trace in traces[:-1]], traces, batch, weight)
        step = self.step
        for _ in range(self.n_steps):
            values = descend(layers, state, step)
            moved = look_at(values, predict(layers, traces[0], values), batch, weight)
            if moved.energy <= state.energy:
                state = moved
            else:
                step /= 2
        for layer, trace, error, where in zip(
            layers, state.traces, state.errors, into, strict=True
        ):
            layer.write_gradient(trace, layer.sums_error(trace, error / weight), where)
        return start.energy / weight


class State(NamedTuple):
    """Values of hidden layers, and what becomes of them.

    Attributes
    ----------
    values : arrays (rows, units), one a hidden layer.
    traces : of all layers, from the values below them.
    errors : arrays (rows, units), the energy's gradients with respect to what leaves each layer.
    energy : F, summed over rows.
    """

    values: list[Array]
    traces: list[Trace]
    errors: list[Array]
    energy: float


def predict(layers: Sequence[DenseLayer], first: Trace, values: Sequence[Array]) -> list[Trace]:
    """Return the traces of all layers from the values below them; the first one's is known."""
    return [first, *(layer.forward(h) for layer, h in zip(layers[1:], values, strict=True))]


def look_at(values: list[Array], traces: list[Trace], batch: Batch, weight: float) -> State:
    """Return errors and energy, in which the mean loss counts `weight` times."""
    loss, error = batch.loss(traces[-1].out)
    missed = [trace.out - h for trace, h in zip(traces[:-1], values, strict=True)]
    squares = sum(float(get_namespace(left).sum(left * left)) for left in missed)
    return State(values, traces, [*missed, weight * error], weight * loss + squares / 2)


def descend(layers: Sequence[DenseLayer], state: State, step: float) -> list[Array]:
    """Return values of hidden layers after a step down the energy, all from the same state."""
    moved = []
    for i, h in enumerate(state.values):
        error = 1 * state.errors[i + 1]  # may be overwritten
        slope = layers[i + 1].pull_back(state.traces[i + 1], error, None) - state.errors[i]
        moved.append(h - step * slope)
    return moved
