"""Benchmarks of mixtures: errors of means, and reports of small runs."""

import numpy as np
import pytest

from bench import mixture_planted, mixture_real
from bench.mixture_scoring import mean_error


def test_means_are_matched_one_to_one():
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_error(means[[2, 0, 1]], means) == 0
    assert mean_error(means[[0, 0, 2]], means) == pytest.approx(3 / np.sqrt(3))


def test_planted_rows_have_their_means():
    X, means = mixture_planted.draw(mixture_planted.Case("diag", 6.0, 0.5), 0, 500, 3, 5)
    assert X.shape == (500, 5)
    assert means.shape == (3, 5)


def test_small_runs_report():
    report = mixture_planted.run(
        ("spherical, distance 10",), n_seeds=2, n_rows=1000, n_components=3, n_columns=6
    )
    assert [row.claim for row in report.rows if row.must is not None] == [
        "spherical, distance 10: error over that from a k-means start",
        "spherical, distance 10: time over n_init=10",
    ]
    report = mixture_real.run((("faithful", 2, "diag"),), n_seeds=2)
    worst = [row for row in report.rows if row.claim.endswith("worst seed less default")]
    assert all(row.meets(row.must) for row in worst)
