"""Benchmarks of topics at tiny size."""

import numpy as np
import pytest
from scipy import sparse

from bench import topics_data, topics_planted, topics_real, topics_stream


def test_planted_runs_and_says_what_was_missed():
    report = topics_planted.run(sizes=(300,), n_seeds=1)
    rows = {row.claim: row.measured for row in report.rows}
    assert rows["n=300: draws with a topic missed, ours"] == 0
    assert rows["n=300: L1 error of a topic, worst draw, ours"] < 0.5


# Types of tomotopy, and of what gensim reads, do without what Python wants of them.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
# gensim takes dot products of single precision, whose flags some kernels raise for nothing.
@pytest.mark.filterwarnings("ignore:invalid value encountered in dot:RuntimeWarning")
def test_real_compares_all_sides(monkeypatch):
    _, X = topics_planted.planted(200, 0)
    monkeypatch.setattr(topics_real, "corpus", lambda name: X)
    sides = tuple(side for side in topics_real.SIDES if side != topics_real.LONG)
    report = topics_real.run((("nyt", 5),), n_seeds=1, sides=sides)
    claims = [row.claim for row in report.rows]
    left_out = topics_real.LEFT_OUT["nyt"] & set(sides)
    assert sum("perplexity," in claim for claim in claims) == len(sides) - len(left_out)
    assert all(np.isfinite(row.measured) for row in report.rows)


def test_streams_are_the_same_in_every_walk():
    documents = topics_stream.Documents(topics_stream._BLOCK + 5)
    first, again = ([chunk for chunk, _ in documents] for _ in range(2))
    assert [chunk.shape[0] for chunk in first] == [topics_stream._BLOCK, 5]
    assert all((one != other).nnz == 0 for one, other in zip(first, again, strict=True))
    assert first[0].sum() == topics_stream._BLOCK * topics_stream.LENGTH


def test_lines_of_counts():
    X = topics_data._counts(["2 0:3 4:1", "0", "1 2:5"])
    np.testing.assert_array_equal(X.toarray(), [[3, 0, 0, 0, 1], [0, 0, 5, 0, 0]])


def test_splits_are_parts_of_all():
    X = sparse.csr_array(np.arange(1, 11.0)[:, None])
    train, test = topics_data.split(X, 0)
    assert sorted([*train.data, *test.data]) == list(range(1, 11))


def test_a_missing_archive_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(topics_data, "CORPORA", tmp_path)
    with pytest.raises(FileNotFoundError, match="make corpora"):
        topics_data.corpus("nyt")
