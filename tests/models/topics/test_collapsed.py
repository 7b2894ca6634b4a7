"""Collapsed variational Bayes of topics."""

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.models.topics.collapsed import collapse
from spectral_nn.models.topics.priors import TopicPriors
from tests.models.topics.planted import match_topics, planted_documents, planted_topics


def _priors(K, V, words=0.1):
    return TopicPriors(np.full(K, 0.2), np.full((K, 1), words), V)


def _oracle(X, topics, priors, n_passes):
    """The update of the docstring, token by token of counts of one, with plain loops."""
    K = len(topics)
    words = np.broadcast_to(priors.words, topics.shape)
    length = X.sum(axis=1)
    share = {}
    for d, w in np.argwhere(X):
        x = topics[:, w] * (priors.topics + length[d] / K)
        share[d, w] = x / x.sum()
    nats = []
    for _ in range(n_passes):
        logs = 0.0
        for d, w in np.argwhere(X):
            others = {at: g * X[at] for at, g in share.items()}
            others[d, w] = (X[d, w] - 1) * share[d, w]
            of_word = sum(g for at, g in others.items() if at[1] == w) + words[:, w]
            of_document = sum(g for at, g in others.items() if at[0] == d) + priors.topics
            totals = sum(others.values()) + words.sum(axis=1)
            x = of_word * of_document / totals
            logs += X[d, w] * np.log(x.sum() / (length[d] - 1 + priors.topics.sum()))
            share[d, w] = x / x.sum()
        nats.append(logs)
    counts = np.zeros(topics.shape)
    for (d, w), g in share.items():
        counts[:, w] += X[d, w] * g
    return counts, nats


@pytest.mark.parametrize("seeded", [False, True])
def test_passes_are_those_of_the_equation(seeded):
    rng = np.random.default_rng(0)
    X = rng.poisson(0.8, (7, 5)).astype(float) + 1 * np.eye(7, 5)
    X[0] += 1
    topics = rng.dirichlet(np.ones(5), 3)
    priors = _priors(3, 5)
    if seeded:
        priors = TopicPriors(priors.topics, rng.uniform(0.1, 1, (3, 5)), 5)
    found = collapse(sparse.csr_array(X), topics, priors, max_iter=4, tol=0)
    counts, nats = _oracle(X, topics, priors, 4)
    np.testing.assert_allclose(found.counts, counts, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(found.history, nats, rtol=1e-5)


def test_refines_planted_topics_and_says_how_well_tokens_are_told():
    rng = np.random.default_rng(1)
    topics = planted_topics(5, 200, rng)
    X = planted_documents(topics, np.full(5, 0.2), 1500, 60, rng)
    start = 0.5 * topics + 0.5 / 200
    found = collapse(X, start, _priors(5, 200), max_iter=50, tol=0.01)
    assert found.converged
    assert found.history[-1] > found.history[0]
    reached = found.counts / found.counts.sum(axis=1, keepdims=True)
    away = np.abs(reached[match_topics(reached, topics)] - topics).sum(axis=1)
    assert away.max() < 0.2
    np.testing.assert_allclose(found.counts.sum(axis=0), X.sum(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.documents.sum(axis=1), 60, rtol=1e-4)


def test_fractions_of_tokens_and_empty_documents_do_no_harm():
    X = sparse.csr_array(np.array([[0.5, 0.0, 2.5], [0, 0, 0], [0.0, 0.1, 0.2]]))
    topics = np.array([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]])
    found = collapse(X, topics, _priors(2, 3), max_iter=5, tol=0)
    assert np.isfinite(found.history).all()
    assert (found.counts >= 0).all()
    np.testing.assert_allclose(found.counts.sum(), 3.3, rtol=1e-5)
