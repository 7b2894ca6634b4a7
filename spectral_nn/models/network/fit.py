"""The fit of a dense network: hold out, start, refine.

1. With early stopping, hold out validation rows.
2. Start: moments (raced against random draws), a random draw, or what the caller gives.
3. Repair, of regressions by L-BFGS whose moments leave doubt and that may take 170 steps or more.
4. A trainer: steps or epochs to convergence, or until the validation rows gain no more.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table, placed
from spectral_nn.models.base import OnStep, silent
from spectral_nn.models.network.dense import Network, flatten, random_network, unflatten
from spectral_nn.models.network.early_stopping import Record, Validation, check_finite, hold_out
from spectral_nn.models.network.objective import Objective, objective_of
from spectral_nn.models.network.options import NetworkFit, NetworkOptions, SolverState
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.models.network.scaling import (
    Scaling,
    check_outputs,
    choose_scaling,
    explain_overflow,
    keep_scaling,
)
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.base import (
    MISSING,
    LayeredProblem,
    Minimum,
    Problem,
    Trainer,
    check_needs,
)
from spectral_nn.trainers.lbfgs import LBFGS
from spectral_nn.warn import warn

__all__ = ["NetworkFit", "NetworkOptions", "fit_table", "start_table"]


def fit_table(
    rows: Table,
    options: NetworkOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    start: Network | None = None,
    state: SolverState | None = None,
    on_step: OnStep | None = None,
) -> NetworkFit:
    """Fit a network to a table, here or elsewhere, in units in which its numbers are near one.

    Parameters
    ----------
    rows : inputs, targets (0 and 1 for the outputs "logistic" and "softmax"), positive weights.
    options : what to fit.
    run : who computes.
    rng : draws validation rows, starts, and the order of batches, in this order, but for
        ``init="random"``, where the start comes first; `ScikitDraws` may take its place there.
    start : goes in the place of a new start.
    state : what Adam needs to go on from an earlier fit.
    on_step : told (stage, step, loss) as the fit goes on.

    Returns
    -------
    NetworkFit
        Its network lives where ``rows.like`` does.

    Raises
    ------
    ValueError
        If fewer than two rows are left for validation, or for training; if the loss, moments or
        outputs are not finite; or if a trainer that needs rows, or early stopping, is asked for and
        the rows are not in memory.

    Warns
    -----
    ConvergenceWarning
        If targets are so small that the penalty keeps a network from fitting them.

    Notes
    -----
    4 n multiply-adds a weight (2 n for the first layer's) and evaluation, on top of the start.
    See `choose_scaling` for the units; what is returned, and told, is in those of the user.
    """
    _check_needs(rows, options)
    if state is None:
        scaling = choose_scaling(rows, options, run, start)
    else:
        scaling = keep_scaling(state.scaling, rows, run)
    with explain_overflow():
        found = _fit_in_units(
            scaling.rows(rows),
            scaling,
            replace(options, alpha=scaling.penalty(options.alpha)),
            run=run,
            rng=rng,
            start=None if start is None else scaling.inside(start.on(rows.like)),
            state=None if state is None else state.trainer,
            on_step=scaling.tell(on_step),
        )
    found = _in_users_units(found, scaling)
    curve = () if found.validation_scores else found.loss_curve
    for step, loss in enumerate((*curve, found.loss), 1):
        check_finite(loss, options.trainer, min(step, found.n_iter))
    check_outputs(found.network, rows, run)
    return found


def _in_users_units(found: NetworkFit, scaling: Scaling) -> NetworkFit:
    return replace(
        found,
        network=scaling.outside(found.network),
        loss_curve=[scaling.loss(loss) for loss in found.loss_curve],
        loss=scaling.loss(found.loss),
        report=scaling.report(found.report),
    )


def _fit_in_units(
    rows: Table,
    scaling: Scaling,
    options: NetworkOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    start: Network | None,
    state: Any,
    on_step: OnStep | None,
) -> NetworkFit:
    """The fit in the units of the table."""
    clock = time.perf_counter()
    init = "given"
    if start is None and options.init == "random":  # before validation rows, as in scikit-learn
        start, init = _draw_start(rows, options, rng), "random"
    chosen, validation = _split(rows, options, rng)
    train = placed(chosen, run) if isinstance(chosen, Rows) else chosen
    report = NetworkReport(winner=init)
    if start is None:
        start, init, report = _start(train, options, run, rng, on_step)
    network, trainer = start.on(train.like), options.trainer
    problem: Problem = objective_of(train, run, network, options.alpha)
    if "rows" in trainer.needs:
        assert isinstance(chosen, Rows)
        gates = np.random.default_rng(rng.permutation(256)) if options.depth_drop else None
        problem = Objective(chosen.X, chosen.Y, network, options.alpha, chosen.weight, gates)
    record = Record(trainer, network, validation, on_step, clock)
    loss = problem.value(_on_host(network))
    check_finite(loss, trainer, 0)
    found = Minimum(flatten(network), loss, [], False, "no iteration is left", state=state)
    if trainer.max_iter > 0:
        if isinstance(trainer, LBFGS):  # the race took steps of L-BFGS, and so does repair
            left = trainer.with_max_iter(trainer.max_iter - (report.race_steps or 0))
            if options.init == "tensor" and options.output == "identity":
                from spectral_nn.models.network.repair import repair_start  # late, as in `_start`

                how: dict[str, Any] = {"rng": rng, "run": run, "record": record}
                network, left, report = repair_start(network, train, options, left, report, **how)
            trainer = left
        found = _refine(network, problem, trainer, rng, state, record)
    return NetworkFit(
        network=unflatten(found.x, network),
        init=init,
        n_rows=chosen.n_rows,
        loss_curve=record.losses,
        seconds=record.seconds,
        validation_scores=None if validation is None else validation.scores,
        n_iter=len(record.losses),
        converged=found.converged,
        message=found.message,
        loss=found.value,
        report=replace(report, n_iter=len(record.losses), converged=found.converged),
        solver_state=None if found.state is None else SolverState(scaling, found.state),
        cosines=found.cosines,
    )


def _refine(
    network: Network,
    problem: Problem,
    trainer: Trainer,
    rng: np.random.Generator,
    state: Any,
    record: Record,
) -> Minimum:
    """Train; with early stopping, go back to the best step."""
    # L-BFGS is one of the host, in double precision; batches are passed where the rows are
    start = flatten(network) if "rows" in trainer.needs else _on_host(network)
    found = trainer.train(
        cast(LayeredProblem, problem), start, rng=rng, state=state, on_iterate=record
    )
    validation = record.validation
    if validation is not None and validation.best is not None:
        value = problem.value(to_numpy(validation.best).astype(np.float64))
        converged = found.converged or validation.exhausted
        return replace(found, x=validation.best, value=value, converged=converged)
    whole = np.isfinite(to_numpy(found.x)).all()  # the last steps of the last epoch are in no loss
    check_finite(found.value if whole else np.nan, trainer, found.n_iter)
    return found


def start_table(
    rows: Table,
    options: NetworkOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> tuple[Network, str, NetworkReport]:
    """Make the start of a fit, as `fit_table` does on the rows that it trains on.

    Returns
    -------
    network : Network
    init : what it is: "tensor", "nn-lift" or "random", whichever won.
    report : NetworkReport

    Raises
    ------
    ValueError
        If ``init="nn-lift"``, or a width of "auto", asks for moments that say nothing.

    Warns
    -----
    RecoveryWarning
        If ``init="tensor"`` does, whose place a random start then takes.
    """
    scaling = choose_scaling(rows, options, run)
    scaled = replace(options, alpha=scaling.penalty(options.alpha))
    with explain_overflow():
        network, init, report = _start(scaling.rows(rows), scaled, run, rng, scaling.tell(on_step))
    return scaling.outside(network), init, scaling.report(report)


def _start(
    rows: Table,
    options: NetworkOptions,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None,
) -> tuple[Network, str, NetworkReport]:
    """The start in the units of the table."""
    if options.init == "random":
        return _draw_start(rows, options, rng), "random", NetworkReport(winner="random")
    # imported late: the moment recipe is a large part that a random start does not need
    from spectral_nn.models.network.evidence import NoMoments
    from spectral_nn.models.network.starts import make_start

    try:
        return make_start(rows, options, rng, run, on_step or silent)
    except NoMoments as why:
        if options.init != "tensor" or options.hidden_layer_sizes == "auto":
            raise
        warn(f"The start is random: {why}", RecoveryWarning)
        return _draw_start(rows, options, rng), "random", NetworkReport(winner="random")


def _draw_start(rows: Table, options: NetworkOptions, rng: np.random.Generator) -> Network:
    sizes = (rows.n_features, *options.hidden_layer_sizes, rows.n_outputs)
    drawn = random_network(sizes, options.activation, options.output, rng, like=rows.like)
    return replace(drawn, residual=options.residual, depth_drop=options.depth_drop)


def _check_needs(rows: Table, options: NetworkOptions) -> None:
    """Check that a table offers what trainer and early stopping need: rows that are in memory."""
    offered = {"rows"} if isinstance(rows, Rows) else set()
    if options.hidden_layer_sizes:
        offered.add("hidden layers")
    check_needs(options.trainer, offered=frozenset(offered))
    if options.early_stopping and "rows" not in offered:
        raise ValueError(f"early_stopping=True {MISSING['rows']}")


def _split(
    rows: Table, options: NetworkOptions, rng: np.random.Generator
) -> tuple[Table, Validation | None]:
    """Rows to train on, and a judge with those held out, if any."""
    if not options.early_stopping:
        return rows, None
    assert isinstance(rows, Rows)
    kept, held_out = hold_out(to_numpy(rows.Y), options, rng)
    judge = Validation(rows.take(held_out), options.trainer.tol, options.n_iter_no_change)
    return rows.take(kept), judge


def _on_host(network: Network) -> NDArray:
    """Parameters in one array on the host."""
    return to_numpy(flatten(network)).astype(np.float64)
