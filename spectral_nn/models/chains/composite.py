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
from spectral_nn.models.base import OnStep, Start
from spectral_nn.models.chains.lanes import LaneBatches, lane_batches
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import MAX_WINDOWS
from spectral_nn.models.chains.starts import from_anywhere, with_parts
from spectral_nn.models.fit import advance
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.runners.base import Runner

_TOL = 1e-5  # nats a window


def windows_for(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator, most: int
) -> LaneBatches:
    """Trigrams, or longer windows where there are more states than symbols."""
    order = counts.order if options.n_components > options.n_symbols else 3
    return window_batches(counts, order, rng, most)


def race_on_windows(
    starts: list[Start[HMMParameters]],
    windows: LaneBatches,
    model: ChainModel,
    options: HMMOptions,
    *,
    n_iter: int,
    run: Runner,
    on_step: OnStep,
) -> list[Start[HMMParameters]]:
    """Composite EM of the model of whole sequences, from every start; all of them, best first."""
    moved = advance(
        model.for_windows(),
        [from_anywhere(start) for start in starts],
        [windows],
        n_iter=n_iter,
        tol=_TOL * float(windows.weight.sum()),
        run=run,
        figure="composite",
        on_step=on_step,
    )
    return [with_parts(start, **options.fixed) for start, _, _ in moved]


def window_batches(
    counts: NgramCounts, order: int, rng: np.random.Generator, most: int = MAX_WINDOWS
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
