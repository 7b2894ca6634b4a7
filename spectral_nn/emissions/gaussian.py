r"""Real numbers whose columns are independent within a state: Gaussians of diagonal covariances.

Sums and likelihoods are products of matrices in a frame common to all states, in which the mean of
the means is zero and the mean variance one: in the frame, squares of a row lose little to rounding.
`spectral_nn.emissions.gaussian_full` has the Gaussians whose columns are correlated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import ndtr

from spectral_nn.additive import Additive
from spectral_nn.emissions.base import LinearTerms
from spectral_nn.emissions.coordinates import Positive, Real
from spectral_nn.emissions.monomials import precision_for, row_blocks, square_lanes, squares

__all__ = [
    "DiagonalGaussian",
    "GaussianPrior",
    "GaussianSums",
    "SphericalGaussian",
    "between_frames",
    "find_means",
    "has_mass",
    "has_spread",
    "moments_of",
    "normal_cdf",
]

LOG_2_PI = float(np.log(2 * np.pi))

_LEAST_MASS = 2.0**-52  # of all observations: a state with less has none
_LEAST_ROWS = 1e-2  # observations of a state that tell its variance
_LEAST_SHARE = 1e-4  # or this share of all, where weights make them fewer
_MOST_GROWTH = 4.0  # of a variance beyond a step: one without observations would stay there


class GaussianPrior(NamedTuple):
    r"""Normal prior of the means, and of covariances what hmmlearn calls their prior.

    The density is that of ``weight`` observations of total scatter ``scatter``:

    .. math:: \log p = -\tfrac12 \sum_k \bigl[w \log|S_k| + \mathrm{tr}(S_k^{-1}
              (\Psi + w_0 (\mu_k - \mu_0)(\mu_k - \mu_0)^T))\bigr]

    Attributes
    ----------
    means : float or ndarray that broadcasts to (K, p)
        Where means are, mu_0.
    means_weight : float or ndarray that broadcasts to (K, p)
        Observations that this is worth, w_0.
    scatter : float or ndarray
        Psi: broadcasts to (K, p); of correlated columns a number or (p,), which are diagonals, or
        matrices (p, p) or (K, p, p).
    weight : float or ndarray
        w: broadcasts to (K, p); of correlated columns to as many as there are covariances.
    floor : float or ndarray of shape (p,)
        Least variance of each column.
    free : str
        Which of "m" (means) and "c" (covariances) an M-step re-estimates.
    """

    means: NDArray[np.float64] | float = 0.0
    means_weight: NDArray[np.float64] | float = 0.0
    scatter: NDArray[np.float64] | float = 0.0
    weight: NDArray[np.float64] | float = 0.0
    floor: NDArray[np.float64] | float = 0.0
    free: str = "mc"


@dataclass(frozen=True, eq=False)
class GaussianSums(Additive):
    """What an M-step needs, in the frame of the law that gathered it.

    Attributes
    ----------
    weight : ndarray of shape (K, p) or (K,)
        Expected number of observations in each state; of each column where they may be missing.
    first : ndarray of shape (K, p)
        Their expected sum.
    second : ndarray
        Expected sum of squares (K, p), or of products (K, p, p), or of these in all states
        (1, p, p).
    """

    weight: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DiagonalGaussian:
    r"""Columns are independent, ``P(x | h = k) = \prod_j N(x_j; means[k, j], covariances[k, j])``.

    Its prior is a `GaussianPrior`.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (K, p)
        Variances, positive.

    See Also
    --------
    SphericalGaussian
    spectral_nn.emissions.gaussian_full.FullGaussian

    Examples
    --------
    >>> import numpy as np
    >>> law = DiagonalGaussian(np.array([[0.0], [3.0]]), np.array([[1.0], [4.0]]))
    >>> np.exp(law.log_likelihoods(np.array([[0.0], [np.nan]]))).round(4).tolist()
    [[0.3989, 0.0648], [1.0, 1.0]]
    """

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = False

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.means.shape[0]

    @property
    def n_parameters(self) -> int:
        """Those of means and covariances."""
        return self.means.size + self.covariances.size

    @property
    def variances(self) -> NDArray[np.float64]:
        """Variance of each column (K, p)."""
        return self.covariances

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.floating]:
        """Log-densities, in products of matrices: 4 n K p flops."""
        centre, scale = self._frame
        p = x.shape[1]
        terms, dtype = self._weights(centre, scale, dtype)
        terms, whole = terms.astype(dtype), _of_complete_rows(terms).astype(dtype)
        found = np.empty((x.shape[0], self.n_components), dtype=dtype)
        for block in row_blocks(x.shape[0], 2 * p + 1):
            monomials = squares(x[block], centre, scale, dtype)
            complete = monomials.shape[1] == 2 * p + 1
            np.matmul(monomials, whole if complete else terms, out=found[block])
        return found

    def _weights(
        self, centre: NDArray[np.float64], scale: NDArray[np.float64], wanted: DTypeLike
    ) -> tuple[NDArray[np.float64], Any]:
        """Weights (3 p, K) of squares, entries and ones in log-densities; their precision."""
        precision = scale**2 / self.variances
        means = (self.means - centre) / scale
        constant = -0.5 * (means**2 * precision + np.log(self.variances) + LOG_2_PI)
        terms = np.concatenate([-0.5 * precision, means * precision, constant], axis=1).T
        return terms, precision_for(means, precision, wanted)

    def linear_terms(
        self, centre: NDArray[np.float64], scale: NDArray[np.float64], dtype: DTypeLike
    ) -> LinearTerms | None:
        """Squares, columns and a one; None where that precision would lose something."""
        p = self.means.shape[1]
        weights, precision = self._weights(centre, scale, dtype)
        if precision != np.dtype(dtype):
            return None

        def collect(totals: NDArray[np.float64]) -> GaussianSums:
            second, first, weight = np.split(totals, [p, 2 * p], axis=1)
            sums = GaussianSums(np.repeat(weight, p, axis=1), first, second)
            return _between(sums, (centre, scale), self._frame)

        return LinearTerms(_of_complete_rows(weights), square_lanes, collect)

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.floating]) -> GaussianSums:
        """Sums, sums of squares, and expected number of entries seen: 4 n K p flops."""
        centre, scale = self._frame
        p = x.shape[1]
        sums = np.zeros((self.n_components, 3 * p))
        dtype = precision_for((self.means - centre) / scale, scale**2 / self.variances, mass.dtype)
        for block in row_blocks(x.shape[0], 2 * p + 1):
            # The last column of complete rows stands for all p of them.
            found = mass[block].T @ squares(x[block], centre, scale, dtype)
            sums[:, : 2 * p] += found[:, : 2 * p]
            sums[:, 2 * p :] += found[:, 2 * p :]
        second, first, weight = np.split(sums, 3, axis=1)
        return GaussianSums(weight, first, second)

    def reframe(self, sums: GaussianSums, law: Self) -> GaussianSums:
        """Sums that this law has gathered, in the frame of another of its kind."""
        return _between(sums, self._frame, law._frame)

    def maximise(self, sums: GaussianSums, prior: GaussianPrior | None = None) -> Self:
        """Posterior mode of means, and of variances given these; what has no mass stays."""
        prior = prior or GaussianPrior()
        centre, scale = self._frame
        seen = has_spread(sums.weight, prior.weight)
        means = (self.means - centre) / scale
        if "m" in prior.free:
            means = find_means(sums, prior, centre, scale, means)
        covariances = self.covariances
        if "c" in prior.free:
            scatter = sums.second - 2 * means * sums.first + means**2 * sums.weight
            away = means - (prior.means - centre) / scale
            scatter = np.maximum(scatter, 0.0) + prior.means_weight * away**2
            whole = prior.scatter + scatter * scale**2
            covariances = self._variances_from(whole, sums.weight + prior.weight, prior, seen)
        kept = self.means if "m" not in prior.free else means * scale + centre
        return replace(self, means=kept, covariances=covariances)

    def _variances_from(
        self,
        scatter: NDArray[np.float64],
        weight: NDArray[np.float64],
        prior: GaussianPrior,
        seen: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        variances = scatter / np.where(seen, weight, 1.0)
        return np.where(seen, np.maximum(variances, prior.floor), self.covariances)

    def log_prior(self, prior: GaussianPrior | None = None) -> float:
        """Logarithm of the density of `GaussianPrior` up to a constant, nats."""
        prior = prior or GaussianPrior()
        variances = self.variances
        seen = prior.scatter + prior.means_weight * (self.means - prior.means) ** 2
        return float(-0.5 * np.sum(prior.weight * np.log(variances) + seen / variances))

    def relax(self, new: Self, power: float) -> Self:
        """Means beyond `new` in a straight line, variances on a logarithmic scale."""
        with np.errstate(over="ignore", under="ignore"):
            growth = (new.covariances / self.covariances) ** (power - 1)
            covariances = new.covariances * np.minimum(growth, _MOST_GROWTH)
        usable = np.isfinite(covariances) & (covariances > 0)
        return replace(
            self,
            means=self.means + power * (new.means - self.means),
            covariances=np.where(usable, covariances, new.covariances),
        )

    def sample(self, states: NDArray[np.int64], rng: Any) -> NDArray[np.float64]:
        """Draw a row in each state."""
        noise = rng.standard_normal((states.size, self.means.shape[1]))
        return self.means[states] + noise * np.sqrt(self.variances[states])

    def mean(self) -> NDArray[np.float64]:
        """The means (K, p)."""
        return self.means

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normal distribution functions of the columns, (n, K, p)."""
        return normal_cdf(x, self.means, self.variances)

    def coordinates(self) -> dict[str, Real]:
        """Means in units of standard deviations, logarithms of variances."""
        return {"means": Real(np.sqrt(self.variances)), "covariances": Positive()}

    def score(self, sums: GaussianSums) -> dict[str, NDArray[np.float64]]:
        """``sum (x - mean) / variance`` and ``sum ((x - mean)^2 / variance - 1) / 2``."""
        centre, scale = self._frame
        means, variances = (self.means - centre) / scale, self.variances / scale**2
        away = sums.first - means * sums.weight
        scatter = sums.second - means * (sums.first + away)
        each = 0.5 * (scatter / variances - sums.weight)
        return {"means": away / variances / scale, "covariances": self._pool_columns(each)}

    def support(self, sums: GaussianSums) -> dict[str, NDArray[np.float64]]:
        """Observations."""
        weight = np.broadcast_to(sums.weight, self.means.shape)
        return {"means": weight, "covariances": self._pool_columns(weight)}

    def _pool_columns(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """What belongs to each column (K, p), as variances do."""
        return each

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> Self:
        """Mean and variance of each column in every state; 1 where it does not vary."""
        mean, variance = moments_of(x)
        return cls(np.tile(mean, (n_components, 1)), np.tile(variance, (n_components, 1)))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The columns themselves."""
        return x

    @cached_property
    def _frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean of the means, and root of the mean variance, of each column."""
        return self.means.mean(axis=0), np.sqrt(self.variances.mean(axis=0))


@dataclass(frozen=True, eq=False)
class SphericalGaussian(DiagonalGaussian):
    r"""One variance for all columns of a state, ``N(x; means[k], covariances[k] I)``.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (K,)
        Variances, positive.

    See Also
    --------
    DiagonalGaussian
    """

    @property
    def variances(self) -> NDArray[np.float64]:
        """Variance of each column (K, p)."""
        return np.broadcast_to(self.covariances[:, None], self.means.shape)

    def _pool_columns(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each.sum(axis=1)

    def _variances_from(
        self,
        scatter: NDArray[np.float64],
        weight: NDArray[np.float64],
        prior: GaussianPrior,
        seen: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        total = np.where(seen, weight, 0.0).sum(axis=1)
        variances = np.where(seen, scatter, 0.0).sum(axis=1) / np.where(total > 0, total, 1.0)
        variances = np.maximum(variances, np.mean(prior.floor))
        return np.where(seen.any(axis=1), variances, self.covariances)

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int) -> Self:
        """Mean of each column and mean of the variances, in every state."""
        mean, variance = moments_of(x)
        return cls(np.tile(mean, (n_components, 1)), np.full(n_components, variance.mean()))


def moments_of(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (p,) and variance (p,) of what is seen of each column; 0 and 1 where nothing varies."""
    missing = np.isnan(x)
    seen = np.maximum((~missing).sum(axis=0), 1)
    mean = np.where(missing, 0.0, x).sum(axis=0) / seen
    variance = (np.where(missing, 0.0, x - mean) ** 2).sum(axis=0) / seen
    # A column of one number varies by rounding only.
    varies = variance > (1e-12 * np.abs(mean)) ** 2
    return mean, np.where(varies, variance, 1.0)


def _of_complete_rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (3 p, K) of rows that miss nothing, whose p ones are a single one: (2 p + 1, K)."""
    p = weights.shape[0] // 3
    return np.append(weights[: 2 * p], weights[2 * p :].sum(axis=0, keepdims=True), axis=0)


def _between(
    sums: GaussianSums,
    one: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> GaussianSums:
    """Sums of squares from one frame in another."""
    scale, shift = between_frames(one, other)
    first = scale * sums.first
    second = scale**2 * sums.second + 2 * shift * first + shift**2 * sums.weight
    return GaussianSums(sums.weight, first + shift * sums.weight, second)


def between_frames(
    one: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale (p,) and shift (p,) that lead from one frame, a centre and a scale, to another."""
    (centre, scale), (new_centre, new_scale) = one, other
    return scale / new_scale, (centre - new_centre) / new_scale


def find_means(
    sums: GaussianSums,
    prior: GaussianPrior,
    centre: NDArray[np.float64],
    scale: NDArray[np.float64] | float,
    otherwise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mode of the means in the frame."""
    weight = sums.weight if sums.weight.ndim == 2 else sums.weight[:, None]
    total = prior.means_weight + weight
    before = prior.means_weight * ((prior.means - centre) / scale)
    known = has_mass(weight) | (np.asarray(prior.means_weight) > 0)
    return np.where(known, (before + sums.first) / np.where(known, total, 1.0), otherwise)


def has_mass(weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which states (axis 0) have a share of the observations that is more than rounding."""
    return weight > _LEAST_MASS * weight.sum(axis=0)


def has_spread(
    weight: NDArray[np.float64], of_prior: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Which states (axis 0) have observations enough for a variance.

    A prior with scatter and no weight, the default, would have the variance of a state grow as
    one over its mass: of a state that the data are leaving, without bound. Under the default a
    hundredth of an observation leaves it at the variance of all data.
    """
    total = weight.sum(axis=0)
    least = np.minimum(_LEAST_ROWS, _LEAST_SHARE * total)
    return has_mass(weight) & (weight + of_prior > least)


def normal_cdf(
    x: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distribution functions (n, K, p) of columns of means and variances (K, p) at rows (n, p)."""
    return ndtr((x[:, None] - means) / np.sqrt(variances))
