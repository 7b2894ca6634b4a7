"""Moments of three views, against loops over rows."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import indicators
from spectral_nn.moments.views import Views, count_views, deal_items, mean_moments

SIZES = (2, 3, 2, 2, 3, 2)


def draw(rng, n, missing=0.0):
    codes = np.stack([rng.integers(0, size, n) for size in SIZES], axis=1).astype(float)
    codes[rng.random(codes.shape) < missing] = np.nan
    return codes


def fields(sums):
    return sums.weight, sums.first, sums.pairs, sums.features, sums.triples


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.booleans())
def test_sums_of_chunks_add_up(seed, cut, csr):
    rng = np.random.default_rng(seed)
    x = indicators(draw(rng, 30, 0.3), SIZES, csr=csr)
    rows = Rows.of(x, weight=rng.random(30))
    views = deal_items(SIZES, rng.permutation(6))
    whole = count_views(rows, views)
    parts = count_views(rows.cut(0, cut), views) + count_views(rows.cut(cut, 30), views)
    for one, other in zip(fields(parts), fields(whole), strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_sums_are_those_of_a_loop_over_rows():
    rng = np.random.default_rng(0)
    codes, weight = draw(rng, 25, 0.2), rng.random(25)
    views = deal_items(SIZES, np.arange(6), max_cells=6)
    assert views.sizes == [[4], [9], [4]] or views.sizes == [[4], [3, 3], [4]]
    sums = count_views(Rows.of(indicators(codes, SIZES), weight=weight), views)
    a, b, c = views.places
    assert sums.triples.shape == (a.stop - a.start, b.stop - b.start, c.stop - c.start)
    # the first view compounds items 0 and 3, the third 2 and 5; the second starts with item 1
    for i, j, k in product((0, 1), (0, 1, 2), (0, 1)):
        met = (codes[:, 0] == i) & (codes[:, 3] == 1) & (codes[:, 1] == j)
        met &= (codes[:, 2] == k) & (codes[:, 5] == 0)
        assert_allclose(sums.triples[2 * i + 1, j, 2 * k], weight[met].sum(), atol=1e-12)


def test_moments_of_missing_answers_are_shares_of_the_rows_that_have_answered():
    rng = np.random.default_rng(1)
    codes = draw(rng, 200, 0.3)
    views = deal_items(SIZES, np.arange(6), max_cells=1)
    x = indicators(codes, SIZES)
    moments = mean_moments(count_views(Rows.of(x), views), views)
    # features of the first two views: items 0 and 3, and items 1 and 4
    both = (codes[:, 0] >= 0) & (codes[:, 4] >= 0)
    share = ((codes[:, 0] == 1) & (codes[:, 4] == 2)).sum() / both.sum()
    assert_allclose(moments.features[1, 4 + 3 + 2], share)
    assert_allclose(moments.pairs[1, 4 + 3 + 2], share)
    three = both & (codes[:, 5] >= 0)
    share = ((codes[:, 0] == 1) & (codes[:, 4] == 2) & (codes[:, 5] == 0)).sum() / three.sum()
    assert_allclose(moments.triples[1, 3 + 2, 2], share)
    assert moments.n_rows[0, 1] == min(
        ((codes[:, i] >= 0) & (codes[:, j] >= 0)).sum() for i in (0, 3) for j in (1, 4)
    )


def test_items_never_answered_together_are_taken_to_be_independent():
    codes = np.array([[0, np.nan, 0], [1, np.nan, 1], [np.nan, 0, 1], [np.nan, 0, 0]])
    views = deal_items((2, 2, 2), np.arange(3))
    moments = mean_moments(count_views(Rows.of(indicators(codes, (2, 2, 2))), views), views)
    assert_allclose(moments.features[:2, 2:4], [[0.5, 0], [0.5, 0]])
    assert np.isfinite(moments.triples).all()


def test_moments_of_numbers_are_plain_means():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((50, 4))
    views = Views(tuple(((np.array(columns),),) for columns in ([0, 1], [2], [3])))
    moments = mean_moments(count_views(Rows.of(x), views), views)
    assert_allclose(moments.pairs, x.T @ x / 50)
    assert_allclose(moments.triples[1, 0, 0], (x[:, 1] * x[:, 2] * x[:, 3]).mean())


@pytest.mark.parametrize("sizes", [(2, 1, 1, 2), (1, 1, 1), (5, 5)])
def test_three_items_are_needed(sizes):
    assert deal_items(sizes, np.arange(len(sizes))) is None


def test_every_item_is_dealt_once_while_there_is_room():
    sizes = (2,) * 12
    views = deal_items(sizes, np.random.default_rng(0).permutation(12))
    columns = np.concatenate([views.columns(v) for v in range(3)])
    assert_array_equal(np.sort(columns), np.arange(24))
    assert views.sizes == [[16], [16], [16]]
    few = deal_items((10,) * 30, np.arange(30), max_features=48)
    assert [sum(sizes) for sizes in few.sizes] == [40, 40, 40]
