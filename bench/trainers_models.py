"""Networks with states of their own: equilibria, springs and spikes; and depth by chance.

Learning rates are chosen on a fifth of the training rows of a draw (MNIST-1D, seed 0) or split
(digits, seed 0); tables report on other draws and splits.
"""

import statistics
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from bench.harness import Report, main
from bench.trainers_rules import (
    FIRST_SEED,
    TUNING_SEED,
    Signals,
    fit,
    network,
    signals,
)
from spectral_estimators import (
    EquilibriumMLPClassifier,
    EquilibriumPropagationClassifier,
    SpikingClassifier,
)
from spectral_nn.data.rows import Rows
from spectral_nn.models.equilibrium.deep import (
    GRADIENTS,
    EquilibriumNetwork,
    EquilibriumObjective,
)
from spectral_nn.models.equilibrium.fixed_point import Iteration
from spectral_nn.models.equilibrium.hopfield import HopfieldObjective, draw_hopfield
from spectral_nn.models.network.dense import random_network

PERCENT: dict[str, Any] = {"unit": "%", "higher_is_better": True}
STEPS: dict[str, Any] = {"learning_rate": "cosine", "batch_size": 64, "n_iter_no_change": np.inf}
RATES = (0.001, 0.003, 0.01)

Make = Callable[[float, int], Any]


def digits(seed: int) -> Signals:
    """Handwritten digits of scikit-learn, a quarter held out."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32) / 16
    train, test, train_y, test_y = train_test_split(
        X, y, test_size=0.25, random_state=seed, stratify=y
    )
    return Signals(train, train_y, test, test_y)


def deep(gradient: str) -> Make:
    """Deep equilibrium networks of 128 units, 20 epochs."""
    return lambda rate, seed: EquilibriumMLPClassifier(
        128,
        gradient=gradient,
        learning_rate_init=rate,
        max_iter=20,
        random_state=seed,
        **STEPS,
    )


def springs(rate: float, seed: int) -> EquilibriumPropagationClassifier:
    """Equilibrium propagation through 100 units, 15 epochs."""
    return EquilibriumPropagationClassifier(
        (100,), learning_rate_init=rate, max_iter=15, random_state=seed, **STEPS
    )


def spikes(rate: float, seed: int) -> SpikingClassifier:
    """Spiking networks of 100 neurons, 16 steps, 40 epochs."""
    return SpikingClassifier(
        (100,), learning_rate_init=rate, max_iter=40, random_state=seed, **STEPS
    )


def blocks(drop: float) -> Make:
    """Residual perceptrons of a layer and eight blocks of 128 units, 20 epochs."""
    return lambda rate, seed: network(
        "adam",
        rate,
        seed,
        hidden_layer_sizes=(128,) * 9,
        max_iter=20,
        residual=True,
        stochastic_depth=drop,
    )


def run(n_seeds: int = 5) -> Report:
    """Measure gradients, memory and accuracy."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "trainers_models",
        {
            "MNIST-1D": "4,000 + 1,000 rows, drawn anew for each seed",
            "digits": "scikit-learn's, a quarter held out, split anew for each seed",
            "steps": f"Adam, batches of 64, half a cosine, rates of {RATES}",
            "seeds": f"{seeds[0]}..{seeds[-1]}",
        },
    )
    _deep_gradients(report)
    _springs_gradient(report)
    found = {
        name: _accuracy(report, name, make, data, seeds)
        for name, make, data in (
            ("deep equilibrium, implicit, MNIST-1D", deep("implicit"), signals),
            ("deep equilibrium, unrolled, MNIST-1D", deep("unrolled"), signals),
            ("equilibrium propagation, digits", springs, digits),
            ("spiking, digits", spikes, digits),
            ("spiking, MNIST-1D", spikes, signals),
            ("residual, MNIST-1D", blocks(0.0), signals),
            ("residual, stochastic depth .5, MNIST-1D", blocks(0.5), signals),
            ("residual, stochastic depth .2, MNIST-1D", blocks(0.2), signals),
        )
    }
    unrolled = found["deep equilibrium, unrolled, MNIST-1D"]
    plain = found["residual, MNIST-1D"]
    bounds: dict[str, dict[str, float]] = {
        "deep equilibrium, implicit, MNIST-1D": {"must": unrolled - 5},
        "equilibrium propagation, digits": {"must": 95, "reach": 97},
        "spiking, digits": {"must": 96},
        "residual, stochastic depth .2, MNIST-1D": {"must": plain - 3},
    }
    for name, accuracy in found.items():
        report.add(name, accuracy, **bounds.get(name, {}), **PERCENT)
    return report


def _accuracy(
    report: Report, name: str, make: Make, data: Callable[[int], Signals], seeds: range
) -> float:
    """Mean test accuracy at the learning rate that is best on rows held out."""
    apart = data(TUNING_SEED)
    n = len(apart.y) * 4 // 5
    tuning = Signals(apart.X[:n], apart.y[:n], apart.X[n:], apart.y[n:])
    tried = {rate: fit(make(rate, TUNING_SEED), tuning)[0] for rate in RATES}
    rate = max(tried, key=lambda rate: tried[rate])
    fits = [fit(make(rate, seed), data(seed)) for seed in seeds]
    report.details[name] = {
        "rate": rate,
        "accuracy": [score for score, _ in fits],
        "seconds": [seconds for _, seconds in fits],
    }
    mean = statistics.fmean(score for score, _ in fits)
    print(f"{name}: {mean:.1f} at {rate:g}", flush=True)
    return mean


def _deep_gradients(report: Report) -> None:
    """Implicit against unrolled gradients, and the memory that each takes."""
    rng = np.random.default_rng(FIRST_SEED)
    sizes, n = (40, 256, 10), 1024
    rows = Rows.of(rng.standard_normal((n, 40)), np.eye(10)[rng.integers(10, size=n)])
    turn = np.linalg.qr(rng.standard_normal((256, 256)))[0]  # every direction shrinks alike
    model = EquilibriumNetwork(0.9 * turn, random_network(sizes, "tanh", "softmax", rng))

    def objective(gradient: str, iteration: Iteration) -> tuple[EquilibriumObjective, NDArray]:
        found = EquilibriumObjective(rows, model, 0.0, 0.95, gradient, iteration)
        return found, found.flatten(model)

    gradients = {}
    for gradient in GRADIENTS:
        exact, x = objective(gradient, Iteration(1e-13, 1000))
        gradients[gradient] = exact(x)[1]
    unrolled = gradients["unrolled"]
    gap = np.linalg.norm(gradients["implicit"] - unrolled) / np.linalg.norm(unrolled)
    report.add("deep equilibrium: implicit gradient from unrolled", gap, must=1e-6)
    linear = EquilibriumNetwork(0.9 * turn, random_network(sizes, "identity", "softmax", rng))
    for gradient in GRADIENTS:
        peaks = []
        for n_iter in (10, 100):
            some = EquilibriumObjective(rows, linear, 0.0, 0.95, gradient, Iteration(1e-15, n_iter))
            x = some.flatten(linear)
            tracemalloc.start()
            some(x)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        must = {"must": 1.01} if gradient == "implicit" else {}
        claim = f"deep equilibrium, {gradient}: memory at 100 steps over 10"
        report.add(claim, peaks[1] / peaks[0], unit="x", **must)
        report.details[claim] = [peak / 2**20 for peak in peaks]


def _springs_gradient(report: Report) -> None:
    """Cosine of the contrast to the implicit gradient, as the nudge goes to nothing."""
    data = digits(TUNING_SEED)
    rows = Rows.of(data.X[:300].astype(float), np.eye(10)[data.y[:300]])
    sizes = (64, 100, 10)
    start = draw_hopfield(sizes, np.random.default_rng(FIRST_SEED))
    for beta in (0.5, 0.1, 0.01, 0.001):
        objective = HopfieldObjective(rows, sizes, 0.0, beta, "symmetric", Iteration(1e-12, 2000))
        x = objective.flatten(start)
        contrast, exact = objective(x)[1], objective.implicit(x, slice(0, 300))[1]
        cosine = contrast @ exact / np.linalg.norm(contrast) / np.linalg.norm(exact)
        must = {"must": 0.99} if beta == 0.001 else {}
        claim = f"equilibrium propagation: cosine to the implicit gradient, nudge {beta:g}"
        report.add(claim, cosine, higher_is_better=True, **must)


if __name__ == "__main__":
    main(run)
