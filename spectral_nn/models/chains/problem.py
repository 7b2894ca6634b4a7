"""What every fit of a hidden Markov model has in hand, and how it goes on once there are starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Source
from spectral_nn.models.base import Fit, OnStep, Start
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.starts import warn_rank
from spectral_nn.models.fit import finish, fit, maximise_likelihood
from spectral_nn.moments.ngrams import smooth_frequency
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.em import EMResult
from spectral_nn.trainers.halving import Round

__all__ = ["Problem", "check_amount", "refine"]

_ALONE_ROWS = 2**21  # up to here, a worker climbs alone with all data
_TOL = 3e-6  # nats a token


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and options of a fit; a source of None means that only counts are left."""

    source: Source | None
    options: HMMOptions
    seed: int
    n_rows: int
    symbols: NDArray[np.int64] | None = None  # counts of each; None for rows of numbers

    @property
    def model(self) -> ChainModel:
        """What is fitted."""
        options = self.options
        frequency = None if self.symbols is None else smooth_frequency(self.symbols)
        return ChainModel(
            options.priors(frequency), options.update, options.labelled, options.dtype
        )

    @property
    def tol(self) -> float:
        """Least gain of an EM step on all data, nats."""
        n_tokens = self.n_rows if self.symbols is None else int(self.symbols.sum())
        return _TOL * n_tokens if self.options.tol is None else self.options.tol

    def engine(self, run: Runner) -> LaneEngine:
        """E-steps of the data."""
        assert self.source is not None
        return LaneEngine(
            self.source,
            self.model,
            n_rows=self.n_rows,
            pad=None if self.options.law else self.options.n_symbols,
            run=run,
            seed=self.seed,
        )

    def climb(
        self, start: HMMParameters, run: Runner | None = None
    ) -> tuple[EMResult[HMMParameters], dict[str, Any]]:
        """EM on all data, to convergence, in this process if no runner is given."""
        engine = self.engine(run or SerialRunner())
        n_iter = self.options.n_iter
        result = maximise_likelihood(self.model, start, engine.expect, n_iter=n_iter, tol=self.tol)
        return result, engine.notes()


def check_amount(n_rows: int, n_observed: int, n_components: int) -> None:
    """What only counting tells of streams: whether there are data, and enough for the model.

    Raises
    ------
    ValueError
        If nothing is observed.

    Warns
    -----
    RankWarning
        If there are fewer observations than states.
    """
    if not n_observed:
        raise ValueError(f"Every one of the {n_rows} observations in X is missing.")
    if n_components > n_observed:
        warn_rank(
            f"n_components={n_components} states are more than the {n_observed} observations in X "
            "that are not missing, so the model says little but what X is. Use fewer states or "
            "more data.",
            stacklevel=6,
        )


def refine(
    problem: Problem,
    starts: list[Start[HMMParameters]],
    rounds: tuple[Round, ...],
    notes: dict[str, Any],
    engine: LaneEngine,
    run: Runner,
    tell: OnStep,
    improve: Callable[[list[Start[HMMParameters]]], list[Start[HMMParameters]]] | None = None,
) -> Fit[HMMParameters]:
    """Race the starts on the data, and EM from the best; from all of them without rounds."""
    options = problem.options
    if options.n_iter == 0:
        return finish(EMResult(starts[0].parameters, [], False), starts, notes)
    if len(starts) > 1 and not rounds:
        return _baum_welch(problem, starts, run, tell)
    result, starts = fit(
        problem.model,
        engine,
        starts,
        rounds=rounds,
        n_iter=options.n_iter,
        tol=problem.tol,
        race_tol=problem.tol / problem.n_rows,
        run=run,
        on_step=tell,
        improve=improve,
    )
    return finish(result, starts, notes | engine.notes())


def _baum_welch(
    problem: Problem, starts: list[Start[HMMParameters]], run: Runner, tell: OnStep
) -> Fit[HMMParameters]:
    """EM to convergence from each of several starts; the best.

    Little data go with every start to a worker; of much, or elsewhere, each step is spread.
    """
    source, few = problem.source, problem.n_rows <= _ALONE_ROWS
    assert source is not None
    if few and run.n_workers > 1 and not source.remote:
        results = run.map(problem.climb, [start.parameters for start in starts])
    else:
        results = (problem.climb(start.parameters, run) for start in starts)
    finished = []
    for i, (start, (result, notes)) in enumerate(zip(starts, results, strict=True)):
        tell(f"EM, {start.kind} start", i, result.history[-1])
        finished.append((replace(start, likelihood=result.history[-1]), result, notes))
    finished.sort(key=lambda one: -one[0].likelihood)
    _, result, notes = finished[0]
    return finish(result, [start for start, _, _ in finished], notes)
