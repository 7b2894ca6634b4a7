"""What the pictures share: colours, plain axes, numbers written out, labels that keep apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "keep_apart",
    "new_axes",
    "plain_numbers",
    "tidy",
]

INK, SIGNAL, NOISE, NOISE_EDGE = "#333333", "#2b6ca3", "#c3c9cf", "#8a949e"
COLOURS = (SIGNAL, "#c8642b", "#4d8f5b", "#8661a8", "#b08a1e", "#5f6b76")  # one fit each


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Axes of the caller's, or those of a new figure, ``size`` in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


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


def keep_apart(places: ArrayLike, gap: float) -> NDArray[np.float64]:
    """Move places apart until neighbours are ``gap`` from each other, as little as needed.

    Parameters
    ----------
    places : array (m,)
    gap : float

    Returns
    -------
    moved : array (m,)
        In the order of ``places``; the least squares of the moves.

    Notes
    -----
    With the gaps taken off, this is monotone regression: pool neighbours that violate the order.
    O(m^2).

    Examples
    --------
    >>> keep_apart([0.0, 0.5, 10.0], 1.0).tolist()
    [-0.25, 0.75, 10.0]
    """
    places = np.asarray(places, dtype=float)
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(places.size)
    pools: list[list[float]] = []
    for place in places[order] - steps:
        pools.append([place])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    moved = np.empty_like(places)
    moved[order] = steps + [np.mean(pool) for pool in pools for _ in pool]
    return moved
