"""HMMClassifier: Bayes' rule by hand, planted classes, and scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectral_estimators import (
    CategoricalHMM,
    GaussianHMM,
    HMMClassifier,
    MultinomialHMM,
    PerSequence,
    PoissonHMM,
    Sequences,
)

STAY = {"calm": 0.95, "wild": 0.5}  # one law of single observations, two of their order


def planted(n_each, seed=0, rates=(1.0, 8.0)):
    """Sequences of counts whose classes differ in how long states last, and in nothing else."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for label, stay in STAY.items():
        for _ in range(n_each):
            states = np.cumsum(np.append(rng.random() < 0.5, rng.random(59) > stay)) % 2
            X.append(rng.poisson(np.array(rates)[states])[:, None])
            y.append(label)
    order = rng.permutation(len(X))
    return [X[i] for i in order], np.array(y)[order]


@pytest.fixture(scope="module")
def data():
    return planted(20)


@pytest.fixture(scope="module")
def fitted(data):
    return HMMClassifier(PoissonHMM(2, random_state=0)).fit(*data)


def test_order_in_time_tells_classes_apart(fitted):
    X, y = planted(50, seed=1)
    assert fitted.classes_.tolist() == ["calm", "wild"]
    assert fitted.score(X, y) > 0.97
    blind = HMMClassifier(PoissonHMM(1)).fit(*planted(20))  # one state sees no order
    assert blind.score(X, y) < 0.75


def test_probabilities_are_bayes_rule(fitted, data):
    X, _ = data
    short = [x[:4] for x in X]
    likelihood = np.exp([[model.score(x) for model in fitted.estimators_] for x in short])
    expected = likelihood * 0.5 / (likelihood * 0.5).sum(axis=1, keepdims=True)
    found = fitted.predict_proba(short)
    assert 1e-4 < expected.min() < 0.1  # not saturated
    assert_allclose(found, expected, rtol=1e-10)
    assert_allclose(fitted.predict_log_proba(short), np.log(expected), rtol=1e-9, atol=1e-12)
    assert_array_equal(fitted.predict(short), fitted.classes_[expected.argmax(axis=1)])
    odds = np.log(expected[:, 1] / expected[:, 0])
    assert_allclose(fitted.decision_function(short), odds, rtol=1e-9, atol=1e-12)


def test_priors(data):
    X, y = data
    few = np.flatnonzero(y == "calm")[:5].tolist() + np.flatnonzero(y == "wild")[:15].tolist()
    X, y = [X[i] for i in few], y[few]
    model = PoissonHMM(1)
    free = HMMClassifier(model).fit(X, y)
    assert_allclose(free.class_prior_, [0.25, 0.75])
    given = HMMClassifier(model, priors=[0.9, 0.1]).fit(X, y)
    assert_allclose(given.class_prior_, [0.9, 0.1])
    gain = free.decision_function(X) - given.decision_function(X)
    assert_allclose(gain, np.log(3) + np.log(9), rtol=1e-10)
    sure = HMMClassifier(model, priors=[0.0, 1.0]).fit(X, y)
    assert (sure.predict(X) == "wild").all()
    assert_array_equal(sure.predict_proba(X)[:, 0], 0)


def test_each_class_has_the_model_of_its_sequences(fitted, data):
    X, y = data
    for label, model in zip(fitted.classes_, fitted.estimators_, strict=True):
        own = [x for x, one in zip(X, y, strict=True) if one == label]
        alone = PoissonHMM(2, random_state=0).fit(own)
        assert_array_equal(model.lambdas_, alone.lambdas_)
        assert_array_equal(model.transmat_, alone.transmat_)
    assert not hasattr(fitted.estimator, "lambdas_")


def test_all_forms_of_the_same_data(fitted, data):
    X, y = data
    ragged = [x[: 30 + i] for i, x in enumerate(X)]
    expected = fitted.decision_function(ragged)
    assert_allclose(fitted.decision_function(Sequences.from_list(ragged)), expected, rtol=1e-12)
    cube = np.stack(X)
    again = clone(fitted).fit(cube, list(y))
    assert_allclose(again.decision_function(ragged), expected, rtol=1e-9)
    assert_allclose(again.predict_proba(cube), fitted.predict_proba(X), rtol=1e-9)


def test_several_classes_and_labels_that_are_numbers(rng):
    y = np.repeat([7, 3, 5], 8)
    X = [rng.normal(label, 1.0, (15, 2)) for label in y]
    model = HMMClassifier(GaussianHMM(1)).fit(X, y)
    assert model.classes_.tolist() == [3, 5, 7]
    assert model.score(X, y) == 1.0
    joint = model.decision_function(X)
    assert joint.shape == (24, 3)
    log_proba = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
    assert_allclose(model.predict_log_proba(X), log_proba, rtol=1e-9, atol=1e-12)


def test_one_sequence_a_class_and_one_class(rng):
    X = [rng.poisson(2.0, (50, 1)), rng.poisson(9.0, (50, 1))]
    assert HMMClassifier(PoissonHMM(1)).fit(X, [0, 1]).predict(X).tolist() == [0, 1]
    alone = HMMClassifier(PoissonHMM(1)).fit(X, ["a", "a"])
    assert alone.predict(X).tolist() == ["a", "a"]
    assert_array_equal(alone.predict_proba(X), np.ones((2, 1)))


@pytest.mark.parametrize("strings", [False, True])
def test_classes_share_an_alphabet(strings):
    """A symbol that one class lacks is possible in it, or its likelihood could not be asked for."""
    X = [np.array(s) for s in ([0, 1, 0, 1], [1, 1, 0, 0], [2, 3, 2, 2], [3, 0, 3, 2])]
    if strings:
        X = [np.array(list("abcd"))[x] for x in X]
    model = HMMClassifier(CategoricalHMM(1)).fit(X, [0, 0, 1, 1])
    assert [one.emissionprob_.shape for one in model.estimators_] == [(1, 4)] * 2
    assert_array_equal(model.predict(X), [0, 0, 1, 1])
    assert np.isfinite(model.predict_log_proba(X)).all()
    one = model.estimators_[0]
    if strings:
        assert one.symbols_.tolist() == list("abcd")
    one.fit(X[:2])  # alone, it has an alphabet of its own again
    assert one.emissionprob_.shape == (1, 2)
    preset = HMMClassifier(CategoricalHMM(1, n_features=None if strings else 9)).fit(
        X, [0, 0, 1, 1]
    )
    assert preset.estimators_[1].emissionprob_.shape == (1, 4 if strings else 9)


def test_impossible_sequences():
    X, y = [np.array([0, 0, 1]), np.array([2, 2, 2])], ["a", "b"]
    flat = CategoricalHMM(1, emissionprob_prior=1.0)
    model = HMMClassifier(flat, priors=[0.7, 0.3]).fit(X, y)
    new = [np.array([0, 1]), np.array([2]), np.array([0, 2])]
    assert_allclose(model.predict_proba(new), [[1, 0], [0, 1], [0.7, 0.3]])
    assert model.predict(new).tolist() == ["a", "b", "a"]
    decision = model.decision_function(new)
    assert np.isfinite(decision).all()
    assert decision[0] < -1e300
    assert decision[1] > 1e300
    assert_allclose(decision[2], np.log(3 / 7))


def test_long_sequences_do_not_underflow(fitted):
    X, _ = planted(1, seed=3)
    long = [np.tile(x, (200, 1)) for x in X]
    assert np.isfinite(fitted.predict_log_proba(long)).all()
    assert fitted.predict_log_proba(long).min() < -800


def test_scikit_learns_tools(data):
    X, y = data
    base = HMMClassifier(PoissonHMM(random_state=0))
    assert is_classifier(base)
    grid = GridSearchCV(base, {"estimator__n_components": [1, 2]}, cv=StratifiedKFold(4))
    grid.fit(X, y)
    assert grid.best_params_ == {"estimator__n_components": 2}
    assert grid.best_score_ > 0.9
    assert len(grid.best_estimator_.estimators_[0].lambdas_) == 2
    area = cross_val_score(
        clone(grid.best_estimator_), Sequences.from_list(X), y, scoring="roc_auc"
    )
    assert area.mean() > 0.95


def test_last_step_of_a_pipeline(data):
    X, y = data
    X = [np.log1p(x) * 1e4 for x in X]
    inner = HMMClassifier(GaussianHMM(2, random_state=0))
    pipeline = make_pipeline(PerSequence(StandardScaler()), inner)
    pipeline.fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert np.abs(pipeline[-1].estimators_[0].means_).max() < 3
    again = pickle.loads(pickle.dumps(pipeline))
    assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))


def test_random_state_is_that_of_the_model(data):
    X, y = data
    same = [HMMClassifier(PoissonHMM(2, random_state=3, n_iter=2)).fit(X, y) for _ in range(2)]
    assert_array_equal(same[0].estimators_[1].transmat_, same[1].estimators_[1].transmat_)
    starts = [
        HMMClassifier(PoissonHMM(2, random_state=seed, init="random", n_iter=1)).fit(X, y)
        for seed in (0, 1)
    ]
    assert (starts[0].estimators_[0].transmat_ != starts[1].estimators_[0].transmat_).any()


def test_it_is_a_good_citizen(fitted, data):
    copy = clone(fitted)
    assert copy.get_params()["estimator__n_components"] == 2
    assert not hasattr(copy, "classes_")
    with pytest.raises(NotFittedError):
        copy.predict(data[0])
    tags = fitted.__sklearn_tags__()
    assert tags.target_tags.required
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array


BAD = {
    "a table": (lambda X, y: (X[0], y), "X is one sequence, an array of shape \\(60, 1\\)"),
    "numbers": (lambda X, y: ([1, 2, 3], y), "X is one sequence, an array of shape \\(3,\\)"),
    "nothing": (lambda X, y: (None, y), "X is of type NoneType"),
    "a generator": (lambda X, y: (iter(X), y), "sequences in memory"),
    "widths": (lambda X, y: ([*X[:-1], np.ones((3, 2))], y), "differ in width"),
    "an empty one": (lambda X, y: ([*X[:-1], X[0][:0]], y), "Sequence 39 of X is empty"),
    "few labels": (lambda X, y: (X, y[:3]), "y has 3 labels, but X holds 40 sequences"),
    "no labels": (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
    "labels of rows": (lambda X, y: (X, [np.zeros(60)] * 40), "y holds sequences of labels"),
    "real labels": (lambda X, y: (X, np.linspace(0, 1, 40)), "continuous"),
    "two columns": (lambda X, y: (X, np.zeros((40, 2))), "y should be a 1d array"),
    "values": (
        lambda X, y: ([*X[:-1], X[-1] - 99], y),
        "In X, the sequences of class '(calm|wild)' alone: Negative values in data",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data(case, data):
    spoil, words = BAD[case]
    model = HMMClassifier(PoissonHMM(1))
    with pytest.raises(ValueError, match=words):
        model.fit(*spoil(*data))
    assert vars(model).keys() == {"estimator", "priors"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"priors": [0.5, 0.6]}, "priors must sum to 1, got 1.1"),
        ({"priors": [1.5, -0.5]}, "priors must hold probabilities; entry \\[1\\] is -0.5"),
        ({"priors": [0.2, 0.3, 0.5]}, "priors must have shape \\(2,\\), one for each class of y"),
        ({"priors": "even"}, "'priors' parameter"),
        ({"estimator": StandardScaler()}, "'estimator' parameter"),
        ({"estimator": MultinomialHMM(1, n_trials=2)}, "of class 'calm' alone: .* n_trials says"),
    ],
)
def test_bad_settings(settings, words, data):
    model = HMMClassifier(PoissonHMM(1)).set_params(**settings)
    with pytest.raises(ValueError, match=words):
        model.fit(*data)


def test_other_columns_are_refused(fitted):
    with pytest.raises(ValueError, match="3 features, but PoissonHMM is expecting 1"):
        fitted.predict([np.zeros((4, 3))])
    with pytest.raises(ValueError, match="X is one sequence"):
        fitted.predict(np.zeros((4, 1)))
