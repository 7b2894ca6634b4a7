"""Gaussian mixtures from moments: exact on exact ones, near on many rows; and when they refuse."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from spectral_nn.data.rows import Rows
from spectral_nn.models.mixtures.spectral import mixture_of_moments
from spectral_nn.results import RankError
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


def match(found, means):
    distance = ((found[:, None] - means) ** 2).sum(axis=2)
    return linear_sum_assignment(distance)[1].argsort()


def exact_rows(weights, means, variances):
    """Rows whose moments up to the third are those of the mixture itself, by a cubature.

    Of a Gaussian with diagonal covariance, rows at ``mean ± sqrt(p v_i) e_i`` have its moments of
    first, second and third order.
    """
    p = means.shape[1]
    X, weight = [], []
    for w, mean, variance in zip(weights, means, variances, strict=True):
        steps = np.sqrt(p * variance)[:, None] * np.eye(p)
        X += [mean + steps, mean - steps]
        weight.append(np.full(2 * p, w / (2 * p)))
    return Rows.of(np.concatenate(X), weight=1e6 * np.concatenate(weight))


def planted(rng, n, K=4, p=12, distance=6.0, spread=0.0):
    means = rng.standard_normal((K, p)) * distance / np.sqrt(2 * p)
    deviations = np.exp(spread * rng.uniform(-1, 1, p))
    weights = rng.dirichlet(np.full(K, 5.0))
    labels = rng.choice(K, n, p=weights)
    return means[labels] + deviations * rng.standard_normal((n, p)), weights, means, deviations**2


@pytest.mark.parametrize("noise", ["one", "own"])
def test_exact_moments_give_the_mixture(rng, noise):
    weights = np.array([0.5, 0.3, 0.2])
    means = rng.standard_normal((3, 8)) * 4
    of_components = np.array([0.5, 1.0, 1.5])[:, None] * np.ones((3, 8))
    rows = exact_rows(weights, means, of_components)
    found = mixture_of_moments(rows, rows.weight @ rows.X / rows.weight.sum(), 3, noise, RUN)
    order = match(found.means, means)
    tol = 1e-6 if noise == "one" else 1e-2  # factor analysis stops early
    np.testing.assert_allclose(found.weights[order], weights, atol=tol)
    np.testing.assert_allclose(found.means[order], means, atol=10 * tol)
    np.testing.assert_allclose(found.variances[order], of_components, atol=30 * tol)


@pytest.mark.parametrize(("noise", "spread"), [("one", 0.0), ("own", 0.0), ("own", 0.7)])
def test_many_rows_give_it_nearly(rng, noise, spread):
    X, weights, means, variances = planted(rng, 40_000, spread=spread)
    found = mixture_of_moments(Rows.of(X), X.mean(axis=0), 4, noise, RUN)
    order = match(found.means, means)
    np.testing.assert_allclose(found.means[order], means, atol=0.25)
    np.testing.assert_allclose(found.weights[order], weights, atol=0.03)
    np.testing.assert_allclose(weights @ found.variances[order], variances, rtol=0.1)
    assert (found.eigenvalues[:3] > found.edge).all()
    assert (found.eigenvalues[3:] < found.edge).all()


def test_entries_missing_at_random_are_allowed_for(rng):
    X, weights, means, variances = planted(rng, 40_000, spread=0.5)
    X[rng.random(X.shape) < 0.15] = np.nan
    found = mixture_of_moments(Rows.of(X), np.nanmean(X, axis=0), 4, "own", RUN)
    order = match(found.means, means)
    np.testing.assert_allclose(found.means[order], means, atol=0.3)
    np.testing.assert_allclose(weights @ found.variances[order], variances, rtol=0.15)


def test_units_of_columns_do_not_matter_to_noise_of_their_own(rng):
    X, _, _, _ = planted(rng, 20_000)
    unit = np.logspace(-3, 3, 12)
    one = mixture_of_moments(Rows.of(X), X.mean(axis=0), 4, "own", RUN)
    other = mixture_of_moments(Rows.of(X * unit), X.mean(axis=0) * unit, 4, "own", RUN)
    order = match(other.means / unit, one.means)
    np.testing.assert_allclose(other.means[order] / unit, one.means, atol=0.05)


def test_collinear_means_are_refused_with_the_figures(rng):
    line = rng.standard_normal(10)
    means = np.outer([-4.0, -1.0, 2.0, 5.0], line)
    X = means[rng.integers(4, size=20_000)] + rng.standard_normal((20_000, 10))
    with pytest.raises(RankError, match=r"only 1 stand out .* eigenvalues .* n_components=2"):
        mixture_of_moments(Rows.of(X), X.mean(axis=0), 4, "one", RUN)
    loose = mixture_of_moments(Rows.of(X), X.mean(axis=0), 4, "one", RUN, strict=False)
    assert np.isfinite(loose.means).all()
    assert (loose.variances > 0).all()


@pytest.mark.parametrize("noise", ["one", "own"])
def test_the_rank_test_is_neither_blind_nor_timid(noise):
    refused = np.zeros((2, 20), dtype=bool)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        line = np.outer([-4.0, 0.0, 4.0], rng.standard_normal(8))
        plane = rng.standard_normal((3, 8)) * 2
        for i, means in enumerate((line, plane)):
            X = means[rng.integers(3, size=3000)] + rng.standard_normal((3000, 8))
            try:
                mixture_of_moments(Rows.of(X), X.mean(axis=0), 3, noise, RUN)
            except RankError:
                refused[i, seed] = True
    assert refused[0].mean() >= 0.9
    assert not refused[1].any()


def test_fewer_columns_than_components_are_refused(rng):
    with pytest.raises(RankError, match="more than the 2 columns"):
        mixture_of_moments(Rows.of(rng.standard_normal((50, 2))), np.zeros(2), 3, "one", RUN)
