"""Answers by brute force, for models small enough to try every path of states."""

from itertools import pairwise, product

import numpy as np

from spectral_nn.emissions import CategoricalEmission
from spectral_nn.models.chains.observations import look_up_rows


def random_hmm(n_components, n_symbols, rng, sparse=False):
    """Random ``(startprob, transmat, emissionprob)``; ``sparse`` puts zeros in."""

    def rows(*shape):
        p = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
        if sparse:
            p = np.where(rng.random(p.shape) < 0.4, 0.0, p)
            p = np.where(p.sum(-1, keepdims=True) == 0, 1.0, p)
        return p / p.sum(-1, keepdims=True)

    return rows(n_components), rows(n_components, n_components), rows(n_components, n_symbols)


def all_paths(startprob, transmat, table, codes):
    """Every path of states with its joint probability with the codes: O(K^T).

    Returns
    -------
    paths : array of int, shape (K**T, T)
    probabilities : array, shape (K**T,)
    """
    paths = np.array(list(product(range(len(startprob)), repeat=len(codes))))
    p = startprob[paths[:, 0]] * table[codes[0], paths[:, 0]]
    for t in range(1, len(codes)):
        p = p * transmat[paths[:, t - 1], paths[:, t]] * table[codes[t], paths[:, t]]
    return paths, p


def hmm_by_enumeration(startprob, transmat, table, codes):
    """Likelihood, posteriors, filtering distribution and the best path's probability.

    Returns
    -------
    dict with ``likelihood`` (float), ``posterior`` (T, K), ``last`` (K,), ``best`` (float)
    """
    paths, p = all_paths(startprob, transmat, table, codes)
    n_components = len(startprob)
    joint = np.array(
        [[p[paths[:, t] == k].sum() for k in range(n_components)] for t in range(len(codes))]
    )
    total = p.sum()
    with np.errstate(invalid="ignore"):
        posterior = joint / total
    return {"likelihood": total, "posterior": posterior, "last": posterior[-1], "best": p.max()}


def expected_by_enumeration(startprob, transmat, table, offsets):
    """Log-likelihood, posteriors (n, K) and expected transitions (K, K) of sequences of rows.

    Row t of ``table`` (n, K) is the likelihood of observation t in each state.
    """
    log_likelihood, posteriors, transitions = 0.0, [], np.zeros_like(transmat)
    for a, b in pairwise(offsets):
        paths, p = all_paths(startprob, transmat, table[a:b], np.arange(b - a))
        log_likelihood += np.log(p.sum())
        p /= p.sum()
        posteriors += [np.bincount(states, p, len(startprob)) for states in paths.T]
        for before, after in pairwise(paths.T):
            np.add.at(transitions, (before, after), p)
    return log_likelihood, np.array(posteriors), transitions


def emission_table(emissionprob, labelled=False):
    """Likelihood of every code under every state."""
    return look_up_rows(CategoricalEmission(emissionprob), None, labelled).table
