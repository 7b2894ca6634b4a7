"""Moments, then any rule: planted ReLU networks, from random starts and from moments.

30 inputs, 10 units, 30,000 rows, noise of 5 %: a network is recovered where its noise-free test R²
is above .999.  All rules have 20 epochs along half a cosine, batches of 200, and the learning rate
that recovered most on draws of their own.  With one hidden layer, layer-wise learning is
backpropagation.  The start from moments has raced (15 steps of L-BFGS on half of the rows or more)
before any rule takes it up: the row of frozen layers shows what it is worth by itself.
"""

import statistics
from typing import Any

from bench.harness import Report, main
from bench.planted_networks import FIRST_SEED, SUCCESS, Draw, draw, ours
from spectral_estimators.trainers import (
    Backprop,
    Checkpointed,
    FeedbackAlignment,
    ForwardGradient,
    Frozen,
    LayerWise,
    PredictiveCoding,
    RandomizedAD,
    SyntheticGradients,
    TargetPropagation,
)
from spectral_nn.trainers.rules.base import Rule

SHAPE = (30, 10, 30_000, "relu")
TUNING_SEEDS = (0, 1)
RATES = {
    "sgd": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "adam": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
}
STEPS: dict[str, Any] = {
    "learning_rate": "cosine",
    "max_iter": 20,
    "batch_size": 200,
    "n_iter_no_change": 21,
}
SIDES: dict[str, Rule] = {
    "frozen": Frozen(),
    "backprop, Adam": Backprop(),
    "backprop, SGD": Backprop("sgd"),
    "checkpointed": Checkpointed(),
    "randomised AD, 10 %": RandomizedAD(keep=0.1),
    "forward gradient: random guess, activities": ForwardGradient(
        guess="isotropic", space="activity"
    ),
    "forward gradient: random guess, weights": ForwardGradient(guess="isotropic", space="weight"),
    "forward gradient: local guess, weights": ForwardGradient(guess="local", space="weight"),
    "layer-wise": LayerWise(),
    "direct feedback alignment": FeedbackAlignment(),
    "synthetic gradients": SyntheticGradients(),
    "difference target propagation": TargetPropagation(),
    "predictive coding": PredictiveCoding(),
}


def run(n_draws: int = 10) -> Report:
    """Fit every rule from both starts to every draw."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_draws)
    problems = [draw(seed, *SHAPE) for seed in seeds]
    tuning = [draw(seed, *SHAPE) for seed in TUNING_SEEDS]
    report = Report(
        "trainers_planted",
        {
            "problem": "planted ReLU networks, d=30, k=10, n=30,000, noise of .05 deviations",
            "recovered": f"noise-free test R2 above {SUCCESS}",
            "steps": "20 epochs, batches of 200, half a cosine",
            "learning rates": f"of {RATES}, by the mean R2 on the draws {TUNING_SEEDS}",
            "seeds": f"{seeds[0]}..{seeds[-1]}",
        },
    )
    for name, rule in SIDES.items():
        for init in ("random", "tensor"):
            rate = max(
                RATES[rule.optimizer],
                key=lambda rate: statistics.fmean(
                    _fit(problem, rule, init, rate)[0] for problem in tuning
                ),
            )
            fits = [_fit(problem, rule, init, rate) for problem in problems]
            recovered = 100 * statistics.fmean(r2 > SUCCESS for r2, _, _ in fits)
            angle = statistics.fmean(each for _, each, _ in fits)
            must = {"must": 90} if init == "tensor" and (rule.exact or rule.unbiased) else {}
            label = f"{name}, from {'moments' if init == 'tensor' else 'random weights'}"
            report.add(f"{label}: recovered", recovered, unit="%", higher_is_better=True, **must)
            report.add(f"{label}: mean angle", angle, unit="degrees")
            report.details[label] = {
                "rate": rate,
                "R2": [r2 for r2, _, _ in fits],
                "angles": [each for _, each, _ in fits],
                "seconds": [seconds for _, _, seconds in fits],
            }
            print(f"{label}: {recovered:.0f} %, {angle:.2f} degrees at {rate:g}", flush=True)
    return report


def _fit(problem: Draw, rule: Rule, init: str, rate: float) -> tuple[float, float, float]:
    """Test R², 0 where the loss did not stay finite; mean angle of units; seconds."""
    try:
        model, seconds = ours(
            problem, init=init, seed=problem.seed, solver=rule, learning_rate_init=rate, **STEPS
        )
    except ValueError as why:
        if "finite" not in str(why):
            raise
        return 0.0, 90.0, float("nan")
    angle = float(problem.angles(model.coefs_[0]).mean())
    return problem.r2(model.predict(problem.test_X)), angle, seconds


if __name__ == "__main__":
    main(run)
