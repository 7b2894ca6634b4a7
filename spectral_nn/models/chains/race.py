"""The race between starts: EM on windows, then in rounds on more and more of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.callbacks import OnStep
from spectral_nn.models.chains.climb import Climber
from spectral_nn.models.chains.composite import window_batches
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.lanes import LaneBatches
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import Round
from spectral_nn.models.chains.starts import Start
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.runners.base import Runner, total
from spectral_nn.trainers.em import EMResult

__all__ = ["Track", "race_on_data", "race_on_windows", "windows_for"]

_WINDOW_TOL = 1e-5  # nats a window
_DECISIVE = 2.0  # times what the runner-up gained in a round
_STAGES = {"composite": "windows", "likelihood": "race"}  # what listeners are told


@dataclass(frozen=True, eq=False)
class Track:
    """What all rounds have in common.

    Attributes
    ----------
    climber : EM and its objective.
    run : who computes.
    tol : gain at which a start has arrived, nats a position.
    options : what to fit.
    tell : told (stage, number of the start, objective).
    """

    climber: Climber
    run: Runner
    tol: float
    options: HMMOptions
    tell: OnStep

    def on_windows(self, windows: LaneBatches) -> _Climbs:
        """EM on windows."""
        statistic = partial(expect_lanes, dtype=self.options.dtype)
        tol = _WINDOW_TOL * float(windows.weight.sum())
        return _Climbs(self.climber.for_windows(), statistic, [windows], tol, self.run)

    def on_data(self, engine: LaneEngine, n_rows: int) -> _Climbs:
        """EM on a sample of the data."""
        sample = engine.sample(n_rows)
        return _Climbs(self.climber, engine.statistic, sample, self.tol * n_rows, self.run)


def windows_for(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator, most: int
) -> LaneBatches:
    """Trigrams, or longer windows where there are more states than symbols."""
    order = counts.order if options.n_components > options.n_symbols else 3
    return window_batches(counts, order, rng, most)


def race_on_windows(
    starts: list[Start], windows: LaneBatches, n_steps: int, track: Track
) -> list[Start]:
    """Composite EM from every start; all of them, best first.

    Parameters
    ----------
    starts : at least one.
    windows : of `windows_for`.
    n_steps : most EM steps.
    track : who climbs, and who computes.
    """
    free = [start.from_anywhere() for start in starts]
    ranked, _ = _climbed(free, track.on_windows(windows), n_steps, "composite", track.tell)
    return [start.with_fixed(track.options) for start in ranked]


def race_on_data(
    starts: list[Start], engine: LaneEngine, rounds: tuple[Round, ...], track: Track
) -> list[Start]:
    """EM on a sample of the data, from fewer and fewer starts; all starts, the best first.

    The race is over once the best start leads by twice what the next one gained in a round.

    Parameters
    ----------
    starts : best first.
    engine : of all data.
    rounds : how many starts, steps and positions.
    track : who climbs, and who computes.
    """
    engine.expect(starts[0].parameters)  # settles how long the burn-in has to be
    dropped: list[Start] = []
    for one in rounds:
        starts, dropped = starts[: one.n_starts], starts[one.n_starts :] + dropped
        climbs = track.on_data(engine, one.n_rows)
        starts, gains = _climbed(starts, climbs, one.n_steps, "likelihood", track.tell)
        if len(starts) > 1 and starts[0].likelihood - starts[1].likelihood > _DECISIVE * gains[1]:
            break
    return starts + dropped


class _Climbs:
    """EM on the same few chunks from several starts: each goes to a worker.

    A single worker takes one start after another, and keeps the chunks.
    """

    def __init__(
        self,
        climber: Climber,
        statistic: Callable[[HMMParameters, Any], HMMStatistics],
        chunks: list[Any],
        tol: float,
        run: Runner,
    ) -> None:
        self._climber, self._statistic, self._tol, self._run = climber, statistic, tol, run
        self._spread = run.n_workers > 1
        self._chunks = chunks if self._spread else run.place(chunks)

    def __call__(self, starts: list[HMMParameters], n_iter: int) -> Iterator[EMResult]:
        """Climb from every start, in their order."""
        if self._spread:
            climb = partial(
                self._climber.climb_chunks,
                statistic=self._statistic,
                chunks=self._chunks,
                n_iter=n_iter,
                tol=self._tol,
            )
            return self._run.map(climb, starts)
        return (self._climber.climb(start, self._expect, n_iter, self._tol) for start in starts)

    def _expect(self, parameters: HMMParameters) -> HMMStatistics:
        return total(self._run, partial(self._statistic, parameters), self._chunks)


def _climbed(
    starts: list[Start], climbs: _Climbs, n_iter: int, figure: str, tell: OnStep
) -> tuple[list[Start], list[float]]:
    """Climb from every start: the starts, best first by the objective reached, and their gains."""
    results = climbs([start.parameters for start in starts], n_iter)
    moved = []
    for i, (start, result) in enumerate(zip(starts, results, strict=True)):
        value = result.history[-1]
        tell(f"{_STAGES[figure]}, {start.kind} start", i, value)
        reached: dict[str, Any] = {"parameters": result.parameters, figure: value}
        moved.append((replace(start, **reached), value - result.history[0]))
    moved.sort(key=lambda pair: -getattr(pair[0], figure))
    return [start for start, _ in moved], [gain for _, gain in moved]
