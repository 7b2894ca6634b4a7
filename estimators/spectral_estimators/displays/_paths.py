"""What the pictures of series share: rows, the most likely states behind them, panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectral_estimators._devices import on_host
from spectral_estimators.displays._style import pyplot
from spectral_nn.data import Sequences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["best_path", "column_names", "panels", "rows_of"]


def rows_of(estimator: Any, X: Any, lengths: Any) -> tuple[Any, NDArray[np.float64], NDArray]:
    """The law, and rows (n, p) of X with the ends of its sequences, NaN where missing.

    Raises
    ------
    ValueError
        If the model is of symbols.
    """
    parameters, data, _ = estimator._prepared(X, lengths)
    if not parameters.emission.rows:
        raise ValueError(
            f"This picture is of rows of numbers; {type(estimator).__name__} is of symbols."
        )
    return parameters.emission, data.values, data.offsets


def best_path(estimator: Any, X: Any, lengths: Any) -> NDArray[np.int64]:
    """Most likely path of states (n,) of all sequences, one after another (Viterbi)."""
    states = on_host(estimator.decode(X, lengths, algorithm="viterbi")[1])
    return states.values if isinstance(states, Sequences) else states


def column_names(columns: Sequence[str] | None, X: Any, n_columns: int) -> list[str]:
    """Names of columns: those given, those of a data frame, or their numbers."""
    if columns is None:
        columns = getattr(X, "columns", None)
    if columns is None:
        return [f"column {j}" for j in range(n_columns)]
    names = [str(name) for name in columns]
    if len(names) != n_columns:
        raise ValueError(f"columns needs {n_columns} names, one for each column; got {len(names)}.")
    return names


def panels(ax: Any, rows: int, columns: int, size: tuple[float, float], **how: Any) -> list[Axes]:
    """Axes of the caller's, row by row, or those of a new figure, ``size`` in inches."""
    if ax is None:
        _, ax = pyplot().subplots(rows, columns, figsize=size, layout="constrained", **how)
    axes: list[Axes] = list(np.ravel(ax))
    if len(axes) != rows * columns:
        raise ValueError(f"ax must be {rows * columns} axes for this picture, got {len(axes)}.")
    return axes
