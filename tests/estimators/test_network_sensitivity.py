"""Sobol' indices and active subspaces of fitted networks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

from spectral_estimators import MLPClassifier, MLPRegressor
from spectral_nn.models.network.sensitivity import active_subspace, sobol_indices

D = 4


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = 1 + rng.standard_normal((2000, D)) * [1, 2, 0.5, 1]
    return X, np.tanh(X[:, 0] - 1) + 0.2 * (X[:, 1] - 1)


def fit(rows, kind=MLPRegressor, **settings):
    X, y = rows
    settings = {"hidden_layer_sizes": (3,), "activation": "tanh", "tol": 1e-3} | settings
    return kind(init="random", random_state=0, **settings).fit(X, y)


@pytest.fixture(scope="module")
def net(rows):
    return fit(rows)


def test_indices_are_those_of_the_core(rows, net):
    mean, variance = rows[0].mean(axis=0), rows[0].var(axis=0)
    found = net.sobol_indices(mean, variance, groups=[[0], [1, 2, 3]])
    groups = [[0], [1, 2, 3]]
    expected = sobol_indices(
        net.coefs_, net.intercepts_, "tanh", mean=mean, variance=variance, groups=groups
    )
    assert_allclose(found.first, expected.first)
    each = net.sobol_indices(mean, variance)
    assert each.total.shape == (1, D)
    assert each.total[0, 2:].max() < 0.01 < 0.2 < each.total[0, :2].min()
    assert_allclose(each.variance, net.predict(rows[0]).var(), rtol=0.1)


def test_subspace_is_that_of_the_core(rows, net):
    X, _ = rows
    covariance = np.cov(X.T)
    found = net.active_subspace(X.mean(axis=0), covariance)
    expected = active_subspace(
        net.coefs_, net.intercepts_, "tanh", mean=X.mean(axis=0), covariance=covariance
    )
    assert_allclose(found.matrix, expected.matrix)
    assert_allclose(
        net.active_subspace(0.5, 2.0).matrix,
        net.active_subspace(np.full(D, 0.5), 2 * np.eye(D)).matrix,
        atol=1e-12,
    )


def test_one_row_an_output(rows):
    X, y = rows
    two = fit((X, np.column_stack([y, X[:, 2]])))
    assert two.sobol_indices().first.shape == (2, D)
    assert two.active_subspace().matrix.shape == (2, D, D)


def test_a_classifier_is_known_by_its_decision_function(rows):
    X, y = rows
    X, mean, variance = X.astype(np.float32), X.mean(axis=0), X.var(axis=0)
    net = fit((X, y > 0), MLPClassifier)
    found = net.sobol_indices(mean, variance)
    odds = np.log(net.predict_proba(X)[:, 1] / net.predict_proba(X)[:, 0])
    assert_allclose(found.variance, odds.var(), rtol=0.15)
    assert found.first.dtype == np.float64


def test_other_depths_and_what_is_not_fitted(rows):
    deep = fit(rows, hidden_layer_sizes=(3, 3))
    for method in ("sobol_indices", "active_subspace"):
        with pytest.raises(ValueError, match=f"{method} is a closed form.*this one has 2"):
            getattr(deep, method)()
        with pytest.raises(NotFittedError):
            getattr(MLPRegressor(), method)()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": [0.0, 1.0]}, r"mean has shape \(2,\).*4 columns"),
        ({"mean": np.nan}, "mean holds NaN"),
        ({"variance": [1.0, -1.0, 1.0, 1.0]}, "variance is -1 in column 1"),
        ({"groups": [[0, 4]]}, r"groups holds \[0, 4\].*from 0 to 3"),
        ({"groups": [[1, 1]]}, "different columns"),
        ({"groups": [[]]}, "a group is a list"),
        ({"groups": [["age"]]}, "groups holds"),
    ],
)
def test_bad_laws_and_groups_are_named(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        net.sobol_indices(**arguments)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.eye(3), r"covariance has shape \(3, 3\)"),
        (np.full((D, D), np.inf), "not finite"),
        (np.eye(D) + np.eye(D, k=1), "not symmetric"),
        (np.diag([1.0, 1, 1, -1]), "eigenvalue of -1"),
        (-1.0, "covariance is -1 in column 0"),
    ],
)
def test_bad_covariances_are_named(net, covariance, message):
    with pytest.raises(ValueError, match=message):
        net.active_subspace(covariance=covariance)
