r"""Hidden Markov models of large alphabets from anchors: symbols that one state alone emits.

Of thousands of symbols (words) most belong to few states, and for every state there is one, an
anchor, that belongs to no other.  By its contexts an anchor shows what its state is like, and those
of any other symbol x are a mixture of the anchors' contexts, with weights ``P(h | x)``:

1. Contexts of every symbol, projected: ``S = D_x^{-1/2} \sqrt{C} D_c^{-1/2}``, its leading K left
   singular vectors, rows of unit length (a canonical correlation analysis of square roots).
2. Anchors: rows of frequent symbols that stick out of the plane through the others.
3. Every row as a convex combination of the anchors' rows, by least squares.
4. ``P(x | h) \propto P(h | x) P(x)``; transitions by the convex fit of the bigrams.

Most weights are zero: each symbol keeps few states, and EM from there is on this support.

Stratos, Collins, Hsu, *Unsupervised part-of-speech tagging with anchor hidden Markov models*,
TACL 4 (2016), algorithm 2; the projection: Stratos, Collins, Hsu, *Model-based word embeddings from
decompositions of count matrices*, ACL (2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from spectral_nn.compiled import Compiled
from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.spectral import smoothing, without_zeros
from spectral_nn.moments.ngrams import NgramCounts

__all__ = [
    "anchor_start",
    "choose_anchors",
    "convex_weights",
    "default_lags",
    "embed_contexts",
    "find_candidates",
]

_SMOOTHING = 10.0  # added to counts of symbols and of contexts: rare ones say little
_FEATURES = 0.1  # length of a symbol's own features, in that of its contexts
_MANY_TOKENS = 300_000
_CANDIDATES = 300  # frequent symbols of which anchors are chosen
_PASSES = 5  # of the randomised SVD
_DEPENDENT = 1e-9  # length of what is left of a row that adds nothing
_SWEEPS = 2  # in which every anchor is chosen anew
_MOST_SWEPT = 100  # anchors; sweeps over more cost as much as a fit, K^4
_STEPS = 500
_TOL = 1e-6


def anchor_start(
    embedding: NDArray[np.float64],
    n_components: int,
    counts: NgramCounts,
    n_updates: int = N_UPDATES,
) -> HMMParameters:
    """Read a model off the projected contexts of symbols; steps 2 to 4 above.

    Parameters
    ----------
    embedding : ndarray of shape (d, n)
        Of `embed_contexts`.
    n_components : int
        K.
    counts : NgramCounts
    n_updates : int
        Most updates of `fit_transitions`; a start that EM goes on from needs few.

    Returns
    -------
    HMMParameters
        Emissions are zero where a symbol does not belong to a state; a symbol without contexts
        belongs to all.

    Raises
    ------
    ValueError
        If fewer than K candidates differ in their contexts.

    Notes
    -----
    d K (n + n_steps) flops, a choice of anchors, and a `fit_transitions`.
    """
    candidates = find_candidates(counts.symbols, n_components)
    candidates = candidates[embedding[candidates].any(axis=1)]
    anchors = choose_anchors(embedding, candidates, counts.symbols, n_components)
    if anchors.size < n_components:
        raise ValueError(
            f"n_components={n_components} states need as many frequent symbols whose contexts "
            f"differ; there are {anchors.size}."
        )
    weights = convex_weights(embedding, anchors)
    weights[~embedding.any(axis=1)] = 1 / n_components
    emission = weights.T * counts.frequency
    emission /= emission.sum(axis=1, keepdims=True)
    return without_zeros(fit_transitions(emission, counts, n_updates), smoothing(counts))


def embed_contexts(
    contexts: sparse.csr_array,
    n_components: int,
    rng: np.random.Generator,
    features: sparse.csr_array | None = None,
) -> NDArray[np.float64]:
    r"""Project the contexts of symbols to K dimensions.

    Parameters
    ----------
    contexts : csr_array of shape (d, c)
        Counts C.
    n_components : int
        K.
    rng : Generator
        Seeds the randomised SVD.
    features : csr_array of shape (d, f), optional
        What else is known of each symbol, such as its spelling; a row counts for a tenth of the
        contexts' row.

    Returns
    -------
    ndarray of shape (d, min(K, d))
        Rows of unit length; zero where a symbol has no context.

    Notes
    -----
    5 passes of the SVD at 4 nnz K flops each.
    """
    roots = contexts.sqrt()
    rows = (contexts.sum(axis=1) + _SMOOTHING) ** -0.25
    columns = (contexts.sum(axis=0) + _SMOOTHING) ** -0.25
    scaled = sparse.diags_array(rows) @ roots @ sparse.diags_array(columns)
    if features is not None:
        length = np.sqrt(scaled.multiply(scaled).sum(axis=1))
        share = _FEATURES * length * _reciprocal(np.sqrt(features.multiply(features).sum(axis=1)))
        scaled = sparse.hstack([scaled, sparse.diags_array(share) @ features])
    n = min(n_components, *scaled.shape)
    seed = int(rng.integers(2**31))
    u, s, _ = randomized_svd(sparse.csr_matrix(scaled), n, n_iter=_PASSES, random_state=seed)
    u[:, s <= _DEPENDENT * s[0]] = 0.0  # directions that no context has
    u[contexts.sum(axis=1) == 0] = 0.0  # rounding
    return u * _reciprocal(np.linalg.norm(u, axis=1))[:, None]


def default_lags(n_tokens: int) -> tuple[int, ...]:
    """Where contexts are: one position away, two as well where there are enough tokens."""
    return (-2, -1, 1, 2) if n_tokens > _MANY_TOKENS else (-1, 1)


def find_candidates(counts: NDArray[np.int64], n_components: int) -> NDArray[np.int64]:
    """The 300 most frequent symbols, or K, the most frequent first, of those that occur."""
    frequent = np.argsort(-counts, kind="stable")[: max(_CANDIDATES, n_components)]
    return frequent[counts[frequent] > 0]


def choose_anchors(
    embedding: NDArray[np.float64],
    candidates: NDArray[np.int64],
    counts: NDArray[np.int64],
    n_components: int,
) -> NDArray[np.int64]:
    """Choose the symbols whose rows stick out.

    First the row farthest from the mean of the candidates', then the one farthest from the plane
    through those chosen, again and again (Arora et al. 2013); then, of at most 100, each is chosen
    anew, given the others, twice. (Rows have unit length: the span of those chosen, in the place of
    the plane through them, leaves the first one to rounding, and all others to the first one.)

    Parameters
    ----------
    embedding : ndarray of shape (d, n)
    candidates : ndarray of shape (c,)
        Symbols to choose from.
    counts : ndarray of shape (d,)
        How often each symbol occurs.
    n_components : int
        K.

    Returns
    -------
    ndarray of shape (min(K, n, c),)
        Symbols; fewer, where rows depend on each other.

    Notes
    -----
    c K n flops, and 2 K products of (c, n) and (n, K) for the sweeps.
    """
    rows = embedding[candidates]
    share = counts[candidates] / counts[candidates].sum()
    chosen = [int(np.argmax(np.linalg.norm(rows - share @ rows, axis=1)))]
    away = rows - rows[chosen[0]]
    while len(chosen) < min(n_components, *rows.shape):
        length = np.linalg.norm(away, axis=1)
        best = int(np.argmax(length))
        if length[best] <= _DEPENDENT:
            break
        chosen.append(best)
        direction = away[best] / length[best]
        away = away - np.outer(away @ direction, direction)
    if 1 < len(chosen) <= _MOST_SWEPT:
        for k in list(range(len(chosen))) * _SWEEPS:
            chosen[k] = _farthest(rows, chosen[:k] + chosen[k + 1 :])
    return candidates[chosen]


def _farthest(rows: NDArray[np.float64], chosen: list[int]) -> int:
    """Row farthest from the plane through those chosen."""
    away = rows - rows[chosen[0]]
    basis, _ = np.linalg.qr(away[chosen[1:]].T)
    return int(np.argmax(np.linalg.norm(away - (away @ basis) @ basis.T, axis=1)))


def convex_weights(
    embedding: NDArray[np.float64], anchors: NDArray[np.int64]
) -> NDArray[np.float64]:
    r"""Write rows as convex combinations of those of the anchors.

    .. math:: \min_a \|y - A^T a\|^2 \ \text{with}\ a \ge 0,\ \sum_k a_k = 1

    by Frank-Wolfe steps in pairs with exact line search (Lacoste-Julien, Jaggi, NIPS 2015).

    Parameters
    ----------
    embedding : ndarray of shape (d, n)
    anchors : ndarray of shape (K,)

    Returns
    -------
    ndarray of shape (d, K)
        Rows sum to one, and are mostly zero.

    Notes
    -----
    d K n flops, and at most 500 steps of 4 K flops for each symbol.
    """
    A = embedding[anchors]
    weights = np.zeros((embedding.shape[0], anchors.size))
    _solve_rows(A @ A.T, embedding @ A.T, weights)
    weights[anchors] = np.eye(anchors.size)
    return weights


def _reciprocal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """One over x; zero where that is zero."""
    return np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)


@Compiled
def _solve_rows(gram, targets, weights):
    """Minimise ``a gram a / 2 - target a`` on the simplex, for every row of targets."""
    n, K = targets.shape
    slope = np.empty(K)
    for i in range(n):
        a = weights[i]
        best = 0
        for k in range(1, K):
            if gram[k, k] / 2 - targets[i, k] < gram[best, best] / 2 - targets[i, best]:
                best = k
        a[best] = 1.0
        for k in range(K):
            slope[k] = gram[best, k] - targets[i, k]
        for _ in range(_STEPS):
            low = high = -1
            for k in range(K):
                if low < 0 or slope[k] < slope[low]:
                    low = k
                if a[k] > 0 and (high < 0 or slope[k] > slope[high]):
                    high = k
            gap = slope[high] - slope[low]
            if gap <= _TOL:
                break
            curvature = gram[low, low] + gram[high, high] - 2 * gram[low, high]
            step = a[high]
            if curvature * step > gap:
                step = gap / curvature
                a[high] -= step
            else:
                a[high] = 0.0
            a[low] += step
            for k in range(K):
                slope[k] += step * (gram[low, k] - gram[high, k])
