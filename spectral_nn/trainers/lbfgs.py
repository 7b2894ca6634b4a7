"""Minimisation by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from spectral_nn.arrays import Array, to_numpy
from spectral_nn.trainers.base import Minimum, OnIterate, Problem, RowOrder, Vector

__all__ = ["LBFGS", "lbfgs"]

_MEMORY = 20


@dataclass(frozen=True)
class LBFGS:
    """Steps of L-BFGS on all rows: `lbfgs` as a `Trainer`, its settings named as users know them.

    Attributes
    ----------
    max_iter : most steps; 0 leaves the start as it is.
    max_fun : stop after the step that reaches so many evaluations.
    tol : stop when no entry of the gradient is larger.
    """

    name: ClassVar[str] = "lbfgs"
    needs: ClassVar[frozenset[str]] = frozenset()

    max_iter: int = 200
    max_fun: int = 15_000
    tol: float = 1e-4

    def with_max_iter(self, max_iter: int) -> Self:
        """Return the trainer with another number of most steps."""
        return replace(self, max_iter=max_iter)

    def train(
        self,
        problem: Problem,
        start: Vector,
        *,
        rng: RowOrder | None = None,
        state: None = None,
        on_iterate: OnIterate | None = None,
    ) -> Minimum:
        """Minimise a problem from a start (p,); nothing is drawn, and there is no state."""
        return lbfgs(
            problem,
            start,
            max_iter=self.max_iter,
            tol=self.tol,
            max_fun=self.max_fun,
            on_iterate=on_iterate,
        )


def lbfgs(
    objective: Callable[[Vector], tuple[float, Vector]],
    start: Array,
    *,
    max_iter: int,
    tol: float,
    max_fun: int = 15_000,
    memory: int = _MEMORY,
    on_iterate: OnIterate | None = None,
) -> Minimum:
    """Minimise a smooth function by L-BFGS, SciPy's ``L-BFGS-B`` without bounds.

    Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, Mathematical
    Programming 45 (1989), algorithm 2.1.

    Parameters
    ----------
    objective : x (p,) -> (value, gradient (p,))
    start : array (p,) of any library
    max_iter : most iterations; the start itself is the outcome of 0, and of no evaluations.
    tol : stop when no entry of the gradient is larger. It also stops, converged, when an iteration
        gains less than 2.2e-9 times the larger of the value and 1. Both are scikit-learn's rules.
    max_fun : stop after the iteration that uses up so many evaluations.
    memory : pairs of steps and changes of the gradient kept. On planted networks (ReLU, tanh,
        logistic units; 32 runs each) 100 iterations with 20 pairs ended at .87, .95, .71 of the
        loss with 10, and with 30 at .78, .97, .66. 30 pay where the objective is a sum over ten
        thousand rows or more, which hides what they cost.
    on_iterate : told each iterate; true stops.

    Notes
    -----
    About 10 `memory` p multiply-adds an iteration besides the objective. A value that is not
    finite ends the search: the outcome is the last iterate that has a finite one, and where the
    start has none, neither has the outcome.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.trainers.lbfgs import lbfgs
    >>> found = lbfgs(lambda x: (float(x @ x), 2 * x), np.ones(3), max_iter=9, tol=1e-6)
    >>> found.converged, found.value < 1e-12
    (True, True)
    """
    # Slow to import, and needed by nothing else here.
    from scipy.optimize import minimize

    x = np.array(to_numpy(start), dtype=np.float64)
    if min(max_iter, max_fun) < 1:
        return Minimum(x, float(objective(x)[0]), [], False, "no iteration is left", 1)
    history: list[float] = []
    stopped = ""

    def callback(intermediate_result: Any) -> None:
        nonlocal stopped
        value = float(intermediate_result.fun)
        history.append(value)
        if on_iterate is not None and on_iterate(len(history), value, intermediate_result.x.copy()):
            stopped = "on_iterate asked to stop"
        elif not np.isfinite(value):
            stopped = "the value is not finite"
        if stopped:
            raise StopIteration

    found = minimize(
        objective,
        x,
        method="L-BFGS-B",
        jac=True,
        callback=callback,
        options={"maxiter": max_iter, "gtol": tol, "maxcor": memory, "maxfun": max_fun},
    )
    value = float(found.fun)
    if not np.isfinite(value) and history:  # the line search failed, and x is where it began
        value = history[-1]
    converged = bool(found.success) and not stopped and bool(np.isfinite(value))
    return Minimum(
        found.x, value, history, converged, stopped or str(found.message), int(found.nfev)
    )
