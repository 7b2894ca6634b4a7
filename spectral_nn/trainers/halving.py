"""Successive halving: many starts take a few steps, fewer go on for more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

__all__ = ["Round", "successive_halving"]

T = TypeVar("T")

_DECISIVE = 2.0  # times what the runner-up gained in a round


class Round(NamedTuple):
    """A round of the race.

    Attributes
    ----------
    n_starts : int
        How many take part.
    n_steps : int
        Steps each.
    n_rows : int
        Positions of the data that they are on, about.
    """

    n_starts: int
    n_steps: int
    n_rows: int


def successive_halving(
    starts: list[T],
    rounds: Sequence[Round],
    advance: Callable[[list[T], Round], list[tuple[T, float, float]]],
) -> list[T]:
    """Race starts in rounds of which each keeps fewer; all of them, the best first.

    The race is over once the best start leads by twice what the next one gained in a round.
    Jamieson, Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*,
    AISTATS 2016, algorithm 1, with a plan of rounds that is given.

    Parameters
    ----------
    starts : list
        Best first.
    rounds : sequence of Round
    advance : callable
        (starts, round) -> (start, objective, gain) of each, the best first, the others in the order
        in which they are to be kept; a gain of infinity lets no lead end the race.

    Examples
    --------
    >>> rounds = [Round(3, 1, 10), Round(2, 1, 10)]
    >>> def advance(starts, one):
    ...     return sorted(((x + 1, x + 1.0, 1.0) for x in starts), reverse=True)
    >>> successive_halving([1, 2, 3], rounds, advance)
    [5, 4, 2]
    """
    dropped: list[T] = []
    for one in rounds:
        starts, dropped = starts[: one.n_starts], starts[one.n_starts :] + dropped
        moved = advance(starts, one)
        starts = [start for start, _, _ in moved]
        if len(moved) > 1 and moved[0][1] - moved[1][1] > _DECISIVE * moved[1][2]:
            break
    return starts + dropped
