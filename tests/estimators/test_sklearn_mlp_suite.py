"""scikit-learn's own tests of its perceptrons, run on ours in their place.

The test module that scikit-learn installs is loaded a second time, with our classes where it
imports scikit-learn's.  Nothing else is changed, but for ``init="random"`` in the tests that ask
for scikit-learn's numbers.  Of the few rows of these tests moments warn, rightly.
"""

import functools
import importlib.util

import pytest
import sklearn.neural_network

import spectral_estimators

_THEIRS = "sklearn.neural_network.tests.test_mlp"

# What depends on where a fit starts, and is told of random starts.
FROM_A_RANDOM_START = {
    "test_lbfgs_classification_maxfun",  # from our own draw one of its networks converges before
    "test_lbfgs_regression",
    "test_lbfgs_regression_maxfun",
    "test_mlp_vs_poisson_glm_equivalent",
    "test_mlp_warm_start_no_convergence",  # counts steps, of which a race takes some
    "test_multilabel_classification",
    "test_preserve_feature_names",  # takes our warning of ten rows for its own
}

# Tests that cannot hold of ours, by name, with the reason.  They are strict: one that passes fails.
NOT_OURS = {
    "test_early_stopping_stratified": "a class of one row is trained on instead of refused",
    "test_gradient": "calls a private method; gradients are in the tests of models/network",
    "test_learning_rate_warmstart": (
        "a warm start begins the schedule of the learning rate anew; partial_fit goes on with it"
    ),
    "test_n_iter_no_change": "reads a private counter; see test_patience below",
    "test_n_iter_no_change_inf": "reads a private counter; see test_endless_patience below",
    "test_nonfinite_params": "columns up to 1e308 are scaled inside, and fitted",
    "test_partial_fit_errors": "solver='lbfgs', our default, does have partial_fit: it takes Adam",
    "test_partial_fit_regression": (
        "ten hidden units, our default, do not get that far in its 100 steps; see "
        "test_partial_fit_of_a_hundred_units below"
    ),
    "test_shuffle": "our default is L-BFGS, which has nothing to shuffle; see test_shuffle_by_adam",
}


def _their_tests(**settings):
    """Their module, and its tests by name, with our classes made with some settings."""
    spec = importlib.util.find_spec(_THEIRS)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            make = getattr(spectral_estimators, name)
            if settings:
                make = functools.partial(make, **settings)
                make.__name__ = name
            patch.setattr(sklearn.neural_network, name, make)
        spec.loader.exec_module(module)
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    return module, tests


_module, _tests = _their_tests()
_random = _their_tests(init="random")[1]
globals().update(_tests | {name: _random[name] for name in FROM_A_RANDOM_START})
test_shuffle_by_adam = _their_tests(solver="adam")[1]["test_shuffle"]
test_partial_fit_of_a_hundred_units = _their_tests(init="random", hidden_layer_sizes=(100,))[1][
    "test_partial_fit_regression"
]
MLPClassifier = functools.partial(spectral_estimators.MLPClassifier, init="random")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own conftest would give its tests."""
    return 42


@pytest.fixture(autouse=True)
def _not_ours(request):
    """Mark the tests that cannot hold."""
    node = request.node
    reason = NOT_OURS.get(node.originalname)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def test_what_is_not_ours_is_there():
    assert set(NOT_OURS) | FROM_A_RANDOM_START <= set(_tests)
    assert len(NOT_OURS) <= 10


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_patience(solver, n_iter_no_change):
    net = MLPClassifier(
        solver=solver, tol=0.01, max_iter=3000, n_iter_no_change=n_iter_no_change, random_state=0
    )
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    least, misses = float("inf"), []
    for loss in net.loss_curve_:
        misses.append(0 if loss <= least - net.tol else (misses or [0])[-1] + 1)
        least = min(least, loss)
    assert misses[-1] == n_iter_no_change + 1 == max(misses)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_endless_patience(solver):
    net = MLPClassifier(solver=solver, tol=1e9, max_iter=50, n_iter_no_change=float("inf"))
    net.fit(_module.X_digits_binary[:100], _module.y_digits_binary[:100])
    assert net.n_iter_ == 50
