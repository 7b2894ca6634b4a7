"""Real numbers of which each state has several kinds: mixtures of Gaussians.

A mixture holds its Gaussians as the law of K M states, part m of state k at ``k M + m``; so every
kind of covariance will do, and missing entries are what they are to that law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.additive import Additive
from spectral_nn.compiled import Compiled
from spectral_nn.emissions.coordinates import Real, Simplex
from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior, GaussianSums
from spectral_nn.emissions.gaussian_full import FullGaussian
from spectral_nn.emissions.simplex import log_dirichlet, maximise_rows, relax_rows, score_rows

__all__ = ["GaussianMixtureEmission", "GroupedGaussian", "MixturePrior", "MixtureSums"]

_LEAST_MASS = 1e-100  # of a row in a part: what is divided by less may overflow


class MixturePrior(NamedTuple):
    """Dirichlet prior of weights, and the prior of the Gaussians.

    Attributes
    ----------
    pseudo : float or ndarray that broadcasts to (K, M)
        Pseudo-counts of weights, ``alpha - 1``.
    components : GaussianPrior
        Of K M states.
    keep_weights : bool
        Whether an M-step leaves weights as they are.
    """

    pseudo: NDArray[np.float64] | float = 0.0
    components: GaussianPrior = GaussianPrior()
    keep_weights: bool = False


@dataclass(frozen=True, eq=False)
class MixtureSums(Additive):
    """What an M-step needs.

    Attributes
    ----------
    counts : ndarray of shape (K, M)
        Expected number of observations of each part.
    components : GaussianSums
        What the Gaussians gathered.
    """

    counts: NDArray[np.float64]
    components: GaussianSums


@dataclass(frozen=True, eq=False)
class GaussianMixtureEmission:
    r"""``P(x | h = k) = \sum_m weights[k, m] N(x; means[k, m], covariances[k, m])``.

    Its prior is a `MixturePrior`.

    Parameters
    ----------
    weights : ndarray of shape (K, M)
        Rows sum to one.
    components : law of K M states
        `DiagonalGaussian`, `SphericalGaussian`, `FullGaussian` or `GroupedGaussian`.

    See Also
    --------
    spectral_nn.emissions.gaussian.DiagonalGaussian

    Examples
    --------
    >>> import numpy as np
    >>> parts = DiagonalGaussian(np.array([[-1.0], [1.0], [0.0], [9.0]]), np.ones((4, 1)))
    >>> law = GaussianMixtureEmission(np.array([[0.5, 0.5], [0.9, 0.1]]), parts)
    >>> np.exp(law.log_likelihoods(np.array([[0.0], [np.nan]]))).round(4).tolist()
    [[0.242, 0.359], [1.0, 1.0]]
    """

    weights: NDArray[np.float64]
    components: Any

    rows: ClassVar[bool] = True
    correlated: ClassVar[bool] = True

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.weights.shape[0]

    @property
    def n_parts(self) -> int:
        """Number of Gaussians in each state, M."""
        return self.weights.shape[1]

    @property
    def n_parameters(self) -> int:
        """Those of the Gaussians; of weights M - 1, which is how hmmlearn counts them."""
        return self.components.n_parameters + self.n_parts - 1

    def log_likelihoods(
        self, x: NDArray[np.float64], dtype: DTypeLike = np.float64
    ) -> NDArray[np.floating]:
        """Log-densities; what those of K M Gaussians cost, and as many exponentials."""
        return self._share_out(x, dtype)[0]

    def gather(self, x: NDArray[np.float64], mass: NDArray[np.floating]) -> MixtureSums:
        """Sums of each part, which has of a row what its responsibility says."""
        parts = self._share_out(x, mass.dtype)[1]
        parts *= mass[:, :, None]
        parts[parts < _LEAST_MASS] = 0.0
        return self.gather_parts(x, parts)

    def gather_parts(self, x: NDArray[np.float64], mass: NDArray[np.floating]) -> MixtureSums:
        """Sums where `mass` (n, K, M) says how much of each row belongs to each part."""
        components = self.components.gather(x, mass.reshape(-1, self.weights.size))
        return MixtureSums(mass.sum(axis=0, dtype=np.float64), components)

    def reframe(self, sums: MixtureSums, law: Self) -> MixtureSums:
        """Sums that this law has gathered, in the frame of another of its kind."""
        components = self.components.reframe(sums.components, law.components)
        return MixtureSums(sums.counts, components)

    def maximise(self, sums: MixtureSums, prior: MixturePrior | None = None) -> Self:
        """Posterior mode of weights and of the Gaussians; a part without mass keeps its own."""
        prior = prior or MixturePrior()
        weights, components = self.weights, self.components
        if not prior.keep_weights:
            weights = maximise_rows(sums.counts, prior.pseudo, weights)
        if prior.components.free:
            components = components.maximise(sums.components, prior.components)
        return replace(self, weights=weights, components=components)

    def log_prior(self, prior: MixturePrior | None = None) -> float:
        """Logarithm of the densities of Dirichlet and `GaussianPrior` up to a constant, nats."""
        prior = prior or MixturePrior()
        dirichlet = log_dirichlet(self.weights, prior.pseudo)
        return dirichlet + self.components.log_prior(prior.components)

    def relax(self, new: Self, power: float) -> Self:
        """Weights as `spectral_nn.emissions.simplex.relax_rows` says, the rest as its law does."""
        weights = relax_rows(self.weights, new.weights, power)
        components = new.components
        if components is not self.components:
            components = self.components.relax(components, power)
        return replace(self, weights=weights, components=components)

    def sample(self, states: NDArray[np.int64], rng: Any) -> NDArray[np.float64]:
        """Draw a part in each state, and a row of it."""
        below = np.cumsum(self.weights, axis=1)[states, :-1]
        part = (rng.uniform(size=states.size)[:, None] >= below).sum(axis=1)
        return self.components.sample(states * self.n_parts + part, rng)

    def mean(self) -> NDArray[np.float64]:
        """Weighted means (K, p)."""
        means = self.components.mean().reshape(*self.weights.shape, -1)
        return (self.weights[:, :, None] * means).sum(axis=1)

    def cdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted distribution functions of the columns, (n, K, p)."""
        each = self.components.cdf(x).reshape(len(x), *self.weights.shape, -1)
        return (self.weights[:, :, None] * each).sum(axis=2)

    def coordinates(self) -> dict[str, Real]:
        """Logits of weights; those of the Gaussians."""
        return {"weights": Simplex(), **_inner(self.components.coordinates())}

    def score(self, sums: MixtureSums) -> dict[str, NDArray[np.float64]]:
        """See `spectral_nn.emissions.simplex.score_rows`; that of the Gaussians."""
        inner = _inner(self.components.score(sums.components))
        return {"weights": score_rows(sums.counts, self.weights), **inner}

    def support(self, sums: MixtureSums) -> dict[str, NDArray[np.float64]]:
        """Observations of each part."""
        return {"weights": sums.counts, **_inner(self.components.support(sums.components))}

    @classmethod
    def pooled(
        cls,
        x: NDArray[np.float64],
        n_components: int,
        n_parts: int = 1,
        components: Callable[[NDArray[np.float64], int], Any] = DiagonalGaussian.pooled,
    ) -> Self:
        """One Gaussian of all rows for every part of every state; `components` makes it."""
        weights = np.full((n_components, n_parts), 1 / n_parts)
        return cls(weights, components(x, n_components * n_parts))

    def features(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The columns themselves."""
        return x

    def _share_out(
        self, x: NDArray[np.float64], dtype: DTypeLike
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Log-densities (n, K), and responsibilities of the parts (n, K, M)."""
        joint = self.components.log_likelihoods(x, dtype)
        with np.errstate(divide="ignore"):
            joint += np.log(self.weights).ravel()
        parts = joint.reshape(-1, *self.weights.shape)
        found = np.empty(parts.shape[:2], dtype=parts.dtype)
        _normalise(parts, found)
        return found, parts


def _inner(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of the Gaussians by their names in the mixture."""
    return {f"components.{name}": value for name, value in fields.items()}


@Compiled
def _normalise(parts, totals):
    """Turn logarithms (n, K, M) into shares, in place, and write those of sums."""
    n, n_components, n_parts = parts.shape
    for i in range(n):
        for k in range(n_components):
            part = parts[i, k]
            largest = part[0]
            for m in range(1, n_parts):
                largest = max(largest, part[m])
            total = 0.0
            for m in range(n_parts):
                part[m] = np.exp(part[m] - largest)
                total += part[m]
            for m in range(n_parts):
                part[m] /= total
            totals[i, k] = largest + np.log(total)


@dataclass(frozen=True, eq=False)
class GroupedGaussian(FullGaussian):
    """Neighbouring states share a covariance, ``N(x; means[k], covariances[k // (K / G)])``.

    Parameters
    ----------
    means : ndarray of shape (K, p)
    covariances : ndarray of shape (G, p, p)
        Symmetric, positive definite; of G groups of equal size.

    See Also
    --------
    spectral_nn.emissions.gaussian_full.TiedGaussian : One group.
    """

    def _spread(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.repeat(kept, len(self.means) // len(kept), axis=0)

    def _pool(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each.reshape(len(self.covariances), -1, *each.shape[1:]).sum(axis=1)

    @classmethod
    def pooled(cls, x: NDArray[np.float64], n_components: int, size: int = 1) -> Self:
        """Mean and covariance of complete rows, in groups of `size` states."""
        each = FullGaussian.pooled(x, n_components)
        return cls(each.means, each.covariances[::size])
