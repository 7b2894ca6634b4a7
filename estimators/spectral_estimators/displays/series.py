"""Series over time with the states behind them, and how long each state is stayed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_estimators.displays._paths import best_path, column_names, panels, rows_of
from spectral_estimators.displays._style import INK, colour_of, hatch_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DurationDisplay", "SeriesDisplay", "stays"]

_BAND = 0.38  # opacity of bands, over which black lines are read
_MOST_BINS = 24
_ACROSS = 3  # panels of durations side by side


def stays(
    states: ArrayLike, offsets: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Stays along paths of states: where each begins, how long it lasts, whether it is whole.

    Parameters
    ----------
    states : array of int (n,)
    offsets : array of int (m + 1,), optional
        Ends of the sequences.  Default: one sequence.

    Returns
    -------
    first, duration : arrays of int (s,)
        In rows.
    whole : array of bool (s,)
        False where an end of the sequence cuts the stay off.

    Examples
    --------
    >>> first, duration, whole = stays([0, 0, 1, 1, 1, 0])
    >>> first.tolist(), duration.tolist(), whole.tolist()
    ([0, 2, 5], [2, 3, 1], [False, True, False])
    """
    states = np.asarray(states)
    ends = np.array([0, states.size] if offsets is None else offsets, dtype=np.int64)
    changes = np.flatnonzero(np.diff(states)) + 1
    first = np.union1d(changes, ends[:-1])
    after = np.append(first[1:], ends[-1])
    return first, after - first, ~(np.isin(first, ends) | np.isin(after, ends))


class SeriesDisplay:
    """Columns of a series over time, the most likely states as coloured bands behind them.

    Parameters
    ----------
    rows : array (n, p)
        NaN where missing: the line has a gap there, and the bands go on.
    states : array of int (n,)
        State of each row.
    offsets : array of int (m + 1,), optional
        Ends of the sequences; where one begins, there is a dashed line.  Default: one sequence.
    means : array (K, p), optional
        Mean of each column in each state, for the legend.  Default: of the rows in the state.
    spreads : array (K, p), optional
        Standard deviations, for the legend.
    index : array (n,), optional
        Times or numbers on the x axis, increasing.  Default: numbers of the rows.
    columns : sequence of str, optional
        Names of the columns.

    Attributes
    ----------
    axes_ : list of p matplotlib axes
        What the last `plot` drew on.
    figure_ : matplotlib figure
        The figure of the axes.

    Raises
    ------
    ValueError
        If ``index`` or ``columns`` does not fit the rows.

    See Also
    --------
    DurationDisplay : How long the bands are.

    Notes
    -----
    Six colours, which readers with colour-blindness tell apart; from state 6 on they repeat with
    hatching: ``////``, then dots, then crosses.

    Examples
    --------
    >>> rows = [[0.1], [-0.2], [5.0], [5.3]]
    >>> display = SeriesDisplay(rows, [0, 0, 1, 1], columns=["price"]).plot()
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['price']
    """

    def __init__(
        self,
        rows: ArrayLike,
        states: ArrayLike,
        *,
        offsets: ArrayLike | None = None,
        means: ArrayLike | None = None,
        spreads: ArrayLike | None = None,
        index: ArrayLike | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        rows = np.asarray(rows, dtype=float)
        self.rows = rows[:, None] if rows.ndim == 1 else rows
        n, p = self.rows.shape
        self.states = np.asarray(states)
        self.offsets = np.array([0, n] if offsets is None else offsets)
        self.means = (
            _means_in(self.rows, self.states) if means is None else np.asarray(means, dtype=float)
        )
        self.spreads = None if spreads is None else np.asarray(spreads, dtype=float)
        self.index = np.arange(n) if index is None else np.asarray(index)
        if self.index.shape != (n,):
            raise ValueError(
                f"index needs one entry for each of {n} rows; got shape {self.index.shape}."
            )
        self.columns = column_names(columns, None, p)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        lengths: ArrayLike | None = None,
        index: ArrayLike | None = None,
        columns: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw X and the states that a model finds behind it (Viterbi).

        Parameters
        ----------
        estimator : hidden Markov model of rows of numbers, fitted or set by hand
        X, lengths : as of ``predict``; X must fit in memory
            Several sequences stand one after another.
        index, columns : see the class
            Default: those of X, if it is a data frame.
        ax : matplotlib axes, p of them for p columns, optional

        Returns
        -------
        SeriesDisplay

        Raises
        ------
        ValueError
            If the model is of symbols, or index, columns or ax do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import GaussianHMM, SeriesDisplay
        >>> model = GaussianHMM(2)
        >>> model.startprob_ = np.array([0.5, 0.5])
        >>> model.transmat_ = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
        >>> SeriesDisplay.from_estimator(model, [[0.1], [0.2], [4.1], [3.9]]).states.tolist()
        [0, 0, 1, 1]
        """
        law, rows, offsets = rows_of(estimator, X, lengths)
        if index is None and hasattr(X, "columns"):
            index = X.index
        variances = getattr(law, "variances", None)
        display = cls(
            rows,
            best_path(estimator, X, lengths),
            offsets=offsets,
            means=law.mean(),
            spreads=None if variances is None else np.sqrt(variances),
            index=index,
            columns=column_names(columns, X, rows.shape[1]),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | Sequence[Axes] | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, one for each column, optional
            Default: those of a new figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If axes are fewer or more than columns.
        """
        p = self.rows.shape[1]
        beside = 1 + (len(self.means) - 1) // 8  # columns of the legend
        self.axes_ = panels(ax, p, 1, (7.4 + 1.8 * beside, 0.6 + 2.0 * p), sharex=True)
        self.figure_ = self.axes_[0].figure
        for j, one in enumerate(self.axes_):
            _draw_line(one, self.index, self.rows[:, j])
            bands = self._draw_bands(one)
            one.set_ylabel(self.columns[j])
            tidy(one)
            one.legend(
                bands,
                [self._legend(k, j) for k in range(len(bands))],
                title="state: mean" if self.spreads is None else "state: mean ± s.d.",
                loc="upper left",
                bbox_to_anchor=(1.0, 1.02),
                ncols=beside,
                frameon=False,
                fontsize=8.5,
                title_fontsize=8.5,
            )
        if np.issubdtype(self.index.dtype, np.datetime64):
            _label_dates(self.axes_[-1])
        return self

    def _legend(self, state: int, column: int) -> str:
        spread = "" if self.spreads is None else f" ± {self.spreads[state, column]:.3g}"
        return f"{state}: {self.means[state, column]:.3g}{spread}"

    def _draw_bands(self, ax: Axes) -> list[Any]:
        """Bands of each state, from halfway to the row before to halfway to the row after."""
        at = np.asarray(ax.convert_xunits(self.index), dtype=float)
        middle = (at[1:] + at[:-1]) / 2
        step = at[1] - at[0] if at.size > 1 else 1.0
        edges = np.concatenate([at[:1] - step / 2, middle, at[-1:] + step / 2])
        first, duration, _ = stays(self.states, self.offsets)
        left, width = edges[first], edges[first + duration] - edges[first]
        bands = []
        for k in range(len(self.means)):
            mine = self.states[first] == k
            bands.append(
                ax.broken_barh(
                    list(zip(left[mine], width[mine], strict=True)),
                    (0, 1),
                    transform=ax.get_xaxis_transform(),
                    facecolor=(colour_of(k), _BAND),
                    edgecolor=(colour_of(k), 0.9) if hatch_of(k) else "none",
                    linewidth=0,
                    hatch=hatch_of(k),
                    zorder=0,
                )
            )
        for begin in self.offsets[1:-1]:
            ax.axvline(edges[begin], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        ax.set_xlim(edges[0], edges[-1])
        return bands


class DurationDisplay:
    """How long stays in each state last, against the geometric law that the chain has.

    Parameters
    ----------
    durations : sequence of K arrays of int (n_stays,)
        Rows that each whole stay lasted.
    staying : array (K,)
        Probability of staying, the diagonal of ``transmat_``.

    Attributes
    ----------
    axes_ : list of K matplotlib axes
        What the last `plot` drew on.
    figure_ : matplotlib figure
        The figure of the axes.

    See Also
    --------
    SeriesDisplay : The stays over time.

    Notes
    -----
    The law is ``P(d) = a^(d - 1) (1 - a)``.  Durations that bend away from its straight line say
    that the model lacks memory of how long it has been where it is.  The most likely path passes
    over short visits, so the shortest durations are rarer than the law has them even where the
    model is right.

    Examples
    --------
    >>> display = DurationDisplay([[1, 3, 2], [10]], [0.5, 0.9])
    >>> display.law(0, [1, 2]).tolist()
    [0.5, 0.25]
    """

    def __init__(self, durations: Sequence[ArrayLike], staying: ArrayLike) -> None:
        self.durations = [np.asarray(each, dtype=np.int64) for each in durations]
        self.staying = np.asarray(staying, dtype=float)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        lengths: ArrayLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the durations of stays along the most likely paths.

        Parameters
        ----------
        estimator : hidden Markov model of any family, fitted or set by hand
        X, lengths : as of ``predict``; X must fit in memory
        ax : matplotlib axes, one for each state, optional

        Returns
        -------
        DurationDisplay
            Of whole stays: those cut off by an end of a sequence are left out.
        """
        parameters, data, _ = estimator._prepared(X, lengths)
        states = best_path(estimator, X, lengths)
        first, duration, whole = stays(states, data.offsets)
        durations = [duration[whole & (states[first] == k)] for k in range(parameters.n_components)]
        return cls(durations, parameters.transmat.diagonal()).plot(ax=ax)

    def law(self, state: int, duration: ArrayLike) -> NDArray[np.float64]:
        """Probability of durations in a state by the geometric law.

        Parameters
        ----------
        state : int
        duration : array of int (m,)

        Returns
        -------
        array (m,)
        """
        a = self.staying[state]
        return a ** (np.asarray(duration) - 1.0) * (1 - a)

    def plot(self, *, ax: Axes | Sequence[Axes] | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, one for each state, optional
            Default: those of a new figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If axes are fewer or more than states.
        """
        k = len(self.durations)
        across = min(k, _ACROSS)
        down = -(-k // across)
        given = panels(ax, *((1, k) if ax is not None else (down, across)), (9.0, 0.4 + 2.4 * down))
        self.axes_, spare = given[:k], given[k:]
        self.figure_ = self.axes_[0].figure
        for one in spare:
            one.set_visible(False)
        for state, one in enumerate(self.axes_):
            self._draw_state(one, state)
        return self

    def _draw_state(self, ax: Axes, state: int) -> None:
        durations = self.durations[state]
        longest = int(durations.max(initial=1))
        n_bins = int(np.clip(2 * np.sqrt(durations.size), 4, _MOST_BINS))
        width = -(-longest // n_bins)
        edges = np.arange(1, longest + width + 1, width) - 0.5
        shares = np.histogram(durations, edges)[0] / (max(durations.size, 1) * width)
        law = self.law(state, at := np.arange(1, longest + width))
        mean = f"mean {durations.mean():.3g}" if durations.size else "none is whole"
        with np.errstate(divide="ignore"):
            expected = 1 / np.maximum(1 - self.staying[state], 0.0)
        colour = colour_of(state)
        top = max(shares.max(), law[0], 1e-12)
        ax.set_ylim(min(shares[shares > 0].min(initial=top), top / 30) / 2, top * 6)
        ax.set_yscale("log")
        ax.stairs(shares, edges, color=colour, fill=True, alpha=_BAND)
        ax.stairs(shares, edges, color=colour, linewidth=1.6, label=f"found: {mean}")
        label = f"geometric law: mean {expected:.3g}"
        ax.plot(at, law, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
        ax.set(xlabel="rows", title=f"state {state}: {durations.size} stays")
        if state % _ACROSS == 0:
            ax.set_ylabel("share of stays, a row")
        ax.legend(frameon=False, fontsize=8.5, loc="upper right")
        tidy(ax)


def _means_in(rows: NDArray[np.float64], states: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean (K, p) of what is seen of the rows in each state."""
    seen = ~np.isnan(rows)
    means = np.full((int(states.max(initial=0)) + 1, rows.shape[1]), np.nan)
    for k in range(len(means)):
        for j in range(rows.shape[1]):
            mine = rows[(states == k) & seen[:, j], j]
            if mine.size:
                means[k, j] = mine.mean()
    return means


def _draw_line(ax: Axes, index: NDArray, column: NDArray[np.float64]) -> None:
    """A line with gaps; dots where an entry stands alone between gaps."""
    ax.plot(index, column, color=INK, linewidth=0.8)
    seen = np.concatenate([[False], ~np.isnan(column), [False]])
    alone = seen[1:-1] & ~seen[:-2] & ~seen[2:]
    ax.plot(index[alone], column[alone], ".", color=INK, markersize=3)


def _label_dates(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
