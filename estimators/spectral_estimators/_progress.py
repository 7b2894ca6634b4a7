"""How a fit reports: printed lines, and the monitor that stays with the model."""

import sys
from dataclasses import dataclass, field
from typing import Any

from spectral_nn.models.base import OnStep
from spectral_nn.trainers import TRAINERS

__all__ = ["ConvergenceMonitor", "listener", "print_iteration"]


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


def listener(verbose: Any, printer: OnStep | None = None) -> OnStep | None:
    """Who is told of progress: the caller's function, a printer of lines, or nobody."""
    if callable(verbose):
        return verbose
    return (printer or Progress()) if verbose else None


def print_iteration(stage: str, step: int, loss: float) -> None:
    """``on_step`` of a verbose fit of a network: scikit-learn's line, on standard output as there.

    The race and the repair of starts, which scikit-learn does not have, have lines of their own.
    """
    if stage in TRAINERS:
        sys.stdout.write(f"Iteration {step}, loss = {loss:.8f}\n")
    else:
        sys.stdout.write(f"{stage}, step {step}: {loss:.8f}\n")


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
