"""`MultiViewGaussianMixture`: planted components, holes, weights, chunks, and bad input."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import multivariate_normal

from spectral_estimators import GaussianMixture, MultiViewGaussianMixture, RankError

VIEWS = [[0, 3], [1, 4, 6], [2, 5]]  # of columns that are not neighbours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def planted(rng, n, means, scale=1.0):
    """Rows of components whose noise is correlated within a view, in a way of its own."""
    labels = rng.integers(len(means), size=n)
    X = means[labels]
    for view in VIEWS:
        mixing = scale * rng.standard_normal((len(means), len(view), len(view)))
        noise = rng.standard_normal((n, 1, len(view))) @ mixing[labels]
        X[:, view] += noise[:, 0]
    return X, labels


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    means = np.array([[0.0] * 7, [2, 1, 0, 0, 2, 2, 1], [0, 2, 2, 1, 0, 1, -1]])
    X, labels = planted(rng, 3000, means)
    return X, labels, means


def error(found, means):
    distance = ((found[:, None] - means) ** 2).sum(axis=2)
    return np.sqrt(distance[linear_sum_assignment(distance)].mean())


def test_planted_components_come_back(table):
    X, labels, means = table
    model = MultiViewGaussianMixture(3, views=VIEWS, random_state=0).fit(X)
    assert error(model.means_, means) < 0.15
    order = np.argmin(((model.means_[:, None] - means) ** 2).sum(axis=2), axis=1)
    assert (order[model.predict(X)] == labels).mean() > 0.8
    assert {"tensor", "kmeans"} <= {start.kind for start in model.report_.starts}
    assert model.report_.rank == 3
    np.testing.assert_array_equal(model.covariances_[:, 0, [1, 2, 4, 5, 6]], 0)  # between views
    assert [view.tolist() for view in model.views_] == VIEWS


def test_moments_alone_need_no_likelihood():
    rng = np.random.default_rng(0)
    means = np.array([[0.0] * 7, [3, 1, 0, 0, 3, 3, 1], [0, 3, 3, 2, 0, 1, -1]])
    X, _ = planted(rng, 100_000, means)
    model = MultiViewGaussianMixture(3, views=VIEWS, max_iter=0).fit(X)
    assert (model.init_, model.n_iter_) == ("tensor", 0)
    assert error(model.means_, means) < 0.3
    assert np.abs(model.weights_ - 1 / 3).max() < 0.05


def test_densities_are_products_over_views(table):
    X = table[0][:50]
    model = MultiViewGaussianMixture(3, views=VIEWS, random_state=0).fit(table[0])
    joint = np.log(model.weights_) + sum(
        np.stack(
            [
                multivariate_normal(mean[view], S[np.ix_(view, view)]).logpdf(X[:, view])
                for mean, S in zip(model.means_, model.covariances_, strict=True)
            ],
            axis=1,
        )
        for view in VIEWS
    )
    total = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), total, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - total[:, None]), atol=1e-9)
    assert model._n_parameters() == 2 + 3 * (7 + 3 + 6 + 3)


def test_one_view_is_a_mixture_of_full_covariances(table):
    X = table[0]
    how = {"init_params": "kmeans", "random_state": 0}
    one = MultiViewGaussianMixture(3, views=[range(7)], **how).fit(X)
    whole = GaussianMixture(3, **how).fit(X)
    np.testing.assert_allclose(one.covariances_, whole.covariances_, rtol=1e-9)


def test_columns_alone_are_a_mixture_of_variances(table):
    X = table[0]
    how = {"init_params": "kmeans", "max_iter": 3, "random_state": 0}
    full = MultiViewGaussianMixture(3, **how).fit(X)
    diag = MultiViewGaussianMixture(3, covariance_type="diag", **how).fit(X)
    own = GaussianMixture(3, covariance_type="diag", **how).fit(X)
    np.testing.assert_allclose(diag.covariances_, own.covariances_, rtol=1e-9)
    np.testing.assert_allclose(full.bic(X), own.bic(X), rtol=1e-2)
    assert full._n_parameters() == own._n_parameters()


def test_holes_and_weights_go_together(table):
    X, _, means = table
    rng = np.random.default_rng(1)
    X = np.where(rng.random(X.shape) < 0.05, np.nan, X)
    settings = {"views": VIEWS, "random_state": 0, "tol": 1e-6, "max_iter": 300}
    twice = MultiViewGaussianMixture(3, **settings).fit(np.concatenate([X, X]))
    weighed = MultiViewGaussianMixture(3, **settings).fit(X, sample_weight=np.full(len(X), 2.0))
    assert error(weighed.means_, means) < 0.2
    assert error(weighed.means_, twice.means_) < 0.02


def test_chunks_and_workers_change_little(table):
    X = table[0]
    settings = {"views": VIEWS, "random_state": 0}
    whole = MultiViewGaussianMixture(3, **settings).fit(X)
    parts = MultiViewGaussianMixture(3, n_jobs=2, **settings).fit(
        [(X[:1000], None), (X[1000:], None)]
    )
    np.testing.assert_allclose(whole.means_, parts.means_, rtol=1e-9)


def test_samples_and_warm_starts_keep_to_the_views(table):
    X = table[0]
    model = MultiViewGaussianMixture(3, views=VIEWS, random_state=0, warm_start=True).fit(X)
    before = model.lower_bound_
    assert model.fit(X).lower_bound_ >= before - 1e-9
    assert (model.covariances_[:, 0, 1] == 0).all()
    drawn, labels = model.sample(20_000)
    found = np.cov(drawn[labels == 0], rowvar=False)
    np.testing.assert_allclose(found, model.covariances_[0], atol=0.15 * found.diagonal().max())


def test_more_components_than_views_show(table):
    X = table[0]
    with pytest.raises(RankError, match=r"views show 3 components, and n_components=4.*noise|4"):
        MultiViewGaussianMixture(4, views=VIEWS, max_iter=0).fit(X)
    model = MultiViewGaussianMixture(5, views=VIEWS, random_state=0).fit(X)  # of few columns
    assert model.init_ in ("kmeans", "quick", "scaled")
    assert "linearly independent" in model.report_.fault


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([[0, 1, 2], [3, 4, 5, 6]], "views has 2 entries, but moments need three"),
        ([[0, 1], [2, 3], [4, 5]], "Column 6 of X is in 0 of the views.*Add it to a view"),
        ([[0, 1], [2, 3], [3, 4, 5, 6]], "Column 3 of X is in 2 of the views.*Name it once"),
        ([[0, 1], [2, 3], [4, 5, 6, 7]], "views names column 7, but X has the columns 0 to 6"),
        ([["a"], [1, 2], [3]], r"views\[0\] must be a list of numbers of columns"),
        ([[], [1, 2], [3]], r"views\[0\] must be a list of numbers of columns"),
        ("abc", "'views' parameter"),
    ],
)
def test_bad_views_are_refused_and_nothing_is_kept(table, views, message):
    model = MultiViewGaussianMixture(2, views=views)
    with pytest.raises(ValueError, match=message):
        model.fit(table[0])
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused(table, bad):
    X = table[0].copy()
    X[3, 2] = bad
    with pytest.raises(ValueError, match="infinity"):
        MultiViewGaussianMixture(2, views=VIEWS).fit(X)


def test_moments_of_rows_that_all_miss_something(table):
    X = table[0].copy()
    X[::2, 0] = X[1::2, 1] = np.nan
    with pytest.raises(RankError, match="Every row of X misses an entry"):
        MultiViewGaussianMixture(2, views=VIEWS, max_iter=0).fit(X)
    model = MultiViewGaussianMixture(2, views=VIEWS, random_state=0).fit(X)
    assert "misses an entry" in model.report_.fault


def test_views_must_be_a_list(rng):
    with pytest.raises(ValueError, match="views must be a list of lists"):
        MultiViewGaussianMixture(2, views=np.array("odd")).fit(rng.normal(size=(20, 3)))
