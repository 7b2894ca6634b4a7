"""Arguments of constructors: those that an estimator says it takes, and others."""

from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np
from hypothesis import strategies as st

from spectral_estimators._sklearn_compat import Interval, StrOptions

_WHOLE = [0, 1, 2, 3, 5, 30]
_REAL = [0.0, 1e-300, 1e-12, 0.01, 0.3, 0.99, 1.0, 1.5, 7.0, 1e12, 1e300]
_ODD: list[Any] = [None, -1, 0, 1, 2.5, np.nan, np.inf, "odd", "", (), [1.0], {}]
_ODD += [np.ones(2), np.full((2, 2), 0.5), np.array("odd"), np.float32(0.5), np.int8(2)]

_LEFT_ALONE = {"n_jobs", "device", "verbose", "verbose_interval", "fill_value"}
"""Who computes and what is printed is no matter of a case; what Lagged fills in may be NaN."""


def _values_of(constraint: Any) -> list[Any]:
    if isinstance(constraint, StrOptions):
        return sorted(constraint.options)
    if isinstance(constraint, Interval):
        return _WHOLE if constraint.type is Integral else _REAL
    return [True, False] if constraint == "boolean" else []


def arguments(kind: type, choices: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Up to two arguments of a constructor.

    Parameters
    ----------
    kind : class of an estimator, whose ``_parameter_constraints`` are read.
    choices : values of arguments that their constraints do not name.
    """
    declared = kind._parameter_constraints
    names = sorted(set(declared) - _LEFT_ALONE)
    one = st.sampled_from(names).flatmap(
        lambda name: st.tuples(
            st.just(name),
            _one_of([*choices.get(name, []), *chain(*map(_values_of, declared[name]))]),
        )
    )
    return st.lists(one, max_size=2).map(dict)


def _one_of(values: list[Any]) -> st.SearchStrategy[Any]:
    odd = st.sampled_from(_ODD)
    return st.sampled_from(values) | st.sampled_from(values) | odd if values else odd
