import numpy as np
import pytest
from scipy import sparse

from spectral_nn.models.words import (
    SingularVectors,
    factorise,
    nearest,
    positive_pmi,
    shrink_rows,
    unit_rows,
)
from spectral_nn.results import RankError
from spectral_nn.runners.base import SerialRunner, runner


def draw_counts(rng, n=40, m=30):
    return sparse.csr_array(rng.poisson(rng.gamma(0.3, 2.0, (n, m))).astype(float))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
def test_mutual_information_by_its_equation(rng, shift, alpha):
    counts = draw_counts(rng)
    dense = counts.toarray()
    joint = dense / dense.sum()
    contexts = dense.sum(axis=0) ** alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        each = joint / np.outer(joint.sum(axis=1), contexts / contexts.sum())
        expected = np.maximum(np.nan_to_num(np.log(each) - np.log(shift), neginf=0), 0)
    found = positive_pmi(counts, shift=shift, context_smoothing=alpha)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6, atol=1e-6)
    assert found.data.min() > 0
    assert found.dtype == np.float32


def test_mutual_information_has_no_unit(rng):
    counts = draw_counts(rng)
    once, thrice = (positive_pmi(c, context_smoothing=0.75) for c in (counts, 3 * counts))
    np.testing.assert_allclose(once.toarray(), thrice.toarray(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 5.0])
def test_information_of_few_counts_shrinks(rng, unit):
    counts = draw_counts(rng)
    whole = positive_pmi(counts).toarray()
    found = positive_pmi(unit * counts, shrinkage=2 * unit).toarray()
    dense = counts.toarray()
    np.testing.assert_allclose(found, whole * dense / (dense + 2), rtol=1e-5, atol=1e-6)


def test_words_and_contexts_without_counts_have_none(rng):
    dense = draw_counts(rng).toarray()
    dense[3], dense[:, 5] = 0, 0
    found = positive_pmi(sparse.csr_array(dense)).toarray()
    assert not found[3].any()
    assert not found[:, 5].any()
    assert np.isfinite(found).all()


def test_independent_words_have_none():
    counts = sparse.csr_array(np.outer([1.0, 2, 3], [4.0, 5]))
    assert positive_pmi(counts, shift=1.001).nnz == 0


def sparse_of_low_rank(rng, n=300, m=200, rank=8):
    """Exactly of this rank: outer products of sparse vectors, in blocks."""
    left = rng.random((n, rank)) * (rng.random((n, rank)) < 0.3)
    right = rng.random((m, rank)) * (rng.random((m, rank)) < 0.3)
    return sparse.csr_array((left * 2.0 ** -np.arange(rank)) @ right.T, dtype=np.float32)


def test_singular_vectors_of_low_rank_are_exact(rng):
    matrix = sparse_of_low_rank(rng)
    found = factorise(matrix, 8, SerialRunner(), rng=rng)
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)[:8]
    np.testing.assert_allclose(found.values, values, rtol=1e-4)
    product = found.left * found.values @ found.right.T
    np.testing.assert_allclose(product, matrix.toarray(), atol=1e-4)
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(8), atol=1e-4)
    np.testing.assert_allclose(found.right.T @ found.right, np.eye(8), atol=1e-4)


@pytest.mark.parametrize("n_passes", [3, 8])
def test_singular_values_get_nearer_with_passes(rng, n_passes):
    matrix = positive_pmi(draw_counts(rng, 400, 300))
    found = factorise(matrix, 10, SerialRunner(), n_passes=n_passes, rng=rng)
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)[:10]
    assert (found.values <= values * (1 + 1e-5)).all()  # a projection loses, and never adds
    np.testing.assert_allclose(found.values, values, rtol={3: 0.05, 8: 0.005}[n_passes])


def test_a_small_matrix_is_decomposed_exactly(rng):
    matrix = positive_pmi(draw_counts(rng))
    found = factorise(matrix, 20, SerialRunner(), rng=rng)
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)[:20]
    np.testing.assert_allclose(found.values, values, rtol=1e-4)


def test_workers_change_no_bit(rng, monkeypatch):
    monkeypatch.setattr("spectral_nn.models.words._ENTRIES", 500)
    matrix = sparse_of_low_rank(rng)
    one = factorise(matrix, 5, SerialRunner(), rng=np.random.default_rng(0))
    with runner(2) as run:
        two = factorise(matrix, 5, run, rng=np.random.default_rng(0))
    for mine, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_more_components_than_the_rank_are_refused(rng):
    for n in (100, 20):  # by directions drawn, and by a dense decomposition
        matrix = sparse_of_low_rank(rng, n, n, rank=8)
        with pytest.raises(RankError, match=r"has rank 8, less than n_components=9. Set .*=8"):
            factorise(matrix, 9, SerialRunner(), rng=rng)


def test_rows_shrink_as_in_a_ridge_regression(rng):
    matrix = sparse.csr_array(rng.random((30, 20)), dtype=np.float32)
    u, s, v = factorise(matrix, 6, SerialRunner(), rng=rng)
    counts = rng.integers(1, 50, 30).astype(float)
    found = shrink_rows(SingularVectors(u, s, v), counts, 3.0)
    contexts = v * s  # on which rows of the matrix are regressed
    for row, count in enumerate(counts):
        penalty = 3.0 * (s**2).sum() / count * np.eye(6)
        expected = np.linalg.solve(contexts.T @ contexts + penalty, contexts.T @ matrix[[row]].T)
        np.testing.assert_allclose(found[row], expected[:, 0], rtol=1e-3, atol=1e-5)


def test_rows_of_few_counts_point_along_the_first_direction():
    u = np.full((3, 2), 0.5, np.float32)
    found = SingularVectors(u, np.array([2, 1], np.float32), np.eye(2, dtype=np.float32))
    rows = shrink_rows(found, np.array([0.0, 1e-3, 1e6]), 1.0)
    assert not rows[0].any()
    assert rows[1, 0] / rows[1, 1] == pytest.approx(4, rel=1e-2)
    np.testing.assert_allclose(rows[2], u[2], rtol=1e-4)
    np.testing.assert_array_equal(shrink_rows(found, np.zeros(3), 0.0), u)


def test_the_nearest_rows_by_brute_force(rng):
    vectors = unit_rows(rng.standard_normal((50, 4)))
    query = rng.standard_normal(4)
    rows, cosines = nearest(vectors, query, 6, excluded=[7, 9])
    all_cosines = vectors @ query / np.linalg.norm(query)
    order = [row for row in np.argsort(-all_cosines) if row not in (7, 9)]
    assert rows.tolist() == order[:6]
    np.testing.assert_allclose(cosines, all_cosines[rows])
    assert len(nearest(vectors, query, 100, excluded=[7, 9])[0]) == 48
    assert len(nearest(vectors[:1], query, 3, excluded=[0])[0]) == 0


def test_rows_of_zeros_stay():
    np.testing.assert_array_equal(unit_rows(np.array([[3.0, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])
