"""Starts for observations that are rows of numbers: cells of rows are symbols, until EM begins.

Rows are sorted into a few dozen cells by k-means on the features of their law, which turns the data
into sequences of symbols. Their moments give starts as those of any symbols do (tensor, random,
trigram EM). One E-step under a start tells how much of each row belongs to each state, and
the M-step of the law makes the start's emissions of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions import Likelihoods, RowEmission
from spectral_nn.models.base import Start
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.runners.base import Runner, SerialRunner

__all__ = ["Cells", "learn_cells", "to_rows"]

MIN_CELLS = 24
_MAX_ROWS = 2**14  # that k-means looks at


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of observations around centres of their features.

    Attributes
    ----------
    law : RowEmission
        Of all rows together in each state; it gives the features.
    centres : ndarray of shape (C, f)
    mean, scale : ndarray of shape (f,)
        That features are standardised with.
    labelled : bool
        Whether rows have a last column of labels.
    """

    law: RowEmission
    centres: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    labelled: bool = False

    @property
    def n_cells(self) -> int:
        """Number of cells, C."""
        return self.centres.shape[0]

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Cell of each row (n,); C where any entry is missing."""
        return self.find(values[:, :-1] if self.labelled else values)

    def find(self, x: NDArray[np.float64]) -> NDArray[np.int32]:
        """Cell of each observation (n, p) without labels."""
        z = (self.law.features(x) - self.mean) / self.scale
        distance = (self.centres**2).sum(axis=1) - 2 * np.nan_to_num(z) @ self.centres.T
        missing = np.isnan(z).any(axis=1)
        return np.where(missing, self.n_cells, distance.argmin(axis=1)).astype(np.int32)


@dataclass(frozen=True, eq=False)
class _CellEmission:
    """Probabilities of cells (K, C), whose M-step is that of the law of the rows."""

    cells: Cells
    probs: NDArray[np.float64]

    rows: ClassVar[bool] = True

    @property
    def n_components(self) -> int:
        return self.probs.shape[0]

    def likelihoods(self, x: NDArray[np.float64]) -> Likelihoods:
        K = self.n_components
        table = np.append(self.probs.T, np.ones((1, K)), axis=0)
        return Likelihoods(np.append(table[self.cells.find(x)], np.ones((1, K)), axis=0))

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.float64]) -> Any:
        return self.cells.law.gather(x, mass)

    def maximise(self, sums: Any, prior: Any) -> RowEmission:
        return self.cells.law.maximise(sums, prior)


def learn_cells(
    values: NDArray[np.float64],
    law: Any,
    n_components: int,
    labelled: bool,
    rng: np.random.Generator,
) -> Cells:
    """Sort a sample of rows into ``max(2 K, 24)`` cells, or fewer where few rows differ.

    Parameters
    ----------
    values : ndarray of shape (n, p), or (n, p + 1) with labels
    law : type of RowEmission
    n_components : int
        K.
    labelled : bool
        Whether rows have a last column of labels.
    rng : Generator
        Chooses rows and seeds k-means.

    Notes
    -----
    k-means on at most 16,384 rows.
    """
    from sklearn.cluster import KMeans  # 0.15 s that symbols need not pay

    x = values[:, :-1] if labelled else values
    pooled = law.pooled(x, n_components)
    z = pooled.features(x)
    z = z[~np.isnan(z).any(axis=1)]
    if z.shape[0] > _MAX_ROWS:
        z = z[rng.choice(z.shape[0], _MAX_ROWS, replace=False)]
    if not z.shape[0]:  # no row is complete: one cell, and nothing is in it
        return Cells(pooled, np.zeros((1, x.shape[1])), np.zeros(1), np.ones(1), labelled)
    mean, scale = z.mean(axis=0), z.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (z - mean) / scale
    different = np.unique(z, axis=0)
    wanted = max(2 * n_components, MIN_CELLS)
    if different.shape[0] > wanted:
        seed = int(rng.integers(2**31))
        different = KMeans(wanted, n_init=1, random_state=seed).fit(z).cluster_centers_
    return Cells(pooled, different, mean, scale, labelled)


def to_rows(
    starts: list[Start[HMMParameters]],
    cells: Cells,
    model: ChainModel,
    chunks: list[Any],
    run: Runner,
) -> Iterator[Start[HMMParameters]]:
    """Turn starts of cells into starts of rows, by an EM step of their model on a sample.

    Each start goes to a worker; `startprob` stays as it was.
    """
    convert = partial(_convert, cells, replace(model, update="te"), chunks)
    for start, parameters in zip(
        starts, run.map(convert, [start.parameters for start in starts]), strict=True
    ):
        yield replace(start, parameters=parameters)


def _convert(
    cells: Cells, model: ChainModel, chunks: list[Any], parameters: HMMParameters
) -> HMMParameters:
    emission: Any = _CellEmission(cells, parameters.emission.probs)
    parameters = replace(parameters, emission=emission)
    statistics = SerialRunner().total(partial(model.statistic, parameters), chunks)
    return model.maximise(statistics, parameters)
