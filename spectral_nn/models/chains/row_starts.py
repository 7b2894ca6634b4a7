"""Starts for observations that are rows of numbers: who belongs to which state, then an M-step.

Each kind says how much of each row of some frames belongs to each state, and how states follow each
other; the M-step of the law makes the emissions of that (the rows of a state are clustered first
where it is a mixture). So every law has all kinds:

* ``tensor``: past and future, reduced to canonical variates, whiten the moments that rows of each
  of a few dozen cells have; the slices are decomposed as those of symbols are
  (`spectral_nn.models.chains.spectral`), and one E-step on cells gives the posteriors;
* ``variates``: k-means on canonical variates of past and future together, with a little of the row;
* ``segments``: random states on segments of random length;
* ``kmeans``, ``smoothed``: k-means on the features of rows, and on their moving averages;
* ``random``: the nearest of K random rows;
* ``positions``: equal parts of each stretch, in the order of the states.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.blas import one_openmp_thread
from spectral_nn.data import Sequences
from spectral_nn.emissions import LosingEmission, MixedEmission, RowEmission
from spectral_nn.models.base import Start
from spectral_nn.models.chains import recursions
from spectral_nn.models.chains.frames import Frames
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.spectral import WhitenedMoments, decompose
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut
from spectral_nn.runners.base import SerialRunner

__all__ = ["MAKERS", "Assignment", "fit_law", "kinds_of_rows", "make_row_starts"]

MIN_CELLS = 24
_PORTFOLIO = {"tensor": 2, "variates": 4, "segments": 4, "kmeans": 2, "smoothed": 2, "random": 2}
_LENGTHS = (5, 20, 80)  # of random segments
_SURE = 0.7  # of what a random label gives its state
_LIKELY = 0.95  # of what a cluster gives it, as EM cannot leave a probability or rate of zero
_LEAST_CORRELATION = 0.05
_FLOOR = 0.01  # of canonical correlations, as a share of the first
_JITTER = 1e-9  # of features, so that k-means finds as many different rows as it wants clusters
_OF_THE_ROW = (0.2, 0.0, 0.5)  # weight of the row beside what its past and future say


class Assignment(NamedTuple):
    """What a start says of some frames.

    Attributes
    ----------
    mass : ndarray of shape (n, K)
        How much of each row belongs to each state.
    transmat : ndarray of shape (K, K)
    """

    mass: NDArray[np.float64]
    transmat: NDArray[np.float64]


Maker = Callable[[Frames, int, int, np.random.Generator], Assignment]
"""From frames, K, how many starts of the kind there are already, and a generator."""


def kinds_of_rows(options: HMMOptions) -> list[str]:
    """Kind of every start of a race, the best first; of the only one without EM."""
    if options.n_iter == 0:
        return [options.init]
    if options.init != "tensor":
        return [options.init] * (options.n_init or 1)
    portfolio = dict(_PORTFOLIO)
    if "transmat" in options.fixed:  # whose order of states may be that of time
        portfolio |= {"positions": 2, "segments": 2}
    wanted = options.n_init or sum(portfolio.values())
    kinds: list[str] = []
    while len(kinds) < wanted:  # in turn, so that few starts are of many kinds
        turn = [kind for kind, n in portfolio.items() if kinds.count(kind) < n]
        kinds += turn or list(portfolio)
    return kinds[:wanted]


def make_row_starts(
    frames: Frames, options: HMMOptions, kinds: list[str], rng: np.random.Generator
) -> list[Start[HMMParameters]]:
    """Make starts from some frames.

    Parameters
    ----------
    frames : Frames
    options : HMMOptions
        With the prior of the emissions.
    kinds : list of str
        Of every start, keys of `MAKERS`.
    rng : Generator

    Returns
    -------
    list of Start
        With a uniform `startprob`.
    """
    K = options.n_components
    starts = []
    for i, kind in enumerate(kinds):
        mass, transmat = MAKERS[kind](frames, K, kinds[:i].count(kind), rng)
        emission = fit_law(frames, mass, options.emission_prior, rng)
        starts.append(Start(kind, HMMParameters(np.full(K, 1 / K), transmat, emission)))
    return starts


def fit_law(
    frames: Frames, mass: NDArray[np.float64], prior: Any, rng: np.random.Generator
) -> RowEmission:
    """M-step from the law of all rows together, in which nothing is impossible.

    The parts of a mixture are the same there, and no M-step tells them apart: they begin as
    clusters of the rows of each state.

    Parameters
    ----------
    frames : Frames
    mass : ndarray of shape (n, K)
        How much of each row belongs to each state.
    prior : anything
        What the law calls its prior.
    rng : Generator

    Returns
    -------
    RowEmission
    """
    law = frames.law
    if not isinstance(law, MixedEmission):
        found = law.maximise(law.gather(frames.x, mass), prior)
        return found.restore() if isinstance(found, LosingEmission) else found
    M = law.n_parts
    share = np.full((*mass.shape, M), 1 / M)
    likeliest = mass.argmax(axis=1)
    for k in range(mass.shape[1]):
        rows = np.flatnonzero(likeliest == k)
        share[rows, k] = _soft(_cluster(frames.standardised[rows], M, rng), M, _LIKELY)
    return law.maximise(law.gather_parts(frames.x, mass[:, :, None] * share), prior)


def _decompose(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Moments of past, present and future, decomposed; or random where they carry too little."""
    variates = frames.canonical
    codes, n_cells = _cells(frames, max(2 * K, MIN_CELLS), rng)
    if K == 1 or variates.correlations.size < K - 1 or n_cells < K:
        return _nearest(frames, K, number, rng)
    correlations = variates.correlations[: K - 1]
    scale = np.sqrt(np.maximum(correlations, max(_FLOOR * correlations[0], 1e-12)))
    ones = np.ones((frames.n_rows, 1))
    past = np.append(ones, variates.past[:, : K - 1] / scale, axis=1)
    future = np.append(ones, variates.future[:, : K - 1] / scale, axis=1)
    operators = np.empty((n_cells, K, K))
    for cell in range(n_cells):
        here = codes == cell
        operators[cell] = future[here].T @ past[here] / frames.n_rows
    sequences = Sequences(codes, frames.offsets)
    count = partial(count_ngrams, order=3, n_symbols=n_cells)
    counts = SerialRunner().total(count, sequences.parts(ngram_cut(3), ngram_chunk))
    moments = WhitenedMoments(np.append(1.0, correlations), operators)
    found = decompose(moments, counts, rng)
    table = found.emission.table
    trans, mass, _ = recursions.expected_counts(
        found.startprob, found.transmat, table, codes, sequences.offsets
    )
    return Assignment(mass, _rows(trans + 1 / K))


def _cells(frames: Frames, n_cells: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], int]:
    """Number of the cell of each row, and how many there are: k-means on the features of rows."""
    z = frames.features
    different, codes = np.unique(z, axis=0, return_inverse=True)
    if different.shape[0] <= n_cells:
        return codes.astype(np.int32).ravel(), different.shape[0]
    return _cluster(z, n_cells, rng).astype(np.int32), n_cells


def _variates(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Clusters of what past and future say of a row together."""
    past, future, correlations = vars(frames.canonical).values()
    k = min(K - number % 2, int((correlations > _LEAST_CORRELATION).sum()))
    k = max(min(k, correlations.size), 1)
    both = (past[:, :k] + future[:, :k]) * correlations[:k]
    weight = _OF_THE_ROW[number % len(_OF_THE_ROW)]
    g = frames.features
    row = weight * np.sqrt(k / g.shape[1]) * g
    scale = both.std() or 1.0
    return _labelled(frames, _cluster(np.append(both / scale, row, axis=1), K, rng), K)


def _segments(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Random states on segments of random length."""
    length = _LENGTHS[number % len(_LENGTHS)]
    cut = frames.begins | (rng.random(frames.n_rows) < 1 / length)
    labels = rng.integers(K, size=cut.sum())[np.cumsum(cut) - 1]
    stay = np.full((K, K), 1 / (length * K))
    return Assignment(_soft(labels, K), stay + (1 - 1 / length) * np.eye(K))


def _kmeans(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Clusters of rows."""
    return _labelled(frames, _cluster(frames.standardised, K, rng), K)


def _smoothed(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Clusters of moving averages."""
    return _labelled(frames, _cluster(frames.smoothed, K, rng), K)


def _nearest(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """The nearest of K random rows."""
    z = frames.standardised
    centres = z[rng.choice(frames.n_rows, K, replace=frames.n_rows < K)]
    distance = (centres**2).sum(axis=1) - 2 * z @ centres.T
    stay = 0.5 * np.eye(K) + 0.5 / K
    return Assignment(_soft(distance.argmin(axis=1), K), stay)


def _positions(frames: Frames, K: int, number: int, rng: np.random.Generator) -> Assignment:
    """Equal parts of each stretch; the second time with borders moved at random."""
    length = np.bincount(frames.stretch)[frames.stretch]
    share = frames.position / length
    if number:
        share = share ** np.exp(0.5 * rng.standard_normal(length.size)[frames.stretch])
    return _labelled(frames, np.minimum((K * share).astype(np.int64), K - 1), K)


MAKERS: dict[str, Maker] = {
    "tensor": _decompose,
    "variates": _variates,
    "segments": _segments,
    "kmeans": _kmeans,
    "smoothed": _smoothed,
    "random": _nearest,
    "positions": _positions,
}
"""What makes a start of each kind."""


def _cluster(z: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Labels of k-means, at random where rows are too few; equal rows may differ in theirs."""
    from sklearn.cluster import KMeans  # 0.15 s that symbols need not pay

    if z.shape[0] <= n:
        return rng.permutation(n)[: z.shape[0]]
    seed = int(rng.integers(2**31))
    apart = z + _JITTER * rng.standard_normal(z.shape)
    with one_openmp_thread():
        return KMeans(n, n_init=1, random_state=seed).fit_predict(apart)


def _labelled(frames: Frames, labels: NDArray[np.int64], K: int) -> Assignment:
    """Rows that mostly belong to one state each, and how these follow each other."""
    follows = ~frames.begins[1:]
    pairs = np.bincount(K * labels[:-1][follows] + labels[1:][follows], minlength=K * K)
    return Assignment(_soft(labels, K, _LIKELY), _rows(pairs.reshape(K, K) + 1 / K))


def _soft(labels: NDArray[np.int64], K: int, sure: float = _SURE) -> NDArray[np.float64]:
    """Labels that are not sure."""
    return sure * np.eye(K)[labels] + (1 - sure) / K


def _rows(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    return counts / counts.sum(axis=1, keepdims=True)
