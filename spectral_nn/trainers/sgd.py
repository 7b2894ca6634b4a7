"""Mini-batch gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from spectral_nn.arrays import get_namespace
from spectral_nn.compiled import Compiled
from spectral_nn.trainers.base import Vector
from spectral_nn.trainers.minibatch import MiniBatchTrainer, anneal

__all__ = ["LEARNING_RATES", "SGD", "SGDState"]

_MIN_RATE = 1e-6  # scikit-learn's


@dataclass(eq=False)
class SGDState:
    """What gradient descent remembers between steps.

    Attributes
    ----------
    velocity : array (p,), decayed sum of the steps.
    learning_rate : of the next step.
    rows_seen : in all epochs.
    """

    velocity: Vector
    learning_rate: float
    rows_seen: int


@dataclass(frozen=True)
class SGD(MiniBatchTrainer):
    r"""Gradient descent with momentum, the steps of scikit-learn's perceptrons.

    .. math:: v \leftarrow \mu v - \eta g, \qquad x \leftarrow x + v

    or, with Nesterov's momentum, :math:`x \leftarrow x + \mu v - \eta g` (Sutskever et al., *On the
    importance of initialization and momentum in deep learning*, ICML 2013, equations 1 to 4).

    Attributes
    ----------
    learning_rate : how the size of a step goes on, a key of `LEARNING_RATES`: "constant";
        "invscaling" divides `learning_rate_init` by ``(rows seen + 1) ** power_t`` after each
        epoch; "adaptive" divides it by five, down to 1e-6, where the fit would stop for want of
        gains; "cosine" lowers it along half a wave, to nothing after `max_iter` epochs
        (`spectral_nn.trainers.minibatch.anneal`).
    learning_rate_init : size of a step at first.
    power_t : of "invscaling".
    momentum : the share of the last step that is taken again.
    nesterovs_momentum : whether the gradient counts as if taken after that share.

    Notes
    -----
    6 p operations a step besides the gradient.
    """

    name: ClassVar[str] = "sgd"

    power_t: float = 0.5
    momentum: float = 0.9
    nesterovs_momentum: bool = True

    def init(self, x: Vector) -> SGDState:
        """Return a velocity of zero."""
        return SGDState(get_namespace(x).zeros_like(x), self.learning_rate_init, 0)

    def step(self, x: Vector, gradient: Vector, state: SGDState) -> None:
        """Move x along the velocity, after the gradient has changed it."""
        if isinstance(x, np.ndarray):
            numbers = (state.learning_rate, self.momentum)
            _step(x, gradient, state.velocity, *map(x.dtype.type, numbers), self.nesterovs_momentum)
            return
        downhill = state.learning_rate * gradient
        state.velocity *= self.momentum
        state.velocity -= downhill
        if self.nesterovs_momentum:
            x += self.momentum * state.velocity - downhill
        else:
            x += state.velocity

    def end_epoch(self, state: SGDState, epoch: int, n_rows: int) -> None:
        """Count the rows, and lower the rate if it follows them or the epochs."""
        state.rows_seen += n_rows
        LEARNING_RATES[self.learning_rate].end_epoch(self, state, epoch)

    def goes_on(self, state: SGDState) -> bool:
        """Lower the rate if it follows the gains."""
        return LEARNING_RATES[self.learning_rate].goes_on(state)


@Compiled
def _step(
    x: Vector, gradient: Vector, velocity: Vector, rate: Any, momentum: Any, nesterov: bool
) -> None:
    for i in range(x.shape[0]):
        downhill = rate * gradient[i]
        velocity[i] = momentum * velocity[i] - downhill
        if nesterov:
            x[i] += momentum * velocity[i] - downhill
        else:
            x[i] += velocity[i]


@dataclass(frozen=True)
class _Schedule:
    """When the rate is lowered: after an epoch, and where nothing was gained for long."""

    end_epoch: Callable[[SGD, SGDState, int], None] = lambda trainer, state, epoch: None
    goes_on: Callable[[SGDState], bool] = lambda state: False


def _scale_inversely(trainer: SGD, state: SGDState, epoch: int) -> None:
    state.learning_rate = trainer.learning_rate_init / (state.rows_seen + 1) ** trainer.power_t


def _anneal(trainer: SGD, state: SGDState, epoch: int) -> None:
    state.learning_rate = trainer.learning_rate_init * anneal(epoch, trainer.max_iter)


def _divide_by_five(state: SGDState) -> bool:
    if state.learning_rate <= _MIN_RATE:
        return False
    state.learning_rate /= 5
    return True


LEARNING_RATES: Mapping[str, _Schedule] = MappingProxyType(
    {
        "constant": _Schedule(),
        "invscaling": _Schedule(end_epoch=_scale_inversely),
        "adaptive": _Schedule(goes_on=_divide_by_five),
        "cosine": _Schedule(end_epoch=_anneal),
    }
)
"""How the size of a step goes on, by name."""
