"""Layered Hopfield networks, which answer by rolling down an energy, and learn by a nudge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, clip, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.equilibrium.fixed_point import (
    Answers,
    FixedPoint,
    Iteration,
    States,
    answer_rows,
)
from spectral_nn.models.network.dense import random_network, split, take
from spectral_nn.trainers.base import Vector

__all__ = ["NUDGES", "HopfieldNetwork", "HopfieldObjective", "draw_hopfield"]

NUDGES = ("symmetric", "one-sided")


@dataclass(frozen=True, eq=False)
class HopfieldNetwork:
    r"""Layers of states in [0, 1], each tied to the next one by weights that act both ways.

    With the inputs as the layer :math:`s_0 = x`, the energy is

    .. math:: E(s) = \sum_{l \ge 1} \Big(\tfrac12 \|s_l\|^2 - s_{l-1} W_l s_l^\top
        - b_l s_l^\top\Big)

    (Scellier, Bengio 2017, equations 1 and 2, with the hard sigmoid), and states follow

    .. math:: s_l \leftarrow \mathrm{clip}_{[0, 1]}\big(s_l - dt\, \partial E / \partial s_l\big),
        \qquad \partial E / \partial s_l = s_l - s_{l-1} W_l - s_{l+1} W_{l+1}^\top - b_l

    Attributes
    ----------
    coefs : arrays (fan_in, fan_out), one a layer
    intercepts : arrays (fan_out,), one a layer
    """

    coefs: tuple[Array, ...]
    intercepts: tuple[Array, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the inputs to the outputs."""
        return (self.coefs[0].shape[0], *(coef.shape[1] for coef in self.coefs))

    def on(self, like: Array) -> HopfieldNetwork:
        """Return the network in the library, on the device and in the precision of an array."""
        coefs, intercepts = (
            tuple(from_numpy(to_numpy(part), like=like) for part in parts)
            for parts in (self.coefs, self.intercepts)
        )
        return HopfieldNetwork(coefs, intercepts)

    def drive(self, X: Array) -> Array:
        """Return what the inputs (n, d) send to the first layer, (n, k_1)."""
        return X @ self.coefs[0] + self.intercepts[0]

    def rest(self, drive: Array) -> States:
        """Return states of zero, for a drive (n, k_1)."""
        xp = get_namespace(drive)
        return [xp.zeros_like(drive[:, :1] * intercept) for intercept in self.intercepts]

    def sweep(self, states: States, settle: Callable[[int, Array, Array], Array]) -> States:
        """Renew each layer in turn, the first, third, ... before the second, fourth, ...

        Layers of either half are not tied to each other.

        Parameters
        ----------
        states : list of arrays (n, k_l)
        settle : callable
            Number of a layer from 0, its states (n, k_l), what its neighbours send it (n, k_l)
            -> its new states.
        """
        states, last = list(states), len(states) - 1
        for layer in [*range(0, last + 1, 2), *range(1, last + 1, 2)]:
            sent = 0.0
            if layer > 0:
                sent = states[layer - 1] @ self.coefs[layer]
            if layer < last:
                sent = sent + states[layer + 1] @ self.coefs[layer + 1].T
            states[layer] = settle(layer, states[layer], sent)
        return states

    def relax(
        self,
        drive: Array,
        iteration: Iteration,
        dt: float,
        start: States | None = None,
        pull: float = 0.0,
        targets: Array | None = None,
    ) -> FixedPoint:
        """Let states go downhill until they stand still.

        A sweep takes each layer in turn a share `dt` of the way to where the energy, as a function
        of that layer alone, is least.  No sweep goes up, whatever the weights.

        Parameters
        ----------
        drive : array (n, k_1)
        iteration : Iteration
        dt : float
            Up to 1.
        start : list of arrays (n, k_l), optional
            Zeros by default.
        pull : float
            β > -1, where the energy is E + β |s_L - y|² / 2.
        targets : array (n, q), optional
            y.
        """
        fields, last = [drive, *self.intercepts[1:]], len(self.coefs) - 1

        def settle(layer: int, s: Array, sent: Array) -> Array:
            to = sent + fields[layer]
            if layer == last and targets is not None:
                to = (to + pull * targets) / (1 + pull)
            return clip(s + dt * (to - s) if dt < 1 else to, low=0.0, high=1.0)

        def update(states: States) -> States:
            return self.sweep(states, settle)

        return iteration.run(update, self.rest(drive) if start is None else start)

    def answer(self, X: Array, iteration: Iteration, dt: float) -> Answers:
        """Return what the last layer comes to, (n, q), for X (n, d)."""

        def find(rows: Array) -> tuple[Array, FixedPoint]:
            found = self.relax(self.drive(rows), iteration, dt)
            return found.states[-1], found

        return answer_rows(find, X)


def draw_hopfield(
    sizes: tuple[int, ...], rng: np.random.Generator, *, like: Array | None = None
) -> HopfieldNetwork:
    """Draw weights as `random_network` does, scaled to a norm of 1/2 between layers of states.

    Then the energy is strictly convex, whatever the number of layers.  Where it is not, states hold
    each other at their bounds, move under no nudge, and learn nothing.  Intercepts are zero.
    """
    drawn = random_network(sizes, "relu", "identity", rng, like=like)
    between = [W / (2 * get_namespace(W).linalg.matrix_norm(W, ord=2)) for W in drawn.coefs[1:]]
    return HopfieldNetwork((drawn.coefs[0], *between), tuple(0 * b for b in drawn.intercepts))


class HopfieldObjective:
    r"""Squared error of a Hopfield network, and its gradient by equilibrium propagation.

    The loss is :math:`C = \frac{1}{\sum_i w_i} \sum_i \tfrac{w_i}{2} \|s_L - y_i\|^2` where the
    states stand still under E alone (the free phase), and beside it
    :math:`\alpha / 2 \sum_l \|W_l\|^2 / \sum_i w_i`.  Nudged by :math:`E + \beta C` they move on to
    other states (the nudged phases), and

    .. math:: \frac{dC}{d\theta} = \lim_{\beta \to 0} \frac{1}{2 \beta} \Big(
        \frac{\partial E}{\partial \theta}(s^{\beta})
        - \frac{\partial E}{\partial \theta}(s^{-\beta}) \Big)

    Parameters
    ----------
    rows : Rows
        In memory.  They, and all that is computed of them, stay where they are.
    sizes : tuple of int
        Widths of all layers, from the inputs to the outputs; three at least.
    alpha : float
        Penalty.
    beta : float
        β.
    nudge : {"symmetric", "one-sided"}
        The formula above (Laborieux et al., *Scaling equilibrium propagation to deep ConvNets by
        drastically reducing its gradient estimator bias*, Frontiers in Neuroscience 15, 2021,
        equation 7), whose bias is of order β², or one that has the free phase in the place of
        :math:`s^{-\beta}` and β in that of 2 β (Scellier, Bengio, *Equilibrium propagation*,
        Frontiers in Computational Neuroscience 11, 2017, equation 10), of order β.
    iteration : Iteration
        Of all phases.
    dt : float
        Length of their steps.

    Notes
    -----
    2 n multiply-adds a weight and step of a phase, and 2 n for each nudge; memory O(n) a unit.
    """

    def __init__(
        self,
        rows: Rows,
        sizes: tuple[int, ...],
        alpha: float = 0.0,
        beta: float = 0.5,
        nudge: str = "symmetric",
        iteration: Iteration | None = None,
        dt: float = 1.0,
    ) -> None:
        self._rows, self._sizes, self._alpha = rows, sizes, alpha
        self._beta, self._nudge, self._dt = beta, nudge, dt
        self._iteration = iteration or Iteration()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._rows.n_rows

    def flatten(self, model: HopfieldNetwork) -> Vector:
        """Return the parameters (p,) of a network."""
        parts = [to_numpy(part).reshape(-1) for part in (*model.coefs, *model.intercepts)]
        return np.concatenate(parts).astype(np.float64)

    def unflatten(self, x: Vector) -> HopfieldNetwork:
        """Return the network of parameters (p,), on the host."""
        coefs, intercepts = split(np.array(x), self._sizes)
        return HopfieldNetwork(tuple(coefs), tuple(intercepts))

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient (p,) at the parameters x (p,), on all rows at once."""
        return self.on_rows(x, slice(0, self.n_rows))

    def value(self, x: Vector) -> float:
        """Return the value alone."""
        with np.errstate(all="ignore"):
            phase = self._free_phase(x, slice(0, self.n_rows))
            return self._loss(phase)

    def on_rows(self, x: Vector, rows: slice | NDArray[np.intp]) -> tuple[float, Vector]:
        """Return the value for some rows only, and what the nudges say of its gradient (p,).

        Parameters
        ----------
        x : array (p,)
        rows : slice or array (m,) of int
        """
        with np.errstate(all="ignore"):
            phase = self._free_phase(x, rows)
            plus, minus = self._nudged(phase, self._beta), phase.states
            span = self._beta
            if self._nudge == "symmetric":
                minus, span = self._nudged(phase, -self._beta), 2 * self._beta
            return self._loss(phase), self._contrast(phase, plus, minus, span)

    def implicit(self, x: Vector, rows: slice | NDArray[np.intp]) -> tuple[float, Vector]:
        """Return value and gradient (p,) for some rows, by differentiating the free phase.

        A nudge moves the states by -β a to first order, where a relaxes as the states do under the
        errors of the outputs, and is zero where they are at their bounds (Almeida 1987, Pineda
        1987).  E is quadratic in them, so that the contrast of s - a and s + a is exact.
        """
        with np.errstate(all="ignore"):
            phase = self._free_phase(x, rows)
            xp, states, dt = get_namespace(*phase.states), phase.states, self._dt
            free = [xp.astype((s > 0) & (s < 1), s.dtype) for s in states]
            off, last = states[-1] - phase.rows.Y, len(states) - 1

            def settle(layer: int, a: Array, sent: Array) -> Array:
                to = free[layer] * (sent + off if layer == last else sent)
                return a + dt * (to - a)

            def update(errors: States) -> States:
                return phase.model.sweep(errors, settle)

            errors = self._iteration.run(update, phase.model.rest(phase.drive)).states
            pairs = list(zip(states, errors, strict=True))
            plus, minus = [s - a for s, a in pairs], [s + a for s, a in pairs]
            return self._loss(phase), self._contrast(phase, plus, minus, 2.0)

    def _free_phase(self, x: Vector, rows: slice | NDArray[np.intp]) -> _Phase:
        batch = Rows(*(take(part, rows) for part in self._rows))
        model = self.unflatten(x).on(batch.like)
        drive = model.drive(batch.X)
        return _Phase(x, batch, model, drive, model.relax(drive, self._iteration, self._dt).states)

    def _nudged(self, phase: _Phase, pull: float) -> States:
        """States of a nudged phase, which begins where the free one ended."""
        found = phase.model.relax(
            phase.drive, self._iteration, self._dt, phase.states, pull, phase.rows.Y
        )
        return found.states

    def _loss(self, phase: _Phase) -> float:
        xp, rows = get_namespace(phase.drive), phase.rows
        off = phase.states[-1] - rows.Y
        loss = 0.5 * float(xp.vecdot(rows.weight, xp.vecdot(off, off)))
        weights = phase.x[: self._n_weights]
        return (loss + self._alpha / 2 * float(weights @ weights)) / rows.total_weight

    def _contrast(self, phase: _Phase, plus: States, minus: States, span: float) -> Vector:
        """Return (∂E/∂θ(plus) - ∂E/∂θ(minus)) / span, and the gradient of the penalty."""
        up, down = (_of_energy(phase.rows, states) for states in (plus, minus))
        gradient = (up - down) / span
        gradient[: self._n_weights] += self._alpha * phase.x[: self._n_weights]
        return gradient / phase.rows.total_weight

    @property
    def _n_weights(self) -> int:
        return sum(a * b for a, b in pairwise(self._sizes))


class _Phase(NamedTuple):
    """Some rows, and the states of their free phase, under the parameters x (p,)."""

    x: Vector
    rows: Rows
    model: HopfieldNetwork
    drive: Array
    states: States


def _of_energy(rows: Rows, states: States) -> Vector:
    """Derivative (p,) of the energy by the parameters, summed over rows, with their weights."""
    xp = get_namespace(*states)
    weighted = [state * rows.weight[:, None] for state in states]
    below = [rows.X, *states[:-1]]
    products = [lower.T @ upper for lower, upper in zip(below, weighted, strict=True)]
    sums = [xp.sum(state, axis=0) for state in weighted]
    return -np.concatenate([to_numpy(p).reshape(-1) for p in (*products, *sums)]).astype(np.float64)
