"""Residual networks: ways around layers, gradients on all paths, and stochastic depth."""

from dataclasses import replace

import numpy as np
import pytest

from spectral_estimators import MLPClassifier, MLPRegressor
from spectral_nn.models.network.dense import Shape, flatten, random_network
from spectral_nn.models.network.objective import Objective

SIZES = (5, 6, 6, 4, 4, 4, 2)


def residual(rng, *, drop=0.0, activation="tanh", sizes=SIZES):
    network = random_network(sizes, activation, "identity", rng)
    return replace(network, residual=True, depth_drop=drop)


def test_ways_around_are_where_widths_agree():
    shape = Shape(SIZES, "relu", "identity", residual=True, depth_drop=0.6)
    assert shape.skips == (False, True, False, True, True, False)
    np.testing.assert_allclose(shape.survival, (1, 0.8, 1, 0.6, 0.4, 1))
    assert Shape((5, 2), "relu", "identity", True).skips == (False,)
    assert Shape((5, 5, 5), "relu", "identity", True).skips == (False, False)
    assert not any(Shape(SIZES, "relu", "identity").skips)


def test_values_by_hand(rng, xp):
    network = residual(rng, drop=0.6)
    X = rng.standard_normal((7, 5))
    H = X
    for i, gate in enumerate((1, 0.8, 1, 0.6, 0.4)):
        active = gate * np.tanh(H @ network.coefs[i] + network.intercepts[i])
        H = active + H if i in (1, 3, 4) else active
    np.testing.assert_allclose(network.hidden(X), H, rtol=1e-12)
    outputs = H @ network.coefs[5] + network.intercepts[5]
    np.testing.assert_allclose(network.predict(X), outputs, rtol=1e-12)
    there = network.on(xp.asarray(X))
    np.testing.assert_allclose(np.asarray(there.predict(xp.asarray(X))), outputs, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
def test_gradients_of_all_rows_and_of_batches(activation, rng, xp):
    network = residual(rng, activation=activation)
    X, Y = rng.standard_normal((40, 5)), rng.standard_normal((40, 2))
    objective, x = Objective(X, Y, network, 0.1), flatten(network)
    value, gradient = objective(x)
    for i in range(0, x.size, 5):
        step = np.zeros_like(x)
        step[i] = 1e-6
        slope = (objective.value(x + step) - objective.value(x - step)) / 2e-6
        assert slope == pytest.approx(gradient[i], abs=1e-7)
    batch_value, of_batch = objective.on_rows(x, slice(0, 40))
    assert batch_value == pytest.approx(value)
    np.testing.assert_allclose(of_batch, gradient, atol=1e-13)
    there = network.on(xp.asarray(X))
    foreign = Objective(xp.asarray(X), xp.asarray(Y), there, 0.1)(x)
    np.testing.assert_allclose(foreign[1], gradient, atol=1e-12)


def test_layers_are_gone_around_as_often_as_they_should(rng):
    """Mean losses of batches over many draws are those of the eight paths, weighted."""
    network = residual(rng, drop=0.6)
    X, Y = rng.standard_normal((10, 5)), rng.standard_normal((10, 2))
    objective = Objective(X, Y, network, rng=np.random.default_rng(3))
    x, every = flatten(network), slice(0, 10)
    found = [objective.on_rows(x, every)[0] for _ in range(4000)]
    expected, kinds = 0.0, set()
    for path in np.ndindex(2, 2, 2):
        gates = dict(zip((1, 3, 4), path, strict=True))
        share = np.prod([s if g else 1 - s for g, s in zip(path, (0.8, 0.6, 0.4), strict=True)])
        H = X
        for i in range(5):
            active = gates.get(i, 1) * np.tanh(H @ network.coefs[i] + network.intercepts[i])
            H = active + H if i in gates else active
        errors = H @ network.coefs[5] + network.intercepts[5] - Y
        loss = 0.5 * np.mean(errors**2)
        kinds.add(round(loss, 9))
        expected += share * loss
    assert {round(loss, 9) for loss in found} == kinds
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / np.sqrt(4000))


def test_deep_networks_learn_with_ways_around(rng):
    """Ten layers of ReLUs at a rate at which the plain ones stay at the mean."""
    X = rng.standard_normal((600, 6)).astype(np.float32)
    y = X[:, 0] * X[:, 1] + X[:, 2]
    how = {"hidden_layer_sizes": (24,) * 10, "init": "random", "solver": "adam"}
    how |= {"learning_rate": "cosine", "max_iter": 30, "random_state": 0, "batch_size": 64}
    deep = MLPRegressor(residual=True, learning_rate_init=0.003, **how).fit(X, y)
    gone_around = MLPRegressor(
        residual=True, stochastic_depth=0.5, learning_rate_init=0.003, **how
    ).fit(X, y)
    assert deep.score(X, y) > 0.9
    assert gone_around.score(X, y) > 0.5
    assert gone_around.loss_curve_[-1] > deep.loss_curve_[-1]
    again = MLPRegressor(residual=True, stochastic_depth=0.5, learning_rate_init=0.003, **how)
    np.testing.assert_array_equal(again.fit(X, y).predict(X), gone_around.predict(X))


def test_lbfgs_takes_residual_networks(rng):
    X = rng.standard_normal((200, 4))
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    net = MLPRegressor(
        hidden_layer_sizes=(12, 12, 12),
        residual=True,
        init="random",
        activation="tanh",
        max_iter=500,
        max_fun=10**6,
        tol=1e-3,
        random_state=0,
    )
    assert net.fit(X, y).score(X, y) > 0.99
    clone = MLPRegressor(hidden_layer_sizes=(12, 12, 12), init="random", activation="tanh")
    clone.set_params(max_iter=0).fit(X, y)
    clone.coefs_, clone.intercepts_ = net.coefs_, net.intercepts_
    assert not np.allclose(clone.predict(X), net.predict(X))


@pytest.mark.parametrize(
    "settings", [{"residual": False, "solver": "adam"}, {"residual": True, "solver": "lbfgs"}]
)
def test_stochastic_depth_needs_ways_around_and_batches(settings, rng):
    X = rng.standard_normal((20, 3))
    net = MLPClassifier((4, 4), stochastic_depth=0.2, init="random", **settings)
    with pytest.raises(ValueError, match=r"stochastic_depth=0.2 lets batches go around layers"):
        net.fit(X, X[:, 0] > 0)
    assert not hasattr(net, "coefs_")
