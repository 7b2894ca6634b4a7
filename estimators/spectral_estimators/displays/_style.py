"""What the pictures share: colours, plain axes, numbers written out, names beside curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "COLOURS",
    "INK",
    "NOISE",
    "NOISE_EDGE",
    "SIGNAL",
    "colour_of",
    "dashes_of",
    "hatch_of",
    "name_ends",
    "new_axes",
    "plain_numbers",
    "tidy",
]

INK, SIGNAL, NOISE, NOISE_EDGE = "#333333", "#2b6ca3", "#c3c9cf", "#8a949e"
COLOURS = (SIGNAL, "#c8642b", "#4d8f5b", "#8661a8", "#b08a1e", "#5f6b76")  # one fit each
# M. Okabe and K. Ito's palette, which readers with colour-blindness tell apart, but for its yellow,
# which does not show as a line, and its light blue, which as a band is blue; grey for its black
_STATES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#7f7f7f")
_HATCHES = (None, "////", "....", "xxxx")
_DASHES = ("-", "--", ":", "-.")
_NAME_SIZE = 9.5  # points
_STEPS = (0, 0.6, -0.6, 0.95, -0.95, 1.3, -1.3, 1.9, -1.9, 2.5, -2.5)  # rows up, to try in turn


def colour_of(state: int) -> str:
    """Colour of a state, the same in every picture; from state 6 on colours repeat."""
    return _STATES[state % len(_STATES)]


def hatch_of(state: int) -> str | None:
    """Hatching that tells states of one colour apart; the first six have none."""
    return _HATCHES[state // len(_STATES) % len(_HATCHES)]


def dashes_of(state: int) -> str:
    """Style of lines that tells states of one colour apart; the first six are solid."""
    return _DASHES[state // len(_STATES) % len(_DASHES)]


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Axes of the caller's, or those of a new figure, ``size`` in inches."""
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def pyplot() -> Any:
    """Matplotlib's pyplot, imported when a picture is drawn.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays draw with Matplotlib: pip install matplotlib.") from error
    return plt


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis .5, 1, 2 rather than with powers of ten; minor ticks if few."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = axis.get_view_interval()
    some = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(some if high < 50 * low else NullFormatter())


def tidy(ax: Axes, grid: str = "y") -> None:
    """Remove the frame at the top and on the right, and draw a faint grid."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis=grid, color="#e8eaed", linewidth=0.8)  # type: ignore[arg-type]
    ax.set_axisbelow(True)


def name_ends(ax: Axes, names: Sequence[str], ends: ArrayLike, colours: Sequence[str]) -> None:
    """Write names to the right of points, moved up or down to where no line and no name is.

    Parameters
    ----------
    ax : with its limits set and its lines drawn
    names : sequence of str
    ends : array (m, 2)
        Points, in the coordinates of the data.
    colours : sequence of str
    """
    to_axes = ax.transAxes.inverted()
    paths = [line.get_transform().transform(line.get_xydata()) for line in ax.lines]
    lines = np.concatenate([_dense(to_axes.transform(path)) for path in paths])
    written: list[tuple[float, float, float]] = []  # left, right, height of names
    inches = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    row = 1.35 * _NAME_SIZE / 72 / inches.height
    ends = np.asarray(ends, dtype=float)
    for name, end, colour in zip(names, ends, colours, strict=True):
        x, y = to_axes.transform(ax.transData.transform(end))
        left = x + 8 / 72 / inches.width
        right = left + 0.55 * len(name) * _NAME_SIZE / 72 / inches.width
        passing = lines[(lines[:, 0] > x + 0.004) & (lines[:, 0] < right), 1]
        others = np.array([h for start, stop, h in written if start < right and stop > left])
        places = [y + step * row for step in _STEPS]
        free = [
            place
            for place in places
            if not np.any(np.abs(passing - place) < 0.5 * row)
            and not np.any(np.abs(others - place) < 0.9 * row)
        ]
        height = (free or places)[0]
        ax.annotate(
            name,
            (end[0], height),
            xycoords=("data", "axes fraction"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=_NAME_SIZE,
            color=colour,
        )
        written.append((left, right, height))


def _dense(path: NDArray[np.float64], step: float = 0.004) -> NDArray[np.float64]:
    """Points of a path (m, 2), none further than a step from the next."""
    if len(path) < 2:
        return path
    lengths = np.abs(np.diff(path, axis=0)).max(axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.linspace(0.0, at[-1], int(at[-1] / step) + 2)
    return np.column_stack([np.interp(along, at, column) for column in path.T])
