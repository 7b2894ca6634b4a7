"""Whether a model fits: its pseudo-residuals against the normal law, and their order in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import beta

from spectral_estimators._devices import on_host
from spectral_estimators.displays._paths import column_names, panels, rows_of
from spectral_estimators.displays._style import INK, NOISE, NOISE_EDGE, SIGNAL, tidy
from spectral_nn.models.chains.residuals import autocorrelations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ResidualDisplay"]

_LEVEL = 0.95  # of the bands
_DRAWN = 100_000  # rows at least of the draw that says what autocorrelations to expect
_NAMES = ("residuals", "absolute residuals")


class ResidualDisplay:
    """Pseudo-residuals of each column: quantiles, and autocorrelations.

    Left, their quantiles against those of the normal law; the band holds each of them in 95 of 100
    samples of independent residuals.  Right, autocorrelations of residuals and of their absolute
    values, whose band lies around what the model itself leads one to expect.

    Parameters
    ----------
    residuals : array (n, p)
        Pseudo-residuals, NaN where missing.
    offsets : array of int (m + 1,), optional
        Ends of the sequences.  Default: one sequence.
    n_lags : int, optional
        Largest lag.  Default: ``10 log10(n)``.
    expected : array (2, n_lags + 1, p), optional
        Autocorrelations of residuals, and of absolute ones, if the model is right.  Default: zero
        beyond lag 0.
    columns : sequence of str, optional
        Names of the columns.

    Attributes
    ----------
    correlations : array (2, n_lags + 1, p)
        Autocorrelations found.
    axes_ : list of 3 p matplotlib axes
        What the last `plot` drew on.
    figure_ : matplotlib figure
        The figure of the axes.

    See Also
    --------
    GaussianHMM.pseudo_residuals : What they are.
    DensityDisplay : The rows themselves.

    Notes
    -----
    Points above the band on the right and below it on the left: tails heavier than the states
    have.  Absolute values that stay correlated: spells of large deviations that the states do not
    follow.  Of counts, residuals are those of the middle of a step, and their quantiles have steps.

    References
    ----------
    Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition, 2016,
    chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> residuals = np.random.default_rng(0).standard_normal((400, 1))
    >>> display = ResidualDisplay(residuals, n_lags=5)
    >>> display.correlations.shape, bool(abs(display.correlations[:, 1:]).max() < 0.2)
    ((2, 6, 1), True)
    """

    def __init__(
        self,
        residuals: ArrayLike,
        *,
        offsets: ArrayLike | None = None,
        n_lags: int | None = None,
        expected: ArrayLike | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        residuals = np.asarray(residuals, dtype=float)
        self.residuals = residuals[:, None] if residuals.ndim == 1 else residuals
        n, p = self.residuals.shape
        self.offsets = np.array([0, n] if offsets is None else offsets)
        self.n_lags = _usual_lags(self.offsets) if n_lags is None else n_lags
        self.correlations = _both(self.residuals, self.offsets, self.n_lags)
        if expected is None:
            expected = np.zeros_like(self.correlations)
        self.expected = np.asarray(expected, dtype=float)
        self.columns = column_names(columns, None, p)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        lengths: ArrayLike | None = None,
        n_lags: int | None = None,
        columns: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the pseudo-residuals of X under a model.

        Parameters
        ----------
        estimator : hidden Markov model of rows of numbers, fitted or set by hand
        X, lengths : as of ``predict``; X must fit in memory
        n_lags : see the class
        columns : sequence of str, optional
            Default: names of X, if it is a data frame.
        ax : matplotlib axes, 3 for each column, optional

        Returns
        -------
        ResidualDisplay

        Raises
        ------
        ValueError
            If the model is of symbols, or a multinomial without ``n_trials``.

        Notes
        -----
        The expected autocorrelations are those of one draw from the model, as long as X and at
        least of 100,000 rows, with one seed always.
        """
        _, rows, offsets = rows_of(estimator, X, lengths)
        residuals = on_host(estimator.pseudo_residuals(X, lengths))
        n_lags = _usual_lags(offsets) if n_lags is None else n_lags
        n_drawn = max(rows.shape[0], _DRAWN)
        drawn = estimator.sample(n_drawn, random_state=0)[0]
        ideal = on_host(estimator.pseudo_residuals(drawn))
        display = cls(
            np.asarray(getattr(residuals, "values", residuals)),
            offsets=offsets,
            n_lags=n_lags,
            expected=_both(ideal, np.array([0, n_drawn]), n_lags),
            columns=column_names(columns, X, rows.shape[1]),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | Sequence[Axes] | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, three for each column, optional
            Default: those of a new figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are fewer or more axes.
        """
        p = self.residuals.shape[1]
        self.axes_ = panels(ax, p, 3, (10.0, 0.4 + 2.8 * p))
        self.figure_ = self.axes_[0].figure
        for j in range(p):
            quantiles, *lags = self.axes_[3 * j : 3 * j + 3]
            self._draw_quantiles(quantiles, j)
            for which, one in enumerate(lags):
                self._draw_correlations(one, which, j)
        return self

    def _draw_quantiles(self, ax: Axes, column: int) -> None:
        found = np.sort(self.residuals[~np.isnan(self.residuals[:, column]), column])
        n = found.size
        rank = np.arange(1, n + 1)
        normal = ndtri((rank - 0.5) / n)
        low, high = (ndtri(end) for end in beta.interval(_LEVEL, rank, n + 1 - rank))
        ax.fill_between(normal, low, high, color=NOISE, alpha=0.6, linewidth=0)
        ax.plot(normal, normal, color=NOISE_EDGE, linewidth=0.9)
        ax.plot(normal, found, ".", color=SIGNAL, markersize=3, rasterized=True)
        ax.set(xlabel="normal quantile", ylabel="residual", title=self.columns[column])
        tidy(ax)

    def _draw_correlations(self, ax: Axes, which: int, column: int) -> None:
        lag = np.arange(1, self.n_lags + 1)
        expected = self.expected[which, 1:, column]
        seen = int(np.count_nonzero(~np.isnan(self.residuals[:, column])))
        half = ndtri((1 + _LEVEL) / 2) / np.sqrt(max(seen, 1))
        ax.bar(lag, 2 * half, 1.0, expected - half, color=NOISE, alpha=0.6, linewidth=0)
        ax.vlines(lag, 0, self.correlations[which, 1:, column], color=SIGNAL, linewidth=2)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(xlabel="lag", title=f"autocorrelation of {_NAMES[which]}")
        ax.title.set_fontsize(9.5)
        low, high = ax.get_ylim()
        ax.set(xlim=(0, self.n_lags + 1), ylim=(min(low, -0.1), max(high, 0.1)))
        tidy(ax)


def _usual_lags(offsets: NDArray[np.int64]) -> int:
    """R's number of lags for so many rows, where sequences are long enough."""
    longest = int(np.diff(offsets).max(initial=1))
    return max(min(int(10 * np.log10(max(offsets[-1], 1))), longest - 1), 1)


def _both(
    residuals: NDArray[np.float64], offsets: NDArray[np.int64], n_lags: int
) -> NDArray[np.float64]:
    """Autocorrelations (2, n_lags + 1, p) of residuals, and of their absolute values."""
    return np.stack([autocorrelations(x, offsets, n_lags) for x in (residuals, abs(residuals))])
