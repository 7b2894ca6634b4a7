"""Expectation-maximisation with adaptive over-relaxation and a guard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")
S = TypeVar("S")

_GROWTH = 1.2
_LARGEST_POWER = 3.0


@dataclass(frozen=True)
class EMResult(Generic[P]):
    """Outcome of `em`.

    Attributes
    ----------
    parameters : after the last M-step.
    history : objective before each M-step; it never falls.  It begins with -inf only where that
        is how it ends.
    converged : whether the gain fell below the tolerance.
    """

    parameters: P
    history: list[float]
    converged: bool


def em(
    parameters: P,
    *,
    expect: Callable[[P], S],
    objective: Callable[[S, P], float],
    maximise: Callable[[S, P], P],
    relax: Callable[[P, P, float], P],
    n_iter: int,
    tol: float,
    on_step: Callable[[int, float], None] | None = None,
) -> EMResult[P]:
    """Climb an objective by EM steps that reach beyond the M-step while that pays.

    Each step moves from `p` to ``relax(p, maximise(p), power)``; the power starts at 1, grows by
    a fifth with every step that does not lower the objective, and returns to 1, from the plain
    M-step of the last good parameters, after one that does (Salakhutdinov, Roweis, *Adaptive
    overrelaxed bound optimization methods*, ICML 2003).  The last step is always plain.

    A start at -inf ends the climb at once: zeros stay, and so does what they make impossible.

    Parameters
    ----------
    parameters : the start.
    expect : E-step, parameters -> statistics.
    objective : (statistics, parameters they were computed at) -> float, what `maximise` raises.
    maximise : M-step, (statistics, parameters) -> parameters.
    relax : (old, new, power) -> parameters, `new` at power 1.
    n_iter : most M-steps.
    tol : stop when a step gains less.
    on_step : told (step, objective) after each E-step that counts.

    Returns
    -------
    EMResult, the start itself with an empty history where `n_iter` is below 1.

    Notes
    -----
    One E-step an iteration, one more for each step taken back.
    """
    history: list[float] = []
    converged = False
    if n_iter < 1:
        return EMResult(parameters, history, converged)
    statistics = expect(parameters)
    history.append(objective(statistics, parameters))
    if history == [-math.inf]:
        return EMResult(parameters, history, converged)
    power = 1.0
    for step in range(1, n_iter + 1):
        if on_step is not None:
            on_step(step, history[-1])
        plain = maximise(statistics, parameters)
        if step == n_iter or converged:
            return EMResult(plain, history, converged)
        trial = relax(parameters, plain, power) if power > 1 else plain
        trial_statistics = expect(trial)
        reached = objective(trial_statistics, trial)
        if power > 1 and not reached >= history[-1]:
            power, trial = 1.0, plain
            trial_statistics = expect(trial)
            reached = objective(trial_statistics, trial)
        if not reached >= history[-1]:  # rounding: a plain step cannot fall otherwise
            return EMResult(parameters, history, True)
        converged = reached - history[-1] < tol
        parameters, statistics = trial, trial_statistics
        history.append(reached)
        power = min(power * _GROWTH, _LARGEST_POWER)
    raise AssertionError("unreachable: the last step returns")
