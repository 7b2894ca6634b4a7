"""Starts of a hidden Markov model without tensors: random, and classes of symbols."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.spectral import smoothing, without_zeros
from spectral_nn.moments.ngrams import NgramCounts

_SMOOTHING = 0.1


def random_start(n_components: int, counts: NgramCounts, rng: np.random.Generator) -> HMMParameters:
    """Flat Dirichlet transitions; emissions are drawn around the frequencies of the symbols.

    A symbol's frequency is common to all states, so only what tells states apart is random:
    ``B[k, v] ~ g[k, v] f[v]`` with g exponential, each row normalised.

    Parameters
    ----------
    n_components : K.
    counts : with the smoothed frequencies f of the d symbols.
    rng : draws g, then the transitions.

    Returns
    -------
    HMMParameters, with a uniform `startprob`.

    Notes
    -----
    O(K (K + d)).
    """
    emission = rng.gamma(1.0, size=(n_components, counts.n_symbols)) * counts.frequency
    transmat = rng.dirichlet(np.ones(n_components), n_components)
    start = np.full(n_components, 1 / n_components)
    return HMMParameters.categorical(
        start, transmat, emission / emission.sum(axis=1, keepdims=True)
    )


def cluster_start(
    n_components: int,
    counts: NgramCounts,
    rng: np.random.Generator,
    n_updates: int = N_UPDATES,
) -> HMMParameters:
    """States from classes of symbols: k-means on the spectral embedding of the bigrams.

    The bigram table scaled by ``1/sqrt(frequency)`` on both sides has the rank of the model; its
    leading singular vectors embed each symbol by its neighbours.  A class is a state that emits
    its symbols by frequency and, with weight .1, everything else.  Meant for vocabularies of
    thousands, where a word mostly belongs to one state.

    Parameters
    ----------
    n_components : K.
    counts : of the data; bigrams with a missing symbol are left out.
    rng : seeds the SVD and k-means, and tells states apart where there are fewer classes than K.
    n_updates : most updates of `fit_transitions`; a start that EM goes on from needs few.

    Returns
    -------
    HMMParameters without zeros, the transitions from `fit_transitions`.

    Notes
    -----
    O(nnz K + d K^2) for the SVD, a step of k-means, and an update of `fit_transitions`.

    Words by the singular vectors of their left and right neighbours: Schütze, *Distributional
    part-of-speech tagging*, EACL (1995).  The scaling of table and embedding: Dhillon,
    *Co-clustering documents and words using bipartite spectral graph partitioning*, KDD (2001).
    """
    from sklearn.cluster import KMeans  # 0.15 s that other starts need not pay

    d = counts.n_symbols
    first, second, times = counts.bigrams()
    scale = 1 / np.sqrt(counts.symbols + 1.0)
    table = sparse.csr_matrix((times * scale[first] * scale[second], (first, second)), (d, d))
    seed = int(rng.integers(2**31))
    u, s, vt = randomized_svd(table, min(n_components, d), n_iter=4, random_state=seed)
    embedding = np.hstack([u, vt.T]) * np.sqrt(np.concatenate([s, s])) * scale[:, None]
    n_clusters = min(n_components, np.unique(embedding.round(9), axis=0).shape[0])
    classes = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(
        embedding, sample_weight=counts.frequency
    )
    frequency = counts.frequency
    emission = np.zeros((n_components, d))
    emission[classes, np.arange(d)] = frequency
    mass = emission.sum(axis=1, keepdims=True)
    emission = np.where(mass > 0, emission / np.where(mass > 0, mass, 1), frequency)
    noise = rng.dirichlet(np.ones(d), n_components) if n_clusters < n_components else frequency
    emission = (1 - _SMOOTHING) * emission + _SMOOTHING * noise
    return without_zeros(fit_transitions(emission, counts, n_updates), smoothing(counts))
