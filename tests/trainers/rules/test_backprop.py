"""The three closed forms of a layer, by finite differences, and backpropagation made of them."""

import numpy as np
import pytest

from spectral_estimators import MLPRegressor
from spectral_estimators.trainers import Backprop
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.trainers.layers import DenseLayer
from tests.trainers.rules.conftest import make_small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
H = 1e-6


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, None])
def test_closed_forms_of_a_layer(activation, skip, xp, rng):
    """The tangent is a difference quotient; the error that goes back is its adjoint."""
    W, b, X = rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal((6, 4))
    dW, db, dX = (0.5 * rng.standard_normal(a.shape) for a in (W, b, X))

    def layer(t):
        how = ACTIVATIONS.get(activation)
        ways = (False, 1.0) if activation is None else (skip, 0.7)  # outputs have no way around
        return DenseLayer(xp.asarray(W + t * dW), xp.asarray(b + t * db), how, *ways)

    trace = layer(0).forward(xp.asarray(X))
    tangent = np.asarray(
        layer(0).push_forward(trace, xp.asarray(dX), xp.asarray(dW), xp.asarray(db))
    )
    ahead, behind = (np.asarray(layer(t).forward(xp.asarray(X + t * dX)).out) for t in (H, -H))
    np.testing.assert_allclose(tangent, (ahead - behind) / (2 * H), rtol=1e-5, atol=1e-7)
    error = rng.standard_normal(X.shape)
    into = (xp.empty_like(xp.asarray(W)), xp.empty_like(xp.asarray(b)))
    below = np.asarray(layer(0).pull_back(trace, xp.asarray(error.copy()), into))
    adjoint = (np.asarray(into[0]) * dW).sum() + np.asarray(into[1]) @ db + (below * dX).sum()
    assert adjoint == pytest.approx((error * tangent).sum(), rel=1e-9)


@pytest.mark.parametrize("residual", [False, True])
def test_backprop_is_the_gradient(residual):
    small = make_small(sizes=(5, 6, 6, 6, 3), residual=residual)
    value, direction, _ = small.write(Backprop())
    exact_value, exact = small.exact()
    assert value == pytest.approx(exact_value)
    np.testing.assert_allclose(direction, exact, atol=1e-14)
    for i in range(0, small.x.size, 7):
        step = np.zeros_like(small.x)
        step[i] = H
        slope = small.objective.value(small.x + step) - small.objective.value(small.x - step)
        assert slope / (2 * H) == pytest.approx(direction[i], abs=1e-8)


@pytest.mark.parametrize("init", ["tensor", "random"])
@pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_steps_of_its_optimiser(optimizer, init, rng):
    X = rng.standard_normal((60, 4))
    y = np.tanh(X[:, 0]) + X[:, 1]
    how = {
        "hidden_layer_sizes": (5,),
        "max_iter": 4,
        "random_state": 0,
        "batch_size": 16,
        "init": init,
    }
    by_name = MLPRegressor(solver=optimizer, **how).fit(X, y)
    by_rule = MLPRegressor(solver=Backprop(optimizer), **how).fit(X, y)
    np.testing.assert_array_equal(by_name.predict(X), by_rule.predict(X))
    assert by_rule.gradient_cosines_ == []
