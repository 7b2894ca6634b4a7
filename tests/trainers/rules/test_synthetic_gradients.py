"""Synthetic gradients: with perfect modules they are the gradient; modules learn bootstrapped."""

import numpy as np
import pytest

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import SyntheticGradients
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.base import MISSING
from spectral_nn.trainers.rules.base import Memory, views
from tests.trainers.rules.conftest import Small, cosine, make_small


def make_linear(rng, sizes=(5, 6, 4, 3)):
    """A linear network with squared errors, the error of which is linear in values and targets."""
    network = random_network(sizes, "identity", "identity", rng)
    X, Y = rng.standard_normal((30, sizes[0])), rng.standard_normal((30, sizes[-1]))
    return Small(network, Objective(X, Y, network), flatten(network))


def perfect_modules(network):
    """Of hidden layers: with ŷ = h M + m, a row's error is (h M + m - y) Mᵀ / q."""
    learned = []
    for i in range(len(network.coefs) - 1):
        M, m = np.eye(network.sizes[i + 1]), np.zeros(network.sizes[i + 1])
        for W, b in zip(network.coefs[i + 1 :], network.intercepts[i + 1 :], strict=True):
            M, m = M @ W, m @ W + b
        back = M.T / M.shape[1]
        learned += [np.vstack([M @ back, -back]), m @ back]
    return Memory(learned)


def test_perfect_modules_give_the_gradient_and_stay(rng):
    small = make_linear(rng)
    memory = perfect_modules(small.network)
    value, direction, learned = small.write(SyntheticGradients(), memory=memory)
    exact_value, exact = small.exact()
    assert value == pytest.approx(exact_value)
    np.testing.assert_allclose(direction, exact, atol=1e-14)
    for part in learned:
        np.testing.assert_allclose(part, 0, atol=1e-14)


def test_modules_that_are_trained_become_perfect(rng):
    """Bootstrapped targets have one fixed point: the errors, where modules can express them."""
    small = make_linear(rng)
    rule = SyntheticGradients()
    memory = rule.init(small.layers, 3, rng)
    for _ in range(4000):
        _, direction, learned = small.write(rule, memory=memory)
        for part, slope in zip(memory.learned, learned, strict=True):
            part -= 0.3 * slope
    np.testing.assert_allclose(direction, small.exact()[1], atol=1e-3)


@pytest.mark.parametrize("condition", [True, False])
@pytest.mark.parametrize("residual", [False, True])
def test_what_modules_descend(condition, residual, rng):
    """The mean squared distance to the error that comes down, which is taken as given."""
    small = make_small(sizes=(5, 6, 6, 3), residual=residual)
    rule = SyntheticGradients(condition=condition)
    memory = rule.init(small.layers, 3, rng)
    assert all(not part.any() for part in memory.learned)
    seen = [6 + 3 * condition, 6]
    assert [part.shape for part in memory.learned] == [(seen[0], 6), (6,)] * 2
    for part in memory.learned:
        part += rng.standard_normal(part.shape)
    _, _, learned = small.write(rule, memory=memory)
    traces, rows = [], small.batch.X
    for layer in small.layers:
        traces.append(layer.forward(rows))
        rows = traces[-1].out
    P = np.exp(rows - rows.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    above = (P - small.batch.targets) @ small.layers[2].coef.T
    for i in (1, 0):
        inputs = traces[i].out
        if condition:
            inputs = np.hstack([inputs, small.batch.targets])
        A, c = memory.learned[2 * i], memory.learned[2 * i + 1]
        missed = inputs @ A + c - above
        np.testing.assert_allclose(learned[2 * i], inputs.T @ missed / 30, atol=1e-12)
        np.testing.assert_allclose(learned[2 * i + 1], missed.mean(axis=0), atol=1e-12)
        predicted = inputs @ A + c
        slope = 1 - traces[i].active ** 2
        above = (predicted * slope) @ small.layers[i].coef.T
        above += predicted if small.layers[i].skip else 0


def test_weights_of_rows_do_not_change_the_scale_of_modules(rng):
    """Weights that are all 50 are the same as none."""
    small = make_small()
    heavy = Objective(
        small.objective._X,
        small.objective._targets,
        small.network,
        sample_weight=np.r_[np.full(29, 50.0), 51.0],
    )
    rule = SyntheticGradients()
    memory = rule.init(small.layers, 3, rng)
    _, direction, learned = small.write(rule, memory=memory)
    _, other, others = Small(small.network, heavy, small.x).write(rule, memory=memory)
    assert cosine(direction, other) > 0.999
    np.testing.assert_allclose(learned[-1], others[-1], atol=1e-2)


def test_other_libraries(xp, rng):
    small = make_small()
    rule = SyntheticGradients()
    memory = rule.init(small.layers, 3, rng)
    for part in memory.learned:
        part += rng.standard_normal(part.shape)
    _, direction, learned = small.write(rule, memory=memory)
    X, Y = (xp.asarray(np.asarray(a)) for a in (small.batch.X, small.batch.targets))
    there = Objective(X, Y, small.network.on(X))
    x = xp.asarray(small.x)
    kept = rule.init(there.layers(x), 3, rng)
    assert [tuple(part.shape) for part in kept.learned] == [p.shape for p in memory.learned]
    kept = Memory([xp.asarray(part) for part in memory.learned])
    into, into_learned = xp.zeros_like(x), [xp.zeros_like(part) for part in kept.learned]
    rule.write(
        there.layers(x),
        there.batch(slice(0, 30)),
        views(there.layers(into)),
        memory=kept,
        into_learned=into_learned,
        rng=rng,
        stage=0,
    )
    np.testing.assert_allclose(np.asarray(into), direction, atol=1e-12)
    np.testing.assert_allclose(np.asarray(into_learned[0]), learned[0], atol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_hidden_layers_learn(optimizer):
    """Of a parity, which is out of the reach of random features of this number."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (2000, 6))
    y = X[:, :3].prod(axis=1)
    how = {
        "hidden_layer_sizes": (24, 24),
        "init": "random",
        "batch_size": 50,
        "learning_rate": "cosine",
        "learning_rate_init": 0.01 if optimizer == "adam" else 0.05,
        "max_iter": 30,
        "n_iter_no_change": 1000,
        "random_state": 0,
    }
    net = MLPClassifier(solver=SyntheticGradients(optimizer), **how).fit(X, y)
    assert net.score(X, y) > 0.98
    assert len(net.gradient_cosines_) == 30
    assert net.gradient_cosines_[0] == 0
    assert max(net.gradient_cosines_) > 0.5


def test_no_hidden_layers_is_refused(rng):
    X, y = rng.standard_normal((30, 3)), rng.integers(0, 2, 30)
    with pytest.raises(ValueError, match=MISSING["hidden layers"][:20]):
        MLPClassifier((), solver=SyntheticGradients()).fit(X, y)
