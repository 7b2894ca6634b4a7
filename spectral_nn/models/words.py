"""Vectors of words: a sparse matrix of mutual information, and its largest singular vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from sklearn.utils.extmath import svd_flip

from spectral_nn.results import RankError
from spectral_nn.runners.base import Runner

__all__ = [
    "SingularVectors",
    "factorise",
    "nearest",
    "positive_pmi",
    "shrink_rows",
    "unit_rows",
]

OVERSAMPLING = 20
"""Directions of a basis beyond those that are asked for."""

_ENTRIES = 1 << 21  # of the rows of a matrix that are multiplied together
_COLUMNS = 32  # that are multiplied at a time


class SingularVectors(NamedTuple):
    """The largest singular values of a matrix (n, m), and their vectors.

    Attributes
    ----------
    left : float32 array (n, K)
    values : float32 array (K,)
        Falling.
    right : float32 array (m, K)
    """

    left: NDArray[np.float32]
    values: NDArray[np.float32]
    right: NDArray[np.float32]


def positive_pmi(
    counts: sparse.csr_array,
    *,
    shift: float = 1.0,
    context_smoothing: float = 1.0,
    shrinkage: float = 0.0,
) -> sparse.csr_array:
    r"""Pointwise mutual information of words and contexts where it is positive.

    .. math:: M_{ij} = \frac{C_{ij}}{C_{ij} + \delta}
        \max\Bigl(0, \log \frac{C_{ij} \sum_l c_l^\alpha}{r_i c_j^\alpha} - \log k \Bigr),
        \qquad r = C 1, \quad c = C^T 1

    Parameters
    ----------
    counts : csr_array (n, m)
        C: how often each word occurs in each context. Not negative; the unit matters to
        ``shrinkage`` alone.
    shift : float, default=1.0
        k: negative samples for each pair, in word2vec's words.
    context_smoothing : float, default=1.0
        Alpha: below 1, rare contexts lose information.
    shrinkage : float, default=0.0
        Delta: information of a pair is halved if it was counted so often.

    Returns
    -------
    csr_array (n, m) of float32
        Positive entries only.

    Notes
    -----
    Levy and Goldberg, *Neural word embedding as implicit matrix factorization*, NIPS 2014, equation
    11; Levy, Goldberg and Dagan, *Improving distributional similarity with lessons learned from
    word embeddings*, TACL 3 (2015), equation 3. The factor, with delta = 1: Pantel and Lin,
    *Discovering word senses from text*, KDD 2002. O(nnz) time.
    """
    entries = sparse.csr_array(counts, dtype=np.float64).tocoo()
    of_words, of_contexts = counts.sum(axis=1), counts.sum(axis=0)
    smoothed = np.asarray(of_contexts, dtype=np.float64) ** context_smoothing
    with np.errstate(divide="ignore"):  # of words and contexts without counts, which have no entry
        offsets = np.log(of_words), np.log(smoothed)
        values = np.log(entries.data)
        total = np.log(smoothed.sum())
    values -= offsets[0][entries.row]
    values -= offsets[1][entries.col]
    values += total - np.log(shift)
    kept = values > 0
    seen = entries.data[kept]
    values = (values[kept] * (seen / (seen + shrinkage))).astype(np.float32)
    cells = entries.row[kept], entries.col[kept]
    return sparse.coo_array((values, cells), shape=counts.shape).tocsr()


def factorise(
    matrix: sparse.csr_array,
    n_components: int,
    run: Runner,
    *,
    n_passes: int = 3,
    rng: np.random.Generator,
) -> SingularVectors:
    r"""Find the largest singular values and vectors of a sparse matrix M.

    Parameters
    ----------
    matrix : csr_array (n, m) of float32
    n_components : int
        K.
    run : Runner
        Who multiplies: rows are cut into chunks.
    n_passes : int, default=3
        Products with :math:`M^T M`, which turn random directions to the largest singular vectors.
    rng : Generator
        Draws these directions.

    Returns
    -------
    SingularVectors

    Raises
    ------
    RankError
        If M has fewer than K singular values that are not 0.

    Notes
    -----
    O(n_passes (nnz (K + 20) + m (K + 20)^2)) time. If K + 20 is not below the lesser of n and m, a
    dense decomposition, which is exact.
    Halko, Martinsson and Tropp, *Finding structure with randomness*, SIAM Review 53 (2011),
    algorithm 4.4.
    """
    rank = n_components + OVERSAMPLING
    if rank >= min(matrix.shape):
        u, s, vt = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        u, s, vt = _project(matrix, rank, run, n_passes, rng)
    n_found = int(np.sum(s > s[:1] * max(matrix.shape) * np.finfo(np.float32).eps))
    if n_found < n_components:
        raise RankError(
            f"the matrix of mutual information of {matrix.shape[0]} words and {matrix.shape[1]} "
            f"contexts has rank {n_found}, less than n_components={n_components}. Set "
            f"n_components={max(n_found, 1)} or less, or give more text."
        )
    u, vt = svd_flip(u[:, :n_components], vt[:n_components])
    u[np.diff(matrix.indptr) == 0] = 0  # which rounding would give a direction
    return SingularVectors(u, s[:n_components], np.ascontiguousarray(vt.T))


def _project(
    matrix: sparse.csr_array, rank: int, run: Runner, n_passes: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Decompose what is left of a matrix in a basis that holds its largest right vectors."""
    chunks = run.place(_cut(matrix))
    basis = rng.standard_normal((matrix.shape[1], rank), dtype=np.float32)
    for _ in range(n_passes):
        found = run.total(partial(_there_and_back, basis=basis), chunks)
        found = np.require(found, requirements="A")  # a cluster's need not be, and SciPy 1.18 asks
        basis = linalg.lu(found, permute_l=True, check_finite=False)[0]
    basis = _thin_svd(basis)[0]
    projected = np.concatenate(list(run.map(partial(_multiply, right=basis), chunks)))
    u, s, vt = _thin_svd(projected)
    return u, s, vt @ basis.T


def _thin_svd(
    tall: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Decompose a matrix of few columns by those of its Gram matrix, in double precision."""
    wide = tall.astype(np.float64)
    squares, v = np.linalg.eigh(wide.T @ wide)
    s = np.sqrt(np.maximum(squares[::-1], 0))
    v = v[:, ::-1]
    u = wide @ (v / np.maximum(s, np.finfo(np.float32).tiny))
    return u.astype(np.float32), s.astype(np.float32), v.T.astype(np.float32)


def _cut(matrix: sparse.csr_array) -> list[sparse.csr_array]:
    """Chunks of rows, of about as many entries each."""
    n_chunks = max(1, round(matrix.nnz / _ENTRIES))
    wanted = np.linspace(0, matrix.nnz, n_chunks + 1)[1:-1]
    bounds = np.unique([0, *np.searchsorted(matrix.indptr, wanted), matrix.shape[0]])
    return [matrix[a:b] for a, b in pairwise(bounds)]


def _there_and_back(rows: sparse.csr_array, basis: NDArray[np.float32]) -> NDArray[np.float32]:
    return _multiply(rows.T, _multiply(rows, basis))


def _multiply(left: sparse.sparray, right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Product by some columns at a time, which a cache holds: half of the time of all at once."""
    blocks = np.array_split(right, -(-right.shape[1] // _COLUMNS), axis=1)
    return np.concatenate([left @ block for block in blocks], axis=1)


def shrink_rows(
    found: SingularVectors, counts: NDArray[np.floating], shrinkage: float
) -> NDArray[np.float32]:
    r"""Draw left singular vectors of rows with few counts to the largest directions.

    .. math:: \hat u_{ik} = u_{ik} \frac{r_i s_k^2}{r_i s_k^2 + \delta \sum_l s_l^2}

    Parameters
    ----------
    found : SingularVectors
        u and s.
    counts : array (n,)
        r: how much was counted of each row.
    shrinkage : float
        Delta: a row with K delta counts keeps half of a direction of average size.

    Returns
    -------
    float32 array (n, K)

    Notes
    -----
    The posterior mean of a row whose coordinates are Gaussian a priori, with the variances of the
    columns of U S, and are seen with noise whose variance falls as 1 / r (Wiener's filter); also a
    ridge regression of the row on the right singular vectors. The share of direction k in r_i
    counts is :math:`r_i s_k^2 / \sum_l s_l^2`: what n counts say is multiplied by n / (n + delta),
    as in `positive_pmi`.
    """
    if shrinkage == 0:
        return found.left
    squares = found.values.astype(np.float64) ** 2
    expected = np.outer(counts, squares / squares.sum())
    return found.left * (expected / (expected + shrinkage)).astype(np.float32)


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rows divided by their lengths; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def nearest(
    vectors: NDArray[np.floating],
    query: NDArray[np.floating],
    n: int,
    excluded: Sequence[int] = (),
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Find the rows whose angles with a query are the smallest.

    Parameters
    ----------
    vectors : array (V, K)
        Of unit length.
    query : array (K,)
    n : int
        How many.
    excluded : sequence of int
        Rows that are not looked at.

    Returns
    -------
    rows : int64 array (n,)
        The nearest one first.
    cosines : array (n,)
    """
    cosines = vectors @ unit_rows(query[None])[0]
    allowed = np.ones(len(vectors), dtype=bool)
    allowed[list(excluded)] = False
    candidates = np.flatnonzero(allowed)
    n = min(n, candidates.size)
    best = np.argpartition(-cosines[candidates], max(n - 1, 0))[:n] if n else np.empty(0, np.int64)
    rows = candidates[best]
    order = np.argsort(-cosines[rows], kind="stable")
    return rows[order], cosines[rows[order]]
