"""Predictive coding: the energy, how values descend it, and backpropagation as its limit."""

import numpy as np
import pytest

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import PredictiveCoding
from spectral_nn.models.network.dense import unflatten
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.layers import forward
from spectral_nn.trainers.rules.base import Memory, views
from spectral_nn.trainers.rules.predictive_coding import descend, look_at, predict
from tests.trainers.rules.conftest import cosine, make_small

H = 1e-5


def energy(network, X, Y, values, nudge):
    """The energy of all rows, row by row."""
    total = 0.0
    for row, (x, y) in enumerate(zip(X, Y, strict=True)):
        below = x
        for i, h in enumerate(values):
            out = np.tanh(below @ network.coefs[i] + network.intercepts[i])
            if network.shape.skips[i]:
                out += below
            total += ((h[row] - out) ** 2).sum() / 2
            below = h[row]
        z = below @ network.coefs[-1] + network.intercepts[-1]
        total += nudge * (np.log(np.exp(z).sum()) - z @ y)
    return total


def settle(small, nudge, n_steps, step):
    """States that values go through, in the plain way: steps are never halved."""
    traces = forward(small.layers, small.batch.X)
    states = [look_at([t.out for t in traces[:-1]], traces, small.batch, nudge * 30)]
    for _ in range(n_steps):
        values = descend(small.layers, states[-1], step)
        traces = predict(small.layers, traces[0], values)
        states.append(look_at(values, traces, small.batch, nudge * 30))
    return states


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("nudge", [1.0, 0.3])
def test_values_descend_the_energy(nudge, residual):
    small = make_small(sizes=(5, 6, 6, 3), residual=residual)
    X, Y = small.batch.X, small.batch.targets
    states = settle(small, nudge, 12, 0.1)
    for state in states:
        brute = energy(small.network, X, Y, state.values, nudge)
        assert state.energy == pytest.approx(brute, rel=1e-12)
    energies = np.array([state.energy for state in states])
    assert np.all(np.diff(energies) < 0)
    state = states[5]
    moved = descend(small.layers, state, 1.0)
    for h, after in zip(state.values, moved, strict=True):
        for i in [(0, 0), (7, 2), (29, 5)]:
            kept, found = h[i], []
            for shift in (H, -H):
                h[i] = kept + shift
                found.append(energy(small.network, X, Y, state.values, nudge))
            h[i] = kept
            assert kept - after[i] == pytest.approx((found[0] - found[1]) / (2 * H), abs=1e-8)


@pytest.mark.parametrize("residual", [False, True])
def test_parameters_descend_the_energy(residual):
    small = make_small(sizes=(5, 6, 6, 3), residual=residual)
    rule = PredictiveCoding(n_steps=9, step=0.1, nudge=0.5)
    value, direction, _ = small.write(rule)
    assert value == pytest.approx(small.exact()[0])
    values = settle(small, 0.5, 9, 0.1)[-1].values
    X, Y = small.batch.X, small.batch.targets
    for layer, slopes in zip(small.layers, small.objective.layers(direction), strict=True):
        for part, slope in zip(
            (layer.coef, layer.intercept), (slopes.coef, slopes.intercept), strict=True
        ):
            i, found = (1,) * part.ndim, []  # parts are views of the network's
            kept = part[i]
            for shift in (H, -H):
                part[i] = kept + shift
                network = make_network(small)
                found.append(energy(network, X, Y, values, 0.5))
            part[i] = kept
            assert slope[i] == pytest.approx((found[0] - found[1]) / (2 * H * 15), abs=1e-8)


def make_network(small):
    """The network whose parameters are where `small.x` is now."""
    return unflatten(small.x, small.network)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_backpropagation_is_the_limit(activation, residual):
    """The difference falls as the nudge does."""
    small = make_small(activation, sizes=(5, 6, 6, 6, 3), residual=residual)
    exact = small.exact()[1]
    apart = []
    for nudge in (1e-2, 1e-3, 1e-4):
        rule = PredictiveCoding(n_steps=1000, step=0.2, nudge=nudge)
        direction = small.write(rule)[1]
        apart.append(np.linalg.norm(direction - exact) / np.linalg.norm(exact))
    assert apart[0] < 0.06
    assert apart[1:] == pytest.approx([apart[0] / 10, apart[0] / 100], rel=0.2)


def test_steps_that_are_too_long_are_halved():
    small = make_small()
    short = small.write(PredictiveCoding(n_steps=200, step=0.1))[1]
    long = small.write(PredictiveCoding(n_steps=200, step=50.0))[1]
    assert cosine(short, long) > 0.999


def test_other_libraries(xp):
    small = make_small()
    rule = PredictiveCoding()
    _, direction, _ = small.write(rule)
    X, Y = (xp.asarray(np.asarray(a)) for a in (small.batch.X, small.batch.targets))
    there = Objective(X, Y, small.network.on(X))
    x = xp.asarray(small.x)
    into = xp.zeros_like(x)
    rule.write(
        there.layers(x),
        there.batch(slice(0, 30)),
        views(there.layers(into)),
        memory=Memory(),
        into_learned=[],
        rng=np.random.default_rng(0),
        stage=0,
    )
    np.testing.assert_allclose(np.asarray(into), direction, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_hidden_layers_learn(activation):
    """Of a parity, which is out of the reach of random features of this number."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (1500, 6))
    y = X[:, :3].prod(axis=1)
    net = MLPClassifier(
        (24, 24),
        activation=activation,
        solver=PredictiveCoding(),
        init="random",
        batch_size=50,
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=10,
        n_iter_no_change=1000,
        random_state=0,
    ).fit(X, y)
    assert net.score(X, y) > 0.98
    assert net.gradient_cosines_[0] > 0.7


@pytest.mark.parametrize("setting", ["n_steps", "step", "nudge"])
def test_bad_settings_are_named(setting, rng):
    with pytest.raises(ValueError, match=f"{setting}=0 moves no values; give a positive number"):
        PredictiveCoding(**{setting: 0})


def test_too_few_steps_are_refused(rng):
    small = make_small()
    with pytest.raises(ValueError, match=r"n_steps=2: .* there are 3 hidden layers"):
        PredictiveCoding(n_steps=2).init(small.layers, 3, rng)
