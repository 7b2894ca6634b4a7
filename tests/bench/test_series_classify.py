"""The benchmark of classifiers: all sides search alike, and are scored alike."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from bench import ours_series, series_classify
from bench.rivals import hmmlearn_series, sequentia
from bench.series_data import Series


def planted(n_recordings, seed):
    """Recordings of two labels, the words "up" and "down", which a single state cannot tell."""
    rng = np.random.default_rng(seed)
    said = np.arange(n_recordings) % 2
    recordings = [
        np.repeat([[-1.0, 0.0], [1.0, 0.0]][:: 1 - 2 * label], 6, axis=0)
        + 0.4 * rng.standard_normal((12, 2))
        for label in said
    ]
    return recordings, said


@pytest.fixture
def problem():
    recordings, said = planted(18, 0)
    return recordings, said, (1, 2), list(StratifiedKFold(3).split(np.zeros(18), said))


def test_both_searches_find_that_order_matters(problem):
    others, said = planted(40, 1)
    ours = series_classify.search(*problem)
    loop = series_classify.search_loop(hmmlearn_series.classifier, *problem)
    for found in (ours, loop):
        assert found.n_components == 2
        assert found.accuracy > 0.9
        assert np.mean(found.predict(others) == said) > 0.9


def test_a_loop_scores_the_folds_it_is_given(problem):
    recordings, said, grid, folds = problem
    sizes = []

    def constant(recordings, labels, n_components, *, seed, n_iter):
        sizes.append(len(recordings))
        return lambda others: np.zeros(len(others), dtype=int)

    found = series_classify.search_loop(constant, recordings, said, grid, folds)
    assert found.accuracy == pytest.approx(np.mean([np.mean(said[t] == 0) for _, t in folds]))
    assert sizes == [12] * 3 * len(grid) + [18]


def test_one_state_is_the_same_model_on_all_sides():
    pytest.importorskip("sequentia.models.hmm")
    recordings, _ = planted(12, 0)
    said = np.array([2, 7, 7] * 4)
    recordings = [rows + 0.2 * (label == 7) for rows, label in zip(recordings, said, strict=True)]
    others = [rows[:4] + 0.1 for rows in planted(60, 1)[0]]
    labels = [
        classifier(recordings, said, 1, seed=0, n_iter=5)(others)
        for classifier in (hmmlearn_series.classifier, sequentia.classifier)
    ]
    assert set(labels[0]) == {2, 7}
    np.testing.assert_array_equal(*labels)


def test_every_side_has_its_rows(monkeypatch):
    (train, said), (test, said_held_out) = planted(18, 0), planted(10, 1)
    lengths = [np.full(len(recordings), 12) for recordings in (train, test)]
    series = Series(np.concatenate(train), lengths[0], np.concatenate(test), lengths[1])
    monkeypatch.setattr(series_classify, "digits", lambda: series)
    monkeypatch.setattr(series_classify, "digits_said", lambda: (said, said_held_out))
    monkeypatch.setattr(series_classify, "RIVALS", {"a loop": hmmlearn_series.classifier})
    monkeypatch.setattr(ours_series, "warm_up", lambda: None)
    measured = {row.claim: row.measured for row in series_classify.run((2,), 12).rows}
    gap = measured["ours: accuracy held out"] - measured["a loop: accuracy held out"]
    assert measured["accuracy of ours less the best rival's"] == pytest.approx(gap)
    ratio = measured["ours: time"] / measured["a loop: time"]
    assert measured["time of ours over the fastest rival's"] == pytest.approx(ratio)
