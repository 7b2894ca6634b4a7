"""What holds of every call of an estimator, whatever it is given."""

import copy
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.utils.validation import check_is_fitted

from spectral_estimators import RankWarning, RecoveryWarning, Sequences

NAMED = (ConvergenceWarning, RankWarning, RecoveryWarning, DataConversionWarning)
OURS = ("spectral_estimators", "spectral_nn")
THEIRS = ("sklearn",)
"""Whose checks tell users what was wrong with an argument, in their own words."""


@contextmanager
def only_named_warnings():
    """Make all other warnings errors: those named above, and a UserWarning that gives figures."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # scikit-learn's own checks, of infinities of both signs and of labels that are huge
        for module in ("numpy._core.fromnumeric", "sklearn"):
            warnings.filterwarnings("ignore", "invalid value", RuntimeWarning, module)
        # and its scores, of answers to rows that the fit has not seen
        warnings.filterwarnings("ignore", "overflow", RuntimeWarning, "sklearn")
        warnings.filterwarnings("ignore", "X is impossible under the start", UserWarning)
        warnings.filterwarnings("ignore", "X (does not have|has) .*feature names", UserWarning)
        warnings.filterwarnings("ignore", r"(?s).*\d", UserWarning)
        for category in NAMED:
            warnings.simplefilter("ignore", category)
        yield


def assert_deliberate(error: Exception) -> None:
    """An error is raised by a check, not by chance in the middle of a computation."""
    frames = traceback.extract_tb(error.__traceback__)
    known = [frame for frame in frames if {*OURS, *THEIRS} & {*Path(frame.filename).parts}]
    assert known, f"never reached a check: {frames[-1]}"
    if {*OURS} & {*Path(known[-1].filename).parts}:
        assert known[-1] is frames[-1], f"by chance: {known[-1]}"
        assert known[-1].line.startswith("raise"), f"by chance: {known[-1]}"


def assert_finite(value: Any, name: str) -> None:
    """Numbers in arrays, lists, tuples and sequences are finite."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            assert_finite(one, f"{name}[{i}]")
        return
    if isinstance(value, Sequences):
        value = value.values
    if sparse.issparse(value):
        value = value.data
    if isinstance(value, float):  # NaN, or -inf: what a fit has not measured
        assert value != np.inf, f"{name} is infinite"
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
        assert np.isfinite(value).all(), f"{name} is not finite"


def assert_fitted(model: BaseEstimator) -> None:
    """Fitted attributes are there, and their numbers finite."""
    check_is_fitted(model)
    for name, value in vars(model).items():
        if name.endswith("_"):
            assert_finite(value, name)


def kept(model: BaseEstimator) -> dict[str, Any]:
    """Copies of all attributes."""
    return copy.deepcopy(vars(model))


def assert_as_before(model: BaseEstimator, before: dict[str, Any], values: dict[str, Any]) -> None:
    """Attributes are the objects that they were, and hold what they held."""
    after = vars(model)
    assert after.keys() == before.keys(), f"attributes {after.keys() ^ before.keys()}"
    for name, value in after.items():
        assert value is before[name], f"{name} was replaced"
        if isinstance(value, np.ndarray) and value.dtype != object:
            np.testing.assert_array_equal(value, values[name], name)
