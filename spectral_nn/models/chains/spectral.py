"""Hidden Markov models from moments: decomposition starts, without any likelihood.

The chain of reasoning: cross moments of past and future have rank K; whitened by them, the
moments with each symbol in between have common eigenvectors, ``M(v) = R diag(B[:, v]) R^-1``;
their eigenvalues give B, and a convex fit of the bigrams gives the transitions
(Hsu, Kakade, Zhang 2009; Anandkumar, Hsu, Kakade 2012; Anandkumar et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.moments.past_future import past_future
from spectral_nn.tensors import cp_als, jennrich, project_simplex, whiten_cross

_FLOOR = 1e-3  # singular values are floored at this share of the first
_EXTRA = 10  # singular values kept beyond K, for the spectrum
_MOST_SMOOTHING = 1e-2
_MOST_SLICES = 64  # that operators are compressed to


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


def whitened_moments(
    counts: NgramCounts, n_components: int, rng: np.random.Generator
) -> WhitenedMoments:
    """Whiten past and future and move the operators of every symbol into K dimensions.

    With the SVD ``H = U S V^T`` of the cross moment, cut at K and floored, the operators are
    ``M(v) = E[1(x = v) (S^-1/2 U^T f)(S^-1/2 V^T p)^T]``.

    Parameters
    ----------
    counts : windows of odd order.
    n_components : K.
    rng : seeds the randomised SVD.

    Raises
    ------
    ValueError
        When the windows cannot carry K components: fewer features than K.

    Notes
    -----
    O(U K^2) time for U distinct windows, after a randomised SVD (Halko, Martinsson, Tropp 2011).
    """
    views = past_future(counts)
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
        u[:, :n_components], s[:n_components], vt[:n_components], floor=_FLOOR
    )
    return WhitenedMoments(s, views.observable_operators(left, right))


def decompose(
    moments: WhitenedMoments,
    counts: NgramCounts,
    rng: np.random.Generator,
    n_updates: int = N_UPDATES,
    n_iter: int = 100,
) -> HMMParameters:
    """Read a model off whitened moments: Jennrich, alternating least squares, simplex, bigrams.

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

    Notes
    -----
    The d operators are compressed to m = min(2K, 64) first: 2 d K^2 min(d, K^2) flops for that,
    then 6 m K^3 an iteration, and a `fit_transitions`.
    """
    frequency = counts.symbols / max(counts.symbols.sum(), 1)
    seen = frequency > 0
    scale = np.sqrt(frequency[seen])
    n_components = moments.operators.shape[1]
    stacked = (moments.operators[seen] / scale[:, None, None]).reshape(seen.sum(), -1)
    left = leading_left_vectors(stacked, min(2 * n_components, _MOST_SLICES))
    core = (left.T @ stacked).reshape(-1, n_components, n_components)
    start = jennrich(core, rng=rng)
    inverse = np.linalg.pinv(start.basis)
    try:
        diagonals = cp_als(
            core.transpose(1, 2, 0),
            n_components,
            init=[start.basis, inverse.T, start.eigenvalues],
            n_iter=n_iter,
            rng=rng,
        ).vectors[2]
    except np.linalg.LinAlgError:  # a handful of symbols whose core has no rank K
        diagonals = start.eigenvalues
    loadings = scale[:, None] * (left @ diagonals)
    emission = np.zeros((n_components, counts.n_symbols))
    emission[:, seen] = _rows_on_simplex(loadings.T)
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


def leading_left_vectors(matrix: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Leading left singular vectors, from the eigenvectors of the smaller Gram matrix.

    Parameters
    ----------
    matrix : (r, c).
    n : vectors wanted.

    Returns
    -------
    (r, min(n, rank)) orthonormal columns; singular values below 1e-7 of the first count as none.

    Notes
    -----
    2 r c min(r, c) flops, all of them products of matrices: a full SVD takes ten times as long.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    gram = matrix.T @ matrix if tall else matrix @ matrix.T
    values, vectors = np.linalg.eigh(gram)
    leading = np.flatnonzero(values > 1e-14 * values[-1])[::-1][:n]
    vectors = vectors[:, leading]
    return matrix @ (vectors / np.sqrt(values[leading])) if tall else vectors


def _rows_on_simplex(loadings: NDArray) -> NDArray:
    """Rows up to scale and sign -> probability vectors."""
    total = loadings.sum(axis=1, keepdims=True)
    usable = np.abs(total) > 1e-9 * np.abs(loadings).sum(axis=1, keepdims=True)
    return project_simplex(loadings / np.where(usable, total, np.inf))
