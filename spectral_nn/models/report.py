"""What a fit found out on its way: frozen facts that print as a table, in notebooks as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from html import escape
from typing import Any

import numpy as np

__all__ = ["FitReport", "StartReport", "fact"]

_SHOWN = 12  # entries of an array that a line shows
_WORDS = {"likelihood": "log-likelihood and log prior", "held_out": "held out"}


def fact(label: str = "") -> Any:
    """Field of a report, None where nothing is known; without a label it is not printed."""
    return field(default=None, metadata={"label": label})


@dataclass(frozen=True, kw_only=True)
class StartReport:
    """One start, and how far it came; a figure is NaN where it took no part.

    Attributes
    ----------
    kind : str
        Where it came from, such as "tensor", "kmeans" or "random".
    composite : float
        Log-likelihood reached on short windows of the data (hidden Markov models), nats.
    likelihood : float
        Log-likelihood plus log prior reached on the rows of the race, of the winner on all, nats.
    held_out : float
        Log-likelihood of rows that the race held out, nats.
    loss : float
        Loss reached on the rows of the race (networks).

    See Also
    --------
    FitReport : Has one for each start, the winner first.

    Examples
    --------
    >>> StartReport(kind="random", loss=0.25).loss
    0.25
    """

    kind: str
    composite: float = float("nan")
    likelihood: float = float("nan")
    held_out: float = float("nan")
    loss: float = float("nan")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FitReport:
    """What a fit found out on its way; ``print`` shows a table, a notebook the same as HTML.

    Models add facts of their own, each an attribute that is None where nothing is known.

    Attributes
    ----------
    winner : str or None
        Kind of the start that won, such as "tensor" or "random".
    starts : tuple of StartReport
        All starts, the winner first.
    n_iter : int or None
        Steps of the refinement on all data.
    converged : bool or None
        Whether it stopped by itself rather than at its limit.
    evidence : tuple of records, a record, or None
        What spoke for each number of states, ranks or topics, where "auto" chose one.

    See Also
    --------
    ChainReport : Of hidden Markov models.
    MixtureReport, ClassesReport : Of mixtures.
    TopicReport : Of topics.
    NetworkReport : Of networks.
    OperatorReport : Of observable operators.

    Examples
    --------
    >>> report = FitReport(winner="tensor", starts=(StartReport(kind="tensor", likelihood=-3.5),))
    >>> print(report)
    start that won    tensor
    starts            tensor, log-likelihood and log prior -3.5
    """

    winner: str | None = fact("start that won")
    starts: tuple[StartReport, ...] = field(default=(), metadata={"label": "starts"})
    n_iter: int | None = fact("steps on all data")
    converged: bool | None = fact("converged")
    evidence: Any = fact("numbers tried")

    def _known(self) -> Iterator[tuple[str, Any]]:
        """Labels and values of what is known."""
        for one in fields(self):
            value = getattr(self, one.name)
            absent = value is None or (isinstance(value, (str, tuple)) and not value)
            if one.metadata.get("label") and not absent:
                yield one.metadata["label"], value

    def __repr__(self) -> str:
        inside = f"winner={self.winner!r}, {len(self.starts)} starts"
        return f"{type(self).__name__}({inside}, n_iter={self.n_iter}, converged={self.converged})"

    def __str__(self) -> str:
        known = list(self._known())
        width = max((len(label) for label, _ in known), default=0) + 4
        lines = []
        for label, value in known:
            several = _lines(value)
            lines += [f"{label:<{width}}{several[0]}"] + [" " * width + one for one in several[1:]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th>"
            f"<td style='text-align:left'>{'<br>'.join(map(escape, _lines(value)))}</td></tr>"
            for label, value in self._known()
        )
        return f"<table><caption>{type(self).__name__}</caption><tbody>{rows}</tbody></table>"


def _lines(value: Any) -> list[str]:
    """A line; of several records one each."""
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        numbers = Counter(_format(one) for one in value)  # equal records share a line
        return [line if n == 1 else f"{line} ({n} times)" for line, n in numbers.items()]
    return [_format(value)]


def _format(value: Any) -> str:
    """One line for a number, a name, a record, or the first of many."""
    if isinstance(value, str):
        return value
    if is_dataclass(value):
        return _format_record({one.name: getattr(value, one.name) for one in fields(value)})
    if isinstance(value, dict):
        return _format_record(value)
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if np.ndim(value) == 0:
        return f"{value:.5g}" if isinstance(value, (float, np.floating)) else str(value)
    items: Sequence[Any] = list(value)
    shown = ", ".join(_format(item) for item in items[:_SHOWN])
    return shown + (f", ... ({len(items)})" if len(items) > _SHOWN else "")


def _format_record(record: dict[str, Any]) -> str:
    """Names and values, without those that are not known; the kind of a start needs no name."""
    known = {name: value for name, value in record.items() if _is_known(value)}
    return ", ".join(
        value if name == "kind" else f"{_WORDS.get(name, name)} {_format(value)}"
        for name, value in known.items()
    )


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, (float, np.floating)) and np.isnan(value))
