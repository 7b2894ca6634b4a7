"""What a trainer is, what it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array
from spectral_nn.trainers.layers import DenseLayer

__all__ = [
    "MISSING",
    "Batch",
    "LayeredProblem",
    "Minimum",
    "OnIterate",
    "Problem",
    "RowOrder",
    "RowProblem",
    "Trainer",
    "Vector",
    "check_needs",
]

MISSING = {
    "rows": "takes rows one by one, and those of X are not in memory: it comes in chunks, lies on "
    "a cluster, or goes to a device. Use solver='lbfgs' without early stopping, which walks over "
    "chunks, or partial_fit.",
    "hidden layers": "is about hidden layers, and there are none. Give hidden_layer_sizes, or use "
    "solver='lbfgs'.",
}
"""What is said of a need that a problem does not meet."""

Vector: TypeAlias = Array
"""Parameters (p,): NumPy's in double precision to L-BFGS, those of the rows to other trainers."""

OnIterate: TypeAlias = Callable[[int, float, Vector], bool | None]
"""Told (step or epoch, value, x), `x` a copy; says whether nothing was gained for long, or None to
leave that to the trainer."""


class Problem(Protocol):
    """A smooth function of parameters (p,)."""

    def __call__(self, x: Any, /) -> tuple[float, Any]:
        """Return value and gradient (p,)."""

    def value(self, x: Any, /) -> float:
        """Return the value alone."""


class RowProblem(Protocol):
    """A mean over rows that can be had one by one: what a trainer gets that needs "rows"."""

    @property
    def n_rows(self) -> int:
        """How many rows there are."""

    def on_rows(self, x: Any, rows: slice | NDArray[np.intp], /) -> tuple[float, Any]:
        """Return value and gradient (p,) of the mean over some rows."""


class Batch(Protocol):
    """Rows that pass together, and their loss.

    Attributes
    ----------
    X : array or CSR array (rows, d)
    targets : array (rows, q)
    total_weight : sum of the weights of the rows.
    """

    @property
    def X(self) -> Array: ...  # noqa: D102

    @property
    def targets(self) -> Array: ...  # noqa: D102

    @property
    def total_weight(self) -> float: ...  # noqa: D102

    def loss(self, outputs: Array, /) -> tuple[float, Array]:
        """Return the mean loss of outputs (rows, q), which may be overwritten, and its gradient."""


class LayeredProblem(Problem, RowProblem, Protocol):
    """A mean over rows of a function of a network, whose layers can be had one by one."""

    def layers(self, vector: Array, /, *, training: bool = False) -> list[DenseLayer]:
        """Return the layers whose parameters are views of a vector (p,).

        In `training`, which layers a batch goes around is drawn, where that is left to chance.
        """

    def batch(self, rows: slice | NDArray[np.intp], /) -> Batch:
        """Return some rows."""

    def penalise(
        self, vector: Array, gradient: Array, batch: Batch, learning: Sequence[bool] | None, /
    ) -> float:
        """Return the penalty on the layers that learn; add its gradient to that (p,) of a batch."""


class RowOrder(Protocol):
    """What draws the order of the rows of each epoch, such as a NumPy Generator."""

    def permutation(self, n: int, /) -> NDArray[np.intp]:
        """Return the numbers below n in random order."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Outcome of a trainer.

    Attributes
    ----------
    x : array (p,), where it ended.
    value : the objective there; of mini-batches, its mean over the last epoch, NaN if there was
        none.
    history : the same after each step or epoch.
    converged : whether the trainer stopped because nothing was left to gain.
    message : why it stopped.
    n_evaluations : calls of the objective on all rows.
    state : what the trainer needs to go on, None if it cannot.
    cosines : of a rule's direction to the gradient, of the hidden layers, on the first batch of
        each epoch; empty of a trainer that takes the gradient.
    """

    x: Vector
    value: float
    history: list[float]
    converged: bool
    message: str
    n_evaluations: int = 0
    state: Any = None
    cosines: Sequence[float] = ()

    @property
    def n_iter(self) -> int:
        """Steps or epochs done."""
        return len(self.history)


class Trainer(Protocol):
    """How parameters are improved: a frozen dataclass of settings, which knows no model.

    The fields of a trainer are named as the arguments of the estimators that set them.

    Attributes
    ----------
    name : what users call it, the key in `spectral_nn.trainers.TRAINERS`.
    needs : what a problem has to offer beside value and gradient on all rows, keys of `MISSING`:
        "rows", if it is to be a `RowProblem`, for which rows have to be in memory; "hidden
        layers", if the network has to have some.
    max_iter : most steps or epochs.
    tol : smallest gain, or gradient, that is worth going on for.

    Notes
    -----
    The loop belongs to the trainer, since SciPy's L-BFGS lends its own to nobody.  Trainers that go
    over mini-batches share one: `spectral_nn.trainers.minibatch.MiniBatchTrainer` asks them for
    ``init`` and ``step`` only.
    """

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def needs(self) -> frozenset[str]:
        """What a problem has to offer, keys of `MISSING`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def max_iter(self) -> int:
        """Most steps or epochs."""

    @property
    def tol(self) -> float:
        """Smallest gain or gradient that is worth going on for."""

    def with_max_iter(self, max_iter: int, /) -> Trainer:
        """Return the trainer with another number of most steps or epochs."""

    def train(
        self,
        problem: LayeredProblem,
        start: Vector,
        *,
        rng: RowOrder,
        state: Any = None,
        on_iterate: OnIterate | None = None,
    ) -> Minimum:
        """Lower a problem from a start (p,), or go on from the `state` of an earlier `Minimum`."""


def check_needs(trainer: Trainer, offered: frozenset[str]) -> None:
    """Check that a problem offers what a trainer needs; ValueError saying what is missing."""
    for need in sorted(trainer.needs - offered):
        raise ValueError(f"solver={trainer.name!r} {MISSING[need]}")
