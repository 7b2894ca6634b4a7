"""Refinement of topics that integrates over topics and documents: collapsed variational Bayes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.compiled import Compiled
from spectral_nn.models.base import OnStep, silent
from spectral_nn.models.topics.priors import TopicPriors

__all__ = ["CollapsedFit", "collapse", "memory_of"]


@dataclass(frozen=True, eq=False)
class CollapsedFit:
    """Topics after `collapse`.

    Attributes
    ----------
    counts : ndarray of shape (K, V)
        Expected number of tokens of each word in each topic.
    documents : ndarray of shape (n, K)
        Expected number of tokens of each topic in each document.
    history : list of float
        Logarithm of the probability of each token given all others, summed over tokens, nats:
        before each pass.
    converged : bool
        Whether the last gain was below the tolerance.
    """

    counts: NDArray[np.float64]
    documents: NDArray[np.float32]
    history: list[float]
    converged: bool


class _State(NamedTuple):
    """Responsibilities (nnz, K), and sums of them by document, by word, and of all."""

    shares: NDArray[np.float32]
    documents: NDArray[np.float32]
    words: NDArray[np.float32]
    totals: NDArray[np.float64]


def memory_of(X: sparse.csr_array, n_components: int) -> int:
    """Bytes that `collapse` takes: the responsibilities of topics for words of documents."""
    n, V = X.shape
    return 4 * n_components * (X.nnz + n + V)


def collapse(
    X: sparse.csr_array,
    topics: NDArray[np.float64],
    priors: TopicPriors,
    *,
    max_iter: int,
    tol: float,
    on_step: OnStep = silent,
) -> CollapsedFit:
    r"""Refine topics by zero-order collapsed variational Bayes, "CVB0".

    Topics and the shares of documents are integrated out. What is left is which topic k each of the
    tokens of word w in document d is of, with responsibilities updated one after another:

    .. math:: \gamma_{dwk} \propto (n_{dk} - \gamma_{dwk} + \alpha_k)\,
        \frac{n_{wk} - \gamma_{dwk} + \eta_{kw}}{n_k - \gamma_{dwk} + \sum_v \eta_{kv}}

    where the counts n are sums of responsibilities, less those of the one token that is looked at.

    Parameters
    ----------
    X : csr_array of shape (n, V)
        Counts of words, one document a row.
    topics : ndarray of shape (K, V)
        Positive probabilities to start from.
    priors : TopicPriors
    max_iter : int
        Most passes.
    tol : float
        Stop when a pass lowers the perplexity of a token given all others by less.
    on_step : callable
        Told (stage, pass, nats).

    Returns
    -------
    CollapsedFit

    See Also
    --------
    spectral_nn.models.topics.variational : Steps that are sums over chunks, for data elsewhere.

    Notes
    -----
    Documents are taken one after another, and what one has changed, the next one sees: from the
    same start it gets further in the same time than variational Bayes, whose topics stand still
    during a pass. It does not add up over chunks.

    Cost: O(nnz K) a pass; memory 4 nnz K bytes.
    Asuncion, Welling, Smyth and Teh, *On smoothing and inference for topic models*, UAI 2009,
    equation 16.
    """
    state, alpha, eta, sums = _begin(X, topics, priors)
    counts = X.data.astype(np.float32)
    lengths = X.sum(axis=1)
    history: list[float] = []
    converged = False
    # The sum over topics in a pass is the predictive probability but for this factor.
    outside = float(lengths @ np.log(np.maximum(lengths - 1, 0) + alpha.sum()))
    for step in range(1, max_iter + 1):
        inside = _pass_over(X.indptr, X.indices, counts, *state, alpha, eta, sums)
        history.append(inside - outside)
        on_step("collapsed", step, history[-1])
        converged = len(history) > 1 and _gain(history, lengths.sum()) < tol
        if converged:
            break
    return CollapsedFit(state.words.T.astype(np.float64), state.documents, history, converged)


def _gain(history: list[float], n_tokens: float) -> float:
    """By how much the last pass has lowered the perplexity."""
    before, after = np.exp(-np.array(history[-2:]) / max(n_tokens, 1.0))
    return float(before - after)


def _begin(
    X: sparse.csr_array, topics: NDArray[np.float64], priors: TopicPriors
) -> tuple[_State, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Responsibilities under topics as they are, and the priors in single precision."""
    K, V = topics.shape
    alpha = priors.topics.astype(np.float32)
    eta = np.ascontiguousarray(priors.words.T, dtype=np.float32)
    sums = priors.word_totals.astype(np.float32)
    state = _State(
        np.empty((X.nnz, K), dtype=np.float32),
        np.zeros((X.shape[0], K), dtype=np.float32),
        np.zeros((V, K), dtype=np.float32),
        np.zeros(K),
    )
    likelihoods = np.ascontiguousarray(topics.T, dtype=np.float32)
    counts = X.data.astype(np.float32)
    _look(X.indptr, X.indices, counts, *state[:3], alpha, likelihoods)
    state.totals[:] = state.words.sum(axis=0, dtype=np.float64)
    return state, alpha, eta, sums


@Compiled
def _look(ends, index, counts, shares, documents, words, alpha, likelihoods):
    """Set the state to what words say by themselves under topics ``likelihoods`` (V, K).

    Documents get no say yet: from starts that commit themselves less, passes get further.
    """
    K = alpha.size
    for d in range(ends.size - 1):
        length = np.float32(0)
        for i in range(ends[d], ends[d + 1]):
            length += counts[i]
        for i in range(ends[d], ends[d + 1]):
            w = index[i]
            total = np.float32(0)
            for k in range(K):
                shares[i, k] = likelihoods[w, k] * (alpha[k] + length / np.float32(K))
                total += shares[i, k]
            for k in range(K):
                shares[i, k] = shares[i, k] / total if total > 0 else np.float32(1) / np.float32(K)
                part = counts[i] * shares[i, k]
                documents[d, k] += part
                words[w, k] += part


@Compiled
def _pass_over(ends, index, counts, shares, documents, words, totals, alpha, eta, eta_sums):
    """Update every responsibility once; the log-probability of tokens, but for a factor each."""
    K = alpha.size
    one = eta.shape[0] == 1
    new, mine = np.empty(K, np.float32), np.empty(K, np.float32)
    near, moves = np.empty(K, np.float32), np.empty(K, np.float32)
    nats = 0.0
    for d in range(ends.size - 1):
        for k in range(K):
            mine[k] = documents[d, k] + alpha[k]
            near[k] = totals[k] + eta_sums[k]
            moves[k] = 0.0
        for i in range(ends[d], ends[d + 1]):
            w, count = index[i], counts[i]
            v = 0 if one else w
            token = min(count, np.float32(1))
            total = np.float32(0)
            for k in range(K):
                out = token * shares[i, k]
                x = (words[w, k] - out + eta[v, k]) * (mine[k] - out)
                x = max(x / (near[k] + moves[k] - out), np.float32(0))
                new[k] = x
                total += x
            if not total > 0:  # rounding, where the priors are next to nothing
                continue
            nats += count * np.log(total)
            scale = np.float32(1) / total
            for k in range(K):
                x = new[k] * scale
                moved = count * (x - shares[i, k])
                shares[i, k] = x
                words[w, k] += moved
                moves[k] += moved
                mine[k] += moved
        for k in range(K):
            documents[d, k] = mine[k] - alpha[k]
            totals[k] += moves[k]  # in double precision: single would lose small moves
    return nats
