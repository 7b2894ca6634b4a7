"""E-steps of all sides: they do the same work, and each rival has its row."""

import numpy as np
import pytest

from bench import ours_series
from bench.rivals import hmmlearn_series

dynamax_series = pytest.importorskip("bench.rivals.dynamax_series")
series_e_step = pytest.importorskip("bench.series_e_step")

# dynamax asks JAX for the shape of None.
pytestmark = pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning")


@pytest.mark.parametrize("covariance", series_e_step.COVARIANCES)
def test_all_sides_find_the_same_likelihood(covariance):
    model = series_e_step._random_model(covariance, 3, 2)
    rows = np.random.default_rng(1).standard_normal((60, 2))
    data = (covariance, model, rows, np.array([20, 20, 20]))
    expected = hmmlearn_series.prepare_e_step(*data)()
    assert dynamax_series.prepare_e_step(*data)() == pytest.approx(expected, rel=1e-5)
    assert ours_series.prepare_e_step(*data)() == pytest.approx(expected, rel=1e-5)


def test_dynamax_refuses_sequences_of_several_lengths():
    model = series_e_step._random_model("diag", 2, 1)
    with pytest.raises(ValueError, match="one length; got lengths from 2 to 3"):
        dynamax_series.prepare_e_step("diag", model, np.zeros((5, 1)), np.array([2, 3]))


def test_every_rival_has_its_row_and_bound(monkeypatch):
    monkeypatch.setattr(dynamax_series, "prepare_e_step", hmmlearn_series.prepare_e_step)
    report = series_e_step.run(n_rows=200, n_features=2, sizes=(5,), rounds=1)
    bounds = {row.claim: row.must for row in report.rows if row.must is not None}
    assert bounds == {
        f"{covariance}, K=5: ours against {rival}": musts[covariance][5]
        for rival, musts in series_e_step.MUSTS.items()
        for covariance in series_e_step.COVARIANCES
    }
