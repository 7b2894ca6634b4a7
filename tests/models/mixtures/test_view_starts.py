"""Starts from views of numbers: exact on a population, and where they find what others miss."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

from spectral_nn.data.rows import Rows
from spectral_nn.models.mixtures.fit import fit_mixture
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.models.mixtures.view_starts import join_views, view_start
from spectral_nn.results import RankError
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


def population(rng, weights, means, views):
    """All rows of a law whose noise is plus or minus vectors, one for each column of a view."""
    p = means.shape[1]
    noise = np.zeros((p, p))
    for v in set(views):
        of = np.flatnonzero(np.array(views) == v)
        noise[np.ix_(of, of)] = rng.standard_normal((of.size, of.size))
    signs = np.array(list(product([-1.0, 1.0], repeat=p)))
    X = (means[:, None] + signs @ noise).reshape(-1, p)
    return Rows.of(X, weight=np.repeat(weights, len(signs)) / len(signs))


def nearest(found, means):
    distance = ((found[:, None] - means) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(distance)
    return rows[np.argsort(columns)]


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("views", [(0, 0, 1, 1, 2, 2), (2, 0, 1, 1, 0, 2), (0, 1, 2, 3, 4, 4)])
def test_the_population_gives_the_mixture_back(views, kind):
    rng = np.random.default_rng(0)
    weights, means = np.array([0.2, 0.3, 0.5]), rng.standard_normal((3, 6)) * 2 + 100
    rows = population(rng, weights, means, views)
    options = MixtureOptions(3, kind, ridge=0.0, views=views)
    start, report = view_start(rows, options, RUN)
    found = start.parameters
    order = nearest(found.emission.means, means)
    assert_allclose(found.emission.means[order], means, atol=1e-6)
    assert_allclose(found.weights[order], weights, atol=1e-6)
    assert report.canonical_correlations[0] == pytest.approx(1)
    assert report.residual < 1e-6
    spread = found.emission.covariances
    assert spread.shape == ((3, 6, 6) if kind == "full" else (3, 6))
    if kind == "full":
        of = np.array(views)
        assert_array_equal(spread[:, of[:, None] != of], 0)
        assert (np.linalg.eigvalsh(spread) > 0).all()


def test_views_are_joined_to_three():
    groups = join_views((0, 0, 1, 2, 2, 2, 3, 4))
    assert [group.tolist() for group in groups] == [[3, 4, 5], [0, 1, 7], [2, 6]]
    with pytest.raises(RankError, match=r"three views.* there are 2\. Split a view"):
        join_views((0, 1, 1))


def test_means_are_found_under_noise_that_hides_them_from_clusters():
    """The noise of a view is up to eight times as large in some directions as means are apart."""
    K, size = 6, 8
    views = tuple(np.repeat(range(3), size).tolist())
    for seed in (0, 2):
        rng = np.random.default_rng(seed)
        means = rng.standard_normal((K, 3 * size)) * 1.2
        labels = rng.integers(K, size=4000)
        X = means[labels]
        for v in range(3):
            turned = np.linalg.qr(rng.standard_normal((size, size)))[0]
            noise = turned * np.r_[8, 5, 3, np.ones(size - 3)]
            X[:, v * size : (v + 1) * size] += rng.standard_normal((4000, size)) @ noise.T
        gaps = []
        for init in ("tensor", "kmeans"):
            options = MixtureOptions(K, init=init, views=views)
            fit = fit_mixture(Rows.of(X), options, rng=np.random.RandomState(seed), run=RUN)
            found = fit.parameters.emission.means
            gaps.append(np.sqrt(((found[nearest(found, means)] - means) ** 2).sum(axis=1).mean()))
        assert gaps[0] < 1 < 4 < gaps[1]
        assert fit.report.winner == "kmeans"


def test_views_of_many_columns_are_seen_along_their_axes(rng):
    K, size = 3, 50
    views = tuple(np.repeat(range(3), size).tolist())
    means = rng.standard_normal((K, 3 * size))
    X = means[rng.integers(K, size=3000)] + rng.standard_normal((3000, 3 * size))
    start, report = view_start(Rows.of(X), MixtureOptions(K, "diag", views=views), RUN)
    found = start.parameters.emission.means
    assert report.canonical_correlations.size == 33
    assert np.abs(found[nearest(found, means)] - means).mean() < 0.2
