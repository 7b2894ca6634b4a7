"""The benchmark of labels on graphs, on the smallest of its problems."""

import numpy as np
import pytest

from bench import labels


def test_both_sides_are_measured(monkeypatch):
    problem = labels.PROBLEMS["digits"]._replace(seeds=(0,))
    monkeypatch.setattr(labels, "PROBLEMS", {"digits": problem})
    monkeypatch.setattr(labels, "ALPHAS", (0.5, 0.9))
    report = labels.run(("digits",), large=False)
    rows = {row.claim: row.measured for row in report.rows}
    for method in ("spreading", "propagation"):
        assert rows[f"digits, {method}: accuracy of ours"] > 90
        sides = report.details[f"digits, {method}"]
        assert sides["ours"][0]["accuracy"] > sides[labels.THEIRS][0]["accuracy"] - 0.03


def test_every_class_keeps_a_label():
    y = np.repeat([0, 1, 2], [1000, 1000, 1])
    drawn = labels._draw(y, 10, seed=0)
    assert set(drawn[drawn >= 0]) == {0, 1, 2}
    np.testing.assert_array_equal(drawn[drawn >= 0], y[drawn >= 0])


@pytest.mark.parametrize("hits", [[1, 3, 3, 3, 2], [3, 3, 3, 3, 3]])
def test_of_equals_the_one_in_the_middle_is_chosen(hits):
    """Both sides choose alike."""
    y = np.zeros(12, dtype=np.int64)
    given = np.where(np.arange(12) < 10, y, -1)
    right = iter(hits)

    def fit(graph, known, alpha):
        found = np.ones(12, dtype=np.int64)
        found[np.flatnonzero(known != given)[: next(right, 0)]] = 0  # of those that are held out
        return found, 1.0, 1

    outcome = labels._choose(fit, None, given, y, (0.1, 0.2, 0.3, 0.4, 0.5), seed=0)
    assert outcome.alpha == 0.3
    assert outcome.total == 6
