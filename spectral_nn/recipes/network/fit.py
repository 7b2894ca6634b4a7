"""The fit of a dense network: hold out, start, refine.

1. With early stopping, hold out validation rows.
2. Start: moments (raced against random draws), a random draw, or what the caller gives.
3. Repair, of regressions by L-BFGS whose moments leave doubt and that may take 170 steps or more.
4. L-BFGS on all rows or epochs of Adam, to convergence, or until the validation rows gain no more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.execute.runner import runner
from spectral_nn.models.network.dense import (
    Network,
    Objective,
    flatten,
    random_network,
    unflatten,
)
from spectral_nn.recipes.listening import OnStep, silent
from spectral_nn.recipes.network.options import NetworkFit, NetworkOptions
from spectral_nn.refine.adam import AdamState, adam
from spectral_nn.refine.lbfgs import lbfgs

__all__ = ["NetworkFit", "NetworkOptions", "fit_network", "start_network"]

_LEAST_VALIDATION = 2  # rows: R^2 of one row is not defined


def fit_network(
    X: Any,
    Y: NDArray,
    options: NetworkOptions,
    *,
    sample_weight: NDArray | None = None,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    start: Network | None = None,
    state: AdamState | None = None,
    on_step: OnStep | None = None,
) -> NetworkFit:
    """Fit a network to rows and targets.

    Parameters
    ----------
    X : array or CSR (n, d), float64 or float32, which is what the network is computed in
    Y : array (n, q)
        Numbers; 0 and 1 for the outputs "logistic" and "softmax".
    options : what to fit.
    sample_weight : array (n,), optional
        Positive.
    rng : draws validation rows, starts, and the order of batches, in this order.
    n_jobs : workers for the moment passes, as joblib means it; the result does not depend on it.
    start : goes in the place of a new start.
    state : what Adam needs to go on from an earlier fit.
    on_step : told (stage, step, loss) as the fit goes on.

    Returns
    -------
    NetworkFit

    Raises
    ------
    ValueError
        If fewer than two rows are left for validation, or for training; or if the loss is not
        finite, naming the step.

    Notes
    -----
    4 n multiply-adds a weight (2 n for the first layer's) and evaluation, on top of the start.
    """
    clock = time.perf_counter()
    rows, held_out = _split(Y, options, rng)
    train = _Rows(X, Y, sample_weight).take(rows)
    notes: dict[str, Any] = {}
    name = "given"
    if start is None:
        start, name, notes = start_network(
            train.X,
            train.Y,
            options,
            sample_weight=train.weight,
            rng=rng,
            n_jobs=n_jobs,
            on_step=on_step,
        )
    network = _astype(start, X.dtype)
    watch = None
    if held_out is not None:
        watch = _Watch(_Rows(X, Y, sample_weight).take(held_out), options)
    objective = Objective(train.X, train.Y, network, options.alpha, train.weight)
    record = _Record(options.solver, clock, len(train.Y), network, watch, on_step)
    value = objective.value(flatten(network))
    _check_finite(value, options.solver, 0)
    if options.max_iter == 0:
        return NetworkFit(
            network, name, [], [], None if watch is None else [], 0, False, value, notes, state
        )
    if options.solver == "lbfgs":  # the race's steps count
        options = replace(options, max_iter=options.max_iter - notes.get("race_steps", 0))
    refine = _by_lbfgs if options.solver == "lbfgs" else _by_adam
    if options.init == "tensor" and name != "given":
        network, options = _repaired(network, train, options, notes, rng, n_jobs, record)
    with np.errstate(all="ignore"):  # what overflows is told of by the loss
        vector, value, converged, state = refine(objective, network, options, record, rng, state)
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
        loss=value,
        diagnostics=notes,
        solver_state=state,
    )


def start_network(
    X: Any,
    Y: NDArray,
    options: NetworkOptions,
    *,
    sample_weight: NDArray | None = None,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    on_step: OnStep | None = None,
) -> tuple[Network, str, dict[str, Any]]:
    """Make the start of a fit, as `fit_network` does on the rows that it trains on.

    Returns
    -------
    network : Network
    init : what it is: "tensor", "nn-lift" or "random", whichever won.
    diagnostics : dict
    """
    if options.init == "random":
        sizes = (X.shape[1], *options.hidden_layer_sizes, Y.shape[1])
        network = random_network(sizes, options.activation, options.output, rng)
        return _astype(network, X.dtype), "random", {}
    # imported late: the moment recipe is a large part that a random start does not need
    from spectral_nn.recipes.network.starts import make_start

    return make_start(X, Y, options, sample_weight, rng, n_jobs, on_step)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows, their targets and their weights."""

    X: Any
    Y: NDArray
    weight: NDArray | None

    def take(self, rows: NDArray[np.intp] | None) -> _Rows:
        """Some of the rows; all for None."""
        if rows is None:
            return self
        weight = None if self.weight is None else self.weight[rows]
        return _Rows(self.X[rows], self.Y[rows], weight)


class _Watch:
    """Validation rows: the score after each step, the best parameters, and when to stop."""

    def __init__(self, rows: _Rows, options: NetworkOptions) -> None:
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
    objective: Objective,
    network: Network,
    options: NetworkOptions,
    record: _Record,
    rng: np.random.Generator,
    state: AdamState | None,
) -> tuple[NDArray, float, bool, None]:
    """Parameters, loss, whether it converged, and no state."""
    found = lbfgs(
        objective, flatten(network), max_iter=options.max_iter, tol=options.tol, on_step=record
    )
    _check_finite(found.value, "lbfgs", found.n_iter)
    return found.x, found.value, found.converged, None


def _by_adam(
    objective: Objective,
    network: Network,
    options: NetworkOptions,
    record: _Record,
    rng: np.random.Generator,
    state: AdamState | None,
) -> tuple[NDArray, float, bool, AdamState]:
    """Parameters, loss of the last epoch, whether it converged, and the state to go on from."""
    n_rows = record.n_rows
    patience: Any = options.n_iter_no_change if record.watch is None else np.inf
    found = adam(
        objective.on_rows,
        flatten(network),
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
    return found.x, found.value, found.converged, found.state


def _repaired(
    network: Network,
    train: _Rows,
    options: NetworkOptions,
    notes: dict[str, Any],
    rng: np.random.Generator,
    n_jobs: int | None,
    record: _Record,
) -> tuple[Network, NetworkOptions]:
    """Repair a start that moments are not sure of; the network, and the steps that are left.

    Only with squared errors and L-BFGS, where rows are fewer than recovery needs or the
    decomposition is in doubt, and where the residuals after some steps still carry a signal.
    """
    from spectral_nn.recipes.network.repair import FIRST_STEPS, LEAST_STEPS, repair, residual_signal
    from spectral_nn.recipes.network.starts import as_rows, in_doubt

    least = FIRST_STEPS + LEAST_STEPS
    regression = options.solver == "lbfgs" and options.output == "identity"
    if not regression or options.max_iter < least or not in_doubt(notes):
        return network, options
    objective = Objective(train.X, train.Y, network, options.alpha, train.weight)
    record.network = network
    few = notes["n_effective"] < notes["n_needed"]
    first = replace(options, max_iter=FIRST_STEPS if few else options.max_iter)
    vector, _, _, _ = _by_lbfgs(objective, network, first, record, rng, None)
    network = unflatten(vector, network)
    left = options.max_iter - len(record.losses)
    if record.watch is not None and record.watch.exhausted:
        return network, replace(options, max_iter=0)
    if left < LEAST_STEPS:
        return network, replace(options, max_iter=left)
    rows = as_rows(train.X, train.Y, train.weight)
    with runner(n_jobs) as run:
        signal = residual_signal(network, rows, rng, run)
        notes["residual_signal"] = signal
        if signal > 1:
            tell = record.on_step or silent
            done = repair(network, rows, options.alpha, budget=left, rng=rng, run=run, on_step=tell)
            network = done.network
            notes["repair"] = done.rounds
            notes["repair_steps"] = done.n_iter
            left -= done.n_iter
    return _astype(network, train.X.dtype), replace(options, max_iter=left)


def _split(
    Y: NDArray, options: NetworkOptions, rng: np.random.Generator
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """Rows to train on (None: all) and rows held out (None: none), both in ascending order.

    Single labels are held out class by class, at least one row of each left to train on.
    """
    if not options.early_stopping:
        return None, None
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


def _score(network: Network, rows: _Rows) -> float:
    """R^2, averaged over outputs, or accuracy; NaN for outputs that are not finite."""
    with np.errstate(all="ignore"):
        outputs = network.predict(rows.X)
    if not np.isfinite(outputs).all():
        return float("nan")
    if network.output == "softmax":
        right = outputs.argmax(axis=1) == rows.Y.argmax(axis=1)
        return float(np.average(right, weights=rows.weight))
    if network.output == "logistic":
        right = ((outputs > 0.5) == (rows.Y > 0.5)).all(axis=1)
        return float(np.average(right, weights=rows.weight))
    targets = rows.Y.astype(np.float64)
    lost = np.average((targets - outputs) ** 2, axis=0, weights=rows.weight)
    mean = np.average(targets, axis=0, weights=rows.weight)
    spread = np.average((targets - mean) ** 2, axis=0, weights=rows.weight)
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
        f"The loss is not finite ({loss}) {where}. X or y may hold large values: scale them to "
        f"unit variance (StandardScaler){hint}, or raise alpha."
    )


def _astype(network: Network, dtype: Any) -> Network:
    """The network with parameters in the precision of the data."""
    return Network(
        tuple(coef.astype(dtype, copy=False) for coef in network.coefs),
        tuple(intercept.astype(dtype, copy=False) for intercept in network.intercepts),
        network.activation,
        network.output,
    )
