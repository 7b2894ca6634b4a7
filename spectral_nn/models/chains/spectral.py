"""Hidden Markov models from moments: decomposition starts, without any likelihood.

The chain of reasoning: cross moments of past and future have rank K; whitened by them, the
moments with each symbol in between have common eigenvectors, ``M(v) = R diag(B[:, v]) R^-1``;
their eigenvalues give B, and a convex fit of the bigrams gives the transitions
(Hsu, Kakade, Zhang 2009; Anandkumar, Hsu, Kakade 2012; Anandkumar et al. 2014).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.diagonal import Diagonalised, diagonalise
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.moments.past_future import past_future
from spectral_nn.tensors import cp_als, project_simplex, whiten_cross

_FLOOR = 1e-3  # singular values are floored at this share of the first
_EXTRA = 10  # singular values kept beyond K, for the spectrum
_MOST_SMOOTHING = 1e-2


@dataclass(frozen=True, eq=False)
class WhitenedMoments:
    """Observable operators in K dimensions.

    Attributes
    ----------
    singular_values : (K + 10,) of the cross moment of past and future, or as many as it has.
    operators : (d, K, K), summing to the identity where no singular value is floored.
    """

    singular_values: NDArray[np.float64]
    operators: NDArray[np.float64]

    @property
    def sigma_ratio(self) -> float:
        """K-th singular value over the first: how well-conditioned the decomposition is."""
        n_components = self.operators.shape[1]
        return float(self.singular_values[n_components - 1] / self.singular_values[0])


class Views(Protocol):
    """A description of past, present and future, see `past_future` and `wide_windows`."""

    def cross_moment(self) -> NDArray:
        """``H = E[f p^T]``, dense or sparse."""

    def observable_operators(self, left: NDArray, right: NDArray) -> NDArray:
        """``M(v) = E[1(x = v) (left^T f)(right^T p)^T]``, (d, K, K)."""


def whitened_moments(
    counts: NgramCounts, n_components: int, rng: np.random.Generator
) -> WhitenedMoments:
    """Whitened moments of n-grams of odd order, see `whiten_views`."""
    return whiten_views(past_future(counts), n_components, rng)


def whiten_views(
    views: Views, n_components: int, rng: np.random.Generator, floor: float = _FLOOR
) -> WhitenedMoments:
    """Whiten past and future and move the operators of every symbol into K dimensions.

    With the SVD ``H = U S V^T`` of the cross moment, cut at K and floored, the operators are
    ``M(v) = E[1(x = v) (S^-1/2 U^T f)(S^-1/2 V^T p)^T]``.

    Parameters
    ----------
    views : of the data.
    n_components : K.
    rng : seeds the randomised SVD.
    floor : least singular value, as a share of the first.

    Raises
    ------
    ValueError
        When the views cannot carry K components: fewer features than K.

    Notes
    -----
    O(U K^2) time for U distinct windows, after a randomised SVD (Halko, Martinsson, Tropp 2011).
    """
    moment = views.cross_moment()
    most = min(moment.shape)
    if most < n_components:
        raise ValueError(
            f"n_components={n_components} needs as many features of past and future, but the data "
            f"have {most}. Lower n_components or give more data."
        )
    seed = int(rng.integers(2**31))
    wanted = min(n_components + _EXTRA, most)
    u, s, vt = randomized_svd(moment, wanted, n_iter=4, random_state=seed)
    left, right = whiten_cross(
        u[:, :n_components], s[:n_components], vt[:n_components], floor=floor
    )
    return WhitenedMoments(s, views.observable_operators(left, right))


def emissions(
    found: Diagonalised, counts: NgramCounts, rng: np.random.Generator, n_iter: int
) -> NDArray[np.float64]:
    """Emissions (K, d) of diagonalised operators: alternating least squares, then the simplex.

    Parameters
    ----------
    found : of the moments.
    counts : with the symbols that were seen.
    rng : for what least squares may have to draw.
    n_iter : most iterations.

    Notes
    -----
    6 m K^3 flops an iteration.
    """
    core, basis = found.core, found.joint.basis
    n_components = core.shape[1]
    common = np.trace(core, axis1=1, axis2=2) / n_components
    diagonals = found.joint.eigenvalues + common[:, None]
    with suppress(np.linalg.LinAlgError):  # of a handful of symbols whose core has no rank K
        diagonals = cp_als(
            core.transpose(1, 2, 0),
            n_components,
            init=[basis, np.linalg.pinv(basis).T, diagonals],
            n_iter=n_iter,
            rng=rng,
        ).vectors[2]
    seen = counts.symbols > 0
    emission = np.zeros((n_components, counts.n_symbols))
    emission[:, seen] = _rows_on_simplex((found.back[seen] @ diagonals).T)
    return emission


def decompose(
    moments: WhitenedMoments,
    counts: NgramCounts,
    rng: np.random.Generator,
    n_updates: int = N_UPDATES,
    n_iter: int = 100,
) -> HMMParameters:
    """Read a model off whitened moments: `diagonalise`, `emissions`, `fit_transitions`.

    Parameters
    ----------
    moments : d operators of size K.
    counts : the windows they come from.
    rng : draws the random combinations of Jennrich's algorithm.
    n_updates : most updates of `fit_transitions`; a start that EM goes on from needs few.
    n_iter : most iterations of alternating least squares.

    Returns
    -------
    HMMParameters without zeros; the order of the states is arbitrary.
    """
    emission = emissions(diagonalise(moments.operators, counts, rng), counts, rng, n_iter)
    share = smoothing(counts)
    emission = (1 - share) * emission + share * counts.frequency
    return without_zeros(fit_transitions(emission, counts, n_updates), share)


def fit_startprob(parameters: HMMParameters, counts: NgramCounts, n_iter: int = 100) -> NDArray:
    """Distribution of the first state by the convex fit of the first symbols of the sequences.

    Maximises ``sum_v f_v log (B^T pi)_v`` with one pseudo-sequence that starts as `parameters`
    say: by EM, ``pi <- pi * (B (f / (B^T pi))) + prior``, normalised.  O(n_iter K d).

    Parameters
    ----------
    parameters : emissions B, and a rough `startprob` such as the distribution of any state.
    counts : with the counts f of first symbols.

    Returns
    -------
    (K,) probabilities.
    """
    seen = counts.first > 0
    emission, first = parameters.emission.probs[:, seen], counts.first[seen]
    startprob = prior = parameters.startprob
    for _ in range(n_iter):
        predicted = startprob @ emission
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.divide(first, predicted, out=np.zeros(first.size), where=predicted > 0)
            moved = startprob * (emission @ ratio) + prior
        total = moved.sum()
        if not 0 < total < np.inf:  # emissions under which a first symbol is next to impossible
            break
        startprob = moved / total
    return startprob


def smoothing(counts: NgramCounts) -> float:
    """Share of a broad distribution mixed into decomposed ones: as large as their own error.

    ``min(0.01, n^-1/2)`` for n tokens that are not missing.
    """
    return min(_MOST_SMOOTHING, max(counts.n_tokens, 1) ** -0.5)


def without_zeros(parameters: HMMParameters, share: float) -> HMMParameters:
    """Mix a uniform share into starts and transitions: EM cannot leave a zero.

    Every p of the two is replaced by ``(1 - share) p + share / K``.
    """
    uniform = 1 / parameters.n_components
    return replace(
        parameters,
        startprob=(1 - share) * parameters.startprob + share * uniform,
        transmat=(1 - share) * parameters.transmat + share * uniform,
    )


def _rows_on_simplex(loadings: NDArray) -> NDArray:
    """Rows up to scale and sign -> probability vectors."""
    total = loadings.sum(axis=1, keepdims=True)
    usable = np.abs(total) > 1e-9 * np.abs(loadings).sum(axis=1, keepdims=True)
    return project_simplex(loadings / np.where(usable, total, np.inf))
