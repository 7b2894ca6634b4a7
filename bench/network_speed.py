"""L-BFGS from a random start, ours against scikit-learn's: same width, start and iterations.

Both sides start at the same weights, keep 10 pairs, have the same penalty and tolerance, and stop
after the same number of iterations; the details hold the losses that they end at. Whole fits are
timed, from the rows to the weights. With several outputs the two do not minimise the same function
(`spectral_nn.models.network.dense.Objective` says why).
"""

import statistics
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits

from bench.harness import Report, main, timed
from bench.rivals import sklearn_mlp
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Objective, flatten, random_network
from spectral_nn.refine.lbfgs import Minimum, lbfgs

ALPHA, TOL, MEMORY = 1e-4, 1e-8, 10

Table = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """One problem: a table, and the network that is fitted to it."""

    name: str
    table: Table
    activation: str
    width: int
    n_iter: int


def planted(activation: str, n_features: int, width: int, n_rows: int, seed: int = 0) -> Table:
    """Gaussian rows, and a planted network with 5 % noise (ReLU: units of length 1, else 2)."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n_features, width))
    W *= (1.0 if activation == "relu" else 2.0) / np.linalg.norm(W, axis=0)
    a = rng.uniform(0.5, 1.5, width) * rng.choice([-1.0, 1.0], width)
    X = rng.standard_normal((n_rows, n_features))
    signal = ACTIVATIONS[activation].value(X @ W + rng.uniform(-0.5, 0.5, width)) @ a
    return X, signal + 0.05 * signal.std() * rng.standard_normal(n_rows)


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


def ours(case: Case, seed: int) -> Minimum:
    """Fit on the core: the same start as scikit-learn's with ``random_state=seed``."""
    X, y = case.table
    Y = y.reshape(len(y), -1)
    start = random_network(
        (X.shape[1], case.width, Y.shape[1]),
        case.activation,
        "identity",
        np.random.RandomState(seed),  # type: ignore[arg-type]
        like=X,
    )
    return lbfgs(
        Objective(X, Y, start, ALPHA),
        flatten(start),
        max_iter=case.n_iter,
        tol=TOL,
        memory=MEMORY,
    )


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
    report = Report(
        "network_speed",
        {
            "rival": "MLPRegressor(solver='lbfgs'), float64, the same start",
            "both": f"alpha={ALPHA:g}, tol={TOL:g}, {MEMORY} pairs kept",
            "timed": f"whole fits, median of {rounds} rounds in turn",
        },
    )
    for case in cases():
        seconds: dict[str, list[float]] = {"ours": [], "scikit-learn": []}
        ours(case, 0)  # compiles
        for _ in range(rounds):
            mine, spent = timed(partial(ours, case, 0))
            seconds["ours"].append(spent)
            spent, model = theirs(case, 0)
            seconds["scikit-learn"].append(spent)
        median = {name: statistics.median(times) for name, times in seconds.items()}
        report.add(
            f"{case.name}: scikit-learn's time / ours",
            median["scikit-learn"] / median["ours"],
            must=1.0,
            reach=2.0,
            unit="x",
            higher_is_better=True,
        )
        report.details[case.name] = {
            "seconds": median,
            "iterations": {"ours": mine.n_iter, "scikit-learn": int(model.n_iter_)},
            "loss": {"ours": mine.value, "scikit-learn": float(model.loss_)},
        }
    return report


if __name__ == "__main__":
    main(run)
