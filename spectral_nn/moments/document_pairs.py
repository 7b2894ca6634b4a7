"""Pairs of words in documents, and the directions along which they show topics."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.runners.base import Runner

__all__ = [
    "MAX_TOPICS",
    "OVERSAMPLING",
    "LongDocuments",
    "ProjectedPairs",
    "WordSums",
    "count_pairs",
    "count_workable",
    "find_basis",
    "find_range",
    "long_documents",
    "project_pairs",
    "sum_pairs",
]

MIN_TOKENS = 3
"""Of a document that has a triple of words."""

OVERSAMPLING = 20
"""Directions of a basis beyond the number of topics."""

MAX_TOPICS = 150
"""That moments are read for: a sweep of a decomposition is O(K^4), half a second there, and noisy
tensors take up to a hundred of them."""

_FEW = 70  # directions: triples along all of them cost less than the pass that would leave some out


@dataclass(frozen=True, eq=False)
class WordSums(Additive):
    r"""What a look along some directions tells of the pairs of words.

    Attributes
    ----------
    n_documents, n_short, n_tokens : float
        Documents of three tokens or more, shorter ones, and tokens of all; by their weights.
    pairs : array (V, r)
        Sum of :math:`(c c^T - \mathrm{diag}\,c)\, \Omega / (L (L - 1))`.
    """

    n_documents: float
    n_short: float
    n_tokens: float
    pairs: Array


class LongDocuments(NamedTuple):
    """Documents with a triple of words; every second row of a chunk has another sign."""

    X: Array
    weight: Array
    length: Array
    sign: Array
    n_short: float
    n_tokens: float


def count_pairs(chunk: Rows, directions: Array) -> WordSums:
    """Pairs of words in the documents of a chunk, along directions (V, r)."""
    return sum_pairs(long_documents(chunk), directions)


def sum_pairs(documents: LongDocuments, directions: Array) -> WordSums:
    """Pairs of words in documents, along directions (V, r)."""
    X, weight, length, _, short, tokens = documents
    xp = get_namespace(weight)
    scale = weight / (length * (length - 1))
    pairs = X.T @ (scale[:, None] * (X @ directions)) - (X.T @ scale)[:, None] * directions
    return WordSums(float(xp.sum(weight)), short, tokens, pairs)


@dataclass(frozen=True, eq=False)
class ProjectedPairs(Additive):
    """Sums of pairs of words, projected on a basis (V, r) on both sides.

    Attributes
    ----------
    pairs : array (r, r)
        Of all documents.
    difference : array (r, r)
        Of every second document less those of the others.
    """

    pairs: Array
    difference: Array


def _count_projected(chunk: Rows, basis: Array) -> ProjectedPairs:
    """Pairs of words in the documents of a chunk, projected on a basis (V, r)."""
    documents = long_documents(chunk)
    projected = documents.X @ basis
    return ProjectedPairs(
        project_pairs(documents, documents.weight, projected, basis),
        project_pairs(documents, documents.sign * documents.weight, projected, basis),
    )


def project_pairs(documents: LongDocuments, weight: Array, projected: Array, basis: Array) -> Array:
    """Pairs of words by these weights of documents, with counts projected on a basis, (r, r)."""
    X, length = documents.X, documents.length
    scale = weight / (length * (length - 1))
    return projected.T @ (scale[:, None] * projected) - basis.T @ ((X.T @ scale)[:, None] * basis)


def long_documents(chunk: Rows) -> LongDocuments:
    """The documents of a chunk that have three tokens, in double precision."""
    X, weight = chunk.X, chunk.weight
    if hasattr(X, "tocsr"):
        X = sparse.csr_array(X, dtype=np.float64)
    xp = get_namespace(weight)
    double = xp.float64
    X = X if hasattr(X, "tocsr") else xp.astype(X, double)
    weight = xp.astype(weight, double)
    length = X.sum(axis=1) if hasattr(X, "tocsr") else xp.sum(X, axis=1)
    kept = length >= MIN_TOKENS
    sign = from_numpy(np.where(np.arange(length.shape[0]) % 2, -1.0, 1.0), like=weight)
    whole = float(xp.sum(weight * length)), float(xp.sum(xp.where(kept, 0.0, weight)))
    if not bool(xp.all(kept)):
        X, weight, length, sign = X[kept], weight[kept], length[kept], sign[kept]
    return LongDocuments(X, weight, length, sign, whole[1], whole[0])


def find_range(
    table: Table, rank: int, run: Runner, *, n_power: int = 0, rng: np.random.Generator
) -> Array:
    r"""Find an orthonormal basis (V, rank) of where the pairs of words are.

    Parameters
    ----------
    table : Rows or ChunkedRows
        Counts of words, one document a row.
    rank : int
        At most V.
    run : Runner
        Who computes.
    n_power : int, default=0
        Products with the second moment after the first, each a pass over the documents.
    rng : Generator
        Draws the first directions.

    Notes
    -----
    ``n_power + 1`` passes, each ``O(nnz rank)``.
    Halko, Martinsson and Tropp, *Finding structure with randomness*, SIAM Review 53 (2011),
    algorithm 4.4.
    """
    draws = rng.standard_normal((table.n_features, rank))
    directions = from_numpy(draws, like=table.like)
    xp = get_namespace(directions)
    directions = xp.astype(directions, xp.float64)
    for _ in range(n_power + 1):
        found = run.total(partial(count_pairs, directions=directions), table.chunks())
        directions = xp.linalg.qr(found.pairs)[0]
    return directions


def find_basis(
    table: Table, n_components: int, run: Runner, *, n_power: int = 0, rng: np.random.Generator
) -> Array:
    """Find a basis (V, r) that K topics, or as many as documents can show, are read off in.

    Parameters
    ----------
    table : Rows or ChunkedRows
        Counts of words, one document a row.
    n_components : int
        K. The basis has 20 directions more than K, than `MAX_TOPICS`, than there are documents,
        or than are workable along it, whatever is least; at most V.
    run : Runner
        Who computes.
    n_power : int, default=0
        See `find_range`.
    rng : Generator
        Draws the first directions.

    Notes
    -----
    A pass more than `find_range` where K is above 50: triples of words along r directions cost r^3
    for each document and each word, and beyond the workable ones they are noise.
    """
    most = min(n_components, MAX_TOPICS, table.n_rows) + OVERSAMPLING
    basis = find_range(table, min(most, table.n_features), run, n_power=n_power, rng=rng)
    if basis.shape[1] <= _FEW:
        return basis
    found = run.total(partial(_count_projected, basis=basis), table.chunks())
    values, vectors = np.linalg.eigh(to_numpy(found.pairs))
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = count_workable(values, vectors, to_numpy(found.difference)) + OVERSAMPLING
    return basis if kept >= values.size else basis @ from_numpy(vectors[:, :kept], like=basis)


def count_workable(
    values: NDArray[np.float64], vectors: NDArray[np.float64], noise: NDArray[np.float64]
) -> int:
    """How many leading eigenvectors of a moment with some noise can be whitened along.

    Parameters
    ----------
    values : ndarray of shape (r,)
        Eigenvalues, the largest first.
    vectors : ndarray of shape (r, r)
        Eigenvectors, one a column.
    noise : ndarray of shape (r, r)
        Symmetric, as large as the error of the moment.

    Notes
    -----
    The norm of the whitened noise, which only grows with the number of directions, is below one.
    """
    positive = values > values.size * 2.0**-52 * abs(values[0])
    whitener = vectors[:, positive] / np.sqrt(values[positive])
    whitened = whitener.T @ noise @ whitener
    sizes = range(1, len(whitened) + 1)
    return bisect_left(sizes, 1.0, key=lambda k: float(np.linalg.norm(whitened[:k, :k], 2)))
