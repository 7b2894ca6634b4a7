"""What shells of models that learn batch by batch share: rows in memory, a trainer, a warning."""

from dataclasses import fields
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from spectral_estimators._tables import is_chunked
from spectral_nn.trainers import TRAINERS
from spectral_nn.trainers.base import Minimum
from spectral_nn.trainers.minibatch import MiniBatchTrainer
from spectral_nn.warn import warn

__all__ = ["make_batch_trainer", "refuse_chunks", "warn_of_epochs"]


def refuse_chunks(estimator: Any, X: Any) -> None:
    """Check that X is in memory; ValueError that says what it is."""
    if is_chunked(X):
        raise ValueError(
            f"X is of type {type(X).__name__}, which is walked in chunks; "
            f"{type(estimator).__name__} takes rows one by one. Give X as an array in memory."
        )


def make_batch_trainer(estimator: Any) -> MiniBatchTrainer:
    """Make a trainer of the constructor's arguments that have the names of its settings."""
    kind = TRAINERS[estimator.solver]
    names = [setting.name for setting in fields(kind) if hasattr(estimator, setting.name)]
    trainer = kind(**{name: getattr(estimator, name) for name in names})
    assert isinstance(trainer, MiniBatchTrainer)  # the solvers that are let in
    return trainer


def warn_of_epochs(estimator: Any, minimum: Minimum) -> None:
    """Warn the caller of ``fit`` that its epochs were not enough, if they were not."""
    if estimator.max_iter and not minimum.converged:
        warn(
            f"The fit by solver={estimator.solver!r} ended before it converged to "
            f"tol={estimator.tol:g}: {minimum.message}. Raise max_iter={estimator.max_iter} or "
            "tol, or scale the columns of X.",
            ConvergenceWarning,
        )
