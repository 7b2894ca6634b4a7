from itertools import permutations

import numpy as np
import pytest

from spectral_nn.tensors import match_components


@pytest.mark.parametrize("cost", ["l1", "cosine"])
@pytest.mark.parametrize("K", [1, 2, 7])
def test_shuffled_components_are_put_back(xp, rng, K, cost):
    A = rng.dirichlet(np.ones(9), size=K)
    order = rng.permutation(K)
    B = A[order] + 1e-3 * rng.standard_normal(A.shape)
    found = match_components(xp.asarray(A), xp.asarray(B), cost=cost)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(order[found], np.arange(K))


@pytest.mark.parametrize("cost", ["l1", "cosine"])
def test_total_cost_is_the_least_of_all_orders(rng, cost):
    A, B = rng.standard_normal((2, 5, 3))

    def total(order):
        other = B[list(order)]
        if cost == "l1":
            return np.abs(A - other).sum()
        lengths = np.linalg.norm(A, axis=1) * np.linalg.norm(other, axis=1)
        return np.sum(1 - np.abs((A * other).sum(axis=1)) / lengths)

    best = min(permutations(range(5)), key=total)
    np.testing.assert_array_equal(match_components(A, B, cost=cost), best)


def test_cosine_knows_no_sign_or_scale(rng):
    A = rng.standard_normal((4, 6))
    B = A[[3, 1, 0, 2]] * np.array([[-1.0], [5.0], [-0.1], [1.0]])
    np.testing.assert_array_equal(match_components(A, B, cost="cosine"), [2, 1, 3, 0])


def test_zero_rows_are_matched_last():
    A = np.array([[0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(match_components(A, A[::-1], cost="cosine"), [1, 0])


@pytest.mark.parametrize(
    ("A", "B", "cost", "message"),
    [
        (np.eye(2), np.eye(3), "l1", "shapes"),
        (np.ones(2), np.ones(2), "l1", "shapes"),
        (np.eye(2), np.eye(2), "l2", "cost='l2'"),
        (np.full((1, 1), np.nan), np.eye(1), "l1", "NaN"),
    ],
)
def test_bad_arguments_are_named(A, B, cost, message):
    with pytest.raises(ValueError, match=message):
        match_components(A, B, cost=cost)
