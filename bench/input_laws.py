"""Planted networks on inputs that are not Gaussian: what telling their law is worth.

Columns are independent, of one law, of mean 0 and variance 1.  A draw is recovered where the mean
of |cos| between matched units and directions is above .95: of directions from moments alone
(``TensorFeatures``), and of the weights of a fitted network (``MLPRegressor``).  Both are told the
law (``input_distribution=``), or assume a model of the inputs (``input_model=``).
"""

import statistics
import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.harness import Report, main, timed
from bench.planted_networks import FIRST_SEED, NOISE
from spectral_estimators import MLPRegressor, TensorFeatures
from spectral_nn.datasets import planted_network
from spectral_nn.metrics import direction_angles

RECOVERED = 0.95
COLUMNS, UNITS, ROWS, MORE_ROWS = 10, 5, 20_000, 100_000
LAWS = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
    "Student t(5)": stats.t(5, scale=np.sqrt(3 / 5)),
    "exponential": stats.expon(-1),
    "gamma(2)": stats.gamma(2, loc=-np.sqrt(2), scale=1 / np.sqrt(2)),
}
SIDES: dict[str, dict[str, Any]] = {
    "law": {},
    "auto": {"input_model": "auto"},
    "gaussian": {"input_model": "gaussian"},
    "cubic": {"input_model": "cubic"},
    "random": {"init": "random"},
}
MUST = {"uniform", "Student t(5)"}  # laws whose directions moments alone have to recover

Data = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def run(n_seeds: int = 10) -> Report:
    """Count recovered draws; bounds are for 10 seeds."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "input_laws",
        {
            "networks": f"d={COLUMNS}, k={UNITS}, mixed signs, noise {NOISE:g} of the signal's "
            "deviation",
            "seeds": f"teachers and data {seeds[0]}..{seeds[-1]}, random_state the seed",
            "directions": f"TensorFeatures({UNITS}), which takes 'gaussian' for 'auto'",
            "weights": f"MLPRegressor(hidden_layer_sizes=({UNITS},)), other settings as they are",
            "recovered": f"mean |cos| of matched units above {RECOVERED}",
        },
    )
    for activation in ("relu", "tanh"):
        for name, law in LAWS.items():
            for n, kind, sides in (
                (ROWS, "directions", ("law", "gaussian", "cubic")),
                (MORE_ROWS, "directions", ("law", "gaussian", "cubic")),
                (ROWS, "weights", ("law", "auto", "gaussian", "random")),
            ):
                found = {
                    side: [_fit(s, activation, law, n, kind, side) for s in seeds] for side in sides
                }
                _add(report, f"{activation}, {name}, n={n:.0e}, {kind}", name, kind, found)
    return report


def _draw(seed: int, activation: str, law: Any, n: int) -> Data:
    """Inputs, noisy outputs, and the first layer's weights."""
    rng = np.random.default_rng(seed)
    teacher = planted_network(COLUMNS, UNITS, activation=activation, rng=rng)
    X = law.rvs((n, COLUMNS), random_state=rng)
    y = teacher.predict(X)[:, 0]
    return X, y + NOISE * y.std() * rng.standard_normal(n), teacher.coefs[0]


def _fit(
    seed: int, activation: str, law: Any, n: int, kind: str, side: str
) -> tuple[float, float, str]:
    """Mean |cos|, seconds, and who won the race."""
    X, y, true = _draw(seed, activation, law, n)
    how = {"input_distribution": law} if side == "law" else SIDES[side]
    how = how | {"random_state": seed}
    model: Any = TensorFeatures(UNITS, **how) if kind == "directions" else None
    if model is None:
        model = MLPRegressor(hidden_layer_sizes=(UNITS,), activation=activation, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps used up, and of what is measured here
        _, seconds = timed(partial(model.fit, X, y))
    weights = model.components_.T if kind == "directions" else model.coefs_[0]
    cosines = np.cos(np.radians(direction_angles(weights, true)))
    return float(cosines.mean()), seconds, model.report_.winner


def _add(
    report: Report,
    label: str,
    name: str,
    kind: str,
    found: dict[str, list[tuple[float, float, str]]],
) -> None:
    """Rows of one law: draws recovered by every side, mean cosines, seconds."""
    report.details[label] = found
    for side, fits in found.items():
        wanted = side == "law" and name in MUST and kind == "directions"
        report.add(
            f"{label}: recovered, {side}",
            sum(cosine > RECOVERED for cosine, *_ in fits),
            must=8 if wanted else None,
            reach=10 if wanted else None,
            unit=f"of {len(fits)}",
            higher_is_better=True,
        )
    for side, fits in found.items():
        report.add(
            f"{label}: mean |cos|, {side}",
            statistics.mean(cosine for cosine, *_ in fits),
            higher_is_better=True,
        )
        report.add(
            f"{label}: mean time, {side}",
            statistics.mean(seconds for _, seconds, _ in fits),
            unit="s",
        )


if __name__ == "__main__":
    main(run)
