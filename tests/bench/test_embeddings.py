"""Benchmarks of vectors of words at tiny size."""

import numpy as np
import pytest

from bench import embeddings, embeddings_data, embeddings_stream, topics_data

WORDS = ["tiger", "cat", "king", "queen", "man", "woman", "love", "sex", "old", "new", "happy"]
KNOWN = [*WORDS, "cheerful", "athens", "greece", "baghdad", "iraq"]


def draw(name, n_documents=60):
    rng = np.random.default_rng(0)
    return [rng.choice(KNOWN, 30).tolist() for _ in range(n_documents)]


def test_vectors_are_scored_by_what_people_say():
    asked = embeddings_data.judgements(KNOWN)
    pairs, told = asked.pairs["WordSim-353"]
    assert (KNOWN.index("tiger"), KNOWN.index("cat")) in {tuple(pair) for pair in pairs.tolist()}
    assert dict(zip(map(tuple, pairs.tolist()), told, strict=True))[0, 1] == 7.35
    assert [KNOWN.index(w) for w in ("athens", "greece", "baghdad", "iraq")] in (
        asked.analogies.tolist()
    )


def test_the_right_vectors_have_the_best_score():
    """Cosines that are the judgements themselves: a Gram matrix of them is factorised."""
    asked = embeddings_data.judgements(KNOWN)
    gram = np.eye(len(KNOWN)) * 40
    for pairs, told in asked.pairs.values():
        gram[pairs[:, 0], pairs[:, 1]] = gram[pairs[:, 1], pairs[:, 0]] = told
    np.fill_diagonal(gram, 40)
    found = embeddings_data.score(np.linalg.cholesky(gram), asked)
    assert found["SimLex-999"] == pytest.approx(1)


# gensim takes dot products of single precision, whose flags some kernels raise for nothing.
@pytest.mark.filterwarnings("ignore:invalid value encountered in dot:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_both_sides_are_compared(monkeypatch):
    pytest.importorskip("gensim")
    monkeypatch.setattr(embeddings, "corpus", draw)
    report = embeddings.run(("newsgroups",), epochs=1, size=5)
    claims = [row.claim for row in report.rows]
    assert sum("seconds" in claim for claim in claims) in (1, 2)
    assert sum("ours less gensim" in claim for claim in claims) == 4
    assert all(np.isfinite(row.measured) for row in report.rows)


def test_deals_are_the_same_in_every_walk():
    deals = embeddings_stream.Deals(draw("newsgroups"), 5_000)
    first, again = list(deals), list(deals)
    assert first == again
    assert 5_000 <= sum(map(len, first)) < 5_030


def test_rare_words_are_left_out():
    documents = [["a", "a", "b"], ["b", "c"]]
    assert embeddings_stream.frequent(documents, 2) == [["a", "a", "b"], ["b"]]


def test_counting_tells_speed_and_memory(monkeypatch):
    monkeypatch.setattr(embeddings_stream, "corpus", draw)
    found = embeddings_stream.count(5_000)
    assert 5_000 <= found["tokens"] < 5_030
    assert found["words"] == len(KNOWN)
    assert found["peak"] >= found["before"] > 0


@pytest.mark.parametrize("name", embeddings_data.NAMES)
def test_a_missing_text_says_what_to_do(monkeypatch, tmp_path, name):
    monkeypatch.setattr(topics_data, "CORPORA", tmp_path)
    with pytest.raises(FileNotFoundError, match="make corpora"):
        embeddings_data.corpus(name)
