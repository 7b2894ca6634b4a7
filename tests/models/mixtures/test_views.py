"""Mixtures from the moments of three views."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linear_sum_assignment

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import CategoricalItems, indicators
from spectral_nn.models.mixtures.views import mixture_of_views, spectrum_of_views
from spectral_nn.moments.views import Views, count_views, deal_items, mean_moments
from spectral_nn.results import RankError


def planted(rng, n_components, sizes, concentration=1.0):
    weights = rng.dirichlet(np.full(n_components, 5.0))
    blocks = [rng.dirichlet(np.full(size, concentration), n_components) for size in sizes]
    return weights, CategoricalItems(np.concatenate(blocks, axis=1), sizes)


def population(weights, law):
    """All rows there can be, weighted by their probabilities."""
    codes = np.array(list(product(*map(range, law.n_categories))), dtype=float)
    x = indicators(codes, law.n_categories)
    return Rows.of(x, weight=np.exp(law.log_likelihoods(x)) @ weights)


def matched(found, truth):
    """Order of found rows that brings them nearest to the true ones."""
    cost = ((found[:, None] - truth[None]) ** 2).sum(axis=2)
    return linear_sum_assignment(cost.T)[1]


@pytest.mark.parametrize("n_components", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(2,) * 9, (2, 3, 4, 2, 3, 2, 3)])
def test_moments_of_the_population_give_the_model_back(n_components, sizes):
    rng = np.random.default_rng(0)
    weights, law = planted(rng, n_components, sizes)
    views = deal_items(sizes, rng.permutation(len(sizes)))
    moments = mean_moments(count_views(population(weights, law), views), views)
    found = mixture_of_views(moments, views, n_components)
    order = matched(found.means, law.probs)
    assert_allclose(found.means[order], law.probs, atol=1e-7)
    assert_allclose(found.weights[order], weights, atol=1e-7)
    assert found.residual < 1e-6


def test_numbers_in_three_views_of_any_columns():
    """Means of the components are read off, though nothing is known of the noise in a view."""
    rng = np.random.default_rng(1)
    weights, means = np.array([0.2, 0.3, 0.5]), rng.standard_normal((3, 9)) * 2 + 1
    classes = rng.choice(3, 200_000, p=weights)
    mixing = rng.standard_normal((3, 3, 3)) / 2
    noise = np.concatenate([rng.standard_normal((classes.size, 3)) @ m for m in mixing], axis=1)
    views = Views(tuple(((np.arange(3 * v, 3 * v + 3),),) for v in range(3)))
    moments = mean_moments(count_views(Rows.of(means[classes] + noise), views), views)
    found = mixture_of_views(moments, views, 3)
    order = matched(found.means, means)
    assert_allclose(found.means[order], means, atol=0.15)
    assert_allclose(found.weights[order], weights, atol=0.05)


def test_too_many_classes_for_a_view():
    weights, law = planted(np.random.default_rng(2), 2, (2, 2, 2))
    views = deal_items((2, 2, 2), np.arange(3))
    moments = mean_moments(count_views(population(weights, law), views), views)
    with pytest.raises(RankError, match=r"n_components=3, but a view has only 2 .*n_components=2"):
        mixture_of_views(moments, views, 3)


def test_independent_items_show_one_class():
    rng = np.random.default_rng(3)
    x = indicators(rng.integers(0, 2, (3000, 12)), (2,) * 12)
    views = deal_items((2,) * 12, np.arange(12))
    moments = mean_moments(count_views(Rows.of(x), views), views)
    spectrum = spectrum_of_views(moments, views)
    assert spectrum.rank == 1
    assert spectrum.correlations[0] == pytest.approx(1)
    assert spectrum.correlations[1] < spectrum.floor


def test_the_rank_is_the_number_of_classes_where_rows_are_many():
    rng = np.random.default_rng(4)
    weights, law = planted(rng, 3, (2,) * 12, 0.5)
    x = law.sample(rng.choice(3, 20_000, p=weights), rng)
    views = deal_items((2,) * 12, rng.permutation(12))
    moments = mean_moments(count_views(Rows.of(x), views), views)
    assert spectrum_of_views(moments, views).rank == 3
    found = mixture_of_views(moments, views, 3)
    order = matched(found.means, law.probs)
    assert_allclose(found.means[order], law.probs, atol=0.08)
