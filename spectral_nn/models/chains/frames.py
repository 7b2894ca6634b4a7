"""Rows of numbers as starts see them: features, and what the past and the future say of a row.

The states of a chain are what past and future have in common. Canonical correlation analysis of
the two (Hotelling 1936; for time series Akaike 1975; for hidden Markov models Hsu, Kakade, Zhang
2009) finds directions that tell states apart even where single rows do not: states of equal means
and different variances, or overlapping ones that last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular, svd
from scipy.signal import lfilter

from spectral_nn.emissions import RowEmission
from spectral_nn.models.chains.excerpts import Excerpt

__all__ = ["CanonicalVariates", "Frames"]

_CLIP = 6.0  # standard deviations
_DECAYS = (0.0, 0.7, 0.9, 0.97)  # of the moving averages of past and future
_MOST_PRODUCTS = 16  # columns of whose pairs products are taken
_MOST_FEATURES = 32  # principal components of them beyond
_RIDGE = 1e-3  # of the mean variance, in canonical correlations


@dataclass(frozen=True)
class CanonicalVariates:
    """What past and future say of each row, most correlated first.

    Attributes
    ----------
    past, future : ndarray of shape (n, r)
        Variates of variance one; NaN nowhere.
    correlations : ndarray of shape (r,)
    """

    past: NDArray[np.float64]
    future: NDArray[np.float64]
    correlations: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frames:
    """Rows of some stretches of the data, one stretch after another.

    Attributes
    ----------
    x : ndarray of shape (n, p)
        Observations without labels, NaN where missing.
    begins : ndarray of shape (n,), bool
        Whether a stretch begins.
    law : RowEmission
        Of all rows together.
    """

    x: NDArray[np.float64]
    begins: NDArray[np.bool_]
    law: RowEmission

    @classmethod
    def of(cls, some: Excerpt, law: RowEmission, labelled: bool = False) -> Frames:
        """The rows that the blocks of an excerpt own, without their context."""
        blocks = some.window.blocks
        size = blocks.stop - blocks.start
        first = np.cumsum(size) - size
        at = np.arange(size.sum()) - np.repeat(first - blocks.start, size)
        begins = np.zeros(at.size, dtype=bool)
        begins[first[np.append(True, np.diff(blocks.sequence) != 0)]] = True
        x = some.values[at]
        return cls(x[:, :-1] if labelled else x, begins, law)

    @property
    def n_rows(self) -> int:
        """Number of rows, n."""
        return self.x.shape[0]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each stretch begins, and the number of rows (m + 1,)."""
        return np.append(np.flatnonzero(self.begins), self.n_rows)

    @cached_property
    def stretch(self) -> NDArray[np.int64]:
        """Number of the stretch that each row belongs to (n,)."""
        return np.cumsum(self.begins) - 1

    @cached_property
    def position(self) -> NDArray[np.int64]:
        """Number of each row in its stretch (n,)."""
        rows = np.arange(self.n_rows)
        return rows - rows[self.begins][self.stretch]

    @cached_property
    def standardised(self) -> NDArray[np.float64]:
        """Features of mean zero and variance one (n, f), zero where missing."""
        return _standardise(self.law.features(self.x))

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """Functions of the features (n, g) whose mean tells states apart.

        Clipped features; logarithms of their distance from the median, which carry variances and
        do not suffer from heavy tails as squares do; where the law has correlations, roots of
        products of principal components.
        """
        z = self.standardised
        found = [z.clip(-_CLIP, _CLIP), np.log(np.abs(z - np.median(z, axis=0)) + 0.1)]
        width = z.shape[1]
        if self.law.correlated and 1 < width <= _MOST_PRODUCTS:
            u = _principal(z, width)
            one, other = np.triu_indices(u.shape[1], 1)
            product = u[:, one] * u[:, other]
            found.append(np.sign(product) * np.sqrt(np.abs(product)))
        g = _standardise(np.concatenate(found, axis=1))
        return g if g.shape[1] <= _MOST_FEATURES else _principal(g, _MOST_FEATURES)

    @cached_property
    def smoothed(self) -> NDArray[np.float64]:
        """Features averaged over some ten rows before and after, and the row itself (n, g)."""
        decay = _DECAYS[2]
        past, future = self._average(decay), self._average(decay, backwards=True)
        return past + future + (1 - decay) * self.features

    @cached_property
    def canonical(self) -> CanonicalVariates:
        """Canonical variates of past and future, the present row excluded.

        Notes
        -----
        2 n (4 g)^2 flops three times.
        """
        past = _scaled(np.concatenate([self._average(decay) for decay in _DECAYS], axis=1))
        future = _scaled(
            np.concatenate([self._average(decay, backwards=True) for decay in _DECAYS], axis=1)
        )
        past, future = past - past.mean(axis=0), future - future.mean(axis=0)
        n = max(self.n_rows, 1)
        left = _cholesky(past.T @ past / n)
        right = _cholesky(future.T @ future / n)
        cross = solve_triangular(left, past.T @ future / n, lower=True)
        u, s, vt = _decompose(solve_triangular(right, cross.T, lower=True).T)
        return CanonicalVariates(
            past @ solve_triangular(left.T, u), future @ solve_triangular(right.T, vt.T), s
        )

    def _average(self, decay: float, backwards: bool = False) -> NDArray[np.float64]:
        """Moving average of the features before each row, or after it, in its stretch."""
        g = self.features[::-1] if backwards else self.features
        begins = np.append(True, self.begins[:0:-1]) if backwards else self.begins
        whole = lfilter([0.0, 1 - decay], [1.0, -decay], g, axis=0)
        # The recursion is linear: what a stretch took over from the one before is taken off.
        rows = np.arange(g.shape[0])
        first = rows[begins][np.cumsum(begins) - 1]
        average = whole - decay ** (rows - first)[:, None] * whole[first]
        return average[::-1] if backwards else average


def _standardise(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of mean zero and variance one; zeros where missing, or where nothing varies."""
    missing = np.isnan(z)
    z = np.where(missing, 0.0, z)
    seen = np.maximum((~missing).sum(axis=0), 1)
    z = np.where(missing, 0.0, z - z.sum(axis=0) / seen)
    scale = np.sqrt((z**2).sum(axis=0) / seen)
    return z / np.where(scale > 0, scale, 1.0)


def _scaled(z: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = z.std(axis=0)
    return z / np.where(scale > 0, scale, 1.0)


def _principal(z: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """At most n principal components of columns of mean zero, of variance one each."""
    values, vectors = np.linalg.eigh(z.T @ z / max(z.shape[0], 1))
    kept = np.flatnonzero(values > 1e-10 * values[-1])[::-1][:n]
    return z @ (vectors[:, kept] / np.sqrt(values[kept]))


def _decompose(a: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Singular value decomposition of a square matrix, which may be near a lower rank.

    LAPACK's divide and conquer fails on some of these, finite ones too, and on which depends on the
    kernel that multiplies; its iteration, which is slower, does not.
    """
    try:
        return tuple(np.linalg.svd(a))
    except np.linalg.LinAlgError:
        return svd(a, lapack_driver="gesvd")


def _cholesky(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cholesky factor with a ridge."""
    size = covariance.shape[0]
    ridge = _RIDGE * np.trace(covariance) / size or 1.0
    return np.linalg.cholesky(covariance + ridge * np.eye(size))
