"""The parts of scikit-learn that are private or may move, imported here and nowhere else."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Interval", "StrOptions", "check_constraints", "with_input_tags"]


def check_constraints(estimator: BaseEstimator) -> None:
    """Check the constructor's arguments against ``estimator._parameter_constraints``."""
    estimator._validate_params()


def with_input_tags(tags: Any, **values: bool) -> Any:
    """Set fields of ``tags.input_tags`` and hand the tags back."""
    for name, value in values.items():
        setattr(tags.input_tags, name, value)
    return tags
