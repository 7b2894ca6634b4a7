"""What the states of a Gaussian model look like in the space of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from spectral_estimators._devices import on_host
from spectral_estimators.displays._paths import best_path, column_names, rows_of
from spectral_estimators.displays._style import (
    INK,
    NOISE,
    colour_of,
    dashes_of,
    new_axes,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DensityDisplay"]

_MOST_DOTS = 5000
_TAIL = 1e-3  # share of the rows at either end that limits of the axes may leave out


class DensityDisplay:
    """Gaussian states over the rows: densities of one column, or ellipses of two.

    One column: the histogram of the rows, the density of each state times its share of the rows,
    and their sum, which the histogram follows if the model is right.  Two columns: the rows in the
    colours of their states, and ellipses one and two standard deviations around the means, which
    hold 39 and 86 in 100 rows of a Gaussian.

    Parameters
    ----------
    means : array (K, q)
        Mean of each state; q is 1 or 2.
    covars : array (K, q, q)
    rows : array (n, q)
    states : array of int (n,)
        State of each row.
    weights : array (K,), optional
        Share of each state in the rows.  Default: of ``states``.
    columns : sequence of str, optional
        Names of the columns.

    Attributes
    ----------
    ax_, figure_ : what the last `plot` drew.

    Raises
    ------
    ValueError
        If there are more than two columns.

    See Also
    --------
    EmissionDisplay : States of a `CategoricalHMM`.
    ResidualDisplay : Whether the rows follow the densities.

    Examples
    --------
    >>> means, covars = [[0.0], [4.0]], [[[1.0]], [[1.0]]]
    >>> display = DensityDisplay(means, covars, [[0.1], [-0.3], [4.2]], [0, 0, 1])
    >>> display.weights.round(2).tolist()
    [0.67, 0.33]
    """

    def __init__(
        self,
        means: ArrayLike,
        covars: ArrayLike,
        rows: ArrayLike,
        states: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.means = np.asarray(means, dtype=float)
        self.covars = np.asarray(covars, dtype=float)
        self.rows = np.asarray(rows, dtype=float)
        self.states = np.asarray(states)
        k, q = self.means.shape
        if q not in (1, 2):
            raise ValueError(f"means has {q} columns; choose one or two of them to draw.")
        shares = np.bincount(self.states, minlength=k) / max(self.states.size, 1)
        self.weights = shares if weights is None else np.asarray(weights, dtype=float)
        self.columns = column_names(columns, None, q)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        lengths: ArrayLike | None = None,
        which: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the states of a model over the rows that it was fitted to, or others.

        Parameters
        ----------
        estimator : GaussianHMM, fitted or set by hand
        X, lengths : as of ``predict``; X must fit in memory
        which : one or two ints, optional
            Columns to draw.  Default: the first two, or the only one.
        columns : sequence of str, optional
            Names of all columns of X.  Default: those of X, if it is a data frame.
        ax : matplotlib axes, optional

        Returns
        -------
        DensityDisplay

        Raises
        ------
        ValueError
            If the model has no covariances, or ``which`` names columns that are not there.
        """
        if not hasattr(estimator, "covars_"):
            raise ValueError(
                f"{type(estimator).__name__} has no covars_: this picture is of a fitted "
                "GaussianHMM; EmissionDisplay draws symbols."
            )
        law, rows, _ = rows_of(estimator, X, lengths)
        p = rows.shape[1]
        drawn = list(range(min(p, 2)) if which is None else which)
        if len(drawn) not in (1, 2) or not all(0 <= j < p for j in drawn):
            raise ValueError(
                f"which must be one or two of the columns 0 .. {p - 1}, got {which!r}."
            )
        posterior = on_host(estimator.predict_proba(X, lengths))
        names = column_names(columns, X, p)
        display = cls(
            law.mean()[:, drawn],
            on_host(estimator.covars_)[:, drawn][:, :, drawn],
            rows[:, drawn],
            best_path(estimator, X, lengths),
            weights=np.asarray(getattr(posterior, "values", posterior)).mean(axis=0),
            columns=[names[j] for j in drawn],
        )
        return display.plot(ax=ax)

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
        ax = self.ax_ = new_axes(ax, (6.4, 4.2))
        self.figure_ = ax.figure
        if self.means.shape[1] == 1:
            self._draw_densities(ax)
        else:
            self._draw_ellipses(ax)
        title = "state: mean ± s.d." if self.means.shape[1] == 1 else "state"
        ax.legend(
            title=title,
            title_fontsize=8.5,
            fontsize=8.5,
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.02),
        )
        return self

    def _draw_densities(self, ax: Axes) -> None:
        x = self.rows[~np.isnan(self.rows)]
        low, high = np.quantile(x, [_TAIL, 1 - _TAIL])
        bins = int(np.clip(np.sqrt(x.size), 10, 80))
        heights, edges = np.histogram(x, bins, (low, high))
        shares = heights / (x.size * np.diff(edges))  # of all rows, those left out too
        ax.stairs(shares, edges, fill=True, color=NOISE, alpha=0.6, label="rows")
        at = np.linspace(low, high, 600)
        deviations = np.sqrt(self.covars[:, 0, 0])
        z = (at - self.means) / deviations[:, None]
        each = np.exp(-0.5 * z**2) * (self.weights / deviations / np.sqrt(2 * np.pi))[:, None]
        for k, density in enumerate(each):
            ax.plot(
                at,
                density,
                color=colour_of(k),
                linestyle=dashes_of(k),
                label=f"{k}: {self.means[k, 0]:.3g} ± {deviations[k]:.3g}",
            )
        ax.plot(at, each.sum(axis=0), color=INK, linewidth=1, label="all states")
        ax.set(xlabel=self.columns[0], ylabel="density", xlim=(low, high))
        tidy(ax)

    def _draw_ellipses(self, ax: Axes) -> None:
        from matplotlib.patches import Ellipse

        rng = np.random.default_rng(0)
        complete = np.flatnonzero(~np.isnan(self.rows).any(axis=1))
        if complete.size > _MOST_DOTS:
            complete = rng.choice(complete, _MOST_DOTS, replace=False)
        dots = [colour_of(k) for k in self.states[complete]]
        x, y = self.rows[complete].T
        ax.scatter(x, y, s=5, c=dots, alpha=0.35, linewidths=0, rasterized=True)
        for k, (mean, covariance) in enumerate(zip(self.means, self.covars, strict=True)):
            values, vectors = np.linalg.eigh(covariance)
            angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
            for deviations in (1, 2):
                ax.add_patch(
                    Ellipse(
                        (mean[0], mean[1]),
                        *(2 * deviations * np.sqrt(values[::-1])),
                        angle=angle,
                        fill=False,
                        edgecolor=colour_of(k),
                        linestyle=dashes_of(k),
                        linewidth=2 if deviations == 1 else 1.2,
                        label=str(k) if deviations == 1 else None,
                    )
                )
        ax.autoscale_view()
        ax.set(xlabel=self.columns[0], ylabel=self.columns[1])
        tidy(ax, "both")
