"""Fits of networks with equilibria: a start, then steps on batches of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from spectral_nn.data.rows import Rows
from spectral_nn.models.base import OnStep, Options
from spectral_nn.models.equilibrium.deep import EquilibriumNetwork, EquilibriumObjective
from spectral_nn.models.equilibrium.fixed_point import Answers, Iteration
from spectral_nn.models.equilibrium.hopfield import (
    HopfieldNetwork,
    HopfieldObjective,
    draw_hopfield,
)
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.early_stopping import check_finite, train_batches
from spectral_nn.models.network.fit import start_table
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.adam import Adam
from spectral_nn.trainers.base import Minimum
from spectral_nn.trainers.minibatch import MiniBatchTrainer

__all__ = ["DeepOptions", "EquilibriumFit", "HopfieldOptions", "fit_deep", "fit_hopfield"]

Model = TypeVar("Model", EquilibriumNetwork, HopfieldNetwork)


@dataclass(frozen=True)
class DeepOptions(Options):
    """What `fit_deep` is to fit.

    Attributes
    ----------
    n_units : k
    activation : of `spectral_nn.models.equilibrium.deep.CONTRACTIVE`
    output : a key of `spectral_nn.models.network.outputs.OUTPUTS`
    init : "random", or "tensor" for moments: where U, V and the intercepts start. W starts at zero.
    trainer : goes over batches.
    alpha, max_norm, gradient, iteration : see `EquilibriumObjective`.
    """

    n_units: int = 100
    activation: str = "relu"
    output: str = "identity"
    init: str = "random"
    trainer: MiniBatchTrainer = field(default_factory=Adam)
    alpha: float = 1e-4
    max_norm: float = 0.9
    gradient: str = "implicit"
    iteration: Iteration = field(default_factory=Iteration)


@dataclass(frozen=True)
class HopfieldOptions(Options):
    """What `fit_hopfield` is to fit.

    Attributes
    ----------
    hidden_layer_sizes : units of each hidden layer.
    trainer : goes over batches.
    alpha, beta, nudge, iteration, dt : see `HopfieldObjective`.
    """

    hidden_layer_sizes: tuple[int, ...] = (100,)
    trainer: MiniBatchTrainer = field(default_factory=Adam)
    alpha: float = 1e-4
    beta: float = 0.5
    nudge: str = "symmetric"
    iteration: Iteration = field(default_factory=Iteration)
    dt: float = 1.0


@dataclass(frozen=True, eq=False)
class EquilibriumFit(Generic[Model]):
    """A fitted network.

    Attributes
    ----------
    model : on the host.
    init : where it comes from, "random" or "tensor".
    minimum : what the trainer says.
    answers : of the rows that it was trained on.
    """

    model: Model
    init: str
    minimum: Minimum
    answers: Answers


def fit_deep(
    rows: Rows,
    options: DeepOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> EquilibriumFit[EquilibriumNetwork]:
    """Fit a deep equilibrium network.

    Parameters
    ----------
    rows : Rows
        Inputs, targets (0 and 1 for the outputs "logistic" and "softmax"), positive weights.
    options : DeepOptions
    run : Runner
        Who computes moments.
    rng : Generator
        Draws the start, then the order of batches.
    on_step : callable, optional
        Told (trainer, epoch, loss).

    Returns
    -------
    EquilibriumFit

    Raises
    ------
    ValueError
        If the loss is not finite.

    Warns
    -----
    RecoveryWarning
        If ``init="tensor"`` asks for moments that say nothing, or too little.
    """
    network, init = _start(rows, options, run, rng, on_step)
    start = EquilibriumNetwork.from_perceptron(network)
    objective = EquilibriumObjective(
        rows, start, options.alpha, options.max_norm, options.gradient, options.iteration
    )
    x = objective.flatten(start)
    check_finite(objective.value(x), options.trainer, 0)
    found = train_batches(options.trainer, objective, x, rng=rng, on_step=on_step)
    check_finite(objective.value(found.x), options.trainer, found.n_iter)
    model = objective.unflatten(found.x)
    with np.errstate(all="ignore"):  # of states whose squares are too large: they do not converge
        answers = model.on(rows.like).answer(rows.X, options.iteration)
    return EquilibriumFit(model, init, found, answers)


def _start(
    rows: Rows,
    options: DeepOptions,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None,
) -> tuple[Network, str]:
    """A network with one hidden layer, and where it comes from."""
    sizes = (options.n_units,), options.activation, options.output
    network = NetworkOptions(*sizes, init=options.init, alpha=options.alpha)
    return start_table(rows, network, run=run, rng=rng, on_step=on_step)[:2]


def fit_hopfield(
    rows: Rows,
    options: HopfieldOptions,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> EquilibriumFit[HopfieldNetwork]:
    """Fit a Hopfield network by equilibrium propagation.

    Parameters
    ----------
    rows : Rows
        Inputs, targets in [0, 1], positive weights.
    options : HopfieldOptions
    rng : Generator
        Draws the start, then the order of batches.
    on_step : callable, optional
        Told (trainer, epoch, loss).

    Returns
    -------
    EquilibriumFit

    Raises
    ------
    ValueError
        If the loss is not finite.
    """
    sizes = (rows.n_features, *options.hidden_layer_sizes, rows.n_outputs)
    start = draw_hopfield(sizes, rng)
    objective = HopfieldObjective(
        rows,
        sizes,
        options.alpha,
        options.beta,
        options.nudge,
        options.iteration,
        options.dt,
    )
    x = objective.flatten(start)
    check_finite(objective.value(x), options.trainer, 0)
    found = train_batches(options.trainer, objective, x, rng=rng, on_step=on_step)
    check_finite(objective.value(found.x), options.trainer, found.n_iter)
    model = objective.unflatten(found.x)
    with np.errstate(all="ignore"):  # of states whose squares are too large: they do not converge
        answers = model.on(rows.like).answer(rows.X, options.iteration, options.dt)
    return EquilibriumFit(model, "random", found, answers)
