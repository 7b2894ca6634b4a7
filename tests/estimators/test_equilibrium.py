"""Networks with equilibria as users call them."""

import pickle
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from spectral_estimators import (
    EquilibriumMLPClassifier,
    EquilibriumMLPRegressor,
    EquilibriumPropagationClassifier,
)

CLASSIFIERS = (
    EquilibriumMLPClassifier(16, learning_rate_init=0.01, random_state=0),
    EquilibriumPropagationClassifier((16,), learning_rate_init=0.01, random_state=0),
)
MLPS = (EquilibriumMLPClassifier, EquilibriumMLPRegressor)
ALL = (*CLASSIFIERS, EquilibriumMLPRegressor(16, learning_rate_init=0.01, random_state=0))
few_epochs = pytest.mark.filterwarnings("ignore:The fit by solver")
each_classifier = pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
each = pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0)), y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_classifier
def test_labels_of_every_kind(model, iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    table = np.stack([y == 0, y == 2], axis=1).astype(int)
    three, two, both = (
        clone(model).set_params(max_iter=25, batch_size=32).fit(X, labels)
        for labels in (names, y == 0, table)
    )
    one = clone(model).set_params(max_iter=3).fit(X, np.ones(len(X)))
    assert three.score(X, names) > 0.9
    assert three.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert_allclose(three.predict_proba(X).sum(axis=1), 1)
    assert_allclose(np.exp(three.predict_log_proba(X)), three.predict_proba(X), atol=1e-300)
    assert_array_equal(three.classes_[three.predict_proba(X).argmax(axis=1)], three.predict(X))
    assert two.score(X, y == 0) > 0.95
    assert two.predict_proba(X).shape == (len(X), 2)
    assert (both.predict(X) == table).mean() > 0.85
    assert one.predict(X).tolist() == [1] * len(X)
    assert one.predict_proba(X).tolist() == [[1]] * len(X)


@few_epochs
@pytest.mark.parametrize(
    "model",
    [
        EquilibriumMLPClassifier(learning_rate_init=0.003, max_iter=8, random_state=0),
        EquilibriumPropagationClassifier(learning_rate_init=0.005, max_iter=6, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_digits_are_told_apart(model):
    X, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))
    X, y = X[rows] / 16, y[rows]
    model = clone(model).set_params(batch_size=64).fit(X[:1300], y[:1300])
    assert model.score(X[1300:], y[1300:]) > 0.93


@few_epochs
@each
def test_attributes_and_copies(model, iris):
    X, y = iris
    told = []
    model = clone(model).set_params(max_iter=4, verbose=lambda *line: told.append(line)).fit(X, y)
    assert (model.n_iter_, len(model.loss_curve_)) == (4, 4)
    assert model.loss_ == model.loss_curve_[-1]
    assert [(stage, step) for stage, step, _ in told] == [("adam", i) for i in (1, 2, 3, 4)]
    assert model.n_features_in_ == 4
    assert model.residual_ <= model.fixed_point_tol
    assert 1 <= model.n_fixed_point_iter_ <= model.max_fixed_point_iter
    again = clone(model).set_params(verbose=False).fit(X, y)
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(pickle.loads(pickle.dumps(again)).predict(X), model.predict(X))


@few_epochs
@each
def test_rows_of_weight_zero_are_not_there(model, iris):
    X, y = iris
    weight = np.where(np.arange(len(X)) % 3 == 0, 0.0, np.linspace(0.5, 2, len(X)))
    model = clone(model).set_params(max_iter=3, batch_size=20)
    found = clone(model).fit(X, y, sample_weight=weight)
    some = weight > 0
    expected = clone(model).fit(X[some], y[some], sample_weight=weight[some])
    assert_array_equal(found.coefs_[0], expected.coefs_[0])
    assert (found.coefs_[0] != clone(model).fit(X[some], y[some]).coefs_[0]).any()


@few_epochs
@each
def test_single_precision_stays(model, iris):
    X, y = iris
    fitted = clone(model).set_params(max_iter=3).fit(X.astype(np.float32), y)
    assert fitted.coefs_[0].dtype == np.float32
    numbers = getattr(fitted, "predict_proba", fitted.predict)
    assert numbers(X.astype(np.float32)).dtype == np.float32
    assert_allclose(
        numbers(X.astype(np.float32)),
        getattr(clone(fitted).fit(X, y), numbers.__name__)(X),
        atol=1e-3,
    )


@few_epochs
@pytest.mark.parametrize("kind", MLPS)
def test_the_norm_is_capped_whatever_the_steps(kind, iris):
    X, y = iris
    for cap, rate in ((0.9, 1.0), (0.3, 0.1)):
        model = kind(10, max_spectral_norm=cap, learning_rate_init=rate, max_iter=20)
        norm = np.linalg.norm(model.fit(X, y).recurrent_coef_, 2)
        assert norm == pytest.approx(cap, rel=1e-12)


@few_epochs
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_implicit_and_unrolled_gradients_make_the_same_fit(solver, iris):
    X, y = iris
    how = {"solver": solver, "fixed_point_tol": 1e-12, "max_fixed_point_iter": 300}
    fits = [
        EquilibriumMLPClassifier(8, gradient=gradient, max_iter=10, random_state=0, **how).fit(X, y)
        for gradient in ("implicit", "unrolled", "jacobian-free")
    ]
    probabilities = [fit.predict_proba(X) for fit in fits]
    assert_allclose(probabilities[0], probabilities[1], atol=1e-8)
    assert np.abs(probabilities[0] - probabilities[2]).max() > 1e-6


def test_moments_find_the_units_that_drive_the_states():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5))
    y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2] - X[:, 3], 0)
    model = EquilibriumMLPRegressor(2, init="tensor", max_iter=0, random_state=0).fit(X, y)
    assert model.init_ == "tensor"
    assert (model.recurrent_coef_ == 0).all()
    assert model.score(X, y) > 0.98
    assert np.isnan(model.loss_)


@few_epochs
@each
def test_states_that_still_move_are_told_of_once(model, iris):
    X, y = iris
    model = clone(model).set_params(max_iter=5, max_fixed_point_iter=2, fixed_point_tol=1e-6)
    with pytest.warns(ConvergenceWarning, match="after max_fixed_point_iter=2 steps") as told:
        model.fit(X, y)
    said = [str(one.message) for one in told if "fixed_point" in str(one.message)]
    assert len(said) == 1
    assert f"{model.residual_:.2g} of its norm" in said[0]
    with pytest.warns(ConvergenceWarning, match="States still moved") as told:
        model.predict(X)
    assert len(told) == 1


@each
def test_losses_that_diverge_leave_nothing_fitted(model, iris):
    X, y = iris
    model = clone(model).set_params(solver="sgd", learning_rate_init=1e300, max_iter=5)
    with pytest.raises(ValueError, match=r"The loss is not finite .* at step \d of solver='sgd'"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not [name for name in vars(model) if name.endswith("_")]


@each
def test_chunks_are_refused(model, iris):
    X, y = iris
    with pytest.raises(ValueError, match="takes rows one by one"):
        clone(model).fit((pair for pair in [(X, y)]), None)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("max_spectral_norm", 1.0), ("activation", "square"), ("gradient", "exact"), ("n_units", 0)],
)
def test_bad_settings_of_deep_equilibria(setting, value, iris):
    with pytest.raises(ValueError, match=f"'{setting}' parameter"):
        EquilibriumMLPClassifier(**{setting: value}).fit(*iris)


@pytest.mark.parametrize(
    ("setting", "value"), [("beta", 0), ("dt", 1.5), ("nudge", "both"), ("hidden_layer_sizes", ())]
)
def test_bad_settings_of_propagation(setting, value, iris):
    with pytest.raises(ValueError, match=setting):
        EquilibriumPropagationClassifier(**{setting: value}).fit(*iris)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_enormous_entry_is_fitted_or_refused():
    X = np.random.default_rng(6).poisson(3.0, (38, 1)).astype(float)
    X[0] = 1.7e308
    y = np.arange(38) % 2
    for kind in (EquilibriumMLPClassifier, EquilibriumPropagationClassifier):
        model = kind(max_iter=2, random_state=0, learning_rate_init=0.3)
        with suppress(ValueError):  # which says that the loss is not finite
            model.fit(X, y)
        assert all(np.isfinite(part).all() for part in getattr(model, "coefs_", []))
