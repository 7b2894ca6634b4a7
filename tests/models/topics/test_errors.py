"""Standard errors of topics."""

import numpy as np
import pytest

from spectral_nn.data.rows import Rows
from spectral_nn.models.topics.errors import topic_errors
from spectral_nn.models.topics.evaluate import top_words
from spectral_nn.results import RankError
from spectral_nn.runners.base import SerialRunner
from tests.models.topics.planted import planted_documents, planted_topics


def test_intervals_cover_the_likeliest_words_of_planted_topics():
    rng = np.random.default_rng(0)
    topics = planted_topics(3, 40, rng)
    covered = []
    for _ in range(20):
        X = planted_documents(topics, np.full(3, 1 / 3), 1000, 40, rng)
        found = topic_errors(Rows.of(X), topics, 1.0, n_groups=20, run=SerialRunner(), rng=rng)
        low, high = found.intervals(0.95)
        words = top_words(topics, 10)
        inside = (low <= topics) & (topics <= high)
        covered.append(np.take_along_axis(inside, words, axis=1).mean())
    assert 0.9 < np.mean(covered) < 0.99


def test_more_topics_than_moments_carry_have_no_errors():
    rng = np.random.default_rng(1)
    topics = planted_topics(2, 15, rng)
    X = planted_documents(topics, np.ones(2), 200, 20, rng)
    more = planted_topics(14, 15, rng)
    with pytest.raises(RankError, match="standard errors only where"):
        topic_errors(Rows.of(X), more, 1.0, n_groups=5, run=SerialRunner(), rng=rng)


def test_the_level_is_checked():
    rng = np.random.default_rng(1)
    topics = planted_topics(2, 15, rng)
    X = planted_documents(topics, np.ones(2), 500, 20, rng)
    found = topic_errors(Rows.of(X), topics, 1.0, n_groups=5, run=SerialRunner(), rng=rng)
    with pytest.raises(ValueError, match="level must be"):
        found.intervals(1.5)
