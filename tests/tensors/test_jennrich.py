import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import compose, jennrich, match_components, multilinear, whiten_cross


def planted(rng, m, K):
    """Slices R diag(lambda_v) inv(R), with R well conditioned and not orthogonal."""
    R = np.linalg.qr(rng.standard_normal((K, K)))[0] + 0.3 * rng.standard_normal((K, K)) / K**0.5
    R /= np.linalg.norm(R, axis=0)
    eigenvalues = rng.standard_normal((m, K))
    return (R * eigenvalues[:, None, :]) @ np.linalg.inv(R), R, eigenvalues


def errors(found, R, eigenvalues):
    """Largest errors of basis (up to order and sign) and eigenvalues."""
    basis, values = to_numpy(found.basis), to_numpy(found.eigenvalues)
    order = match_components(R.T, basis.T, cost="cosine")
    basis, values = basis[:, order], values[:, order]
    basis = basis * np.sign(np.sum(basis * R, axis=0))
    return np.abs(basis - R).max(), np.abs(values - eigenvalues).max()


@pytest.mark.parametrize(("m", "K"), [(1, 4), (8, 4), (40, 20), (5, 1)])
def test_planted_basis_is_recovered(xp, rng, m, K):
    slices, R, eigenvalues = planted(rng, m, K)
    found = jennrich(xp.asarray(slices), rng=rng)
    assert found.basis.shape == (K, K)
    assert found.eigenvalues.shape == (m, K)
    assert found.ratio < 1e-10
    assert max(errors(found, R, eigenvalues)) < 1e-9
    np.testing.assert_allclose(np.linalg.norm(to_numpy(found.basis), axis=0), 1, rtol=1e-12)


def test_error_is_in_proportion_to_noise(rng):
    slices, R, eigenvalues = planted(rng, 12, 6)
    noise = rng.standard_normal(slices.shape)
    for size in (1e-8, 1e-5):
        found = jennrich(slices + size * noise, rng=rng)
        in_basis, in_eigenvalues = errors(found, R, eigenvalues)
        assert 0.1 * size < in_basis < 20 * size
        assert 0.1 * size < in_eigenvalues < 20 * size
        assert 0.1 * size < found.ratio < 20 * size


def test_more_projections_help(rng):
    one, many = [], []
    for _ in range(20):
        slices, *_ = planted(rng, 16, 8)
        slices = slices + 1e-3 * rng.standard_normal(slices.shape)
        one.append(jennrich(slices, n_projections=1, rng=rng).ratio)
        many.append(jennrich(slices, n_projections=20, rng=rng).ratio)
    assert np.mean(many) < 0.5 * np.mean(one)


def test_complex_pairs_become_the_real_plane_they_span(xp, rng):
    # In the plane of the first two columns every slice turns and stretches: no real
    # eigenvectors exist there, whatever the combination.
    K, m = 5, 9
    Q = rng.standard_normal((K, K))
    core = np.zeros((m, K, K))
    a, b = rng.standard_normal((2, m))
    core[:, 0, 0] = core[:, 1, 1] = a
    core[:, 0, 1], core[:, 1, 0] = -b, b
    core[:, range(2, K), range(2, K)] = rng.standard_normal((m, K - 2))
    found = jennrich(xp.asarray(Q @ core @ np.linalg.inv(Q)), rng=rng)
    basis = to_numpy(found.basis)
    assert basis.dtype == np.float64
    assert np.isfinite(basis).all()
    assert 0.01 < found.ratio < 1
    inside = np.linalg.inv(Q) @ basis
    inside /= np.linalg.norm(inside, axis=0)
    plane = np.linalg.norm(inside[:2], axis=0)
    assert np.sum(plane > 1 - 1e-10) == 2
    assert np.sum(plane < 1e-9) == K - 2
    real = np.abs(inside[2:, plane < 1e-9])
    np.testing.assert_allclose(np.sort(real, axis=0)[-1], 1, rtol=1e-10)
    assert np.linalg.svd(inside[:2, plane > 0.5])[1][1] > 0.05


def test_defective_slices_do_not_fail():
    found = jennrich(np.array([[[0.0, 1.0], [0.0, 0.0]]]), rng=np.random.default_rng(0))
    assert np.isfinite(found.basis).all()
    assert found.ratio <= 1
    zero = jennrich(np.zeros((2, 3, 3)), rng=np.random.default_rng(0))
    assert zero.ratio == 0


def test_namespaces_agree(xp, rng):
    slices, *_ = planted(rng, 12, 6)
    slices = slices + 1e-2 * rng.standard_normal(slices.shape)
    expected = jennrich(slices, rng=np.random.default_rng(1))
    found = jennrich(xp.asarray(slices), rng=np.random.default_rng(1))
    np.testing.assert_allclose(to_numpy(found.basis), expected.basis, atol=1e-10)
    np.testing.assert_allclose(to_numpy(found.eigenvalues), expected.eigenvalues, atol=1e-10)
    assert found.ratio == pytest.approx(expected.ratio, abs=1e-10)


def test_single_precision_stays_single(xp, rng):
    slices, R, eigenvalues = planted(rng, 8, 4)
    found = jennrich(xp.asarray(slices, dtype=xp.float32), rng=rng)
    assert found.basis.dtype == xp.float32
    assert max(errors(found, R, eigenvalues)) < 1e-3


def test_whitened_cross_moment_gives_the_columns_of_a_mixture(rng):
    # Three views of one hidden choice: the whole road from moments to components.
    K, n = 3, 6
    weights = np.array([0.2, 0.3, 0.5])
    views = [rng.dirichlet(np.ones(n), size=K).T for _ in range(3)]
    T = compose(weights, views)
    U, s, Vt = np.linalg.svd(T.sum(axis=2))
    W_left, W_right = whiten_cross(U[:, :K], s[:K], Vt[:K], floor=0.0)
    slices = np.moveaxis(multilinear(T, W_left, W_right, np.eye(n)), 2, 0)
    np.testing.assert_allclose(slices.sum(axis=0), np.eye(K), atol=1e-10)
    found = jennrich(slices, rng=rng).eigenvalues
    order = match_components(views[2].T, found.T)
    np.testing.assert_allclose(found[:, order], views[2], atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 4), (0, 2, 2)])
def test_other_shapes_are_refused(rng, shape):
    with pytest.raises(ValueError, match="slices has shape"):
        jennrich(np.ones(shape), rng=rng)


def test_no_projections_are_refused(rng):
    with pytest.raises(ValueError, match="n_projections=0"):
        jennrich(np.ones((1, 2, 2)), n_projections=0, rng=rng)
