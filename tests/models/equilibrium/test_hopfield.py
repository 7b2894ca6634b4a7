"""Hopfield networks: where states come to rest, and what nudges say of the gradient."""

from dataclasses import replace

import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.equilibrium.fixed_point import Iteration
from spectral_nn.models.equilibrium.hopfield import HopfieldObjective, draw_hopfield

EXACT = Iteration(1e-14, 500)
DEPTHS = pytest.mark.parametrize("sizes", [(4, 6, 3), (4, 6, 5, 3)])


def draw(sizes, rng):
    """A network with intercepts."""
    model = draw_hopfield(sizes, rng)
    return replace(model, intercepts=tuple(rng.uniform(-0.3, 0.3, k) for k in sizes[1:]))


def some_rows(rng, n=15):
    return Rows.of(rng.random((n, 4)), np.eye(3)[rng.integers(3, size=n)], rng.uniform(0.5, 2, n))


def problem(rng, sizes, **how):
    rows = some_rows(rng)
    objective = HopfieldObjective(rows, sizes, **{"alpha": 0.1, "iteration": EXACT, **how})
    return objective, objective.flatten(draw(sizes, rng))


def energy(model, X, states):
    layers, total = [X, *states], 0.0
    for below, above, W, b in zip(layers, states, model.coefs, model.intercepts, strict=False):
        total += 0.5 * (above**2).sum(axis=1)
        total -= np.einsum("ni,ij,nj->n", below, W, above) + above @ b
    return total


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("sizes", [(4, 6, 3), (4, 6, 5, 5, 4, 3)])
def test_the_energy_is_convex_at_the_start(sizes, rng):
    model, starts = draw_hopfield(sizes, rng), np.cumsum([0, *sizes[1:]])
    hessian = np.eye(starts[-1])
    for layer, coef in enumerate(model.coefs[1:]):
        rows, columns = (slice(*starts[i : i + 2]) for i in (layer, layer + 1))
        hessian[rows, columns], hessian[columns, rows] = -coef, -coef.T
    assert np.linalg.eigvalsh(hessian)[0] > 0.01


@DEPTHS
def test_states_come_to_rest_where_nothing_pulls_but_the_bounds(sizes, rng):
    model, X = draw(sizes, rng), rng.random((10, 4))
    states = model.relax(model.drive(X), EXACT, dt=1.0).states
    h = 1e-6
    for layer, state in enumerate(states):
        for unit in range(state.shape[1]):
            push = np.zeros(state.shape[1])
            push[unit] = h
            ends = [[*states[:layer], state + s * push, *states[layer + 1 :]] for s in (1, -1)]
            up, down = (energy(model, X, end) for end in ends)
            slope, here = (up - down) / (2 * h), state[:, unit]
            assert (np.abs(slope[(here > 0) & (here < 1)]) < 1e-7).all()
            assert (slope[here == 0] > -1e-7).all()
            assert (slope[here == 1] < 1e-7).all()


@DEPTHS
@pytest.mark.parametrize("dt", [0.3, 1.0])
def test_no_step_goes_up_the_energy(sizes, dt, rng):
    """However large the weights are, and however little convex the energy is."""
    model, X = draw(sizes, rng), rng.random((10, 4))
    model = replace(model, coefs=tuple(5 * coef for coef in model.coefs))
    path = [
        energy(model, X, model.relax(model.drive(X), Iteration(0.0, n), dt).states)
        for n in range(1, 40)
    ]
    assert (np.diff(path, axis=0) < 1e-12).all()
    assert path[-1].mean() < path[0].mean() - 0.1


@DEPTHS
def test_steps_of_any_length_end_at_the_same_states(sizes, rng):
    model, X = draw(sizes, rng), rng.random((10, 4))
    ends = [model.relax(model.drive(X), EXACT, dt).states for dt in (0.3, 1.0)]
    for slow, quick in zip(*ends, strict=True):
        np.testing.assert_allclose(slow, quick, atol=1e-12)


@DEPTHS
def test_implicit_gradient_is_that_of_the_loss(sizes, rng):
    objective, x = problem(rng, sizes)
    value, gradient = objective.implicit(x, slice(0, 15))
    assert value == pytest.approx(objective.value(x), abs=1e-14)
    for e in 1e-6 * rng.standard_normal((10, x.size)):
        rise = (objective.value(x + e) - objective.value(x - e)) / 2
        assert gradient @ e == pytest.approx(rise, abs=1e-14)


@DEPTHS
@pytest.mark.parametrize(("nudge", "order"), [("symmetric", 2), ("one-sided", 1)])
def test_nudges_measure_the_implicit_gradient(sizes, nudge, order):
    """Their bias is of the order of β² or β, and the angle to the gradient goes to zero."""
    errors = []
    for beta in (2e-4, 1e-4):
        objective, x = problem(np.random.default_rng(0), sizes, beta=beta, nudge=nudge)
        gradient = objective.implicit(x, slice(0, 15))[1]
        measured = objective(x)[1]
        errors.append(np.linalg.norm(measured - gradient) / np.linalg.norm(gradient))
        assert cosine(measured, gradient) > 0.9999
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.2)


@pytest.mark.parametrize("nudge", ["symmetric", "one-sided"])
def test_losses_and_nudges_in_every_library(xp, nudge, rng):
    rows, sizes = some_rows(rng), (4, 6, 3)
    there = Rows(*(xp.asarray(part) for part in rows))
    model = draw(sizes, rng)
    host, other = (
        HopfieldObjective(r, sizes, 0.1, nudge=nudge, iteration=EXACT) for r in (rows, there)
    )
    x = host.flatten(model)
    for chosen in (slice(2, 9), np.array([5, 0, 3])):
        value, found = other.on_rows(x, chosen)
        expected, at_home = host.on_rows(x, chosen)
        assert value == pytest.approx(expected, abs=1e-12)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, at_home, atol=1e-11)
    outputs = model.on(there.X).answer(there.X, EXACT, 1.0).outputs
    assert type(outputs) is type(there.X)
    expected = model.answer(rows.X, EXACT, 1.0).outputs
    np.testing.assert_allclose(to_numpy(outputs), expected, atol=1e-11)


def test_parameters_survive_being_laid_out(rng):
    objective, x = problem(rng, (4, 6, 5, 3))
    np.testing.assert_array_equal(objective.flatten(objective.unflatten(x)), x)
