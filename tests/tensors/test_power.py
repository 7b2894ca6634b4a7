import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import compose, match_components, multilinear, tensor_power, whiten


def planted(rng, n, K):
    weights = np.linspace(1.0, 2.0, K)
    vectors = np.linalg.qr(rng.standard_normal((n, n)))[0][:, :K]
    return compose(weights, (vectors,) * 3), weights, vectors


def aligned(factors, vectors):
    """Return weights and vectors in the planted order, signs as found."""
    found = to_numpy(factors.vectors[0])
    order = match_components(vectors.T, found.T)
    return to_numpy(factors.weights)[order], found[:, order]


@pytest.mark.parametrize(("n", "K"), [(1, 1), (5, 1), (5, 5), (8, 3), (20, 20)])
def test_planted_components_are_recovered(xp, rng, n, K):
    T, weights, vectors = planted(rng, n, K)
    factors = tensor_power(xp.asarray(T), K, rng=rng)
    assert factors.residual < 1e-12
    found_weights, found = aligned(factors, vectors)
    np.testing.assert_allclose(found_weights, weights, atol=1e-12)
    np.testing.assert_allclose(found, vectors, atol=1e-12)


def test_negative_weights_turn_the_vectors(rng):
    _, _, vectors = planted(rng, 4, 4)
    T = compose(np.array([1.0, -2.0, 3.0, -4.0]), (vectors,) * 3)
    found_weights, found = aligned(tensor_power(T, rng=rng), vectors * [1, -1, 1, -1])
    np.testing.assert_allclose(found_weights, [1, 2, 3, 4], atol=1e-12)
    np.testing.assert_allclose(found, vectors * [1, -1, 1, -1], atol=1e-12)


def test_error_is_in_proportion_to_noise(rng):
    T, weights, vectors = planted(rng, 10, 10)
    E = rng.standard_normal(T.shape)
    noise = sum(np.transpose(E, p) for p in [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
    noise = (noise + np.transpose(noise, (1, 0, 2))) / 6
    for size in (1e-6, 1e-3):
        found_weights, found = aligned(tensor_power(T + size * noise, rng=rng), vectors)
        assert 0.1 * size < np.abs(found_weights - weights).max() < 5 * size
        assert 0.1 * size < np.linalg.norm(found - vectors, axis=0).max() < 10 * size


def test_missing_components_get_no_weight(rng):
    T, _, _ = planted(rng, 4, 2)
    factors = tensor_power(T, 4, rng=rng)
    np.testing.assert_allclose(factors.weights, [2, 1, 0, 0], atol=1e-10)
    assert np.isfinite(factors.vectors[0]).all()
    zero = tensor_power(np.zeros((3, 3, 3)), rng=rng)
    assert not zero.weights.any()
    np.testing.assert_allclose(np.linalg.norm(zero.vectors[0], axis=0), 1)


def test_whitening_makes_any_independent_components_orthogonal(rng):
    weights = np.array([0.2, 0.3, 0.5])
    vectors = rng.dirichlet(np.ones(6), size=3).T
    W, B, _ = whiten(compose(weights, (vectors,) * 2), 3)
    core = multilinear(compose(weights, (vectors,) * 3), W, W, W)
    factors = tensor_power(core, rng=rng)
    found = B @ factors.vectors[0] * factors.weights
    order = match_components(vectors.T, found.T)
    np.testing.assert_allclose(found[:, order], vectors, atol=1e-9)
    np.testing.assert_allclose(factors.weights[order] ** -2, weights, atol=1e-9)


def test_namespaces_agree(xp, rng):
    T, _, _ = planted(rng, 6, 6)
    E = rng.standard_normal((6, 2))
    T = T + compose(np.array([0.01, 0.02]), (E,) * 3)
    expected = tensor_power(T, rng=np.random.default_rng(1))
    found = tensor_power(xp.asarray(T), rng=np.random.default_rng(1))
    np.testing.assert_allclose(to_numpy(found.weights), expected.weights, atol=1e-10)
    np.testing.assert_allclose(to_numpy(found.vectors[2]), expected.vectors[2], atol=1e-10)
    assert found.residual == pytest.approx(expected.residual, abs=1e-10)


@pytest.mark.parametrize(
    ("T", "options", "message"),
    [
        (np.ones((2, 2, 3)), {}, "T has shape"),
        (np.ones((2, 2, 2)), {"n_components": 3}, "n_components=3"),
        (np.ones((2, 2, 2)), {"n_starts": 0}, "n_starts=0"),
        (np.ones((2, 2, 2)), {"n_iter": 0}, "n_iter=0"),
    ],
)
def test_bad_arguments_are_named(rng, T, options, message):
    with pytest.raises(ValueError, match=message):
        tensor_power(T, rng=rng, **options)
