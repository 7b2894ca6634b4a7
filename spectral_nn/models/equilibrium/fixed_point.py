"""States of rows, moved until they stand still."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from spectral_nn.arrays import Array, get_namespace
from spectral_nn.data.rows import CHUNK_ROWS
from spectral_nn.models.network.dense import take

__all__ = ["Answers", "FixedPoint", "Iteration", "States", "answer_rows"]

States: TypeAlias = list[Array]
"""One array (n, k_l) a layer."""


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Where an iteration ended.

    Attributes
    ----------
    states : list of arrays (n, k_l)
    residual : float
        Of all rows the largest ``|f(z) - z| / |f(z)|``, in Euclidean norms, at the last step, which
        ended at f(z).
    n_iter : int
        Steps of the row that took most.
    n_steps : array (n,) of int
        Steps after which each row waited for the last one, counted where a path was kept.
    converged : bool
        Whether no row had more than the tolerance.
    """

    states: States
    residual: float
    n_iter: int
    n_steps: Array
    converged: bool


@dataclass(frozen=True)
class Iteration:
    """The iteration z ← f(z), in which every row stops by itself.

    Attributes
    ----------
    tol : float
        A row stands still once a step would change it by less than this share of its norm; ten
        rounding errors at least.
    max_iter : int
        Most steps.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.models.equilibrium.fixed_point import Iteration
    >>> found = Iteration(1e-9, 100).run(lambda z: [np.cos(z[0])], [np.zeros((1, 1))])
    >>> found.states[0].round(6), found.converged
    (array([[0.739085]]), True)
    """

    tol: float = 1e-4
    max_iter: int = 100

    def run(
        self,
        update: Callable[[States], States],
        start: States,
        path: list[States] | None = None,
    ) -> FixedPoint:
        """Iterate from a start.

        A row that stands still waits for the last step, which all rows take: what comes out for it
        does not depend on the rows beside it.  A row with numbers that are not finite never stands
        still.

        Parameters
        ----------
        update : callable
            States (n, k_l) of each layer -> new ones; it must not write to those it gets.
        start : list of arrays (n, k_l)
        path : list, optional
            The states before each step are added to it.

        Returns
        -------
        FixedPoint
            Nothing of it grows with the number of steps; `path` does.
        """
        xp = get_namespace(*start)
        limits = xp.finfo(start[0].dtype)
        tol, tiny = max(self.tol, 10 * float(limits.eps)), float(limits.smallest_normal)
        states, n_iter = start, 0
        n_steps = xp.zeros_like(start[0][:, 0], dtype=xp.int64)
        while True:
            new = update(states)
            n_iter += 1
            step = _squares([b - a for a, b in zip(states, new, strict=True)])
            size = _squares(new) + tiny
            moving = ~(step <= tol**2 * size)  # this way round, NaN moves on
            converged = not bool(xp.any(moving))
            if path is not None:
                path.append(states)
                n_steps = n_steps + xp.astype(moving, xp.int64)
            if converged or n_iter == self.max_iter:
                break
            chosen, pairs = moving[:, None], zip(states, new, strict=True)
            states = [xp.where(chosen, b, a) for a, b in pairs]
        residual = math.sqrt(float(xp.max(step / size)))
        return FixedPoint(new, residual, n_iter, n_steps, converged)


class Answers(NamedTuple):
    """What rows come to.

    Attributes
    ----------
    outputs : array (n, q)
    residual, n_iter, converged
        As in `FixedPoint`, of all rows.
    """

    outputs: Array
    residual: float
    n_iter: int
    converged: bool


def answer_rows(find: Callable[[Array], tuple[Array, FixedPoint]], X: Array) -> Answers:
    """Find outputs of X (n, d), 16,384 rows at a time.

    Parameters
    ----------
    find : callable
        Rows (m, d) -> outputs (m, q), and the states that they are read off.
    X : array (n, d)
    """
    n = X.shape[0]
    chunks = [slice(i, min(i + CHUNK_ROWS, n)) for i in range(0, n, CHUNK_ROWS)]
    outputs, found = zip(*(find(take(X, chunk)) for chunk in chunks), strict=True)
    return Answers(
        get_namespace(*outputs).concat(list(outputs)),
        max(one.residual for one in found),
        max(one.n_iter for one in found),
        all(one.converged for one in found),
    )


def _squares(states: States) -> Array:
    """Squared Euclidean norm (n,) of each row over all layers."""
    vecdot = get_namespace(*states).vecdot
    total = vecdot(states[0], states[0])
    for state in states[1:]:
        total = total + vecdot(state, state)
    return total
