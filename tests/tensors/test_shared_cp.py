"""One set of directions for symmetric tensors of several orders: exact, noisy, in doubt."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime

from spectral_nn.metrics import direction_angles
from spectral_nn.tensors import match_components
from spectral_nn.tensors.shared_cp import _objective, _Packed, shared_cp


def directions(rng, K, k):
    U = rng.standard_normal((K, k))
    return U / np.linalg.norm(U, axis=0)


def powers(U, weights):
    """Tensors of orders 1, 2, ... from weights (k, S) of each."""
    outer, tensors = U, []
    for weight in weights:
        tensors.append(np.tensordot(outer, weight, axes=(-1, 0)))
        outer = outer[..., None, :] * U
    return tensors


def mixed(rng, k, S=1):
    """Weights of orders 1 to 4: neither small nor of one sign."""
    return [rng.choice([-1.0, 1.0], (k, S)) * rng.uniform(0.5, 1.5, (k, S)) for _ in range(4)]


def noisy(tensors, size, rng):
    """Add symmetric noise, white in the sense of a symmetrised Gaussian tensor."""
    out = []
    for T in tensors:
        m, N = T.ndim - 1, rng.standard_normal(T.shape)
        if m == 2:
            N = (N + N.transpose(1, 0, 2)) / 2
        elif m == 3:
            N = sum(N.transpose(*p, 3) for p in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]) / 3
            N = (N + N.transpose(1, 0, 2, 3)) / 2
        elif m == 4:
            N = sum(N.transpose(*p, 4) for p in permutations(range(4))) / 24
        out.append(T + size * N)
    return out


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_contraction_is_that_of_einsum(rng, m):
    K, k, S = 4, 3, 2
    U, weights = directions(rng, K, 5), mixed(rng, 5, S)
    T, V = powers(U, [*weights, weights[0]])[m - 1], rng.standard_normal((K, k))
    letters = "abcde"[:m]
    expected = np.einsum(
        f"{letters}s," + ",".join(f"{c}j" for c in letters[1:]) + f"->j{letters[0]}s"
        if m > 1
        else "as,j->jas",
        T,
        *([V] * (m - 1) if m > 1 else [np.ones(k)]),
    )
    assert_allclose(_Packed.of(T).contract(V), expected, atol=1e-12)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_gradient_is_that_of_finite_differences(rng, k):
    K = 4
    tensors = noisy(powers(directions(rng, K, 3), mixed(rng, 3, 2)), 0.1, rng)
    V = rng.standard_normal((K, k)) * 1.5
    packed = [_Packed.of(T) for T in tensors]
    value, gradient = _objective(V.ravel(), packed, V.shape)
    numeric = approx_fprime(V.ravel(), lambda v: _objective(v, packed, V.shape)[0], 1e-7)
    assert_allclose(gradient, numeric, atol=2e-5 * np.abs(gradient).max())
    assert value < 0


def test_the_objective_is_the_squared_norm_that_least_squares_reach(rng):
    K, k = 4, 3
    tensors = noisy(powers(directions(rng, K, k), mixed(rng, k, 2)), 0.1, rng)
    V = rng.standard_normal((K, k))
    U = V / np.linalg.norm(V, axis=0)
    reached = 0.0
    for m, T in enumerate(tensors, 1):
        (columns,) = powers(U, [np.eye(k)]) if m == 1 else powers(U, [np.eye(k)] * m)[-1:]
        basis, target = columns.reshape(K**m, k), T.reshape(K**m, -1)
        fit = basis @ np.linalg.lstsq(basis, target, rcond=None)[0]
        reached += (fit**2).sum()
    value, _ = _objective(V.ravel(), [_Packed.of(T) for T in tensors], V.shape)
    assert -value == pytest.approx(reached, rel=1e-4)


@pytest.mark.parametrize(("K", "k"), [(5, 3), (5, 5), (8, 8), (3, 1)])
@pytest.mark.parametrize("S", [1, 3])
def test_exact_tensors_are_taken_apart(rng, K, k, S):
    U, weights = directions(rng, K, k), mixed(rng, k, S)
    found = shared_cp(powers(U, weights), k, rng=rng)
    assert direction_angles(found.directions, U).max() < 0.05
    assert found.explained == pytest.approx(1, abs=1e-4)
    assert_allclose(np.linalg.norm(found.directions, axis=0), 1)
    order = match_components(U.T, found.directions.T, cost="cosine")
    turned = np.sign(np.sum(U * found.directions[:, order], axis=0))
    for m, (weight, other) in enumerate(zip(found.weights, weights, strict=True), 1):
        assert weight.shape == (k, S)
        assert_allclose(weight[order] * turned[:, None] ** m, other, atol=2e-2)
    assert found.condition == pytest.approx(np.linalg.cond(U.T @ U), rel=0.02)


def test_each_order_may_show_a_part_only(rng):
    """None of the orders alone has all directions; signs are mixed throughout."""
    U = directions(rng, 6, 6)
    weights = [np.zeros((6, 1)) for _ in range(4)]
    weights[2][:3] = [[1.0], [-2.0], [1.5]]
    weights[3][2:] = [[1.0], [-1.0], [1.0], [-2.0]]
    found = shared_cp(powers(U, weights), 6, rng=rng)
    assert direction_angles(found.directions, U).max() < 0.1
    alone = shared_cp(powers(U, weights)[2:3], 6, rng=rng)
    assert direction_angles(alone.directions, U).max() > 10


def test_each_slice_may_show_a_part_only(rng):
    U = directions(rng, 6, 6)
    weights = [np.zeros((6, 3)) for _ in range(3)]
    for s in range(3):
        weights[2][2 * s : 2 * s + 2, s] = [1.0, -1.0]
    found = shared_cp(powers(U, weights), 6, rng=rng)
    assert direction_angles(found.directions, U).max() < 0.1


def test_slices_of_matrices_are_enough(rng):
    """Local regressions give no more than these: matrices that share their directions."""
    U = directions(rng, 5, 5)
    found = shared_cp(powers(U, mixed(rng, 5, 4)[:2]), 5, rng=rng)
    assert direction_angles(found.directions, U).max() < 0.1


def test_tensors_may_differ_in_their_number_of_slices(rng):
    U = directions(rng, 4, 4)
    weights = [rng.standard_normal((4, S)) for S in (3, 2, 1)]
    found = shared_cp(powers(U, weights), 4, rng=rng)
    assert direction_angles(found.directions, U).max() < 0.1
    assert [weight.shape for weight in found.weights] == [(4, 3), (4, 2), (4, 1)]


def test_error_is_in_proportion_to_noise(rng):
    U, weights = directions(rng, 6, 6), mixed(rng, 6)
    exact = powers(U, weights)
    errors = [
        direction_angles(shared_cp(noisy(exact, size, rng), 6, rng=rng).directions, U).mean()
        for size in (1e-3, 1e-2)
    ]
    assert errors[0] < 0.2
    assert 3 * errors[0] < errors[1] < 30 * errors[0]


def test_all_orders_beat_the_third_alone(rng):
    U, weights = directions(rng, 8, 8), mixed(rng, 8)
    tensors = noisy(powers(U, weights), 0.03, rng)
    together = direction_angles(shared_cp(tensors, 8, rng=rng).directions, U).mean()
    alone = direction_angles(shared_cp(tensors[2:3], 8, rng=rng).directions, U).mean()
    assert together < 3
    assert together < 0.7 * alone


def test_variances_are_those_of_least_squares_on_white_noise(rng):
    U = directions(rng, 4, 3)
    found = shared_cp(powers(U, mixed(rng, 3)), 3, rng=rng)
    order = match_components(U.T, found.directions.T, cost="cosine")
    assert found.variances.shape == (4, 3)
    for m, columns in enumerate(powers(U, [np.eye(3)] * 4), 1):
        features = columns.reshape(4**m, 3)
        expected = np.diag(np.linalg.inv(features.T @ features))
        assert_allclose(found.variances[m - 1, order], expected, rtol=1e-2)
        assert m > 3 or expected.max() > 1.001


def test_agreement_tells_clear_tensors_from_noise(rng):
    U = directions(rng, 6, 6)
    clear = shared_cp(powers(U, mixed(rng, 6)), 6, rng=rng)
    assert clear.agreement >= 0.5
    nothing = [np.zeros((7,) * m + (1,)) for m in (1, 2, 3, 4)]
    noise = shared_cp(noisy(nothing, 1.0, rng), 7, rng=rng)
    assert noise.agreement < 0.3
    assert noise.explained < 0.7


def test_condition_tells_of_directions_that_nearly_coincide(rng):
    U = directions(rng, 5, 3)
    U[:, 2] = U[:, 1] + 0.01 * U[:, 2]
    U /= np.linalg.norm(U, axis=0)
    found = shared_cp(powers(U, mixed(rng, 3)), 3, rng=rng)
    assert found.condition > 1e3
    assert shared_cp(powers(np.eye(5)[:, :3], mixed(rng, 3)), 3, rng=rng).condition < 1.01


def test_too_few_components_take_the_loudest(rng):
    U = np.linalg.qr(rng.standard_normal((5, 4)))[0]
    loud = np.array([[3.0], [-2.0], [0.3], [0.2]])
    found = shared_cp(powers(U, [loud] * 4), 2, rng=rng)
    assert direction_angles(found.directions, U[:, :2]).max() < 3
    assert found.explained == pytest.approx(13 / 13.13, abs=2e-3)


def test_too_many_components_hold_the_true_ones(rng):
    U = directions(rng, 5, 3)
    found = shared_cp(powers(U, mixed(rng, 3)), 5, rng=rng)
    assert direction_angles(found.directions, U).max() < 2
    assert all(np.isfinite(weight).all() for weight in found.weights)


def test_more_components_than_dimensions(rng):
    U = directions(rng, 3, 5)
    found = shared_cp(powers(U, mixed(rng, 5)), 5, rng=rng)
    assert found.directions.shape == (3, 5)
    assert found.explained > 0.97
    assert np.isfinite(found.variances).all()


def test_scale_does_not_matter(rng):
    U, weights = directions(rng, 4, 4), mixed(rng, 4)
    tensors = noisy(powers(U, weights), 0.01, rng)
    found = shared_cp(tensors, 4, rng=np.random.default_rng(0))
    small = shared_cp([1e-9 * T for T in tensors], 4, rng=np.random.default_rng(0))
    assert direction_angles(small.directions, found.directions).max() < 0.05
    assert_allclose(small.variances, found.variances, rtol=1e-2)
    assert np.abs(small.weights[2]).max() < 3e-9


def test_tensors_of_zeros(rng):
    found = shared_cp([np.zeros((3,) * m + (1,)) for m in (1, 2, 3)], 2, rng=rng)
    assert_allclose(np.linalg.norm(found.directions, axis=0), 1)
    assert all((weight == 0).all() for weight in found.weights)
    assert found.explained == 0


def test_same_generator_same_numbers(rng):
    tensors = noisy(powers(directions(rng, 4, 4), mixed(rng, 4)), 0.1, rng)
    first, second = (shared_cp(tensors, 4, rng=np.random.default_rng(1)) for _ in range(2))
    assert_array_equal(first.directions, second.directions)


def test_arguments_are_left_alone(rng):
    tensors = powers(directions(rng, 4, 4), mixed(rng, 4))
    copies = [T.copy() for T in tensors]
    shared_cp(tensors, 4, rng=rng)
    for T, copy in zip(tensors, copies, strict=True):
        assert_array_equal(T, copy)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([np.ones((3, 1))], "order 2 or more"),
        ([np.ones((3, 1)), np.ones((4, 4, 1))], "same K"),
        ([np.ones((3, 4, 1))], r"\(3, 4, 1\)"),
        ([np.full((3, 3, 1), np.nan)], "NaN"),
        ([np.full((3, 3, 1), np.inf)], "infinity"),
    ],
)
def test_bad_tensors_are_named(rng, tensors, message):
    with pytest.raises(ValueError, match=message):
        shared_cp(tensors, 2, rng=rng)
