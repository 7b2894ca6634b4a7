"""Window counts that a known model would give in infinite data, up to rounding to integers."""

import numpy as np

from spectral_nn.models.chains.parameters import HMMParameters, stationary
from spectral_nn.moments.ngrams import NgramCounts

_TRANSMAT = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]])
_EMISSIONPROB = np.array(
    [
        [0.50, 0.25, 0.10, 0.05, 0.05, 0.05],
        [0.05, 0.10, 0.45, 0.30, 0.05, 0.05],
        [0.10, 0.02, 0.03, 0.10, 0.30, 0.45],
    ]
)


def three_state_model():
    """A stationary model whose moments are well-conditioned: K = 3, d = 6."""
    return HMMParameters.categorical(stationary(_TRANSMAT), _TRANSMAT, _EMISSIONPROB)


def window_probabilities(parameters, order):
    """Joint distribution of `order` symbols from the start on, shape (d,) * order."""
    forward = (parameters.startprob[:, None] * parameters.emission.probs).T
    for _ in range(order - 1):
        forward = np.einsum(
            "...k,kj,jv->...vj", forward, parameters.transmat, parameters.emission.probs
        )
    return forward.sum(axis=-1)


def population_counts(parameters, order, size=10**13):
    """Counts of windows and symbols in proportion to their probabilities under the model."""
    d = parameters.emission.n_symbols
    p = window_probabilities(parameters, order)
    counts = np.rint(p.ravel() * size).astype(np.int64)
    digits = np.stack(np.unravel_index(np.arange(p.size), p.shape), axis=1)
    codes = digits @ (d + 1) ** np.arange(order - 1, -1, -1)
    symbols = np.rint(parameters.startprob @ parameters.emission.probs * size).astype(np.int64)
    kept = counts > 0
    return NgramCounts(
        order, d, codes[kept], counts[kept], symbols, 0 * symbols, 1, int(symbols.sum())
    )
