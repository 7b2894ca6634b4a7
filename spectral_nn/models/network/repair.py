"""Repair of a half-recovered network: grow where moments of the residuals point, then prune."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.base import OnStep, silent
from spectral_nn.models.network.dense import Network, flatten, unflatten
from spectral_nn.models.network.early_stopping import Record, check_finite
from spectral_nn.models.network.hermite import read_units
from spectral_nn.models.network.moments import (
    network_moments,
    null_rows,
    signal_to_noise,
    subspace,
    summarise,
)
from spectral_nn.models.network.objective import objective_of
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.models.network.report import NetworkReport, RepairRound
from spectral_nn.models.network.scaling import Penalty
from spectral_nn.models.network.starts import in_doubt
from spectral_nn.models.network.units import (
    find_flipped_units,
    find_weakest_units,
    fit_second_layer,
    hidden_moments,
)
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.shared_cp import shared_cp
from spectral_nn.trainers.lbfgs import LBFGS, lbfgs

__all__ = ["FIRST_STEPS", "MIN_STEPS", "Repaired", "repair", "repair_start", "residual_signal"]

FIRST_STEPS = 40  # of L-BFGS before the residuals are looked at, where rows are few
MIN_STEPS = 130  # left then, which a round takes
_SHARE = 0.6  # of the steps left that rounds may begin in
_NEW_UNITS = 3
_GROWTHS = 2
_GROWN_STEPS, _BETWEEN_STEPS, _PRUNED_STEPS = 25, 8, 40
MAX_ROUNDS = 6
_GAIN = 0.99  # a round that leaves more than this share of the loss has failed
_ARRIVED = 0.98  # and one that leaves more than this has grown enough
_SIGNAL = 1.0  # over the noise


@dataclass(frozen=True, eq=False)
class Repaired:
    """Outcome of `repair`.

    Attributes
    ----------
    network : of as many units as before, its loss not larger.
    n_iter : steps of L-BFGS taken.
    rounds : who gave the new units of each, and the losses.
    """

    network: Network
    n_iter: int
    rounds: tuple[RepairRound, ...]


def repair_start(
    network: Network,
    rows: Table,
    options: NetworkOptions,
    trainer: LBFGS,
    report: NetworkReport,
    *,
    rng: np.random.Generator,
    run: Runner,
    record: Record,
) -> tuple[Network, LBFGS, NetworkReport]:
    """Repair a start that moments are not sure of.

    Only where rows are fewer than recovery needs or the decomposition is in doubt, and where the
    residuals after some steps still carry a signal.

    Parameters
    ----------
    network : the start, of linear output.
    rows : training table.
    options : what to fit.
    trainer : its limits are those of repair, too.
    report : of the start.
    rng, run : see `repair`.
    record : told the steps before the residuals are looked at.

    Returns
    -------
    network : what refinement is to begin with.
    trainer : with the steps that are left.
    report : with what repair adds.
    """
    if _steps_left(trainer) < FIRST_STEPS + MIN_STEPS or not in_doubt(report):
        return network, trainer, report
    objective = objective_of(rows, run, network, options.alpha)
    first = replace(trainer, max_iter=FIRST_STEPS) if report.few_rows else trainer
    found = first.train(objective, to_numpy(flatten(network)), on_iterate=record)
    check_finite(found.value, trainer, found.n_iter)
    network = unflatten(found.x, network)
    trainer = replace(
        trainer,
        max_iter=trainer.max_iter - found.n_iter,
        max_fun=trainer.max_fun - found.n_evaluations,
    )
    if record.validation is not None and record.validation.exhausted:
        return network, replace(trainer, max_iter=0), report
    left = _steps_left(trainer)
    if left < MIN_STEPS:
        return network, trainer, report
    signal = residual_signal(network, rows, rng, run)
    report = replace(report, residual_signal=signal)
    if signal <= 1:
        return network, trainer, report
    tell = record.on_step or silent
    done = repair(network, rows, options.alpha, budget=left, rng=rng, run=run, on_step=tell)
    report = replace(report, repair=done.rounds, repair_steps=done.n_iter)
    trainer = replace(
        trainer, max_iter=trainer.max_iter - done.n_iter, max_fun=trainer.max_fun - done.n_iter
    )
    return done.network.on(rows.like), trainer, report


def _steps_left(trainer: LBFGS) -> int:
    """Steps of L-BFGS that there may be: each takes an evaluation at the least."""
    return min(trainer.max_iter, trainer.max_fun)


def residual_signal(network: Network, rows: Table, rng: np.random.Generator, run: Runner) -> float:
    """How far the residuals' moments stand above noise; 1 where they hardly do.  O(n d^2)."""
    residual = rows.mapped(partial(residual_rows, network=network))
    seen = summarise(residual, run)
    return signal_to_noise(residual, seen, null_rows(residual, seen, rng, run), run) / _SIGNAL


def residual_rows(rows: Rows, network: Network) -> Rows:
    """The rows with what a network leaves over in the place of their outputs."""
    return rows._replace(Y=rows.Y - network.on(rows.Y).predict(rows.X))


def repair(
    network: Network,
    rows: Table,
    alpha: float | Penalty,
    *,
    budget: int,
    rng: np.random.Generator,
    run: Runner,
    on_step: OnStep,
) -> Repaired:
    r"""Replace units that sit in a poor optimum, in rounds.

    A round adds units that the moments of the residuals :math:`y - \hat f(x)` show, lets L-BFGS
    move all units, adds more, and then takes away those whose loss to a regression on the units
    *and a linear function of the inputs* is least; units that look the wrong way are turned round
    (see `find_flipped_units`), and L-BFGS moves what is left.  The round counts if the loss has
    fallen.  After a round that gained little the next one grows further, and the one after that
    adds random units; three failures in a row end it, or one if the residuals carry no signal.

    Parameters
    ----------
    network : one hidden layer, linear output.
    rows : training table.
    alpha : penalty.
    budget : steps of L-BFGS that are left, which are not exceeded; rounds begin in the first 60 %.
    rng : draws starts of decompositions, and random units.
    run : who computes.
    on_step : told ("repair", round, loss).

    Notes
    -----
    A round costs about 130 steps of L-BFGS and 24 passes of O(n d^2).
    The linear function and the turning are what makes pruning safe: k + 6 units often fit to the
    noise while some of them are ReLUs that look the wrong way, which pruning without them destroys
    (d=200, k=10, n=10,000: 5 of 8 networks found; 9 of 10 with them, in the same rounds).
    """
    value = objective_of(rows, run, network, alpha).value(flatten(network))
    rounds: list[RepairRound] = []
    used, failures = 0, 0
    while used < _SHARE * budget and len(rounds) < MAX_ROUNDS and failures < 3:
        source = "random" if failures == 2 else "moments"
        growths = _GROWTHS + failures % 2
        if used + _longest_round(growths) > budget:
            break
        grown, grown_value, steps = _grow(network, value, rows, alpha, growths, source, rng, run)
        n_drop = grown.coefs[0].shape[1] - network.coefs[0].shape[1]
        pruned, pruned_value, more = _prune(grown, n_drop, rows, alpha, run)
        used += steps + more
        rounds.append(RepairRound(units=source, grown=grown_value, pruned=pruned_value))
        on_step("repair", len(rounds), min(value, pruned_value))
        failures = 0 if pruned_value < _GAIN * value else failures + 1
        if pruned_value < value:
            network, value = pruned, pruned_value
        if failures == 1 and residual_signal(network, rows, rng, run) <= 1:
            break
    return Repaired(network, used, tuple(rounds))


def _longest_round(growths: int) -> int:
    """Most steps of L-BFGS that a round takes."""
    return growths * _GROWN_STEPS + (growths * _NEW_UNITS - 1) * _BETWEEN_STEPS + _PRUNED_STEPS


def _refine(
    network: Network, rows: Table, alpha: float | Penalty, n_iter: int, run: Runner
) -> tuple[Network, float, int]:
    """Some steps of L-BFGS: network, loss, steps taken."""
    objective = objective_of(rows, run, network, alpha)
    found = lbfgs(objective, flatten(network), max_iter=n_iter, tol=1e-7)
    return unflatten(found.x, network), found.value, found.n_iter


def _grow(
    network: Network,
    value: float,
    rows: Table,
    alpha: float | Penalty,
    growths: int,
    source: str,
    rng: np.random.Generator,
    run: Runner,
) -> tuple[Network, float, int]:
    """Add units and let all of them move, again and again unless once was enough."""
    steps = 0
    for _ in range(growths):
        if source == "moments":
            coef, intercept = _units_of_residuals(network, rows, rng, run)
        else:
            frame = summarise(rows, run).frame
            directions = rng.standard_normal((frame.n_dimensions, _NEW_UNITS))
            directions /= np.linalg.norm(directions, axis=0)
            coef, intercept = frame.pull_back(directions, rows.n_features)
        network = fit_second_layer(
            rows,
            np.concatenate([to_numpy(network.coefs[0]), coef], axis=1),
            np.concatenate([to_numpy(network.intercepts[0]), intercept]),
            network.activation,
            run,
        )
        network, reached, more = _refine(network, rows, alpha, _GROWN_STEPS, run)
        steps += more
        if reached > _ARRIVED * value:
            return network, reached, steps
        value = reached
    return network, value, steps


def _units_of_residuals(
    network: Network, rows: Table, rng: np.random.Generator, run: Runner
) -> tuple[NDArray, NDArray]:
    """Weights (d, m) and biases (m,) of units that the residuals show."""
    residual = rows.mapped(partial(residual_rows, network=network))
    seen = summarise(residual, run)
    n_units = min(_NEW_UNITS, seen.frame.n_dimensions)
    frame, *_ = subspace(residual, seen, null_rows(residual, seen, rng, run), n_units, run)
    moments = network_moments(residual, frame, seen.columns.n_effective, run)
    factors = shared_cp(moments.tensors, n_units, rng=rng)
    sign, scale, bias = read_units(list(factors.weights), factors.variances, network.activation)
    coef, offset = frame.pull_back(factors.directions * (sign * scale), rows.n_features)
    return coef, bias + offset


def _prune(
    network: Network, n_drop: int, rows: Table, alpha: float | Penalty, run: Runner
) -> tuple[Network, float, int]:
    """Take away the weakest units beside a linear skip, one by one; all move in between."""
    frame = summarise(rows, run).frame
    # Where units look in the frame: its inputs are of unit variance, whatever those of X are.
    d, back = frame.n_dimensions, np.linalg.pinv(frame.whitener) * frame.deviation
    used, value = 0, float("nan")
    for left in range(n_drop - 1, -1, -1):
        coef, intercept = network.coefs[0], network.intercepts[0]
        passes = partial(
            hidden_moments,
            coef=coef,
            intercept=intercept,
            activation=network.activation,
            frame=frame,
        )
        kept, solved = find_weakest_units(run.total(passes, rows.chunks()), d, 1)
        skip, above = solved[1 : d + 1], solved[d + 1 :]
        sign = find_flipped_units(back @ coef[frame.kept][:, kept], network.activation, skip, above)
        network = fit_second_layer(
            rows, coef[:, kept] * sign, intercept[kept] * sign, network.activation, run
        )
        steps = _BETWEEN_STEPS if left else _PRUNED_STEPS
        network, value, more = _refine(network, rows, alpha, steps, run)
        used += more
    return network, value, used
