"""Epochs of backpropagation by Adam: ours, scikit-learn's and PyTorch's, on one thread.

All sides take the same steps on the same rows: float32, ReLU, ten classes, batches in random order.
An epoch's time is what a fit of five takes beyond one of a single epoch, over four: checks of the
input count on no side.  Accuracy is that of `bench.trainers`, not looked at here.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier as ScikitMLP

from bench.harness import Report, main
from spectral_estimators import MLPClassifier

N_ROWS, N_CLASSES, EPOCHS = 4000, 10, 5
FEATURES, DEPTHS, WIDTHS, BATCHES = (40, 784), (1, 3), (128, 512), (64, 200)


def ours(X: NDArray, y: NDArray, widths: tuple[int, ...], batch: int, epochs: int) -> float:
    """Seconds of a fit of our estimator."""
    return _fit(MLPClassifier, X, y, widths, batch, epochs, init="random")


def scikit_learn(X: NDArray, y: NDArray, widths: tuple[int, ...], batch: int, epochs: int) -> float:
    """Seconds of a fit of scikit-learn's."""
    return _fit(ScikitMLP, X, y, widths, batch, epochs)


def _fit(
    kind: Any, X: NDArray, y: NDArray, widths: tuple[int, ...], batch: int, epochs: int, **more: Any
) -> float:
    model = kind(
        widths,
        solver="adam",
        batch_size=batch,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
        **more,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # epochs used up: what all sides are to do
        begin = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - begin


def pytorch(X: NDArray, y: NDArray, widths: tuple[int, ...], batch: int, epochs: int) -> float:
    """Seconds of the usual loop over a network of PyTorch's layers."""
    torch.manual_seed(0)
    sizes = (X.shape[1], *widths)
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in zip(sizes, widths, strict=False):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], N_CLASSES))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loss = torch.nn.CrossEntropyLoss()
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    begin = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch):
            rows = order[start : start + batch]
            optimizer.zero_grad()
            loss(network(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    return time.perf_counter() - begin


SIDES: dict[str, Callable[..., float]] = {
    "ours": ours,
    "scikit-learn": scikit_learn,
    "PyTorch": pytorch,
}


def run(rounds: int = 5) -> Report:
    """Time an epoch of all sides in turn, for every size."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    report = Report(
        "trainers_speed",
        {
            "rows": f"{N_ROWS}, normal, float32",
            "ours": 'MLPClassifier(solver="adam", init="random")',
            "rivals": "scikit-learn's MLPClassifier; torch.nn.Linear, ReLU, torch.optim.Adam",
            "timed": f"an epoch, median of {rounds} rounds in turn, one thread",
        },
    )
    for d in FEATURES:
        X = rng.standard_normal((N_ROWS, d)).astype(np.float32)
        y = rng.integers(0, N_CLASSES, N_ROWS)
        for depth in DEPTHS:
            for width in WIDTHS:
                for batch in BATCHES:
                    seconds = _race(X, y, (width,) * depth, batch, rounds)
                    _compare(report, f"{d} features, {depth} x {width}, batch {batch}", seconds)
    return report


def _race(
    X: NDArray, y: NDArray, widths: tuple[int, ...], batch: int, rounds: int
) -> dict[str, float]:
    """Median seconds of an epoch of each side."""
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for i in range(rounds + 1):  # the first compiles
        for side in sorted(SIDES, reverse=i % 2 == 1):
            one, more = (SIDES[side](X, y, widths, batch, epochs) for epochs in (1, EPOCHS))
            if i > 0:
                taken[side].append((more - one) / (EPOCHS - 1))
    return {side: statistics.median(each) for side, each in taken.items()}


def _compare(report: Report, label: str, seconds: dict[str, float]) -> None:
    for side, must in (("scikit-learn", 1.0), ("PyTorch", 1.3)):
        ratio = seconds["ours"] / seconds[side]
        report.add(f"{label}: time over {side}", ratio, must=must, reach=1.0, unit="x")
    report.details[label] = seconds


if __name__ == "__main__":
    main(run)
