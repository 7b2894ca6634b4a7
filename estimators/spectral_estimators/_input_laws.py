"""Laws of the inputs that a user knows: checked against the data, and turned into scores."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rv_continuous, rv_discrete

from spectral_estimators._sklearn_compat import HasMethods
from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows, dense
from spectral_nn.data.table import Table
from spectral_nn.moments.independent import IndependentScore
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.warn import warn

__all__ = ["LAW_CONSTRAINTS", "score_of_laws"]

LAW_CONSTRAINTS: list[Any] = [None, list, tuple, HasMethods("rvs")]

_SAMPLE = 20_000
_SLACK = 0.02  # of a distance or a correlation, beside what chance makes of it
_CHANCE = 2.0, 5.0  # over the root of n: Kolmogorov's distance, correlation
_NAMED = 5


def score_of_laws(
    input_distribution: Any, input_model: Any, rows: Table, run: Runner
) -> IndependentScore | None:
    """Scores of columns that are independent and of given laws, or None if none are given.

    Parameters
    ----------
    input_distribution : frozen continuous law, list of one for each column, or None.
    input_model : "auto", or no laws may be given.
    rows : table whose X is to follow them.
    run : who computes.

    Raises
    ------
    ValueError
        Naming ``input_distribution`` or ``input_model``: no continuous frozen laws of finite
        variance, not one for each column, or values outside a law's support.

    Warns
    -----
    RecoveryWarning
        If columns are not distributed as their laws say, or depend on each other.

    Notes
    -----
    One pass, O(n d), and a look at 20,000 rows.
    """
    if input_distribution is None:
        return None
    if input_model != "auto":
        raise ValueError(
            f"input_model={input_model!r} and input_distribution were both given: the laws take "
            "the place of a model. Leave input_model='auto'."
        )
    d = rows.n_features
    if isinstance(input_distribution, (list, tuple)):
        laws = list(input_distribution)
        if len(laws) != d:
            raise ValueError(
                f"input_distribution holds {len(laws)} laws, and X has {d} columns. Give one for "
                "each column, or a single law for all of them."
            )
    else:
        laws = [input_distribution] * d
    known: set[int] = set()
    for column, law in enumerate(laws):
        if id(law) not in known:
            _check_law(law, column)
        known.add(id(law))
    _check_support(laws, rows, run)
    _check_fit(laws, rows)
    return IndependentScore.of(laws)


def _check_law(law: Any, column: int) -> None:
    """Refuse what is no frozen continuous law of finite variance."""
    name = f"input_distribution, for column {column} of X,"
    if isinstance(law, (rv_continuous, rv_discrete)):
        raise ValueError(
            f"{name} is a family of laws, scipy.stats.{law.name}. Freeze it with its parameters: "
            f"scipy.stats.{law.name}(...)."
        )
    if hasattr(law, "pmf"):
        raise ValueError(
            f"{name} is a discrete law, which has no score. Leave input_distribution=None; "
            "input_model='cubic' assumes nothing."
        )
    missing = [
        each for each in ("cdf", "ppf", "isf", "logpdf", "support", "std") if not hasattr(law, each)
    ]
    if missing:
        raise ValueError(
            f"{name} is a {type(law).__name__} without {missing[0]}. Give a frozen law of "
            "scipy.stats, such as scipy.stats.uniform(-1, 2)."
        )
    spread = float(law.std())
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(
            f"{name} has the standard deviation {spread:g}, and moments need one that is finite "
            "and positive. Transform the column, and give the law of what comes out."
        )


@dataclass(frozen=True, eq=False)
class _Outside:
    """The first value outside its column's support, if any; rows are counted on."""

    n_rows: int
    first: tuple[int, int, float] | None  # row, column, value

    def __add__(self, other: "_Outside") -> "_Outside":
        first = self.first
        if first is None and other.first is not None:
            row, *place = other.first
            first = (self.n_rows + row, *place)  # type: ignore[assignment]
        return _Outside(self.n_rows + other.n_rows, first)


def _find_outside(rows: Rows, low: NDArray, high: NDArray) -> _Outside:
    X = to_numpy(dense(rows)[0])
    ends = low.astype(X.dtype), high.astype(X.dtype)
    outside = (ends[0] > X) | (ends[1] < X)
    if not outside.any():
        return _Outside(rows.n_rows, None)
    row, column = (int(at) for at in np.argwhere(outside)[0])
    return _Outside(rows.n_rows, (row, column, float(X[row, column])))


def _check_support(laws: list[Any], rows: Table, run: Runner) -> None:
    low, high = np.array([law.support() for law in laws], dtype=np.float64).T
    if not np.isfinite([low, high]).any():
        return
    found = run.total(partial(_find_outside, low=low, high=high), rows.chunks()).first
    if found is not None:
        row, column, value = found
        raise ValueError(
            f"input_distribution gives column {column} of X a law on [{low[column]:g}, "
            f"{high[column]:g}], and row {row} holds {value:.6g}. Give the law that the column was "
            "drawn from, or leave the row out."
        )


def _check_fit(laws: list[Any], rows: Table) -> None:
    """Warn of columns that do not follow their laws, or each other."""
    X = to_numpy(dense(rows.sample(_SAMPLE))[0]).astype(np.float64)
    n = len(X)
    limits = [_SLACK + chance / np.sqrt(n) for chance in _CHANCE]
    far = [_distance(x, law) for x, law in zip(X.T, laws, strict=True)]
    doubts = [
        f"column {column} is {far[column]:.3f} from its law by Kolmogorov's distance"
        for column in np.argsort(far)[::-1][:_NAMED]
        if far[column] > limits[0]
    ]
    varies = np.flatnonzero(X.std(axis=0) > 0)
    if n > 2 and varies.size > 1:
        together = np.abs(np.corrcoef(X[:, varies].T)) - np.eye(varies.size)
        i, j = (varies[at] for at in np.unravel_index(together.argmax(), together.shape))
        if together.max() > limits[1]:
            doubts.append(f"columns {i} and {j} have the correlation {together.max():.3f}")
    if doubts:
        warn(
            f"input_distribution does not fit X: {'; '.join(doubts)} ({n} rows looked at, of which "
            f"chance makes {limits[0]:.3f} and {limits[1]:.3f} at the most). The start is as wrong "
            "as these laws are.",
            RecoveryWarning,
        )


def _distance(x: NDArray, law: Any) -> float:
    """Largest distance between the distribution functions of a column and of a law."""
    n = len(x)
    at = law.cdf(np.sort(x))
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - at).max(), (at - steps[:-1]).max()))
