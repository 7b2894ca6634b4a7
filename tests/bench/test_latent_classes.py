"""The benchmark of latent classes: planted answers, and that it runs."""

import numpy as np
import pytest

from bench import latent_classes
from bench.latent_classes import MISSING, REGIMES, draw, ours


def test_draws_are_codes_with_holes_at_random():
    codes = draw(REGIMES["yes or no, missing"], 0, 4000)
    assert np.isnan(codes).mean(axis=0) == pytest.approx(MISSING, abs=0.03)
    assert set(np.unique(codes[~np.isnan(codes)])) == {0.0, 1.0}
    again = draw(REGIMES["yes or no, missing"], 0, 4000)
    np.testing.assert_array_equal(codes, again)
    assert set(np.unique(draw(REGIMES["three answers"], 0, 200))) == {0.0, 1.0, 2.0}


def test_ours_is_the_likelihood_of_all_rows():
    codes = draw(REGIMES["yes or no"], 1, 300)
    value, seconds = ours(codes, 1, random_state=0)
    share = codes.mean(axis=0)
    entropy = share * np.log(share) + (1 - share) * np.log(1 - share)
    assert value == pytest.approx(300 * entropy.sum())
    assert seconds > 0


def test_it_runs_on_little():
    pytest.importorskip("stepmix")
    report = latent_classes.run(n_draws=1, n_rows=200, n_seeds=0, names=("yes or no",))
    assert [row.claim for row in report.rows if row.must is not None] == [
        "yes or no: ours, share at the best likelihood",
        "yes or no: time over StepMix's, mean over mean",
    ]
