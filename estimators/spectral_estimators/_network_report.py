"""The evidence about hidden units, as a dict that prints as a table."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ComponentsReport", "line_angles"]

_LINES = {
    "init": "start that won",
    "n_components": "hidden units",
    "unit_angles": "angle to the nearest unit, degrees",
    "singular_values": "singular values of the moments",
    "null_level": "the same, of noise alone",
    "n_supported": "directions above the noise",
    "cp_agreement": "agreement of the decompositions",
    "cp_condition": "condition of the directions found",
    "n_effective": "rows",
    "n_needed": "rows needed",
    "starts": "starts raced",
    "winner": "its model of the inputs",
    "reason": "why it won",
}
MAX_SHOWN = 12  # entries of an array that a line shows


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
        columns = columns / np.linalg.norm(columns, axis=0)
    cosines = np.abs(columns.T @ columns)
    np.fill_diagonal(cosines, np.nan)
    nearest = np.fmax.reduce(cosines, axis=1, initial=-1.0)
    return np.degrees(np.arccos(np.where(nearest < 0, np.nan, np.minimum(nearest, 1.0))))


class ComponentsReport(dict[str, Any]):
    """What is known of the hidden units; ``print`` shows it as a table.

    Examples
    --------
    >>> print(ComponentsReport.of(np.eye(2), "random", {"n_needed": 400}))
    start that won                       random
    hidden units                         2
    angle to the nearest unit, degrees   90, 90
    rows needed                          400
    """

    @classmethod
    def of(cls, coefs: NDArray, init: str, diagnostics: dict[str, Any]) -> Self:
        """Gather first-layer weights (d, k), the name of the start, and its diagnostics."""
        own = {
            "init": init,
            "n_components": coefs.shape[1],
            "unit_angles": line_angles(coefs),
        }
        return cls(own | diagnostics)

    def __str__(self) -> str:
        width = max(map(len, _LINES.values())) + 3
        known = [(_LINES[key], self[key]) for key in _LINES if self.get(key) is not None]
        return "\n".join(f"{label:<{width}}{_format(value)}" for label, value in known)


def _format(value: Any) -> str:
    """One line for a number, a name, or the first of many."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format(item)}" for key, item in value.items())
    if np.ndim(value) == 0 and not isinstance(value, (list, tuple)):
        return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
    items = list(value)
    if items and isinstance(items[0], str):  # a name with its figures
        return " ".join(_format(item) for item in items)
    shown = ", ".join(_format(item) for item in items[:MAX_SHOWN])
    return shown + (f", ... ({len(items)})" if len(items) > MAX_SHOWN else "")
