import subprocess
import sys
from threading import Thread

import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import compose, cp_als, match_components


def planted(rng, shape, K):
    """Tensor whose components are neither orthogonal nor of one sign."""
    weights = np.linspace(1.0, 2.0, K)
    vectors = [rng.standard_normal((n, K)) for n in shape]
    vectors = [matrix / np.linalg.norm(matrix, axis=0) for matrix in vectors]
    return compose(weights, vectors), weights, vectors


def distance(factors, weights, vectors):
    """Largest distance of a rank-one term from the planted term it is matched with."""
    order = match_components(vectors[2].T, to_numpy(factors.vectors[2]).T, cost="cosine")
    errors = []
    for k, j in enumerate(order):
        # Terms rather than vectors, since two modes may change their signs together.
        found = compose(factors.weights[j : j + 1], [v[:, j : j + 1] for v in factors.vectors])
        true = compose(weights[k : k + 1], [v[:, k : k + 1] for v in vectors])
        errors.append(np.linalg.norm(to_numpy(found) - true))
    return max(errors)


@pytest.mark.parametrize(("shape", "K"), [((4, 4, 8), 4), ((5, 4, 6), 3), ((3, 3, 3), 1)])
def test_planted_components_are_recovered(rng, shape, K):
    T, weights, vectors = planted(rng, shape, K)
    factors = cp_als(T, K, n_iter=2000, tol=0, rng=rng)
    assert factors.residual < 1e-10
    assert (factors.weights >= 0).all()
    for matrix in factors.vectors:
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=0), 1, rtol=1e-12)
    assert distance(factors, weights, vectors) < 1e-9


def test_error_is_in_proportion_to_noise(rng):
    T, weights, vectors = planted(rng, (5, 5, 10), 5)
    noise = rng.standard_normal(T.shape) / np.sqrt(T.size)
    for size in (1e-5, 1e-2):
        factors = cp_als(T + size * noise, 5, init=vectors, n_iter=300, rng=rng)
        assert factors.residual < 1.01 * size / np.linalg.norm(T + size * noise)
        assert 0.01 * size < distance(factors, weights, vectors) < 5 * size


def test_start_is_taken_and_left_alone(rng):
    T, weights, vectors = planted(rng, (4, 4, 8), 4)
    start = [matrix[:, ::-1] + 0.02 * rng.standard_normal(matrix.shape) for matrix in vectors]
    copies = [matrix.copy() for matrix in start]
    factors = cp_als(T, 4, init=start, n_iter=2000, tol=0, rng=rng)
    for matrix, copy in zip(start, copies, strict=True):
        np.testing.assert_array_equal(matrix, copy)
    np.testing.assert_allclose(factors.weights, weights[::-1], rtol=1e-8)


def test_scale_of_tensor_and_start_do_not_matter(rng):
    T, weights, vectors = planted(rng, (4, 4, 8), 4)
    start = [matrix + 0.02 * rng.standard_normal(matrix.shape) for matrix in vectors]
    scaled = [1e6 * start[0], 1e-4 * start[1], 1e3 * start[2]]
    small = cp_als(1e-9 * T, 4, init=scaled, n_iter=2000, tol=0, rng=rng)
    np.testing.assert_allclose(small.weights, 1e-9 * weights, rtol=1e-8)


def test_tol_stops_early(rng):
    T, _, vectors = planted(rng, (4, 4, 8), 4)
    start = [matrix + 0.1 * rng.standard_normal(matrix.shape) for matrix in vectors]
    loose = cp_als(T, 4, init=start, n_iter=500, tol=1e-2, rng=rng)
    tight = cp_als(T, 4, init=start, n_iter=500, tol=1e-8, rng=rng)
    assert tight.residual < 1e-5 < loose.residual


def test_too_many_components_do_not_fail(rng):
    T, _, _ = planted(rng, (3, 3, 4), 2)
    factors = cp_als(T, 5, n_iter=200, rng=rng)
    assert factors.residual < 1e-5
    zero = cp_als(np.zeros((2, 2, 2)), 2, rng=rng)
    assert zero.residual == 0
    assert all(np.isfinite(matrix).all() for matrix in zero.vectors)


def test_same_generator_same_numbers():
    T, _, _ = planted(np.random.default_rng(0), (3, 3, 4), 3)
    first, second = (cp_als(T, 4, n_iter=20, rng=np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.vectors[2], second.vectors[2])


def test_namespaces_agree(xp, rng):
    T, _, vectors = planted(rng, (4, 4, 8), 4)
    T = T + 0.01 * rng.standard_normal(T.shape)
    expected = cp_als(T, 4, init=vectors, rng=rng)
    found = cp_als(xp.asarray(T), 4, init=[xp.asarray(v) for v in vectors], rng=rng)
    assert type(found.weights) is type(xp.asarray(T))
    np.testing.assert_allclose(to_numpy(found.weights), expected.weights, atol=1e-10)
    for matrix, other in zip(found.vectors, expected.vectors, strict=True):
        np.testing.assert_allclose(to_numpy(matrix), other, atol=1e-10)


def test_nothing_is_printed(rng, capsys):
    cp_als(planted(rng, (3, 3, 4), 2)[0], 2, rng=rng)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 2, "n_iter": 0}, "n_iter=0"),
        ({"n_components": 2, "init": "random"}, "init='random'"),
        ({"n_components": 2, "init": [np.ones((3, 2))] * 3}, "shapes"),
        ({"n_components": 2, "T": np.full((3, 3, 4), np.nan)}, "T holds NaN"),
    ],
)
def test_bad_arguments_are_named(rng, options, message):
    with pytest.raises(ValueError, match=message):
        cp_als(**{"T": np.ones((3, 3, 4)), "rng": rng, **options})


def test_backend_of_tensorly_is_left_alone(rng, monkeypatch):
    def fail(*args, **options):
        raise np.linalg.LinAlgError("singular")

    pytest.importorskip("torch")
    import tensorly.decomposition

    T, weights, vectors = planted(rng, (3, 3, 4), 2)
    before = tensorly.get_backend()
    tensorly.set_backend("pytorch")
    try:
        factors = cp_als(T, 2, init=vectors, rng=rng)
        seen = [tensorly.get_backend()]
        thread = Thread(target=lambda: seen.append(tensorly.get_backend()))
        thread.start()
        thread.join()
        assert seen == ["pytorch", "pytorch"]
        np.testing.assert_allclose(factors.weights, weights, rtol=1e-6)
        monkeypatch.setattr(tensorly.decomposition, "parafac", fail)
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            cp_als(T, 2, rng=rng)
    finally:
        tensorly.set_backend(before)


def test_tensors_are_cheap_to_import():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import spectral_nn.tensors; "
        "print([m for m in ('tensorly', 'sklearn', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *sys.path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
