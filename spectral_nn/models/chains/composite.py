"""EM on windows: the fit of low-order moments under the constraints of a hidden Markov model.

Maximising the composite likelihood ``sum_w c_w log P(w; pi, T, B)`` over the distinct windows w of
a few symbols fits their joint distribution (of trigrams, the third-order moment) in
Kullback-Leibler divergence; pi is then the distribution of any state, not of the first.
Unlike a decomposition it never leaves the simplex, and for small alphabets its cost does not
depend on the number of tokens.  A window is a short sequence with a multiplicity, so this is the
ordinary E-step on lanes.
"""

from __future__ import annotations

import numpy as np

from spectral_nn.data import Sequences
from spectral_nn.models.chains.lanes import LaneBatches, lane_batches
from spectral_nn.moments.ngrams import NgramCounts

MOST_WINDOWS = 2**16


def window_batches(
    counts: NgramCounts, order: int, rng: np.random.Generator, most: int = MOST_WINDOWS
) -> LaneBatches:
    """Distinct windows of the first `order` symbols as weighted lanes.

    Where there are more than `most` distinct windows, positions are sampled uniformly, which
    leaves the composite likelihood unbiased (sampling distinct windows would not).

    Parameters
    ----------
    counts : windows of `order` symbols or more.
    order : symbols of a window.
    rng : draws the sample.
    most : about how many distinct windows to keep.

    Returns
    -------
    LaneBatches, one lane a window, weighted by its count, or by its count in the sample.

    Notes
    -----
    O(U order) time and memory for U distinct windows.
    """
    short = counts.shortened(order)
    weight = short.counts
    if weight.size > most:
        weight = rng.binomial(weight, _share_that_keeps(weight, most))
    kept = weight > 0
    windows = short.windows()[kept]
    sequences = Sequences(windows.ravel(), np.arange(windows.shape[0] + 1) * order)
    return lane_batches(sequences, order, 0, counts.n_symbols, weight=weight[kept])


def _share_that_keeps(weight: np.ndarray, most: int) -> float:
    """Share of positions whose sample has about `most` distinct windows."""
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        expected = np.sum(-np.expm1(weight * np.log1p(-share)))
        low, high = (share, high) if expected < most else (low, share)
    return low
