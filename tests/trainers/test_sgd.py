"""Gradient descent: scikit-learn's numbers, whatever the schedule, the momentum and the loss."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from spectral_estimators import MLPClassifier, MLPRegressor
from spectral_nn.trainers.adam import Adam
from spectral_nn.trainers.sgd import LEARNING_RATES, SGD

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = [
    {},
    {"momentum": 0.0},
    {"nesterovs_momentum": False, "momentum": 0.7},
    {"learning_rate": "invscaling", "power_t": 0.25},
    {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    {"alpha": 0.1, "activation": "tanh", "hidden_layer_sizes": (6, 3)},
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
]


def same_path(ours, theirs, X, y, **settings):
    """Fit both; our parameters and losses are theirs."""
    settings = {
        "solver": "sgd",
        "hidden_layer_sizes": (7,),
        "learning_rate_init": 0.02,
        "max_iter": 8,
        "batch_size": 16,
        "random_state": 3,
    } | settings
    one, other = ours(init="random", **settings).fit(X, y), theirs(**settings).fit(X, y)
    assert one.n_iter_ == other.n_iter_
    assert one.t_ == other.t_
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-8)
    for mine, their in zip(
        (*one.coefs_, *one.intercepts_), (*other.coefs_, *other.intercepts_), strict=True
    ):
        assert_allclose(mine, their, rtol=1e-7, atol=1e-10)
    assert one._optimizer.learning_rate == pytest.approx(other._optimizer.learning_rate, rel=1e-12)
    return one, other


@pytest.fixture
def table(rng):
    X = rng.standard_normal((90, 5))
    return X, np.tanh(X @ rng.standard_normal(5)) + X[:, 0]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_steps_are_those_of_scikit_learn(settings, shuffle, table):
    X, y = table
    same_path(MLPRegressor, TheirRegressor, X, y, shuffle=shuffle, **settings)
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    same_path(MLPClassifier, TheirClassifier, X, labels, shuffle=shuffle, **settings)


@pytest.mark.parametrize("settings", SETTINGS)
def test_early_stopping_is_that_of_scikit_learn(settings, table):
    X, y = table
    settings = {"early_stopping": True, "max_iter": 30, "validation_fraction": 0.2} | settings
    one, other = same_path(MLPRegressor, TheirRegressor, X, y, **settings)
    assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-8)
    one, other = same_path(MLPClassifier, TheirClassifier, X, y > y.mean(), **settings)
    assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-8)


def test_weights_count_as_in_scikit_learn(table, rng):
    X, y = table
    weight = rng.uniform(0.2, 2.0, 90)
    settings = {"solver": "sgd", "hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
    ours = MLPRegressor(init="random", **settings).fit(X, y, weight)
    theirs = TheirRegressor(**settings).fit(X, y, weight)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)


class Parabola:
    """x²/2, of one row."""

    n_rows = 1

    def on_rows(self, x, rows):
        return 0.5 * float(x @ x), x.copy()


def descend(**settings):
    trainer = SGD(**({"shuffle": False, "learning_rate_init": 0.1, "max_iter": 500} | settings))
    return trainer.train(Parabola(), np.ones(1), rng=np.random.default_rng(0))


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
def test_every_schedule_descends(learning_rate):
    found = descend(learning_rate=learning_rate, momentum=0.5, power_t=0.1, n_iter_no_change=40)
    assert found.converged
    assert found.value < 1e-2
    assert found.state.rows_seen == found.n_iter


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_the_cosine_takes_the_steps_to_nothing(kind):
    """Rates of epochs are half a wave; the last epoch converges; a later fit begins anew."""
    rates = []

    class Watched(Parabola):
        def on_rows(self, x, rows):
            rates.append(float(x[0]))
            return 0.0, np.ones(1)  # a slope: each step is as long as the rate

    trainer = kind(
        shuffle=False,
        learning_rate="cosine",
        learning_rate_init=0.1,
        max_iter=8,
        n_iter_no_change=99,
    )
    if kind is SGD:
        trainer = replace(trainer, momentum=0.0)
    found = trainer.train(Watched(), np.ones(1), rng=np.random.default_rng(0))
    assert found.converged
    assert found.message == "the steps have come down to nothing"
    steps = -np.diff([*rates, float(found.x[0])])
    assert_allclose(steps, 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8)), rtol=1e-5)
    again = trainer.train(Watched(), found.x, rng=np.random.default_rng(0), state=found.state)
    assert_allclose(again.x - found.x, found.x - 1, rtol=1e-5)


def test_the_adaptive_rate_ends_below_a_millionth():
    found = descend(learning_rate="adaptive", tol=1.0, n_iter_no_change=1)
    assert found.converged
    assert found.state.learning_rate <= 1e-6
