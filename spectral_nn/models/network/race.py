"""A race between starts of a network, from moments and at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import drawn
from spectral_nn.data.table import Table
from spectral_nn.models.base import OnStep
from spectral_nn.models.network.dense import Network, flatten, random_network, unflatten
from spectral_nn.models.network.objective import Objective, row_losses
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.tensors.shared_cp import SharedFactors
from spectral_nn.trainers.lbfgs import lbfgs

__all__ = ["Start", "finite_loss", "race", "random_starts"]

_STEPS = 15
_ROWS = 2**14
_SHARE = 0.25  # of these rows are held out to judge by
MIN_JUDGES = 10
_RANDOM_STARTS = 2
_CLEARLY = 2.0  # standard errors by which moments have to beat the best random start


@dataclass(frozen=True, eq=False)
class Start:
    """A network to begin with.

    Attributes
    ----------
    kind : "gaussian", "mixture", "cubic", "score" or "random".
    network : what the race, if there was one, has made of it.
    factors : the decomposition it was read off; None for random draws.
    loss : on the rows that judge; on all rows where there was no race.
    n_iter : steps of the race.
    """

    kind: str
    network: Network
    factors: SharedFactors | None = None
    loss: float = float("nan")
    n_iter: int = 0


def random_starts(
    rows: Table, n_units: int, options: NetworkOptions, rng: np.random.Generator
) -> list[Start]:
    """Draw two networks."""
    sizes = (rows.n_features, n_units, rows.n_outputs)
    return [
        Start(
            "random",
            random_network(sizes, options.activation, options.output, rng, like=rows.like),
        )
        for _ in range(_RANDOM_STARTS)
    ]


def race(
    rows: Table,
    starts: list[Start],
    options: NetworkOptions,
    rng: np.random.Generator,
    tell: OnStep,
) -> list[Start]:
    """Take fifteen steps of L-BFGS from every start, and judge it on rows held out.

    Where moments are not clearly better than the best random start, by two standard errors of the
    difference, that one wins: weights read off moments overfit more where the race is close.

    Parameters
    ----------
    rows : training table; at most 2^14 of its rows take part, a quarter of them as judges.
    starts : from moments and at random.
    options : what to fit.
    rng : draws the rows.
    tell : told ("race <kind>", steps, loss) of each start.

    Returns
    -------
    The starts as the race left them, the winner first.
    """
    order = drawn(rows.n_rows, _ROWS, rng)
    n_judges = int(_SHARE * order.size)
    judges, racers = order[:n_judges], order[n_judges:]
    if n_judges < MIN_JUDGES:
        judges = racers = order
    train, judge = rows.take(np.sort(racers)), rows.take(np.sort(judges))
    weight = to_numpy(judge.weight)
    done, losses = [], []
    for start in starts:
        objective = Objective(train.X, train.Y, start.network, options.alpha, train.weight)
        steps = min(_STEPS, options.trainer.max_iter // 2)
        with np.errstate(all="ignore"):
            end = lbfgs(objective, flatten(start.network), max_iter=steps, tol=options.trainer.tol)
            network = unflatten(end.x, start.network)
            losses.append(row_losses(network, judge.X, judge.Y))
            loss = float(np.average(losses[-1], weights=weight))
        tell(f"race {start.kind}", end.n_iter, loss)
        done.append(replace(start, network=network, loss=loss, n_iter=end.n_iter))
    ranked = sorted(range(len(done)), key=lambda i: finite_loss(done[i]))
    chance = next((i for i in ranked if done[i].kind == "random"), None)
    if chance is not None and np.isfinite(done[chance].loss):
        best = ranked[0]
        if not _clearly_better(losses[best], losses[chance], weight):
            ranked.remove(chance)
            ranked.insert(0, chance)
    return [done[i] for i in ranked]


def finite_loss(start: Start) -> float:
    """The loss, infinite where it is not a number."""
    return start.loss if np.isfinite(start.loss) else np.inf


def _clearly_better(losses: NDArray, others: NDArray, weight: NDArray) -> bool:
    """Whether losses of rows are lower than others by more than chance."""
    gains = (others - losses) * weight
    error = gains.std() / np.sqrt(gains.size)
    return bool(gains.mean() > _CLEARLY * error)
