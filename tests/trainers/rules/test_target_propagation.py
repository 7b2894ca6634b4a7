"""Target propagation: its local losses, exact inverses, and what it learns."""

import numpy as np
import pytest

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import TargetPropagation
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.layers import DenseLayer
from spectral_nn.trainers.rules.base import Memory, views
from spectral_nn.trainers.rules.target_propagation import learn_inverse
from tests.trainers.rules.conftest import Small, make_small

H = 1e-6


def make_invertible(rng, width=4, depth=3):
    """A linear network whose hidden layers are square, and its exact inverses."""
    network = random_network((width,) * (depth + 1) + (2,), "identity", "identity", rng)
    X, Y = rng.standard_normal((30, width)), rng.standard_normal((30, 2))
    learned = []
    for W, b in zip(network.coefs[1:-1], network.intercepts[1:-1], strict=True):
        back = np.linalg.inv(W)
        learned += [back, -b @ back]
    return Small(network, Objective(X, Y, network), flatten(network)), Memory(learned)


def outputs_after(network, h, above):
    """What the layers from number `above` on make of values h."""
    for W, b in zip(network.coefs[above:-1], network.intercepts[above:-1], strict=True):
        h = h @ W + b
    return h


@pytest.mark.parametrize("difference", [True, False])
def test_exact_inverses_of_linear_layers_give_targets_that_reach_the_first(difference, rng):
    """Gauss-Newton: the least change of a layer after which the top is at its target."""
    small, memory = make_invertible(rng)
    network, step = small.network, 0.7
    rule = TargetPropagation(difference=difference, step=step, noise=0.0)
    value, direction, learned = small.write(rule, memory=memory)
    exact_value, exact = small.exact()
    assert value == pytest.approx(exact_value)
    written, gradient = small.objective.layers(direction), small.objective.layers(exact)
    for i in (2, 3):  # the last hidden layer's target is a step down the loss
        np.testing.assert_allclose(written[i].coef, gradient[i].coef, atol=1e-12)
    values = [small.batch.X]
    for i in range(3):
        values.append(values[-1] @ network.coefs[i] + network.intercepts[i])
    error = (values[3] @ network.coefs[3] + network.intercepts[3] - small.batch.targets) / 2
    top = values[3] - step * error @ network.coefs[3].T
    for i in (0, 1):
        jacobian = np.linalg.multi_dot([*network.coefs[i + 1 : 3], np.eye(4)])
        target = values[i + 1] + np.linalg.solve(jacobian.T, (top - values[3]).T).T
        np.testing.assert_allclose(outputs_after(network, target, i + 1), top, atol=1e-10)
        local = values[i].T @ (values[i + 1] - target) / (30 * step)
        np.testing.assert_allclose(written[i].coef, local, atol=1e-10)
    for part in learned:  # exact inverses have nothing to learn
        np.testing.assert_allclose(part, 0, atol=1e-12)


@pytest.mark.parametrize("difference", [True, False])
def test_targets(difference, rng):
    """The recursion of the paper, written for one row after the other."""
    small = make_small(sizes=(5, 6, 4, 7, 3))
    rule = TargetPropagation(difference=difference, step=0.3)
    memory = rule.init(small.layers, 3, rng)
    for part in memory.learned:
        part += 0.1 * rng.standard_normal(part.shape)
    _, direction, _ = small.write(rule, memory=memory)
    W, b = small.network.coefs, small.network.intercepts
    V, c = memory.learned[::2], memory.learned[1::2]
    expected = [np.zeros_like(w) for w in W]
    for x, y in zip(small.batch.X, small.batch.targets, strict=True):
        h = [x]
        for i in range(3):
            h.append(np.tanh(h[-1] @ W[i] + b[i]))
        p = np.exp(h[3] @ W[3] + b[3])
        error = p / p.sum() - y
        expected[3] += np.outer(h[3], error) / 30
        target = h[3] - 0.3 * W[3] @ error
        for i in (2, 1, 0):
            missed = (h[i + 1] - target) / 0.3 * (1 - h[i + 1] ** 2)
            expected[i] += np.outer(h[i], missed) / 30
            if i:
                seen = np.tanh(target @ V[i - 1] + c[i - 1])
                if difference:
                    seen += h[i] - np.tanh(h[i + 1] @ V[i - 1] + c[i - 1])
                target = seen
    for found, wanted in zip(small.objective.layers(direction), expected, strict=True):
        np.testing.assert_allclose(found.coef, wanted, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_inverses_descend_their_reconstruction(activation, rng):
    small = make_small(activation, sizes=(5, 6, 4, 3))
    rule = TargetPropagation(noise=0.2)
    memory = rule.init(small.layers, 3, rng)
    assert [part.shape for part in memory.learned] == [(4, 6), (6,)]
    V, c = memory.learned
    c += 0.1 * rng.standard_normal(c.shape)  # away from the kink of the ReLU
    below = small.layers[0].forward(small.batch.X).out
    noise = 0.2 * np.random.default_rng(1).standard_normal(below.shape)

    def reconstruction(V, c, below):
        found = DenseLayer(V, c, ACTIVATIONS[activation])
        found = found.forward(small.layers[1].forward(below).out).out
        return 0.5 * ((found - below) ** 2).sum(axis=1).mean()

    _, _, learned = small.write(rule, memory=memory, rng=np.random.default_rng(1))
    for part, slope in zip(memory.learned, learned, strict=True):
        for i in np.ndindex(part.shape):
            kept, losses = part[i], []
            for shift in (H, -H):
                part[i] = kept + shift
                losses.append(reconstruction(V, c, below + noise))
            part[i] = kept
            assert slope[i] == pytest.approx((losses[0] - losses[1]) / (2 * H), abs=1e-8)


def test_inverses_that_are_trained_invert(rng):
    """A layer that can be inverted is, up to what tanh can express."""
    layer = DenseLayer(0.5 * rng.standard_normal((3, 12)), np.zeros(12), ACTIVATIONS["tanh"])
    inverse = DenseLayer(0.1 * rng.standard_normal((12, 3)), np.zeros(3), ACTIVATIONS["tanh"])
    below = np.tanh(rng.standard_normal((200, 3)))
    into = (np.zeros((12, 3)), np.zeros(3))
    for _ in range(3000):
        learn_inverse(inverse, layer, below, into)
        inverse.coef[...] -= 0.3 * into[0]
        inverse.intercept[...] -= 0.3 * into[1]
    found = inverse.forward(layer.forward(below).out).out
    assert ((found - below) ** 2).mean() < 0.02 * below.var()


def test_one_hidden_layer_has_the_gradient():
    small = make_small(sizes=(5, 6, 3))
    _, direction, learned = small.write(TargetPropagation())
    np.testing.assert_allclose(direction, small.exact()[1], atol=1e-14)
    assert learned == []


def test_other_libraries(xp, rng):
    small = make_small()
    rule = TargetPropagation()
    memory = rule.init(small.layers, 3, rng)
    _, direction, learned = small.write(rule, memory=memory, rng=np.random.default_rng(3))
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
        rng=np.random.default_rng(3),
        stage=0,
    )
    np.testing.assert_allclose(np.asarray(into), direction, atol=1e-12)
    for found, wanted in zip(into_learned, learned, strict=True):
        np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-12)


PLAIN = TargetPropagation(difference=False, step=1.0, noise=0.1)


@pytest.mark.parametrize(
    ("rule", "activation"),
    [(TargetPropagation(), "tanh"), (TargetPropagation(), "relu"), (PLAIN, "tanh")],
)
def test_hidden_layers_learn(rule, activation):
    """Of a parity, which is out of the reach of random features of this number."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (2000, 6))
    y = X[:, :3].prod(axis=1)
    net = MLPClassifier(
        (24, 24),
        activation=activation,
        solver=rule,
        init="random",
        batch_size=50,
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=30,
        n_iter_no_change=1000,
        random_state=0,
    ).fit(X, y)
    assert net.score(X, y) > 0.98
    assert len(net.gradient_cosines_) == 30


def test_bad_settings_are_named(rng):
    with pytest.raises(ValueError, match=r"step=0 leads to no target; give a positive number"):
        TargetPropagation(step=0)
    with pytest.raises(ValueError, match=r"noise=-1 is no standard deviation"):
        TargetPropagation(noise=-1)
    small = make_small(sizes=(5, 6, 6, 3), residual=True)
    with pytest.raises(ValueError, match=r"residual=True.*use residual=False or another"):
        TargetPropagation().init(small.layers, 3, rng)
