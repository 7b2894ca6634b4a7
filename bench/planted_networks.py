"""What the benchmarks of planted networks share: draws, fits of both sides, and their scores."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import timed
from bench.rivals import sklearn_mlp
from spectral_estimators import MLPRegressor
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.dense import Network

FIRST_SEED = 100  # the draws 0..99 are for trying things out
SUCCESS = 0.999  # of the noise-free test R^2
NOISE = 0.05  # of the signal's standard deviation
_TEST_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class Draw:
    """A teacher and what it wrote: noisy training rows, noise-free test rows."""

    teacher: Network
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    test_X: NDArray[np.float64]
    test_y: NDArray[np.float64]
    seed: int

    def r2(self, predicted: NDArray[np.float64]) -> float:
        """Noise-free test R^2 of predictions."""
        return 1 - float(np.mean((predicted - self.test_y) ** 2) / np.var(self.test_y))

    def angles(self, coef: NDArray[np.float64], *, signed: bool = False) -> NDArray[np.float64]:
        """Degrees between matched units."""
        return direction_angles(coef, self.teacher.coefs[0], signed=signed)


def draw(seed: int, d: int, k: int, n: int, activation: str, kind: str = "mixed") -> Draw:
    """Teacher and rows of one seed; inputs are standard normal."""
    rng = np.random.default_rng(seed)
    teacher = planted_network(d, k, activation=activation, kind=kind, rng=rng)  # type: ignore[arg-type]
    X, y = sample_network(teacher, n, noise=NOISE, rng=rng)
    test_X, test_y = sample_network(teacher, _TEST_ROWS, noise=0.0, rng=rng)
    return Draw(teacher, X, y, test_X, test_y, seed)


def ours(problem: Draw, *, init: str, seed: int, **options: Any) -> tuple[MLPRegressor, float]:
    """Fit our estimator at the teacher's width; the model, and seconds."""
    model = MLPRegressor(
        hidden_layer_sizes=(problem.teacher.coefs[0].shape[1],),
        activation=problem.teacher.activation,
        init=init,
        random_state=seed,
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # iterations used up, few rows: both are what is measured
        _, seconds = timed(partial(model.fit, problem.X, problem.y))
    return model, seconds


def rival(problem: Draw, *, solver: str, seed: int, max_iter: int) -> tuple[float, float, float]:
    """scikit-learn's estimator: training loss, noise-free test R^2, seconds."""
    width = problem.teacher.coefs[0].shape[1]
    *_, seconds, model = sklearn_mlp.fit(
        problem.X, problem.y, width, problem.teacher.activation, solver, max_iter, seed
    )
    return float(model.loss_), problem.r2(model.predict(problem.test_X)), seconds


def warm_up() -> None:
    """Compile, or load from the cache, all that a fit uses."""
    for activation in ("relu", "tanh"):
        problem = draw(0, 5, 3, 2000, activation)
        for init in ("tensor", "random"):
            ours(problem, init=init, seed=0, max_iter=20)
