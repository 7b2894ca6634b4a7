"""What the data say before a network is fitted: directions, amounts, and reasons for doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import dense
from spectral_nn.data.table import Table
from spectral_nn.models.network.moments import Summary, null_rows, subspace, summarise
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.moments.frame import Frame
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.warn import warn

__all__ = [
    "HOPELESS",
    "ROWS_A_WEIGHT",
    "Evidence",
    "NoMoments",
    "are_hopeless",
    "gather",
    "look",
    "rows_needed",
]

ROWS_A_WEIGHT = 5  # rows needed for each of d k^2: below, recovery failed or was luck
MAX_DIMENSIONS = 40  # kept for the tensors: K^3 of memory and more of time
_ABOVE_NOISE = 1.05
HOPELESS = 0.05  # of the rows needed
_HEAVY = 9.0  # kurtosis; 3 for a Gaussian, 6 for a double exponential
_SHAPED = 0.5  # distance of a kurtosis from a Gaussian's at which a column is not Gaussian
_FEW_VALUES = 3


class NoMoments(ValueError):
    """Moments have nothing to say: about such a network, or of such data."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Moments seen before any unit is.

    Attributes
    ----------
    seen : columns, covariances, and the frame that whitens them.
    frame : the K dimensions that outputs depend on most.
    singular_values : (d',) of the matrix whose columns lie in the span of the units' weights,
        each of its blocks in units of its noise.
    null_level : largest singular value that noise alone would show; reports keep the level
        that counts as signal, 5 % above.
    n_units : k, as asked for, or as the spectrum supports.
    heavy, discrete, shaped : columns with heavy tails, with few values, or otherwise not Gaussian.
    """

    seen: Summary
    frame: Frame
    singular_values: NDArray
    null_level: float
    n_units: int
    heavy: int
    discrete: int
    shaped: int

    @property
    def n_supported(self) -> int:
        """Directions above the noise."""
        return int((self.singular_values > _ABOVE_NOISE * self.null_level).sum())

    @property
    def n_effective(self) -> float:
        """Rows of equal weight."""
        return self.seen.columns.n_effective

    @property
    def enough(self) -> bool:
        """Whether there are as many rows as recovery needs."""
        return self.n_effective >= rows_needed(self.seen.frame.n_dimensions, self.n_units)

    @property
    def usual(self) -> bool:
        """Whether the columns are such that a model of the inputs is reliable."""
        return not (self.heavy or self.discrete)

    @property
    def hopeless(self) -> bool:
        """Whether rows are so few that the tensors of higher order are mostly noise."""
        return are_hopeless(self.seen, self.n_units)

    def report(self) -> NetworkReport:
        """What reports keep."""
        return NetworkReport(
            singular_values=self.singular_values,
            null_level=_ABOVE_NOISE * self.null_level,
            n_supported=self.n_supported,
            n_effective=self.n_effective,
            n_needed=rows_needed(self.seen.frame.n_dimensions, self.n_units),
            n_dimensions=self.frame.n_dimensions,
        )

    def warn(self, n_features: int, *, law_known: bool = False, lost: str = "") -> None:
        """Say what was left out, and what makes recovery doubtful.

        Heavy tails are no reason for doubt where the law of the inputs is known. `lost` says why a
        random start is ahead of moments, where one is.
        """
        heavy = 0 if law_known else self.heavy
        d, k = self.seen.frame.n_dimensions, self.n_units
        doubts = []
        dropped = np.setdiff1d(np.arange(n_features), self.seen.frame.kept)
        if dropped.size:
            named = ", ".join(map(str, dropped[:8])) + (", ..." if dropped.size > 8 else "")
            warn(
                f"{dropped.size} constant columns of X ({named}) were left out of the moments.",
                UserWarning,
            )
        singular = n_features - dropped.size - d
        if singular:
            doubts.append(
                f"the covariance of X is singular: {singular} of {n_features} directions were left "
                "out of the moments"
            )
        if not self.enough:
            doubts.append(
                f"n={self.n_effective:.0f} rows for d={d} and k={k} units, where recovery needs "
                f"about {ROWS_A_WEIGHT} d k^2 = {rows_needed(d, k)}"
            )
        if k > self.frame.n_dimensions:
            doubts.append(
                f"k={k} units in {self.frame.n_dimensions} dimensions: directions beyond these "
                "are guesses"
            )
        if heavy or self.discrete:
            kurtosis = float(self.seen.kurtosis.max(initial=0.0))
            kinds = []
            if heavy:
                kinds.append(
                    f"{heavy} columns of X have heavy tails (largest kurtosis {kurtosis:.1f})"
                )
            if self.discrete:
                kinds.append(f"{self.discrete} columns of X hold few values")
            doubts.append(" and ".join(kinds) + ", for which no model of the inputs is reliable")
        if doubts:
            start = f"The start is random ({lost})" if lost else "The moments give a start"
            warn(
                f"{start}, not a recovery of weights: " + "; ".join(doubts) + ".",
                RecoveryWarning,
            )


def rows_needed(d: int, k: int) -> int:
    """Rows from which on the hidden weights of a ReLU network were recovered, ``5 d k^2``."""
    return ROWS_A_WEIGHT * d * k**2


def are_hopeless(seen: Summary, n_units: int) -> bool:
    """Whether rows are so few that moments of them say nothing of so many units."""
    needed = rows_needed(seen.frame.n_dimensions, n_units)
    return seen.columns.n_effective < HOPELESS * needed


def look(rows: Table, run: Runner) -> Summary:
    """Columns, and the frame that whitens them: two passes, O(n d^2).

    Raises
    ------
    NoMoments
        If there is one row only, or no column of X varies.
    """
    if rows.n_rows < 2:
        raise NoMoments(
            f"X has n_samples={rows.n_rows} row of positive weight, and moments need at least two."
        )
    seen = summarise(rows, run)
    if seen.frame.n_dimensions == 0:
        raise NoMoments(
            "X has no column that varies: there is nothing to learn from. Check the data."
        )
    return seen


def gather(
    rows: Table,
    n_units: int | None,
    rng: np.random.Generator,
    run: Runner,
    *,
    n_dimensions: int | None = None,
    seen: Summary | None = None,
) -> Evidence:
    """Look at the data, and find the subspace that the outputs depend on.

    Parameters
    ----------
    rows : table.
    n_units : k; None for as many as the spectrum supports.
    rng : draws the signs that make noise of outputs.
    run : who computes.
    n_dimensions : K; None for k, as k units live in k dimensions.
    seen : what `look` found, where it has looked.

    Raises
    ------
    NoMoments
        As `look`.

    Notes
    -----
    Five passes, and three over at most 20,000 rows for the noise; O(n d^2 + n d K^2).
    """
    seen = seen or look(rows, run)
    null = null_rows(rows, seen, rng, run)
    d = seen.frame.n_dimensions
    most = min(d, MAX_DIMENSIONS)
    if n_units is None:
        frame, values, level = subspace(rows, seen, null, most, run)
        supported = int((values > _ABOVE_NOISE * level).sum())
        n_units = max(supported, 2) if supported < d else 2 * d
        if n_units < most:
            frame, values, level = subspace(rows, seen, null, n_units, run)
    else:
        frame, values, level = subspace(rows, seen, null, min(most, n_dimensions or n_units), run)
    kurtosis = seen.kurtosis
    return Evidence(
        seen=seen,
        frame=frame,
        singular_values=values,
        null_level=level,
        n_units=n_units,
        heavy=int((kurtosis > _HEAVY).sum()),
        discrete=_count_discrete(rows, frame),
        shaped=int((np.abs(kurtosis - 3) > _SHAPED + 10 / np.sqrt(seen.columns.n_rows)).sum()),
    )


def _count_discrete(rows: Table, frame: Frame) -> int:
    """How many columns show very few values among 1,000 rows."""
    X = to_numpy(dense(rows.sample(1000))[0])[:, frame.kept]
    if X.shape[0] < 10 * _FEW_VALUES:
        return 0
    return sum(np.unique(column).size <= _FEW_VALUES for column in X.T)
