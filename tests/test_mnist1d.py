"""MNIST-1D: its law, and how hard it is."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from spectral_nn.datasets import make_mnist1d, mnist1d


def test_rows_are_balanced_and_standardised():
    X, y = make_mnist1d(205, rng=np.random.default_rng(0))
    assert X.shape == (205, 40)
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == [21] * 5 + [20] * 5
    assert abs(X.mean()) < 1e-12
    assert X.std() == pytest.approx(1)


def test_equal_generators_give_equal_rows():
    one, again, other = (make_mnist1d(50, rng=np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])


def test_shapes_are_stretched_and_turned_round():
    places = mnist1d._draw_places(500, np.random.default_rng(0))
    last = places.max(axis=1)
    assert set(last) == set(range(47, 72))  # 11 intervals of the shape, and 36 to 60 of zeros
    begins = places.argmin(axis=1)
    assert set(begins) == set(range(48))
    unturned = [np.roll(row, -begin) for row, begin in zip(places, begins, strict=True)]
    np.testing.assert_allclose(unturned, np.linspace(0, last, 72).T, atol=1e-12)


def test_shapes_are_zero_at_their_ends_and_equally_high():
    values = mnist1d._interpolate_shapes(np.tile(np.arange(20.0), (10, 1)), np.arange(10))
    np.testing.assert_array_equal(values[:, [0, 11]], 0)
    np.testing.assert_array_equal(values[:, 12:], 0)
    np.testing.assert_allclose(values[:, :12].std(axis=1), 1 / 6)


def test_linear_models_learn_little_of_it_and_neighbours_more():
    X, y = make_mnist1d(rng=np.random.default_rng(0))
    linear = LogisticRegression(max_iter=1000).fit(X[:4000], y[:4000])
    assert 0.25 < linear.score(X[4000:], y[4000:]) < 0.40
    assert KNeighborsClassifier(1).fit(X[:4000], y[:4000]).score(X[4000:], y[4000:]) > 0.5


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="n_samples=0"):
        make_mnist1d(0, rng=np.random.default_rng(0))
