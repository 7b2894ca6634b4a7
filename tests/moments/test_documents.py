"""Moments of words, pairs and triples of words of a document."""

from itertools import permutations

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.moments.document_pairs import find_range
from spectral_nn.moments.documents import count_triples, document_moments, normalise
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(0.8, (30, 6)).astype(float)


def _oracle(counts, weight):
    """Averages over all ordered triples of different tokens, document by document."""
    V = counts.shape[1]
    first, second, third, n = np.zeros(V), np.zeros((V, V)), np.zeros((V, V, V)), 0.0
    for row, w in zip(counts.astype(int), weight, strict=True):
        tokens = np.repeat(np.arange(V), row)
        if tokens.size < 3:
            continue
        n += w
        triples = list(permutations(tokens, 3))
        for a, b, c in triples:
            first[a] += w / len(triples)
            second[a, b] += w / len(triples)
            third[a, b, c] += w / len(triples)
    return first / n, second / n, third / n


@pytest.mark.parametrize("as_sparse", [False, True])
def test_moments_are_those_of_all_triples_of_tokens(counts, as_sparse):
    weight = np.random.default_rng(1).uniform(0.5, 2, len(counts))
    X = sparse.csr_array(counts) if as_sparse else counts
    found = document_moments(Rows.of(X, weight=weight), 2, RUN, rng=np.random.default_rng(2))
    first, second, third = _oracle(counts, weight)
    Q = found.basis
    np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(found.first, first, atol=1e-14)
    np.testing.assert_allclose(found.second, second @ Q, atol=1e-14)
    expected = np.einsum("abc,ai,bj,ck->ijk", third, Q, Q, Q)
    np.testing.assert_allclose(found.third, expected, atol=1e-14)
    sign = (-1.0) ** np.arange(len(counts)) * (counts.sum(axis=1) >= 3)
    difference = sum(
        np.sum(weight[sign == s])
        / np.sum(weight[sign != 0])
        * s
        * _oracle(counts[sign == s], weight[sign == s])[1]
        for s in (1, -1)
    )
    np.testing.assert_allclose(found.noise, Q.T @ difference @ Q, atol=1e-14)
    short = counts.sum(axis=1) < 3
    assert short.any()
    assert found.n_short == pytest.approx(weight[short].sum())
    assert found.n_documents == pytest.approx(weight[~short].sum())


def test_shards_that_share_a_basis_merge_to_one_shot(counts):
    rows = Rows.of(sparse.csr_array(counts))
    basis = find_range(rows, 4, RUN, rng=np.random.default_rng(0))
    whole = normalise(count_triples(rows, basis), basis)
    shards = [count_triples(rows.cut(low, low + 6), basis) for low in range(0, 30, 6)]
    merged = normalise(tree_sum(shards), basis)
    for one, other in zip(merged, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_sums_along_different_bases_do_not_add_up(counts):
    rows = Rows.of(sparse.csr_array(counts))
    one, other = (
        count_triples(rows, find_range(rows, 4, RUN, rng=np.random.default_rng(seed)))
        for seed in (0, 1)
    )
    with pytest.raises(ValueError, match="different bases"):
        one + other


def test_the_basis_spans_the_second_moment_of_few_topics():
    rng = np.random.default_rng(3)
    topics = rng.dirichlet(np.full(50, 0.1), 3)
    X = rng.poisson(200 * rng.dirichlet(np.ones(3), 400) @ topics).astype(float)
    rows = Rows.of(sparse.csr_array(X))
    Q = find_range(rows, 6, RUN, rng=rng)
    outside = topics.T - Q @ (Q.T @ topics.T)
    assert np.linalg.norm(outside, axis=0).max() < 0.1 * np.linalg.norm(topics, axis=1).min()


def test_documents_without_triples_have_no_moments():
    assert document_moments(Rows.of(np.eye(4)), 2, RUN, rng=np.random.default_rng(0)) is None


def test_moments_are_summed_where_the_documents_are(xp, counts):
    rows = Rows.of(xp.asarray(counts))
    found = document_moments(rows, 2, RUN, rng=np.random.default_rng(2))
    expected = document_moments(Rows.of(counts), 2, RUN, rng=np.random.default_rng(2))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.abs(to_numpy(one)), np.abs(other), atol=1e-12)
