"""Fits of mixtures: what wins, and what the parts of it do."""

import numpy as np
import pytest

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import placed
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.models.mixtures import fit as fit_module
from spectral_nn.models.mixtures.fit import fit_mixture
from spectral_nn.models.mixtures.gaussian import GaussianMixtureModel, check_positive, with_ridge
from spectral_nn.models.mixtures.model import MixtureParameters, log_joint, posterior
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.models.mixtures.starts import MAKERS, Frame, make_start
from spectral_nn.models.mixtures.together import advance_together
from spectral_nn.models.tables import TableData
from spectral_nn.results import DegenerateError
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


def blobs(rng, n=3000, K=8, p=10, distance=7.0):
    means = rng.standard_normal((K, p)) * distance / np.sqrt(2 * p)
    return means[rng.integers(K, size=n)] + rng.standard_normal((n, p)), means


def run_fit(X, *settings, seed=0, **more):
    options = MixtureOptions(*settings, **more)
    return fit_mixture(Rows.of(X), options, rng=np.random.RandomState(seed), run=RUN)


def mean_likelihood(parameters, X):
    return posterior(log_joint(parameters, X))[1].mean()


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_the_fit_is_at_least_as_good_as_from_its_own_k_means(rng, kind):
    X, _ = blobs(rng)
    best = run_fit(X, 8, kind)
    clusters = run_fit(X, 8, kind, init="kmeans")
    assert mean_likelihood(best.parameters, X) >= mean_likelihood(clusters.parameters, X) - 1e-9
    kinds = {start.kind for start in best.report.starts}
    assert {"tensor", "kmeans", "quick", "scaled"} <= kinds


def test_planted_means_are_found_where_clusters_fail(rng):
    X, means = blobs(rng, n=8000, K=15, p=20, distance=6.0)
    found = run_fit(X, 15, "spherical").parameters.emission.means
    gap = np.sqrt(((found[:, None] - means) ** 2).sum(axis=2).min(axis=0))
    assert gap.max() < 0.6  # of means 6 apart


def test_moments_alone_take_no_step(rng):
    X, _ = blobs(rng, n=20_000, K=3)
    found = run_fit(X, 3, "diag", n_iter=0)
    assert found.history == []
    assert found.report.winner == "tensor"
    assert found.report.eigenvalues[0] > found.report.edge
    assert not found.report.fault


def test_chunks_and_rows_give_the_same(rng):
    X, _ = blobs(rng, n=40_000, K=3, p=4)
    options = MixtureOptions(3, "full", init="random_from_data")
    rows = Rows.of(X)
    fits = [
        fit_mixture(table, options, rng=np.random.RandomState(0), run=RUN)
        for table in (rows, placed(rows, RUN))
    ]
    means = [fit.parameters.emission.means for fit in fits]
    np.testing.assert_array_equal(*means)


def test_the_ridge_is_added_to_every_variance():
    means = np.zeros((2, 2))
    law = with_ridge(DiagonalGaussian(means, np.ones((2, 2))), np.array([0.5, 0.0]))
    np.testing.assert_array_equal(law.covariances, [[1.5, 1.5], [1, 1]])
    with pytest.raises(DegenerateError, match="ill-defined empirical covariance"):
        check_positive(DiagonalGaussian(means, np.zeros((2, 2))))


def test_a_component_without_rows_keeps_its_law():
    law = DiagonalGaussian(np.array([[0.0], [1e6]]), np.ones((2, 1)))
    model = GaussianMixtureModel(ridge=0.1)
    before = MixtureParameters(np.array([0.5, 0.5]), law)
    x = np.random.default_rng(0).standard_normal((50, 1))
    after = model.maximise(model.statistic(before, Rows.of(x)), before)
    assert after.emission.means[1] == 1e6
    assert after.emission.covariances[1] == 1.0
    assert after.weights[1] == 0


@pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"one"}))
def test_every_kind_of_start_has_weights_and_holes(rng, kind):
    X, _ = blobs(rng, n=300, K=3, p=4)
    X[::5, 2] = np.nan
    rows = Rows.of(X, weight=rng.uniform(0.1, 2, 300))
    frame = Frame.of(rows, MixtureOptions(3, "full"))
    start = make_start(kind, frame, GaussianMixtureModel(ridge=1e-6), np.random.RandomState(0))
    assert start.parameters.weights.sum() == pytest.approx(1)
    assert np.isfinite(start.parameters.emission.means).all()


def test_a_climb_that_collapses_leaves_the_other(rng, monkeypatch):
    X, _ = blobs(rng, n=500, K=3, p=4)
    climb, calls = fit_module.maximise_likelihood, []

    def collapse(*given, **how):
        calls.append(given)
        if len(calls) == 1:  # of k-means
            raise DegenerateError("collapsed")
        return climb(*given, **how)

    monkeypatch.setattr(fit_module, "maximise_likelihood", collapse)
    found = run_fit(X, 3, "diag")
    assert found.report.winner in ("tensor", "quick", "scaled")
    monkeypatch.setattr(fit_module, "maximise_likelihood", fail)  # of the winner, too
    with pytest.raises(DegenerateError, match="collapsed"):
        run_fit(X, 3, "diag")


def fail(*given, **how):
    raise DegenerateError("collapsed")


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_race_in_one_product_is_em_one_by_one(rng, kind):
    X, _ = blobs(rng, n=400, K=3, p=4)
    rows, model = Rows.of(X, weight=rng.uniform(0.5, 2, 400)), GaussianMixtureModel(ridge=0.01)
    frame, draws = Frame.of(rows, MixtureOptions(3, kind)), np.random.RandomState(0)
    starts = [make_start("random_from_data", frame, GaussianMixtureModel(ridge=1.0), draws)]
    starts += [make_start(name, frame, model, draws) for name in ("quick", "random")]
    found = advance_together(model, starts, [rows], n_iter=3, run=RUN)
    data = TableData(model, rows, RUN)
    for start in starts:
        parameters = start.parameters
        for _ in range(3):
            before = data.expect(parameters)
            parameters = model.maximise(before, parameters)
        (moved,) = (one for one, _, _ in found if one.kind == start.kind)
        assert moved.likelihood == pytest.approx(before.log_likelihood, rel=1e-12)
        for name in ("means", "covariances"):
            ours, own = (getattr(one.emission, name) for one in (moved.parameters, parameters))
            np.testing.assert_allclose(ours, own, rtol=1e-9, atol=1e-12)


def test_a_start_that_collapses_leaves_the_race_to_the_others(rng, monkeypatch):
    X, _ = blobs(rng, n=500, K=3, p=4)
    monkeypatch.setattr(fit_module, "advance_together", fail)
    alone = run_fit(X, 3, "diag")
    monkeypatch.undo()
    together = run_fit(X, 3, "diag")
    assert mean_likelihood(alone.parameters, X) == pytest.approx(
        mean_likelihood(together.parameters, X), abs=1e-3
    )
