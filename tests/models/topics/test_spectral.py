"""Topics read off moments."""

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.data.rows import Rows
from spectral_nn.models.topics.spectral import find_topics
from spectral_nn.moments.documents import DocumentMoments, document_moments
from spectral_nn.runners.base import SerialRunner
from tests.models.topics.planted import match_topics, planted_documents, planted_topics


def _population(topics, alpha):
    """Exact moments of a model, in the basis of all words."""
    V, total = topics.shape[1], alpha.sum()
    mean = alpha / total
    pairs = (np.outer(alpha, alpha) + np.diag(alpha)) / (total * (total + 1))
    eye = np.eye(alpha.size)
    triples = np.einsum("i,j,k->ijk", alpha, alpha, alpha)
    for each in ("i,j,jk->ijk", "k,i,ij->ijk", "j,i,ik->ijk"):
        triples += np.einsum(each, alpha, alpha, eye)
    triples += 2 * np.einsum("i,ij,jk->ijk", alpha, eye, eye)
    triples /= total * (total + 1) * (total + 2)
    return DocumentMoments(
        np.eye(V),
        topics.T @ mean,
        topics.T @ pairs @ topics,
        np.einsum("ijk,ia,jb,kc->abc", triples, topics, topics, topics),
        np.zeros((V, V)),
        1.0,
        0.0,
        1.0,
    )


@pytest.mark.parametrize("alpha0", [0.3, 1.0, 5.0])
def test_exact_moments_give_the_exact_model(alpha0):
    rng = np.random.default_rng(0)
    topics = planted_topics(4, 12, rng)
    alpha = alpha0 * rng.dirichlet(np.full(4, 5.0))
    found = find_topics(_population(topics, alpha), 4, alpha0)
    order = match_topics(found.topics, topics)
    np.testing.assert_allclose(found.topics[order], topics, atol=1e-8)
    np.testing.assert_allclose(found.prior[order], alpha, rtol=1e-6)
    assert found.negative_mass < 1e-8
    assert found.residual < 1e-6


def test_finds_planted_topics_in_documents():
    rng = np.random.default_rng(1)
    topics = planted_topics(5, 300, rng)
    X = planted_documents(topics, np.full(5, 0.2), 4000, 60, rng)
    moments = document_moments(Rows.of(X), 5, SerialRunner(), rng=rng)
    found = find_topics(moments, 5)
    away = np.abs(found.topics[match_topics(found.topics, topics)] - topics).sum(axis=1)
    assert away.max() < 0.25
    np.testing.assert_allclose(found.prior, 0.2, rtol=0.4)


def test_no_more_topics_than_the_moments_carry():
    topics = planted_topics(3, 10, np.random.default_rng(2))
    found = find_topics(_population(topics, np.full(3, 0.4)), 7, 1.2)
    assert found.workable == 3
    assert found.topics.shape == (3, 10)
    assert found.eigenvalues[3] < 1e-10


def test_noise_says_how_many_topics_are_workable():
    rng = np.random.default_rng(3)
    topics = planted_topics(3, 10, rng)
    X = planted_documents(topics, np.full(3, 0.3), 500, 20, rng)
    found = find_topics(document_moments(Rows.of(X), 9, SerialRunner(), rng=rng), 9)
    assert 3 <= found.workable <= 6
    assert len(found.topics) == found.workable


def test_sparse_documents_are_never_made_dense():
    X = sparse.random_array((200, 100_000), density=1e-4, rng=np.random.default_rng(0))
    X.data = np.ceil(3 * X.data)
    moments = document_moments(Rows.of(X.tocsr()), 2, SerialRunner(), rng=np.random.default_rng(0))
    assert moments.second.shape == (100_000, 22)
