"""The fit of a latent-variable model: race the starts on samples, then EM on all data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from spectral_nn.models.base import Data, Fit, LatentModel, OnStep, Start, silent
from spectral_nn.models.report import FitReport
from spectral_nn.results import DegenerateError
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult, em
from spectral_nn.trainers.halving import Round, successive_halving
from spectral_nn.warn import warn

__all__ = ["advance", "best_first", "complete", "finish", "fit", "maximise_likelihood"]

P = TypeVar("P")
S = TypeVar("S")

_STAGES = {"composite": "windows", "likelihood": "race", "held_out": "race"}  # told to callbacks
_TIE = 2.0**-20  # of an objective, which single precision may lose


def fit(
    model: LatentModel[P, S],
    data: Data[P, S],
    starts: list[Start[P]],
    *,
    rounds: tuple[Round, ...],
    n_iter: int,
    tol: float,
    race_tol: float,
    run: Runner,
    on_step: OnStep = silent,
    improve: Callable[[list[Start[P]]], list[Start[P]]] | None = None,
) -> tuple[EMResult[P], list[Start[P]]]:
    """Race starts by successive halving on samples, then EM on all data from the winner.

    Parameters
    ----------
    model : LatentModel
    data : Data
    starts : list of Start
        At least one, the best first.
    rounds : tuple of Round
        Of the race; without any, the first start wins.
    n_iter : int
        Most EM steps on all data.
    tol : float
        Stop when a step gains less, nats.
    race_tol : float
        The same in the race, nats a position.
    run : Runner
        Who computes.
    on_step : callable
        Told (stage, step, objective).
    improve : callable, optional
        What is done to the starts, the winner of the race first, before EM on all data.

    Returns
    -------
    EMResult
    starts : list of Start
        The winner first.

    Notes
    -----
    One pass of EM a step, on top of the rounds.
    """
    if rounds and len(starts) > 1:
        data.settle(starts[0].parameters)
        judges = data.judges()

        def compete(starts: list[Start[P]], one: Round) -> list[tuple[Start[P], float, float]]:
            moved = advance(
                model,
                starts,
                data.sample(one.n_rows),
                n_iter=one.n_steps,
                tol=race_tol * one.n_rows,
                run=run,
                figure="likelihood" if judges is None else "held_out",
                on_step=on_step,
                judges=judges,
            )
            return moved if judges is None else _judged(moved)

        starts = successive_halving(starts, rounds, compete)
        data.restart()
    if improve is not None:
        starts = improve(starts)
    result = maximise_likelihood(
        model, starts[0].parameters, data.expect, n_iter=n_iter, tol=tol, on_step=on_step
    )
    if result.history:
        starts = [replace(starts[0], likelihood=result.history[-1]), *starts[1:]]
    return result, starts


def _judged(
    moved: list[tuple[Start[P], float, float]],
) -> list[tuple[Start[P], float, float]]:
    """The best start of each kind before all others: what may fit more takes longer to learn."""
    kinds = [start.kind for start, _, _ in moved]
    order = sorted(range(len(moved)), key=lambda i: kinds.index(kinds[i]) != i)
    # What was gained in training is no measure of a lead on held-out data: no lead is decisive.
    return [(moved[i][0], moved[i][1], math.inf) for i in order]


def maximise_likelihood(
    model: LatentModel[P, S],
    start: P,
    expect: Callable[[P], S],
    *,
    n_iter: int,
    tol: float,
    on_step: OnStep = silent,
) -> EMResult[P]:
    """EM of a model from a start, with an E-step on all data; see `spectral_nn.trainers.em.em`."""

    def objective(statistics: Any, parameters: P) -> float:
        return statistics.log_likelihood + model.log_prior(parameters)

    return em(
        start,
        expect=expect,
        objective=objective,
        maximise=model.maximise,
        relax=model.relax,
        n_iter=n_iter,
        tol=tol,
        on_step=partial(on_step, "EM"),
    )


def advance(
    model: LatentModel[P, S],
    starts: list[Start[P]],
    chunks: list[Any],
    *,
    n_iter: int,
    tol: float,
    run: Runner,
    figure: str,
    on_step: OnStep = silent,
    judges: list[Any] | None = None,
) -> list[tuple[Start[P], float, float]]:
    """EM steps on the same few chunks from every start, each on a worker.

    A single worker takes one start after another, and keeps the chunks. What the chunks lack does
    not become impossible, as other data may have it.

    Parameters
    ----------
    model : LatentModel
    starts : list of Start
    chunks : list
        In memory here.
    n_iter : int
        Most steps.
    tol : float
        Stop when a step gains less, nats.
    run : Runner
        Who computes.
    figure : {"composite", "likelihood", "held_out"}
        What the objective is called in the start.
    on_step : callable
        Told (stage, number of the start, objective).
    judges : list, optional
        Chunks whose log-likelihood is the objective, in the place of the one that is climbed:
        where starts differ in what they may fit.

    Returns
    -------
    list of (Start, objective, gain)
        Best first; of those within 2^-20 of the best, which rounding may tell apart, the earlier.
    """
    results: Iterator[tuple[P, float, float]]
    if run.n_workers > 1:
        climb = partial(_climb, model, chunks, judges, n_iter, tol)
        results = run.map(climb, [start.parameters for start in starts])
    else:
        climb = partial(_climb, model, list(run.place(chunks)), judges, n_iter, tol, run=run)
        results = (climb(start.parameters) for start in starts)
    moved = []
    for i, (start, (parameters, value, gain)) in enumerate(zip(starts, results, strict=True)):
        on_step(f"{_STAGES[figure]}, {start.kind} start", i, value)
        reached: dict[str, Any] = {"parameters": parameters, figure: value}
        moved.append((replace(start, **reached), value, gain))
    return best_first(moved)


def best_first(moved: list[tuple[Start[P], float, float]]) -> list[tuple[Start[P], float, float]]:
    """Sort starts by their objectives; of those that rounding may tell apart, the earlier first."""
    best = max(value for _, value, _ in moved)
    tie = _TIE * abs(best) or 1.0

    def rank(value: float) -> float:
        if value == best:
            return 0.0
        return (best - value) // tie if math.isfinite(value) else math.inf

    return sorted(moved, key=lambda one: rank(one[1]))


def finish(result: EMResult[P], starts: list[Start[P]], report: FitReport) -> Fit[P]:
    """Complete the report of a fit; of the starts, the winner comes first.

    Warns
    -----
    UserWarning
        If the data are impossible under the start.
    """
    if result.history[-1:] == [-math.inf]:
        warn(
            "X is impossible under the start: the objective is -inf. Look for zeros in the parts "
            "that init_params or params leave as they are (startprob_, transmat_, emissionprob_), "
            "or let fit make its own start.",
            UserWarning,
        )
    return complete(Fit(result.parameters, result.history, result.converged, report), starts)


def complete(found: Fit[P], starts: list[Start[P]]) -> Fit[P]:
    """The fit with what its report says of all models."""
    report = replace(
        found.report,
        winner=starts[0].kind,
        starts=tuple(start.report() for start in starts),
        n_iter=len(found.history),
        converged=found.converged,
    )
    return replace(found, report=report)


def _climb(
    model: LatentModel[P, S],
    chunks: list[Any],
    judges: list[Any] | None,
    n_iter: int,
    tol: float,
    start: P,
    run: Runner | None = None,
) -> tuple[P, float, float]:
    """EM on some chunks, in this process if no runner is given: where to, objective, gain."""
    where = run or SerialRunner()

    def expect(some: list[Any], parameters: P) -> Any:
        return where.total(partial(model.statistic, parameters), some)

    try:
        result = maximise_likelihood(model, start, partial(expect, chunks), n_iter=n_iter, tol=tol)
    except DegenerateError:  # others may do better on the same data
        return start, -math.inf, 0.0
    parameters = model.restore(start, result.parameters)
    value, gain = result.history[-1], result.history[-1] - result.history[0]
    if judges is not None:
        value = sum(model.judge(parameters, chunk) for chunk in judges)
    return parameters, value, gain
