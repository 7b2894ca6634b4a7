"""Moments of mixtures: sums of chunks, and projections of what brute force gives."""

import numpy as np
import pytest

from spectral_nn.data.rows import Rows
from spectral_nn.moments.mixtures import second_moments, third_moments
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


@pytest.fixture
def rows(rng):
    return Rows.of(rng.standard_normal((60, 4)) + 3, weight=rng.uniform(0.5, 2, 60))


def test_second_moments_are_the_weighted_covariance(rows):
    found = second_moments(rows, np.full(4, 2.0), RUN)
    expected = np.cov(rows.X, rowvar=False, aweights=rows.weight, ddof=0)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-10)
    assert found.weight == pytest.approx(rows.weight.sum())
    assert found.n_effective == pytest.approx(rows.weight.sum() ** 2 / (rows.weight**2).sum())


def test_third_moments_are_those_of_the_whole_tensor_projected(rows, rng):
    mean, scale = np.full(4, 3.0), np.array([1.0, 2.0, 0.5, 1.0])
    W = rng.standard_normal((4, 2))
    found = third_moments(rows, mean, scale, W, RUN)
    u = (rows.X - mean) / scale
    whole = np.einsum("n,ni,nj,nk->ijk", rows.weight, u, u, u)
    np.testing.assert_allclose(found.third, np.einsum("ijk,ia,jb,kc->abc", whole, W, W, W))
    np.testing.assert_allclose(found.cross, np.einsum("iij,ja->ia", whole, W))


def test_missing_entries_stand_at_the_centre(rows):
    centre = np.full(4, 3.0)
    holes = rows.X.copy()
    holes[::7, 1] = np.nan
    filled = np.where(np.isnan(holes), centre, holes)
    found = second_moments(rows._replace(X=holes), centre, RUN)
    expected = second_moments(rows._replace(X=filled), centre, RUN)
    np.testing.assert_allclose(found.second, expected.second)
    assert found.seen[1] == pytest.approx(rows.weight[~np.isnan(holes[:, 1])].sum())


def test_halves_add_up(rows):
    centre, W = np.zeros(4), np.eye(4)[:, :2]
    whole = third_moments(rows, centre, np.ones(4), W, RUN)
    first, second = (third_moments(half, centre, np.ones(4), W, RUN) for half in rows.halves())
    np.testing.assert_allclose((first + second).third, whole.third, rtol=1e-12)
    np.testing.assert_allclose((first + second).cross, whole.cross, rtol=1e-12)
