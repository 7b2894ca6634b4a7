"""Real numbers whose columns are correlated: Gaussians of full covariances, or of one for all.

Complete rows go through products of matrices of their squares and products; rows with missing
entries as `spectral_nn.emissions.gaussian_missing` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.emissions.coordinates import Real, Symmetric, Vector
from spectral_nn.emissions.gaussian import (
    LOG_2_PI,
    GaussianPrior,
    GaussianSums,
    between_frames,
    find_means,
    has_spread,
    moments_of,
    normal_cdf,
)
from spectral_nn.emissions.gaussian_missing import complete_sums, find_holes, marginals
from spectral_nn.emissions.monomials import farthest, precision_for, products, row_blocks

__all__ = ["FullGaussian", "TiedGaussian"]

_LEAST_SHARE = 0.3  # of the least variance in any direction that over-relaxation may leave


@dataclass(frozen=True, eq=False)
class FullGaussian:
    """``P(x | h = k) = N(x; means[k], covariances[k])``, with a `GaussianPrior`.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (K, p, p)
        Symmetric, positive definite.

    See Also
    --------
    TiedGaussian
    spectral_nn.emissions.gaussian.DiagonalGaussian

    Examples
    --------
    >>> import numpy as np
    >>> law = FullGaussian(np.zeros((1, 2)), np.array([[[2.0, 1.0], [1.0, 1.0]]]))
    >>> np.exp(law.log_likelihoods(np.array([[0.0, 0.0], [0.0, np.nan]]))).round(4).tolist()
    [[0.1592], [0.2821]]
    """

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = True

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.means.shape[0]

    @property
    def n_parameters(self) -> int:
        """Those of means and of symmetric covariances."""
        p = self.means.shape[1]
        return self.means.size + self.covariances.size // p * (p + 1) // 2

    @property
    def variances(self) -> NDArray[np.float64]:
        """Variance of each column (K, p)."""
        return self._each.diagonal(axis1=1, axis2=2)

    @cached_property
    def roots(self) -> NDArray[np.float64]:
        """Lower triangular roots of the covariances; a LinAlgError if one is not positive."""
        return np.asarray(np.linalg.cholesky(self.covariances), dtype=np.float64)

    @property
    def _each(self) -> NDArray[np.float64]:
        """Covariances of all states (K, p, p)."""
        return self._spread(self.covariances)

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.floating]:
        """Log-densities, of rows with missing entries the marginal ones.

        Notes
        -----
        n K p^2 flops for complete rows; p^3 K, and p^2 K a row, for each pattern of missing ones.
        """
        centre, scale = self._frame
        means, covariances = self._framed(centre, scale)
        complete, holes = find_holes(x)
        dtype = self._precision(means, covariances, dtype)
        found = np.zeros((x.shape[0], self.n_components), dtype=dtype)
        self._complete_densities(x, means, dtype, found, complete)
        if holes.rows.size:
            u = (x[holes.rows] - centre) / scale
            unit = np.repeat(holes.seen @ np.log(scale), np.diff(holes.ends))
            found[holes.rows] = marginals(u, holes, means, covariances) - unit[:, None]
        return found

    def _complete_densities(
        self,
        x: NDArray[np.float64],
        means: NDArray[np.float64],
        dtype: Any,
        out: NDArray[np.floating],
        rows: NDArray[np.int64] | int,
    ) -> None:
        """Write log-densities of complete rows, given means in the frame."""
        centre, scale = self._frame
        weights = _quadratic_form(means, self._spread(self.roots) / scale[:, None])
        weights[-1] -= np.log(scale).sum()
        weights = weights.astype(dtype)
        for some in _blocks(rows, weights.shape[0]):
            out[some] = products(x[some], centre, scale, dtype) @ weights

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.floating]) -> GaussianSums:
        """Expected sums of rows and of products of their entries.

        Notes
        -----
        n K p^2 flops for complete rows; p^3 K, and p^2 K a row, for each pattern of missing ones.
        """
        centre, scale = self._frame
        complete, holes = find_holes(x)
        means, covariances = self._framed(centre, scale)
        dtype = self._precision(means, covariances, mass.dtype)
        sums = self._complete_sums(x, mass, dtype, complete)
        if holes.rows.size:
            u = (x[holes.rows] - centre) / scale
            others = complete_sums(u, mass[holes.rows], holes, means, covariances)
            sums += replace(others, second=self._pool(others.second))
        return sums

    def _complete_sums(
        self,
        x: NDArray[np.float64],
        mass: NDArray[np.floating],
        dtype: Any,
        rows: NDArray[np.int64] | int,
    ) -> GaussianSums:
        """Sums of complete rows in the frame, those of products pooled."""
        centre, scale = self._frame
        K, p = self.means.shape
        total = np.zeros((K, p * (p + 3) // 2 + 1))
        for some in _blocks(rows, total.shape[1]):
            total += mass[some].T @ products(x[some], centre, scale, dtype)
        sums = _unpack(total, p)
        return replace(sums, second=self._pool(sums.second))

    def reframe(self, sums: GaussianSums, law: Self) -> GaussianSums:
        """Sums that this law has gathered, in the frame of another of its kind."""
        scale, shift = between_frames(self._frame, law._frame)
        first, moved = scale * sums.first, np.broadcast_to(shift, sums.first.shape)
        cross = _outer(first, moved)
        about = cross + cross.transpose(0, 2, 1)
        about += sums.weight[:, None, None] * _outer(moved, moved)
        second = np.outer(scale, scale) * sums.second + self._pool(about)
        return GaussianSums(sums.weight, first + sums.weight[:, None] * shift, second)

    def maximise(self, sums: GaussianSums, prior: GaussianPrior | None = None) -> Self:
        """Posterior mode of means, and of covariances given these; a state without mass stays."""
        prior = prior or GaussianPrior()
        centre, scale = self._frame
        means = (self.means - centre) / scale
        found = self
        if "m" in prior.free:
            means = find_means(sums, prior, centre, scale, means)
            found = replace(self, means=means * scale + centre)
        if "c" not in prior.free:
            return found
        cross = _outer(means, sums.first)
        about = sums.weight[:, None, None] * _outer(means, means)
        if np.any(prior.means_weight):
            away = means - (prior.means - centre) / scale
            about += _state_weight(prior, away)[:, None, None] * _outer(away, away)
        scatter = sums.second + self._pool(about - cross - cross.transpose(0, 2, 1))
        total = self._pool(sums.weight[:, None, None])
        weight = np.reshape(prior.weight, (-1, 1, 1))
        seen = has_spread(total, weight)
        scatter = scatter * np.outer(scale, scale) + _as_matrices(prior.scatter, means.shape[1])
        total = total + weight
        new = _floored(scatter / np.where(seen, total, 1.0), prior.floor)
        kept = self.covariances.reshape(new.shape)
        return replace(found, covariances=self._share(np.where(seen, new, kept)))

    def log_prior(self, prior: GaussianPrior | None = None) -> float:
        """Logarithm of the density of `GaussianPrior` up to a constant, nats."""
        prior = prior or GaussianPrior()
        away = self.means - prior.means
        about = _state_weight(prior, away)[:, None, None] * _outer(away, away)
        each = self._pool(about) + _as_matrices(prior.scatter, away.shape[1])
        covariances = self.covariances.reshape(each.shape)
        found = np.trace(np.linalg.solve(covariances, each), axis1=1, axis2=2)
        return float(-0.5 * np.sum(found + prior.weight * np.linalg.slogdet(covariances)[1]))

    def relax(self, new: Self, power: float) -> Self:
        """Beyond `new` in a straight line, where that leaves covariances well above zero."""
        covariances = self.covariances + power * (new.covariances - self.covariances)
        inverse = np.linalg.inv(new.roots)
        with np.errstate(over="ignore", invalid="ignore"):
            share = inverse @ covariances @ np.swapaxes(inverse, -1, -2)
        finite = np.isfinite(share).all(axis=(-2, -1), keepdims=True)
        usable = np.linalg.eigvalsh(np.where(finite, share, 0.0))[..., :1, None] > _LEAST_SHARE
        return replace(
            self,
            means=self.means + power * (new.means - self.means),
            covariances=np.where(usable, covariances, new.covariances),
        )

    def sample(self, states: NDArray[np.int64], rng: Any) -> NDArray[np.float64]:
        """Draw a row in each state."""
        noise = rng.standard_normal((states.size, self.means.shape[1], 1))
        factors = self._spread(self.roots)
        return self.means[states] + (factors[states] @ noise)[:, :, 0]

    def mean(self) -> NDArray[np.float64]:
        """The means (K, p)."""
        return self.means

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normal distribution functions of the columns, (n, K, p)."""
        return normal_cdf(x, self.means, self.variances)

    def coordinates(self) -> dict[str, Real]:
        """Means and covariances, white."""
        own = Vector(self._spread(self.roots))
        return {"means": own, "covariances": Symmetric(self.roots)}

    def score(self, sums: GaussianSums) -> dict[str, NDArray[np.float64]]:
        """``S^-1 sum (x - mean)`` and ``S^-1 (sum (x - mean)(x - mean)^T - n S) S^-1 / 2``."""
        centre, scale = self._frame
        means, covariances = self._framed(centre, scale)
        precision = np.linalg.inv(covariances)
        away = sums.first - sums.weight[:, None] * means
        known = _outer(means, sums.first) + _outer(away, means)
        change = sums.second - self._pool(known + sums.weight[:, None, None] * covariances)
        own = np.linalg.inv(self.covariances / np.outer(scale, scale))
        each = 0.5 * own @ change @ own / np.outer(scale, scale)
        slope = np.einsum("kij,kj->ki", precision, away) / scale
        return {"means": slope, "covariances": self._share(each)}

    def support(self, sums: GaussianSums) -> dict[str, NDArray[np.float64]]:
        """Observations."""
        weight = np.broadcast_to(sums.weight[:, None], self.means.shape)
        total = self._share(self._pool(sums.weight[:, None, None]))
        return {"means": weight, "covariances": np.broadcast_to(total, self.covariances.shape)}

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> Self:
        """Mean and covariance of complete rows in every state; variances alone where few are."""
        mean, covariance = _covariance_of(x)
        return cls(np.tile(mean, (n_components, 1)), np.tile(covariance, (n_components, 1, 1)))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The columns themselves."""
        return x

    @cached_property
    def _frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean of the means, and root of the mean variance, of each column."""
        return self.means.mean(axis=0), np.sqrt(self.variances.mean(axis=0))

    def _precision(
        self, means: NDArray[np.float64], covariances: NDArray[np.float64], wanted: DTypeLike
    ) -> Any:
        """Precision that products may have, in the frame."""
        if np.dtype(wanted) != np.float32:
            return np.float64
        least = np.linalg.eigvalsh(covariances)[:, :1]
        return precision_for(means, 1 / least, wanted) if least.min() > 0 else np.float64

    def _spread(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariances, or roots of them, of all states (K, p, p) from those that are kept."""
        return kept

    def _pool(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """What belongs to each state (K, ...), where states share nothing."""
        return each

    def _share(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """The covariances as they are kept."""
        return each

    def _framed(
        self, centre: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means and covariances of all states in the frame."""
        return (self.means - centre) / scale, self._each / np.outer(scale, scale)


@dataclass(frozen=True, eq=False)
class TiedGaussian(FullGaussian):
    """One covariance for all states, ``P(x | h = k) = N(x; means[k], covariances)``.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (p, p)
        Symmetric, positive definite.

    See Also
    --------
    FullGaussian
    """

    def _complete_densities(
        self,
        x: NDArray[np.float64],
        means: NDArray[np.float64],
        dtype: Any,
        out: NDArray[np.floating],
        rows: NDArray[np.int64] | int,
    ) -> None:
        """White rows are compared with white means: 2 n p (p + K) flops."""
        centre, scale = self._frame
        whitener = np.linalg.inv(self.roots / scale[:, None]).T
        white = (means @ whitener).astype(dtype)
        constant = np.log(whitener.diagonal() / scale).sum() - 0.5 * means.shape[1] * LOG_2_PI
        constant = constant - 0.5 * (white * white).sum(axis=1)
        whitener, far = whitener.astype(dtype), farthest(dtype)
        for some in _blocks(rows, 2 * means.shape[1]):
            u = (x[some] - centre) / scale
            u = np.clip(u, -far, far, out=u).astype(dtype, copy=False) @ whitener
            found = u @ white.T
            found += constant.astype(dtype) - 0.5 * (u * u).sum(axis=1)[:, None]
            out[some] = found

    def _complete_sums(
        self,
        x: NDArray[np.float64],
        mass: NDArray[np.floating],
        dtype: Any,
        rows: NDArray[np.int64] | int,
    ) -> GaussianSums:
        """Products are summed once for all states: 2 n p (p + K) flops."""
        centre, scale = self._frame
        K, p = self.means.shape
        weight, first, second = np.zeros(K), np.zeros((K, p)), np.zeros((1, p, p))
        for some in _blocks(rows, 2 * p):
            u = ((x[some] - centre) / scale).astype(dtype, copy=False)
            share = mass[some]
            weight += share.sum(axis=0, dtype=np.float64)
            first += share.T @ u
            second += (u * share.sum(axis=1)[:, None]).T @ u
        return GaussianSums(weight, first, second)

    def _spread(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to(kept, (self.n_components, *kept.shape))

    def _pool(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each.sum(axis=0, keepdims=True)

    def _share(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each[0]

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> Self:
        """Mean of complete rows in every state, and their covariance."""
        mean, covariance = _covariance_of(x)
        return cls(np.tile(mean, (n_components, 1)), covariance)


def _blocks(rows: NDArray[np.int64] | int, width: int) -> Iterator[Any]:
    """Rows in blocks that stay in the cache; slices where they are the first n."""
    if isinstance(rows, int):
        return row_blocks(rows, width)
    return (rows[block] for block in row_blocks(rows.size, width))


def _unpack(sums: NDArray[np.float64], p: int) -> GaussianSums:
    """Sums of products, columns and ones (K, ...) by what they are."""
    second = np.empty((sums.shape[0], p, p))
    one, other = _pairs(p)
    second[:, one, other] = second[:, other, one] = sums[:, : -p - 1]
    return GaussianSums(sums[:, -1].copy(), sums[:, -p - 1 : -1].copy(), second)


def _quadratic_form(means: NDArray[np.float64], roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (.., K) in log-densities of products, columns and ones."""
    p = means.shape[1]
    inverse = np.linalg.inv(roots)
    precision = inverse.transpose(0, 2, 1) @ inverse
    linear = (precision @ means[:, :, None])[:, :, 0]
    one, other = _pairs(p)
    # Off the diagonal one product stands for two.
    quadratic = np.where(one == other, -0.5, -1.0) * precision[:, one, other]
    log_det = 2 * np.log(roots.diagonal(axis1=1, axis2=2)).sum(axis=1)
    constant = -0.5 * ((linear * means).sum(axis=1) + log_det + p * LOG_2_PI)
    return np.concatenate([quadratic, linear, constant[:, None]], axis=1).T


@cache
def _pairs(p: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places (i, j), i <= j, of products of columns, as `monomials.products` has them."""
    one, other = np.triu_indices(p)
    return one, other


def _outer(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outer products of rows (K, p) and (K, p)."""
    return a[:, :, None] * b[:, None, :]


def _state_weight(prior: GaussianPrior, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observations (K,) that the prior of the means is worth; the same in all columns."""
    weight = np.asarray(prior.means_weight, dtype=np.float64)
    return np.broadcast_to(weight, means.shape).mean(axis=1)


def _as_matrices(scatter: NDArray[np.float64] | float, p: int) -> NDArray[np.float64]:
    """Prior scatter as matrices (p, p) or (K, p, p); a number, or (p,), is a diagonal."""
    array = np.asarray(scatter, dtype=np.float64)
    return array if array.ndim > 1 else np.eye(p) * array


def _floored(
    covariances: NDArray[np.float64], floor: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Covariances of at least diag(floor) in every direction; symmetric."""
    covariances = (covariances + covariances.transpose(0, 2, 1)) / 2
    root = np.sqrt(np.broadcast_to(floor, covariances.shape[-1:]))
    if not root.all():
        return covariances
    values, vectors = np.linalg.eigh(covariances / np.outer(root, root))
    low = values[:, 0] < 1
    if low.any():
        raised = (vectors * np.maximum(values, 1.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
        covariances[low] = (raised * np.outer(root, root))[low]
    return covariances


def _covariance_of(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (p,), and covariance (p, p) of complete rows; of few, the variances alone."""
    mean, variance = moments_of(x)
    complete = x[~np.isnan(x).any(axis=1)]
    covariance = np.diag(variance)
    if complete.shape[0] > 2 * x.shape[1]:
        found = np.cov(complete, rowvar=False, bias=True).reshape(covariance.shape)
        # A little of the diagonal keeps it positive where columns depend on each other.
        covariance = 0.999 * found + 0.001 * np.diag(variance)
    return mean, covariance
