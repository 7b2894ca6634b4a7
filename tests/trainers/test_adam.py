"""Adam: scikit-learn's numbers, and what trainers on mini-batches share."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from spectral_nn.models.network.dense import flatten, random_network, unflatten
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.adam import Adam

ROWS = np.linspace(-1.0, 1.0, 12)


class MeanSquare:
    """Half the mean squared distance of x (1,) to some rows."""

    n_rows = 12

    def __init__(self):
        self.seen = []

    def on_rows(self, x, rows):
        self.seen.append(rows)
        return 0.5 * float(np.mean((x - ROWS[rows]) ** 2)), x - np.mean(ROWS[rows])


def run(start=2.0, *, problem=None, rng=None, state=None, on_iterate=None, **more):
    settings = {"batch_size": 5, "learning_rate_init": 0.05, "max_iter": 40, "tol": 0.0}
    trainer = Adam(**(settings | {"n_iter_no_change": 100} | more))
    return trainer.train(
        problem or MeanSquare(),
        np.atleast_1d(start),
        rng=rng or np.random.default_rng(0),
        state=state,
        on_iterate=on_iterate,
    )


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
    start = random_network((5, 7, 4, 1), "relu", "identity", np.random.RandomState(3))
    trainer = Adam(batch_size=16, learning_rate_init=0.01, max_iter=epochs, shuffle=False)
    found = trainer.train(Objective(X, y[:, None], start, 0.1), flatten(start), rng=rng)
    np.testing.assert_allclose(found.history, model.loss_curve_, rtol=1e-10)
    network = unflatten(found.x, start)
    for mine, theirs in zip(network.coefs, model.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(network.intercepts, model.intercepts_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def test_finds_a_minimum_and_tells_every_epoch():
    told = []
    start = np.array([2.0])
    found = run(
        start, max_iter=300, n_iter_no_change=300, on_iterate=lambda *what: told.append(what)
    )
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
    rest = run(first.x, max_iter=4, shuffle=False, state=first.state)
    np.testing.assert_array_equal(rest.x, whole.x)
    assert first.history + rest.history == whole.history
    assert rest.state.t == whole.state.t
    np.testing.assert_array_equal(first.state.m, before)
    with pytest.raises(
        ValueError, match="state is of another number of parameters than start, which has 2"
    ):
        run(np.zeros(2), state=first.state)


def test_stops_when_nothing_is_gained():
    found = run(max_iter=1000, tol=1e-3, n_iter_no_change=5)
    assert found.converged
    assert found.n_iter < 1000
    assert min(found.history[:-6]) - min(found.history[-6:]) <= 1e-3


def test_who_is_told_may_judge():
    found = run(on_iterate=lambda step, value, x: step == 3)
    assert (found.n_iter, found.converged, found.message) == (3, False, "on_iterate asked to stop")
    patient = run(max_iter=50, tol=9.0, n_iter_no_change=1, on_iterate=lambda *_: False)
    assert patient.n_iter == 50


def test_order_depends_on_the_generator_alone():
    first, second = run(), run()
    np.testing.assert_array_equal(first.x, second.x)
    assert run(rng=np.random.default_rng(1)).x != first.x


def test_every_row_once_an_epoch():
    problem = MeanSquare()
    run(problem=problem, max_iter=2)
    assert [len(rows) for rows in problem.seen] == [5, 5, 2] * 2
    for epoch in (problem.seen[:3], problem.seen[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(12))


def test_no_epoch_and_values_that_are_not_finite():
    found = run(max_iter=0)
    assert (found.x[0], found.history, found.state.t) == (2.0, [], 0)
    assert np.isnan(found.value)
    broken = MeanSquare()
    broken.on_rows = lambda x, rows: (np.nan, x)
    found = run(problem=broken)
    assert (found.n_iter, found.converged, found.message) == (1, False, "the value is not finite")
