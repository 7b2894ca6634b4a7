"""Starts of more states than symbols: groups of histories that are followed by the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from spectral_nn.blas import one_openmp_thread
from spectral_nn.emissions.simplex import maximise_rows
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import NgramCounts

__all__ = ["history_start"]

_LONGEST = 3  # symbols of a history
_LEAST = 30  # times that a history of more than one symbol occurs
_MOST = 4000  # histories, so that grouping them takes less than the fit
_SMOOTHING = 0.05


def history_start(
    n_components: int, counts: NgramCounts, rng: np.random.Generator
) -> HMMParameters:
    """States from what came before: histories are grouped by what follows them.

    The history of a position is the longest frequent run of up to three symbols that ends in it.
    Its features are the square roots of the frequencies of the next symbol and of the one after
    that, and the symbol it ends in. Groups are those of k-means in the leading singular vectors,
    and how often they emit symbols and follow each other gives the model. Second order, so it works
    with more states than symbols, where nothing can be decomposed.

    Parameters
    ----------
    n_components : K.
    counts : windows of 5 symbols.
    rng : seeds the SVD and k-means; fills up states where histories are fewer.

    Returns
    -------
    HMMParameters without zeros.

    Raises
    ------
    ValueError
        If the windows are shorter, or there are none without a missing symbol.

    Notes
    -----
    O(U) for U distinct windows, and a step of k-means O(h d K) for h histories, at most 4000.
    """
    from sklearn.cluster import KMeans  # 0.15 s that other starts need not pay

    if counts.order < _LONGEST + 2:
        raise ValueError(f"windows of {counts.order} symbols are too short for histories.")
    d = counts.n_symbols
    windows = counts.windows()
    whole = (windows < d).all(axis=1)
    if not whole.any():
        raise ValueError("no five symbols in a row are observed.")
    windows, times = windows[whole], counts.counts[whole].astype(np.float64)
    here, then = _histories(windows[:, :_LONGEST], windows[:, 1 : _LONGEST + 1], times, d)
    n = int(max(here.max(), then.max())) + 1
    features, weight = _features(here, windows[:, _LONGEST - 1 :], times, (n, d))
    n_groups = min(n_components, weight.size)
    seed = int(rng.integers(2**31))
    scaled = sparse.diags(np.sqrt(weight)) @ features
    _, _, directions = randomized_svd(
        scaled, min(n_components, *features.shape), n_iter=4, random_state=seed
    )
    embedded = features @ directions.T
    kmeans = KMeans(n_groups, n_init=1, random_state=seed)
    with one_openmp_thread():
        group = kmeans.fit_predict(embedded, sample_weight=weight)
    emitted = np.zeros((n_components, d))
    np.add.at(emitted, (group[here], windows[:, _LONGEST - 1]), times)
    followed = np.zeros((n_components, n_components))
    np.add.at(followed, (group[here], group[then]), times)
    emission = maximise_rows(emitted, 0.0, counts.frequency)
    if n_groups < n_components:  # tell those apart that have no history
        emission[n_groups:] = rng.dirichlet(np.ones(d), n_components - n_groups)
    emission = (1 - _SMOOTHING) * emission + _SMOOTHING * counts.frequency
    even = np.full(n_components, 1 / n_components)
    transmat = (1 - _SMOOTHING) * maximise_rows(followed, 0.0, even) + _SMOOTHING * even
    return HMMParameters.categorical(even, transmat, emission)


def _histories(
    here: NDArray[np.int32], then: NDArray[np.int32], times: NDArray[np.float64], n_symbols: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the history of two neighbouring positions (U,), of `_LONGEST` symbols each."""
    base = n_symbols + 1
    numbers = np.zeros((2, times.size), dtype=np.int64)
    known = np.zeros(0, dtype=np.int64)
    for length in range(1, _LONGEST + 1):  # a longer one, where it is frequent, has the last word
        codes = [_code(side[:, _LONGEST - length :], base) for side in (here, then)]
        kinds, number = np.unique(codes[0], return_inverse=True)
        often = np.bincount(number, weights=times)
        order = np.argsort(-often, kind="stable")[: max(_MOST - known.size, 0)]
        kept = np.sort(kinds[order[often[order] >= _LEAST]]) if length > 1 else kinds
        for row, code in zip(numbers, codes, strict=True):
            at = np.minimum(np.searchsorted(kept, code), max(kept.size - 1, 0))
            found = kept[at] == code if kept.size else np.zeros(code.size, dtype=bool)
            row[found] = known.size + at[found]
        known = np.append(known, kept)
    _, dense = np.unique(numbers, return_inverse=True)
    here_number, then_number = dense.reshape(numbers.shape)
    return here_number, then_number


def _code(symbols: NDArray[np.int32], base: int) -> NDArray[np.int64]:
    """Symbols of a run as one number."""
    return symbols.astype(np.int64) @ base ** np.arange(symbols.shape[1])[::-1]


def _features(
    history: NDArray[np.int64],
    symbols: NDArray[np.int32],
    times: NDArray[np.float64],
    sizes: tuple[int, int],
) -> tuple[sparse.csr_matrix, NDArray[np.float64]]:
    """Roots of the frequencies of the symbol a history ends in and of the next two, (h, 3 d)."""
    n, d = sizes
    columns = symbols + d * np.arange(symbols.shape[1])
    rows = np.repeat(history, symbols.shape[1])
    entries = np.repeat(times, symbols.shape[1])
    shape = (n, symbols.shape[1] * d)
    table = sparse.csr_matrix((entries, (rows, columns.ravel())), shape)
    weight: NDArray[np.float64] = np.bincount(history, weights=times, minlength=n).astype(float)
    return (sparse.diags(1 / np.maximum(weight, 1)) @ table).sqrt(), weight
