"""Tables as the data that a mixture is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters, MixtureStatistics
from spectral_nn.runners.base import Runner

__all__ = ["TableData"]


@dataclass(frozen=True, eq=False)
class TableData:
    """A `spectral_nn.models.base.Data` of rows: E-steps are exact, and nothing is held out.

    Attributes
    ----------
    model : MixtureModel
    table : Rows or ChunkedRows
    run : Runner
        Who computes.
    """

    model: MixtureModel
    table: Table
    run: Runner

    def expect(self, parameters: MixtureParameters) -> MixtureStatistics:
        """E-step of all rows."""
        chunks = self.table.chunks()
        return self.run.total(partial(self.model.statistic, parameters), chunks)

    def settle(self, parameters: MixtureParameters) -> None:
        """Nothing to settle: there is one way to compute an E-step."""

    def restart(self) -> None:
        """Nothing to forget."""

    def sample(self, n_rows: int) -> list[Rows]:
        """Take rows, evenly spread, in chunks in memory here."""
        return self.table.sample(n_rows).chunks()

    def judges(self) -> None:
        """Races climb the objective itself."""
