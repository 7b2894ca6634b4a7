"""Standard errors of directions: against fits without a group, and what intervals cover."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.models.network.features import directions
from spectral_nn.models.network.jackknife import direction_errors
from spectral_nn.runners.base import SerialRunner
from spectral_nn.tensors import match_components
from spectral_nn.tensors.shared_cp import polish_directions, shared_cp

RUN = SerialRunner()


def draw(rng, d, k, n, **kind):
    network = planted_network(d, k, rng=rng, **kind)
    X, y = sample_network(network, n, rng=rng)
    return network, Rows.of(X, y.reshape(n, -1))


def fit(rows, k):
    return directions(rows, k, rng=np.random.default_rng(0), run=RUN).components


def fit_without(rows, g, whole):
    """A fit to the rows that are not in group g of five."""
    n = rows.n_rows
    left = np.delete(np.arange(n), np.s_[n // 5 * g : n // 5 * (g + 1)])
    return aligned(fit(rows.take(left), len(whole)), whole)


def aligned(found, to):
    """Rows in the order and of the signs of others."""
    found = found[match_components(to, found, cost="cosine")]
    return found * np.sign(np.sum(found * to, axis=1))[:, None]


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_replicates_are_fits_without_a_group(n_outputs, rng):
    """In as many dimensions as directions: but for where rows are clipped."""
    _, rows = draw(rng, 3, 3, 6000, n_outputs=n_outputs)
    rows = rows._replace(X=2 + rows.X @ rng.uniform(-0.3, 1, (3, 3)))
    whole = fit(rows, 3)
    found = direction_errors(rows, whole, n_groups=5, run=RUN)
    for g in (0, 3):
        again = fit_without(rows, g, whole)
        moved = np.linalg.norm(again - whole)
        assert np.linalg.norm(found.replicates[g] - again) < 0.08 * moved


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_replicates_tilt_out_of_the_span_as_fits_do(n_outputs, rng):
    """Fits weigh moments by noise that they draw, so that they differ by some of what they move."""
    _, rows = draw(rng, 9, 2, 6000, n_outputs=n_outputs)
    whole = fit(rows, 2)
    found = direction_errors(rows, whole, n_groups=5, run=RUN)
    ours = found.replicates - whole
    theirs = np.stack([fit_without(rows, g, whole) for g in range(5)]) - whole
    cosine = np.sum(ours * theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > 0.8
    assert 0.7 < np.linalg.norm(ours) / np.linalg.norm(theirs) < 1.3


def test_errors_are_the_spread_of_replicates(rng):
    _, rows = draw(rng, 4, 2, 3000)
    whole = fit(rows, 2)
    found = direction_errors(rows, whole, n_groups=10, run=RUN)
    assert_array_equal(found.components, whole)
    assert_allclose(found.errors, 3 * found.replicates.std(axis=0))
    low, high = found.intervals(0.9)
    assert_allclose((low + high) / 2, whole)
    assert_allclose(high - low, 2 * 1.8331129 * found.errors)
    assert_allclose(found.angles, np.degrees(np.sqrt((found.errors**2).sum(axis=1))))
    with pytest.raises(ValueError, match="level must be between"):
        found.intervals(95)


def test_intervals_cover():
    """12 networks of 12 entries: 95 % on average, a wide margin for so few."""
    covered, ratios = [], []
    for seed in range(12):
        network, rows = draw(np.random.default_rng(seed), 6, 2, 4000)
        found = direction_errors(rows, fit(rows, 2), n_groups=20, run=RUN)
        true = network.coefs[0].T / np.linalg.norm(network.coefs[0], axis=0)[:, None]
        true = aligned(true, found.components)
        low, high = found.intervals(0.95)
        covered.append((low <= true) & (true <= high))
        ratios.append((found.components - true) / found.errors)
    assert 0.88 < np.mean(covered) < 0.995
    assert 0.8 < np.sqrt(np.mean(np.square(ratios))) < 1.3


def test_four_times_the_rows_halve_the_errors(rng):
    network = planted_network(6, 2, rng=rng)
    errors = []
    for n in (3000, 48_000):
        X, y = sample_network(network, n, rng=rng)
        rows = Rows.of(X, y[:, None])
        errors.append(direction_errors(rows, fit(rows, 2), n_groups=20, run=RUN).errors)
    ratio = np.linalg.norm(errors[0]) / np.linalg.norm(errors[1])
    assert 2.5 < ratio < 6.5  # 4 on average


def test_other_directions_are_far(rng):
    network, rows = draw(rng, 5, 2, 8000)
    assert direction_errors(rows, fit(rows, 2), n_groups=20, run=RUN).distances.max() < 0.5
    other = np.linalg.qr(network.coefs[0] + 0.3 * rng.standard_normal((5, 2)))[0].T
    assert direction_errors(rows, other, n_groups=20, run=RUN).distances.max() > 2


def test_polish_keeps_order_and_signs(rng):
    U = np.linalg.qr(rng.standard_normal((4, 3)))[0] * [1, -1, 1]
    T2 = np.einsum("ij,kj,j->ik", U, U, [1.0, -2.0, 0.5])[..., None]
    T3 = np.einsum("ij,kj,lj,j->ikl", U, U, U, [1.0, 1.0, 3.0])[..., None]
    start = U + 0.1 * rng.standard_normal(U.shape)
    found = polish_directions([T2, T3], start / np.linalg.norm(start, axis=0))
    assert_allclose(found, U, atol=1e-4)
    assert np.abs(found.T @ shared_cp([T2, T3], 3, rng=rng).directions).max(axis=1).min() > 0.9999
