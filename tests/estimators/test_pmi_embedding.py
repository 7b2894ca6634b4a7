"""`PMIEmbedding`: planted meanings are found, parts add up, bad input is named."""

import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from spectral_estimators import PMIEmbedding, RankError
from spectral_nn.models.words import positive_pmi
from spectral_nn.moments.cooccurrences import count_cooccurrences

TOPICS, WORDS = 4, 6


def draw_documents(rng, n_documents=300, length=20):
    """Every document is of one topic, whose words ``t0_1`` tell; the word "the" is of all."""
    documents = []
    for _ in range(n_documents):
        topic = rng.integers(TOPICS)
        words = [f"t{topic}_{rng.integers(WORDS)}" for _ in range(length)]
        documents.append([word if rng.random() < 0.8 else "the" for word in words])
    return documents


@pytest.fixture
def documents(rng):
    return draw_documents(rng)


def model(n_components=4, **settings):
    return PMIEmbedding(n_components, random_state=0, **settings)


def same(one, other):
    assert one.words_ == other.words_
    np.testing.assert_array_equal(one.word_counts_, other.word_counts_)
    np.testing.assert_array_equal(one.embedding_, other.embedding_)


def test_words_of_one_topic_are_nearest(documents):
    found = model().fit(documents)
    for topic in range(TOPICS):
        near = [word for word, _ in found.most_similar(f"t{topic}_0", topn=WORDS - 1)]
        assert set(near) == {f"t{topic}_{i}" for i in range(1, WORDS)}


def test_what_a_fit_keeps(documents):
    found = model(min_count=1).fit(documents)
    flat = [word for words in documents for word in words]
    assert found.n_tokens_ == len(flat) == found.word_counts_.sum()
    assert found.words_[0] == "the"
    assert found.word_counts_.tolist() == [flat.count(word) for word in found.words_]
    assert (np.diff(found.word_counts_) <= 0).all()
    assert [found.vocabulary_[word] for word in found.words_] == list(range(found.n_words_))
    assert found.embedding_.shape == (found.n_words_, 4) == found.context_vectors_.shape
    assert found.embedding_.dtype == np.float32
    assert (np.diff(found.singular_values_) <= 0).all()
    assert found.get_feature_names_out().tolist() == [f"pmiembedding{i}" for i in range(4)]


def test_vectors_are_singular_vectors_times_a_power(documents):
    half, none = (model(eigenvalue_power=p, shrinkage=0).fit(documents) for p in (0.5, 0.0))
    np.testing.assert_allclose(none.embedding_.T @ none.embedding_, np.eye(4), atol=1e-5)
    np.testing.assert_allclose(
        half.embedding_, none.embedding_ * np.sqrt(none.singular_values_), rtol=1e-5
    )


@pytest.mark.parametrize("farther", [1, 0.5])
def test_a_matrix_of_counts_gives_the_same_vectors(documents, farther):
    of_text = model(window=2, dynamic_window=farther < 1).fit(documents)
    near = np.zeros((of_text.n_words_, of_text.n_words_))
    for words in documents:
        codes = [of_text.vocabulary_[word] for word in words]
        for at, code in enumerate(codes):
            for distance, weight in ((1, 1), (2, farther)):
                for other in codes[at + distance : at + distance + 1]:
                    near[code, other] += weight
                    near[other, code] += weight
    for X in (near, sparse.csr_matrix(near), sparse.coo_array(near)):
        found = model().fit(X, words=of_text.words_)
        np.testing.assert_allclose(found.embedding_, of_text.embedding_, rtol=1e-4, atol=1e-5)
        assert found.most_similar("t1_0", topn=1)[0][0].startswith("t1_")
    frame = pd.DataFrame(near, index=of_text.words_)
    assert model().fit(frame).words_ == of_text.words_
    assert model().fit(near).transform([0, 3]).shape == (2, 4)


def test_words_and_contexts_may_be_others(rng):
    counts = rng.poisson(rng.gamma(0.3, 3.0, (30, 12))).astype(float)
    counts[4] = 0  # a word that is in none of them
    found = model(3, context_smoothing=1.0, shrinkage=0).fit(counts)
    u, s, vt = np.linalg.svd(positive_pmi(sparse.csr_array(counts)).toarray())
    expected = (u[:, :3] * s[:3]) @ vt[:3]
    product = found.embedding_ * found.singular_values_ @ found.context_vectors_.T
    np.testing.assert_allclose(product, expected, atol=1e-4)
    assert not found.embedding_[4].any()


@pytest.mark.parametrize("shape", [list, iter, tuple, lambda x: (tuple(d) for d in x)])
def test_documents_of_any_form(documents, shape):
    same(model().fit(shape(documents)), model().fit(documents))
    same(model().fit([np.array(words) for words in documents]), model().fit(documents))


def test_parts_add_up_and_the_vocabulary_grows(documents):
    whole = model(min_count=20).fit([*documents, ["late"] * 30])
    parts = model(min_count=20).partial_fit(documents[:100])
    assert "late" not in parts.vocabulary_
    parts.partial_fit(iter(documents[100:])).partial_fit([["late"] * 10])
    parts.partial_fit([["late"] * 10])  # each of the last two is too rare by itself
    assert "late" in parts.vocabulary_
    assert parts.n_tokens_ == whole.n_tokens_ - 10
    whole = model(min_count=20).fit([*documents, ["late"] * 10, ["late"] * 10])
    same(parts, whole)


def test_a_fit_begins_again_and_is_added_to(documents):
    found = model().fit(documents[:150]).partial_fit(documents[150:])
    same(found, model().fit(documents))
    same(found.fit(documents[:150]), model().fit(documents[:150]))


def test_matrices_add_up(rng):
    parts = rng.poisson(1.0, (2, 20, 20)).astype(float)
    found = model().partial_fit(parts[0]).partial_fit(sparse.csr_array(parts[1]))
    same(found, model().fit(parts.sum(axis=0)))


def test_other_settings_without_counting_again(documents):
    found = model().fit(documents)
    found.set_params(shift=1.5, n_components=2, min_count=50).partial_fit([])
    same(found, model(2, shift=1.5, min_count=50).fit(documents))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(documents, backend, monkeypatch):
    expected = model().fit(documents)
    monkeypatch.setattr(count_cooccurrences, "__defaults__", (1000,))  # tokens of a chunk
    with joblib.parallel_config(backend, n_jobs=2):
        same(model().fit(documents), expected)
    same(model(n_jobs=2).fit(documents), expected)


def test_a_cluster_changes_no_bit(documents, client, monkeypatch):
    monkeypatch.setattr(count_cooccurrences, "__defaults__", (1000,))
    with joblib.parallel_config("dask", client=client):
        found = model().fit(documents)
    same(found, model().fit(documents))


def test_rare_words_keep_their_places():
    text = ["a", "rare", "b"]
    found = model(1, window=1, min_count=5).fit([text] * 4 + [["a", "b"]] * 5)
    near = found._seen.counts.near()
    assert near.sum() == 2 * (4 * 2 + 5)
    assert found.words_ == ["a", "b"]


def test_most_similar_by_words_and_vectors(documents):
    found = model().fit(documents)
    unit = found.embedding_ / np.linalg.norm(found.embedding_, axis=1, keepdims=True)
    one, two, three = (found.vocabulary_[word] for word in ("t0_0", "t1_0", "t1_1"))
    query = unit[one] + unit[two] - unit[three]
    cosines = unit @ query / np.linalg.norm(query)
    cosines[[one, two, three]] = -2
    best = np.argsort(-cosines)[:3]
    answers = found.most_similar(["t0_0", "t1_0"], ["t1_1"], topn=3)
    assert [word for word, _ in answers] == [found.words_[row] for row in best]
    np.testing.assert_allclose([c for _, c in answers], cosines[best], rtol=1e-4)
    vector = found.transform(["t2_0"])[0]
    (word, cosine), *_ = found.most_similar(vector, topn=1)
    assert word == "t2_0"
    assert cosine == pytest.approx(1)
    (word, cosine), *_ = found.most_similar(["t2_0", vector], topn=1)
    assert (word, pytest.approx(cosine)) == found.most_similar("t2_0", topn=1)[0]
    assert len(found.most_similar("the", topn=10_000)) == found.n_words_ - 1
    assert found.most_similar(negative="the", topn=1)[0][1] <= 1


def test_gensim_finds_the_same_words(documents):
    pytest.importorskip("gensim")
    found = model().fit(documents)
    keyed = found.to_keyed_vectors()
    assert keyed.index_to_key == found.words_
    assert keyed.get_vecattr("the", "count") == found.word_counts_[0]
    for asked in ({"positive": "t0_1"}, {"positive": ["t0_1", "t1_2"], "negative": ["t2_2"]}):
        mine, theirs = found.most_similar(**asked, topn=5), keyed.most_similar(**asked, topn=5)
        assert [word for word, _ in mine] == [word for word, _ in theirs]
        np.testing.assert_allclose([c for _, c in mine], [c for _, c in theirs], atol=1e-5)


def test_without_gensim_an_error_says_so(documents, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ImportError, match="pip install gensim"):
        model().fit(documents).to_keyed_vectors()


def test_copies(documents):
    found = model().fit(documents)
    same(pickle.loads(pickle.dumps(found)), found)
    assert not hasattr(clone(found), "embedding_")


def test_a_verbose_fit_prints_counts(documents, capsys):
    model(verbose=1).fit(documents)
    assert capsys.readouterr().out.startswith("counted: 6,000 tokens, 25 words, ")
    model().fit(documents)
    assert capsys.readouterr().out == ""


TEXT = [["a", "b", "c"]] * 10


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a text", TypeError, "X is a string. Give lists of words"),
        (["a text", "another"], TypeError, "document 0 of X is a string"),
        ([["a", 1]], TypeError, "token 1 of document 0 of X is no string but 1"),
        (7, TypeError, "X must be an iterable of lists of words"),
        (np.array(7), TypeError, "X must be an iterable of lists of words"),
        ([["a"], ["b"]] * 10, RankError, "has rank 0"),
        ([], ValueError, "no word occurs min_count=5 times: X holds 0 tokens of 0 words"),
        ([["a", "a", "b"]], ValueError, "3 tokens of 2 words, the most frequent of them 2 times"),
        (TEXT, RankError, "has rank 3, less than n_components=4"),
        (np.array([[1.0, -2], [0, 1]]), ValueError, r"entry \(0, 1\) is -2"),
        (sparse.csr_array([[1.0, 0], [0, -1]]), ValueError, r"entry \(1, 1\) is -1"),
        (np.array([[1.0, np.nan], [0, 1]]), ValueError, "X contains NaN"),
        (np.zeros((3, 3)), ValueError, "of zeros"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(documents, X, error, message):
    untouched = model()
    fitted = model().fit(documents)
    for estimator in (untouched, fitted):
        with pytest.raises(error, match=message):
            estimator.fit(X)
    assert not hasattr(untouched, "embedding_")
    same(fitted, model().fit(documents))
    same(fitted.partial_fit(documents), model().fit([*documents, *documents]))


def test_names_that_do_not_fit_a_matrix(rng):
    X = rng.poisson(2.0, (10, 10)).astype(float)
    with pytest.raises(ValueError, match="words must name each of the 10 rows of X; got 2 names"):
        model().fit(X, words=["a", "b"])
    with pytest.raises(ValueError, match="got 10 names, 1 of them distinct"):
        model().fit(X, words=["a"] * 10)
    for words in (3, [["a"]] * 10):
        with pytest.raises(TypeError, match="words must be a list of strings"):
            model().fit(X, words=words)


def test_parts_that_do_not_add_up(documents, rng):
    found = model().fit(documents)
    with pytest.raises(ValueError, match=r"does not add to what was given before: documents"):
        found.partial_fit(rng.poisson(2.0, (10, 10)))
    with pytest.raises(ValueError, match=r"Set them back, or call fit"):
        found.set_params(window=3).partial_fit(documents)
    of_matrix = model().fit(rng.poisson(2.0, (10, 10)))
    with pytest.raises(ValueError, match=r"shape \(10, 10\)"):
        of_matrix.partial_fit(rng.poisson(2.0, (9, 10)))
    with pytest.raises(ValueError, match="of a matrix"):
        of_matrix.partial_fit(documents)


def test_unknown_words_are_named(documents):
    found = model().fit(documents)
    with pytest.raises(
        ValueError, match=r"no vectors of 'x', 'y': they are not among the 25 words"
    ):
        found.transform(["the", "x", "y"])
    with pytest.raises(ValueError, match="no vectors of 'x'"):
        found.most_similar("t0_0", ["x"])
    with pytest.raises(ValueError, match=r"and 3 more"):
        found.transform(list("qrstuvwx"))
    with pytest.raises(ValueError, match=r"got a string. Give \['the'\]"):
        found.transform("the")
    with pytest.raises(ValueError, match="positive and negative are empty"):
        found.most_similar()
    with pytest.raises(ValueError, match=r"a vector must be 4 finite numbers.*\(3,\)"):
        found.most_similar(np.ones(3))
    assert found.transform([]).shape == (0, 4)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_components": 0},
        {"window": 0},
        {"shift": 0},
        {"context_smoothing": -1},
        {"shrinkage": -1},
        {"min_count": 0},
        {"dynamic_window": "yes"},
    ],
)
def test_bad_settings_are_named(documents, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        PMIEmbedding(**settings).fit(documents)


def test_counts_whose_sums_overflow_are_refused():
    with pytest.raises(ValueError, match="X holds numbers up to 1e\\+300"):
        PMIEmbedding(1).fit(np.full((3, 3), 1e300))


def test_powers_of_singular_values_that_are_no_numbers(documents):
    for power in (1e12, -1e12):
        with pytest.raises(ValueError, match="to that power are beyond float32"):
            model(eigenvalue_power=power).fit(documents)
