"""Learning rules side by side: score against time and memory, and angles to the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from spectral_estimators.displays._paths import panels
from spectral_estimators.displays._style import (
    INK,
    NOISE,
    colour_of,
    dashes_of,
    plain_numbers,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainersDisplay"]


class TrainersDisplay:
    """Rules of a comparison: what they score, what they cost, and how far they are from gradients.

    The first panel has the score against the seconds of a fit, the second against the memory of a
    batch, the third the cosine between steps and gradient of the hidden layers, epoch by epoch.

    Parameters
    ----------
    report : TrainersReport
        From `compare_trainers`.

    Attributes
    ----------
    axes_ : list of three matplotlib axes
        What the last `plot` drew on.
    figure_ : matplotlib figure
        The figure of the axes.

    Raises
    ------
    ValueError
        If the report has no rows.

    See Also
    --------
    compare_trainers : Makes the report.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier, compare_trainers
    >>> from spectral_estimators.trainers import Backprop, FeedbackAlignment
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((16,), init="random", learning_rate="cosine", max_iter=5)
    >>> rules = {"backprop": Backprop(), "direct feedback": FeedbackAlignment()}
    >>> report = compare_trainers(net, X / 16, y, rules, learning_rates=[0.01], n_fits=1)
    >>> TrainersDisplay.from_report(report).axes_[2].get_ylabel()
    'cosine to the gradient'
    """

    def __init__(self, report: Any) -> None:
        if not getattr(report, "rows", None):
            raise ValueError("report has no rows; give what compare_trainers returned.")
        self.report = report

    @classmethod
    def from_report(cls, report: Any, *, ax: Sequence[Axes] | None = None) -> Self:
        """Draw a report.

        Parameters
        ----------
        report : TrainersReport
        ax : three matplotlib axes, optional

        Returns
        -------
        TrainersDisplay
        """
        return cls(report).plot(ax=ax)

    def plot(self, *, ax: Sequence[Axes] | None = None) -> Self:
        """Draw on three axes, or on a new figure.

        Parameters
        ----------
        ax : three matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If axes are not three.
        """
        self.axes_ = panels(ax, 1, 3, (15, 4.2))
        self.figure_ = self.axes_[0].figure
        rows = self.report.rows
        self._draw_costs(self.axes_[0], [row.seconds for row in rows], "seconds of a fit")
        mebibytes = [np.nan if row.peak_memory is None else row.peak_memory / 2**20 for row in rows]
        self._draw_costs(self.axes_[1], mebibytes, "memory of a batch, MiB")
        self._draw_cosines(self.axes_[2])
        return self

    def _draw_costs(self, ax: Axes, costs: Sequence[float], label: str) -> None:
        for i, (row, cost) in enumerate(zip(self.report.rows, costs, strict=True)):
            if not np.isfinite(cost):
                continue
            ax.errorbar(
                cost,
                row.score,
                yerr=row.spread,
                fmt=_MARKERS[i // 6 % 4],
                color=colour_of(i),
                label=row.name,
                markersize=6,
                elinewidth=1,
            )
        ax.set_xscale("log")
        ax.set_xlabel(label)
        ax.set_ylabel(self.report.metric)
        plain_numbers(ax.xaxis)
        tidy(ax)

    def _draw_cosines(self, ax: Axes) -> None:
        for i, row in enumerate(self.report.rows):
            if row.cosines:
                epochs = np.arange(1, len(row.cosines) + 1)
                ax.plot(
                    epochs,
                    row.cosines,
                    color=colour_of(i),
                    linestyle=dashes_of(i),
                    label=row.name,
                    linewidth=1.3,
                )
        ax.axhline(0.0, color=NOISE, linewidth=1)
        ax.axhline(1.0, color=INK, linewidth=0.8)
        ax.set_xlabel("epoch")
        ax.set_ylabel("cosine to the gradient")
        ax.set_ylim(top=1.05)
        ax.locator_params(axis="x", integer=True)
        names, _ = self.axes_[0].get_legend_handles_labels()  # those of all rules
        ax.legend(handles=names, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        tidy(ax)


_MARKERS = ("o", "s", "^", "D")
