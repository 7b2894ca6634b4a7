"""Unbiased rules by their gradient, all rules by their memory.

Gradients: at the start of a network of three hidden layers of 128 ReLUs, on 64 rows of MNIST-1D;
the mean of 400 directions is compared with the gradient, over the hidden layers: its cosine, and
its projection (the product with the gradient over the gradient's square; 1 without bias).
Memory: the most bytes held while the direction of a batch of 1,024 rows is made, float32, 256 units
a layer; parameters, batch and the direction itself are there before and do not count.
"""

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, main
from bench.trainers_rules import HIDDEN, signals
from spectral_estimators.trainers import (
    Backprop,
    Checkpointed,
    FeedbackAlignment,
    ForwardGradient,
    Frozen,
    LayerWise,
    RandomizedAD,
    SyntheticGradients,
)
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.rules.base import Memory, Rule, backpropagate, views
from spectral_nn.trainers.rules.measure import peak_memory

N_DRAWS, SEED = 400, 100
DEPTHS, WIDTH, ROWS = (4, 16, 64), 256, 1024
UNBIASED: dict[str, tuple[Rule, dict[str, float]]] = {
    "randomised AD, 10 %": (RandomizedAD(keep=0.1), {"must": 0.98}),
    "randomised AD, 50 %": (RandomizedAD(keep=0.5), {}),
    "forward gradient, random guess, activities": (
        ForwardGradient(guess="isotropic", space="activity"),
        {},
    ),
    "forward gradient, random guess, weights": (
        ForwardGradient(guess="isotropic", space="weight"),
        {},
    ),
}
MEASURED: dict[str, tuple[Rule, dict[str, float]]] = {
    "checkpointed": (Checkpointed(), {"must": 0.40, "reach": 0.33}),
    "randomised AD, 10 %": (RandomizedAD(keep=0.1), {"must": 0.25}),
    "layer-wise": (LayerWise(), {}),
    "frozen": (Frozen(), {}),
    "direct feedback alignment": (FeedbackAlignment(), {}),
    "synthetic gradients": (SyntheticGradients(), {}),
    "forward gradient, random guess, activities": (
        ForwardGradient(guess="isotropic", space="activity"),
        {},
    ),
}


def run() -> Report:
    """Measure gradients and memory."""
    report = Report(
        "trainers_gradients",
        {
            "gradients": f"means of {N_DRAWS} draws at the start, hidden layers, seed {SEED}",
            "memory": f"tracemalloc, batch of {ROWS}, width {WIDTH}, float32, depths {DEPTHS}",
        },
    )
    _gradients(report)
    _memory(report)
    return report


def _problem(sizes: tuple[int, ...], rows: int, dtype: type) -> tuple[Objective, NDArray]:
    rng = np.random.default_rng(SEED)
    X: NDArray
    if sizes[0] == 40:
        data = signals(SEED)
        X, y = data.X[:rows].astype(dtype), data.y[:rows]
    else:
        X, y = rng.standard_normal((rows, sizes[0])).astype(dtype), rng.integers(0, 10, rows)
    network = random_network(sizes, "relu", "softmax", rng, like=X)
    return Objective(X, np.eye(10, dtype=dtype)[y], network), flatten(network)


def _gradients(report: Report) -> None:
    problem, x = _problem((40, *HIDDEN, 10), 64, np.float64)
    batch, layers = problem.batch(slice(0, 64)), problem.layers(x)
    exact = np.zeros_like(x)
    backpropagate(layers, batch, views(problem.layers(exact)))
    twin = np.zeros_like(x)
    how = {"memory": Memory(), "into_learned": [], "rng": np.random.default_rng(0), "stage": 0}
    Checkpointed().write(layers, batch, views(problem.layers(twin)), **how)
    report.add(
        "checkpointed: largest difference to backprop", np.abs(twin - exact).max(), must=1e-12
    )
    hidden = _hidden(problem, exact)
    for name, (rule, bounds) in UNBIASED.items():
        rng = np.random.default_rng(1)
        memory = rule.init(layers, 10, rng)
        drawn = []
        for _ in range(N_DRAWS):
            direction = np.zeros_like(x)
            learned = [np.zeros_like(part) for part in memory.learned]
            into = views(problem.layers(direction))
            rule.write(layers, batch, into, memory=memory, into_learned=learned, rng=rng, stage=0)
            drawn.append(_hidden(problem, direction))
        total = np.mean(drawn, axis=0)
        report.add(
            f"{name}: cosine of the mean", _cosine(total, hidden), higher_is_better=True, **bounds
        )
        projection = float(total @ hidden / (hidden @ hidden))
        claim = f"{name}: projection of the mean"
        report.add(f"{claim}, less 1", abs(projection - 1), must=0.05)
        report.details[name] = {"projection": projection, "one draw": _cosine(drawn[0], hidden)}


def _hidden(problem: Objective, vector: NDArray) -> NDArray:
    """Entries of a direction that are of hidden layers."""
    parts = [part for pair in views(problem.layers(vector))[:-1] for part in pair]
    return np.concatenate([part.ravel() for part in parts])


def _cosine(one: NDArray, other: NDArray) -> float:
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def _memory(report: Report) -> None:
    for depth in DEPTHS:
        problem, x = _problem((WIDTH, *[WIDTH] * depth, 10), ROWS, np.float32)
        rows = slice(0, ROWS)
        whole = peak_memory(Backprop(), problem, x, rows)
        report.add(f"depth {depth}: backprop", whole / 2**20, unit="MiB")
        for name, (rule, bounds) in MEASURED.items():
            taken = peak_memory(rule, problem, x, rows)
            deepest = bounds if depth == DEPTHS[-1] else {}
            report.add(f"depth {depth}: {name} over backprop", taken / whole, unit="x", **deepest)
            report.details[f"depth {depth}, {name}"] = taken / 2**20


if __name__ == "__main__":
    main(run)
