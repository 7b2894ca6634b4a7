"""Mini-batch Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spectral_nn.trainers.base import Vector
from spectral_nn.trainers.minibatch import MiniBatchTrainer

__all__ = ["Adam", "AdamState"]


@dataclass(eq=False)
class AdamState:
    """What Adam remembers between steps.

    Attributes
    ----------
    m, v : arrays (p,), decayed means of the gradient and of its square.
    t : steps done.
    learning_rate : of the last step.
    """

    m: Vector
    v: Vector
    t: int
    learning_rate: float


@dataclass(frozen=True)
class Adam(MiniBatchTrainer):
    """Adam, the steps of scikit-learn's perceptrons.

    Kingma, Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1 in the form
    that ends its section 2.

    Attributes
    ----------
    learning_rate_init : size of a step.
    beta_1, beta_2 : decay of the means of the gradient and of its square.
    epsilon : added to the root of the latter.

    Notes
    -----
    10 p operations a step besides the gradient.
    """

    name: ClassVar[str] = "adam"

    learning_rate_init: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, n_parameters: int) -> AdamState:
        """Return means of zero."""
        zeros = np.zeros(n_parameters)
        return AdamState(zeros, zeros.copy(), 0, self.learning_rate_init)

    def step(self, x: Vector, gradient: Vector, state: AdamState) -> None:
        """Move x against the decayed mean of the gradient, in units of its root mean square."""
        state.t += 1
        state.m += (1 - self.beta_1) * (gradient - state.m)
        state.v += (1 - self.beta_2) * (gradient * gradient - state.v)
        warm_up = self.learning_rate_init * np.sqrt(1 - self.beta_2**state.t)
        state.learning_rate = warm_up / (1 - self.beta_1**state.t)
        x -= state.learning_rate * state.m / (np.sqrt(state.v) + self.epsilon)
