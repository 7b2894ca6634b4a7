"""Randomised differentiation: exact where everything is kept, right on average where not."""

import numpy as np
import pytest
from scipy import sparse

from spectral_estimators.trainers import Backprop, RandomizedAD
from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.objective import Objective
from tests.trainers.rules.conftest import cosine, make_small
from tests.trainers.rules.memory import peak_of


def hidden_weights(small, direction):
    """Directions of the hidden layers' weights as one vector."""
    layers = small.objective.layers(direction)[:-1]
    return np.concatenate([layer.coef.ravel() for layer in layers])


@pytest.mark.parametrize("residual", [False, True])
def test_all_rows_of_relus_give_the_gradient(residual):
    small = make_small("relu", (5, 6, 6, 6, 3), residual=residual)
    value, direction, _ = small.write(RandomizedAD(keep=1.0))
    exact_value, exact = small.exact()
    assert value == exact_value
    np.testing.assert_allclose(direction, exact, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "square", "identity"])
def test_smooth_derivatives_are_kept_in_bytes(activation):
    """Nearly the gradient in one draw, and the gradient on average."""
    small = make_small(activation)
    exact = small.exact()[1]
    rng = np.random.default_rng(0)
    draws = [small.write(RandomizedAD(keep=1.0), rng=rng)[1] for _ in range(300)]
    error = np.linalg.norm(draws - exact, axis=1).max()
    assert error < 0.03 * np.linalg.norm(exact)
    assert np.linalg.norm(np.mean(draws, axis=0) - exact) < 0.15 * error + 1e-12


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_gradient_on_average(activation):
    """The bounds of the comparison of all rules, at its widths and its share."""
    small = make_small(activation, (40, 128, 128, 128, 10), rows=64)
    rng = np.random.default_rng(0)
    exact = small.exact()[1]
    mean = sum(small.write(RandomizedAD(), rng=rng)[1] for _ in range(400)) / 400
    mean, hidden = hidden_weights(small, mean), hidden_weights(small, exact)
    assert cosine(mean, hidden) > 0.98
    assert mean @ hidden / (hidden @ hidden) == pytest.approx(1, abs=0.05)


def test_exact_parts():
    """Loss, intercepts, first and last layer do not depend on the draw."""
    small = make_small("relu")
    value, direction, _ = small.write(RandomizedAD(keep=0.2))
    exact_value, exact = small.exact()
    assert value == exact_value
    drawn, true = (small.objective.layers(each) for each in (direction, exact))
    for one, other in zip(drawn, true, strict=True):
        np.testing.assert_allclose(one.intercept, other.intercept, atol=1e-14)
    for layer in (0, -1):
        np.testing.assert_allclose(drawn[layer].coef, true[layer].coef, atol=1e-14)
    assert not np.allclose(drawn[1].coef, true[1].coef)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_arrays_of_any_library(activation, xp):
    """The same draws wherever the arrays are, and their precision."""
    small = make_small(activation, like=xp.empty(0, dtype=xp.float32))
    value, direction, _ = small.write(RandomizedAD(keep=0.5))
    assert direction.dtype == xp.float32
    again, same, _ = make_small(activation).write(RandomizedAD(keep=0.5))
    assert value == pytest.approx(again, rel=1e-5)
    np.testing.assert_allclose(to_numpy(direction), same, atol=3e-4)


def test_sparse_rows():
    small = make_small("relu")
    X = np.where(np.random.default_rng(0).random((30, 5)) < 0.5, 0.0, small.batch.X)
    dense = Objective(X, small.batch.targets, small.network)
    small.objective = Objective(sparse.csr_array(X), small.batch.targets, small.network)
    direction = small.write(RandomizedAD())[1]
    small.objective = dense
    np.testing.assert_allclose(direction, small.write(RandomizedAD())[1], atol=1e-14)


@pytest.mark.parametrize(("activation", "share"), [("relu", 0.25), ("tanh", 0.5)])
def test_memory_at_depth_64(activation, share):
    kept, all_of_it = (
        peak_of(rule, 64, activation=activation) for rule in (RandomizedAD(), Backprop())
    )
    assert kept < share * all_of_it


@pytest.mark.parametrize("keep", [0, -0.1, 1.5])
def test_bad_share(keep):
    with pytest.raises(ValueError, match=f"keep={keep}: give a share above 0"):
        RandomizedAD(keep=keep)
