"""Forward gradients: slopes by differences, exact projections, and means of many guesses."""

from itertools import product
from typing import get_args

import numpy as np
import pytest
from scipy import sparse

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import ForwardGradient
from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.layers import DenseLayer
from spectral_nn.trainers.rules.base import views
from spectral_nn.trainers.rules.forward_gradient import Guess
from spectral_nn.trainers.rules.heads import as_heads, draw_heads
from tests.trainers.rules.conftest import cosine, make_small

H = 1e-6
GUESSES = get_args(Guess)
SPACES = ["weight", "activity"]


def block_gradients(small, direction):
    """Directions of each layer's weights and intercepts, as one vector each."""
    layers = small.objective.layers(direction)
    return [np.concatenate([layer.coef.ravel(), layer.intercept]) for layer in layers]


def parts_of(small, rule):
    """Directions of hidden layers, and of the last, and the heads at the start."""
    memory = rule.init(small.layers, 3, np.random.default_rng(0))
    _, direction, learned = small.write(rule, memory=memory, rng=np.random.default_rng(1))
    *hidden, last = block_gradients(small, direction)
    return hidden, last, memory, learned


def head_loss(small, block, layer, head):
    """Loss of a head on a block, whose layer is given."""
    values = small.batch.X
    for each in [*small.layers[:block], layer, *head]:
        values = each.forward(values).out
    return small.batch.loss(values)[0]


def slope_of_head(small, block, head, move):
    """Slope of the loss of a head along a direction of its block, by differences."""
    layer = small.layers[block]
    coef = move[: layer.coef.size].reshape(layer.coef.shape)
    intercept = move[layer.coef.size :]

    def loss(t):
        moved = DenseLayer(layer.coef + t * coef, layer.intercept + t * intercept, layer.activation)
        return head_loss(small, block, moved, head)

    return (loss(H) - loss(-H)) / (2 * H)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("space", SPACES)
def test_the_gradient_projected_on_itself(small, space, residual):
    """Backpropagation as the guess: tangents and errors have to agree in every layer."""
    if residual:
        small = make_small(small.network.activation, (5, 6, 6, 6, 3), residual=True)
    rule = ForwardGradient(guess="global", space=space)
    assert rule.exact
    value, direction, _ = small.write(rule)
    exact_value, exact = small.exact()
    assert value == exact_value
    np.testing.assert_allclose(direction, exact, atol=1e-14)


@pytest.mark.parametrize("guess", ["local", "ntk", "fixed-ntk"])
def test_projections_in_the_space_of_weights(small, guess):
    """The residual of the gradient is orthogonal to the estimate, in each block."""
    hidden, last, _, _ = parts_of(small, ForwardGradient(guess=guess))
    *exact, exact_last = block_gradients(small, small.exact()[1])
    for estimate, gradient in zip(hidden, exact, strict=True):
        assert np.linalg.norm(estimate) > 1e-6
        assert estimate @ gradient == pytest.approx(estimate @ estimate, rel=1e-10)
    np.testing.assert_allclose(last, exact_last, atol=1e-14)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_local_guesses_are_gradients_of_heads(small, head):
    """The estimate of a block is a multiple of its head's gradient; heads get theirs."""
    hidden, _, memory, learned = parts_of(small, ForwardGradient(head=head))
    local, _, _, same = parts_of(small, ForwardGradient(target="local", head=head))
    heads = as_heads(memory.learned, small.layers[:-1])
    rng = np.random.default_rng(2)
    for block, (estimate, gradient) in enumerate(zip(hidden, local, strict=True)):
        assert abs(cosine(estimate, gradient)) == pytest.approx(1, abs=1e-10)
        for _ in range(3):
            move = rng.standard_normal(gradient.size)
            slope = slope_of_head(small, block, heads[block], move)
            assert move @ gradient == pytest.approx(slope, abs=1e-7)
    for one, other in zip(learned, same, strict=True):
        np.testing.assert_array_equal(one, other)
    for i, part in enumerate(memory.learned):  # the first entry of each array of the heads
        block, was = i * len(heads) // len(memory.learned), part.flat[0]
        losses = []
        for t in (H, -H):
            part.flat[0] = was + t
            losses.append(head_loss(small, block, small.layers[block], heads[block]))
        part.flat[0] = was
        assert learned[i].flat[0] == pytest.approx((losses[0] - losses[1]) / (2 * H), abs=1e-7)


@pytest.mark.parametrize(("target", "guess"), [("local", "local"), ("global", "global")])
def test_spaces_agree_where_target_and_guess_do(small, target, guess):
    one, other = (
        small.write(ForwardGradient(target=target, guess=guess, space=space))[1] for space in SPACES
    )
    np.testing.assert_allclose(one, other, atol=1e-14)


def test_projections_in_the_space_of_activities():
    """One row at a time: the estimate is the projection of the gradient of its sums."""
    small = make_small(rows=1)
    exact = small.exact()[1]
    estimate = small.write(ForwardGradient(space="activity"))[1]
    blocks = (block_gradients(small, each) for each in (estimate, exact))
    for one, gradient in zip(*blocks, strict=True):
        assert one @ gradient == pytest.approx(one @ one, rel=1e-10)


@pytest.mark.parametrize(
    ("space", "target"), [*product(SPACES, ("global", "local")), ("network", "global")]
)
def test_isotropic_guesses_give_the_gradient_on_average(small, space, target):
    rule = ForwardGradient(target=target, guess="isotropic", space=space, n_directions=1500)
    assert rule.unbiased == (target == "global")
    memory = rule.init(small.layers, 3, np.random.default_rng(0))
    _, mean, _ = small.write(rule, memory=memory, rng=np.random.default_rng(1))
    exact = small.exact()[1]
    if target == "local":
        learner = ForwardGradient(target="local")
        _, exact, _ = small.write(learner, memory=memory)
    mean, exact = (np.concatenate(block_gradients(small, each)[:-1]) for each in (mean, exact))
    assert mean @ exact / (exact @ exact) == pytest.approx(1, abs=0.1)
    assert cosine(mean, exact) > 0.9


def test_activity_guesses_at_the_widths_of_the_comparison():
    small = make_small("relu", (40, 128, 128, 128, 10), rows=64)
    rule = ForwardGradient(guess="isotropic", space="activity")
    rng = np.random.default_rng(0)
    mean = sum(small.write(rule, rng=rng)[1] for _ in range(400)) / 400
    mean, exact = (
        np.concatenate(block_gradients(small, each)[:-1]) for each in (mean, small.exact()[1])
    )
    assert mean @ exact / (exact @ exact) == pytest.approx(1, abs=0.05)
    assert cosine(mean, exact) > 0.9


def test_random_heads_are_new_for_each_batch_unless_fixed():
    small = make_small()
    for guess, again in (("fixed-ntk", True), ("ntk", False)):
        rule = ForwardGradient(guess=guess)
        memory = rule.init(small.layers, 3, np.random.default_rng(0))
        assert memory.learned == []
        rng = np.random.default_rng(1)
        one, other = (small.write(rule, memory=memory, rng=rng)[1] for _ in range(2))
        assert np.array_equal(one, other) == again


def test_random_heads_make_a_mean_of_projections():
    small = make_small()
    mean = small.write(ForwardGradient(guess="ntk", n_directions=2), rng=np.random.default_rng(1))[
        1
    ]
    rng = np.random.default_rng(1)
    each = [small.write(ForwardGradient(guess="ntk"), rng=rng)[1] for _ in range(2)]
    np.testing.assert_allclose(mean, sum(each) / 2, atol=1e-14)


@pytest.mark.parametrize("target", ["global", "local"])
@pytest.mark.parametrize("space", SPACES)
def test_arrays_of_any_library(target, space, xp):
    """The same numbers wherever the arrays are, and their precision."""
    here, there = make_small("relu"), make_small("relu", like=xp.empty(0, dtype=xp.float64))
    for guess, head in product(GUESSES, ("linear", "mlp")):
        rule = ForwardGradient(target=target, guess=guess, space=space, head=head)
        value, direction, learned = there.write(rule)
        exact_value, same, same_learned = here.write(rule)
        assert value == pytest.approx(exact_value)
        np.testing.assert_allclose(to_numpy(direction), same, atol=1e-12)
        for one, other in zip(learned, same_learned, strict=True):
            np.testing.assert_allclose(to_numpy(one), other, atol=1e-12)


def test_single_precision_stays(xp):
    small = make_small("relu", like=xp.empty(0, dtype=xp.float32))
    for guess, space in product(GUESSES, SPACES):
        assert small.write(ForwardGradient(guess=guess, space=space))[1].dtype == xp.float32
    network = ForwardGradient(guess="isotropic", space="network")
    assert small.write(network)[1].dtype == xp.float32


@pytest.mark.parametrize("space", SPACES)
def test_sparse_rows(space):
    small = make_small("relu")
    X = np.where(np.random.default_rng(0).random((30, 5)) < 0.5, 0.0, small.batch.X)
    Y = small.batch.targets
    rule = ForwardGradient("sgd", guess="isotropic", space=space)
    found = []
    for each in (X, sparse.csr_array(X)):
        small.objective = Objective(each, Y, small.network)
        found.append(small.write(rule)[1])
    np.testing.assert_allclose(*found, atol=1e-14)


def test_units_that_are_all_off_learn_nothing():
    small = make_small("relu")
    views(small.layers)[1][1][...] = -1e3
    for guess, space in product(GUESSES, SPACES):
        rule = ForwardGradient(guess=guess, space=space)
        direction = small.write(rule)[1]
        assert np.isfinite(direction).all()
        if guess != "isotropic" or space == "activity":
            np.testing.assert_array_equal(block_gradients(small, direction)[1], 0)


def test_better_than_isotropic_guesses(rng):
    """A planted boundary that hidden units have to find."""
    X = rng.standard_normal((400, 10))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    how = {
        "init": "random",
        "max_iter": 40,
        "learning_rate": "cosine",
        "batch_size": 50,
        "random_state": 0,
    }
    local, isotropic = (
        MLPClassifier(
            (24, 24),
            solver=ForwardGradient("sgd", guess=guess, space="activity"),
            learning_rate_init=rate,
            **how,
        ).fit(X, y)
        for guess, rate in (("local", 0.1), ("isotropic", 0.01))
    )
    assert local.loss_ < 0.3 < isotropic.loss_ < 0.7
    assert np.mean(local.gradient_cosines_) > 0.3


def test_heads_have_the_shapes_that_they_say():
    small = make_small()
    arrays = draw_heads("mlp", small.layers[:-1], 3, np.random.default_rng(0))
    heads = as_heads(arrays, small.layers[:-1])
    shapes = [[layer.coef.shape for layer in head] for head in heads]
    assert shapes == [[(width, 64), (64, 3)] for width in (7, 6, 4)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"target": "far"}, r"target='far': choose one of \['global', 'local'\]"),
        ({"guess": "best"}, "guess='best': choose one of"),
        ({"space": "time"}, "space='time': choose one of"),
        ({"head": "cnn"}, "head='cnn': choose one of"),
        ({"n_directions": 0}, "n_directions=0: give one"),
        ({"n_directions": 3}, "n_directions=3: guess='local' is one direction"),
        ({"space": "network"}, "target='global' and guess='local'; set"),
    ],
)
def test_bad_settings(settings, says):
    with pytest.raises(ValueError, match=says):
        ForwardGradient(**settings)
