"""Standard errors and confidence intervals, as all models make them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = ["jackknife_errors", "student_half", "upper_probability"]


def upper_probability(level: float) -> float:
    """Probability below the upper end of a two-sided interval; ValueError naming ``level``."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, for instance 0.95; got {level!r}.")
    return (1 + level) / 2


def jackknife_errors(without: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Standard errors from estimates (G, ...) that each lack one of G groups of rows.

    .. math:: \mathrm{se}^2 = \frac{G - 1}{G} \sum_g (\theta_{(g)} - \bar \theta)^2

    Shao and Tu, *The Jackknife and Bootstrap*, Springer 1995, section 2.3.
    """
    n_groups = len(without)
    spread = without - without.mean(axis=0)
    return np.sqrt((n_groups - 1) / n_groups * np.sum(spread**2, axis=0))


def student_half(errors: NDArray[np.float64], level: float, n_groups: int) -> NDArray[np.float64]:
    """Half the length of intervals by Student's t with G - 1 degrees of freedom."""
    return stdtrit(n_groups - 1, upper_probability(level)) * errors
