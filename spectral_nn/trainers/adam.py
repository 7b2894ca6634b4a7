"""Mini-batch Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spectral_nn.arrays import get_namespace
from spectral_nn.compiled import Compiled
from spectral_nn.trainers.base import Vector
from spectral_nn.trainers.minibatch import MiniBatchTrainer, anneal

__all__ = ["Adam", "AdamState"]


@dataclass(eq=False)
class AdamState:
    """What Adam remembers between steps.

    Attributes
    ----------
    m, v : arrays (p,), decayed means of the gradient and of its square.
    t : steps done.
    learning_rate : of the last step.
    annealed : share of `learning_rate_init` that steps are made with.
    """

    m: Vector
    v: Vector
    t: int
    learning_rate: float
    annealed: float = 1.0


@dataclass(frozen=True)
class Adam(MiniBatchTrainer):
    """Adam, the steps of scikit-learn's perceptrons.

    Kingma, Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1 in the form
    that ends its section 2.

    Attributes
    ----------
    learning_rate : "cosine" lowers the steps along half a wave, to nothing after `max_iter` epochs
        (`spectral_nn.trainers.minibatch.anneal`); anything else leaves them as they are, as
        scikit-learn's Adam does.
    learning_rate_init : size of a step.
    beta_1, beta_2 : decay of the means of the gradient and of its square.
    epsilon : added to the root of the latter.

    Notes
    -----
    10 p operations a step besides the gradient, in one pass over NumPy's arrays.
    """

    name: ClassVar[str] = "adam"

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, x: Vector) -> AdamState:
        """Return means of zero."""
        xp = get_namespace(x)
        return AdamState(xp.zeros_like(x), xp.zeros_like(x), 0, self.learning_rate_init)

    def step(self, x: Vector, gradient: Vector, state: AdamState) -> None:
        """Move x against the decayed mean of the gradient, in units of its root mean square."""
        state.t += 1
        warm_up = self.learning_rate_init * np.sqrt(1 - self.beta_2**state.t)
        state.learning_rate = float(state.annealed * warm_up / (1 - self.beta_1**state.t))
        if isinstance(x, np.ndarray):
            numbers = (1 - self.beta_1, 1 - self.beta_2, state.learning_rate, self.epsilon)
            _step(x, gradient, state.m, state.v, *map(x.dtype.type, numbers))
            return
        state.m += (1 - self.beta_1) * (gradient - state.m)
        state.v += (1 - self.beta_2) * (gradient * gradient - state.v)
        root = get_namespace(x).sqrt(state.v)
        x -= state.learning_rate * state.m / (root + self.epsilon)

    def end_epoch(self, state: AdamState, epoch: int, n_rows: int) -> None:
        """Lower the steps, if they follow a cosine."""
        if self.learning_rate == "cosine":
            state.annealed = anneal(epoch, self.max_iter)


@Compiled
def _step(
    x: Vector, gradient: Vector, m: Vector, v: Vector, new_1: Any, new_2: Any, rate: Any, eps: Any
) -> None:
    for i in range(x.shape[0]):
        g = gradient[i]
        m[i] += new_1 * (g - m[i])
        v[i] += new_2 * (g * g - v[i])
        x[i] -= rate * m[i] / (np.sqrt(v[i]) + eps)
