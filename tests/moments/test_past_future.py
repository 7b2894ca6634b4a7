"""Moments of past, present and future: rank and spectrum of a known model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut
from spectral_nn.moments.past_future import past_future
from spectral_nn.tensors import whiten_cross
from tests.populations import population_counts, three_state_model, window_probabilities


def features(values, order, d):
    """Features of all windows of a short sequence: one block."""
    (block,) = past_future(counted(values, order, d)).blocks()
    return block


def counted(values, order, d):
    (chunk,) = Sequences.from_lengths(np.array(values, dtype=np.int32)).parts(
        ngram_cut(order), ngram_chunk
    )
    return count_ngrams(chunk, order, d)


@pytest.mark.parametrize("order", [3, 5])
def test_cross_moment_has_the_rank_of_the_model(order):
    views = past_future(population_counts(three_state_model(), order))
    s = np.linalg.svd(views.cross_moment().toarray(), compute_uv=False)
    assert s[2] > 0.02 * s[0]
    assert s[3] < 1e-9 * s[0]


@pytest.mark.parametrize("order", [3, 5])
def test_operators_sum_to_one_and_have_the_emissions_as_eigenvalues(order):
    model = three_state_model()
    views = past_future(population_counts(model, order))
    u, s, vt = np.linalg.svd(views.cross_moment().toarray())
    left, right = whiten_cross(u[:, :3], s[:3], vt[:3])
    operators = views.observable_operators(left, right)
    assert operators.shape == (6, 3, 3)
    assert_allclose(operators.sum(axis=0), np.eye(3), atol=1e-12)
    for v in range(6):
        found = np.linalg.eigvals(operators[v])
        assert_allclose(np.sort(found.real), np.sort(model.emission.probs[:, v]), atol=1e-8)
        assert_allclose(found.imag, 0, atol=1e-8)


def test_cross_moment_of_single_lags_is_that_by_hand():
    """Order 3: features are indicators over sqrt(frequency + 5 / n)."""
    model, size = three_state_model(), 10**13
    p = window_probabilities(model, 3)
    found = past_future(population_counts(model, 3, size)).cross_moment().toarray()
    scale_past = 1 / np.sqrt(p.sum(axis=(1, 2)) + 5 / size)
    scale_future = 1 / np.sqrt(p.sum(axis=(0, 1)) + 5 / size)
    expected = p.sum(axis=1).T * scale_future[:, None] * scale_past
    assert_allclose(found, expected, atol=1e-10)


def test_features_of_five_grams_are_lags_and_pairs():
    views = features([0, 1, 0, 1, 1, 0, 0, 1, 1, 1], 5, 2)
    assert views.weight.sum() == pytest.approx(1)
    # two one-hot lags and the pair of each whole side
    assert set(np.diff(views.past.indptr)) == {3}
    # windows that end at their middle, one symbol after it, and further on
    assert set(np.diff(views.future.indptr)) == {0, 1, 3}


def test_nearest_symbols_come_first():
    """The same feature for the same distance from the middle, on both sides."""
    views = features([0, 1, 2, 3, 4], 5, 5)
    whole = int(np.argmax(np.diff(views.future.indptr)))
    assert views.middle[whole] == 2
    past, future = (set(f[whole].indices.tolist()) for f in (views.past, views.future))
    assert {column for column in past if column < 10} == {1, 5 + 0}
    assert {column for column in future if column < 10} == {3, 5 + 4}


@pytest.mark.parametrize("order", [3, 5])
def test_blocks_of_windows_make_no_difference(order, rng, monkeypatch):
    """A middle symbol may begin in one block and end in the next."""
    views = past_future(counted(rng.integers(0, 5, 400), order, 4))  # 4 is missing
    left, right = rng.normal(size=(2, views.cross_moment().shape[0], 3))
    results = []
    for size in (2**15, 7):
        monkeypatch.setattr("spectral_nn.moments.past_future._BLOCK", size)
        blocks = list(views.blocks())
        results.append((views.cross_moment().toarray(), views.observable_operators(left, right)))
    assert len(blocks) > 5
    whole = np.einsum("vij->ij", results[0][1])
    assert_allclose(left.T @ results[0][0] @ right, whole, atol=1e-12)
    for one, other in zip(*results, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_windows_with_a_missing_middle_are_left_out():
    d = 2
    views = features([0, d, 1, 0, 1], 3, d)
    assert sorted(views.middle.tolist()) == [0, 1]
    assert_allclose(views.weight, 0.5)


def test_missing_neighbours_have_no_feature():
    d = 2
    both = past_future(counted([d, 0, 1, d, d], 3, d))  # windows m01, 01m, 1mm; two are used
    (views,) = both.blocks()
    by_middle = dict(zip(views.middle.tolist(), range(2), strict=True))
    assert views.past[by_middle[0]].nnz == 0
    assert views.future[by_middle[0]].nnz == 1
    assert views.past[by_middle[1]].nnz == 1
    assert views.future[by_middle[1]].nnz == 0
    assert np.isfinite(both.cross_moment().toarray()).all()


def test_missing_at_random_leaves_the_rank(rng):
    """What is missing carries no information, so it must not look like a symbol."""
    from spectral_nn.datasets import sample_hmm

    codes, _ = sample_hmm(three_state_model(), 200_000, rng)
    codes = np.where(rng.random(codes.shape[1]) < 0.3, 6, codes[0])
    s = np.linalg.svd(past_future(counted(codes, 5, 6)).cross_moment().toarray())[1]
    assert s[2] > 2.5 * s[3]


def test_operators_of_unseen_symbols_are_zero():
    views = past_future(counted([0, 2, 0, 2, 2, 0, 0, 2], 3, 3))
    u, s, vt = np.linalg.svd(views.cross_moment().toarray())
    operators = views.observable_operators(*whiten_cross(u[:, :2], s[:2], vt[:2]))
    assert not operators[1].any()
    assert operators[0].any()
