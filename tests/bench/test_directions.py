"""Benchmarks of sensitivity and of directions' intervals, on few and small draws."""

import numpy as np
import pytest

from bench import directions_coverage, sensitivity
from bench.directions_coverage import Ground


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_distances_are_those_of_chance(activation):
    found = sensitivity.distances(activation, 0, sensitivity.BLOCK)
    assert found["first"].shape == found["total"].shape == (sensitivity.D,)
    for what in ("first", "total", "subspace"):
        assert np.abs(found[what]).max(initial=0) < 4.5


def test_a_draw_says_what_is_covered():
    ground = Ground("relu", 5, 2, 4000, 0.05)
    found = directions_coverage.draw(ground, 0)
    assert found.covered.shape == found.missed.shape == found.stated.shape == (2, 5)
    assert found.covered.mean() > 0.6
    assert 0.2 < np.linalg.norm(found.missed) / np.linalg.norm(found.stated) < 3
    report = directions_coverage.run((ground,), n_draws=2, first=0)
    assert [row.claim.split(": ")[1] for row in report.rows][:2] == [
        "covered at least",
        "covered at most",
    ]
