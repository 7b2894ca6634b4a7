"""Tables as the data that a mixture, or a topic model, is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.base import LatentModel
from spectral_nn.runners.base import Runner

__all__ = ["TableData"]

P = TypeVar("P")
S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class TableData(Generic[P, S]):
    """A `spectral_nn.models.base.Data` of rows: E-steps are exact, and nothing is held out.

    Attributes
    ----------
    model : LatentModel
    table : Rows or ChunkedRows
    run : Runner
        Who computes.
    """

    model: LatentModel[P, S]
    table: Table
    run: Runner

    def expect(self, parameters: P) -> S:
        """E-step of all rows."""
        statistic: Any = partial(self.model.statistic, parameters)
        return self.run.total(statistic, self.table.chunks())

    def settle(self, parameters: P) -> None:
        """Nothing to settle: there is one way to compute an E-step."""

    def restart(self) -> None:
        """Nothing to forget."""

    def sample(self, n_rows: int) -> list[Rows]:
        """Take rows, evenly spread, in chunks in memory here."""
        return self.table.sample(n_rows).chunks()

    def judges(self) -> None:
        """Races climb the objective itself."""
