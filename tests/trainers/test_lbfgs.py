"""L-BFGS: known minima, what is told and kept, and values that are not finite."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.lbfgs import lbfgs


def rosenbrock(x):
    a, b = x
    value = (1 - a) ** 2 + 100 * (b - a * a) ** 2
    return value, np.array([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])


def quartic(x):
    return float(np.sum(x**4)), 4 * x**3


def test_finds_a_minimum():
    start = np.array([-1.2, 1.0])
    found = lbfgs(rosenbrock, start, max_iter=200, tol=1e-8)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)
    assert found.converged
    assert "CONVERGENCE" in found.message
    assert found.value == found.history[-1] == rosenbrock(found.x)[0]
    assert found.n_iter == len(found.history) < 200
    assert (np.diff(found.history) <= 0).all()
    assert found.n_evaluations > found.n_iter
    np.testing.assert_array_equal(start, [-1.2, 1.0])


@pytest.mark.parametrize("nothing", [{"max_iter": 0}, {"max_iter": 9, "max_fun": 0}])
def test_no_iteration_returns_the_start(nothing):
    start = np.array([-1.2, 1.0])
    found = lbfgs(rosenbrock, start, tol=1e-8, **nothing)
    np.testing.assert_array_equal(found.x, start)
    assert found.x is not start
    assert (found.value, found.history, found.n_iter) == (rosenbrock(start)[0], [], 0)
    assert not found.converged


def test_too_few_iterations_are_told():
    found = lbfgs(rosenbrock, np.array([-1.2, 1.0]), max_iter=3, tol=1e-8)
    assert (found.n_iter, len(found.history), found.converged) == (3, 3, False)
    assert "ITERATIONS" in found.message


def test_tolerance_bounds_the_gradient():
    found = lbfgs(quartic, np.array([3.0, -2.0]), max_iter=100, tol=1e-2)
    assert found.converged
    assert abs(quartic(found.x)[1]).max() <= 1e-2
    assert found.n_iter < lbfgs(quartic, np.array([3.0, -2.0]), max_iter=100, tol=1e-5).n_iter


def test_every_step_is_told_and_may_be_the_last():
    told = []

    def on_iterate(step, value, x):
        told.append((step, value, x))
        return step == 4

    found = lbfgs(rosenbrock, np.array([-1.2, 1.0]), max_iter=50, tol=1e-8, on_iterate=on_iterate)
    assert [step for step, _, _ in told] == [1, 2, 3, 4]
    assert [value for _, value, _ in told] == found.history
    assert all(rosenbrock(x)[0] == value for _, value, x in told)
    np.testing.assert_array_equal(found.x, told[-1][2])
    assert (found.n_iter, found.converged, found.message) == (4, False, "on_iterate asked to stop")


def test_evaluations_are_limited():
    calls = []

    def counted(x):
        calls.append(1)
        return rosenbrock(x)

    found = lbfgs(counted, np.array([-1.2, 1.0]), max_iter=50, tol=1e-8, max_fun=5)
    assert 5 <= len(calls) <= 10
    assert not found.converged


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite(bad):
    found = lbfgs(lambda x: (bad, bad * x), np.ones(2), max_iter=9, tol=1e-8)
    assert not np.isfinite(found.value)
    assert not found.converged
    assert found.n_iter <= 1


def test_last_finite_iterate_is_kept():
    calls = []

    def breaks(x):
        calls.append(1)
        return quartic(x) if len(calls) < 5 else (np.nan, np.nan * x)

    found = lbfgs(breaks, np.array([3.0, 3.0]), max_iter=50, tol=1e-6)
    assert not found.converged
    assert found.value == quartic(found.x)[0] == found.history[-1]


def test_start_of_any_library(xp):
    found = lbfgs(quartic, xp.asarray([3.0, -2.0]), max_iter=100, tol=1e-5)
    assert type(found.x) is np.ndarray
    assert found.converged


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_same_search_as_scikit_learn(activation, rng):
    """Same start, objective and optimiser: the same loss after the same iterations."""
    X = rng.standard_normal((200, 5))
    y = np.tanh(X @ rng.standard_normal(5)) + X[:, 0]
    model = MLPRegressor(
        hidden_layer_sizes=(7,),
        activation=activation,
        solver="lbfgs",
        max_iter=15,
        tol=1e-8,
        alpha=0.1,
        random_state=3,
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    start = random_network(
        (5, 7, 1),
        activation,
        "identity",
        np.random.RandomState(3),
    )
    objective = Objective(X, y[:, None], start, 0.1)
    found = lbfgs(objective, flatten(start), max_iter=15, tol=1e-8, memory=10)
    assert found.n_iter == model.n_iter_
    assert found.value == pytest.approx(model.loss_, rel=1e-6)
