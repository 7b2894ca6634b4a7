"""What a fit of a network found out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.report import FitReport, fact

__all__ = ["NetworkReport", "RepairRound", "line_angles"]


def line_angles(directions: NDArray) -> NDArray[np.float64]:
    """Angle from each direction to the nearest other one, signs left aside.

    Parameters
    ----------
    directions : array (d, k)
        Columns, of any length; a column of zeros has no direction.

    Returns
    -------
    angles : array (k,)
        Degrees in [0, 90]; NaN for a column of zeros, or without another column.

    Examples
    --------
    >>> line_angles([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0]]).round().tolist()
    [45.0, 45.0, 45.0]
    """
    columns = np.asarray(directions, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = columns / np.abs(columns).max(axis=0)  # squares of large ones overflow
        columns = columns / np.linalg.norm(columns, axis=0)
    cosines = np.abs(columns.T @ columns)
    np.fill_diagonal(cosines, np.nan)
    nearest = np.fmax.reduce(cosines, axis=1, initial=-1.0)
    return np.degrees(np.arccos(np.where(nearest < 0, np.nan, np.minimum(nearest, 1.0))))


@dataclass(frozen=True, kw_only=True)
class RepairRound:
    """A round of repair: units in a poor optimum make room for new ones.

    Attributes
    ----------
    units : str
        Who gave the new units.
    grown : float
        Loss with more units than asked for.
    pruned : float
        Loss with as many as before.

    See Also
    --------
    NetworkReport : Has all rounds.

    Examples
    --------
    >>> RepairRound(units="residual", grown=0.1, pruned=0.2).pruned
    0.2
    """

    units: str
    grown: float
    pruned: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class NetworkReport(FitReport):
    """What a fit of a network, or of directions alone, found out.

    Attributes
    ----------
    winner : str or None
        Start that won: a model of the inputs whose moments were decomposed ("gaussian",
        "mixture", "cubic", a score, "nn-lift"), "random", or "given".
    starts : tuple of StartReport
        All starts and their losses after the race, the winner first.
    n_iter : int or None
        Steps or epochs of the refinement.
    converged : bool or None
        Whether it stopped by itself.
    reason : str or None
        Why the winner won, in words.
    singular_values : ndarray of shape (n,) or None
        Of the moments, each in units of its noise, largest first.
    null_level : float or None
        Level that counts as signal: 5 % above the largest value of noise alone.
    n_supported : int or None
        Directions above it.
    n_effective : float or None
        Rows, as many as they would be with equal weights.
    n_needed : int or None
        Rows that recovery needs.
    n_dimensions : int or None
        Dimensions that the decomposition was done in.
    cp_agreement : float or None
        Share of the decomposition's starts that agree with the best one.
    cp_condition : float or None
        Condition number of the directions.
    cp_explained : float or None
        Share of the tensors that they explain.
    race_steps : int or None
        Steps of L-BFGS that the winner took in the race.
    residual_signal : float or None
        What the residuals still show of units, in units of noise.
    repair : tuple of RepairRound
        Rounds of repair.
    repair_steps : int or None
        Steps that they took.
    whitening : str or None
        How ``init="nn-lift"`` whitened the third moment.
    whitening_definite : bool or None
        Whether the matrix that it whitened by is definite.
    whitening_condition : float or None
        Its condition number.
    cp_residual : float or None
        What the decomposition of ``init="nn-lift"`` left over.
    unit_angles : ndarray of shape (k,) or None
        Degrees from the incoming weights of each unit of the first layer, as a line, to those of
        the nearest other unit; None after ``partial_fit``.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import MLPRegressor
    >>> X = np.random.default_rng(0).normal(size=(2000, 5))
    >>> net = MLPRegressor(hidden_layer_sizes=(2,), random_state=0)
    >>> net.fit(X, np.abs(X[:, 0])).report_.unit_angles.shape
    (2,)
    """

    reason: str | None = fact("why it won")
    singular_values: NDArray | None = fact("singular values of the moments")
    null_level: float | None = fact("the same, of noise alone")
    n_supported: int | None = fact("directions above the noise")
    n_effective: float | None = fact("rows")
    n_needed: int | None = fact("rows needed")
    n_dimensions: int | None = fact("dimensions of the decomposition")
    cp_agreement: float | None = fact("agreement of the decompositions")
    cp_condition: float | None = fact("condition of the directions found")
    cp_explained: float | None = fact("share of the tensors explained")
    race_steps: int | None = fact("steps in the race")
    residual_signal: float | None = fact("signal left in the residuals")
    repair: tuple[RepairRound, ...] = field(default=(), metadata={"label": "rounds of repair"})
    repair_steps: int | None = fact("steps of repair")
    whitening: str | None = fact("whitening")
    whitening_definite: bool | None = fact("definite")
    whitening_condition: float | None = fact("condition of the whitening")
    cp_residual: float | None = fact("left over by the decomposition")
    unit_angles: NDArray | None = fact("angle to the nearest unit, degrees")

    @property
    def few_rows(self) -> bool:
        """Whether there are fewer rows than recovery needs."""
        if self.n_effective is None or self.n_needed is None:
            return False
        return self.n_effective < self.n_needed
