"""Planted networks: angles of the weights, before and after refinement, and against rivals.

Angles are between matched units, signs aside.  The textbook decompositions whiten the third moment
by the second one, or by a random slice of the third, and see the same rows.
"""

import statistics
import warnings

import numpy as np

from bench.harness import Report, main
from bench.planted_networks import FIRST_SEED, NOISE, SUCCESS, Draw, draw, ours, warm_up
from spectral_nn.data.rows import Rows
from spectral_nn.models.network.lift import lift
from spectral_nn.moments.scores import GaussianScore
from spectral_nn.runners.base import SerialRunner

SLOPE_SIZES = (10_000, 20_000, 40_000, 80_000)
FEW_ITERATIONS = 1000


def run(n_seeds: int = 20) -> Report:
    """Measure every claim; bounds are for 20 seeds."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "network_angles",
        {
            "inputs": f"standard normal, noise {NOISE:g} of the signal's deviation",
            "seeds": f"teachers and data {seeds[0]}..{seeds[-1]}",
            "ours": "MLPRegressor(hidden_layer_sizes=(k,)), max_iter=0 unrefined, 200 refined, "
            f"{FEW_ITERATIONS} for d200",
            "rivals": "tensor power method with deflation after whitening by E[y S_2], or by the "
            "best of many slices of E[y S_3]; Gaussian scores of known mean and covariance",
        },
    )
    warm_up()
    _large(report, seeds)
    _slope(report, seeds)
    _decompositions(report, seeds)
    _few_rows(report, seeds)
    return report


def _large(report: Report, seeds: range) -> None:
    """The d50 k10 n1e5 ReLU network."""
    means, largest = [], []
    for seed in seeds:
        problem = draw(seed, 50, 10, 100_000, "relu")
        start, _ = ours(problem, init="tensor", seed=seed, max_iter=0)
        refined, _ = ours(problem, init="tensor", seed=seed, max_iter=200)
        means.append(float(problem.angles(start.coefs_[0]).mean()))
        largest.append(float(problem.angles(refined.coefs_[0]).max()))
    label = "ReLU mixed d50 k10 n1e5"
    report.details[label] = {"mean angle, unrefined": means, "largest angle, refined": largest}
    report.add(
        f"{label}: mean angle, unrefined, mean of seeds",
        statistics.mean(means),
        must=5.0,
        reach=3.0,
        unit="deg",
    )
    report.add(
        f"{label}: largest angle, refined, mean of seeds",
        statistics.mean(largest),
        must=0.6,
        reach=0.3,
        unit="deg",
    )
    report.add(f"{label}: largest angle, refined, worst seed", max(largest), unit="deg")


def _slope(report: Report, seeds: range) -> None:
    """Slope of log angle in log n, refined."""
    angles = []
    for n in SLOPE_SIZES:
        logs = []
        for seed in seeds:
            problem = draw(seed, 20, 5, n, "relu")
            model, _ = ours(problem, init="tensor", seed=seed, max_iter=200)
            logs.append(float(np.log(problem.angles(model.coefs_[0]).mean())))
        angles.append(statistics.mean(logs))
    slope = float(np.polyfit(np.log(SLOPE_SIZES), angles, 1)[0])
    report.details["ReLU mixed d20 k5, refined"] = {
        "n": list(SLOPE_SIZES),
        "geometric mean of the mean angle, degrees": np.exp(angles).tolist(),
    }
    label = "ReLU mixed d20 k5, refined: slope of log angle in log n"
    report.add(label, slope)
    report.add(f"{label}, distance from -1/2", abs(slope + 0.5), must=0.1)


def _decompositions(report: Report, seeds: range) -> None:
    """One joint decomposition against whitening, mixed signs, d15 k5 n5e4."""
    for activation in ("relu", "tanh"):
        joint, whitened = [], {"second": [], "slice": []}  # type: ignore[var-annotated]
        for seed in seeds:
            problem = draw(seed, 15, 5, 50_000, activation)
            model, _ = ours(problem, init="tensor", seed=seed, max_iter=0)
            joint.append(float(problem.angles(model.coefs_[0]).mean()))
            for whitening, angles in whitened.items():
                angles.append(_textbook(problem, whitening))
        label = f"{activation} mixed d15 k5 n5e4"
        report.details[label] = {"joint": joint, **whitened}
        report.add(f"{label}: mean angle, joint decomposition", statistics.mean(joint), unit="deg")
        for whitening, angles in whitened.items():
            report.add(
                f"{label}: mean angle, whitened by {whitening}",
                statistics.mean(angles),
                unit="deg",
            )
        report.add(
            f"{label}: joint over whitened by second moment",
            statistics.mean(joint) / statistics.mean(whitened["second"]),
            must=1 / 3,
            reach=1 / 8,
        )


def _textbook(problem: Draw, whitening: str) -> float:
    """Mean angle of the textbook decomposition, degrees."""
    d, k = problem.teacher.coefs[0].shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moments of mixed signs are what whitening cannot do
        network = lift(
            Rows.of(problem.X, problem.y[:, None]),
            k,
            problem.teacher.activation,
            score=GaussianScore(np.zeros(d), np.eye(d)),
            rng=np.random.default_rng(problem.seed),
            run=SerialRunner(),
            whitening=whitening,
        ).network
    return float(problem.angles(network.coefs[0]).mean())


def _few_rows(report: Report, seeds: range) -> None:
    """Half a row for each of d k^2: d200 k10 n1e4."""
    scores: dict[str, list[float]] = {"tensor": [], "random": []}
    times: dict[str, list[float]] = {"tensor": [], "random": []}
    for seed in seeds:
        problem = draw(seed, 200, 10, 10_000, "relu")
        for init in scores:
            model, seconds = ours(problem, init=init, seed=seed, max_iter=FEW_ITERATIONS)
            scores[init].append(problem.r2(model.predict(problem.test_X)))
            times[init].append(seconds)
    label = "ReLU mixed d200 k10 n1e4"
    report.details[label] = {"R2": scores, "seconds": times}
    for init, name in (("tensor", "with repair"), ("random", "random, one start")):
        bounds = {"must": 10, "reach": 15} if init == "tensor" else {}
        report.add(
            f"{label}: recovered, {name}",
            sum(score > SUCCESS for score in scores[init]),
            unit=f"of {len(seeds)}",
            higher_is_better=True,
            **bounds,
        )
        report.add(f"{label}: mean time, {name}", statistics.mean(times[init]), unit="s")


if __name__ == "__main__":
    main(run)
