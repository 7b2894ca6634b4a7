"""scikit-learn's own tests of its perceptrons, run on ours in their place.

The test module that scikit-learn installs is loaded a second time, with our classes where it
imports scikit-learn's.  All that is changed is ``init="random"``: moments of the few rows of these
tests warn, rightly, and the race takes some of ``max_iter``.
"""

import functools
import importlib.util
import inspect

import pytest
import sklearn.neural_network

import spectral_estimators

_THEIRS = "sklearn.neural_network.tests.test_mlp"
_SGD = "there is no solver='sgd'"

# Tests that cannot hold of ours, by name, with the reason.  They are strict: one that passes fails.
NOT_OURS = dict.fromkeys(
    [
        "test_adaptive_learning_rate",
        "test_early_stopping",
        "test_fit",
        "test_learning_rate_warmstart",
        "test_mlp_diverging_loss",
        "test_mlp_warm_start_no_convergence[sgd-MLPClassifier]",
        "test_mlp_warm_start_no_convergence[sgd-MLPRegressor]",
        "test_multilabel_classification",
        "test_n_iter_no_change",  # reads a private counter as well; see test_patience below
        "test_n_iter_no_change_inf",  # so does it; see test_endless_patience below
        "test_partial_fit_classes_error",
        "test_partial_fit_classification",
        "test_partial_fit_regression",
        "test_tolerance",
        "test_verbose_sgd",
        "test_warm_start_full_iteration",
    ],
    _SGD,
) | {
    "test_early_stopping_stratified": "a class of one row is trained on instead of refused",
    "test_gradient": "calls a private method; gradients are in the tests of models/network",
    "test_lbfgs_regression": (
        "its tolerance stops the logistic units of every second seed early, theirs as well as "
        "ours; see test_regression below"
    ),
    "test_lbfgs_regression_maxfun": (
        "ten evaluations are just enough, or just too few, for its linear network, as the seed "
        "has it, theirs as well as ours; see test_max_fun below"
    ),
    "test_mlp_vs_poisson_glm_equivalent": "there is no loss='poisson'",
    "test_nonfinite_params": "expects their words; ours are in test_network_bad_input.py",
    "test_partial_fit_errors": "solver='lbfgs', our default, does have partial_fit: it takes Adam",
    "test_shuffle": "our default is L-BFGS, which has nothing to shuffle; by Adam it holds",
}


def _their_tests(**settings):
    """Their module, and its tests by name, with our classes made with some settings."""
    spec = importlib.util.find_spec(_THEIRS)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            make = functools.partial(getattr(spectral_estimators, name), init="random", **settings)
            make.__name__ = name
            patch.setattr(sklearn.neural_network, name, make)
        spec.loader.exec_module(module)
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    return module, tests


_module, _tests = _their_tests()
_, _tests_by_adam = _their_tests(solver="adam")
_any_solver = {name for name, test in _tests.items() if "solver" not in inspect.getsource(test)}
globals().update(_tests)
globals().update(
    {
        f"{name}_by_adam": _tests_by_adam[name]
        for name in _any_solver - set(NOT_OURS) | {"test_shuffle"}
    }
)
MLPClassifier, MLPRegressor = _module.MLPClassifier, _module.MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own conftest would give its tests."""
    return 42


@pytest.fixture(autouse=True)
def _not_ours(request):
    """Mark the tests that cannot hold."""
    node = request.node
    reason = NOT_OURS.get(node.name, NOT_OURS.get(node.originalname))
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def test_what_is_not_ours_is_there():
    assert {name.partition("[")[0] for name in NOT_OURS} <= set(_tests)


@pytest.mark.parametrize("activation", _module.ACTIVATION_TYPES)
def test_regression(activation):
    X, y = _module.X_reg, _module.y_reg
    net = MLPRegressor(
        solver="lbfgs", hidden_layer_sizes=50, random_state=1, activation=activation
    ).fit(X, y)
    assert net.score(X, y) > (0.8 if activation == "identity" else 0.98)


@pytest.mark.parametrize("activation", _module.ACTIVATION_TYPES)
def test_max_fun(activation):
    settings = {"hidden_layer_sizes": 50, "tol": 0.0, "random_state": 1, "activation": activation}
    net = MLPRegressor(max_fun=6, **settings)
    with pytest.warns(_module.ConvergenceWarning, match="max_fun=6"):
        net.fit(_module.X_reg, _module.y_reg)
    assert 1 < net.n_iter_ <= 6


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10])
def test_patience(n_iter_no_change):
    net = MLPClassifier(
        solver="adam", tol=0.01, max_iter=3000, n_iter_no_change=n_iter_no_change, random_state=0
    )
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    least, misses = float("inf"), []
    for loss in net.loss_curve_:
        misses.append(0 if loss <= least - net.tol else (misses or [0])[-1] + 1)
        least = min(least, loss)
    assert misses[-1] == n_iter_no_change + 1 == max(misses)


def test_endless_patience():
    net = MLPClassifier(solver="adam", tol=1e9, max_iter=50, n_iter_no_change=float("inf"))
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    assert net.n_iter_ == 50
