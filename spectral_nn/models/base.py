"""What a hidden Markov model, a mixture and a topic model are to a fit, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from spectral_nn.models.report import FitReport, StartReport

__all__ = ["Data", "Fit", "LatentModel", "OnStep", "Options", "Start", "silent"]

P = TypeVar("P")
S = TypeVar("S")
P_contra = TypeVar("P_contra", contravariant=True)
S_co = TypeVar("S_co", covariant=True)

OnStep = Callable[[str, int, float], None]
"""Told (stage, step, objective)."""


def silent(stage: str, step: int, value: float) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True, eq=False)
class Options:
    """Settings of a fit. NumPy's numbers become Python's: products with an ``int8`` overflow."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.integer | np.floating):
                object.__setattr__(self, field.name, value.item())


class LatentModel(Protocol[P, S]):
    """A model with hidden variables: its E-step is a sum over chunks. No data, no runner.

    A frozen, picklable object; the statistics S add up, and have a `log_likelihood` in nats.
    """

    def statistic(self, parameters: P, chunk: Any) -> S:
        """E-step of a chunk."""

    def maximise(self, statistics: S, parameters: P) -> P:
        """M-step from the statistics of all data under `parameters`."""

    def log_prior(self, parameters: P) -> float:
        """Logarithm of the prior density up to a constant, nats."""

    def relax(self, old: P, new: P, power: float) -> P:
        """Reach beyond an M-step, which led from `old` to `new`; `new` at power 1."""

    def judge(self, parameters: P, chunk: Any) -> float:
        """Log-likelihood of a chunk that a race holds out, nats."""

    def restore(self, old: P, new: P) -> P:
        """Undo zeros that EM on a sample of the data has led to, from `old` to `new`."""


class Data(Protocol[P_contra, S_co]):
    """Data that a model is fitted to, wherever they are."""

    def expect(self, parameters: P_contra) -> S_co:
        """E-step of all data."""

    def settle(self, parameters: P_contra) -> None:
        """Find out how exact E-steps have to be, on a sample."""

    def sample(self, n_rows: int) -> list[Any]:
        """Chunks with about `n_rows` positions, in memory here."""

    def judges(self) -> list[Any] | None:
        """Chunks that samples leave out, to judge starts by; None where the climb itself does."""

    def restart(self) -> None:
        """Forget how exact E-steps had to become for parameters that are left behind."""


@dataclass(frozen=True, eq=False)
class Start(Generic[P]):
    """A start on its way through a race.

    Attributes
    ----------
    kind : str
        Where it comes from, such as "tensor" or "random".
    parameters : P
        Where it stands now.
    composite, likelihood : float
        Objectives reached on low-order moments and on the data, nats; NaN where it took no part.
    held_out : float
        Log-likelihood reached of data that the race held out, nats.
    """

    kind: str
    parameters: P
    composite: float = float("nan")
    likelihood: float = float("nan")
    held_out: float = float("nan")

    def report(self) -> StartReport:
        """What reports keep of it."""
        return StartReport(
            kind=self.kind,
            composite=self.composite,
            likelihood=self.likelihood,
            held_out=self.held_out,
        )


@dataclass(frozen=True, eq=False)
class Fit(Generic[P]):
    """A fitted model.

    Attributes
    ----------
    parameters : P
    history : list of float
        Objective before each EM step on all data: log-likelihood plus log prior, nats.
    converged : bool
        Whether the last gain was below the tolerance.
    report : FitReport
        Starts, winner, and what the model adds.
    """

    parameters: P
    history: list[float]
    converged: bool
    report: FitReport
