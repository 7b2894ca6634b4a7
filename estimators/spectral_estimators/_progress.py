"""How a fit reports: lines on standard error, and the monitor that stays with the model."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ConvergenceMonitor", "listener"]


@dataclass
class ConvergenceMonitor:
    """What happened in the steps on all data, with hmmlearn's names.

    Attributes
    ----------
    tol : float or None
    n_iter : int
        Most steps allowed.
    verbose : bool, int or callable
    history : list of float
        Objective before each step: log-likelihood of the training data plus the log prior, in
        nats.  Never falls.
    converged : bool
        Whether the gain fell below ``tol``; stopping at ``n_iter`` is not convergence.
    """

    tol: float | None
    n_iter: int
    verbose: Any = False
    history: list[float] = field(default_factory=list)
    converged: bool = False

    @property
    def iter(self) -> int:
        """Number of entries in ``history``."""
        return len(self.history)


def listener(verbose: Any) -> Callable[[str, int, float], None] | None:
    """Who is told of progress: the caller's function, lines on standard error, or nobody."""
    if callable(verbose):
        return verbose
    return Progress() if verbose else None


class Progress:
    """``on_step`` of a verbose fit: one line a step on standard error.

    Columns: stage, step, objective in nats, and within EM the gain over the step before.
    """

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, step: int, objective: float) -> None:
        """Print one line."""
        before, last = self._last
        gain = f"{objective - last:>+16.4f}" if stage == before == "EM" else ""
        sys.stderr.write(f"{stage:<32} {step:>6d} {objective:>18.4f} {gain}\n")
        self._last = (stage, objective)
