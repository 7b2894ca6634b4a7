"""Pictures of fitted networks: how near to a known one they came, and how fast the loss fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_estimators.displays._style import (
    COLOURS,
    INK,
    name_ends,
    new_axes,
    plain_numbers,
    tidy,
)
from spectral_nn.metrics import direction_angles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossDisplay", "RecoveryDisplay"]

_LEAST_ANGLE = 0.01  # degrees: what is smaller is drawn here
_GUESSES = 20


class RecoveryDisplay:
    """Angle of each learned hidden unit to the unit of a known network that it is matched to.

    One row a fit, one dot a true unit, on a logarithmic scale; the largest angle is written out.

    Parameters
    ----------
    angles : array (k,), or mapping of str to array (k,)
        Degrees, as `spectral_nn.metrics.direction_angles` gives them; for several fits by name.
    guess : float, optional
        Median angle of directions drawn at random; a line marks it.

    Attributes
    ----------
    ax_, figure_ : the axes and figure of the last `plot`.

    See Also
    --------
    spectral_estimators.metrics.direction_angles : The angles.
    LossDisplay : What the fits cost.

    Examples
    --------
    >>> display = RecoveryDisplay({"moments": [0.3, 0.5], "backprop": [0.4, 71.0]})
    >>> {name: float(angles.max()) for name, angles in display.angles.items()}
    {'moments': 0.5, 'backprop': 71.0}
    """

    def __init__(
        self, angles: ArrayLike | Mapping[str, ArrayLike], *, guess: float | None = None
    ) -> None:
        named = angles if isinstance(angles, Mapping) else {"": angles}
        self.angles = {name: np.asarray(values, dtype=float) for name, values in named.items()}
        self.guess = guess

    @classmethod
    def from_estimator(
        cls, estimator: Any, true_coef: ArrayLike, *, name: str = "", ax: Axes | None = None
    ) -> Self:
        """Draw the angles of one fit.

        Parameters
        ----------
        estimator : fitted network, or transformer with ``components_``
        true_coef : array (d, k)
            Weights of the known network's hidden units, in columns as in ``coefs_[0]``.
        name : str
        ax : matplotlib axes, optional

        Returns
        -------
        RecoveryDisplay
        """
        return cls.from_estimators({name: estimator}, true_coef, ax=ax)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], true_coef: ArrayLike, *, ax: Axes | None = None
    ) -> Self:
        """Draw the angles of several fits, one row each.

        Parameters
        ----------
        estimators : mapping of str to fitted estimator
            Whatever has ``coefs_`` (scikit-learn's networks too) or ``components_``.
        true_coef : array (d, k)
        ax : matplotlib axes, optional

        Returns
        -------
        RecoveryDisplay
        """
        true = np.asarray(true_coef, dtype=float)
        angles: dict[str, ArrayLike] = {
            name: direction_angles(_directions(name, estimator), true)
            for name, estimator in estimators.items()
        }
        rng = np.random.default_rng(0)
        guesses = [direction_angles(rng.standard_normal(true.shape), true) for _ in range(_GUESSES)]
        return cls(angles, guess=float(np.median(guesses))).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        self
        """
        ax = self.ax_ = new_axes(ax, (7.2, 1.4 + 0.42 * len(self.angles)))
        self.figure_ = ax.figure
        finite = [np.maximum(values, _LEAST_ANGLE) for values in self.angles.values()]
        least = min(values.min(initial=90.0) for values in finite)
        ax.set_xscale("log")
        ax.set(xlim=(min(least / 1.6, 20), 97), ylim=(len(finite) - 0.4, -0.75))
        for row, values in enumerate(finite):
            colour = COLOURS[row % len(COLOURS)]
            ax.plot(
                values,
                np.full(values.size, row),
                "o",
                color=colour,
                alpha=0.55,
                markersize=8,
                markeredgecolor="white",
                markeredgewidth=0.6,
                clip_on=False,
            )
            ax.annotate(
                _degrees(values.max()),
                (values.max(), row),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=9,
                color=colour,
            )
        if self.guess is not None:
            ax.axvline(self.guess, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
            ax.annotate(
                "a guess ",
                (self.guess, 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=8.5,
                color=INK,
            )
        tidy(ax, "x")
        plain_numbers(ax.xaxis)
        ax.set_yticks(range(len(finite)), list(self.angles), fontsize=10)
        for label, colour in zip(ax.get_yticklabels(), _cycle(len(finite)), strict=True):
            label.set_color(colour)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set(xlabel="degrees to the true unit", title="Angle of each hidden unit to the true one")
        return self


class LossDisplay:
    """Training loss against wall-clock time, both on logarithmic scales, for several fits.

    A hollow dot marks the first step that a fit recorded; the dotted line before it stands for the
    time that it took to find a start.  Where restarts ran one after another, the thin lines are the
    restarts and the thick one is the best so far.

    Parameters
    ----------
    curves : mapping of str to curve or list of curves
        A curve is a pair of arrays, seconds since the fit began and the loss at that time; a list
        of curves holds restarts, each with a clock of its own.

    Attributes
    ----------
    curves : dict of str to list of arrays (m, 2)
        Columns: seconds since the first of the restarts began, and loss.
    ax_, figure_ : the axes and figure of the last `plot`.

    See Also
    --------
    RecoveryDisplay : What the fits found.
    MLPRegressor : Keeps ``loss_curve_`` and ``loss_times_``.

    Examples
    --------
    >>> restarts = [([1.0, 2.0], [9.0, 5.0]), ([1.0, 3.0], [8.0, 4.0])]
    >>> display = LossDisplay({"best of 2": restarts})
    >>> [curve.tolist() for curve in display.curves["best of 2"]]
    [[[1.0, 9.0], [2.0, 5.0]], [[3.0, 8.0], [5.0, 4.0]]]
    """

    def __init__(self, curves: Mapping[str, Any]) -> None:
        self.curves = {name: _one_after_another(name, given) for name, given in curves.items()}

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str = "", time_scale: str = "log", ax: Axes | None = None
    ) -> Self:
        """Draw the loss of one fit.

        Parameters
        ----------
        estimator : fitted estimator with ``loss_curve_`` and ``loss_times_``
        name : str
        time_scale, ax : see `plot`

        Returns
        -------
        LossDisplay

        Raises
        ------
        ValueError
            If the estimator kept no curve, or no times.
        """
        return cls.from_estimators({name: estimator}, time_scale=time_scale, ax=ax)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], *, time_scale: str = "log", ax: Axes | None = None
    ) -> Self:
        """Draw the losses of several fits.

        Parameters
        ----------
        estimators : mapping of str to fitted estimator, or to a sequence of them
            A sequence holds restarts that ran one after another.
        time_scale, ax : see `plot`

        Returns
        -------
        LossDisplay

        Raises
        ------
        ValueError
            If an estimator kept no curve, or no times.
        """
        curves = {
            name: [_curve_of(name, one) for one in (fit if isinstance(fit, Sequence) else [fit])]
            for name, fit in estimators.items()
        }
        return cls(curves).plot(time_scale=time_scale, ax=ax)

    def plot(self, *, time_scale: str = "log", ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        time_scale : {"log", "linear"}
            "linear" does justice to restarts, "log" to fits of very different speed.
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        self
        """
        ax = self.ax_ = new_axes(ax, (7.2, 4.2))
        self.figure_ = ax.figure
        ax.set_xscale(time_scale)
        ax.set_yscale("log")
        self._set_limits(ax, time_scale)
        ends = []
        for curves, colour in zip(self.curves.values(), _cycle(len(self.curves)), strict=True):
            ends.append(_draw_curves(ax, curves, colour))
        ax.set(xlabel="seconds", ylabel="training loss", title="Loss against time")
        tidy(ax)
        if time_scale == "log":
            plain_numbers(ax.xaxis)
        plain_numbers(ax.yaxis)
        if ends:
            self._name(ax, np.array(ends))
        return self

    def _set_limits(self, ax: Axes, time_scale: str) -> None:
        """Set the limits that hold all points."""
        if not self.curves:
            return
        points = np.concatenate([curve for curves in self.curves.values() for curve in curves])
        (left, low), (right, high) = points.min(axis=0), points.max(axis=0)
        if time_scale == "log":
            ax.set_xlim(left / 1.3, right * 1.15)
        else:
            ax.set_xlim(0, right * 1.03)
        margin = max((high / low) ** 0.06, 1.15)
        ax.set_ylim(low / margin, high * margin)

    def _name(self, ax: Axes, ends: NDArray[np.float64]) -> None:
        """Write names and seconds beside the ends of the curves."""
        names = [
            ", ".join(filter(None, (name, f"{seconds:.2g} s")))
            for name, (seconds, _) in zip(self.curves, ends, strict=True)
        ]
        name_ends(ax, names, ends, _cycle(len(names)))


def _draw_curves(ax: Axes, curves: list[NDArray[np.float64]], colour: str) -> NDArray[np.float64]:
    """The curves of one fit, or of restarts; the point where they end."""
    whole = curves[0] if len(curves) == 1 else _best_so_far(np.concatenate(curves))
    if len(curves) == 1:
        ax.plot(*whole.T, color=colour, linewidth=2)
    else:
        for curve in curves:
            ax.plot(*curve.T, color=colour, linewidth=0.9, alpha=0.4)
            ax.plot(*curve[-1], "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0)
        ax.plot(*_stairs(whole).T, color=colour, linewidth=2)
    seconds, loss = whole[0]
    before = [ax.get_xlim()[0], seconds]
    ax.plot(before, [loss, loss], color=colour, linewidth=1, linestyle=(0, (1, 2)))
    ax.plot(*whole[0], "o", color="white", markeredgecolor=colour, markersize=6, zorder=3)
    ax.plot(*whole[-1], "o", color=colour, markersize=6, zorder=3)
    return whole[-1]


def _directions(name: str, estimator: Any) -> NDArray:
    """Weights (d, k) of hidden units, or directions of a transformer, in columns."""
    if hasattr(estimator, "coefs_"):
        return np.asarray(estimator.coefs_[0])
    if hasattr(estimator, "components_"):
        return np.asarray(estimator.components_).T
    raise ValueError(
        f"{name or type(estimator).__name__} has neither coefs_ nor components_: fit it first."
    )


def _curve_of(name: str, estimator: Any) -> tuple[NDArray, NDArray]:
    losses = getattr(estimator, "loss_curve_", None)
    times = getattr(estimator, "loss_times_", None)
    if not losses or not times:
        missing = "loss_times_" if losses else "loss_curve_"
        raise ValueError(
            f"{name or type(estimator).__name__} has no {missing}: fit it with max_iter of at "
            "least 1. For an estimator that keeps none, pass (seconds, losses) to LossDisplay."
        )
    return np.asarray(times, dtype=float), np.asarray(losses, dtype=float)


def _one_after_another(name: str, given: Any) -> list[NDArray[np.float64]]:
    """Curves as arrays (m, 2), the clock of each going on where the last stopped."""
    several = len(given) > 0 and len(given[0]) > 0 and np.ndim(given[0][0]) > 0
    restarts = given if several else [given]
    curves, clock = [], 0.0
    for seconds, losses in restarts:
        curve = np.column_stack([np.asarray(seconds, dtype=float) + clock, losses])
        if len(curve) == 0:
            raise ValueError(f"The curve of {name!r} holds no point.")
        curves.append(curve)
        clock = curve[-1, 0]
    return curves


def _best_so_far(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (m, 2) where the loss is lower than ever before, and the last time."""
    lowest = np.minimum.accumulate(points[:, 1])
    kept = np.r_[True, np.diff(lowest) < 0]
    kept[-1] = True
    return np.column_stack([points[:, 0], lowest])[kept]


def _stairs(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the steps that hold each value until the next point."""
    seconds, losses = points.T
    return np.column_stack([np.repeat(seconds, 2)[1:], np.repeat(losses, 2)[:-1]])


def _cycle(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def _degrees(angle: float) -> str:
    return f"{angle:.2g}°" if angle < 10 else f"{angle:.0f}°"
