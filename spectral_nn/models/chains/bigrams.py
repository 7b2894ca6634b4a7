"""Transitions of a hidden Markov model from its emissions and the counts of bigrams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_nn.compiled import Compiled
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import NgramCounts

__all__ = ["N_UPDATES", "fit_transitions"]

N_UPDATES = 200
_TOL = 1e-3  # nats, of all bigrams together


def fit_transitions(
    emission: NDArray[np.float64], counts: NgramCounts, n_iter: int = N_UPDATES, tol: float = _TOL
) -> HMMParameters:
    """Transitions for given emissions by the convex Kullback-Leibler fit of the bigrams.

    Minimises ``KL(P12 || B^T M B)`` over the joint distribution M (K, K) of neighbouring states by
    ``M <- M * (B (P12 / (B^T M B)) B^T)``, which never climbs (Lee, Seung 2001, for fixed outer
    factors).

    Parameters
    ----------
    emission : (K, d) probabilities B.
    counts : with the bigrams P12.
    n_iter : most updates of M.
    tol : stop when an update gains less log-likelihood of the bigrams, nats.

    Returns
    -------
    HMMParameters, whose `startprob` is the distribution of any state, the row sums of M; uniform
    where the emissions make every bigram impossible.

    Notes
    -----
    4 nnz(P12) K + 4 d K^2 flops an update: ``B^T M B`` is computed where there are bigrams only.
    """
    n_components = emission.shape[0]
    first, second, weight = map(np.ascontiguousarray, counts.bigrams())
    weight = weight.astype(np.float64)
    columns = np.ascontiguousarray(emission.T)
    joint = np.full((n_components, n_components), 1 / n_components**2)
    reached = -np.inf
    for _ in range(n_iter):
        ratios = np.zeros_like(columns)
        fit = _add_ratios(columns @ joint, columns, first, second, weight, ratios)
        with np.errstate(over="ignore", invalid="ignore"):
            update = joint * (emission @ ratios)
        total = update.sum()
        if not 0 < total < np.inf:  # all bigrams are next to impossible
            break
        joint = update / total
        if fit - reached < tol:
            break
        reached = fit
    leaving = joint.sum(axis=1, keepdims=True)
    uniform = 1 / n_components
    transmat = np.where(leaving > 0, joint / np.where(leaving > 0, leaving, 1), uniform)
    return HMMParameters.categorical(leaving[:, 0], transmat, emission)


@Compiled
def _add_ratios(left, right, first, second, weight, ratios):
    """Add ``(C / (left right^T)) right`` to `ratios` (d, K); ``sum C log(left right^T)``.

    C (d, d) is sparse: ``C[first, second] = weight``.  Where ``left right^T`` is zero, C counts for
    neither.
    """
    n_components = left.shape[1]
    fit = 0.0
    for n in range(first.size):
        i, j = first[n], second[n]
        predicted = 0.0
        for k in range(n_components):
            predicted += left[i, k] * right[j, k]
        if predicted > 0:
            fit += weight[n] * np.log(predicted)
            ratio = weight[n] / predicted
            for k in range(n_components):
                ratios[i, k] += ratio * right[j, k]
    return fit
