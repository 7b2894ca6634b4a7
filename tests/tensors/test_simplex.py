from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import project_simplex

rows = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6),
    elements=st.floats(-100, 100),
)


def brute_force(x):
    """Nearest point over all supports, from the optimality conditions on each."""
    best = None
    for size in range(1, len(x) + 1):
        for support in combinations(range(len(x)), size):
            p = np.zeros_like(x)
            kept = list(support)
            p[kept] = x[kept] - (x[kept].sum() - 1) / size
            nearer = best is None or np.sum((p - x) ** 2) < np.sum((best - x) ** 2)
            if (p >= 0).all() and nearer:
                best = p
    return best


@given(rows)
def test_rows_are_probabilities_and_a_second_projection_changes_nothing(X):
    P = project_simplex(X)
    assert P.shape == X.shape
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=-1), 1, rtol=0, atol=1e-14)
    np.testing.assert_allclose(project_simplex(P), P, rtol=0, atol=1e-14)


@given(hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(-3, 3)))
def test_nearest_point_by_brute_force(x):
    # Distances equal to rounding error belong to points that differ by its square root.
    np.testing.assert_allclose(project_simplex(x), brute_force(x), rtol=0, atol=1e-7)


@given(hnp.arrays(np.float64, (2, 5), elements=st.floats(-50, 50)), st.floats(-50, 50))
def test_shifts_are_lost_and_distances_do_not_grow(X, shift):
    P = project_simplex(X)
    np.testing.assert_allclose(project_simplex(X + shift), P, rtol=0, atol=1e-12)
    assert np.linalg.norm(P[0] - P[1]) <= np.linalg.norm(X[0] - X[1]) + 1e-12


def test_nearest_point_by_an_optimiser(rng):
    x = rng.standard_normal(8)
    found = minimize(
        lambda p: np.sum((p - x) ** 2),
        np.full(8, 1 / 8),
        bounds=[(0, 1)] * 8,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        tol=1e-12,
    )
    np.testing.assert_allclose(project_simplex(x), found.x, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_axis(xp, rng, axis):
    X = rng.standard_normal((3, 4, 5))
    found = to_numpy(project_simplex(xp.asarray(X), axis=axis))
    expected = np.apply_along_axis(project_simplex, axis, X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_noise_around_a_probability_vector_shrinks(rng):
    p = np.array([0.7, 0.3] + [0.0] * 48)
    noise = 1e-3 * rng.standard_normal((200, 50))
    before = np.linalg.norm(noise, axis=1)
    after = np.linalg.norm(project_simplex(p + noise) - p, axis=1)
    assert (after <= before).all()
    assert after.mean() < 0.6 * before.mean()


def test_extreme_scales_and_ties():
    np.testing.assert_array_equal(project_simplex(np.array([1e300, -1e300, 0.0])), [1, 0, 0])
    np.testing.assert_array_equal(project_simplex(np.array([-np.inf, 2.0, 2.0])), [0, 0.5, 0.5])
    np.testing.assert_array_equal(project_simplex(np.full(4, 1e9)), [0.25] * 4)


def test_single_precision_stays_single(xp):
    assert project_simplex(xp.asarray([0.5, 0.1], dtype=xp.float32)).dtype == xp.float32
