import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.tensors import compose, khatri_rao, multilinear, relative_residual


def test_multilinear_equals_its_definition(xp, rng):
    T = rng.standard_normal((2, 3, 4))
    maps = [rng.standard_normal((n, k)) for n, k in zip(T.shape, (5, 6, 7), strict=True)]
    expected = np.einsum("ijk,ia,jb,kc->abc", T, *maps)
    found = multilinear(xp.asarray(T), *(xp.asarray(matrix) for matrix in maps))
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=1e-12)


def test_khatri_rao_columns_are_kronecker_products(xp, rng):
    A, B, C = (rng.standard_normal((n, 3)) for n in (2, 4, 5))
    found = to_numpy(khatri_rao([xp.asarray(matrix) for matrix in (A, B, C)]))
    for k in range(3):
        np.testing.assert_allclose(found[:, k], np.kron(np.kron(A[:, k], B[:, k]), C[:, k]))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_compose_equals_its_definition(xp, rng, shape):
    weights = rng.standard_normal(3)
    vectors = [rng.standard_normal((n, 3)) for n in shape]
    expected = np.zeros(shape)
    for k in range(3):
        term = weights[k]
        for matrix in vectors:
            term = np.multiply.outer(term, matrix[:, k])
        expected += term
    found = compose(xp.asarray(weights), [xp.asarray(matrix) for matrix in vectors])
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=1e-12)


def test_contraction_of_a_composed_tensor_contracts_its_vectors(rng):
    weights = rng.standard_normal(3)
    vectors = [rng.standard_normal((4, 3)) for _ in range(3)]
    maps = [rng.standard_normal((4, 2)) for _ in range(3)]
    mapped = [A.T @ v for A, v in zip(maps, vectors, strict=True)]
    np.testing.assert_allclose(
        multilinear(compose(weights, vectors), *maps), compose(weights, mapped), atol=1e-12
    )


def test_residual_is_the_relative_distance(xp):
    e = xp.eye(2, dtype=xp.float64)
    T = compose(xp.asarray([4.0, 3.0], dtype=xp.float64), [e, e, e])
    first = xp.asarray([4.0, 0.0], dtype=xp.float64)
    assert relative_residual(T, first, [e, e, e]) == pytest.approx(0.6, rel=1e-14)
    assert relative_residual(0 * T, 0 * first, [e, e, e]) == 0.0
    assert relative_residual(0 * T, first, [e, e, e]) == np.inf
