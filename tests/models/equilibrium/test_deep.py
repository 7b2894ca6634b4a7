"""Deep equilibrium networks: states, gradients, the bound on W, memory."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import approx_fprime

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.equilibrium.deep import (
    CONTRACTIVE,
    GRADIENTS,
    EquilibriumNetwork,
    EquilibriumObjective,
    cap_norm,
)
from spectral_nn.models.equilibrium.fixed_point import Iteration
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import random_network
from spectral_nn.models.network.objective import Objective

SIZES = (4, 6, 3)
EXACT = Iteration(1e-13, 500)


def draw_equilibrium(sizes, activation, output, rng):
    """A network whose W has a norm of about one."""
    k = sizes[1]
    network = random_network(sizes, activation, output, rng)
    return EquilibriumNetwork(rng.standard_normal((k, k)) / (2 * np.sqrt(k)), network)


def some_rows(rng, n=12):
    return Rows.of(
        rng.standard_normal((n, 4)), np.eye(3)[rng.integers(3, size=n)], rng.uniform(0.5, 2, n)
    )


def problem(rng, activation="tanh", gradient="implicit", inflate=1.0, **how):
    """An objective, and parameters whose W is R, times a factor."""
    rows, model = some_rows(rng), draw_equilibrium(SIZES, activation, "softmax", rng)
    how = {"alpha": 0.1, "iteration": EXACT, **how}
    objective = EquilibriumObjective(rows, model, gradient=gradient, **how)
    x = objective.flatten(model)
    x[:36] *= inflate
    return objective, x


def assert_gradient(function, x, gradient):
    """Check a gradient by differences in ten directions."""
    for e in 1e-6 * np.random.default_rng(0).standard_normal((10, x.size)):
        rise = (function(x + e) - function(x - e)) / 2
        assert gradient @ e == pytest.approx(rise, abs=1e-13)


@pytest.mark.parametrize("activation", CONTRACTIVE)
def test_states_solve_the_equation(activation, rng):
    model = draw_equilibrium(SIZES, activation, "softmax", rng)
    drive = model.drive(rng.standard_normal((5, 4)))
    z = model.find_states(drive, EXACT).states[0]
    again = ACTIVATIONS[activation].value(z @ model.recurrent + drive)
    np.testing.assert_allclose(again, z, atol=1e-12)


@pytest.mark.parametrize("inflate", [1.0, 3.0])  # 3: the norm of R is above the bound
@pytest.mark.parametrize("activation", CONTRACTIVE)
def test_exact_gradients_are_that_of_the_loss(activation, inflate):
    found = {}
    for gradient in ("implicit", "unrolled"):
        objective, x = problem(np.random.default_rng(0), activation, gradient, inflate)
        found[gradient] = objective(x)[1]
    assert (np.linalg.norm(x[:36].reshape(6, 6), 2) > 0.9) == (inflate > 1)
    np.testing.assert_allclose(found["implicit"], found["unrolled"], atol=1e-10)
    assert_gradient(objective.value, x, found["implicit"])


def test_unrolled_gradient_is_that_of_the_steps_taken(rng):
    """Even of so few that states are far from the fixed point."""
    objective, x = problem(rng, gradient="unrolled", inflate=3.0, iteration=Iteration(1e-3, 3))
    assert_gradient(objective.value, x, objective(x)[1])


def test_jacobian_free_gradient_is_that_of_the_last_step(rng):
    objective, x = problem(rng, gradient="jacobian-free", alpha=0.0)
    model, rows = objective.unflatten(x), objective._rows
    z = model.find_states(model.drive(rows.X), EXACT).states[0]

    def loss(vector):
        moved = objective.unflatten(vector)
        once = np.tanh(z @ moved.recurrent + moved.drive(rows.X))
        P = moved.read_out(once)
        P = P - np.log(np.exp(P).sum(axis=1, keepdims=True))
        return -(rows.weight * (rows.Y * P).sum(axis=1)).sum() / rows.weight.sum()

    assert_gradient(loss, x, objective(x)[1])


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_without_recurrence_it_is_a_perceptron(gradient, rng):
    objective, x = problem(rng, gradient=gradient)
    rows, network = objective._rows, objective.unflatten(x).network
    x = objective.flatten(EquilibriumNetwork.from_perceptron(network))
    assert (x[:36] == 0).all()
    loss, expected = Objective(rows.X, rows.Y, network, 0.1, rows.weight)(x[36:])
    value, found = objective(x)
    assert value == pytest.approx(loss, abs=1e-13)
    np.testing.assert_allclose(found[36:], expected, atol=1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e-200, 0.1, 1.0, 1e200])
def test_the_norm_is_capped_at_every_scale(scale, rng):
    R = scale * rng.standard_normal((7, 7))
    W, _ = cap_norm(R, 0.9)
    norm = np.linalg.norm(R, 2)
    assert np.linalg.norm(W, 2) == pytest.approx(min(norm, 0.9), rel=1e-13)


def test_the_norm_of_two_blocks_whose_norms_are_close():
    one = 1 - np.array([147, 63, 12, 36]) * 1e-16
    R = -np.array([[one[0], 0, one[1], 0], [0, one[2], 0, one[3]]] * 2)
    W, _ = cap_norm(R, 0.9)
    assert np.linalg.norm(W, 2) == pytest.approx(0.9, rel=1e-13)


def test_the_gradient_of_the_cap(rng):
    R, G = rng.standard_normal((2, 5, 5))
    _, pull_back = cap_norm(R, 0.9)
    by_steps = approx_fprime(
        R.reshape(-1), lambda r: float(np.vdot(cap_norm(r.reshape(5, 5), 0.9)[0], G)), 1e-7
    )
    np.testing.assert_allclose(pull_back(G).reshape(-1), by_steps, atol=1e-5)


def test_losses_and_gradients_in_every_library(xp, rng):
    rows, model = some_rows(rng), draw_equilibrium(SIZES, "relu", "softmax", rng)
    there = Rows(*(xp.asarray(part) for part in rows))
    for gradient in GRADIENTS:
        how = {"alpha": 0.1, "gradient": gradient, "iteration": EXACT}
        host, other = (EquilibriumObjective(r, model, **how) for r in (rows, there))
        x = host.flatten(model)
        for chosen in (slice(2, 9), np.array([5, 0, 3])):
            value, found = other.on_rows(x, chosen)
            expected, at_home = host.on_rows(x, chosen)
            assert value == pytest.approx(expected, abs=1e-12)
            assert isinstance(found, np.ndarray)
            np.testing.assert_allclose(found, at_home, atol=1e-12)
    outputs = model.on(there.X).answer(there.X, EXACT).outputs
    assert type(outputs) is type(there.X)
    np.testing.assert_allclose(to_numpy(outputs), model.answer(rows.X, EXACT).outputs, atol=1e-12)


def test_sparse_rows_are_the_same_rows(rng):
    rows, model = some_rows(rng), draw_equilibrium(SIZES, "relu", "softmax", rng)
    X = np.where(rng.random(rows.X.shape) < 0.5, 0, rows.X)
    dense, thin = (
        EquilibriumObjective(rows._replace(X=a), model) for a in (X, sparse.csr_array(X))
    )
    x = dense.flatten(model)
    for (value, found), (expected, gradient) in zip(
        (thin.on_rows(x, np.array([4, 1])), thin(x)),
        (dense.on_rows(x, np.array([4, 1])), dense(x)),
        strict=True,
    ):
        assert value == pytest.approx(expected, abs=1e-13)
        np.testing.assert_allclose(found, gradient, atol=1e-13)


def peak_memory(gradient, n_iter, rng):
    """Most bytes at a time in one gradient on 300 rows that takes so many steps each way."""
    turn = np.linalg.qr(rng.standard_normal((40, 40)))[0]  # shrinks nothing faster than the bound
    model = draw_equilibrium((5, 40, 1), "identity", "identity", rng)
    model = EquilibriumNetwork(0.9 * turn, model.network)
    rows = Rows.of(rng.standard_normal((300, 5)), rng.standard_normal((300, 1)))
    objective = EquilibriumObjective(rows, model, 0.0, 0.95, gradient, Iteration(1e-12, n_iter))
    x = objective.flatten(model)
    objective(x)
    peaks = []
    for _ in range(3):  # other threads may allocate meanwhile
        tracemalloc.start()
        objective(x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return min(peaks)


def test_memory_does_not_grow_with_the_steps_unless_they_are_unrolled(rng):
    state = 300 * 40 * 8
    for gradient in ("implicit", "jacobian-free"):
        few, many = (peak_memory(gradient, n_iter, rng) for n_iter in (10, 100))
        assert abs(many - few) < state
        assert many < 15 * state
    few, many = (peak_memory("unrolled", n_iter, rng) for n_iter in (10, 100))
    assert many - few > 85 * state


def test_parameters_that_are_not_finite_have_no_loss(rng):
    objective, x = problem(rng)
    x[0] = np.inf
    value, gradient = objective(x)
    assert np.isnan(value)
    assert np.isnan(gradient).all()
