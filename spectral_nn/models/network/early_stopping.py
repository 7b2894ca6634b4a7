"""Early stopping: rows held out, and the record of a fit that they judge."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.base import OnStep
from spectral_nn.models.network.dense import Network, unflatten
from spectral_nn.models.network.draws import ScikitDraws
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.trainers.base import Minimum, RowProblem, Trainer, Vector
from spectral_nn.trainers.minibatch import MiniBatchTrainer

__all__ = ["Record", "Validation", "check_finite", "hold_out", "train_batches"]

MIN_VALIDATION = 2  # rows: R^2 of one row is not defined


@dataclass
class Validation:
    """Validation rows: their score after each step, and the best parameters.

    Attributes
    ----------
    rows : held out.
    tol, n_iter_no_change : more than so many steps in a row that gain less than `tol` are enough.
    scores : R^2 or accuracy after each step.
    best : parameters of the highest score; None before there is one.
    exhausted : whether the last steps were enough.
    """

    rows: Rows
    tol: float
    n_iter_no_change: float
    scores: list[float] = field(default_factory=list)
    best: NDArray | None = None
    exhausted: bool = False
    _best_score: float = -np.inf
    _misses: int = 0

    def judge(self, vector: NDArray, network: Network) -> bool:
        """Score some parameters; whether nothing was gained for long, which counts afresh then."""
        score = _score(unflatten(vector, network), self.rows)
        self.scores.append(score)
        gained = score >= self._best_score + self.tol  # false for NaN
        self._misses = 0 if gained else self._misses + 1
        if score > self._best_score:
            self._best_score, self.best = score, vector
        self.exhausted = self._misses > self.n_iter_no_change
        if self.exhausted:
            self._misses = 0
        return self.exhausted


@dataclass
class Record:
    """What a trainer reports to: keeps the curve, and lets validation rows judge.

    Attributes
    ----------
    trainer : named in what is told.
    network : gives the shape of parameters.
    validation : None without early stopping.
    on_step : told (trainer, step, loss).
    clock : when the fit began.
    losses, seconds : of each step so far.
    """

    trainer: Trainer
    network: Network
    validation: Validation | None
    on_step: OnStep | None
    clock: float
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def can_go_back(self) -> bool:
        """Whether validation rows have found parameters to return to where a fit diverges."""
        return self.validation is not None and self.validation.best is not None

    def __call__(self, step: int, loss: float, vector: NDArray) -> bool | None:
        """Take down one step; what validation rows say, None without any."""
        step = len(self.losses) + 1  # L-BFGS may have begun again
        if not self.can_go_back:
            check_finite(loss, self.trainer, step)
        self.losses.append(float(loss))
        self.seconds.append(time.perf_counter() - self.clock)
        if self.on_step is not None:
            self.on_step(self.trainer.name, step, float(loss))
        return None if self.validation is None else self.validation.judge(vector, self.network)


def hold_out(
    Y: NDArray, options: NetworkOptions, rng: np.random.Generator | ScikitDraws
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train on and rows held out.

    Single labels are held out class by class, at least one row of each left to train on; where
    `ScikitDraws` take the place of a Generator, as scikit-learn does it.

    Parameters
    ----------
    Y : array (n, q)
    options : the fraction to hold out, and the output.
    rng : draws the rows.

    Raises
    ------
    ValueError
        If fewer than two rows are left for validation, or none for training.
    """
    n, labels = len(Y), OUTPUTS[options.output].labels(Y)
    groups = np.zeros(n, dtype=int)
    if labels is not None and labels.shape[1] == 1:
        groups = labels[:, 0]
    size = int(np.ceil(options.validation_fraction * n))
    if isinstance(rng, ScikitDraws) and MIN_VALIDATION <= size < n:
        single = labels is not None and Y.shape[1] == 1
        split = rng.split(n, options.validation_fraction, groups if single else None)
        if split is not None:
            return split
    order = rng.permutation(n)
    # the i-th of a group's m rows, in random order, stands at (i + 1/2) / m of the way: the first
    # share of the way holds that share of every group
    place = np.empty(n)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[-1]] = 2.0
    ranked = order[np.argsort(place[order], kind="stable")]
    size = min(size, int((place < 2.0).sum()))
    if size < MIN_VALIDATION or n - size < 1:
        raise ValueError(
            f"early_stopping=True holds out validation_fraction={options.validation_fraction} of "
            f"n={n} rows, which leaves {size} to validate on and {n - size} to train on. The "
            f"validation set is too small: it needs {MIN_VALIDATION} rows. Give more rows, a "
            "larger validation_fraction, or set early_stopping=False."
        )
    return np.sort(ranked[size:]), np.sort(ranked[:size])


def check_finite(loss: float, trainer: Trainer, step: int) -> None:
    """Check that a loss is a number; ValueError naming the step."""
    if np.isfinite(loss):
        return
    where = f"at step {step} of solver={trainer.name!r}" if step else "at the start"
    smaller = step and hasattr(trainer, "learning_rate_init")
    hint = ", a smaller learning_rate_init" if smaller else ""
    raise ValueError(
        f"The loss is not finite ({loss}) {where}. X or y may hold values that are very large or "
        f"very small: scale them to unit variance (StandardScaler){hint}, or change alpha."
    )


def train_batches(
    trainer: MiniBatchTrainer,
    problem: RowProblem,
    start: Vector,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None,
) -> Minimum:
    """Train from a start (p,), telling of each epoch.

    Raises
    ------
    ValueError
        Naming the epoch whose loss is not finite.
    """

    def listen(epoch: int, loss: float, x: Vector) -> None:
        check_finite(loss, trainer, epoch)
        if on_step is not None:
            on_step(trainer.name, epoch, loss)

    with np.errstate(all="ignore"):  # steps may overflow before a loss does
        found = trainer.train(problem, start, rng=rng, on_iterate=listen)
    if found.n_iter and not np.isfinite(to_numpy(found.x)).all():  # the last step is in no loss
        check_finite(np.nan, trainer, found.n_iter)
    return found


def _score(network: Network, rows: Rows) -> float:
    """R^2, averaged over outputs, or accuracy; NaN for outputs that are not finite."""
    with np.errstate(all="ignore"):
        outputs = to_numpy(network.predict(rows.X))
    if not np.isfinite(outputs).all():
        return float("nan")
    Y, weight = to_numpy(rows.Y), to_numpy(rows.weight)
    output = OUTPUTS[network.output]
    labels = output.labels(outputs)
    if labels is not None:
        right = (labels == output.labels(Y)).all(axis=1)
        return float(np.average(right, weights=weight))
    targets = Y.astype(np.float64)
    lost = np.average((targets - outputs) ** 2, axis=0, weights=weight)
    mean = np.average(targets, axis=0, weights=weight)
    spread = np.average((targets - mean) ** 2, axis=0, weights=weight)
    constant = np.where(lost > 0, 0.0, 1.0)  # as scikit-learn scores a constant target
    scores = np.where(spread > 0, 1 - lost / np.where(spread > 0, spread, 1.0), constant)
    return float(scores.mean())
