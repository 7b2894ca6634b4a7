"""`LatentDirichletAllocation` beyond what scikit-learn's own tests ask."""

import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from spectral_estimators import (
    LatentDirichletAllocation,
    RankError,
    RankWarning,
    RecoveryWarning,
)
from tests.models.topics.planted import match_topics, planted_documents, planted_topics


@pytest.fixture(scope="module")
def planted():
    """Topics, and documents in memory."""
    rng = np.random.default_rng(0)
    topics = planted_topics(4, 80, rng)
    return topics, planted_documents(topics, np.full(4, 0.25), 1500, 40, rng)


def _away(lda, topics):
    """Largest L1 distance of a topic from the truth."""
    found = lda.components_ / lda.components_.sum(axis=1, keepdims=True)
    return np.abs(found[match_topics(found, topics)] - topics).sum(axis=1).max()


@pytest.mark.parametrize("settings", [{}, {"learning_method": "batch"}, {"max_iter": 0}])
def test_finds_planted_topics_whatever_refines_them(planted, settings):
    topics, X = planted
    lda = LatentDirichletAllocation(4, random_state=0, **settings).fit(X)
    assert _away(lda, topics) < (0.3 if settings == {"max_iter": 0} else 0.15)
    assert lda.init_ == "tensor"
    assert 0 <= lda.negative_mass_ < 0.2
    assert lda.n_iter_ == len(lda.history_)


def test_online_steps_find_them_too(planted):
    topics, X = planted
    settings = {"learning_method": "online", "max_iter": 3, "random_state": 0}
    assert _away(LatentDirichletAllocation(4, **settings).fit(X), topics) < 0.2


def test_the_same_seed_gives_the_same_topics(planted):
    _, X = planted
    one, other = (LatentDirichletAllocation(4, random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.components_, other.components_)


@pytest.mark.parametrize("form", ["chunks", "dask", "dense", "frame"])
def test_documents_may_come_in_any_form(planted, form):
    _, X = planted
    settings = {"learning_method": "batch", "max_iter": 5, "random_state": 0}
    expected = LatentDirichletAllocation(4, **settings).fit(X).components_
    if form == "chunks":
        given = [(X[:700], None), (X[700:], None)]
    elif form == "dask":
        given = da.from_array(X.toarray(), chunks=(500, 80))
    elif form == "dense":
        given = X.toarray()
    else:
        given = pd.DataFrame(X.toarray(), columns=[f"word{i}" for i in range(80)])
    found = LatentDirichletAllocation(4, **settings).fit(given)
    np.testing.assert_allclose(found.components_, expected, rtol=1e-6)
    if form == "frame":
        assert found.feature_names_in_[1] == "word1"


def test_collapsed_passes_become_batch_steps_where_documents_are_elsewhere(planted):
    topics, X = planted
    lda = LatentDirichletAllocation(4, random_state=0).fit([(X[:700], None), (X[700:], None)])
    assert lda.report_.method == "batch"
    assert _away(lda, topics) < 0.15


def test_partial_fit_goes_on_from_a_start_by_moments(planted):
    topics, X = planted
    lda = LatentDirichletAllocation(4, total_samples=1500, random_state=0)
    for begin in range(0, 1500, 500):
        lda.partial_fit(X[begin : begin + 500])
    assert lda.init_ == "tensor"
    assert lda.n_batch_iter_ == 1 + 12
    assert _away(lda, topics) < 0.25
    with pytest.raises(ValueError, match="79 features"):
        lda.partial_fit(X[:, 1:])


def test_a_warm_start_goes_on_from_the_topics(planted):
    _, X = planted
    lda = LatentDirichletAllocation(4, max_iter=2, random_state=0, warm_start=True).fit(X)
    before = lda.history_[-1]
    lda.fit(X)
    assert lda.init_ == "given"
    assert lda.history_[-1] > before
    with pytest.raises(ValueError, match="79 features"):
        lda.fit(X[:, 1:])
    with pytest.raises(ValueError, match="n_components=3, but the 4 topics of an earlier fit"):
        lda.set_params(n_components=3).fit(X)
    assert lda.set_params(n_components="auto").fit(X).components_.shape == (4, 80)


def test_topics_may_be_given_and_seeded(planted):
    topics, X = planted
    given = LatentDirichletAllocation(4, init=topics, random_state=0).fit(X)
    found = given.components_ / given.components_.sum(axis=1, keepdims=True)
    assert np.abs(found - topics).sum(axis=1).max() < 0.15  # in their order
    seeds = np.full((4, 80), 0.1)
    order = [2, 0, 3, 1]
    for k, topic in enumerate(topics[order]):
        seeds[k, np.argsort(-topic)[:3]] = 5.0
    seeded = LatentDirichletAllocation(4, topic_word_prior=seeds, random_state=0).fit(X)
    found = seeded.components_ / seeded.components_.sum(axis=1, keepdims=True)
    assert (match_topics(found, topics[order]) == np.arange(4)).all()


def test_completion_prefers_the_true_number_of_topics(planted):
    _, X = planted
    told = [
        LatentDirichletAllocation(k, random_state=0)
        .fit(X[:1000])
        .perplexity(X[1000:], method="completion")
        for k in (1, 4)
    ]
    assert told[1] < 0.8 * told[0]
    with pytest.raises(ValueError, match='"bound" or "completion"'):
        LatentDirichletAllocation(1).fit(X).perplexity(X, method="other")


def test_the_number_of_topics_is_found_with_evidence(planted):
    topics, X = planted
    lda = LatentDirichletAllocation("auto", random_state=0).fit(X)
    assert lda.components_.shape == (4, 80)
    assert _away(lda, topics) < 0.15
    evidence = lda.report_.evidence
    assert evidence.chosen == 4
    assert evidence.perplexity[0] > 1.2 * evidence.perplexity[3]
    with pytest.raises(ValueError, match="partial_fit needs a number"):
        LatentDirichletAllocation("auto").partial_fit(X)
    with pytest.raises(ValueError, match="needs init='tensor'"):
        LatentDirichletAllocation("auto", init="random").fit(X)


def test_moments_are_solved_again_without_the_documents(planted):
    _, X = planted
    lda = LatentDirichletAllocation(4, max_iter=0, random_state=0).fit(X)
    again = lda.resolve(1.0)
    found = lda.components_ - 0.25
    np.testing.assert_allclose(found / found.sum(axis=1, keepdims=True), again.topics, atol=1e-9)
    assert lda.resolve(8.0).prior.sum() > again.prior.sum()
    with pytest.raises(ValueError, match="alpha0 must be above 0"):
        lda.resolve(0)
    with pytest.raises(ValueError, match="no moments"):
        LatentDirichletAllocation(4, init="random", max_iter=1).fit(X).resolve(1.0)


def test_unexplained_moments_are_told():
    rng = np.random.default_rng(0)
    X = planted_documents(planted_topics(60, 80, rng), np.full(60, 0.1), 1000, 40, rng)
    with pytest.warns(RecoveryWarning, match=r"\d+% of the third moment is not explained by 10"):
        LatentDirichletAllocation(10, max_iter=0, random_state=0).fit(X)


def test_standard_errors_of_the_topics_that_moments_show(planted):
    topics, X = planted
    lda = LatentDirichletAllocation(4, random_state=0).fit(X)
    found = lda.standard_errors(X, n_groups=10)
    order = match_topics(found.topics, topics)
    away = (found.topics[order] - topics) / np.maximum(found.errors[order], 1e-3)
    assert np.sqrt(np.mean(away**2)) < 2
    with pytest.raises(ValueError, match="n_groups must be"):
        lda.standard_errors(X, n_groups=1)


def test_coherence_of_words_that_occur_together():
    X = np.kron(np.eye(2), np.ones((5, 3))).astype(int) * 2
    lda = LatentDirichletAllocation(2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        lda.fit(X)
    np.testing.assert_allclose(lda.coherence(X, n_words=3), 1.0)


def test_works_in_a_grid_search(planted):
    _, X = planted
    search = GridSearchCV(
        LatentDirichletAllocation(random_state=0, max_iter=5), {"n_components": [2, 4]}, cv=2
    )
    search.fit(X[:400])
    assert search.best_estimator_.n_components in (2, 4)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_more_topics_than_the_moments_carry(planted):
    _, X = planted
    few = X[:60]
    with pytest.raises(RankError, match=r"carry \d+ topics, not n_components=50.*eigenvalues"):
        LatentDirichletAllocation(50, max_iter=0, random_state=0).fit(few)
    with pytest.warns(RankWarning, match="start at random") as told:
        lda = LatentDirichletAllocation(50, random_state=0).fit(few)
    assert lda.components_.shape == (50, 80)
    n = lda.report_.workable
    assert 0 < n < 50
    text = str(told[0].message)
    assert f"carry {n} topics, not n_components=50" in text
    assert f"{50 - n} of 50 topics start at random" in text
    assert "init='random', which spares the time" in text


def test_moments_take_no_more_memory_than_the_documents_can_fill():
    rng = np.random.default_rng(0)
    X = planted_documents(planted_topics(4, 400, rng), np.full(4, 0.25), 40, 40, rng)
    with pytest.warns(RankWarning, match="of 200 topics start at random"):
        lda = LatentDirichletAllocation(200, max_iter=1, random_state=0).fit(X)
    assert lda.components_.shape == (200, 400)
    assert max(lda.moments_.third.shape) <= 40 + 20


def test_more_topics_than_moments_are_read_for(planted, monkeypatch):
    _, X = planted
    for module in ("moments.document_pairs", "models.topics.spectral"):
        monkeypatch.setattr(f"spectral_nn.{module}.MAX_TOPICS", 3)
    match = r"read for 3 topics at most, not n_components=4, as the time of a decomposition"
    with pytest.warns(RankWarning, match=match + r".* 1 of 4 topics start at random.*'random'"):
        lda = LatentDirichletAllocation(4, random_state=0).fit(X)
    assert lda.components_.shape == (4, 80)
    assert lda.moments_.third.shape == (23,) * 3
    with pytest.raises(RankError, match=match):
        LatentDirichletAllocation(4, max_iter=0, random_state=0).fit(X)


def test_short_documents_are_counted_and_told(planted):
    _, X = planted
    short = sparse.csr_array(np.eye(80)[:40])
    with pytest.warns(UserWarning, match="40 of 340 documents have fewer than three tokens"):
        lda = LatentDirichletAllocation(4, random_state=0).fit(sparse.vstack([X[:300], short]))
    assert lda.report_.n_short_documents == 40


def test_fractions_start_at_random(planted):
    _, X = planted
    with pytest.warns(UserWarning, match="holds fractions"):
        lda = LatentDirichletAllocation(4, max_iter=2, random_state=0).fit(X * 0.3)
    assert lda.init_ == "random"


@pytest.mark.parametrize(
    ("settings", "X", "match"),
    [
        ({}, [[1, -1]], "Negative values"),
        ({}, [[np.nan, 1]], "NaN"),
        ({"doc_topic_prior": [0.1, 0.2, 0.0]}, [[1, 1]], r"doc_topic_prior must be above 0"),
        ({"doc_topic_prior": [0.1]}, [[1, 1]], r"doc_topic_prior must have shape \(3,\)"),
        ({"doc_topic_prior": 1e300}, [[1, 1]], r"doc_topic_prior must lie between 1e-30 and 1e.30"),
        ({"topic_word_prior": [[0.1]]}, [[1, 1]], r"topic_word_prior must have shape \(3, 2\)"),
        ({"init": [[0.5, 0.5]]}, [[1, 1]], r"init must have shape \(3, 2\)"),
        ({"init": [[0.5, -0.5]] * 3}, [[1, 1]], "init must be at least 0"),
        ({"learning_method": "gibbs"}, [[1, 1]], "learning_method"),
        ({}, [[1, 2], [3]], "inhomogeneous"),
        ({}, 3, "2D array"),
        ({}, [[1e200, 1]], r"X holds numbers up to 1e\+200 in size"),
    ],
)
def test_bad_input_is_named_and_nothing_is_half_fitted(settings, X, match):
    lda = LatentDirichletAllocation(3, **settings)
    with pytest.raises(ValueError, match=match):
        lda.fit(X)
    assert not [name for name in vars(lda) if name.endswith("_")]


def test_a_first_batch_that_fails_leaves_nothing(monkeypatch):
    def fail(*_):
        raise ValueError("no step")

    monkeypatch.setattr("spectral_estimators.topics.online_step", fail)
    lda = LatentDirichletAllocation(2, random_state=0, init="random")
    with pytest.raises(ValueError, match="no step"):
        lda.partial_fit([[1, 2], [3, 4]])
    assert not [name for name in vars(lda) if name.endswith("_")]


def test_perplexity_of_no_words_is_a_number():
    X = np.zeros((5, 3))
    lda = LatentDirichletAllocation(2, random_state=0, init="random").fit(X)
    assert np.isfinite(lda.perplexity(X))
    assert np.isfinite(lda.perplexity(X, sub_sampling=True))


def test_words_that_never_occur_have_the_prior():
    rng = np.random.default_rng(1)
    topics = planted_topics(2, 20, rng)
    X = planted_documents(topics, np.ones(2), 300, 30, rng).toarray()
    X[:, 7] = 0
    lda = LatentDirichletAllocation(2, random_state=0).fit(X)
    np.testing.assert_allclose(lda.components_[:, 7], 0.5, rtol=1e-6)
