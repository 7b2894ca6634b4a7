"""The fit of a Gaussian mixture to rows: a race of starts, and EM from its winner and clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.base import Fit, OnStep, Start, silent
from spectral_nn.models.fit import advance, complete, maximise_likelihood
from spectral_nn.models.mixtures.gaussian import GaussianMixtureModel
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.models.mixtures.report import MixtureReport
from spectral_nn.models.mixtures.spectral import tensor_start
from spectral_nn.models.mixtures.split_merge import improve
from spectral_nn.models.mixtures.starts import Frame, given_start, make_start, with_fixed
from spectral_nn.models.mixtures.together import advance_together
from spectral_nn.models.mixtures.view_starts import view_start
from spectral_nn.models.tables import TableData
from spectral_nn.results import DegenerateError, RankError
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.em import EMResult
from spectral_nn.trainers.halving import Round, successive_halving

__all__ = ["fit_mixture"]

_RACE_ROWS = 2**13  # that starts of a race are made from, and its first round is run on
_ALONE_ROWS = 2**18  # that other starts are made from, where rows are not in memory
_PORTFOLIO = ("quick", "scaled")  # that race with the moments, as often as n_init says
_STEPS = (8, 10)  # of EM, in the round of all starts; in that of two, on twice as many rows
_MANY = 2**14  # rows from which on merging and splitting costs less than it gains

Pair = tuple[EMResult[MixtureParameters], list[Start[MixtureParameters]]]


def fit_mixture(
    table: Table,
    options: MixtureOptions,
    *,
    rng: np.random.RandomState,
    run: Runner,
    on_step: OnStep = silent,
    start: MixtureParameters | None = None,
    before: float = -math.inf,
) -> Fit[MixtureParameters]:
    """Fit a Gaussian mixture.

    Parameters
    ----------
    table : Rows or ChunkedRows
        NaN where missing.
    options : MixtureOptions
    rng : RandomState
        Draws starts; k-means takes no Generator.
    run : Runner
        Who computes.
    on_step : callable
        Told (stage, step, log-likelihood in nats).
    start : MixtureParameters, optional
        Go on from here.
    before : float
        Log-likelihood that an earlier fit had reached there, nats.

    Returns
    -------
    Fit
        Its report is a MixtureReport.

    Raises
    ------
    RankError
        If moments alone are asked for, and do not carry K components.
    DegenerateError
        If a covariance collapses, from all starts.

    Notes
    -----
    With ``init="tensor"`` the race is run on 16,384 rows at the most, and two starts are climbed to
    the end on all: its winner, and k-means of all rows that are in memory.
    """
    fitter = _Fitter(table, options, rng, run, on_step)
    report = MixtureReport()
    if start is not None:
        result, starts = fitter.climb([Start("warm", start)])
    elif (alone := fitter.without_race()) is not None:
        result, starts = fitter.climb(alone)
    elif options.n_iter == 0:
        first, report = _moments_start(table, options, run, strict=True)
        result, starts = fitter.climb([fitter.fixed(first)])
    else:
        moments, report = fitter.tensor()
        result, starts = fitter.race(moments)
    converged = result.converged
    if len(result.history) == 1:
        converged |= abs(result.history[0] - before) < fitter.tol
    return complete(Fit(result.parameters, result.history, converged, report), starts)


class _Fitter:
    """What the steps of a fit share."""

    def __init__(
        self,
        table: Table,
        options: MixtureOptions,
        rng: np.random.RandomState,
        run: Runner,
        on_step: OnStep,
    ) -> None:
        self.table, self.options, self.rng, self.run = table, options, rng, run
        self.on_step = on_step
        self.model = GaussianMixtureModel(ridge=options.ridge)
        self.tol = options.tol * table.total_weight
        self.data = TableData(self.model, table, run)

    def without_race(self) -> list[Start[MixtureParameters]] | None:
        """Starts that are climbed to the end, where no race is needed."""
        options, K = self.options, self.options.n_components
        if {"weights", "means", "covariances"} <= set(options.fixed):
            law = self.frame(_RACE_ROWS).law
            return [self.fixed(Start("given", MixtureParameters(np.full(K, 1 / K), law)))]
        if "means" in options.fixed:
            frame = self.frame(_ALONE_ROWS)
            return [self.fixed(given_start(frame, options.fixed["means"], self.model))]
        if K == 1 or options.init != "tensor":
            kind, n = ("one", 1) if K == 1 else (options.init, options.n_init)
            return self.make([kind] * n, self.frame(_ALONE_ROWS))
        return None

    def race(self, moments: list[Start[MixtureParameters]]) -> Pair:
        """Race moments and clusters, climb from the winner and from k-means; keep the better."""
        frame = self.frame(_ALONE_ROWS)
        clusters = self.make(["kmeans"], frame, or_none=True)
        if self.table.n_rows > _RACE_ROWS:
            frame = self.frame(_RACE_ROWS)
        kinds = list(_PORTFOLIO) * self.options.n_init
        starts = moments + self.make(kinds, frame, or_none=bool(clusters or moments))
        attempts: list[Callable[[], Pair]] = []
        if clusters:
            attempts.append(lambda: self.climb(clusters))
        if starts:
            attempts.append(lambda: self.raced(starts, frame))
        found = _survivors(attempts)
        best = max(found, key=lambda one: one[0].history[-1])
        others = [start for one in found if one is not best for start in one[1]]
        return best[0], [*best[1], *others]

    def raced(self, starts: list[Start[MixtureParameters]], frame: Frame) -> Pair:
        """Race starts on samples, and climb from the winner."""
        n = self.table.n_rows
        rounds = [Round(len(starts), _STEPS[0], min(_RACE_ROWS, n))]
        if n > _RACE_ROWS:
            rounds.append(Round(2, _STEPS[1], min(2 * _RACE_ROWS, n)))
        if len(starts) > 1:
            starts = successive_halving(starts, rounds, self.advance)
        if starts[0].kind != "tensor" and n >= _MANY and self.options.n_components > 3:
            # Moments have seen all components at once.
            best = improve(starts[0], frame, self.advance, self.model, self.rng)
            starts = [best, *starts[1:]]
        result, (winner,) = self.climb(starts[:1])
        return result, [winner, *starts[1:]]

    def advance(self, starts: list[Start[MixtureParameters]], one: Round) -> list[Any]:
        """A round of the race, in single precision where that will do."""
        rough = replace(self.model, dtype=np.float32)
        rows = self.data.sample(one.n_rows)
        how: dict[str, Any] = {"n_iter": min(one.n_steps, self.options.n_iter), "run": self.run}
        how["tol"] = self.options.tol * one.n_rows
        if self.options.covariance_type != "tied" and len(starts) > 1:
            with suppress(DegenerateError):  # one by one, only that which collapses is out
                moved = advance_together(rough, starts, rows, **how)
                for i, (start, value, _) in enumerate(moved):
                    self.on_step(f"race, {start.kind} start", i, value)
                return moved
        return advance(rough, starts, rows, figure="likelihood", on_step=self.on_step, **how)

    def tensor(self) -> tuple[list[Start[MixtureParameters]], MixtureReport]:
        """The start of moments, if they carry one, and what they show."""
        try:
            start, report = _moments_start(self.table, self.options, self.run)
        except RankError as error:
            return [], MixtureReport(fault=str(error))
        return [self.fixed(start)], report

    def make(
        self, kinds: list[str], frame: Frame, *, or_none: bool = False
    ) -> list[Start[MixtureParameters]]:
        """Starts of other kinds; those that collapse are left out."""
        found = []
        for i, kind in enumerate(kinds):
            try:
                found.append(self.fixed(make_start(kind, frame, self.model, self.rng)))
            except DegenerateError:
                if i == len(kinds) - 1 and not found and not or_none:
                    raise
        return found

    def climb(self, starts: list[Start[MixtureParameters]]) -> Pair:
        """EM on all rows from every start: the best, and all, the best first."""
        best: EMResult[MixtureParameters] | None = None
        moved: list[Start[MixtureParameters]] = []
        how: dict[str, Any] = {"n_iter": self.options.n_iter, "tol": self.tol}
        for one in starts:
            expect = self.data.expect
            found = maximise_likelihood(
                self.model, one.parameters, expect, on_step=self.on_step, **how
            )
            reached = found.history[-1] if found.history else -math.inf
            one = replace(one, likelihood=reached)
            better = best is None or reached > best.history[-1]
            best, moved = (found, [one, *moved]) if better else (best, [*moved, one])
        assert best is not None
        return best, moved

    def fixed(self, start: Start[MixtureParameters]) -> Start[MixtureParameters]:
        """The start with the parts that are given."""
        return replace(start, parameters=with_fixed(start.parameters, self.options.fixed))

    def frame(self, n_rows: int) -> Frame:
        """Rows that starts are made from: all that are in memory, or so many."""
        whole = n_rows == _ALONE_ROWS and isinstance(self.table, Rows)
        rows: Any = self.table if whole else self.table.sample(n_rows)
        return Frame.of(rows, self.options)


def _moments_start(table: Table, options: MixtureOptions, run: Runner, **how: Any) -> Any:
    """The start of moments, of views if there are any, and what moments show."""
    return (view_start if options.views else tensor_start)(table, options, run, **how)


def _survivors(attempts: list[Callable[[], Pair]]) -> list[Pair]:
    """What attempts lead to that do not collapse; the `DegenerateError` of the last if all do."""
    found: list[Pair] = []
    for i, attempt in enumerate(attempts, start=1):
        try:
            found.append(attempt())
        except DegenerateError:
            if i == len(attempts) and not found:
                raise
    return found
