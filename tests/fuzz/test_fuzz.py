"""Any estimator, any arguments, any data: named errors and warnings, and nothing half-fitted.

The suite tries some cases, always the same; ``make fuzz`` tries 10,000 new ones.
"""

import inspect
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spectral_estimators
from tests.fuzz.estimators import SUBJECTS
from tests.fuzz.properties import (
    assert_as_before,
    assert_deliberate,
    assert_finite,
    assert_fitted,
    kept,
    only_named_warnings,
)

MANY = settings.get_current_profile_name() == "fuzz"
# of zeros; NaN where X is missing; of parts of a token
MAY_BE_INFINITE = {"predict_log_proba", "pseudo_residuals", "perplexity"}
CASES = 10_000 if MANY else 100


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
@settings(
    max_examples=math.ceil(CASES / len(SUBJECTS)),
    derandomize=not MANY,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_a_model(subject, data):
    model = data.draw(subject.models(), label="model")
    case = data.draw(subject.cases, label="first")
    if not learns(model, fit_method(model, data), case):
        return
    for name in subject.answers:
        answers(model, name, case, ours=counts_every_row(case))
    other = data.draw(subject.cases, label="second")
    for name in subject.answers[:1]:
        answers(model, name, other, ours=False)
    learns(model, fit_method(model, data), other)


def fit_method(model, data):
    """``fit``, or now and then ``partial_fit``."""
    partial = hasattr(model, "partial_fit") and data.draw(st.integers(0, 3), label="partial") == 3
    return "partial_fit" if partial else "fit"


def learns(model, method, case):
    """Whether a model learns from a case; it is fitted then, else as it was before."""
    before, values = dict(vars(model)), kept(model)
    fit = getattr(model, method)
    given = accepted(fit, case.make())
    try:
        with only_named_warnings():
            fit(**given)
    except (ValueError, TypeError) as error:
        assert_deliberate(error)
        assert_as_before(model, before, values)
        return False
    assert_fitted(model)
    assert_same_data(given, case.make())
    return True


def answers(model, method, case, *, ours):
    """What a model says of the data of its fit (``ours``) is finite; others it may refuse."""
    before, values = dict(vars(model)), kept(model)
    use = getattr(model, method, None)  # what some settings take away
    if use is None:
        return
    given = accepted(use, case.make())
    given.pop("sample_weight", None)
    try:
        with only_named_warnings():
            found = use(**given)
    except (ValueError, TypeError) as error:
        assert_deliberate(error)
        if ours:
            raise
    else:
        if ours and method not in MAY_BE_INFINITE:
            assert_finite(found, method)
    assert_as_before(model, before, values)


def counts_every_row(case):
    """Whether no row of a case has weight zero: that is a row which is not there."""
    return np.all(case.make().get("sample_weight", 1))


def accepted(call, given):
    """Those arguments that a method takes."""
    takes = inspect.signature(call).parameters
    return {name: value for name, value in given.items() if name in takes}


def assert_same_data(given, again):
    """Arrays are as they were made."""
    for name in given:
        if isinstance(given[name], np.ndarray) and given[name].dtype != object:
            np.testing.assert_array_equal(given[name], again[name], f"{name} was changed")


def test_every_estimator_is_tried():
    public = {
        name
        for name in spectral_estimators.__all__
        if hasattr(getattr(spectral_estimators, name), "get_params")
    }
    assert public == {subject.kind.__name__ for subject in SUBJECTS}
