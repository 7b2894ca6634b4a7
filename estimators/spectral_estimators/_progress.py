"""How a fit reports: printed lines, callbacks, and the monitor that stays with the model."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from inspect import signature
from time import perf_counter
from typing import Any, TypeVar, cast

from spectral_estimators._sklearn_compat import (
    begin_fit,
    check_constraints,
    end_fit,
    has_callbacks,
    open_task,
    report_step,
    with_callbacks,
)
from spectral_nn.models.base import OnStep
from spectral_nn.trainers import TRAINERS

__all__ = ["ConvergenceMonitor", "Pace", "epoch_line", "listener", "reports_steps"]

M = TypeVar("M", bound=Callable[..., Any])

Line = Callable[[str, int, float], str]
"""From (stage, step, value) to what is printed of a step; an empty string for nothing."""

_CLIMBS = ("EM", "collapsed", "online")  # and the names of solvers
_LONG = 5.0  # seconds after which a fit tells its pace


@dataclass
class ConvergenceMonitor:
    """What happened in the steps on all data, with hmmlearn's names.

    Attributes
    ----------
    tol : float or None
    n_iter : int
        Most steps allowed.
    verbose : bool, int or callable
    history : list of float
        Objective before each step: log-likelihood of the training data plus the log prior, in
        nats.  Never falls.
    converged : bool
        Whether the gain fell below ``tol``; stopping at ``n_iter`` is not convergence.
    """

    tol: float | None
    n_iter: int
    verbose: Any = False
    history: list[float] = field(default_factory=list)
    converged: bool = False

    @property
    def iter(self) -> int:
        """Number of entries in ``history``."""
        return len(self.history)


def listener(estimator: Any, line: Line | None = None) -> OnStep | None:
    """Who is told of the steps of a fit: whom `verbose` names, and callbacks; None for nobody.

    Parameters
    ----------
    estimator : has ``verbose``, or callbacks, or neither.
    line : what to print of a step on standard output; None for columns on standard error.
    """
    verbose, task = getattr(estimator, "verbose", False), open_task(estimator)
    told: list[OnStep] = []
    if callable(verbose):
        told.append(verbose)
    elif verbose:
        told.append(_Lines(estimator, line))
    if task is not None:
        told.append(_Subtasks(estimator, task))
    if len(told) > 1:
        return partial(_tell_all, told)
    return told[0] if told else None


def reports_steps(fit: M) -> M:
    """Let scikit-learn's callbacks follow a ``fit`` whose steps go to a `listener`.

    The task of the fit has as many subtasks as steps are taken, ``_max_steps()`` at the most; none
    where an estimator has no such method. A fit without callbacks is as it was.
    """

    @with_callbacks
    def followed(self: Any, *args: Any, **named: Any) -> Any:
        check_constraints(self)
        values = signature(fit).bind(self, *args, **named).arguments
        given = {name: values.get(name) for name in ("X", "y")}
        if values.get("sample_weight") is not None:
            given["metadata"] = {"sample_weight": values["sample_weight"]}
        begin_fit(self, self._max_steps() if hasattr(self, "_max_steps") else 0, **given)
        fitted = fit(self, *args, **named)
        end_fit(self, **given)
        return fitted

    @wraps(fit)
    def reporting(self: Any, *args: Any, **named: Any) -> Any:
        return (followed if has_callbacks(self) else fit)(self, *args, **named)

    return cast(M, reporting)


def epoch_line(stage: str, step: int, loss: float) -> str:
    """Scikit-learn's line of a verbose fit of a network.

    The race and the repair of starts, which scikit-learn does not have, have lines of their own.
    """
    if stage in TRAINERS:
        return f"Iteration {step}, loss = {loss:.8f}"
    return f"{stage}, step {step}: {loss:.8f}"


class _Lines:
    """``on_step`` that prints a line a step, with the pace where steps of a climb take long."""

    def __init__(self, estimator: Any, line: Line | None) -> None:
        self._estimator, self._line = estimator, line or _Columns()
        self._stream = sys.stderr if line is None else sys.stdout
        self._pace = Pace(getattr(estimator, "max_iter", getattr(estimator, "n_iter", None)))

    def __call__(self, stage: str, step: int, value: float) -> None:
        """Print one line, or none where there is nothing to say."""
        pace = self._pace.words(stage, step) if _is_climb(self._estimator, stage) else ""
        if text := self._line(stage, step, value):
            self._stream.write(f"{text}{pace}\n")


class _Columns:
    """Columns: stage, step, objective in nats, and within EM the gain over the step before."""

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, step: int, objective: float) -> str:
        """Make one line."""
        before, last = self._last
        gain = f"{objective - last:>+16.4f}" if stage == before == "EM" else ""
        self._last = (stage, objective)
        return f"{stage:<32} {step:>6d} {objective:>18.4f} {gain}"


class Pace:
    """How many steps a climb takes a second, and how long those that are left may take.

    Parameters
    ----------
    most : steps of the climb; None if that is not known.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._stage, self._first, self._last, self._begun = "", 0, 0, 0.0

    def words(self, stage: str, step: int) -> str:
        """Say it after some seconds, such as "  (3.2 steps/s, at most 40 s left)"; else nothing."""
        now = perf_counter()
        if stage != self._stage or step <= self._last:  # another climb
            self._stage, self._first, self._begun = stage, step, now
        self._last = step
        seconds = now - self._begun
        if seconds < _LONG:
            return ""
        rate = (step - self._first) / seconds
        left = "" if self._most is None else f", at most {_time((self._most - step) / rate)} left"
        return f"  ({rate:.3g} steps/s{left})"


class _Subtasks:
    """``on_step`` that tells callbacks of each step of a climb."""

    def __init__(self, estimator: Any, task: Any) -> None:
        self._estimator, self._task, self._n_told = estimator, task, 0

    def __call__(self, stage: str, step: int, value: float) -> None:
        """Tell of one step, unless it is one of a race."""
        most = self._task.max_subtasks
        if _is_climb(self._estimator, stage) and (most is None or self._n_told < most):
            self._n_told += 1
            report_step(self._estimator, self._task, stage)


def _is_climb(estimator: Any, stage: str) -> bool:
    """Whether the steps of a stage are those that ``max_iter`` or ``n_iter`` counts."""
    solver = getattr(estimator, "solver", None)
    return stage in (*_CLIMBS, getattr(solver, "name", solver)) or stage.startswith("EM, ")


def _tell_all(told: list[OnStep], stage: str, step: int, value: float) -> None:
    for tell in told:
        tell(stage, step, value)


def _time(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
