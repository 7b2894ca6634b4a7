import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import joint_diagonalise, match_components, off_diagonal_ratio
from spectral_nn.tensors.joint_diagonalisation import _round_robin


def planted(rng, m, K):
    Q = np.linalg.qr(rng.standard_normal((K, K)))[0]
    eigenvalues = rng.standard_normal((m, K))
    return (Q * eigenvalues[:, None, :]) @ Q.T, Q, eigenvalues


def errors(found, Q, eigenvalues):
    basis, values = to_numpy(found.basis), to_numpy(found.eigenvalues)
    order = match_components(Q.T, basis.T, cost="cosine")
    basis, values = basis[:, order], values[:, order]
    basis = basis * np.sign(np.sum(basis * Q, axis=0))
    return np.abs(basis - Q).max(), np.abs(values - eigenvalues).max()


@pytest.mark.parametrize(("m", "K"), [(3, 1), (1, 2), (1, 6), (4, 5), (6, 8), (10, 21)])
def test_planted_basis_is_recovered(xp, rng, m, K):
    slices, Q, eigenvalues = planted(rng, m, K)
    found = joint_diagonalise(xp.asarray(slices))
    assert found.ratio < 1e-12
    assert max(errors(found, Q, eigenvalues)) < 1e-12
    basis = to_numpy(found.basis)
    np.testing.assert_allclose(basis.T @ basis, np.eye(K), atol=1e-13)


def test_eigenvalues_that_no_single_slice_tells_apart(rng):
    # Every slice has double eigenvalues; only together do they fix the basis.
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    eigenvalues = np.array([[1.0, 1, 2, 2], [1, 2, 1, 2], [1, 2, 2, 1]])
    slices = (Q * eigenvalues[:, None, :]) @ Q.T
    assert max(errors(joint_diagonalise(slices), Q, eigenvalues)) < 1e-12


def test_error_is_in_proportion_to_noise(rng):
    slices, Q, eigenvalues = planted(rng, 8, 7)
    E = rng.standard_normal(slices.shape)
    for size in (1e-7, 1e-3):
        found = joint_diagonalise(slices + size * (E + E.transpose(0, 2, 1)))
        in_basis, in_eigenvalues = errors(found, Q, eigenvalues)
        assert 0.1 * size < in_basis < 5 * size
        assert 0.1 * size < in_eigenvalues < 10 * size
        assert 0.1 * size < found.ratio < 5 * size


def test_result_is_a_local_minimum(rng):
    slices = rng.standard_normal((5, 6, 6))
    slices = slices + slices.transpose(0, 2, 1)
    found = joint_diagonalise(slices)
    assert found.ratio < float(off_diagonal_ratio(slices)[1])
    for _ in range(20):
        skew = rng.standard_normal((6, 6))
        turned = np.linalg.qr(np.eye(6) + 1e-3 * (skew - skew.T))[0]
        V = found.basis @ turned
        assert off_diagonal_ratio(V.T @ slices @ V)[1] > found.ratio


@pytest.mark.parametrize("n", [2, 4, 6, 10])
def test_a_sweep_meets_every_pair_once(n):
    order = _round_robin(np.eye(n))
    items, pairs = np.arange(n), []
    for _ in range(n - 1):
        pairs += [frozenset(p) for p in zip(items[: n // 2], items[n // 2 :], strict=True)]
        items = items[order]
    assert len(set(pairs)) == len(pairs) == n * (n - 1) // 2
    np.testing.assert_array_equal(items, np.arange(n))


def test_namespaces_agree(xp, rng):
    slices, _, _ = planted(rng, 4, 5)
    E = 0.1 * rng.standard_normal(slices.shape)
    slices = slices + E + E.transpose(0, 2, 1)
    expected = joint_diagonalise(slices)
    found = joint_diagonalise(xp.asarray(slices))
    np.testing.assert_allclose(to_numpy(found.basis), expected.basis, atol=1e-10)
    np.testing.assert_allclose(to_numpy(found.eigenvalues), expected.eigenvalues, atol=1e-10)


def test_no_sweeps_change_nothing():
    found = joint_diagonalise(np.ones((1, 3, 3)), n_sweeps=0)
    np.testing.assert_array_equal(found.basis, np.eye(3))
    assert found.ratio == pytest.approx((6 / 9) ** 0.5)


def test_zero_slices_have_ratio_zero():
    assert joint_diagonalise(np.zeros((2, 3, 3))).ratio == 0


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (0, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="slices has shape"):
        joint_diagonalise(np.ones(shape))
