"""What both sides are judged by: one objective, computed by one function from their parameters.

The objective is the log likelihood plus the prior of the covariances, ``-.005 tr(S^-1)`` of each
state, in nats: what hmmlearn climbs by default. Likelihoods are those of hmmlearn's forward pass in
logarithms, which cannot underflow.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.rivals import hmmlearn_series
from bench.series_data import Series

OBJECTIVE_SAID = "log likelihood - .005 sum of tr(S^-1) over states, nats; hmmlearn's forward pass"


def log_likelihood(
    covariance: str, fitted: Any, rows: NDArray[np.float64], lengths: NDArray[np.int64]
) -> float:
    """Log likelihood of rows under a fitted model of either side, nats."""
    model = hmmlearn_series.with_parameters(covariance, fitted, implementation="log")
    observed = rows.astype(np.int64) if covariance == "poisson" else rows
    return float(model.score(observed, lengths))


def objective(covariance: str, fitted: Any, series: Series) -> float:
    """What a fit climbs, on the training part, nats."""
    return log_likelihood(covariance, fitted, series.rows, series.lengths) + _log_prior(
        covariance, fitted
    )


def _log_prior(covariance: str, fitted: Any) -> float:
    if covariance == "poisson":
        return 0.0
    found = hmmlearn_series.covariances(covariance, fitted)
    precision = np.trace(np.linalg.inv(found), axis1=1, axis2=2) if found.ndim == 3 else 1 / found
    return -hmmlearn_series.PRIOR / 2 * float(precision.sum())


@dataclass(frozen=True, eq=False)
class Fits:
    """Several fits of one side to one series.

    Attributes
    ----------
    models : list
    seconds : list of float
        Of the processor, each.
    objectives : list of float
        Nats.
    """

    models: list[Any]
    seconds: list[float]
    objectives: list[float]

    @property
    def best(self) -> float:
        """Highest objective, nats."""
        return max(self.objectives)

    @property
    def winner(self) -> Any:
        """The model that has it."""
        return self.models[int(np.argmax(self.objectives))]

    def gaps(self, best: float) -> list[float]:
        """How far each objective is below ``best``, nats."""
        return [best - reached for reached in self.objectives]

    def share_within(self, nats: float, best: float) -> float:
        """Share of the fits that are at most so far below."""
        return statistics.mean(gap <= nats for gap in self.gaps(best))

    def details(self) -> dict[str, list[float]]:
        """What the JSON keeps."""
        return {"objectives": self.objectives, "seconds": self.seconds}


def fit_seeds(
    fit: Callable[..., tuple[Any, float]],
    series: Series,
    n_components: int,
    covariance: str,
    seeds: Sequence[int],
    **options: Any,
) -> Fits:
    """Fits of one side, ``bench.ours_series.fit`` or a rival's, with ``random_state`` in turn."""
    pairs = [
        fit(series.rows, series.lengths, n_components, covariance, seed=seed, **options)
        for seed in seeds
    ]
    models, seconds = (list(part) for part in zip(*pairs, strict=True))
    return Fits(models, seconds, [objective(covariance, model, series) for model in models])
