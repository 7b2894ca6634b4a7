"""scikit-learn's own tests of its perceptrons, run on ours in their place.

The test module that scikit-learn installs is loaded a second time, with adaptors of our classes
where it imports scikit-learn's.  An adaptor starts at random, has scikit-learn's defaults, and
takes Adam, with steps that suit it, for ``solver="sgd"``, which ours do not have.
"""

import importlib.util
import inspect

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification

import spectral_estimators

_THEIRS = "sklearn.neural_network.tests.test_mlp"
_ABSENT = {"learning_rate", "power_t", "momentum", "nesterovs_momentum", "max_fun"}
_DEFAULTS = {"hidden_layer_sizes": (100,), "solver": "adam", "init": "random"}

# Tests that cannot hold of ours, by name, with the reason.
NOT_OURS = {
    "test_adaptive_learning_rate": "a schedule of solver='sgd'",
    "test_early_stopping_stratified": "a class of one row is trained on instead of refused",
    "test_fit": "one step of solver='sgd', by hand; Adam's is in the tests of refine/adam.py",
    "test_gradient": "calls a private method; gradients are in the tests of models/network",
    "test_lbfgs_classification_maxfun": "there is no max_fun",
    "test_lbfgs_regression_maxfun": "there is no max_fun",
    "test_lbfgs_regression": (
        "its tolerance stops the logistic units of every second seed early, theirs as well as "
        "ours; see test_regression below"
    ),
    "test_learning_rate_warmstart": "a schedule of solver='sgd'",
    "test_mlp_diverging_loss": "a loss that is not finite raises, see test_network_bad_input.py",
    "test_mlp_vs_poisson_glm_equivalent": "there is no loss='poisson'",
    "test_n_iter_no_change": "reads a private counter; see test_patience below",
    "test_n_iter_no_change_inf": "reads a private counter; see test_endless_patience below",
    "test_nonfinite_params": "expects their words; ours are in test_network_bad_input.py",
    "test_partial_fit_errors": "solver='lbfgs' does have partial_fit; see test_batches below",
    "test_preserve_feature_names": "fits one class, which raises; names are in test_network.py",
    "test_predict_proba_multilabel": (
        "takes logarithms of probabilities that are 1 in floating point to be equal; ours are "
        "exact; see test_exact_logarithms below"
    ),
    "test_verbose_sgd": "expects their words on standard output; ours go to standard error",
    "test_warm_start": "expects their words; see test_other_classes below",
}


def _adapted(ours):
    """Ours, constructed as scikit-learn's."""

    def __init__(self, **given):
        given = {name: value for name, value in given.items() if name not in _ABSENT}
        if given.get("solver") == "sgd":
            given |= {"solver": "adam", "learning_rate_init": 0.01}
        ours.__init__(self, **(_DEFAULTS | given))

    __init__.__signature__ = inspect.signature(ours.__init__)
    return type(ours.__name__, (ours,), {"__init__": __init__})


def _their_tests():
    """Their module, with adaptors in the place of scikit-learn's classes."""
    spec = importlib.util.find_spec(_THEIRS)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(
                sklearn.neural_network, name, _adapted(getattr(spectral_estimators, name))
            )
        spec.loader.exec_module(module)
    return module


_module = _their_tests()
MLPClassifier, MLPRegressor = _module.MLPClassifier, _module.MLPRegressor
_tests = {name: test for name, test in vars(_module).items() if name.startswith("test_")}
globals().update({name: test for name, test in _tests.items() if name not in NOT_OURS})

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_what_is_left_out_is_there():
    assert set(NOT_OURS) <= set(_tests)
    assert len(_tests) > 2 * len(NOT_OURS)


@pytest.mark.parametrize("activation", _module.ACTIVATION_TYPES)
def test_regression(activation):
    X, y = _module.X_reg, _module.y_reg
    net = MLPRegressor(
        solver="lbfgs", hidden_layer_sizes=50, random_state=1, activation=activation
    ).fit(X, y)
    assert net.score(X, y) > (0.8 if activation == "identity" else 0.98)


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10])
def test_patience(n_iter_no_change):
    net = MLPClassifier(tol=0.01, max_iter=3000, n_iter_no_change=n_iter_no_change, random_state=0)
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    least, misses = float("inf"), []
    for loss in net.loss_curve_:
        misses.append(0 if loss <= least - net.tol else (misses or [0])[-1] + 1)
        least = min(least, loss)
    assert misses[-1] == n_iter_no_change + 1 == max(misses)


def test_endless_patience():
    net = MLPClassifier(tol=1e9, max_iter=50, n_iter_no_change=float("inf"))
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    assert net.n_iter_ == 50


def test_batches():
    with pytest.raises(ValueError, match="one class only"):
        MLPClassifier().partial_fit([[3, 2], [1, 6]], [1, 0], classes=[2])
    assert hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_exact_logarithms():
    X, Y = make_multilabel_classification(n_samples=50, random_state=0, return_indicator=True)
    net = MLPClassifier(solver="lbfgs", hidden_layer_sizes=30, random_state=0).fit(X, Y)
    probabilities, logarithms = net.predict_proba(X), net.predict_log_proba(X)
    assert_array_equal(probabilities > 0.5, Y)
    assert_allclose(np.exp(logarithms), probabilities)
    assert (logarithms < 0).all()
    assert not np.allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 3], [0, 1, 2, 3]])
def test_other_classes(labels):
    X, y = _module.X_iris, _module.y_iris
    net = MLPClassifier(hidden_layer_sizes=2, solver="lbfgs", warm_start=True, tol=1e-2).fit(X, y)
    with pytest.raises(ValueError, match=r"earlier (fit|calls).*\[0, 1, 2\]"):
        net.fit(X, [labels[i % len(labels)] for i in range(len(X))])
