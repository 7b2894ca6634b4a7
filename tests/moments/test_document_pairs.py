"""How many directions of pairs of words moments are read along."""

import numpy as np
import pytest

from spectral_nn.data.rows import Rows
from spectral_nn.models.topics.spectral import find_topics
from spectral_nn.moments import document_pairs
from spectral_nn.moments.document_pairs import (
    MAX_TOPICS,
    OVERSAMPLING,
    count_workable,
    find_basis,
)
from spectral_nn.moments.documents import document_moments
from spectral_nn.runners.base import SerialRunner
from tests.models.topics.planted import match_topics, planted_documents, planted_topics

RUN = SerialRunner()


def _rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def documents():
    """600 documents of five topics."""
    rng = _rng()
    topics = planted_topics(5, 300, rng)
    return Rows.of(planted_documents(topics, np.full(5, 0.2), 600, 50, rng))


def test_directions_of_noise_are_left_out_and_change_no_topic(documents, monkeypatch):
    narrow = document_moments(documents, 100, RUN, rng=_rng())
    monkeypatch.setattr(document_pairs, "_FEW", 1000)
    wide = document_moments(documents, 100, RUN, rng=_rng())
    assert wide.third.shape == (120,) * 3
    n_shown = find_topics(wide, 100).workable
    assert 5 <= n_shown < 60
    assert abs(narrow.third.shape[0] - OVERSAMPLING - n_shown) <= 2
    assert abs(find_topics(narrow, 100).workable - n_shown) <= 2
    one, other = (find_topics(moments, 5).topics for moments in (narrow, wide))
    np.testing.assert_allclose(one[match_topics(one, other)], other, atol=2e-3)


def test_a_few_directions_are_all_kept(documents):
    assert find_basis(documents, 50, RUN, rng=_rng()).shape == (300, 70)


@pytest.mark.parametrize(
    ("n_documents", "n_words", "expected"),
    [(30, 5000, 30 + OVERSAMPLING), (1000, 90, 90), (1000, 5000, MAX_TOPICS + OVERSAMPLING)],
)
def test_documents_words_and_memory_bound_the_directions(
    n_documents, n_words, expected, monkeypatch
):
    asked = []

    def note(table, rank, run, **_):
        asked.append(rank)
        return np.eye(table.n_features, 1)

    monkeypatch.setattr(document_pairs, "find_range", note)
    find_basis(Rows.of(np.ones((n_documents, n_words))), 5000, RUN, rng=_rng())
    assert asked == [expected]


def test_workable_directions_are_those_before_noise_has_a_norm_of_one():
    rng = _rng()
    values = np.sort(rng.exponential(size=30))[::-1]
    values[-3:] *= -1
    vectors = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    noise = rng.standard_normal((30, 30))
    for size in (1e-3, 1e-2, 1e-1):
        N = size * (noise + noise.T)
        W = vectors[:, :27] / np.sqrt(values[:27])
        norms = [np.linalg.norm(W[:, :k].T @ N @ W[:, :k], 2) for k in range(1, 28)]
        expected = next((k for k, norm in enumerate(norms) if norm >= 1), 27)
        assert count_workable(values, vectors, N) == expected
    assert count_workable(np.zeros(3), np.eye(3), np.zeros((3, 3))) == 0
