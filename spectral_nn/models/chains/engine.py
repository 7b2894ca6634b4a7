"""E-steps over a whole data set: chunks for a runner, lanes widened until they are good enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import ceil, log2
from typing import Any

import numpy as np

from spectral_nn.data import Cut, Sequences, Source, whole_sequences
from spectral_nn.models.chains.excerpts import Excerpt, Share, beginning, excerpt
from spectral_nn.models.chains.kernels import LANES
from spectral_nn.models.chains.lanes import LaneBatches, window_lanes
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.report import ChainReport
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.runners.base import Runner
from spectral_nn.runners.parts import Walk

EXACT_ROWS = 2**12  # up to here EM on all data is exact, and only samples go in lanes
_LEAST_BATCHES = 6  # fewer would leave the last, partly filled batch a large share
_ROWS_A_SYMBOL = 8  # of a chunk, at the least
_WINDOW = 2**20  # rows that are laid out together; lanes of one length share a batch
_WHOLE = 2**62  # no sequence is longer
_LANE_LENGTH = (128, 1024)
RACE_ROWS = 2**19  # of larger data a sample is raced on
_SAMPLE_ROWS = 2**17  # of which there are some batches of lanes in an excerpt
_HELD_OUT = 0.1
_BURN_IN = {4: 24, 8: 64}  # by item size: as accurate as the arithmetic, on text
_TOLERANCE = {4: 1e-4, 8: 1e-10}


class LaneEngine:
    """E-steps of one data set on a runner.

    Everything but the burn-in is fixed by the data: how they are cut, into how many chunks, and
    the order of the sums, so that statistics do not depend on who computes them.  (A device wants
    larger chunks: there, and where a cluster adds in a tree, sums change by rounding.)

    Parameters
    ----------
    source : codes or rows, wherever they are.
    model : what is fitted.
    n_rows : positions in the whole source, missing ones included.
    pad : code of a missing symbol; None for rows.
    run : the runner.
    seed : chooses the lanes of a sample.
    holds_out : whether samples of larger data leave out a tenth of the lanes, see `judges`.
    """

    def __init__(
        self,
        source: Source,
        model: ChainModel,
        *,
        n_rows: int,
        pad: int | None,
        run: Runner,
        seed: int,
        holds_out: bool = False,
    ) -> None:
        self._source = source
        self._model = model
        self._n_rows = n_rows
        self._pad = pad
        self._precision = np.dtype(model.dtype).itemsize
        self._run = run
        self._seed = seed
        self._without = _HELD_OUT if holds_out and n_rows > EXACT_ROWS else 0.0
        self.lane_length = _lane_length(n_rows)
        self.lane_error = 0.0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._kept: Iterable[Any] | None = None
        self._excerpt: Excerpt | None = None
        self.burn_in = _BURN_IN[self._precision]
        self._lanes_fail = False

    @property
    def exact(self) -> bool:
        """Whether E-steps of all data are exact: the data are small, or lanes do not do."""
        return self._lanes_fail or self._n_rows <= EXACT_ROWS

    def restart(self) -> None:
        """Try lanes again, if they did not do for parameters that are left behind."""
        if self._lanes_fail:
            self._start_afresh()

    def expect(self, parameters: HMMParameters) -> HMMStatistics:
        """Statistics of all data.

        Widens the burn-in where lanes disagree, and goes exact where that does not help or where
        single precision underflows.  Lanes are compared within chunks, so that in large data
        `lane_error` speaks of a sample of the cuts.

        Returns
        -------
        HMMStatistics; log_likelihood is -inf where a sequence is impossible.

        Notes
        -----
        A pass at 6 K^2 flops a token in lanes, 8 K^2 where exact, and another pass whenever the
        burn-in is doubled.
        """
        while True:
            statistics = self._run.total(partial(self._model.statistic, parameters), self._parts())
            if self.exact or self._suffices(statistics):
                self.lane_error = statistics.lane_error
                return statistics
            self._widen()

    def _suffices(self, statistics: HMMStatistics) -> bool:
        """Whether lanes agree; where they do not for want of probability, exact from now on."""
        possible = bool(np.isfinite(statistics.log_likelihood))
        self._lanes_fail = not possible
        return possible and statistics.lane_error <= _TOLERANCE[self._precision]

    def _widen(self) -> None:
        """Double the burn-in; beyond the length of lanes, go exact."""
        self._kept = self._excerpt = None
        self.burn_in *= 2
        self._lanes_fail |= self.burn_in > self.lane_length

    def settle(self, parameters: HMMParameters) -> None:
        """Find out on the excerpt how long the burn-in has to be, or that lanes will not do.

        Notes
        -----
        An E-step of the excerpt; a pass over the data only where the burn-in has to be doubled.
        """
        while not self._lanes_fail:
            lanes = self._lanes(self.excerpt())
            if self._suffices(self._model.statistic(parameters, lanes)):
                return
            self._widen()

    def excerpt(self) -> Excerpt:
        """About `RACE_ROWS` positions, or all there are, cut into lanes; in memory, here.

        Lanes are chosen by a hash of where they are in the data, however these come. It is gathered
        in one pass, and kept.
        """
        if self._excerpt is None:
            few = self._n_rows > RACE_ROWS
            chosen = Share(RACE_ROWS / self._n_rows, self._seed) if few else None
            length = min(_lane_length(_SAMPLE_ROWS), self.lane_length)
            cut = self._lane_cut(length, _WINDOW, chosen)
            self._excerpt = excerpt(self._run, self._source, cut)
        return self._excerpt

    def sample(self, n_rows: int) -> list[Any]:
        """Chunks with about `n_rows` positions; in memory, here.

        Parameters
        ----------
        n_rows : positions wanted; those of the excerpt if it has no more.

        Returns
        -------
        list of one LaneBatches, of lanes of the excerpt; where these fail, of one Sequences: the
        first sequences of the data, of which the last is cut off.
        """
        if self._lanes_fail:
            return [beginning(self._run, self._source, n_rows)]
        whole = self.excerpt()
        share = 1.0 if n_rows >= min(self._n_rows, RACE_ROWS) else n_rows / self._n_rows
        if share == 1 and not self._without:
            return [self._lanes(whole)]
        return [self._lanes(whole.choose(Share(share, self._seed, self._without)))]

    def judges(self) -> list[Any] | None:
        """Blocks of the excerpt, a tenth, that no sample has; None where none are held out.

        They are sequences, whose likelihood is exact: single precision may underflow on data that
        a start was not fitted to. (Of a sequence of weight 2 or more, copies may be in both.)
        """
        if self._lanes_fail or not self._without:
            return None
        held_out = self.excerpt().choose(Share(self._without, self._seed + 1))
        return [Sequences(*held_out.stretches())] if held_out.n_rows else None

    def _lanes(self, some: Excerpt) -> LaneBatches:
        return window_lanes(some.values, some.window, self._pad)

    def complete(self, report: ChainReport) -> ChainReport:
        """The report with what is known of the lanes."""
        return replace(report, lane_error=self.lane_error, burn_in=self.burn_in, exact=self.exact)

    def _parts(self) -> Iterable[Any]:
        """Chunks in order, kept where they are computed on if that is worth while."""
        if self._kept is None:
            self._kept = self._run.place(self._exact_parts() if self.exact else self._lane_parts())
        return self._kept

    def _lane_parts(self) -> Iterable[Any]:
        steps = self._chunk_steps()
        cut = self._lane_cut(self.lane_length, max(_WINDOW, LANES * steps))
        parts = self._source.parts(cut, partial(window_lanes, pad=self._pad))

        def finer() -> Iterator[Any]:
            # What is laid out here already is cut finer, so that all workers have some.
            for part in parts:
                yield from part.chunks(steps) if isinstance(part, LaneBatches) else [part]

        return list(finer()) if isinstance(parts, list) else Walk(finer)

    def _chunk_steps(self) -> int:
        """Time steps of a chunk: more where symbols are many, as each chunk counts all of them."""
        rows = self._run.chunk_tokens
        if self._pad is None:
            return rows // LANES
        return rows // LANES * 2 ** max(0, ceil(log2(_ROWS_A_SYMBOL * self._pad / rows)))

    def _exact_parts(self) -> Iterable[Any]:
        cut = Cut(_WHOLE, window=LANES * self._chunk_steps())
        return self._source.parts(cut, whole_sequences)

    def _lane_cut(self, length: int, window: int, chosen: Share | None = None) -> Cut:
        """Lanes of some length, with their burn-in."""
        return Cut(length, (self.burn_in, self.burn_in), window, chosen)


class WeightedEngine(LaneEngine):
    """E-steps of weighted sequences; starts are made of others, and race on them.

    Parameters
    ----------
    source : with weights.
    shown : E-steps of the sequences that starts see, without weights.
    how : as of `LaneEngine`.
    """

    def __init__(self, source: Source, shown: LaneEngine, **how: Any) -> None:
        super().__init__(source, **how)
        self._shown = shown

    def restart(self) -> None:
        """See `LaneEngine.restart`."""
        super().restart()
        self._shown.restart()

    def settle(self, parameters: HMMParameters) -> None:
        """See `LaneEngine.settle`."""
        self._shown.settle(parameters)

    def excerpt(self) -> Excerpt:
        """See `LaneEngine.excerpt`."""
        return self._shown.excerpt()

    def sample(self, n_rows: int) -> list[Any]:
        """See `LaneEngine.sample`."""
        return self._shown.sample(n_rows)

    def judges(self) -> list[Any] | None:
        """See `LaneEngine.judges`."""
        return self._shown.judges()


def _lane_length(n_rows: int) -> int:
    """Length at which so many rows fill some batches of lanes."""
    return int(np.clip(n_rows / (_LEAST_BATCHES * LANES), *_LANE_LENGTH))
