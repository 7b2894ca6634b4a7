"""E-steps of laws that are linear in functions of a row, without tables of likelihoods."""

import numpy as np
import pytest

from spectral_nn.data import Sequences
from spectral_nn.data.cuts import Cut, frames
from spectral_nn.emissions.gaussian import DiagonalGaussian, SphericalGaussian
from spectral_nn.models.chains.expectation import expect_exact, expect_lanes
from spectral_nn.models.chains.kernels import LANES, weigh_terms
from spectral_nn.models.chains.lanes import window_lanes
from spectral_nn.models.chains.parameters import HMMParameters


def model(kind, n_components, p, rng, *, spread=1.0, where=0.0):
    means = where + rng.standard_normal((n_components, p))
    shape = n_components if kind is SphericalGaussian else (n_components, p)
    law = kind(means, spread * rng.uniform(0.5, 2.0, shape))
    dirichlet = rng.dirichlet(np.ones(n_components), n_components + 1)
    return HMMParameters(dirichlet[0], dirichlet[1:], law)


def draw(parameters, lengths, rng):
    states = rng.integers(parameters.n_components, size=sum(lengths))
    return parameters.emission.sample(states, rng), np.cumsum([0, *lengths])


def in_lanes(values, offsets, weight=None):
    (frame,) = frames(offsets, Cut(2**40, window=2**40))
    return window_lanes(values, frame.window()._replace(weight=weight), None)


def assert_close(found, exact, rtol):
    scale = exact.trans.sum()
    np.testing.assert_allclose(found.start, exact.start, atol=rtol * scale)
    np.testing.assert_allclose(found.trans, exact.trans, atol=rtol * scale)
    for name, value in vars(exact.emission).items():
        atol = rtol * np.abs(value).max()
        np.testing.assert_allclose(getattr(found.emission, name), value, atol=atol)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, rel=rtol)


@pytest.mark.parametrize("kind", [DiagonalGaussian, SphericalGaussian])
@pytest.mark.parametrize("n_components", [1, 3, 5, 9])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 3e-6)])
def test_lanes_agree_with_the_exact_recursion(kind, n_components, dtype, rtol):
    rng = np.random.default_rng(n_components)
    parameters = model(kind, n_components, 3, rng)
    values, offsets = draw(parameters, [200, 1, 77, 3, 150] * 8, rng)
    values[::9] = np.nan  # all of a row is missing
    batches = in_lanes(values, offsets)
    assert batches.lay_rows(dtype) is not None
    found = expect_lanes(parameters, batches, dtype=dtype)
    assert_close(found, expect_exact(parameters, Sequences(values, offsets)), rtol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_that_miss_some_entries_take_the_table(dtype):
    rng = np.random.default_rng(0)
    parameters = model(DiagonalGaussian, 3, 3, rng)
    values, offsets = draw(parameters, [60, 40], rng)
    values[5, 1] = np.nan
    batches = in_lanes(values, offsets)
    assert batches.lay_rows(dtype) is None
    found = expect_lanes(parameters, batches, dtype=dtype)
    assert_close(found, expect_exact(parameters, Sequences(values, offsets)), 3e-6)


@pytest.mark.parametrize(("spread", "where"), [(1e-8, 0.0), (1.0, 1e7), (1e-4, -1e5), (1e12, 1e9)])
def test_single_precision_holds_for_any_units(spread, where):
    """Narrow states are nothing for single precision; far from zero, units are the rows'."""
    rng = np.random.default_rng(1)
    parameters = model(DiagonalGaussian, 4, 2, rng, spread=spread, where=where)
    values, offsets = draw(parameters, [300, 200], rng)
    found = expect_lanes(parameters, in_lanes(values, offsets), dtype=np.float32)
    exact = expect_exact(parameters, Sequences(values, offsets))
    np.testing.assert_allclose(found.trans, exact.trans, atol=2e-3)
    one, other = (parameters.emission.maximise(sums) for sums in (found.emission, exact.emission))
    deviations = np.sqrt(other.covariances)
    assert np.abs((one.means - other.means) / deviations).max() < 1e-3
    np.testing.assert_allclose(one.covariances, other.covariances, rtol=2e-3)


def test_units_of_few_rows_may_be_those_of_none():
    """Whether squares overflow is seen as rows are laid out."""
    rng = np.random.default_rng(5)
    law = DiagonalGaussian(np.array([[0.0], [1e20]]), np.array([[1e36], [1e38]]))
    parameters = HMMParameters(np.full(2, 0.5), np.full((2, 2), 0.5), law)
    values = np.zeros((10_000, 1))
    values[1::1000, 0] = 1e20 + 1e19 * rng.standard_normal(10)
    offsets = np.array([0, 10_000])
    batches = in_lanes(values, offsets)
    assert batches.lay_rows(np.float32) is None
    found = expect_lanes(parameters, batches, dtype=np.float32)
    exact = expect_exact(parameters, Sequences(values, offsets))
    np.testing.assert_allclose(found.trans, exact.trans, atol=1e-2)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-6)


def test_rows_of_copies_count_as_often():
    rng = np.random.default_rng(2)
    parameters = model(DiagonalGaussian, 3, 2, rng)
    values, offsets = draw(parameters, [50, 30, 20], rng)
    weight = np.array([1.0, 3.0, 2.0])
    batches = in_lanes(values, offsets, weight)
    found = expect_lanes(parameters, batches, dtype=np.float64)
    exact = expect_exact(parameters, Sequences(values, offsets, weight=weight))
    assert_close(found, exact, 1e-12)


def test_rows_are_laid_out_once():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((100, 2))
    batches = in_lanes(values, np.array([0, 60, 100]))
    laid = batches.lay_rows(np.float32)
    assert batches.lay_rows(np.float32) is laid
    rows = laid.rows.astype(np.float64)
    seen = rows[:, 2] == 1
    restored = rows[:, :2] * laid.scale[:, None] + laid.centre[:, None]
    order = np.argsort(restored[:, 0][seen])
    np.testing.assert_allclose(restored[:, 0][seen][order], np.sort(values[:, 0]), atol=1e-6)
    np.testing.assert_array_equal(rows.transpose(1, 0, 2)[:, ~seen], 0.0)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 4e-16), (np.float32, 3e-7)])
def test_likelihoods_are_exponentials_over_the_largest(dtype, rtol):
    rng = np.random.default_rng(4)
    logs = rng.uniform(-120.0, 40.0, (6, 8, LANES)).astype(dtype)
    weights = np.zeros((8, 8), dtype=dtype)
    weights[np.arange(8), np.arange(8)] = 1
    emitted = np.empty(logs.size, dtype=dtype)
    # Two batches, of two steps and of four, of which the last is not counted.
    offsets = np.array([0, 2, 6])
    own = np.array([[[0] * LANES, [2] * LANES], [[0] * LANES, [3] * LANES]], dtype=np.int32)
    weight = rng.uniform(0.0, 2.0, (2, LANES)).astype(dtype)
    total = weigh_terms(logs.ravel(), 8, weights.ravel(), 6, offsets, own, weight, emitted)
    known = logs[:, :6].astype(np.float64)
    largest = known.max(axis=1, keepdims=True)
    expected = np.exp(known - largest)
    found = emitted.reshape(logs.shape)
    np.testing.assert_array_equal(found[:, 6:], 0)
    least = np.finfo(dtype).tiny
    usual = expected > 4 * least
    rounding = rtol * (1 + np.abs(known - largest))  # of the difference, which the power magnifies
    assert np.all(np.abs(found[:, :6] / expected - 1)[usual] < 4 * rounding[usual])
    assert np.all(found[:, :6][~usual] <= 4 * least)
    counted = largest[:5, 0] * weight[[0, 0, 1, 1, 1]]
    assert total == pytest.approx(float(counted.sum()), rel=1e-6)
