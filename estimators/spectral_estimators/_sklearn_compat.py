"""The parts of scikit-learn that are private or may move, imported here and nowhere else.

`sklearn-compat` (0.1.6) would take none of it over: it makes scikit-learn before 1.8 look like
later ones, and we need 1.9.
"""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names, _get_feature_names

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_constraints",
    "check_feature_names",
    "feature_names",
    "output_container",
    "with_input_tags",
]


def check_constraints(estimator: BaseEstimator) -> None:
    """Check the constructor's arguments against ``estimator._parameter_constraints``."""
    estimator._validate_params()


def feature_names(X: Any) -> Any:
    """Names of the columns of a data frame, an array (p,) of str; None where X has none.

    Raises
    ------
    TypeError
        If some are strings, and some are not.
    """
    return _get_feature_names(X)


def check_feature_names(estimator: BaseEstimator, X: Any) -> None:
    """Check that the columns of X have the names that they had in `fit`, in the same order.

    Raises
    ------
    ValueError
        Naming those that are new, missing, or out of place.

    Warns
    -----
    UserWarning
        If X has names and the data of `fit` had none, or the other way round.
    """
    _check_feature_names(estimator, X, reset=False)


def output_container(estimator: BaseEstimator) -> str:
    """What ``transform`` is to return: "default", "pandas", "polars"."""
    return _get_output_config("transform", estimator)["dense"]


def with_input_tags(tags: Any, **values: bool) -> Any:
    """Set fields of ``tags.input_tags`` and hand the tags back."""
    for name, value in values.items():
        setattr(tags.input_tags, name, value)
    return tags
