"""A race between starts of a network, from moments and at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows, drawn
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
_ROWS_A_PARAMETER = 20  # with fewer, the steps overfit a start that was made of all rows
_NUMBERS = 2**26  # of X in the race, at the most
_SHARE = 0.25  # of these rows are held out to judge by
MIN_JUDGES = 10
_RANDOM_STARTS = 2
_CLEARLY = 2.0  # standard errors of a difference; less is a tie


@dataclass(frozen=True, eq=False)
class Start:
    """A network to begin with.

    Attributes
    ----------
    kind : "gaussian", "mixture", "cubic", "score" or "random".
    network : what the race, if there was one, has made of it.
    factors : the decomposition it was read off; None for random draws.
    loss : on the rows that judge; on all rows where there was no race.
    n_iter : steps of the race that the network has taken.
    trusted : whether data and decomposition say that the weights were recovered.
    """

    kind: str
    network: Network
    factors: SharedFactors | None = None
    loss: float = float("nan")
    n_iter: int = 0
    trusted: bool = False


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
) -> tuple[list[Start], str]:
    """Take fifteen steps of L-BFGS from every start, and judge it on rows held out.

    A start from moments was made of all rows: where steps on a part of them have not made it
    better, it stays as it was.  The best of these meets the best random start.  A tie, two standard
    errors of the difference, goes to the random one, as weights read off moments overfit more;
    but to moments where these are trusted.

    Parameters
    ----------
    rows : training table; 2^14 of its rows take part, or 20 a parameter up to 2^26 numbers of X, a
        quarter of them as judges.
    starts : from moments and at random.
    options : what to fit.
    rng : draws the rows.
    tell : told ("race <kind>", steps, loss) of each start.

    Returns
    -------
    starts : as the race left them, the winner first.
    reason : why that one won, in words.
    """
    train, judge = _split(rows, flatten(starts[0].network).shape[0], rng)
    weight = to_numpy(judge.weight)
    done, losses = [], []
    for start in starts:
        entries = [_climb(start, train, options)]
        if start.kind != "random":
            entries.append(start)
        with np.errstate(all="ignore"):
            each = [row_losses(entry.network, judge.X, judge.Y) for entry in entries]
            means = [float(np.average(loss, weights=weight)) for loss in each]
        best = int(np.argmin(np.where(np.isfinite(means), means, np.inf)))
        tell(f"race {start.kind}", entries[best].n_iter, means[best])
        done.append(replace(entries[best], loss=means[best]))
        losses.append(each[best])
    ranked = sorted(range(len(done)), key=lambda i: finite_loss(done[i]))
    found = next(i for i in ranked if done[i].kind != "random")
    chance = next(i for i in ranked if done[i].kind == "random")
    won, reason = _judge(done[found], done[chance], _lead(losses[found], losses[chance], weight))
    ranked.sort(key=lambda i: i != (found if won else chance))
    return [done[i] for i in ranked], reason


def _split(rows: Table, n_parameters: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows that race and rows that judge."""
    wanted = int(_ROWS_A_PARAMETER * n_parameters / (1 - _SHARE))
    order = drawn(rows.n_rows, max(_ROWS, min(wanted, _NUMBERS // rows.n_features)), rng)
    n_judges = int(_SHARE * order.size)
    judges, racers = order[:n_judges], order[n_judges:]
    if n_judges < MIN_JUDGES:
        judges = racers = order
    return rows.take(np.sort(racers)), rows.take(np.sort(judges))


def _climb(start: Start, train: Rows, options: NetworkOptions) -> Start:
    """The start after some steps."""
    objective = Objective(train.X, train.Y, start.network, options.alpha, train.weight)
    steps = min(_STEPS, options.trainer.max_iter // 2)
    with np.errstate(all="ignore"):
        end = lbfgs(objective, flatten(start.network), max_iter=steps, tol=options.trainer.tol)
    return replace(start, network=unflatten(end.x, start.network), n_iter=end.n_iter)


def _lead(losses: NDArray, others: NDArray, weight: NDArray) -> float:
    """By how many standard errors losses of rows are lower than others."""
    with np.errstate(all="ignore"):
        gains = (others - losses) * weight
        error = gains.std() / np.sqrt(gains.size)
        return float(gains.mean() / max(error, np.finfo(np.float64).tiny))


def _judge(moments: Start, chance: Start, lead: float) -> tuple[bool, str]:
    """Whether moments win against the best random start, and why."""
    if not np.isfinite(moments.loss):
        return False, "the start from moments has no finite loss"
    if not np.isfinite(chance.loss):
        return True, "random starts have no finite loss"
    where = "ahead of" if lead >= 0 else "behind"
    seen = (
        f"{moments.kind} moments are {abs(lead):.3g} standard errors {where} the best random start"
    )
    if abs(lead) > _CLEARLY:
        return lead > 0, seen
    if moments.trusted:
        return True, f"{seen}: a tie, which goes to moments as rows and decomposition carry them"
    return False, f"{seen}: a tie, which goes to chance as moments are in doubt"


def finite_loss(start: Start) -> float:
    """The loss, infinite where it is not a number."""
    return start.loss if np.isfinite(start.loss) else np.inf
