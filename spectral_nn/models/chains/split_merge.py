"""Out of a poor optimum: merge two states, split a third, and climb again.

EM cannot move a state from where there is one too many to where there is one too few. After Ueda,
Nakano, Ghahramani, Hinton, *SMEM algorithm for mixture models*, Neural Computation 2000, with
posteriors of a chain in the place of those of a mixture, and splits in time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Sequences
from spectral_nn.models.base import Start
from spectral_nn.models.chains.frames import Frames
from spectral_nn.models.chains.inference import smooth
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.row_starts import fit_law
from spectral_nn.models.regroup import cut_by_axis, find_overlaps, merge_and_split
from spectral_nn.trainers.halving import Round, successive_halving

__all__ = ["LEAST_STATES", "improve", "make_candidates"]

LEAST_STATES = 4  # with fewer, starts find the best there is
_CANDIDATES = (10, 20)  # at the least and at the most; else as many as states
_SCREEN = (Round(20, 4, 2**13), Round(5, 12, 2**16))  # candidates, EM steps each, rows
_CLIMB = Round(1, 100, 2**16)
_ROUNDS = 15
_PATIENCE = (
    2,
    5,
)  # rounds without a gain, at the least and at the most; else half as many as states
_LEAST_GAIN = 0.1  # nats
_SEGMENTS, _IN_TIME = (10, 50), 0.85

Advance = Callable[
    [list[Start[HMMParameters]], Round], list[tuple[Start[HMMParameters], float, float]]
]
"""Takes starts and a round; gives starts, objectives and gains, the best first."""


def improve(
    start: Start[HMMParameters],
    frames: Frames,
    advance: Advance,
    prior: Any,
    rng: np.random.Generator,
) -> Start[HMMParameters]:
    """Replace a start by what splitting and merging its states leads to, while that gains.

    Parameters
    ----------
    start : Start
        Near an optimum.
    frames : Frames
        That candidates are made from.
    advance : callable
        EM steps on samples of the data.
    prior : anything
        Of the emissions.
    rng : Generator

    Notes
    -----
    A round is 10 to 20 candidates in a race, and up to 100 EM steps of the winner: as much as 170
    steps on 2^16 rows at the most. Two to five without a gain are the last, or the fifteenth.
    """
    ((best, value, _),) = advance([start], _CLIMB)
    failed, patience = 0, int(np.clip(best.parameters.n_components // 2, *_PATIENCE))
    for _ in range(_ROUNDS):
        candidates = make_candidates(best, frames, prior, rng)
        first = successive_halving(candidates, _SCREEN, advance)[0]
        ((found, reached, _),) = advance([first], _CLIMB)
        if reached > value + _LEAST_GAIN:
            best, value, failed = found, reached, 0
        else:
            failed += 1
        if failed == patience:
            break
    return best


def make_candidates(
    start: Start[HMMParameters], frames: Frames, prior: Any, rng: np.random.Generator
) -> list[Start[HMMParameters]]:
    """Models in which two states are one, and the one that is free is half of a third.

    States whose posteriors overlap merge, or the rarest with another; states that are common split,
    by the side of their mean or by stretches of time.
    """
    parameters = start.parameters
    mass, _ = smooth(parameters, Sequences(frames.x, frames.offsets))
    cosine = find_overlaps(mass)
    K, found = mass.shape[1], []
    order = _draw_order(mass.sum(axis=0), rng)
    for i in range(int(np.clip(K, *_CANDIDATES))):
        kept, free = _draw_pair(cosine, mass, rng)
        moved = merge_and_split(
            mass, kept, free, int(order[i % K]), partial(_half, frames, rng=rng)
        )
        follows = ~frames.begins[1:]
        trans = moved[:-1][follows].T @ moved[1:][follows] + 1 / K
        emission = fit_law(frames, moved, prior, rng)
        transmat = np.where(parameters.transmat > 0, trans, 0.0)
        transmat /= transmat.sum(axis=1, keepdims=True)
        startprob = (parameters.startprob + 1e-3) / (1 + 1e-3 * K)
        found.append(Start(start.kind, HMMParameters(startprob, transmat, emission)))
    return found


def _draw_order(share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """States in the order in which they are split: each once, common ones first, at random."""
    return np.argsort(rng.exponential(size=share.size) / np.maximum(share, 1e-300))


def _draw_pair(
    cosine: NDArray[np.float64], mass: NDArray[np.float64], rng: np.random.Generator
) -> tuple[int, int]:
    """A pair to merge."""
    K = cosine.shape[0]
    if rng.random() < 0.3 or not cosine.any():
        free = int(mass.sum(axis=0).argmin())
        return int((free + rng.integers(1, K)) % K), free
    kept, free = divmod(int(rng.choice(K * K, p=cosine.ravel() / cosine.sum())), K)
    return kept, free


def _half(
    frames: Frames, weight: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """How much of each row goes to one half of a state."""
    if rng.random() < 0.5:
        length = int(rng.choice(_SEGMENTS))
        segment = np.cumsum(frames.begins | (frames.position % length == 0)) - 1
        side = rng.random(segment[-1] + 1)[segment] < 0.5
        return np.where(side, _IN_TIME, 1 - _IN_TIME)
    return cut_by_axis(frames.standardised, weight, rng)
