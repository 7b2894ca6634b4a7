"""Spiking networks: neurons in time, the surrogate gradient, and what a fit leaves behind."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.spiking import (
    Neuron,
    Space,
    SpikingNetwork,
    SpikingObjective,
    SpikingOptions,
    fit_spiking,
)
from spectral_nn.trainers import SGD, Adam

SHAPES = pytest.mark.parametrize(
    ("sizes", "output"),
    [((4, 6, 3), "softmax"), ((4, 6, 5, 1), "logistic"), ((4, 5, 6, 4, 3), "softmax")],
)


@dataclass(frozen=True)
class SmoothNeuron(Neuron):
    """Spikes by degrees: with the integral of the surrogate in the place of the threshold."""

    def spike(self, U):
        return (U - 1) / (1 + self.slope * abs(U - 1)) + 0.5


def draw(sizes, output, rng, neuron=None, n_steps=7):
    drawn = random_network(sizes, "relu", output, rng)
    coefs = tuple(2 * coef for coef in drawn.coefs)
    return SpikingNetwork(coefs, drawn.intercepts, neuron or Neuron(), n_steps, output)


def some_rows(rng, q, n=20):
    Y = np.eye(q)[rng.integers(q, size=n)] if q > 1 else rng.integers(2, size=(n, 1)).astype(float)
    return Rows.of(rng.standard_normal((n, 4)), Y, rng.uniform(0.5, 2, n))


def spikes_by_loop(network, x):
    """Spikes of each hidden neuron in each step, and the outputs, for one row."""
    weights = list(zip(network.coefs, network.intercepts, strict=True))
    U = [np.zeros(coef.shape[1]) for coef, _ in weights[:-1]]
    S = [np.zeros(coef.shape[1]) for coef, _ in weights[:-1]]
    found = []
    for _ in range(network.n_steps):
        below = x
        for layer, (coef, intercept) in enumerate(weights[:-1]):
            for k in range(len(U[layer])):
                current = sum(below[i] * coef[i, k] for i in range(len(below))) + intercept[k]
                U[layer][k] = network.neuron.decay * U[layer][k] + current - S[layer][k]
            S[layer] = np.array([float(u > 1) for u in U[layer]])
            below = S[layer]
        found.append(np.concatenate(S))
    rates = np.array(found)[:, -len(S[-1]) :].mean(axis=0)
    return np.array(found), rates @ weights[-1][0] + weights[-1][1]


@SHAPES
def test_neurons_follow_their_equation(sizes, output, rng):
    network = draw(sizes, output, rng)
    X = rng.standard_normal((12, 4))
    activity = network.run(X)
    trains = np.concatenate(activity.spikes, axis=2)
    assert 0.05 < trains.mean() < 0.6
    for row, x in enumerate(X):
        spikes, outputs = spikes_by_loop(network, x)
        np.testing.assert_array_equal(trains[:, row], spikes)
        np.testing.assert_allclose(network.decision_of(activity)[row], outputs)
    np.testing.assert_array_equal(network.count_spikes(X), trains.sum(axis=(0, 2)))


@SHAPES
def test_surrogate_gradient_is_that_of_the_smooth_twin(sizes, output, rng):
    network = draw(sizes, output, rng, SmoothNeuron(decay=0.8, slope=2.0))
    objective = SpikingObjective(some_rows(rng, sizes[-1]), network, alpha=0.3)
    x, rows, h = flatten(network), np.arange(3, 15), 1e-6
    _, gradient = objective.on_rows(x, rows)
    numeric = [
        (objective.on_rows(x + step, rows)[0] - objective.on_rows(x - step, rows)[0]) / (2 * h)
        for step in h * np.eye(x.size)
    ]
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


def test_the_twin_has_the_surrogate_for_its_derivative():
    U, h = np.linspace(-1, 3, 40), 1e-6
    twin = SmoothNeuron(slope=3.0)
    slopes = (twin.spike(U + h) - twin.spike(U - h)) / (2 * h)
    np.testing.assert_allclose(Neuron(slope=3.0).surrogate(U), slopes, rtol=1e-8)


def test_without_decay_rates_are_the_current_within_their_bounds():
    currents = np.linspace(-0.5, 1.5, 41)
    _, spikes = Neuron(decay=1.0).run(np.tile(currents, (500, 1, 1)), Space())
    np.testing.assert_allclose(spikes.mean(axis=(0, 1)), np.clip(currents, 0, 1), atol=2 / 500)


def test_with_decay_only_currents_above_the_leak_fire():
    currents = np.linspace(0, 1, 101)
    _, spikes = Neuron(decay=0.9).run(np.tile(currents, (300, 1, 1)), Space())
    rates = spikes.mean(axis=(0, 1))
    assert (rates[currents < 0.1 - 1e-9] == 0).all()
    assert (rates[currents > 0.11 + 1e-9] > 0).all()
    assert (np.diff(rates) > -0.02).all()


def test_many_steps_without_decay_are_a_network_of_clipped_units(rng):
    network = draw((4, 6, 5, 3), "softmax", rng, Neuron(decay=1.0), n_steps=4000)
    X = rng.standard_normal((8, 4))
    values = X
    for coef, intercept in zip(network.coefs[:-1], network.intercepts[:-1], strict=True):
        values = np.clip(values @ coef + intercept, 0, 1)
    found = network.decision_of(network.run(X))
    np.testing.assert_allclose(
        found, values @ network.coefs[-1] + network.intercepts[-1], atol=0.02
    )


def test_libraries_agree(xp, rng):
    rows = some_rows(rng, 3)
    network = draw((4, 6, 5, 3), "softmax", rng)
    value, gradient = SpikingObjective(rows, network, 0.1).on_rows(flatten(network), np.arange(9))
    like = xp.asarray(rows.X)
    there = SpikingObjective(Rows(*map(xp.asarray, rows)), network.on(like), 0.1)
    value_there, gradient_there = there.on_rows(flatten(network.on(like)), np.arange(9))
    assert value_there == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(to_numpy(gradient_there), gradient, rtol=1e-10, atol=1e-14)
    for method in (SpikingNetwork.predict, SpikingNetwork.count_spikes):
        found = method(network.on(like), like)
        assert type(found) is type(like)
        np.testing.assert_allclose(to_numpy(found), method(network, rows.X), rtol=1e-12)


def test_sparse_rows_are_as_good(rng):
    X, Y, weight = some_rows(rng, 3)
    X *= rng.random(X.shape) < 0.5
    network = draw((4, 6, 3), "softmax", rng)
    dense, thin = (
        SpikingObjective(Rows(table, Y, weight), network) for table in (X, sparse.csr_array(X))
    )
    for one, other in zip(
        *(each.on_rows(flatten(network), slice(2, 12)) for each in (dense, thin)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(network.predict(sparse.csr_array(X)), network.predict(X))


def test_a_weight_of_two_is_a_row_twice(rng):
    X, Y, _ = some_rows(rng, 3, n=5)
    network = draw((4, 6, 3), "softmax", rng)
    weighted = SpikingObjective(Rows(X, Y, np.array([1.0, 2, 1, 1, 1])), network, 0.2)
    twice = [0, 1, 1, 2, 3, 4]
    doubled = SpikingObjective(Rows.of(X[twice], Y[twice]), network, 0.2)
    for one, other in zip(
        weighted.on_rows(flatten(network), slice(0, 5)),
        doubled.on_rows(flatten(network), slice(0, 6)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_blocks_of_rows_are_put_together(rng):
    network = draw((4, 6, 3), "softmax", rng, n_steps=3)
    X = rng.standard_normal((1100, 4))
    by_row = np.concatenate([network.predict(x[None]) for x in X[505:520]])
    np.testing.assert_allclose(network.predict(X)[505:520], by_row, rtol=1e-12)
    assert network.count_spikes(X).shape == (1100,)


@pytest.mark.parametrize("trainer", [Adam(learning_rate_init=0.01), SGD(learning_rate_init=0.3)])
def test_a_fit_learns_what_no_linear_model_can(trainer, rng):
    X = rng.standard_normal((400, 4))
    Y = (X[:, :1] * X[:, 1:2] > 0).astype(float)
    told = []
    options = SpikingOptions((20,), output="logistic", trainer=replace(trainer, max_iter=60))
    rows = Rows.of(X, Y)
    fit = fit_spiking(rows, options, rng=rng, on_step=lambda *args: told.append(args))
    assert [(name, epoch) for name, epoch, _ in told] == [
        (trainer.name, i + 1) for i in range(fit.minimum.n_iter)
    ]
    assert ((fit.network.predict(X) > 0.5) == Y).mean() > 0.9
    assert fit.n_spikes == pytest.approx(fit.network.count_spikes(X).mean())


def test_equal_generators_give_equal_fits(rng):
    rows = some_rows(rng, 3)
    options = SpikingOptions((5,), trainer=Adam(max_iter=3))
    one, again = (fit_spiking(rows, options, rng=np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(flatten(one.network), flatten(again.network))


def test_a_loss_that_is_no_number_is_an_error(rng):
    options = SpikingOptions((5,), trainer=SGD(learning_rate_init=1e308))
    with pytest.raises(ValueError, match=r"loss is not finite .* at step 2"):
        fit_spiking(some_rows(rng, 3), options, rng=rng)


def test_currents_beyond_all_bounds_are_taken(rng):
    network = draw((4, 6, 5, 3), "softmax", rng)
    proba = network.predict(1e307 * rng.standard_normal((20, 4)))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
