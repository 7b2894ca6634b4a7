"""What the benchmarks of learning rules share: MNIST-1D, fits, and learning rates chosen apart.

Learning rates are chosen on one draw of the data, of which 800 of 4,000 rows judge; tables report
on other draws.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.harness import timed
from spectral_estimators import MLPClassifier
from spectral_nn.datasets.mnist1d import make_mnist1d
from spectral_nn.trainers.rules.base import Rule

FIRST_SEED = 100  # the draws below are for trying things out
TUNING_SEED = 0
N_TRAIN, N_JUDGES = 4000, 800
RATES = {"sgd": (0.01, 0.03, 0.1, 0.3), "adam": (0.001, 0.003, 0.01, 0.03)}
EPOCHS, BATCH, HIDDEN = 50, 64, (128, 128, 128)


class Signals(NamedTuple):
    """Rows to learn from, and rows held out."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    test_X: NDArray[np.float32]
    test_y: NDArray[np.int64]


def signals(seed: int) -> Signals:
    """Draw MNIST-1D: 4,000 rows and 1,000."""
    signals, y = make_mnist1d(5000, rng=np.random.default_rng(seed))
    X = signals.astype(np.float32)
    return Signals(X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:])


def judged_apart(data: Signals) -> Signals:
    """Rows to learn from, the last 800 of which judge in the place of the test rows."""
    n = len(data.y) - N_JUDGES
    return Signals(data.X[:n], data.y[:n], data.X[n:], data.y[n:])


def network(rule: Rule | str, rate: float, seed: int, **more: Any) -> MLPClassifier:
    """Three hidden layers of 128 units, 50 epochs, steps along half a cosine."""
    how: dict[str, Any] = {
        "hidden_layer_sizes": HIDDEN,
        "solver": rule,
        "init": "random",
        "alpha": 0.0,
        "batch_size": BATCH,
        "learning_rate": "cosine",
        "learning_rate_init": rate,
        "max_iter": EPOCHS,
        "n_iter_no_change": EPOCHS + 1,
        "random_state": seed,
    }
    return MLPClassifier(**(how | more))


def fit(model: Any, data: Signals) -> tuple[float, float]:
    """Test accuracy in percent, and seconds; 0 where the loss did not stay finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _, seconds = timed(lambda: model.fit(data.X, data.y))
        except ValueError as why:
            if "finite" not in str(why):
                raise
            return 0.0, float("nan")
    return 100 * float(model.score(data.test_X, data.test_y)), seconds


def choose_rate(rule: Rule, **more: Any) -> float:
    """Return the learning rate that is best on rows held out of the draw for tuning."""
    data = judged_apart(signals(TUNING_SEED))
    scores = {
        rate: fit(network(rule, rate, TUNING_SEED, **more), data)[0]
        for rate in RATES[rule.optimizer]
    }
    return max(scores, key=lambda rate: scores[rate])
