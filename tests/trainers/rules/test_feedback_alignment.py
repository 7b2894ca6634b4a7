"""Feedback alignment: the direction through given matrices, and weights that come to agree."""

import numpy as np
import pytest

from spectral_estimators import MLPClassifier, MLPRegressor
from spectral_estimators.trainers import FeedbackAlignment
from spectral_nn.models.network.dense import unflatten
from spectral_nn.trainers.rules.base import Memory
from tests.trainers.rules.conftest import make_small


def test_layered_through_its_own_weights_is_the_gradient(small):
    own = Memory(fixed=[layer.coef for layer in small.layers[1:]])
    value, direction, _ = small.write(FeedbackAlignment(direct=False), memory=own)
    exact_value, exact = small.exact()
    assert value == pytest.approx(exact_value)
    np.testing.assert_allclose(direction, exact, atol=1e-14)


def test_direct_through_the_products_of_linear_layers_is_the_gradient():
    """Without nonlinearities the error of each layer is the outputs' times one matrix."""
    small = make_small("identity")
    products = [np.eye(3)]
    for layer in small.layers[:0:-1]:
        products.insert(0, layer.coef @ products[0])
    _, direction, _ = small.write(FeedbackAlignment(), memory=Memory(fixed=products[:-1]))
    np.testing.assert_allclose(direction, small.exact()[1], atol=1e-14)


@pytest.mark.parametrize("direct", [True, False])
def test_the_output_layer_learns_by_its_gradient(direct, small):
    found = unflatten(small.write(FeedbackAlignment(direct=direct))[1], small.network)
    exact = unflatten(small.exact()[1], small.network)
    np.testing.assert_allclose(found.coefs[-1], exact.coefs[-1], atol=1e-15)
    assert not np.allclose(found.coefs[0], exact.coefs[0], atol=1e-3)
    assert FeedbackAlignment(direct=direct).uses_backward is not direct


@pytest.mark.parametrize("direct", [True, False])
def test_weights_come_to_agree_with_the_feedback(direct, rng):
    """The angle to the gradient closes, and the hidden layers learn more than frozen ones."""
    X = rng.standard_normal((600, 8)).astype(np.float32)
    y = np.tanh(2 * X[:, 0] * X[:, 1]) + np.maximum(X[:, 2], 0)
    net = MLPRegressor(
        hidden_layer_sizes=(40, 40),
        solver=FeedbackAlignment(direct=direct),
        init="random",
        learning_rate="cosine",
        learning_rate_init=0.01,
        batch_size=32,
        max_iter=40,
        random_state=0,
    ).fit(X, y)
    assert abs(net.gradient_cosines_[0]) < 0.25
    assert np.mean(net.gradient_cosines_[-5:]) > 0.3
    assert net.loss_curve_[-1] < 0.3 * net.loss_curve_[0]


def test_feedback_meets_no_penalty(rng):
    """A penalty that takes all weights to zero leaves feedback as it was drawn."""
    X = rng.standard_normal((64, 4))
    how = {"init": "random", "solver": FeedbackAlignment("sgd"), "random_state": 0}
    how |= {"hidden_layer_sizes": (6, 5), "learning_rate": "cosine", "max_iter": 30}
    plain = MLPClassifier(**how).fit(X, X[:, 0] > 0)
    shrunk = MLPClassifier(**how, alpha=64.0, learning_rate_init=0.1).fit(X, X[:, 0] > 0)
    for one, other in zip(
        plain._optimizer.memory.fixed, shrunk._optimizer.memory.fixed, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for coef, free in zip(shrunk.coefs_, plain.coefs_, strict=True):
        assert np.linalg.norm(coef) < 0.6 * np.linalg.norm(free)
