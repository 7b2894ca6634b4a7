import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.results import RankWarning
from spectral_nn.tensors import whiten, whiten_cross


def test_whitened_moment_is_the_identity(xp, rng):
    A = rng.standard_normal((8, 3))
    M2 = A @ A.T
    W, B, eigenvalues = (to_numpy(x) for x in whiten(xp.asarray(M2), 3))
    assert W.shape == B.shape == (8, 3)
    np.testing.assert_allclose(W.T @ M2 @ W, np.eye(3), rtol=0, atol=1e-12)
    np.testing.assert_allclose(B, np.linalg.pinv(W.T), rtol=0, atol=1e-12)
    np.testing.assert_allclose(B @ (W.T @ A), A, rtol=0, atol=1e-12)
    np.testing.assert_allclose(eigenvalues, np.linalg.eigvalsh(M2)[::-1], rtol=0, atol=1e-12)


def test_noise_moves_whitening_in_proportion(rng):
    A = rng.standard_normal((8, 3))
    E = rng.standard_normal((8, 8))
    for size in (1e-7, 1e-4):
        M2 = A @ A.T + size * (E + E.T)
        W = whiten(M2, 3).whitener
        np.testing.assert_allclose(W.T @ M2 @ W, np.eye(3), rtol=0, atol=1e-12)
        error = np.linalg.norm(W.T @ A @ A.T @ W - np.eye(3))
        assert size * 0.05 < error < size * 20


@pytest.mark.parametrize("n_components", [3, 4, 5])
def test_rank_deficiency_warns_with_figures_and_stays_finite(xp, n_components):
    M2 = xp.asarray(np.diag([2.0, 1.0, 0.0, -1e-3, -1e-2]))
    with pytest.warns(RankWarning, match=f"n_components={n_components}: eigenvalue {n_components}"):
        W = to_numpy(whiten(M2, n_components).whitener)
    assert np.isfinite(W).all()
    np.testing.assert_allclose(np.abs(W[:2, :2]), np.diag([0.5**0.5, 1.0]), atol=1e-12)


def test_rtol_decides_what_is_negligible():
    M2 = np.diag([1.0, 1e-4])
    np.testing.assert_allclose(np.abs(whiten(M2, 2).whitener), np.diag([1, 100]), rtol=1e-12)
    with pytest.warns(RankWarning, match="0.0001"):
        W = whiten(M2, 2, rtol=1e-2).whitener
    np.testing.assert_allclose(np.abs(W), np.diag([1, 10]), rtol=1e-12)


def test_whitening_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="n_components=4"):
        whiten(np.eye(3), 4)
    with pytest.raises(ValueError, match="n_components=0"):
        whiten(np.eye(3), 0)
    with pytest.raises(ValueError, match="no positive eigenvalue"):
        whiten(-np.eye(3), 2)


def test_whitened_cross_moment_is_the_identity(xp, rng):
    H = rng.standard_normal((7, 3)) @ rng.standard_normal((3, 5))
    U, s, Vt = np.linalg.svd(H, full_matrices=False)
    svd = (xp.asarray(U[:, :3]), xp.asarray(s[:3]), xp.asarray(Vt[:3]))
    W_left, W_right = (to_numpy(x) for x in whiten_cross(*svd))
    assert W_left.shape == (7, 3)
    assert W_right.shape == (5, 3)
    np.testing.assert_allclose(W_left.T @ H @ W_right, np.eye(3), rtol=0, atol=1e-12)


def test_small_singular_values_are_raised_to_the_floor():
    s = np.array([10.0, 1.0, 1e-5])
    W_left, W_right = whiten_cross(np.eye(3), s, np.eye(3), floor=1e-2)
    expected = [1.0, 1.0, 1e-5 / 0.1]
    np.testing.assert_allclose(np.diag(W_left.T @ np.diag(s) @ W_right), expected, rtol=1e-12)


def test_zero_cross_moment_is_refused():
    with pytest.raises(ValueError, match=r"s\[0\]=0"):
        whiten_cross(np.eye(2), np.zeros(2), np.eye(2))
