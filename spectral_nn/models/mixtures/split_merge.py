"""Out of a poor optimum: merge two components, split a third, and climb again.

EM cannot move a component from where there is one too many to where there is one too few. After
Ueda, Nakano, Ghahramani, Hinton, *SMEM algorithm for mixture models*, Neural Computation 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.models.base import Start
from spectral_nn.models.mixtures.gaussian import GaussianMixtureModel
from spectral_nn.models.mixtures.model import MixtureParameters, log_joint, posterior
from spectral_nn.models.mixtures.starts import Frame, m_step
from spectral_nn.models.regroup import cut_by_axis, find_overlaps, merge_and_split
from spectral_nn.results import DegenerateError
from spectral_nn.trainers.halving import Round, successive_halving

__all__ = ["improve"]

_SCREEN = (Round(6, 3, 2**12), Round(2, 6, 2**13))  # candidates, EM steps each, rows
_CLIMB = Round(1, 10, 2**14)
_ROUNDS, _PATIENCE = 4, 1
_LEAST_GAIN = 1e-3  # nats a row

Advance = Callable[
    [list[Start[MixtureParameters]], Round], list[tuple[Start[MixtureParameters], float, float]]
]
"""Takes starts and a round; gives starts, log-likelihoods and gains, the best first."""


def improve(
    start: Start[MixtureParameters],
    frame: Frame,
    advance: Advance,
    model: GaussianMixtureModel,
    rng: np.random.RandomState,
) -> Start[MixtureParameters]:
    """Replace a start by what splitting and merging its components leads to, while that gains.

    Parameters
    ----------
    start : Start
        Near an optimum.
    frame : Frame
        That candidates are made from.
    advance : callable
        EM steps on samples of the data.
    model : GaussianMixtureModel
    rng : RandomState

    Notes
    -----
    A round costs as much as 25 steps on 2^14 rows, and there are four at the most.
    """
    ((best, value, _),) = advance([start], _CLIMB)
    failed = 0
    for _ in range(_ROUNDS):
        candidates = _candidates(best, frame, model, rng)
        if not candidates:
            break
        first = successive_halving(candidates, _SCREEN, advance)[0]
        ((found, reached, _),) = advance([first], _CLIMB)
        if reached > value + _LEAST_GAIN * _CLIMB.n_rows:
            best, value = found, reached
        else:
            failed += 1
        if failed == _PATIENCE:
            break
    return best


def _candidates(
    start: Start[MixtureParameters],
    frame: Frame,
    model: GaussianMixtureModel,
    rng: np.random.RandomState,
) -> list[Start[MixtureParameters]]:
    """Models in which two components are one, and the one that is free is half of a third.

    Components whose posteriors overlap merge; those split that are common.
    """
    mass: Any = posterior(log_joint(start.parameters, frame.rows.X))[0]
    cosine = find_overlaps(mass).ravel()
    if not cosine.any():
        return []
    K, found = mass.shape[1], []
    share = mass.sum(axis=0) / mass.sum()
    z = frame.complete / np.sqrt(frame.law.variances[0])
    for pair in rng.choice(K * K, size=_SCREEN[0].n_starts, p=cosine / cosine.sum()):
        kept, free = divmod(int(pair), K)
        split = int(rng.choice(K, p=share))
        moved = merge_and_split(mass, kept, free, split, partial(cut_by_axis, z, rng=rng))
        try:
            found.append(Start(start.kind, m_step(frame, moved, model)))
        except DegenerateError:
            continue
    return found
