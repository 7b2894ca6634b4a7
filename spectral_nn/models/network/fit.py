"""The fit of a dense network: hold out, start, refine.

1. With early stopping, hold out validation rows.
2. Start: moments (raced against random draws), a random draw, or what the caller gives.
3. Repair, of regressions by L-BFGS whose moments leave doubt and that may take 170 steps or more.
4. L-BFGS on all rows or epochs of Adam, to convergence, or until the validation rows gain no more.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import get_namespace, to_numpy
from spectral_nn.callbacks import OnStep, silent
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table, placed
from spectral_nn.models.network.dense import Network, flatten, random_network, unflatten
from spectral_nn.models.network.objective import Objective, Smooth, objective_of
from spectral_nn.models.network.options import NetworkFit, NetworkOptions, SolverState
from spectral_nn.models.network.scale import (
    check_outputs,
    in_words,
    scaling_of,
    told,
    users_fit,
    users_notes,
    weighed,
)
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import Runner, runner
from spectral_nn.trainers.adam import AdamMinimum, AdamState, adam
from spectral_nn.trainers.lbfgs import Minimum, lbfgs

__all__ = ["NetworkFit", "NetworkOptions", "as_rows", "fit_network", "fit_table", "start_table"]

_LEAST_VALIDATION = 2  # rows: R^2 of one row is not defined


def fit_network(
    X: Any,
    Y: NDArray,
    options: NetworkOptions,
    *,
    sample_weight: NDArray | None = None,
    n_jobs: int | None = None,
    **how: Any,
) -> NetworkFit:
    """Fit a network to arrays, see `fit_table`.

    Parameters
    ----------
    X : array or CSR (n, d), float64 or float32, which is what the network is computed in
    Y : array (n, q)
        Numbers; 0 and 1 for the outputs "logistic" and "softmax".
    options : what to fit.
    sample_weight : array (n,), optional
        Positive.
    n_jobs : workers, as joblib means it; the result does not depend on it.
    **how : ``rng``, ``start``, ``state`` and ``on_step`` of `fit_table`.

    Returns
    -------
    NetworkFit
    """
    with runner(n_jobs) as run:
        return fit_table(as_rows(X, Y, sample_weight), options, run=run, **how)


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
    rng : draws validation rows, starts, and the order of batches, in this order.
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
        outputs are not finite; or if Adam or early stopping, which take rows one by one, are asked
        for and the rows are not in memory.

    Warns
    -----
    ConvergenceWarning
        If targets are so small that the penalty keeps a network from fitting them.

    Notes
    -----
    4 n multiply-adds a weight (2 n for the first layer's) and evaluation, on top of the start.
    See `scaling_of` for the units; what is returned, and told, is in those of the user.
    """
    scaling = scaling_of(rows, options, run) if state is None else weighed(state.scaling, rows, run)
    with in_words():
        found = _fit_near_one(
            scaling.rows(rows),
            replace(options, alpha=scaling.penalty(options.alpha)),
            run=run,
            rng=rng,
            start=None if start is None else scaling.inside(start.on(rows.like)),
            state=None if state is None else state.adam,
            on_step=told(on_step, scaling),
        )
    found = users_fit(found, scaling)
    for step, loss in enumerate((*found.loss_curve, found.loss), 1):
        _check_finite(loss, options.solver, min(step, found.n_iter))
    check_outputs(found.network, rows, run)
    return found


def _fit_near_one(
    rows: Table,
    options: NetworkOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    start: Network | None,
    state: AdamState | None,
    on_step: OnStep | None,
) -> NetworkFit:
    """The fit in the units of the table."""
    clock = time.perf_counter()
    chosen, watch = _split(rows, options, rng)
    train = placed(chosen, run) if isinstance(chosen, Rows) else chosen
    notes: dict[str, Any] = {}
    name = "given"
    if start is None:
        start, name, notes = _start(train, options, run, rng, on_step)
    network = start.on(train.like)
    objective = objective_of(train, run, network, options.alpha)
    record = _Record(options.solver, clock, train.n_rows, network, watch, on_step)
    value = objective.value(_host(network))
    _check_finite(value, options.solver, 0)
    if options.max_iter == 0:
        return NetworkFit(
            network=network,
            init=name,
            loss_curve=[],
            seconds=[],
            validation_scores=None if watch is None else [],
            n_iter=0,
            converged=False,
            message="no iteration is left",
            loss=value,
            diagnostics=notes,
            solver_state=state,
        )
    if options.solver == "lbfgs":  # the race's steps count
        options = replace(options, max_iter=options.max_iter - notes.get("race_steps", 0))
    if options.init == "tensor" and name != "given":
        network, options = _repaired(network, train, options, notes, rng, run, record)
    if options.solver == "lbfgs":
        found: Minimum | AdamMinimum = _by_lbfgs(objective, network, options, record)
    else:
        assert isinstance(chosen, Rows)
        found = _by_adam(chosen, network, options, record, rng, state)
        state = found.state
    vector, value, converged = found.x, found.value, found.converged
    if watch is not None and watch.best is not None:
        vector, converged = watch.best, converged or watch.exhausted
        value = objective.value(vector)
    return NetworkFit(
        network=unflatten(vector, network),
        init=name,
        loss_curve=record.losses,
        seconds=record.seconds,
        validation_scores=None if watch is None else watch.scores,
        n_iter=len(record.losses),
        converged=converged,
        message=found.message,
        loss=value,
        diagnostics=notes,
        solver_state=state,
    )


def start_table(
    rows: Table,
    options: NetworkOptions,
    *,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> tuple[Network, str, dict[str, Any]]:
    """Make the start of a fit, as `fit_table` does on the rows that it trains on.

    Returns
    -------
    network : Network
    init : what it is: "tensor", "nn-lift" or "random", whichever won.
    diagnostics : dict

    Raises
    ------
    ValueError
        If ``init="nn-lift"``, or a width of "auto", asks for moments that say nothing.

    Warns
    -----
    RecoveryWarning
        If ``init="tensor"`` does, whose place a random start then takes.
    """
    scaling = scaling_of(rows, options, run)
    scaled = replace(options, alpha=scaling.penalty(options.alpha))
    with in_words():
        network, name, notes = _start(scaling.rows(rows), scaled, run, rng, told(on_step, scaling))
    return scaling.outside(network), name, users_notes(notes, scaling)


def _start(
    rows: Table,
    options: NetworkOptions,
    run: Runner,
    rng: np.random.Generator,
    on_step: OnStep | None,
) -> tuple[Network, str, dict[str, Any]]:
    """The start in the units of the table."""
    if options.init == "random":
        sizes = (rows.n_features, *options.hidden_layer_sizes, rows.n_outputs)
        network = random_network(sizes, options.activation, options.output, rng, like=rows.like)
        return network, "random", {}
    # imported late: the moment recipe is a large part that a random start does not need
    from spectral_nn.models.network.evidence import NoMoments
    from spectral_nn.models.network.starts import make_start

    try:
        return make_start(rows, options, rng, run, on_step or silent)
    except NoMoments as why:
        if options.init != "tensor" or options.hidden_layer_sizes == "auto":
            raise
        warnings.warn(f"The start is random: {why}", RecoveryWarning, stacklevel=2)
        return _start(rows, replace(options, init="random"), run, rng, on_step)


class _Watch:
    """Validation rows: the score after each step, the best parameters, and when to stop."""

    def __init__(self, rows: Rows, options: NetworkOptions) -> None:
        self._rows, self._options = rows, options
        self.scores: list[float] = []
        self.best: NDArray | None = None
        self._best_score = -np.inf
        self._stale = 0

    @property
    def exhausted(self) -> bool:
        """Whether more than `n_iter_no_change` steps in a row gained less than `tol`."""
        return self._stale > self._options.n_iter_no_change

    def look(self, vector: NDArray, network: Network) -> bool:
        """Score some parameters; whether that was enough."""
        score = _score(unflatten(vector, network), self._rows)
        self.scores.append(score)
        gained = score >= self._best_score + self._options.tol  # false for NaN
        self._stale = 0 if gained else self._stale + 1
        if score > self._best_score:
            self._best_score, self.best = score, np.array(vector)
        return self.exhausted


@dataclass
class _Record:
    """What a solver reports to: keeps the curve, and says when to stop."""

    solver: str
    clock: float
    n_rows: int
    network: Network
    watch: _Watch | None
    on_step: OnStep | None
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __call__(self, step: int, loss: float, vector: NDArray) -> bool:
        """Take down one step; whether the validation rows have had enough."""
        step = len(self.losses) + 1  # L-BFGS may have begun again
        _check_finite(loss, self.solver, step)
        self.losses.append(float(loss))
        self.seconds.append(time.perf_counter() - self.clock)
        if self.on_step is not None:
            self.on_step(self.solver, step, float(loss))
        return self.watch is not None and self.watch.look(vector, self.network)


def _by_lbfgs(
    objective: Smooth, network: Network, options: NetworkOptions, record: _Record
) -> Minimum:
    """Steps of L-BFGS, reported to the record."""
    found = lbfgs(
        objective,
        _host(network),
        max_iter=options.max_iter,
        tol=options.tol,
        max_evaluations=options.max_fun,
        on_step=record,
    )
    _check_finite(found.value, "lbfgs", found.n_iter)
    return found


def _by_adam(
    rows: Rows,
    network: Network,
    options: NetworkOptions,
    record: _Record,
    rng: np.random.Generator,
    state: AdamState | None,
) -> AdamMinimum:
    """Epochs of Adam, reported to the record."""
    n_rows = rows.n_rows
    objective = Objective(rows.X, rows.Y, network, options.alpha, rows.weight)
    patience: Any = options.n_iter_no_change if record.watch is None else np.inf
    found = adam(
        objective.on_rows,
        _host(network),
        n_rows=n_rows,
        batch_size=options.batch_rows(n_rows),
        learning_rate=options.learning_rate_init,
        max_iter=options.max_iter,
        tol=options.tol,
        n_iter_no_change=patience,
        rng=rng,
        shuffle=options.shuffle,
        beta_1=options.beta_1,
        beta_2=options.beta_2,
        epsilon=options.epsilon,
        on_step=record,
        state=state,
    )
    if not np.isfinite(found.x).all():  # the last steps of the last epoch
        _check_finite(float("nan"), "adam", found.n_iter)
    return found


def _repaired(
    network: Network,
    train: Table,
    options: NetworkOptions,
    notes: dict[str, Any],
    rng: np.random.Generator,
    run: Runner,
    record: _Record,
) -> tuple[Network, NetworkOptions]:
    """Repair a start that moments are not sure of; the network, and the steps that are left.

    Only with squared errors and L-BFGS, where rows are fewer than recovery needs or the
    decomposition is in doubt, and where the residuals after some steps still carry a signal.
    """
    from spectral_nn.models.network.repair import FIRST_STEPS, LEAST_STEPS, repair, residual_signal
    from spectral_nn.models.network.starts import in_doubt

    least = FIRST_STEPS + LEAST_STEPS
    regression = options.solver == "lbfgs" and options.output == "identity"
    if not regression or _steps_left(options) < least or not in_doubt(notes):
        return network, options
    objective = objective_of(train, run, network, options.alpha)
    record.network = network
    few = notes["n_effective"] < notes["n_needed"]
    first = replace(options, max_iter=FIRST_STEPS if few else options.max_iter)
    found = _by_lbfgs(objective, network, first, record)
    network = unflatten(found.x, network)
    options = replace(
        options,
        max_iter=options.max_iter - found.n_iter,
        max_fun=options.max_fun - found.n_evaluations,
    )
    if record.watch is not None and record.watch.exhausted:
        return network, replace(options, max_iter=0)
    left = _steps_left(options)
    if left < LEAST_STEPS:
        return network, options
    signal = residual_signal(network, train, rng, run)
    notes["residual_signal"] = signal
    if signal > 1:
        tell = record.on_step or silent
        done = repair(network, train, options.alpha, budget=left, rng=rng, run=run, on_step=tell)
        network = done.network.on(train.like)
        notes["repair"] = done.rounds
        notes["repair_steps"] = done.n_iter
        options = replace(
            options, max_iter=options.max_iter - done.n_iter, max_fun=options.max_fun - done.n_iter
        )
    return network, options


def _steps_left(options: NetworkOptions) -> int:
    """Steps of L-BFGS that there may be: each takes an evaluation at the least."""
    return min(options.max_iter, options.max_fun)


def _split(
    rows: Table, options: NetworkOptions, rng: np.random.Generator
) -> tuple[Table, _Watch | None]:
    """Rows to train on, and a watch over those held out, if any; both in ascending order.

    Raises
    ------
    ValueError
        If rows have to be taken one by one and are not in memory.
    """
    if not isinstance(rows, Rows):
        asked = [options.solver == "adam", options.early_stopping]
        for name, needed in zip(("solver='adam'", "early_stopping=True"), asked, strict=True):
            if needed:
                raise ValueError(
                    f"{name} takes rows one by one, and those of X are not in memory: it comes in "
                    "chunks, lies on a cluster, or goes to a device. Use solver='lbfgs' without "
                    "early stopping, which walks over chunks, or partial_fit."
                )
    if not options.early_stopping:
        return rows, None
    assert isinstance(rows, Rows)
    kept, held_out = _held_out(to_numpy(rows.Y), options, rng)
    return rows.take(kept), _Watch(rows.take(held_out), options)


def _held_out(
    Y: NDArray, options: NetworkOptions, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train on and rows held out, both in ascending order.

    Single labels are held out class by class, at least one row of each left to train on.
    """
    n = len(Y)
    if options.output == "softmax":
        groups = Y.argmax(axis=1)
    elif options.output == "logistic" and Y.shape[1] == 1:
        groups = Y[:, 0] > 0.5
    else:
        groups = np.zeros(n, dtype=int)
    order = rng.permutation(n)
    # the i-th of a group's m rows, in random order, stands at (i + 1/2) / m of the way: the first
    # share of the way holds that share of every group
    place = np.empty(n)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[-1]] = 2.0
    size = int(np.ceil(options.validation_fraction * n))
    ranked = order[np.argsort(place[order], kind="stable")]
    size = min(size, int((place < 2.0).sum()))
    if size < _LEAST_VALIDATION or n - size < 1:
        raise ValueError(
            f"early_stopping=True holds out validation_fraction={options.validation_fraction} of "
            f"n={n} rows, which leaves {size} to validate on and {n - size} to train on. The "
            f"validation set is too small: it needs {_LEAST_VALIDATION} rows. Give more rows, a "
            "larger validation_fraction, or set early_stopping=False."
        )
    return np.sort(ranked[size:]), np.sort(ranked[:size])


def _score(network: Network, rows: Rows) -> float:
    """R^2, averaged over outputs, or accuracy; NaN for outputs that are not finite."""
    with np.errstate(all="ignore"):
        outputs = to_numpy(network.predict(rows.X))
    Y, weight = to_numpy(rows.Y), to_numpy(rows.weight)
    if not np.isfinite(outputs).all():
        return float("nan")
    if network.output == "softmax":
        right = outputs.argmax(axis=1) == Y.argmax(axis=1)
        return float(np.average(right, weights=weight))
    if network.output == "logistic":
        right = ((outputs > 0.5) == (Y > 0.5)).all(axis=1)
        return float(np.average(right, weights=weight))
    targets = Y.astype(np.float64)
    lost = np.average((targets - outputs) ** 2, axis=0, weights=weight)
    mean = np.average(targets, axis=0, weights=weight)
    spread = np.average((targets - mean) ** 2, axis=0, weights=weight)
    constant = np.where(lost > 0, 0.0, 1.0)  # as scikit-learn scores a constant target
    scores = np.where(spread > 0, 1 - lost / np.where(spread > 0, spread, 1.0), constant)
    return float(scores.mean())


def _check_finite(loss: float, solver: str, step: int) -> None:
    """Raise if the loss is NaN or infinite.

    Raises
    ------
    ValueError
        Naming the step.
    """
    if np.isfinite(loss):
        return
    where = "at the start" if step == 0 else f"at step {step} of solver={solver!r}"
    hint = "" if solver == "lbfgs" or step == 0 else ", a smaller learning_rate_init"
    raise ValueError(
        f"The loss is not finite ({loss}) {where}. X or y may hold values that are very large or "
        f"very small: scale them to unit variance (StandardScaler){hint}, or change alpha."
    )


def _host(network: Network) -> NDArray:
    """Parameters in one array on the host."""
    return to_numpy(flatten(network)).astype(np.float64)


def as_rows(X: Any, Y: NDArray, sample_weight: NDArray | None) -> Rows:
    """Put a table together, of weights 1 by default."""
    if sample_weight is None:
        sample_weight = get_namespace(Y).ones_like(Y[:, 0])
    return Rows(X, Y, sample_weight)
