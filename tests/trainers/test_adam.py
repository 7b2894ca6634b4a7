"""Adam: scikit-learn's numbers, stopping, and going on from a state."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from spectral_nn.models.network.dense import flatten, random_network, unflatten
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.adam import adam

ROWS = np.linspace(-1.0, 1.0, 12)


def mean_square(x, rows):
    """Half the mean squared distance of x (1,) to some rows."""
    return 0.5 * float(np.mean((x - ROWS[rows]) ** 2)), x - np.mean(ROWS[rows])


def run(**more):
    settings = {
        "n_rows": 12,
        "batch_size": 5,
        "learning_rate": 0.05,
        "max_iter": 40,
        "tol": 0.0,
        "n_iter_no_change": 100,
        "rng": np.random.default_rng(0),
    }
    return adam(mean_square, np.array([2.0]), **(settings | more))


@pytest.mark.parametrize("epochs", [1, 4])
def test_same_steps_as_scikit_learn(epochs, rng):
    X = rng.standard_normal((50, 5))
    y = np.tanh(X @ rng.standard_normal(5)) + X[:, 0]
    model = MLPRegressor(
        hidden_layer_sizes=(7, 4),
        solver="adam",
        max_iter=epochs,
        batch_size=16,
        shuffle=False,
        alpha=0.1,
        learning_rate_init=0.01,
        random_state=3,
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    start = random_network(
        (5, 7, 4, 1),
        "relu",
        "identity",
        np.random.RandomState(3),
    )
    found = adam(
        Objective(X, y[:, None], start, 0.1).on_rows,
        flatten(start),
        n_rows=50,
        batch_size=16,
        learning_rate=0.01,
        max_iter=epochs,
        tol=1e-4,
        n_iter_no_change=10,
        rng=rng,
        shuffle=False,
    )
    np.testing.assert_allclose(found.history, model.loss_curve_, rtol=1e-10)
    network = unflatten(found.x, start)
    for mine, theirs in zip(network.coefs, model.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(network.intercepts, model.intercepts_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def test_finds_a_minimum_and_tells_every_epoch():
    told = []
    start = np.array([2.0])
    found = run(max_iter=300, n_iter_no_change=300, on_step=lambda *what: told.append(what))
    assert abs(found.x[0]) < 0.1
    assert (found.n_iter, len(found.history), found.converged) == (300, 300, False)
    assert [step for step, _, _ in told] == list(range(1, 301))
    assert [value for _, value, _ in told] == found.history
    assert found.value == found.history[-1]
    assert found.state.t == 900
    np.testing.assert_array_equal(start, 2.0)


def test_state_carries_on():
    whole = run(max_iter=6, shuffle=False)
    first = run(max_iter=2, shuffle=False)
    before = first.state.m.copy()
    rest = adam(
        mean_square,
        first.x,
        n_rows=12,
        batch_size=5,
        learning_rate=0.05,
        max_iter=4,
        tol=0.0,
        n_iter_no_change=100,
        rng=np.random.default_rng(0),
        shuffle=False,
        state=first.state,
    )
    np.testing.assert_array_equal(rest.x, whole.x)
    assert first.history + rest.history == whole.history
    assert rest.state.t == whole.state.t
    np.testing.assert_array_equal(first.state.m, before)
    with pytest.raises(ValueError, match="state is of 1 parameters, start of 2"):
        adam(
            mean_square,
            np.zeros(2),
            n_rows=12,
            batch_size=5,
            max_iter=1,
            tol=0.0,
            n_iter_no_change=1,
            rng=np.random.default_rng(0),
            state=first.state,
        )


def test_stops_when_nothing_is_gained():
    found = run(max_iter=1000, tol=1e-3, n_iter_no_change=5)
    assert found.converged
    assert found.n_iter < 1000
    assert min(found.history[:-6]) - min(found.history[-6:]) <= 1e-3


def test_on_step_may_stop():
    found = run(on_step=lambda step, value, x: step == 3)
    assert (found.n_iter, found.converged, found.message) == (3, False, "on_step asked to stop")


def test_order_depends_on_the_generator_alone():
    first, second = run(), run()
    np.testing.assert_array_equal(first.x, second.x)
    assert run(rng=np.random.default_rng(1)).x != first.x


def test_every_row_once_an_epoch():
    seen = []

    def noted(x, rows):
        seen.append(rows)
        return mean_square(x, rows)

    adam(
        noted,
        np.zeros(1),
        n_rows=12,
        batch_size=5,
        max_iter=2,
        tol=0.0,
        n_iter_no_change=9,
        rng=np.random.default_rng(0),
    )
    assert [len(rows) for rows in seen] == [5, 5, 2] * 2
    for epoch in (seen[:3], seen[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(12))


def test_no_epoch_and_values_that_are_not_finite():
    found = run(max_iter=0)
    assert (found.x[0], found.history, found.state.t) == (2.0, [], 0)
    assert np.isnan(found.value)
    broken = adam(
        lambda x, rows: (np.nan, x),
        np.zeros(1),
        n_rows=4,
        batch_size=2,
        max_iter=9,
        tol=0.0,
        n_iter_no_change=9,
        rng=np.random.default_rng(0),
    )
    assert (broken.n_iter, broken.converged, broken.message) == (
        1,
        False,
        "the value is not finite",
    )
