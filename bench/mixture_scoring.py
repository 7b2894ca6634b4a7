"""What the benchmarks of mixtures share: fits of both sides in turn, and what is said of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture as Theirs

from spectral_estimators import GaussianMixture

__all__ = ["SAID", "SIDES", "Fits", "fit_in_turn", "mean_error", "time_ratio"]

SAID = {
    "theirs": "scikit-learn GaussianMixture with its defaults, and with n_init=10",
    "ours": "GaussianMixture with its defaults",
    "seconds": "of the processor, one thread",
}
SIDES: dict[str, Callable[..., Any]] = {
    "ours": GaussianMixture,
    "default": Theirs,
    "ten": lambda *given, **how: Theirs(*given, n_init=10, **how),
}


class Fits(NamedTuple):
    """Fits of one side, a seed each.

    Attributes
    ----------
    models : list
        Fitted estimators.
    scores : list of float
        Mean log-likelihood of a row, nats.
    seconds : list of float
    """

    models: list[Any]
    scores: list[float]
    seconds: list[float]

    def details(self) -> dict[str, Any]:
        """What is kept of them."""
        kinds = [getattr(model, "init_", None) for model in self.models]
        return {"scores": self.scores, "seconds": self.seconds, "init": kinds}


def fit_in_turn(
    X: NDArray[np.float64],
    n_components: int,
    covariance_type: str,
    seeds: Sequence[int],
    sides: Sequence[str] = tuple(SIDES),
) -> dict[str, Fits]:
    """Fit all sides with one seed after another, so that a slow spell hits all of them."""
    found = {side: Fits([], [], []) for side in sides}
    for seed in seeds:
        for side in sides:
            how: dict[str, Any] = {"covariance_type": covariance_type, "random_state": seed}
            begin = time.process_time()
            model = SIDES[side](n_components, **how).fit(X)
            found[side].seconds.append(time.process_time() - begin)
            found[side].models.append(model)
            found[side].scores.append(float(model.score(X)))
    return found


def time_ratio(fits: dict[str, Fits]) -> float:
    """Time of ours over that of ten starts of theirs."""
    return statistics.mean(fits["ours"].seconds) / statistics.mean(fits["ten"].seconds)


def mean_error(found: NDArray[np.float64], means: NDArray[np.float64]) -> float:
    """Root mean square of distances between means (K, p), matched one to one."""
    from scipy.optimize import linear_sum_assignment

    distance = ((found[:, None] - means) ** 2).sum(axis=2)
    return float(np.sqrt(distance[linear_sum_assignment(distance)].mean()))
