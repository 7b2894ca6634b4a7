"""Symmetric tensors with orthogonal components, by Jacobi rotations."""

import numpy as np
import pytest

from spectral_nn.tensors import compose, diagonalise_tensor
from spectral_nn.tensors.rotations import rotate


def _planted(K, rng):
    V = np.linalg.qr(rng.standard_normal((K, K)))[0]
    weights = rng.uniform(1, 3, K)
    return V, weights, compose(weights, (V,) * 3)


def _symmetric_noise(K, rng):
    noise = rng.standard_normal((K, K, K))
    noise = sum(noise.transpose(order) for order in [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
    return (noise + noise.transpose(1, 0, 2)) / 6


@pytest.mark.parametrize("K", [1, 2, 7, 40])
def test_recovers_orthogonal_components_exactly(K):
    V, weights, T = _planted(K, np.random.default_rng(K))
    found = diagonalise_tensor(T)
    order = np.argsort(-weights)
    np.testing.assert_allclose(found.weights, weights[order], atol=1e-10)
    np.testing.assert_allclose(found.vectors[0], V[:, order], atol=1e-9)
    assert found.residual < 1e-9


def test_noise_of_a_tensor_moves_its_components_as_little():
    rng = np.random.default_rng(0)
    V, _, T = _planted(10, rng)
    noise = _symmetric_noise(10, rng)
    T = T + 0.05 * noise / np.linalg.norm(noise) * np.linalg.norm(T)
    cosines = (diagonalise_tensor(T).vectors[0].T @ V).max(axis=0)
    assert cosines.min() > 0.99


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_sweeps_end_where_they_no_longer_matter(noise):
    rng = np.random.default_rng(2)
    T = _planted(20, rng)[2] + noise * _symmetric_noise(20, rng)
    slices, V = T.copy(), np.eye(20)
    rotate(slices, V, 0.0)  # to the last angle
    found = diagonalise_tensor(T).vectors[0]

    def on_diagonals(V):
        return np.sum(np.einsum("ijk,ia,ja->ak", T, V, V, optimize=True) ** 2) / np.sum(T**2)

    assert on_diagonals(found) == pytest.approx(on_diagonals(V), abs=1e-8)
    assert np.abs(found.T @ V).max(axis=0).min() > 1 - (1e-3 if noise else 1e-12)


def test_equal_weights_are_no_obstacle():
    V = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    found = diagonalise_tensor(compose(np.ones(6), (V,) * 3)).vectors[0]
    np.testing.assert_allclose(np.abs(found.T @ V).max(axis=0), 1, atol=1e-10)


def test_a_tensor_of_zeros_has_weights_of_zero():
    found = diagonalise_tensor(np.zeros((3, 3, 3)))
    assert not found.weights.any()
    assert found.residual == 0


@pytest.mark.parametrize(
    ("T", "match"),
    [
        (np.zeros((2, 2)), "shape"),
        (np.zeros((2, 2, 3)), "shape"),
        (np.full((2, 2, 2), np.nan), "finite"),
    ],
)
def test_bad_tensors_are_named(T, match):
    with pytest.raises(ValueError, match=match):
        diagonalise_tensor(T)
