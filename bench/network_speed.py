"""L-BFGS from a random start, ours against scikit-learn's: same width and number of iterations.

Whole fits of both estimators are timed, checks of the input included, with the same penalty and a
tolerance that lets neither stop early; who begins changes from round to round, and so does the
random start.  Ours keeps 20 pairs, scikit-learn's 10; the details hold the losses that they end at.
With several outputs the two do not minimise the same function
(`spectral_nn.models.network.dense.Objective` says why).
"""

import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits

from bench.harness import Report, main, timed
from bench.planted_networks import FIRST_SEED, draw
from bench.rivals import sklearn_mlp
from spectral_estimators import MLPRegressor

ALPHA, TOL = 1e-4, 1e-8

Table = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """One problem: a table, and the network that is fitted to it."""

    name: str
    table: Table
    activation: str
    width: int
    n_iter: int


def planted(activation: str, d: int, k: int, n: int) -> Table:
    """Rows of a planted network."""
    problem = draw(FIRST_SEED, d, k, n, activation)
    return problem.X, problem.y


def cases() -> list[Case]:
    """All problems, planted ones first."""
    digits, digit = load_digits(return_X_y=True)
    one_hot = np.eye(10)[digit]
    diabetes, progress = load_diabetes(return_X_y=True)
    progress = (progress - progress.mean()) / progress.std()
    small = [
        Case(f"{name} d30 k10 n3e4", planted(name, 30, 10, 30_000), name, 10, 100)
        for name in ("relu", "tanh", "logistic")
    ]
    return [
        *small,
        Case("relu d30 k50 n3e4", planted("relu", 30, 50, 30_000), "relu", 50, 50),
        Case("relu d50 k200 n3e4", planted("relu", 50, 200, 30_000), "relu", 200, 20),
        Case("digits, its number, relu k50", (digits / 16, digit.astype(float)), "relu", 50, 100),
        Case("digits, 10 outputs, relu k50", (digits / 16, one_hot), "relu", 50, 100),
        Case("diabetes, relu k20", (diabetes / diabetes.std(axis=0), progress), "relu", 20, 100),
    ]


def ours(case: Case, seed: int) -> tuple[float, Any]:
    """Fit by our estimator: seconds, and the estimator."""
    model = MLPRegressor(
        hidden_layer_sizes=(case.width,),
        activation=case.activation,
        init="random",
        max_iter=case.n_iter,
        alpha=ALPHA,
        tol=TOL,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # iterations used up: what both sides are to do
        _, seconds = timed(partial(model.fit, *case.table))
    return seconds, model


def theirs(case: Case, seed: int) -> tuple[float, Any]:
    """Fit by scikit-learn: seconds and the fitted estimator."""
    _, _, seconds, model = sklearn_mlp.fit(
        *case.table,
        case.width,
        case.activation,
        "lbfgs",
        case.n_iter,
        seed,
        alpha=ALPHA,
        tol=TOL,
    )
    return seconds, model


def run(rounds: int = 7) -> Report:
    """Race both sides in turn on every problem."""
    sides: dict[str, Callable[[Case, int], tuple[float, Any]]] = {
        "ours": ours,
        "scikit-learn": theirs,
    }
    report = Report(
        "network_speed",
        {
            "ours": 'MLPRegressor(init="random"), float64',
            "rival": "scikit-learn's MLPRegressor(solver='lbfgs'), float64",
            "both": f"alpha={ALPHA:g}, tol={TOL:g}",
            "timed": f"whole fits, median of {rounds} rounds in turn",
            "seeds": f"planted networks {FIRST_SEED}, starts from {FIRST_SEED} on",
        },
    )
    for case in cases():
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        losses: dict[str, list[float]] = {name: [] for name in sides}
        iterations: dict[str, list[int]] = {name: [] for name in sides}
        ours(case, FIRST_SEED)  # compiles
        for i in range(rounds):
            for name in sorted(sides, reverse=i % 2 == 1):
                spent, model = sides[name](case, FIRST_SEED + i)
                seconds[name].append(spent)
                losses[name].append(float(model.loss_))
                iterations[name].append(int(model.n_iter_))
        median = {name: statistics.median(times) for name, times in seconds.items()}
        report.add(
            f"{case.name}: scikit-learn's time / ours",
            median["scikit-learn"] / median["ours"],
            must=1.0,
            reach=2.0,
            unit="x",
            higher_is_better=True,
        )
        report.details[case.name] = {"seconds": median, "iterations": iterations, "loss": losses}
    return report


if __name__ == "__main__":
    main(run)
