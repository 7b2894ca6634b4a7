"""E-steps over a whole data set: chunks for a runner, lanes widened until they are good enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from spectral_nn.execute.runner import Runner, total
from spectral_nn.models.hmm.expectation import expect_exact, expect_lanes
from spectral_nn.models.hmm.kernels import LANES
from spectral_nn.models.hmm.lanes import LaneBatches, lane_batches
from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.statistics import HMMStatistics
from spectral_nn.sequences import Sequences, SequenceStream

EXACT_ROWS = 2**12  # up to here the exact recursion is fast enough and spares all doubt
_LEAST_BATCHES = 6  # fewer would leave the last, partly filled batch a large share
_CHUNK_STEPS = 2**12  # time steps of 32 lanes that a worker takes at once: 131,072 tokens
_LANE_LENGTH = (128, 1024)
_BURN_IN = {4: 24, 8: 64}  # by item size: as accurate as the arithmetic, on text
_TOLERANCE = {4: 1e-4, 8: 1e-10}


class LaneEngine:
    """E-steps of one data set on a runner.

    Everything but the burn-in is fixed by the data: how they are cut, into how many chunks, and
    the order of the sums, so that statistics do not depend on who computes them.

    Parameters
    ----------
    source : Sequences of codes, or a SequenceStream of them.
    n_rows : positions in the whole source, missing ones included.
    pad : code of a missing symbol.
    dtype : float32 or float64.
    labelled : whether codes carry labels.
    run : the runner.
    seed : orders the lanes.
    """

    def __init__(
        self,
        source: Sequences | SequenceStream,
        *,
        n_rows: int,
        pad: int,
        dtype: DTypeLike,
        labelled: bool,
        run: Runner,
        seed: int,
    ) -> None:
        self._source = source
        self._n_rows = n_rows
        self._pad = pad
        self._dtype = np.dtype(dtype)
        self._labelled = labelled
        self._run = run
        self._seed = seed
        self._kept: list[Any] | None = None
        self.burn_in = _BURN_IN[self._dtype.itemsize]
        self.lane_length = int(np.clip(n_rows / (_LEAST_BATCHES * LANES), *_LANE_LENGTH))
        self.exact = n_rows <= EXACT_ROWS
        self.lane_error = 0.0

    def expect(self, parameters: HMMParameters) -> HMMStatistics:
        """Statistics of all data.

        Widens the burn-in where lanes disagree, and goes exact where that does not help or where
        single precision underflows.  Lanes are compared within chunks, so that in large data
        `lane_error` speaks of a sample of the cuts.

        Parameters
        ----------
        parameters : K states, d symbols.

        Returns
        -------
        HMMStatistics; log_likelihood is -inf where a sequence is impossible.

        Notes
        -----
        A pass at 6 K^2 flops a token in lanes, 8 K^2 where exact, and another pass whenever the
        burn-in is doubled.
        """
        while True:
            statistics = total(self._run, partial(self.statistic, parameters), self._chunks())
            self.lane_error = statistics.lane_error
            possible = np.isfinite(statistics.log_likelihood)
            if self.exact or (possible and self.lane_error <= _TOLERANCE[self._dtype.itemsize]):
                return statistics
            self._kept = None
            self.burn_in *= 2
            self.exact = not possible or self.burn_in > self.lane_length

    def sample(self, n_rows: int) -> list[Any]:
        """Chunks with about `n_rows` positions, for `statistic`.

        Parameters
        ----------
        n_rows : positions wanted; the last chunk may go beyond.

        Returns
        -------
        list of LaneBatches (of Sequences where exact): shuffled lanes of data in memory, or of
        the first pieces of a stream; the first sequences where exact.
        """
        chosen, rows = [], 0
        for chunk in self._chunks():
            if rows >= n_rows:
                break
            chosen.append(chunk)
            rows += chunk.values.shape[0] if self.exact else chunk.n_rows
        return chosen

    @property
    def statistic(self) -> Callable[[HMMParameters, Any], HMMStatistics]:
        """The E-step of a chunk, which can be sent to a worker without this engine."""
        if self.exact:
            return partial(expect_exact, labelled=self._labelled)
        return partial(expect_lanes, dtype=self._dtype, labelled=self._labelled)

    def notes(self) -> dict[str, Any]:
        """What diagnostics keep of the lanes."""
        return {"lane_error": self.lane_error, "burn_in": self.burn_in, "exact": self.exact}

    def _chunks(self) -> Iterable[Any]:
        """Chunks in order, kept between passes when the data are in memory."""
        if self._kept is not None:
            return self._kept
        made = self._exact_chunks() if self.exact else self._lane_chunks()
        if isinstance(self._source, Sequences):
            self._kept = list(made)
            return self._kept
        return made

    def _layouts(self) -> Iterator[LaneBatches]:
        for piece in self._source.pieces():
            rng = np.random.default_rng(self._seed)
            yield lane_batches(piece, self.lane_length, self.burn_in, self._pad, rng=rng)

    def _lane_chunks(self) -> Iterator[LaneBatches]:
        for layout in self._layouts():
            yield from layout.chunks(_CHUNK_STEPS)

    def _exact_chunks(self) -> Iterator[Sequences]:
        for piece in self._source.pieces():
            group = piece.offsets[:-1] // (LANES * _CHUNK_STEPS)
            for run in np.split(np.arange(len(piece)), np.flatnonzero(np.diff(group)) + 1):
                yield piece[run]
