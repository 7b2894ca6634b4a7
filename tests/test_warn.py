"""Warnings point at the line of the user, whatever stands between."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectral_estimators import (
    CategoricalHMM,
    GaussianHMM,
    GaussianMixture,
    LatentDirichletAllocation,
    MLPRegressor,
    MultiViewMixture,
)


def told(fit):
    """Files and lines of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    return {(one.filename, one.lineno) for one in caught}


X = np.random.default_rng(0).standard_normal((60, 4))


@pytest.mark.parametrize(
    "model",
    [
        CategoricalHMM(9, n_init=2, random_state=0),
        GaussianHMM(40, "full", n_iter=2, n_init=2, random_state=0),
        GaussianMixture(3, max_iter=1, tol=0, random_state=0),
        LatentDirichletAllocation(20, max_iter=1, random_state=0),
        MLPRegressor(hidden_layer_sizes=(20,), max_iter=2, random_state=0),
        MultiViewMixture(2, max_iter=1, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_the_line_of_a_fit(model):
    data = np.arange(60) % 3 if isinstance(model, CategoricalHMM) else np.round(np.abs(X))
    y = {"y": X[:, 0]} if isinstance(model, MLPRegressor) else {}

    def fit():
        model.fit(data, **y)

    line = fit.__code__.co_firstlineno + 1
    assert told(fit) == {(__file__, line)}


def test_scikit_learn_and_workers_are_passed_by():
    net = MLPRegressor(hidden_layer_sizes=(20,), max_iter=2, random_state=0, n_jobs=2)

    def fit():
        cross_val_score(make_pipeline(StandardScaler(), net), X, X[:, 0], cv=2)

    assert told(fit) == {(__file__, fit.__code__.co_firstlineno + 1)}


def test_a_second_fit_is_warned_of_on_its_own_line():
    net = MLPRegressor(hidden_layer_sizes=(20,), max_iter=2, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        net.fit(X, X[:, 0])
        net.fit(X, X[:, 0])
    assert len({one.lineno for one in caught}) == 2
