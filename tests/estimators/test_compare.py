"""`compare_trainers`: who takes part, how learning rates are chosen, and the pictures."""

import matplotlib as mpl
import numpy as np
import pytest

from spectral_estimators import MLPClassifier, MLPRegressor, TrainersDisplay, compare_trainers
from spectral_estimators.trainers import Backprop, FeedbackAlignment, Frozen, LayerWise

mpl.use("Agg")


@pytest.fixture
def table(rng):
    X = rng.standard_normal((300, 6)).astype(np.float32)
    return X, np.where(np.abs(X[:, :2]).sum(axis=1) > 1.5, "out", "in")


def network(**more):
    how = {"init": "random", "learning_rate": "cosine", "max_iter": 8, "batch_size": 32}
    return MLPClassifier((16, 16), **(how | more))


RULES = {
    "backprop": Backprop(),
    "frozen": Frozen(),
    "direct": FeedbackAlignment(),
    "by layers": LayerWise(),
}


def test_rows_are_what_their_fits_are(table):
    X, y = table
    report = compare_trainers(network(), X, y, RULES, learning_rates=[0.01], n_fits=2)
    assert [row.name for row in report.rows] == list(RULES)
    for row, rule in zip(report.rows, RULES.values(), strict=True):
        assert row.rule is rule
        assert row.learning_rate == row.estimator.learning_rate_init == 0.01
        assert len(row.scores) == 2
        assert row.score == pytest.approx(np.mean(row.scores))
        assert row.peak_memory > 0
        assert len(row.cosines) == (0 if rule.exact else 8)
    frozen, backprop = report.rows[1], report.rows[0]
    assert frozen.score < backprop.score
    assert frozen.cosines == [0.0] * 8
    assert frozen.peak_memory < backprop.peak_memory
    columns = report.as_dict()
    assert {len(column) for column in columns.values()} == {4}
    assert columns["exact"] == [True, False, False, False]
    lines = str(report).splitlines()
    assert len(lines) == 5
    assert "exact, backward pass, locks layers" in lines[1]
    assert "biased, no backward pass, no locks" in lines[2]
    again = compare_trainers(network(), X, y, RULES, learning_rates=[0.01], n_fits=2)
    assert [row.scores for row in again.rows] == [row.scores for row in report.rows]


def test_the_rate_is_chosen_on_rows_of_its_own(table):
    """Far too small a rate and one that diverges lose to one that learns."""
    X, y = table
    report = compare_trainers(
        network(),
        X * 10,
        y,
        {"sgd": Backprop("sgd")},
        learning_rates=[1e-9, 0.01, 1e12],
        n_fits=1,
    )
    assert report.rows[0].learning_rate == 0.01
    with pytest.raises(ValueError, match=r"learning_rates=\[1e\+30, 1e\+32\]: the loss of 'sgd'"):
        compare_trainers(
            network(), X, y, {"sgd": Backprop("sgd")}, learning_rates=[1e30, 1e32], n_fits=1
        )


def test_estimators_take_part_with_their_own_settings(rng):
    X = rng.standard_normal((2000, 5))
    y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2] - X[:, 3], 0)
    plain = MLPRegressor(
        hidden_layer_sizes=(2,), init="random", learning_rate="cosine", max_iter=10
    )
    moments = MLPRegressor(hidden_layer_sizes=(2,), init="tensor")
    report = compare_trainers(
        plain, X, y, {"backprop": Backprop(), "moments": moments}, learning_rates=[0.01], n_fits=1
    )
    assert report.metric == "R2"
    assert report.rows[1].rule is None
    assert report.rows[1].peak_memory is None
    assert report.rows[1].score > 0.999


def test_no_trainers(table):
    with pytest.raises(ValueError, match="trainers is empty"):
        compare_trainers(network(), *table, {})
    with pytest.raises(ValueError, match="report has no rows"):
        TrainersDisplay(None)


def test_pictures(table):
    import matplotlib.pyplot as plt

    report = compare_trainers(network(), *table, RULES, learning_rates=[0.01], n_fits=1)
    display = TrainersDisplay.from_report(report)
    scores, memory, cosines = display.axes_
    assert [text.get_text() for text in cosines.get_legend().get_texts()] == list(RULES)
    assert len(scores.containers) == 4
    assert len(memory.containers) == 4
    assert len(cosines.lines) == 3 + 2  # rules that take the gradient have no curve
    _, given = plt.subplots(1, 3)
    assert TrainersDisplay(report).plot(ax=given).axes_[0] is given[0]
    plt.close("all")
