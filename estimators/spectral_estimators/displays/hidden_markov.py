"""Pictures of a hidden Markov model: its transitions, and what every state emits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_estimators.displays._style import INK, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EmissionDisplay", "TransitionDisplay", "state_order"]


def state_order(transmat: ArrayLike, weights: ArrayLike) -> NDArray[np.intp]:
    """Order states so that those that follow each other stand side by side.

    A greedy walk: begin with the most frequent state, and go on to the one not yet placed that
    exchanges the most probability with the last.

    Parameters
    ----------
    transmat : array (K, K)
    weights : array (K,)
        How frequent each state is.

    Returns
    -------
    order : array of int (K,)

    Notes
    -----
    O(K^2).

    Examples
    --------
    >>> chain = [[0.9, 0.0, 0.1], [0.0, 0.9, 0.1], [0.05, 0.05, 0.9]]
    >>> state_order(chain, [0.4, 0.2, 0.4]).tolist()
    [0, 2, 1]
    """
    weights = np.asarray(weights, dtype=float)
    flow = weights[:, None] * np.asarray(transmat, dtype=float)
    flow = flow + flow.T
    order = [int(np.argmax(weights))]
    left = set(range(len(weights))) - set(order)
    while left:
        candidates = sorted(left, key=lambda k: (-flow[order[-1], k], -weights[k], k))
        order.append(candidates[0])
        left.remove(candidates[0])
    return np.array(order)


class TransitionDisplay:
    """The transition matrix as a heat map, states ordered so that neighbours interact.

    Parameters
    ----------
    transmat : array (K, K)
    weights : array (K,), optional
        How frequent each state is; used for the order.  Default: equal.
    labels : sequence of str, optional
        Name of each state.  Default: its number.
    order : array of int (K,), optional
        Default: `state_order`.

    Attributes
    ----------
    ax_, figure_, image_ : what the last `plot` drew.

    See Also
    --------
    EmissionDisplay : What states emit, in the same order.
    DurationDisplay : How long they last.

    Examples
    --------
    The third state stands between the two that it connects:

    >>> chain = [[0.9, 0.0, 0.1], [0.0, 0.9, 0.1], [0.05, 0.05, 0.9]]
    >>> TransitionDisplay(chain, weights=[0.4, 0.2, 0.4]).order.tolist()
    [0, 2, 1]
    """

    def __init__(
        self,
        transmat: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        order: ArrayLike | None = None,
    ) -> None:
        self.transmat = np.asarray(transmat, dtype=float)
        k = self.transmat.shape[0]
        self.weights = np.full(k, 1 / k) if weights is None else np.asarray(weights, dtype=float)
        self.labels = [str(i) for i in range(k)] if labels is None else list(labels)
        self.order = (
            state_order(self.transmat, self.weights) if order is None else np.asarray(order)
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        labels: Sequence[str] | None = None,
        order: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the transitions of a model.

        Parameters
        ----------
        estimator : estimator with parameters, fitted or set by hand
        labels, order : see the class
        ax : matplotlib axes, optional

        Returns
        -------
        TransitionDisplay
        """
        weights = estimator.get_stationary_distribution()
        return cls(estimator.transmat_, weights=weights, labels=labels, order=order).plot(ax=ax)

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
        k = len(self.order)
        side = float(np.clip(2.2 + 0.32 * k, 3.6, 10))
        ax = self.ax_ = new_axes(ax, (side + 0.9, side))
        self.figure_ = ax.figure
        matrix = self.transmat[np.ix_(self.order, self.order)]
        self.image_ = ax.imshow(matrix, cmap="Blues", vmin=0, vmax=max(matrix.max(), 1e-12))
        names = [self.labels[i] for i in self.order]
        rotation = 90 if max(map(len, names)) > 3 else 0
        ax.set_xticks(range(k), names, rotation=rotation, fontsize=_font(k))
        ax.set_yticks(range(k), names, fontsize=_font(k))
        if k <= 14:
            _write_cells(ax, matrix, _font(k) - 1)
        ax.set(xlabel="to state", ylabel="from state", title="Transitions")
        _colour_bar(ax, self.image_, "probability")
        _grid_of_cells(ax, k, k)
        return self


class EmissionDisplay:
    """What every state emits: its most typical symbols, as a heat map.

    Columns are the symbols that tell states apart, grouped by the state that claims them.

    Parameters
    ----------
    emissionprob : array (K, d)
    symbols : sequence of str, optional
        Name of each symbol.  Default: its number.
    labels : sequence of str, optional
        Name of each state.  Default: its number.
    order : array of int (K,), optional
        Rows from top to bottom.  Default: as numbered.
    max_symbols : int
        Most symbols shown: the most frequent.
    weights : array (K,), optional
        How frequent each state is.  Default: equal.

    Attributes
    ----------
    ax_, figure_, image_ : what the last `plot` drew.
    columns_ : symbols shown, from left to right.

    Raises
    ------
    ValueError
        If ``symbols`` are not d names.

    See Also
    --------
    TransitionDisplay : How states follow each other.
    DensityDisplay : Gaussian states.
    TopicsDisplay : Words of topics.

    Examples
    --------
    >>> emissionprob = [[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]]
    >>> display = EmissionDisplay(emissionprob, symbols=["a", "b", "c"]).plot()
    >>> display.columns_.tolist()  # those that state 0 claims, then those of state 1
    [0, 2, 1]
    """

    def __init__(
        self,
        emissionprob: ArrayLike,
        *,
        symbols: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        order: ArrayLike | None = None,
        max_symbols: int = 40,
        weights: ArrayLike | None = None,
    ) -> None:
        self.emissionprob = np.asarray(emissionprob, dtype=float)
        k, d = self.emissionprob.shape
        self.symbols = [str(v) for v in range(d)] if symbols is None else list(symbols)
        self.labels = [str(i) for i in range(k)] if labels is None else list(labels)
        if len(self.symbols) != d:
            raise ValueError(
                f"symbols needs {d} names, one for each symbol; got {len(symbols or [])}."
            )
        self.order = np.arange(k) if order is None else np.asarray(order)
        self.max_symbols = max_symbols
        self.weights = np.full(k, 1 / k) if weights is None else np.asarray(weights, dtype=float)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        symbols: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        order: ArrayLike | None = None,
        max_symbols: int = 40,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the emissions of a model, states in the order of `TransitionDisplay`.

        Parameters
        ----------
        estimator : estimator with parameters, fitted or set by hand
        symbols, labels, order, max_symbols : see the class
        ax : matplotlib axes, optional

        Returns
        -------
        EmissionDisplay

        Raises
        ------
        ValueError
            If the model is not of symbols or categories.
        """
        if not hasattr(estimator, "emissionprob_"):
            raise ValueError(
                f"{type(estimator).__name__} has no emissionprob_; DensityDisplay draws the states "
                "of a GaussianHMM."
            )
        weights = estimator.get_stationary_distribution()
        display = cls(
            estimator.emissionprob_,
            symbols=symbols,
            labels=labels,
            order=state_order(estimator.transmat_, weights) if order is None else order,
            max_symbols=max_symbols,
            weights=weights,
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
        emission = self.emissionprob[self.order]
        self.columns_ = self._choose(emission)
        k, n = emission.shape[0], len(self.columns_)
        size = (float(np.clip(1.8 + 0.26 * n, 4, 16)), float(np.clip(1.4 + 0.3 * k, 2.6, 10)))
        ax = self.ax_ = new_axes(ax, size)
        self.figure_ = ax.figure
        shown = emission[:, self.columns_]
        self.image_ = ax.imshow(
            np.sqrt(shown),
            cmap="Blues",
            vmin=0,
            vmax=max(np.sqrt(shown.max()), 1e-6),
            aspect="auto",
        )
        names = [_printable(self.symbols[v]) for v in self.columns_]
        rotation = 90 if max(map(len, names)) > 2 else 0
        ax.set_xticks(range(n), names, rotation=rotation, fontsize=max(_font(n), 8.5))
        ax.set_yticks(range(k), [self.labels[i] for i in self.order], fontsize=_font(k))
        few = "" if n == self.emissionprob.shape[1] else f" (the {n} most frequent symbols)"
        ax.set(xlabel="symbol", ylabel="state", title=f"Emissions{few}")
        bar = _colour_bar(ax, self.image_, "probability")
        ticks = np.linspace(0, self.image_.get_clim()[1], 4)
        bar.set_ticks(ticks, labels=[f"{t**2:.2g}" for t in ticks])
        _grid_of_cells(ax, k, n)
        return self

    def _choose(self, emission: NDArray[np.float64]) -> NDArray[np.intp]:
        """Most frequent symbols, grouped by the state most likely behind them."""
        weights = self.weights[self.order][:, None]
        joint = weights * emission
        frequent = np.argsort(-joint.sum(axis=0), kind="stable")[: self.max_symbols]
        owner = joint[:, frequent].argmax(axis=0)
        strength = emission[owner, frequent]
        return frequent[np.lexsort((-strength, owner))]


def _grid_of_cells(ax: Axes, rows: int, columns: int) -> None:
    """White lines between cells, no frame, no tick marks."""
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0)


def _write_cells(ax: Axes, matrix: NDArray[np.float64], size: float) -> None:
    """Write what is at least .01 into its cell, without the leading zero."""
    for (i, j), p in np.ndenumerate(matrix):
        if p >= 0.01:
            colour = "white" if p > 0.55 * matrix.max() else INK
            text = f"{p:.2f}".removeprefix("0")
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)


def _colour_bar(ax: Axes, image: Any, label: str) -> Any:
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(label)
    return bar


def _font(n: int) -> float:
    return float(np.clip(11 - n / 8, 6, 10))


def _printable(symbol: str) -> str:
    """A symbol as a tick label: white space made visible, no accidental formulas."""
    names = {" ": "␣", "\n": "↵", "\t": "⇥"}
    return names.get(symbol, symbol).replace("$", r"\$")
