import numpy as np
import pytest
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.moments.cooccurrences import (
    CoOccurrences,
    TokenChunk,
    Vocabulary,
    count_cooccurrences,
    count_following,
    encode_documents,
    window_weights,
)
from spectral_nn.runners.base import SerialRunner, runner


def draw_documents(rng, n_documents=40, n_words=30, longest=25):
    words = np.array([f"word{i}" for i in range(n_words)])
    return [
        words[(rng.zipf(1.4, rng.integers(0, longest)) - 1) % n_words].tolist()
        for _ in range(n_documents)
    ]


def count_by_pairs(documents, vocabulary, weights):
    """Every pair of places, one after another."""
    found = np.zeros((len(vocabulary), len(vocabulary)))
    for words in documents:
        for at, word in enumerate(words):
            for distance, other in enumerate(words[at + 1 : at + 1 + len(weights)]):
                found[vocabulary[word], vocabulary[other]] += weights[distance]
    return found


def assert_same(one: CoOccurrences, other: CoOccurrences):
    np.testing.assert_array_equal(one.words, other.words)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(one.following, name), getattr(other.following, name))


@pytest.mark.parametrize("window", [1, 3, 40])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("n_words", [3, 30, 400])
def test_counts_are_those_of_every_pair(rng, window, dynamic, n_words):
    documents = draw_documents(rng, n_words=n_words)
    weights = window_weights(window, dynamic)
    vocabulary = Vocabulary()
    found = count_cooccurrences(documents, vocabulary, weights, SerialRunner())
    expected = count_by_pairs(documents, vocabulary, weights)
    np.testing.assert_array_equal(found.following.toarray(), expected)
    np.testing.assert_array_equal(found.near().toarray(), expected + expected.T)
    assert found.words.sum() == sum(map(len, documents))
    assert found.following.has_canonical_format


def test_a_window_weighs_words_as_one_of_random_width_reaches_them(rng):
    widths = rng.integers(1, 6, 200_000)
    reached = [(widths >= distance).mean() for distance in range(1, 6)]
    np.testing.assert_allclose(window_weights(5, True) / 5, reached, atol=0.01)
    assert window_weights(3, False).tolist() == [1, 1, 1]


def test_shards_add_up_to_the_same_counts_as_one_shot(rng):
    documents = draw_documents(rng, 200, n_words=1000)
    weights = window_weights(5, True)
    whole = count_cooccurrences(documents, Vocabulary(), weights, SerialRunner())
    vocabulary = Vocabulary()
    shards = [
        count_cooccurrences(documents[i : i + 30], vocabulary, weights, SerialRunner())
        for i in range(0, 200, 30)
    ]
    assert shards[0].words.size < whole.words.size  # later shards have words that it has not
    assert_same(tree_sum(iter(shards)), whole)
    assert_same(sum(shards[1:], shards[0]), whole)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("chunk_tokens", [1, 64, 1 << 20])
def test_chunks_and_workers_change_no_count(rng, n_jobs, chunk_tokens):
    documents = draw_documents(rng, 100)
    weights = window_weights(4, True)
    expected = count_cooccurrences(documents, Vocabulary(), weights, SerialRunner())
    with runner(n_jobs) as run:
        found = count_cooccurrences(
            iter(documents), Vocabulary(), weights, run, chunk_tokens=chunk_tokens
        )
    assert_same(found, expected)


def test_some_words_in_another_order(rng):
    documents = draw_documents(rng)
    counts = count_cooccurrences(documents, Vocabulary(), window_weights(2, True), SerialRunner())
    chosen = rng.permutation(counts.words.size)[:5]
    some = counts.of_words(chosen)
    np.testing.assert_array_equal(some.words, counts.words[chosen])
    np.testing.assert_array_equal(
        some.following.toarray(), counts.following.toarray()[np.ix_(chosen, chosen)]
    )
    assert some.following.has_sorted_indices


def test_a_chunk_that_counts_twice(rng):
    documents = draw_documents(rng)
    weights = window_weights(2, True)
    once = count_cooccurrences(documents, Vocabulary(), weights, SerialRunner())
    twice = count_cooccurrences([*documents, *documents], Vocabulary(), weights, SerialRunner())
    assert_same(2 * once, twice)


def test_documents_become_chunks_of_codes():
    documents = [["a", "b"], [], ("b", "c", "a"), (word for word in "cd")]
    vocabulary = Vocabulary()
    chunks = list(encode_documents(documents, vocabulary, chunk_tokens=4))
    assert [chunk.tokens.tolist() for chunk in chunks] == [[0, 1, 1, 2, 0], [2, 3]]
    assert [chunk.offsets.tolist() for chunk in chunks] == [[0, 2, 2, 5], [0, 2]]
    assert [chunk.n_words for chunk in chunks] == [3, 4]
    assert list(vocabulary) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("documents", [[], [[]], [[], []]])
def test_no_words_are_no_counts(documents):
    found = count_cooccurrences(documents, Vocabulary(), window_weights(5, True), SerialRunner())
    assert found.words.size == 0
    assert found.following.shape == (0, 0)


def test_counts_do_not_reach_into_the_next_document():
    chunk = TokenChunk(np.array([0, 1, 2, 3], np.int32), np.array([0, 2, 4]), 4)
    following = count_following(chunk, window_weights(5, False)).following
    assert sparse.coo_array(following).nnz == 2
    assert following[0, 1] == following[2, 3] == 1


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["a string"], r"document 0 of X is a string, 'a string'"),
        ([["a"], b"bytes"], r"document 1 of X is a string"),
        ([["a"], ["b", 3]], r"token 1 of document 1 of X is no string but 3, of type int"),
        ([["a"], [["b"]]], r"token 0 of document 1 of X is no string but \['b'\]"),
        ([["a", None]], r"token 1 of document 0 of X is no string but None"),
        ([["a"], 3], r"document 1 of X"),
    ],
)
def test_what_is_no_list_of_words_is_named(documents, message):
    with pytest.raises(TypeError, match=message):
        list(encode_documents(documents, Vocabulary(), chunk_tokens=1))
