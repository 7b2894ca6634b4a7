"""The benchmark of missing entries: holes, and errors of matched means."""

import numpy as np
import pytest

from bench import ours_series, series_missing
from bench.series_data import planted
from bench.series_missing import MISSING, PROBLEMS, SIDES, errors_of_means, with_holes


def test_holes_are_at_random_and_leave_the_other_entries():
    rows = np.arange(20_000.0).reshape(-1, 5)
    holes = with_holes(rows, 0)
    missing = np.isnan(holes)
    np.testing.assert_allclose(missing.mean(axis=0), MISSING, atol=0.03)
    np.testing.assert_array_equal(holes[~missing], rows[~missing])
    np.testing.assert_array_equal(holes, with_holes(rows, 0))


@pytest.mark.parametrize("name", PROBLEMS)
def test_planted_rows_have_the_planted_law(name):
    problem = PROBLEMS[name]
    _, means, covariances = problem.draw(np.random.default_rng(0))
    diagonal = covariances * np.eye(means.shape[1])
    assert np.allclose(covariances, diagonal) == (problem.covariance == "diag")
    # Every state is as likely as every other.
    expected = np.cov(means.T, bias=True) + covariances.mean(axis=0)
    rows = planted(problem, 0, 40_000).rows
    np.testing.assert_allclose(np.cov(rows.T), expected, atol=0.4)


def test_errors_are_those_of_matched_states():
    errors, seconds = errors_of_means(PROBLEMS["diag, K=3, 5 columns"], 0, 2000)
    for side in SIDES:
        assert errors[side].shape == (3, 5)
        assert seconds[side] > 0
    assert np.abs(errors["complete"]).max() < 0.25
    assert np.abs(errors["with holes"]).max() < 0.3


def test_a_small_run_reports_every_side_and_bounds_all_problems_together(monkeypatch):
    monkeypatch.setattr(ours_series, "warm_up", lambda: None)
    report = series_missing.run(("diag, K=3, 5 columns",), n_draws=1, n_rows=1000)
    measured = {row.claim: row.measured for row in report.rows}
    errors = [measured[f"diag, all: {side}, error of the means"] for side in SIDES[:2]]
    ratio = measured["diag, all: with holes over complete"]
    assert ratio == pytest.approx(errors[1] / errors[0])
    assert ratio == measured["diag, K=3, 5 columns: with holes over complete"]
    assert ratio < measured["diag, all: holes filled by means over complete"]
    bounded = [row for row in report.rows if row.must is not None]
    assert [(row.claim, row.must) for row in bounded] == [
        ("diag, all: with holes over complete", series_missing.MUST)
    ]
