"""The mixture as a latent-variable model: its E-step, M-step and priors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.additive import Additive
from spectral_nn.data.rows import Rows, by_blocks
from spectral_nn.emissions import LosingEmission, RowEmission
from spectral_nn.emissions.simplex import log_dirichlet, maximise_rows, relax_rows, restore_rows

__all__ = ["MixtureModel", "MixtureParameters", "MixtureStatistics", "log_joint", "posterior"]


@dataclass(frozen=True, eq=False)
class MixtureParameters:
    r"""A mixture of K laws, :math:`P(x) = \sum_k w_k\, P(x \mid h = k)`.

    Attributes
    ----------
    weights : ndarray of shape (K,)
        Probability of each component.
    emission : RowEmission
        Law of a row in each component.
    """

    weights: NDArray[np.float64]
    emission: RowEmission

    @property
    def n_components(self) -> int:
        """Number of components, K."""
        return self.weights.shape[0]

    @property
    def n_parameters(self) -> int:
        """Free parameters, as AIC and BIC count them."""
        return self.weights.size - 1 + self.emission.n_parameters


@dataclass(frozen=True, eq=False)
class MixtureStatistics(Additive):
    """Sums over rows that an M-step needs.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        Expected weight of the rows of each component.
    sums : Any
        What the law gathered.
    log_likelihood : float
        Nats.
    """

    counts: NDArray[np.float64]
    sums: Any
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class MixtureModel:
    """A `spectral_nn.models.base.LatentModel` of tables of rows, NaN where missing.

    Attributes
    ----------
    emission_prior : Any
        Of the law, as its `maximise` takes it.
    concentration : float
        Dirichlet concentration of the weights; 1 is flat.
    dtype : dtype
        Working precision of E-steps, where the law allows for it; sums are float64.
    """

    emission_prior: Any = None
    concentration: float = 1.0
    dtype: DTypeLike = np.float64

    def statistic(self, parameters: MixtureParameters, chunk: Rows) -> MixtureStatistics:
        """E-step of a chunk: rows count by their weight."""
        return _expect(chunk, parameters, self.dtype)

    def maximise(
        self, statistics: MixtureStatistics, parameters: MixtureParameters
    ) -> MixtureParameters:
        """M-step of the weights and of the law."""
        pseudo = np.full((1, parameters.n_components), self.concentration - 1.0)
        weights = maximise_rows(statistics.counts[None], pseudo, parameters.weights[None])[0]
        emission = self.maximise_law(statistics.sums, statistics.counts, parameters.emission)
        return MixtureParameters(weights, emission)

    def maximise_law(self, sums: Any, counts: NDArray[np.float64], law: Any) -> Any:
        """M-step of a law, from what it gathered and the expected weight of each state's rows."""
        return law.maximise(sums, self.emission_prior)

    def log_prior(self, parameters: MixtureParameters) -> float:
        """Logarithm of the prior density up to a constant, nats."""
        pseudo = np.full((1, parameters.n_components), self.concentration - 1.0)
        of_weights = log_dirichlet(parameters.weights[None], pseudo)
        return of_weights + parameters.emission.log_prior(self.emission_prior)

    def relax(
        self, old: MixtureParameters, new: MixtureParameters, power: float
    ) -> MixtureParameters:
        """Reach beyond an M-step: weights on a logarithmic scale, the law as it does."""
        weights = relax_rows(old.weights[None], new.weights[None], power)[0]
        return MixtureParameters(weights, old.emission.relax(new.emission, power))

    def judge(self, parameters: MixtureParameters, chunk: Rows) -> float:
        """Log-likelihood of rows that a race holds out, nats."""
        return float(self.statistic(parameters, chunk).log_likelihood)

    def restore(self, old: MixtureParameters, new: MixtureParameters) -> MixtureParameters:
        """What EM on a sample has made impossible, and was not, is all but impossible."""
        before: Any = old.emission
        emission: Any = new.emission
        if isinstance(emission, LosingEmission):
            emission = emission.restore(before)
        return replace(new, weights=restore_rows(old.weights, new.weights), emission=emission)


@by_blocks
def _expect(rows: Rows, parameters: MixtureParameters, dtype: DTypeLike) -> MixtureStatistics:
    """Posteriors of rows, and what an M-step needs of them."""
    x = np.asarray(rows.X, dtype=np.float64)
    weight = np.asarray(rows.weight, dtype=np.float64)
    mass: Any
    mass, total = posterior(log_joint(parameters, x, dtype))
    mass *= weight[:, None].astype(mass.dtype)
    sums = parameters.emission.gather(x, mass)
    counted = weight > 0
    return MixtureStatistics(
        mass.sum(axis=0, dtype=np.float64), sums, float(weight[counted] @ total[counted])
    )


def posterior(
    joint: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Posteriors (n, K) from logarithms of joint probabilities, and those of their sums (n,).

    Of an impossible row, whose sum is -inf, all posteriors are 0.
    """
    largest = joint.max(axis=1)
    mass = np.exp(joint - np.where(largest > -np.inf, largest, 0.0)[:, None])
    total = mass.sum(axis=1)
    mass /= np.where(total > 0, total, 1.0)[:, None]
    with np.errstate(divide="ignore"):
        return mass, np.where(total > 0, np.log(total) + largest, -np.inf)


def log_joint(
    parameters: MixtureParameters, x: NDArray[np.float64], dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Logarithm of ``weights[k] P(x_i | h = k)`` of rows x (n, p), (n, K), nats.

    Of what is missing the marginal. In single precision where `dtype` and the law allow for it.
    """
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    found = parameters.emission.log_likelihoods(x, dtype)
    return found + log_weights.astype(found.dtype)
