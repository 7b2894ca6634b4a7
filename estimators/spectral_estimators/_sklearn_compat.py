"""The parts of scikit-learn that are private or may move, imported here and nowhere else."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

__all__ = ["Interval", "InvalidParameterError", "StrOptions", "check_constraints"]


def check_constraints(estimator: BaseEstimator) -> None:
    """Check the constructor's arguments against ``estimator._parameter_constraints``.

    Raises
    ------
    ValueError
        Naming the parameter, what it may be and what it is.
    """
    estimator._validate_params()


def set_tags(tags: Any, **input_tags: bool) -> Any:
    """Set fields of ``tags.input_tags`` and hand the tags back."""
    for name, value in input_tags.items():
        setattr(tags.input_tags, name, value)
    return tags
