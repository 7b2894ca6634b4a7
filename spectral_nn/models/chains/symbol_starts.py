"""Random starts of a hidden Markov model of symbols."""

from __future__ import annotations

import numpy as np

from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import NgramCounts


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
