"""The parts of scikit-learn that are private or may move, imported here and nowhere else.

`sklearn-compat` (0.1.6) would take none of it over: it makes scikit-learn before 1.8 look like
later ones, and we need 1.9.
"""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names, _get_feature_names

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # experimental in scikit-learn 1.9, so it may move; fits do without

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for a base class that this scikit-learn does not have."""

    def with_callbacks(method: Any) -> Any:
        """Return the method, which there is nothing to add to."""
        return method


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "begin_fit",
    "check_constraints",
    "check_feature_names",
    "end_fit",
    "feature_names",
    "has_callbacks",
    "open_task",
    "output_container",
    "report_step",
    "with_callbacks",
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


def has_callbacks(estimator: BaseEstimator) -> bool:
    """Whether `set_callbacks`, or an estimator around this one, has left callbacks to be told."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def begin_fit(estimator: Any, max_steps: int | None, **given: Any) -> None:
    """Open the task of a fit, and tell callbacks; `with_callbacks` closes it.

    Parameters
    ----------
    estimator : has callbacks.
    max_steps : most steps that will be told; None where that is not known.
    **given : X, y and metadata.
    """
    task = estimator._init_callback_context(max_subtasks=max_steps)
    task.call_on_fit_task_begin(estimator=estimator, **given)


def end_fit(estimator: Any, **given: Any) -> None:
    """Tell callbacks that the task of a fit is done, and the estimator fitted."""
    task = open_task(estimator)
    task.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=dict, **given)


def open_task(estimator: Any) -> Any:
    """The task of a fit that callbacks follow, None where there are none."""
    return getattr(estimator, "_callback_fit_ctx", None)


def report_step(estimator: Any, task: Any, name: str) -> None:
    """Tell callbacks of one step of a fit, which is over."""
    step = task.subcontext(task_name=name)
    step.call_on_fit_task_begin(estimator=estimator)
    step.call_on_fit_task_end(estimator=estimator)
