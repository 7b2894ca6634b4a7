r"""Gaussian mixtures from moments: noise is told from means, third moments tell means apart.

With :math:`\tilde\mu_k = W^T (\mu_k - m)`, where W makes the covariance between components white,

.. math:: v_k = \sqrt{w_k}\,(1, \tilde\mu_k), \qquad v_j^T v_k = \delta_{jk}, \qquad
          T = \sum_k w_k^{-1/2}\, v_k^{\otimes 3},

T being the third moments of (1, y) less those of the noise. So K components need K - 1 directions,
and means may lie anywhere in them. Variances of columns of noise follow from what they do to third
moments (Hsu, Kakade, *Learning mixtures of spherical Gaussians*, ITCS 2013, where noise has one
variance a component; Pereira, Kileel, Kolda 2022 for diagonal covariances). Where entries are
missing at random, what stands in for them is noise, too: columns then have less of their means, and
more variance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.table import Table
from spectral_nn.models.base import Start
from spectral_nn.models.mixtures.gaussian import with_ridge
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.models.mixtures.report import MixtureReport
from spectral_nn.moments.mixtures import ThirdMoments, second_moments, third_moments
from spectral_nn.results import RankError
from spectral_nn.runners.base import Runner
from spectral_nn.tensors import diagonalise_tensor

__all__ = ["MomentMixture", "mixture_of_moments", "tensor_start"]

_FACTOR_STEPS = 20  # of factor analysis
_NOISE_STEPS = 2  # of noise in third moments and components by turns
_RANGE = 20.0  # that variances of a component may be of the mean one, or its inverse
_LEAST_WEIGHT = 0.1  # of a component, beside 1 / K
_PROVISIONAL = 2**13  # rows that the centre is found from
_FLOOR = 1e-3  # of the variance of a column: least noise


class MomentMixture(NamedTuple):
    """A mixture as its moments show it.

    Attributes
    ----------
    weights : ndarray of shape (K,)
    means : ndarray of shape (K, p)
    variances : ndarray of shape (K, p)
        Of columns within each component.
    within : ndarray of shape (p, p)
        Mean covariance within components.
    eigenvalues : ndarray of shape (p,)
        Of the covariance of rows in units of the noise; K - 1 stand out above 1.
    edge : float
        What the largest of noise alone would be.
    fault : str
        Why the means cannot be trusted, if they do not stand out of the noise; else empty.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    within: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    edge: float
    fault: str


def tensor_start(
    table: Table, options: MixtureOptions, run: Runner, *, strict: bool = False
) -> tuple[Start[MixtureParameters], MixtureReport]:
    """The start that moments of all rows make, and what they show; as `mixture_of_moments`.

    Of correlated columns all components have the mean covariance.
    """
    sample, K = table.sample(_PROVISIONAL), options.n_components
    kind = options.covariance_type
    law = options.pooled(np.asarray(sample.X, dtype=np.float64))
    noise = "one" if kind == "spherical" else "own"
    found = mixture_of_moments(table, law.means[0], K, noise, run, strict=strict)
    law = replace(law, means=found.means, covariances=_covariances(found, kind))
    law = with_ridge(law, np.full(K, options.ridge))
    report = MixtureReport(eigenvalues=found.eigenvalues, edge=found.edge, fault=found.fault)
    return Start("tensor", MixtureParameters(found.weights, law)), report


def _covariances(found: MomentMixture, covariance_type: str) -> NDArray[np.float64]:
    """Covariances of a type."""
    if covariance_type == "spherical":
        return found.variances.mean(axis=1)
    if covariance_type == "diag":
        return found.variances
    values, vectors = np.linalg.eigh(found.within)
    least = (found.weights @ found.variances).min() / _RANGE
    within = (vectors * np.maximum(values, least)) @ vectors.T
    return within if covariance_type == "tied" else np.tile(within, (found.weights.size, 1, 1))


def mixture_of_moments(
    table: Table,
    centre: NDArray[np.float64],
    n_components: int,
    noise: str,
    run: Runner,
    strict: bool = True,
) -> MomentMixture:
    """Read a mixture off its moments.

    Parameters
    ----------
    table : Rows or ChunkedRows
    centre : ndarray of shape (p,)
        Near the mean.
    n_components : int
        K, at least 2.
    noise : {"one", "own"}
        Whether columns of noise have one variance, or one each.
    run : Runner
    strict : bool
        Whether means have to stand out of the noise.

    Raises
    ------
    RankError
        If X has fewer than K columns, or fewer than K - 1 directions stand out of the noise.

    Notes
    -----
    Two passes: n p^2 and 2 n K (2 p + K^2) flops. Then O(K^4 + p^3) for each step of either loop.
    """
    p, q = centre.size, n_components - 1
    _check_columns(p, n_components)
    seen = second_moments(table, centre, run)
    share = np.maximum(seen.seen / seen.weight, 1e-12)
    mean, covariance = centre + seen.first / seen.seen.clip(1e-300), seen.covariance
    # A column of one number varies by rounding only.
    varies = covariance.diagonal() > (1e-12 * np.abs(mean)) ** 2
    covariance[np.diag_indices(p)] = np.where(varies, covariance.diagonal(), _FLOOR)
    scale = _noise_scale(covariance, q, noise)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    values, vectors = values[::-1], vectors[:, ::-1]
    level = _mean_noise(values, q)
    edge = _noise_edge(seen.n_effective, p)
    fault = _fault(covariance, noise, edge, n_components)
    if strict and fault:
        raise RankError(fault)
    signal = np.sqrt(np.maximum(values[:q] - level, 0.01 * level))
    whitener, unwhitener = vectors[:, :q] / signal, vectors[:, :q] * signal
    sums = third_moments(table, mean, scale, whitener, run)
    if noise == "one" or p - q < np.sqrt(p + q):
        cross = _one_variance(sums, signal, p - q)
        weights, means, V = _components(sums, whitener, cross)
    else:
        weights, means, V, cross = _own_variances(sums, whitener, unwhitener, signal, p - q)
    between = unwhitener @ unwhitener.T * np.outer(scale, scale)
    of_noise = np.concatenate([np.full((p, 1), level), cross], axis=1) @ V / np.sqrt(weights)
    # Missing entries, which stand at the mean, have drawn the means of components to it.
    away = (means @ unwhitener.T) * scale / share
    variances = of_noise.T * scale**2 / share - (1 - share) * away**2
    variances = np.clip(variances, level / _RANGE * scale**2, level * _RANGE * scale**2)
    within = (covariance - between) / np.outer(share, share)
    within[np.diag_indices(p)] = weights @ variances
    return MomentMixture(weights, mean + away, variances, within, values / level, edge, fault)


def _mean_noise(values: NDArray[np.floating], q: int) -> float:
    """Mean of the eigenvalues (falling) beyond q; of columns that are equal what rounding is."""
    return float(max(values[q:].mean(), np.finfo(np.float64).eps * values[0]))


def _noise_scale(covariance: NDArray[np.float64], q: int, noise: str) -> NDArray[np.float64]:
    """Deviations of the noise in columns: of a factor analysis with q factors, or all the same.

    Of noise that is all the same the power of two next to it, so that nothing is rounded.
    """
    total = covariance.diagonal()
    p = total.size
    if noise == "one" or p - q < np.sqrt(p + q):
        return np.full(p, np.exp2(np.round(np.log2(total.mean()) / 2)))
    least = _FLOOR * total
    deviation = np.sqrt(total)
    values = np.linalg.eigvalsh(covariance / np.outer(deviation, deviation))
    psi = np.maximum(total * values[: p - q].mean(), least)
    for _ in range(_FACTOR_STEPS):
        root = np.sqrt(np.maximum(psi, least))
        values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
        loading = (
            vectors[:, p - q :] * np.sqrt(np.maximum(values[p - q :] - 1, 0.0)) * root[:, None]
        )
        before, psi = psi, np.maximum(total - (loading**2).sum(axis=1), least)
        if np.abs(psi - before).max() <= 1e-3 * psi.max():
            break
    return np.sqrt(psi)


def _one_variance(
    sums: ThirdMoments, signal: NDArray[np.float64], n_noise: int
) -> NDArray[np.float64]:
    """``sum_k w_k D_ki mu_k`` (p, q) where noise has one variance: of directions without means."""
    cross, third = sums.cross / sums.weight, sums.third / sums.weight
    inside = np.einsum("a,aac->c", signal**2, third)
    return np.tile((cross.sum(axis=0) - inside) / n_noise, (cross.shape[0], 1))


def _own_variances(
    sums: ThirdMoments,
    whitener: NDArray[np.float64],
    unwhitener: NDArray[np.float64],
    signal: NDArray[np.float64],
    n_noise: int,
) -> tuple[NDArray[np.float64], ...]:
    """Components, and the noise of each column in third moments, by turns from one variance."""
    cross = _one_variance(sums, signal, n_noise)
    for _ in range(_NOISE_STEPS):
        weights, means, V = _components(sums, whitener, cross)
        squares = (means @ unwhitener.T) ** 2
        rest = sums.cross / sums.weight - (squares * weights[:, None]).T @ means
        # Noise of column i is in y, too: what is left is (I + 2 w_i b_i^T) times what is sought.
        along = (unwhitener * rest).sum(axis=1) / (1 + 2 * (unwhitener * whitener).sum(axis=1))
        cross = rest - 2 * whitener * along[:, None]
    return weights, means, V, cross


def _components(
    sums: ThirdMoments, whitener: NDArray[np.float64], cross: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K,), white means (K, q) and orthonormal vectors (K, K), in columns."""
    q = whitener.shape[1]
    noise = np.einsum("ia,ib,ic->abc", whitener, whitener, cross, optimize=True)
    T = np.zeros((q + 1, q + 1, q + 1))
    T[0, 0, 0] = 1.0
    T[0, 1:, 1:] = T[1:, 0, 1:] = T[1:, 1:, 0] = np.eye(q)
    T[1:, 1:, 1:] = sums.third / sums.weight
    T[1:, 1:, 1:] -= noise + noise.transpose(0, 2, 1) + noise.transpose(2, 1, 0)
    found = diagonalise_tensor(T)
    V = found.vectors[0] * np.where(found.vectors[0][0] < 0, -1.0, 1.0)
    weights = np.maximum(V[0] ** 2, _LEAST_WEIGHT / (q + 1))
    return weights / weights.sum(), (V[1:] / np.sqrt(weights)).T, V


def _noise_edge(n: float, p: int) -> float:
    """Largest eigenvalue of n rows of white noise, in about 98 of 100 draws.

    Johnstone, *On the distribution of the largest eigenvalue in principal components analysis*,
    Annals of Statistics 2001: the law of Tracy and Widom, whose quantile is 2.
    """
    size = np.sqrt(n) + np.sqrt(p)
    return float((size**2 + 2 * size * (n**-0.5 + p**-0.5) ** (1 / 3)) / n)


def _check_columns(p: int, n_components: int) -> None:
    """Check that means leave a direction to noise."""
    if p < n_components:
        raise RankError(
            f"n_components={n_components} is more than the {p} columns of X: moments tell as many "
            "components apart as there are columns, at the most. Use init_params='kmeans', or "
            f"n_components={p}."
        )


def _fault(covariance: NDArray[np.float64], noise: str, edge: float, n_components: int) -> str:
    """What is wrong if fewer than K - 1 eigenvalues stand out of the noise of K - 2 directions."""
    q = n_components - 1
    scale = _noise_scale(covariance, q - 1, noise)
    values = np.linalg.eigvalsh(covariance / np.outer(scale, scale))[::-1]
    n_found = q
    while n_found and values[n_found - 1] <= edge * values[n_found - 1 :].mean():
        n_found -= 1
    if n_found == q:
        return ""
    shown = ", ".join(f"{value:.3g}" for value in values[: q + 1] / _mean_noise(values, q))
    return (
        f"The means of n_components={n_components} components span {q} directions, but only "
        f"{n_found} stand out of the noise in X: the eigenvalues of its covariance, over that of "
        f"the noise, are {shown}, and noise alone reaches {edge:.3g}. The means may lie in a line "
        "or a plane, or be too near to each other for so few rows. Use "
        f"n_components={n_found + 1}, more rows, or init_params='kmeans'."
    )
