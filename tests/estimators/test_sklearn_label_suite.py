"""scikit-learn's own tests of label propagation and spreading, run on ours in their place.

The test module that scikit-learn installs is loaded a second time, with our classes where it takes
scikit-learn's. Nothing else is changed.
"""

import importlib.util

import numpy as np
import pytest
from sklearn.semi_supervised import _label_propagation

import spectral_estimators

_THEIRS = "sklearn.semi_supervised.tests.test_label_propagation"

# Tests that cannot hold of ours, by name, with the reason. They are strict: one that passes fails.
NOT_OURS = {
    "test_label_spreading_closed_form": "calls _build_graph; see models/graphs/test_labels.py",
    "test_label_propagation_closed_form": "the same",
    "test_label_propagation_build_graph_normalized": "calls _build_graph",
}
# ... and one set of its parameters.
WITH_DIRECTIONS = {
    "test_predict_proba": "its graph of neighbours has directions, without which two rows differ"
}


def _their_tests():
    """Tests of their module by name, with our classes."""
    spec = importlib.util.find_spec(_THEIRS)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LabelPropagation", "LabelSpreading"):
            patch.setattr(_label_propagation, name, getattr(spectral_estimators, name))
        spec.loader.exec_module(module)
    # Names of classes that their tests look up when they run.
    module.label_propagation = spectral_estimators
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


_tests = _their_tests()
globals().update(_tests)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the result of kernel is not symmetric:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* rows have no path to a label:UserWarning"),
]


@pytest.fixture(params=["float32", "float64"])
def global_dtype(request):
    """Both precisions."""
    return np.dtype(request.param).type


@pytest.fixture(autouse=True)
def _not_ours(request):
    """Mark the tests that cannot hold."""
    name = request.node.originalname
    reason = NOT_OURS.get(name)
    if name in WITH_DIRECTIONS:
        estimator, parameters = (request.getfixturevalue(n) for n in ("Estimator", "parameters"))
        if estimator is spectral_estimators.LabelSpreading and parameters["kernel"] == "knn":
            reason = WITH_DIRECTIONS[name]
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def test_what_is_not_ours_is_there():
    assert set(NOT_OURS) | set(WITH_DIRECTIONS) <= set(_tests)
    assert len(NOT_OURS) + len(WITH_DIRECTIONS) <= 5


def test_ours_are_what_they_ran():
    assert {
        estimator for estimator, _ in vars(_tests["test_predict"])["pytestmark"][0].args[1]
    } == {
        spectral_estimators.LabelPropagation,
        spectral_estimators.LabelSpreading,
    }
