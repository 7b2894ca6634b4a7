"""Layer-wise learning: each layer's gradient is that of its own loss; stages; frozen layers."""

import numpy as np
import pytest

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import Frozen, LayerWise
from spectral_nn.models.network.dense import unflatten
from spectral_nn.trainers.layers import forward
from spectral_nn.trainers.rules.heads import as_heads
from tests.trainers.rules.conftest import make_small

H = 1e-6


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("residual", [False, True])
def test_directions_are_gradients_of_local_losses(head, residual):
    small = make_small(sizes=(5, 6, 6, 6, 3), residual=residual)
    rule, rng = LayerWise(head=head), np.random.default_rng(0)
    memory = rule.init(small.layers, 3, rng)
    value, direction, learned = small.write(rule, memory=memory)
    assert value == pytest.approx(small.exact()[0])
    size = len(memory.learned) // 2

    def local(layer, i, t, moved):
        """Loss of a layer's head where a weight of the layer, or of the head, moved by t."""
        layers, parts = small.layers, [part.copy() for part in memory.learned]
        values = small.batch.X
        for below in layers[:layer]:
            values = below.forward(values).out
        (layers[layer].coef if moved == "layer" else parts[layer * size]).ravel()[i] += t
        out = layers[layer].forward(values).out
        layers[layer].coef.ravel()[i] -= t if moved == "layer" else 0
        mine = as_heads(parts, layers[:2])[layer]
        return small.batch.loss(forward(mine, out)[-1].out)[0]

    coefs = unflatten(direction, small.network).coefs
    for layer in (0, 1):
        for moved, found in (("layer", coefs[layer]), ("head", learned[layer * size])):
            for i in (0, 7, 13):
                slope = (local(layer, i, H, moved) - local(layer, i, -H, moved)) / (2 * H)
                assert slope == pytest.approx(found.ravel()[i], abs=1e-8)
    exact = unflatten(small.exact()[1], small.network)
    for mine, theirs in zip(coefs[2:], exact.coefs[2:], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-15)


def test_with_one_hidden_layer_it_is_the_gradient():
    small = make_small(sizes=(5, 7, 3))
    for staged in (False, True):
        np.testing.assert_array_equal(small.write(LayerWise(staged=staged))[1], small.exact()[1])


def settings(rule, **more):
    how = {"hidden_layer_sizes": (16, 16, 16), "init": "random", "random_state": 0}
    how |= {"learning_rate": "cosine", "learning_rate_init": 0.02, "alpha": 1.0}
    return MLPClassifier(solver=rule, **(how | more))


def test_stages_move_one_layer_each(rng):
    """In the last of three stages the layers below stay, to the bit, penalty or not."""
    X = rng.standard_normal((200, 6))
    y = (np.abs(X[:, :2]).sum(axis=1) > 1.5).astype(int)
    told = []
    net = settings(LayerWise(staged=True), max_iter=9)
    net.set_params(verbose=lambda stage, step, loss: told.append((stage, step))).fit(X, y)
    assert told == [("layer-wise", step) for step in range(1, 10)]
    first = [coef.copy() for coef in net.coefs_]
    net.set_params(learning_rate="constant").partial_fit(X, y)
    np.testing.assert_array_equal(net.coefs_[0], first[0])
    np.testing.assert_array_equal(net.coefs_[1], first[1])
    assert not np.array_equal(net.coefs_[2], first[2])
    assert not np.array_equal(net.coefs_[3], first[3])


def test_frozen_layers_are_frozen(rng):
    X = rng.standard_normal((200, 6))
    y = (np.abs(X[:, :2]).sum(axis=1) > 1.5).astype(int)
    start = settings("adam", max_iter=0).fit(X, y)
    net = settings(Frozen(), max_iter=5).fit(X, y)
    for i in range(3):
        np.testing.assert_array_equal(net.coefs_[i], start.coefs_[i])
        np.testing.assert_array_equal(net.intercepts_[i], start.intercepts_[i])
    assert not np.array_equal(net.coefs_[3], start.coefs_[3])
    assert net.gradient_cosines_ == [0.0] * 5


def test_frozen_learns_the_outputs_by_their_gradient(small):
    direction = unflatten(small.write(Frozen())[1], small.network)
    exact = unflatten(small.exact()[1], small.network)
    np.testing.assert_array_equal(direction.coefs[-1], exact.coefs[-1])
    assert all((coef == 0).all() for coef in direction.coefs[:-1])


def test_an_unknown_head():
    with pytest.raises(ValueError, match=r"head='deep' is unknown; use one of \['linear', 'mlp'\]"):
        LayerWise(head="deep")
