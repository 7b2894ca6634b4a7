"""Variational Bayes of topics."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

from spectral_nn.data.rows import Rows
from spectral_nn.models.fit import maximise_likelihood
from spectral_nn.models.topics.priors import TopicPriors
from spectral_nn.models.topics.variational import (
    TopicModel,
    TopicParameters,
    _exp_psi,
    counts_of,
)


@pytest.fixture(scope="module")
def theirs():
    """scikit-learn's model, fitted a little, and the documents."""
    X = np.random.default_rng(0).poisson(0.7, (60, 12)).astype(float)
    return LatentDirichletAllocation(3, max_iter=3, random_state=0).fit(X), X


def _model(n_components=3, n_words=12):
    prior = 1 / n_components
    priors = TopicPriors(np.full(n_components, prior), np.full((n_components, 1), prior), n_words)
    return TopicModel(priors)


def test_shares_of_documents_and_bound_are_those_of_scikit_learn(theirs):
    lda, X = theirs
    model, parameters = _model(), TopicParameters(lda.components_)
    shares, _, nats = model.infer(parameters, sparse.csr_array(X))
    np.testing.assert_allclose(shares, lda.transform(X, normalize=False), rtol=1e-6)
    assert nats + model.log_prior(parameters) == pytest.approx(lda.score(X), rel=1e-7)


def test_counts_of_tokens_add_up_to_all_tokens_and_over_chunks(theirs):
    lda, X = theirs
    model, parameters = _model(), TopicParameters(lda.components_)
    whole = model.statistic(parameters, Rows.of(X))
    np.testing.assert_allclose(whole.counts.sum(axis=1), X.sum(axis=0))
    halves = model.statistic(parameters, Rows.of(sparse.csr_array(X[:25])))
    halves += model.statistic(parameters, Rows.of(X[25:]))
    np.testing.assert_allclose(halves.counts, whole.counts, rtol=1e-12)
    assert halves.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_steps_raise_the_bound(theirs):
    lda, X = theirs
    model, rows = _model(), Rows.of(sparse.csr_array(X))
    found = maximise_likelihood(
        model,
        TopicParameters(lda.components_),
        lambda parameters: model.statistic(parameters, rows),
        n_iter=30,
        tol=1e-6,
    )
    assert (np.diff(found.history) > 0).all()
    assert found.history[-1] > lda.score(X)


def test_exponentials_of_the_digamma_function():
    x = np.concatenate([np.geomspace(1e-7, 1e6, 300), [5.99, 6.0, 6.01]])
    found = [_exp_psi(value) for value in x]
    np.testing.assert_allclose(found, np.exp(psi(x)), rtol=1e-9, atol=1e-300)


def test_an_empty_document_has_the_prior(theirs):
    lda, _ = theirs
    shares, counts, _ = _model().infer(TopicParameters(lda.components_), sparse.csr_array((1, 12)))
    np.testing.assert_allclose(shares, 1 / 3)
    assert not counts.any()


def test_words_that_are_listed_twice_are_counted_once_and_stay_as_the_user_has_them():
    X = sparse.csr_array((np.array([1.0, 2.0, 3.0]), [4, 1, 4], [0, 3]), shape=(1, 12))
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    found = counts_of(Rows.of(X))
    np.testing.assert_array_equal(found.toarray(), X.toarray())
    assert found.indices.tolist() == [1, 4]
    assert X.indices.tolist() == [4, 1, 4]
