"""Warnings at the line of whoever called the library."""

from __future__ import annotations

import sys
import warnings
from itertools import count

__all__ = ["warn"]

_INSIDE = {"spectral_nn", "spectral_estimators", "sklearn", "joblib", "contextlib"}
"""Packages through which calls of a user pass on their way here."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line up the stack that is neither ours nor scikit-learn's.

    A line in here would say little to a user, and Python shows a warning once a line: a second fit
    would not be warned of.

    Examples
    --------
    >>> from spectral_nn.warn import warn
    >>> warn("rows are few", RuntimeWarning)  # doctest: +SKIP
    <stdin>:1: RuntimeWarning: rows are few
    """
    for level in count(1):
        try:
            module = sys._getframe(level).f_globals.get("__name__", "")
        except ValueError:  # the bottom of the stack, in a worker
            break
        if module.partition(".")[0] not in _INSIDE:
            break
    warnings.warn(message, category, stacklevel=level + 1)
