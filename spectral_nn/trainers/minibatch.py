"""Epochs of steps on mini-batches: what trainers on batches of rows share."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from spectral_nn.arrays import beside, get_namespace
from spectral_nn.trainers.base import Minimum, OnIterate, RowOrder, RowProblem, Vector

__all__ = ["MiniBatchTrainer", "anneal"]

_BATCH_ROWS = 200  # scikit-learn's


@dataclass(frozen=True)
class MiniBatchTrainer(ABC):
    """A trainer that steps after each batch, with scikit-learn's epochs and stopping rule.

    A subclass gives its state with `init`, and its rule with `step`.

    Attributes
    ----------
    max_iter : most epochs.
    tol, n_iter_no_change : stop when more than so many epochs in a row have not lowered the least
        value by more than `tol`.
    batch_size : rows of a step, "auto" for 200; the last batch of an epoch may have fewer.
    shuffle : whether rows are put into a new order before each epoch.
    learning_rate : how the size of steps goes on; with "cosine", the last of `max_iter` epochs is
        where the fit is to end, and counts as converged.
    learning_rate_init : size of the first steps.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    max_iter: int = 200
    tol: float = 1e-4
    n_iter_no_change: float = 10
    batch_size: int | Literal["auto"] = "auto"
    shuffle: bool = True
    learning_rate: str = "constant"
    learning_rate_init: float = 1e-3

    @abstractmethod
    def init(self, x: Vector) -> Any:
        """Return what is remembered between steps, at the first, for parameters such as x (p,)."""

    @abstractmethod
    def step(self, x: Vector, gradient: Vector, state: Any) -> None:
        """Move x (p,) and the state, both in place, after a batch of that gradient (p,)."""

    def end_epoch(self, state: Any, epoch: int, n_rows: int) -> None:  # noqa: B027
        """Move the state after that epoch, over so many rows, if it has to."""

    def goes_on(self, state: Any) -> bool:
        """Move the state where nothing was gained for long; whether that may help."""
        return False

    def with_max_iter(self, max_iter: int) -> Self:
        """Return the trainer with another number of most steps."""
        return replace(self, max_iter=max_iter)

    def train(
        self,
        problem: RowProblem,
        start: Vector,
        *,
        rng: RowOrder,
        state: Any = None,
        on_iterate: OnIterate | None = None,
    ) -> Minimum:
        """Minimise a mean over rows.

        Parameters
        ----------
        problem : RowProblem
        start : array (p,) of any library, in which, and in whose precision, steps are taken
        rng : orders the rows.
        state : of an earlier call, to go on from, unless that was of another trainer;
            `n_iter_no_change` counts afresh.
        on_iterate : told each epoch; what it returns, unless it is None, decides in the place of
            `n_iter_no_change`.

        Raises
        ------
        ValueError
            If `state` is of another number of parameters.

        Notes
        -----
        An epoch whose value is not finite is the last.
        """
        x = get_namespace(start).asarray(start, copy=True)
        fresh = self.init(x)
        state = copy.deepcopy(state) if isinstance(state, type(fresh)) else fresh
        if any(
            np.shape(old) != np.shape(new)
            for old, new in zip(vars(state).values(), vars(fresh).values(), strict=True)
        ):
            raise ValueError(
                f"state is of another number of parameters than start, which has {x.shape[0]}; go "
                "on with a state of the same problem"
            )
        for name, value in vars(state).items():  # the last batch may have been of another library
            setattr(state, name, beside(value, x))
        n_rows = problem.n_rows
        batch = min(n_rows, _BATCH_ROWS if self.batch_size == "auto" else self.batch_size)
        history: list[float] = []
        least, misses = np.inf, 0
        converged, message = False, "max_iter is reached"
        for epoch in range(1, self.max_iter + 1):
            order = rng.permutation(n_rows) if self.shuffle else None
            total = 0.0
            for begin in range(0, n_rows, batch):
                rows = slice(begin, min(begin + batch, n_rows))
                value, gradient = problem.on_rows(x, rows if order is None else order[rows])
                total += value * (rows.stop - rows.start)
                self.step(x, gradient, state)
            history.append(total / n_rows)
            misses = misses + 1 if history[-1] > least - self.tol else 0
            least = min(least, history[-1])
            verdict = (
                None
                if on_iterate is None
                else on_iterate(epoch, history[-1], get_namespace(x).asarray(x, copy=True))
            )
            stale = misses > self.n_iter_no_change if verdict is None else verdict
            self.end_epoch(state, epoch, n_rows)
            if not np.isfinite(history[-1]):
                message = "the value is not finite"
                break
            if stale and self.goes_on(state):
                misses = 0
            elif stale:
                converged = verdict is None
                message = "on_iterate asked to stop"
                if converged:
                    message = f"no gain above tol for {misses} epochs"
                break
        else:
            if self.learning_rate == "cosine":
                converged, message = True, "the steps have come down to nothing"
        value = history[-1] if history else np.nan
        return Minimum(x, value, history, converged, message, state=state)


def anneal(epoch: int, n_epochs: int) -> float:
    """Share of a rate that half a cosine leaves after some of all epochs; all of it for the next.

    Loshchilov, Hutter, *SGDR: stochastic gradient descent with warm restarts*, ICLR 2017, eq. 5.
    """
    return (1 + math.cos(math.pi * (epoch % n_epochs) / n_epochs)) / 2
