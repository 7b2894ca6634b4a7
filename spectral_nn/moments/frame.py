"""The frame that rows are seen in, white and standardised, and the moments that tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_nn.additive import Additive
from spectral_nn.arrays import (
    Array,
    clip,
    from_numpy,
    fused,
    get_namespace,
    numpy_dtype,
    to_numpy,
)
from spectral_nn.data.rows import Rows, by_blocks, dense
from spectral_nn.data.table import ChunkedRows, Table
from spectral_nn.moments.extent import Extent, exponents, extent, largest, powers
from spectral_nn.runners.base import Runner

__all__ = [
    "ColumnMoments",
    "Frame",
    "InputMoments",
    "column_moments",
    "extent_of",
    "input_moments",
    "moments_of",
    "with_fixed_signs",
]

CLIP = 4.0  # standard deviations
_FAR = 10.0  # deviations at which fourth powers are cut off
_MOST_OUTPUTS = 10
_ORDINARY = 32  # powers of two: columns within are squared as they are
_CONSTANT = {4: 1e-6, 8: 1e-10}  # deviation beside size, by bytes, of a column that varies
_REAL = 0.5  # of a direction's variance that has to be there without clipping
_NEGLIGIBLE = 1e-6  # eigenvalues of a correlation matrix below this share of their mean


@dataclass(frozen=True, eq=False)
class ColumnMoments:
    """Weight, means and centred sums of squares of the columns of X and Y; ``a + b`` merges.

    Attributes
    ----------
    n_rows : int
    weight, squared_weight : sum of weights, and of their squares.
    centre, scatter : (d + q,), the columns of X, then those of Y, divided by 2^exponent.
    exponent : (d + q,) integers, 0 for a column whose squares are carried as they are.
    """

    n_rows: int
    weight: float
    squared_weight: float
    centre: np.ndarray
    scatter: np.ndarray
    exponent: np.ndarray

    def __add__(self, other: ColumnMoments) -> ColumnMoments:
        exponent = np.maximum(self.exponent, other.exponent)
        (centre, scatter), (centre_2, scatter_2) = self._in(exponent), other._in(exponent)
        weight = self.weight + other.weight
        share = other.weight / weight if weight > 0 else 0.0
        step = centre_2 - centre
        return ColumnMoments(
            self.n_rows + other.n_rows,
            weight,
            self.squared_weight + other.squared_weight,
            centre + share * step,
            scatter + scatter_2 + self.weight * share * step**2,
            exponent,
        )

    def _in(self, exponent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centre and scatter of columns divided by larger powers of two."""
        down = self.exponent - exponent
        return np.ldexp(self.centre, down), np.ldexp(self.scatter, 2 * down)

    @property
    def n_effective(self) -> float:
        """Rows of equal weight that would carry as much."""
        return self.weight**2 / self.squared_weight if self.squared_weight > 0 else 0.0

    @property
    def mean(self) -> np.ndarray:
        """Means (d + q,)."""
        return np.ldexp(self.centre, self.exponent)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviations (d + q,)."""
        return np.ldexp(np.sqrt(self.scatter / self.weight), self.exponent)


@by_blocks
def column_moments(rows: Rows) -> ColumnMoments:
    """Moments of each column of a chunk.

    Notes
    -----
    O(n (d + q)).  Columns far from one are divided by powers of two, which rounds nothing, so that
    their squares can be carried.
    """
    if not rows.n_rows:
        nothing = np.zeros(rows.n_features + rows.n_outputs, numpy_dtype(rows.Y.dtype))
        return ColumnMoments(0, 0.0, 0.0, nothing, nothing, exponents(nothing, _ORDINARY))
    xp = get_namespace(rows.weight)
    if hasattr(rows.X, "toarray"):
        parts = [_sparse_columns(rows.X, rows.weight), _columns(rows.Y, rows.weight)]
    else:
        parts = [_columns(xp.concat([rows.X, rows.Y], axis=1), rows.weight)]
    return ColumnMoments(
        rows.n_rows,
        float(xp.sum(rows.weight)),
        float(xp.sum(rows.weight**2)),
        *(np.concatenate(column) for column in zip(*parts, strict=True)),
    )


def _columns(X: Array, weight: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, scatter and exponent of the columns of X, as of `ColumnMoments`."""
    xp = get_namespace(X)
    exponent = exponents(to_numpy(largest(X)), _ORDINARY)
    if exponent.any():
        X = X * from_numpy(powers(-exponent, numpy_dtype(X.dtype)), like=X)
    whole = xp.sum(weight)
    mean = (weight @ X) / xp.where(whole > 0, whole, xp.ones_like(whole))
    return to_numpy(mean), to_numpy(weight @ (X - mean) ** 2), exponent


def _sparse_columns(X: Any, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of a CSR matrix, whose zeros are counted and not made."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    exponent = exponents(largest(X), _ORDINARY)
    data = np.ldexp(X.data, -exponent[X.indices])

    def summed(values: np.ndarray) -> np.ndarray:
        return weight @ type(X)((values, X.indices, X.indptr), shape=X.shape)

    whole = weight.sum()
    mean = summed(data) / (whole if whole > 0 else 1)
    zeros = np.bincount(X.indices, minlength=X.shape[1]) < X.shape[0]
    left = np.where(zeros, whole - summed(np.ones_like(data)), 0)
    return mean, summed((data - mean[X.indices]) ** 2) + left * mean**2, exponent


@dataclass(frozen=True, eq=False)
class ColumnSummary(Additive):
    """What one walk over a table tells of its columns."""

    extent: Extent
    moments: ColumnMoments


@by_blocks
def _summary(rows: Rows) -> ColumnSummary:
    return ColumnSummary(extent(rows), column_moments(rows))


def extent_of(rows: Table, run: Runner) -> Extent:
    """Extent of a table; one walk, and none after `moments_of` where rows are walked in chunks."""
    if isinstance(rows, ChunkedRows):
        return rows.total_once(_summary).extent
    return run.total(extent, rows.chunks())


def moments_of(rows: Table, run: Runner) -> ColumnMoments:
    """Moments of the columns of a table; one walk, and none after `extent_of` in chunks."""
    if isinstance(rows, ChunkedRows):
        return rows.total_once(_summary).moments
    return run.total(column_moments, rows.chunks())


@dataclass(frozen=True, eq=False)
class InputMoments(Additive):
    """Second moments of standardised, clipped columns.

    Attributes
    ----------
    weight : sum of weights.
    first : (d,), sum of x.
    second : (d, d), sum of x x^T.
    unclipped : (d, d), the same before clipping, which hides that columns depend on each other.
    fourth : (d,), sum of the fourth powers before clipping (at 10 deviations).
    cross : (d, q), sum of x y^T.
    outputs : (q, q), sum of y y^T.
    """

    weight: Array
    first: Array
    second: Array
    unclipped: Array
    fourth: Array
    cross: Array
    outputs: Array


@by_blocks
def input_moments(rows: Rows, columns: ColumnMoments) -> InputMoments:
    """Moments of a chunk, standardised by the columns' moments.

    Notes
    -----
    O(n d^2).
    """
    frame = Frame.standard(columns, rows.X.shape[1])
    X, xp = dense(rows)
    free = frame.standardise(X)
    x = clip(free, -CLIP, CLIP)
    y = frame.outputs(rows.Y)
    weighted = x * rows.weight[:, None]
    return InputMoments(
        xp.sum(rows.weight),
        rows.weight @ x,
        weighted.T @ x,
        (free * rows.weight[:, None]).T @ free,
        rows.weight @ _fourth_power(free),
        weighted.T @ y,
        (y * rows.weight[:, None]).T @ y,
    )


@dataclass(frozen=True, eq=False)
class Frame:
    r"""The affine map under which inputs have mean 0 and covariance I, and outputs variance 1.

    .. math:: z = W^T \big(\mathrm{clip}((x - \mu) / \sigma) - m\big)

    Attributes
    ----------
    kept : (d0,) indices of the columns that vary.
    mean, deviation : (d0,)
    centre : (d0,) mean after clipping.
    whitener : (d0, d')
    y_mean : (q,)
    y_map : (q, S) standardisation of the outputs, or of their leading principal components.
    """

    kept: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    centre: np.ndarray
    whitener: np.ndarray
    y_mean: np.ndarray
    y_map: np.ndarray

    @classmethod
    def standard(cls, columns: ColumnMoments, n_features: int) -> Frame:
        """Standardise each column and no more."""
        mean, deviation = columns.mean, columns.deviation
        least = _CONSTANT[mean.dtype.itemsize] * np.abs(mean)
        varies = deviation > np.maximum(least, np.finfo(mean.dtype).tiny)
        kept = np.flatnonzero(varies[:n_features])
        y_deviation = np.where(varies, deviation, 1.0)[n_features:]
        return cls(
            kept,
            mean[kept],
            deviation[kept],
            np.zeros(kept.size),
            np.eye(kept.size),
            mean[n_features:],
            np.diag(1 / y_deviation),
        )

    def whitened(self, moments: InputMoments) -> Frame:
        """The frame in which these moments are those of white inputs and outputs."""
        weight = float(moments.weight)
        centre = to_numpy(moments.first) / weight
        covariance = to_numpy(moments.second) / weight - np.outer(centre, centre)
        values, vectors = np.linalg.eigh(covariance)
        vectors = with_fixed_signs(vectors)
        some = values > _NEGLIGIBLE * np.trace(covariance) / max(values.size, 1)
        # What varies by clipping alone is a linear function of other columns, cut off.
        free = np.sum(vectors * (to_numpy(moments.unclipped) @ vectors), axis=0) / weight
        some &= free > _REAL * values
        whitener = vectors[:, some] / np.sqrt(values[some])
        y_map = self.y_map
        if y_map.shape[1] > _MOST_OUTPUTS:
            y_values, y_vectors = np.linalg.eigh(to_numpy(moments.outputs) / weight)
            leading = np.argsort(y_values)[::-1][:_MOST_OUTPUTS]
            leading = leading[y_values[leading] > min(_NEGLIGIBLE, 0.5 * y_values.max())]
            if leading.size:
                y_map = y_map @ (y_vectors[:, leading] / np.sqrt(y_values[leading]))
            else:  # no output varies
                y_map = y_map[:, :1]
        return replace(self, centre=centre, whitener=whitener, y_map=y_map)

    def projected(self, basis: np.ndarray) -> Frame:
        """The frame that keeps only the span of orthonormal columns, (d', K)."""
        return replace(self, whitener=self.whitener @ basis)

    @property
    def n_dimensions(self) -> int:
        """Dimensions of z."""
        return self.whitener.shape[1]

    def standardise(self, X: Array) -> Array:
        """``(x - mean) / deviation`` of the kept columns."""
        return _standardise(*self._columns(X))

    def centred(self, X: Array) -> Array:
        """Standardised, clipped and centred columns (n, d0) of X (n, d)."""
        return _centre(*self._columns(X), from_numpy(self.centre, like=X))

    def _columns(self, X: Array) -> tuple[Array, Array, Array]:
        """The kept columns, their means and their deviations, where X is."""
        if self.kept.size < X.shape[1]:
            X = get_namespace(X).take(X, from_numpy(self.kept, like=X), axis=1)
        return X, from_numpy(self.mean, like=X), from_numpy(self.deviation, like=X)

    def inputs(self, X: Array) -> Array:
        """Z (n, d') of X (n, d)."""
        return self.centred(X) @ from_numpy(self.whitener, like=X)

    def outputs(self, Y: Array) -> Array:
        """Standardised outputs (n, S) of Y (n, q)."""
        return (Y - from_numpy(self.y_mean, like=Y)) @ from_numpy(self.y_map, like=Y)

    def lines(self, directions: np.ndarray, n_features: int) -> np.ndarray:
        """Unit columns (d, k) along the weights of `pull_back`, however large these are."""
        least = np.exp2(np.frexp(self.deviation.min())[1])  # a power of two rounds nothing
        W = np.zeros((n_features, directions.shape[1]))
        W[self.kept] = self.whitener @ directions / (self.deviation / least)[:, None]
        return W / np.linalg.norm(W, axis=0)

    def pull_back(self, directions: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
        """Write ``directions.T @ z`` as ``W.T @ x + offset``.

        Parameters
        ----------
        directions : (d', k)
        n_features : d.

        Returns
        -------
        W : (d, k), zero in the columns that do not vary.
        offset : (k,)
        """
        inner = self.whitener @ directions
        W = np.zeros((n_features, directions.shape[1]))
        W[self.kept] = inner / self.deviation[:, None]
        return W, -(self.mean @ W[self.kept] + self.centre @ inner)


@fused
def _standardise(X: Array, mean: Array, deviation: Array) -> Array:
    return (X - mean) / deviation


@fused
def _centre(X: Array, mean: Array, deviation: Array, centre: Array) -> Array:
    return clip(_standardise(X, mean, deviation), -CLIP, CLIP) - centre


@fused
def _fourth_power(x: Array) -> Array:
    """Fourth powers, cut off; powers other than 2 are slow."""
    squares = clip(x * x, high=_FAR * _FAR)
    return squares * squares


def with_fixed_signs(vectors: np.ndarray) -> np.ndarray:
    """Columns whose signs do not hang on rounding: along one generic direction all are positive.

    Signs of eigenvectors are anybody's choice, and what is searched for in their coordinates would
    begin elsewhere after each other choice.
    """
    generic = np.cos(np.arange(1, vectors.shape[0] + 1))
    return vectors * np.where(generic @ vectors < 0, -1.0, 1.0)
