"""Alternatives to backpropagation on all of MNIST: test errors beside published ones.

Three hidden layers of 256 ReLUs, batches of 128, 20 epochs along half a cosine; each rule at the
learning rate that was best after 10 epochs on 10,000 of the 60,000 training rows held out.
Published: Nøkland, Eidnes 2019 (MLP of 3 x 1,024, batch normalisation, dropout, 100 epochs): one
loss for all layers .75 %, a linear head a layer .68 %; Nøkland 2016: direct feedback alignment with
dropout 1.45 %; Lee et al. 2015: difference target propagation 1.94 %.
"""

from typing import Any

import numpy as np

from bench.harness import Report, main
from bench.mnist_data import Digits, mnist
from bench.trainers_rules import RATES, Signals, fit, network
from spectral_estimators.trainers import (
    Backprop,
    FeedbackAlignment,
    ForwardGradient,
    Frozen,
    LayerWise,
    TargetPropagation,
)
from spectral_nn.trainers.rules.base import Rule

SHAPE: dict[str, Any] = {"hidden_layer_sizes": (256, 256, 256), "batch_size": 128}
EPOCHS, TUNING_EPOCHS, N_JUDGES, SEED = 20, 10, 10_000, 100
SIDES: dict[str, tuple[Rule, dict[str, Any], float | None]] = {
    "backprop, SGD": (Backprop("sgd"), {}, 0.75),
    "frozen": (Frozen("adam"), {}, None),
    "layer-wise, linear head": (LayerWise("sgd", head="linear"), {}, 0.68),
    "layer-wise, MLP head": (LayerWise("sgd", head="mlp"), {}, None),
    "forward gradient, local guess, weights": (
        ForwardGradient("sgd", guess="local", space="weight"),
        {},
        None,
    ),
    "direct feedback alignment": (FeedbackAlignment("adam"), {}, 1.45),
    "difference target propagation, tanh": (
        TargetPropagation("adam"),
        {"activation": "tanh"},
        1.94,
    ),
}
"""Rule, settings of its own, and the published error."""


def run() -> Report:
    """Choose learning rates, fit, and print errors beside the published ones."""
    digits = mnist()
    report = Report(
        "trainers_mnist",
        {
            "data": "MNIST, 60,000 + 10,000, pixels from 0 to 1, float32",
            "network": "784 - 256 - 256 - 256 - 10, no dropout, no normalisation, no penalty",
            "steps": f"batches of 128, {EPOCHS} epochs, half a cosine; rates of {RATES}",
            "seed": SEED,
            "published": "larger networks with dropout or batch normalisation: see the docstring",
        },
    )
    for name, (rule, own, published) in SIDES.items():
        rate, tried = _choose(rule, own, digits)
        error, seconds = _error(rule, own, rate, EPOCHS, _all(digits))
        must = {"must": 1.8} if name.startswith("backprop") else {}
        report.add(f"{name}: test error", error, unit="%", **must)
        if published is not None:
            report.add(f"{name}: published, larger", published, unit="%")
        report.details[name] = {"rate": rate, "seconds": seconds, "validation errors": tried}
        print(f"{name}: {error:.2f} % at {rate:g}, {seconds:.0f} s", flush=True)
    return report


def _all(digits: Digits) -> Signals:
    return Signals(digits.X_train, digits.y_train, digits.X_test, digits.y_test)


def _choose(rule: Rule, own: dict[str, Any], digits: Digits) -> tuple[float, dict[float, float]]:
    """Learning rate with the least error on held-out training rows, and all errors."""
    n = len(digits.y_train) - N_JUDGES
    X, y = digits.X_train, digits.y_train
    apart = Signals(X[:n], y[:n], X[n:], y[n:])
    rates = RATES[rule.optimizer]
    errors = {rate: _error(rule, own, rate, TUNING_EPOCHS, apart)[0] for rate in rates}
    return min(errors, key=lambda rate: errors[rate]), errors


def _error(
    rule: Rule, own: dict[str, Any], rate: float, epochs: int, data: Signals
) -> tuple[float, float]:
    """Test error in percent, and seconds."""
    model = network(rule, rate, SEED, **SHAPE, max_iter=epochs, n_iter_no_change=np.inf, **own)
    accuracy, seconds = fit(model, data)
    return 100 - accuracy, seconds


if __name__ == "__main__":
    main(run)
