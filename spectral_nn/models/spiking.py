"""Networks of spiking neurons, which learn through their spikes by a surrogate gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.base import OnStep, Options
from spectral_nn.models.network.dense import flatten, random_network, split, take
from spectral_nn.models.network.early_stopping import train_batches
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.trainers.adam import Adam
from spectral_nn.trainers.base import Minimum, Vector
from spectral_nn.trainers.minibatch import MiniBatchTrainer

__all__ = [
    "Activity",
    "Neuron",
    "Space",
    "SpikingFit",
    "SpikingNetwork",
    "SpikingObjective",
    "SpikingOptions",
    "fit_spiking",
]

_BLOCK_ROWS = 512  # whose spikes are kept at a time


@dataclass(frozen=True)
class Neuron:
    r"""Leaky integrate-and-fire neurons.

    .. math:: U_t = \lambda U_{t-1} + I_t - S_{t-1}, \qquad S_t = [U_t > 1]

    The potential U of a neuron decays, takes in the current I, and falls by the threshold, 1, in
    the step after a spike S.  It starts at zero.  Spikes have no useful derivative; in its place
    stands that of a fast sigmoid,

    .. math:: \frac{dS}{dU} := \frac{1}{(1 + \kappa |U - 1|)^2}

    (Zenke, Ganguli, *SuperSpike*, Neural Computation 30, 2018, equation 5; Neftci, Mostafa, Zenke,
    *Surrogate gradient learning in spiking neural networks*, IEEE Signal Processing Magazine 36,
    2019).

    Attributes
    ----------
    decay : λ, in [0, 1]; 1 for a neuron that forgets nothing.
    slope : κ.
    """

    decay: float = 0.9
    slope: float = 5.0

    def spike(self, U: Array) -> Array:
        """Return 1 where a potential is above the threshold, else 0."""
        return get_namespace(U).astype(U > 1, U.dtype)

    def surrogate(self, U: Array) -> Array:
        """Return what stands in the place of the derivative of `spike`."""
        root = 1 + self.slope * get_namespace(U).abs(U - 1)
        return 1 / (root * root)

    def run(self, currents: Array, space: Space) -> tuple[Array, Array]:
        """Return potentials and spikes (T, n, k), written to a space, for currents (T, n, k)."""
        potentials, spikes = space.empty("U", currents), space.empty("S", currents)
        U, S = None, None
        for t in range(currents.shape[0]):
            U = currents[t, ...] if U is None else self.decay * U + (currents[t, ...] - S)
            S = self.spike(U)
            potentials[t, ...], spikes[t, ...] = U, S
        return potentials, spikes

    def run_back(self, potentials: Array, errors: Array, space: Space) -> Array:
        """Return the derivative by each current, from those by each spike; backwards in time.

        A spike also counts in the reset of the next step, and a potential in what is left of it.
        """
        found = space.empty("dU", potentials)
        later: Any = 0.0
        for t in range(potentials.shape[0] - 1, -1, -1):
            slope = self.surrogate(potentials[t, ...])
            later = (errors[t, ...] - later) * slope + self.decay * later
            found[t, ...] = later
        return found


class Space:
    """Arrays that are written anew with each batch, as memory that is new costs page faults."""

    def __init__(self) -> None:
        self._kept: dict[Any, Array] = {}

    def empty(self, name: str, like: Array) -> Array:
        """Return an array of the shape and kind of another one, the same for the same name."""
        key = name, tuple(like.shape)
        if key not in self._kept:
            where = {"dtype": like.dtype, "device": array_api_compat.device(like)}
            self._kept[key] = get_namespace(like).empty(like.shape, **where)
        return self._kept[key]


class Activity(NamedTuple):
    """What happens in a network: one entry a hidden layer.

    Attributes
    ----------
    potentials, spikes : arrays (T, n, k)
    spaces : where these are, and derivatives will be.
    """

    potentials: list[Array]
    spikes: list[Array]
    spaces: Sequence[Space]

    @property
    def rates(self) -> Array:
        """Share of the steps (n, k) in which neurons of the last layer fire."""
        return get_namespace(self.spikes[-1]).mean(self.spikes[-1], axis=0)

    @property
    def n_spikes(self) -> Array:
        """Spikes (n,) of all neurons in all steps."""
        xp = get_namespace(self.spikes[-1])
        return reduce(add, [xp.sum(each, axis=(0, 2)) for each in self.spikes])


@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    r"""Layers of spiking neurons, and outputs that are linear in the rates of the last of them.

    The inputs are a constant current into the first layer, :math:`I_t = x W_1 + b_1`; spikes of a
    layer are the current into the next in the same step, :math:`I_t = S_t W_l + b_l`.

    Attributes
    ----------
    coefs : arrays (fan_in, fan_out), one a layer
    intercepts : arrays (fan_out,), one a layer
    neuron : of all hidden layers.
    n_steps : T.
    output : function of the outputs, a key of `spectral_nn.models.network.outputs.OUTPUTS`
    """

    coefs: tuple[Array, ...]
    intercepts: tuple[Array, ...]
    neuron: Neuron
    n_steps: int
    output: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the inputs to the outputs."""
        return (self.coefs[0].shape[0], *(coef.shape[1] for coef in self.coefs))

    def on(self, like: Array) -> SpikingNetwork:
        """Return the network in the library, on the device and in the precision of an array."""
        coefs, intercepts = (
            tuple(from_numpy(to_numpy(part), like=like) for part in parts)
            for parts in (self.coefs, self.intercepts)
        )
        return replace(self, coefs=coefs, intercepts=intercepts)

    def run(self, X: Array, spaces: Sequence[Space] | None = None) -> Activity:
        """Follow all neurons through time, for inputs X (n, d).

        With `spaces`, one a hidden layer, the activity of a call overwrites that of the one before.
        """
        activity = Activity([], [], spaces or self.spaces())
        below = _constant(X @ self.coefs[0] + self.intercepts[0], self.n_steps)
        for layer in range(1, len(self.coefs)):
            potentials, spikes = self.neuron.run(below, activity.spaces[layer - 1])
            activity.potentials.append(potentials)
            activity.spikes.append(spikes)
            if layer < len(self.coefs) - 1:
                below = spikes @ self.coefs[layer] + self.intercepts[layer]
        return activity

    def spaces(self) -> list[Space]:
        """Return memory for the activity of each hidden layer."""
        return [Space() for _ in self.coefs[1:]]

    def decision_of(self, activity: Activity) -> Array:
        """Return the outputs (n, q) before the output function."""
        return activity.rates @ self.coefs[-1] + self.intercepts[-1]

    def gradient(self, X: Array, activity: Activity, error: Array) -> Array:
        """Return the surrogate gradient (p,), by backpropagation through time.

        Parameters
        ----------
        X : array (n, d)
        activity : of these inputs.
        error : array (n, q)
            Derivative of the loss by `decision_of`.

        Returns
        -------
        gradient : array (p,)
            In the order of `spectral_nn.models.network.dense.flatten`.
        """
        xp = get_namespace(error)
        coefs, intercepts = [activity.rates.T @ error], [xp.sum(error, axis=0)]
        errors = _constant(error @ self.coefs[-1].T / self.n_steps, self.n_steps)
        for layer in range(len(self.coefs) - 2, -1, -1):
            by_current = self.neuron.run_back(
                activity.potentials[layer], errors, activity.spaces[layer]
            )
            if layer:
                below, found = _flat(activity.spikes[layer - 1]), _flat(by_current)
                errors = by_current @ self.coefs[layer].T
            else:  # the inputs are the same in all steps
                below, found = X, xp.sum(by_current, axis=0)
            coefs.append(below.T @ found)
            intercepts.append(xp.sum(found, axis=0))
        return xp.concat([xp.reshape(part, (-1,)) for part in (*coefs[::-1], *intercepts[::-1])])

    def predict(self, X: Array) -> Array:
        """Return the outputs (n, q) after the output function, of X (n, d)."""
        function = OUTPUTS[self.output]
        return self._by_blocks(lambda activity: function.value(self.decision_of(activity), 1), X)

    def count_spikes(self, X: Array) -> Array:
        """Return how many spikes (n,) each row of X (n, d) costs, of all neurons in all steps."""
        return self._by_blocks(lambda activity: activity.n_spikes, X)

    def _by_blocks(self, function: Callable[[Activity], Array], X: Array) -> Array:
        with np.errstate(all="ignore"):
            blocks, spaces = Rows.of(X).blocks(_BLOCK_ROWS), self.spaces()
            found = [function(self.run(block.X, spaces)) for block in blocks]
        return get_namespace(*found).concat(found)


class SpikingObjective:
    r"""Loss of a spiking network on rows in memory, and its surrogate gradient.

    .. math:: \frac{1}{\sum_i s_i} \Big(\sum_i s_i \ell(y_i, f(x_i))
        + \frac{\alpha}{2} \sum_l \|W_l\|_F^2\Big)

    Parameters
    ----------
    rows : Rows
        Inputs, encoded targets and weights s.  They, and all that is computed of them, stay where
        they are.
    template : SpikingNetwork
        What the network is; its parameters are not looked at.
    alpha : float
        Penalty.

    Notes
    -----
    3 n T multiply-adds a weight between hidden layers, 2 n one of the first layer, 3 n one of the
    outputs; 15 n T operations and memory for 3 n T numbers a neuron.
    """

    def __init__(self, rows: Rows, template: SpikingNetwork, alpha: float = 0.0) -> None:
        self._rows, self._template, self._alpha = rows, template, alpha
        self._spaces = template.spaces()
        self._n_weights = sum(a * b for a, b in pairwise(template.sizes))

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._rows.n_rows

    def unflatten(self, x: Vector) -> SpikingNetwork:
        """Return the network of parameters (p,), which it shares."""
        coefs, intercepts = split(x, self._template.sizes)
        return replace(self._template, coefs=tuple(coefs), intercepts=tuple(intercepts))

    def on_rows(self, x: Vector, rows: slice | NDArray[np.intp]) -> tuple[float, Vector]:
        """Return the value for some rows only, and its surrogate gradient (p,).

        Parameters
        ----------
        x : array (p,), of the library and precision of the rows
        rows : slice or array (m,) of int
        """
        X, targets, weight = (take(part, rows) for part in self._rows)
        network = self.unflatten(x)
        total = float(get_namespace(weight).sum(weight))
        with np.errstate(all="ignore"):
            activity = network.run(X, self._spaces)
            loss, error = OUTPUTS[network.output].error(
                network.decision_of(activity), targets, weight[:, None], 1
            )
            gradient = network.gradient(X, activity, error)
            weights = x[: self._n_weights]
            gradient[: self._n_weights] += self._alpha * weights
            loss += self._alpha / 2 * float(get_namespace(x).sum(weights * weights))
            return loss / total, gradient / total


@dataclass(frozen=True)
class SpikingOptions(Options):
    """What `fit_spiking` is to fit.

    Attributes
    ----------
    hidden_layer_sizes : neurons of each hidden layer, one layer at least.
    neuron, n_steps, output : see `SpikingNetwork`
    trainer : goes over batches.
    alpha : see `SpikingObjective`
    """

    hidden_layer_sizes: tuple[int, ...] = (100,)
    neuron: Neuron = field(default_factory=Neuron)
    n_steps: int = 16
    output: str = "softmax"
    trainer: MiniBatchTrainer = field(default_factory=Adam)
    alpha: float = 1e-4


@dataclass(frozen=True, eq=False)
class SpikingFit:
    """A fitted network.

    Attributes
    ----------
    network : in the library of the rows.
    minimum : what the trainer says.
    n_spikes : spikes that a training row costs, on average.
    """

    network: SpikingNetwork
    minimum: Minimum
    n_spikes: float


def fit_spiking(
    rows: Rows,
    options: SpikingOptions,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> SpikingFit:
    """Fit a spiking network from a random start.

    Parameters
    ----------
    rows : Rows
        Inputs, targets (0 and 1 for the outputs "logistic" and "softmax"), positive weights.
    options : SpikingOptions
    rng : Generator
        Draws the start, then the order of batches.
    on_step : callable, optional
        Told (trainer, epoch, loss).

    Returns
    -------
    SpikingFit

    Raises
    ------
    ValueError
        If the loss is not finite.
    """
    sizes = (rows.n_features, *options.hidden_layer_sizes, rows.n_outputs)
    start = random_network(sizes, "relu", options.output, rng, like=rows.like)
    template = SpikingNetwork(
        start.coefs, start.intercepts, options.neuron, options.n_steps, options.output
    )
    objective = SpikingObjective(rows, template, options.alpha)
    found = train_batches(options.trainer, objective, flatten(start), rng=rng, on_step=on_step)
    network = objective.unflatten(found.x)
    counts = network.count_spikes(rows.X)
    n_spikes = float(get_namespace(counts).vecdot(counts, rows.weight)) / rows.total_weight
    return SpikingFit(network, found, n_spikes)


def _constant(x: Array, n_steps: int) -> Array:
    """Return x (n, k) in each of some steps, (T, n, k): a view."""
    return get_namespace(x).broadcast_to(x, (n_steps, *x.shape))


def _flat(x: Array) -> Array:
    """Return the rows of all steps below each other, (T n, k), of x (T, n, k): a view."""
    return get_namespace(x).reshape(x, (-1, x.shape[2]))
