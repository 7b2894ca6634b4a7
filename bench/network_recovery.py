"""Planted networks: how many are recovered, and how fast, by moments and by backprop.

Success is a noise-free test R^2 above .999.  Ours is the estimator with its defaults; backprop is
the same estimator with ``init="random"``, alone and best (by training loss) of five starts, and
scikit-learn's ``MLPRegressor`` with L-BFGS, best of five, and with Adam, 40 epochs.  All L-BFGS
runs have the same most iterations.
"""

import statistics
from typing import Any

import numpy as np

from bench.harness import Report, main
from bench.planted_networks import FIRST_SEED, NOISE, SUCCESS, Draw, draw, ours, rival, warm_up

MAX_ITER = 200
EPOCHS = 40
PROBLEMS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (
        "ReLU mixed d30 k10 n3e4",
        {"d": 30, "k": 10, "n": 30_000, "activation": "relu"},
        {"must": 18, "reach": 20},
    ),
    (
        "ReLU orthonormal d20 k10 n3e4",
        {"d": 20, "k": 10, "n": 30_000, "activation": "relu", "kind": "orthonormal"},
        {"must": 19, "reach": 20},
    ),
    (
        "tanh mixed d30 k10 n2e4",
        {"d": 30, "k": 10, "n": 20_000, "activation": "tanh"},
        {"must": 19, "reach": 20},
    ),
)


def run(n_seeds: int = 20, n_starts: int = 5) -> Report:
    """Count successes of every side; bounds are for 20 seeds."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "network_recovery",
        {
            "inputs": f"standard normal, noise {NOISE:g} of the signal's deviation",
            "seeds": f"teachers and data {seeds[0]}..{seeds[-1]}",
            "ours": f"MLPRegressor(hidden_layer_sizes=(k,), max_iter={MAX_ITER}), random_state the "
            "seed",
            "random": f'the same with init="random", {n_starts} values of random_state',
            "scikit-learn": f"MLPRegressor(solver='lbfgs', max_iter={MAX_ITER}), best training "
            f"loss of {n_starts}; and solver='adam', {EPOCHS} epochs, one start",
            "success": f"noise-free test R^2 above {SUCCESS}",
        },
    )
    warm_up()
    for label, problem, bounds in PROBLEMS:
        fits = [_fit_all(draw(seed, **problem), n_starts) for seed in seeds]
        report.details[label] = {key: [fit[key] for fit in fits] for key in fits[0]}
        _add(report, label, fits, bounds, n_starts)
    return report


def _fit_all(problem: Draw, n_starts: int) -> dict[str, Any]:
    """Test R^2 and seconds of every side on one draw."""
    model, seconds = ours(problem, init="tensor", seed=problem.seed, max_iter=MAX_ITER)
    fit: dict[str, Any] = {
        "tensor R2": problem.r2(model.predict(problem.test_X)),
        "tensor s": seconds,
        "tensor winner": model.init_,
        "tensor largest angle": float(problem.angles(model.coefs_[0]).max()),
    }
    sides: dict[str, list[tuple[float, float, float]]] = {"random": [], "scikit-learn": []}
    for start in range(n_starts):
        seed = 1000 * problem.seed + start
        model, seconds = ours(problem, init="random", seed=seed, max_iter=MAX_ITER)
        score = problem.r2(model.predict(problem.test_X))
        sides["random"].append((model.loss_, score, seconds))
        sides["scikit-learn"].append(rival(problem, solver="lbfgs", seed=seed, max_iter=MAX_ITER))
    for side, starts in sides.items():
        fit[f"{side}, first R2"], fit[f"{side}, first s"] = starts[0][1:]
        fit[f"{side}, best R2"] = min(starts)[1]
        fit[f"{side}, all s"] = sum(seconds for *_, seconds in starts)
    _, fit["adam R2"], fit["adam s"] = rival(
        problem, solver="adam", seed=problem.seed, max_iter=EPOCHS
    )
    return fit


def _add(
    report: Report,
    label: str,
    fits: list[dict[str, Any]],
    bounds: dict[str, Any],
    n_starts: int,
) -> None:
    """Rows of one problem."""

    def successes(key: str) -> int:
        return sum(fit[key] > SUCCESS for fit in fits)

    def seconds(key: str) -> float:
        return statistics.mean(fit[key] for fit in fits)

    count: dict[str, Any] = {"unit": f"of {len(fits)}", "higher_is_better": True}
    report.add(f"{label}: recovered, tensor", successes("tensor R2"), **bounds, **count)
    report.add(f"{label}: recovered, random, one start", successes("random, first R2"), **count)
    report.add(
        f"{label}: recovered, random, best of {n_starts}", successes("random, best R2"), **count
    )
    report.add(
        f"{label}: recovered, scikit-learn lbfgs, best of {n_starts}",
        successes("scikit-learn, best R2"),
        **count,
    )
    report.add(f"{label}: recovered, scikit-learn adam", successes("adam R2"), **count)
    report.add(
        f"{label}: largest angle, tensor, median",
        float(np.median([fit["tensor largest angle"] for fit in fits])),
        unit="deg",
    )
    for key in ("tensor s", "random, first s", "random, all s", "scikit-learn, all s", "adam s"):
        report.add(f"{label}: mean time, {key.removesuffix(' s')}", seconds(key), unit="s")
    timed = "ReLU" in label
    report.add(
        f"{label}: time of tensor over random best of {n_starts}",
        seconds("tensor s") / seconds("random, all s"),
        must=0.25 if timed else None,
        reach=0.1 if timed else None,
    )


if __name__ == "__main__":
    main(run)
