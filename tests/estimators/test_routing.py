"""Weights and lengths through pipelines and searches, by scikit-learn's routing of metadata."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from spectral_estimators import (
    CategoricalHMM,
    GaussianHMM,
    GaussianMixture,
    ObservableOperatorModel,
    PerSequence,
    Sequences,
    TensorFeatures,
)
from spectral_estimators.hmm._base import BaseHMM
from tests.estimators.test_check_estimator import ESTIMATORS
from tests.estimators.test_frames import (
    assert_same_fit,
    data_for,
    is_of_sequences,
    seeded,
    takes_weights,
    weights_for,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

FOLDS = KFold(2)


@pytest.fixture(autouse=True)
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weighted_data(estimator):
    """X, y and weights of samples: of rows, or of sequences."""
    _, X, more = data_for(estimator)
    if not isinstance(estimator, BaseHMM):
        return X, more.get("y"), weights_for(estimator, more, len(X))
    return Sequences.from_lengths(X, [20, 15, 25, 20]), None, np.array([1.0, 2.0, 0.5, 1.5])


def requesting(estimator, **names):
    """A seeded clone that asks for metadata in fit, and in score where it can."""
    one = seeded(estimator).set_fit_request(**names)
    return one.set_score_request(**names) if hasattr(one, "set_score_request") else one


WEIGHTED = [estimator for estimator in ESTIMATORS if takes_weights(estimator)]


@pytest.mark.parametrize("estimator", WEIGHTED, ids=repr)
def test_weights_reach_the_fit_and_the_score(estimator):
    X, y, weight = weighted_data(estimator)
    model = requesting(estimator, sample_weight=True)
    wanted = seeded(estimator).fit(X, y, sample_weight=weight)
    found = make_pipeline("passthrough", model).fit(X, y, sample_weight=weight)[-1]
    assert_same_fit(found, wanted)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline("passthrough", seeded(estimator)).fit(X, y, sample_weight=weight)
    if not hasattr(model, "score"):
        return
    folds = cross_validate(
        model, X, y, cv=FOLDS, params={"sample_weight": weight}, return_estimator=True
    )
    for i, (train, test) in enumerate(FOLDS.split(weight)):
        given, left = ({} if y is None else {"y": y[part]} for part in (train, test))
        fit = seeded(estimator).fit(X[train], **given, sample_weight=weight[train])
        assert folds["test_score"][i] == fit.score(X[test], **left, sample_weight=weight[test])
        assert_same_fit(folds["estimator"][i], fit)


@pytest.mark.parametrize("estimator", list(filter(is_of_sequences, ESTIMATORS)), ids=repr)
def test_lengths_go_through_a_pipeline(estimator):
    _, X, more = data_for(estimator)
    lengths = more["lengths"]
    methods = [m for m in ("score", "predict", "predict_proba") if hasattr(estimator, m)]
    model = requesting(estimator, lengths=True)
    for name in methods[1:]:
        getattr(model, f"set_{name}_request")(lengths=True)
    pipe = make_pipeline(FunctionTransformer(), model).fit(X, lengths=lengths)
    wanted = seeded(estimator).fit(X, lengths=lengths)
    assert_same_fit(pipe[-1], wanted)
    if isinstance(estimator, ObservableOperatorModel):
        methods = []  # scikit-learn's pipelines score nothing that takes no weights (1.9)
    for name in methods:
        found = getattr(pipe, name)(X, lengths=lengths)
        assert_array_equal(found, getattr(wanted, name)(X, lengths=lengths))


def test_lengths_of_all_rows_are_not_those_of_a_fold():
    """Which is why a fold is one of `Sequences`, never of a table."""
    X = np.random.default_rng(0).normal(size=(40, 1))
    model = requesting(GaussianHMM(2), lengths=True)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="lengths sum to 40 but X has 20 rows"):
        search.fit(X, lengths=[10, 30])
    sequences = Sequences.from_lengths(X, [10, 10, 10, 10])
    search = GridSearchCV(GaussianHMM(random_state=0), search.param_grid, cv=2)
    assert np.isfinite(search.fit(sequences).best_score_)


def test_a_search_weighs_sequences():
    rng = np.random.default_rng(1)
    X = Sequences.from_lengths(rng.integers(0, 3, (90, 1)), [15] * 6)
    weight = np.array([1.0, 1.0, 2.0, 0.0, 1.0, 3.0])
    model = requesting(CategoricalHMM(n_features=3), sample_weight=True)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=FOLDS).fit(X, sample_weight=weight)
    best = clone(model).set_params(**search.best_params_).fit(X, sample_weight=weight)
    assert_array_equal(search.best_estimator_.transmat_, best.transmat_)
    twice = clone(model).fit(X, sample_weight=2 * weight)
    assert twice.score(X, sample_weight=2 * weight) == pytest.approx(
        2 * twice.score(X, sample_weight=weight)
    )


def test_impossible_sequences_without_weight_do_not_count():
    model = CategoricalHMM(1, n_features=3)
    model.startprob_, model.transmat_ = np.ones(1), np.ones((1, 1))
    model.emissionprob_ = np.array([[0.5, 0.5, 0.0]])
    X = [[0, 1], [2, 2]]
    assert model.score(X) == -np.inf
    assert model.score(X, sample_weight=[2, 0]) == pytest.approx(4 * np.log(0.5))
    with pytest.raises(ValueError, match="sample_weight must hold one number for each of the 2"):
        model.score(X, sample_weight=[1])


def test_a_transformer_of_sequences_hands_metadata_on():
    rng = np.random.default_rng(2)
    X, weight = rng.normal(size=(30, 2)), rng.random(30)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    pipe = make_pipeline(PerSequence(scaler), GaussianMixture(2, random_state=0))
    pipe[-1].set_fit_request(sample_weight=False)
    wanted = StandardScaler().fit(X, sample_weight=weight)
    pipe.fit(X, sample_weight=weight)
    assert_array_equal(pipe[0].transformer_.mean_, wanted.mean_)
    sequences = Sequences.from_lengths(X, [10, 20])
    found = PerSequence(scaler).fit(sequences, sample_weight=weight)
    assert_array_equal(found.transformer_.mean_, wanted.mean_)
    with pytest.raises(UnsetMetadataPassedError, match="StandardScaler"):
        PerSequence(StandardScaler()).fit(X, sample_weight=weight)


def test_features_for_a_regression_take_its_weights():
    rng = np.random.default_rng(3)
    X, weight = rng.normal(size=(60, 3)), rng.choice([1.0, 2.0], 60)
    y = X[:, 0] ** 2
    features = TensorFeatures(1, random_state=0).set_fit_request(sample_weight=True)
    ridge = sklearn.linear_model.Ridge().set_fit_request(sample_weight=True)
    pipe = make_pipeline(features, ridge.set_score_request(sample_weight=True))
    folds = cross_validate(pipe, X, y, cv=2, params={"sample_weight": weight})
    assert np.isfinite(folds["test_score"]).all()
    pipe.fit(X, y, sample_weight=weight)
    wanted = clone(features).fit(X, y, sample_weight=weight).components_
    assert_array_equal(pipe[0].components_, wanted)


def test_operators_have_no_weights_to_ask_for():
    with pytest.raises(TypeError, match="Unexpected args"):
        ObservableOperatorModel().set_fit_request(sample_weight=True)
