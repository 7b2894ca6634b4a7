"""Weights of the edges of a graph: sparse, dense, or made when a product needs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.runners.base import Runner

__all__ = [
    "Graph",
    "RBFWeights",
    "find_reached",
    "make_graph",
    "multiply",
    "predict_rbf",
    "rbf_graph",
    "scale",
    "symmetrise",
]

Rows = Any  # csr_array or ndarray (n, d)

_BLOCK = (512, 2048)  # of a matrix of rbf weights that is made at a time: 8 MB in float64
_MAX_DENSE = 1 << 26  # bytes up to which rbf weights are kept
_ENTRIES = 1 << 22  # of weights between new rows and all others that are made at a time
_ROWS = 1 << 14  # of a sparse matrix that a worker multiplies at a time


@dataclass(frozen=True, eq=False)
class RBFWeights:
    r"""Weights ``left[i] exp(-gamma ||x_i - x_j||^2) right[j]``, zero where i is j.

    No more than a block of the matrix is ever in memory: every product makes all of it anew.

    Attributes
    ----------
    rows : ndarray or csr_array of shape (n, d)
    gamma : float
    left, right : ndarray of shape (n,)
    """

    rows: Rows
    gamma: float
    left: NDArray
    right: NDArray

    @property
    def dtype(self) -> Any:
        """Precision of the weights."""
        return self.rows.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """As of the matrix."""
        return self.rows.shape[0], self.rows.shape[0]


#: Anything that `multiply` and `scale` take: csr_array, ndarray (n, n) or RBFWeights.
Weights = Any


@dataclass(frozen=True, eq=False)
class Graph:
    """Weights of edges, and of loops, that is edges from a vertex to itself.

    Attributes
    ----------
    weights : csr_array, ndarray of shape (n, n), or RBFWeights
        ``[i, j]`` is what i hears of j; the diagonal is zero.
    loops : ndarray of shape (n,)
        The diagonal.
    degrees, in_degrees : ndarray of shape (n,)
        Sums over rows and over columns of the weights, without loops.
    symmetric : bool
        Whether edges have no direction.
    """

    weights: Weights
    loops: NDArray
    degrees: NDArray
    in_degrees: NDArray
    symmetric: bool


def make_graph(weights: sparse.csr_array | NDArray) -> Graph:
    """Take loops off a matrix of weights.

    Parameters
    ----------
    weights : csr_array or ndarray of shape (n, n)
        Not negative.

    Returns
    -------
    Graph
    """
    loops = weights.diagonal().copy()
    if sparse.issparse(weights):
        weights = _tidy(weights, loops)
        turned = weights.T.tocsr()
        symmetric = all(
            np.array_equal(getattr(weights, name), getattr(turned, name))
            for name in ("indptr", "indices", "data")
        )
    else:
        weights = weights.copy()
        np.fill_diagonal(weights, 0)
        symmetric = np.array_equal(weights, weights.T)
    degrees = np.asarray(weights.sum(axis=1))
    in_degrees = degrees if symmetric else np.asarray(weights.sum(axis=0))
    return Graph(weights, loops, degrees, in_degrees, symmetric)


def symmetrise(graph: Graph) -> Graph:
    """Graph of the weights ``(W + W.T) / 2``, sparse or dense."""
    if graph.symmetric:
        return graph
    weights = graph.weights + graph.weights.T
    if sparse.issparse(weights):
        weights = sparse.csr_array(weights)
        weights.data *= 0.5  # a quotient would be in double precision
    else:
        weights *= 0.5
    degrees = np.asarray(weights.sum(axis=1))
    return Graph(weights, graph.loops, degrees, degrees, True)


def rbf_graph(rows: Rows, gamma: float, run: Runner) -> Graph:
    """Weights ``exp(-gamma ||x - y||^2)`` between all rows.

    They are kept where they take 64 MiB at the most, and else are made anew for every product, at
    n^2 (2 d + 2 C) flops and n^2 exponentials for C columns.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n, d)
    gamma : float
    run : Runner

    Returns
    -------
    Graph
    """
    n = rows.shape[0]
    one = np.ones(n, rows.dtype)
    weights = RBFWeights(rows, gamma, one, one)
    if n * n * rows.dtype.itemsize <= _MAX_DENSE:
        return replace(make_graph(_dense(weights)), loops=one)
    degrees = multiply(weights, one[:, None], run)[:, 0]
    return Graph(weights, one, degrees, degrees, True)


def scale(weights: Weights, left: NDArray, right: NDArray) -> Weights:
    """Multiply rows of weights by ``left`` and columns by ``right``, both (n,)."""
    if isinstance(weights, RBFWeights):
        return replace(weights, left=weights.left * left, right=weights.right * right)
    if sparse.issparse(weights):
        data = weights.data * np.repeat(left, np.diff(weights.indptr)) * right[weights.indices]
        return sparse.csr_array((data, weights.indices, weights.indptr), weights.shape)
    return weights * left[:, None] * right


def multiply(weights: Weights, z: NDArray, run: Runner) -> NDArray:
    """Multiply weights with z (n, C), rows by chunks on a runner."""
    if isinstance(weights, RBFWeights):
        chunks = list(_cut(len(z), _BLOCK[0]))
        return np.concatenate(list(run.map(partial(_rbf_product, weights, z), chunks)))
    if sparse.issparse(weights) and run.n_workers > 1 and len(z) > _ROWS:
        parts = (_view(weights, rows) for rows in _cut(len(z), _ROWS))
        return np.concatenate(list(run.map(partial(_sparse_product, z), parts)))
    return weights @ z


def find_reached(graph: Graph, sources: NDArray[np.bool_], run: Runner) -> NDArray[np.bool_]:
    """Which vertices have a path along edges to a source.

    Parameters
    ----------
    graph : Graph
    sources : ndarray of shape (n,)
    run : Runner

    Returns
    -------
    ndarray of shape (n,)
    """
    if graph.symmetric and sparse.issparse(graph.weights):
        n_parts, part = sparse.csgraph.connected_components(graph.weights, directed=False)
        has_source = np.zeros(n_parts, dtype=bool)
        has_source[part[sources]] = True
        return has_source[part]
    reached = sources
    while not reached.all():
        at = reached.astype(graph.weights.dtype)[:, None]
        grown = reached | (multiply(graph.weights, at, run)[:, 0] > 0)
        if np.array_equal(grown, reached):
            break
        reached = grown
    return reached


def predict_rbf(rows: Rows, gamma: float, shares: NDArray, new: Rows, run: Runner) -> NDArray:
    r"""Means of the shares of all rows, weighed by ``exp(-gamma ||x - y||^2)``, for new rows.

    Weights are taken relative to the largest, so that rows far from all others follow the nearest.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n, d)
    gamma : float
    shares : ndarray of shape (n, C)
    new : ndarray or csr_array of shape (m, d)
    run : Runner

    Returns
    -------
    ndarray of shape (m, C)
    """
    size = max(1, _ENTRIES // rows.shape[0])
    parts = (new[chunk] for chunk in _cut(new.shape[0], size))
    return np.concatenate(list(run.map(partial(_rbf_mean, rows, gamma, shares), parts)))


def _rbf_mean(rows: Rows, gamma: float, shares: NDArray, new: Rows) -> NDArray:
    weights = _exponents(new, rows, gamma)
    weights -= weights.max(axis=1, keepdims=True)
    np.exp(weights, out=weights)
    return weights @ shares / weights.sum(axis=1, keepdims=True)


def _tidy(weights: sparse.csr_array, loops: NDArray) -> sparse.csr_array:
    """Without loops and stored zeros, columns in order; what was given is left as it is."""
    if loops.any():
        weights = sparse.csr_array(weights - sparse.diags_array(loops, dtype=weights.dtype))
    if not weights.data.all():
        weights = weights.copy()
        weights.eliminate_zeros()
    return weights if weights.has_sorted_indices else weights.sorted_indices()


def _cut(n: int, size: int) -> Iterator[slice]:
    for begin in range(0, n, size):
        yield slice(begin, min(begin + size, n))


def _view(weights: sparse.csr_array, rows: slice) -> sparse.csr_array:
    """Some rows, whose entries are not copied."""
    ends = weights.indptr[rows.start : rows.stop + 1]
    entries = slice(ends[0], ends[-1])
    arrays = weights.data[entries], weights.indices[entries], ends - ends[0]
    return sparse.csr_array(arrays, shape=(rows.stop - rows.start, weights.shape[1]))


def _sparse_product(z: NDArray, rows: sparse.csr_array) -> NDArray:
    return rows @ z


def _dense(weights: RBFWeights) -> NDArray:
    """All weights of few rows, exactly symmetric."""
    found = np.concatenate([_block(weights, rows) for rows in _cut(weights.shape[0], _BLOCK[0])])
    return (found + found.T) / 2


def _rbf_product(weights: RBFWeights, z: NDArray, rows: slice) -> NDArray:
    """Some rows of a product with z (n, C)."""
    z = z * weights.right[:, None]
    total = np.zeros((rows.stop - rows.start, z.shape[1]), z.dtype)
    for columns in _cut(len(z), _BLOCK[1]):
        total += _block(weights, rows, columns) @ z[columns]
    return total * weights.left[rows, None]


def _block(weights: RBFWeights, rows: slice, columns: slice = slice(None)) -> NDArray:
    """Weights before they are scaled, between some rows and others."""
    block = _exponents(weights.rows[rows], weights.rows[columns], weights.gamma)
    np.exp(block, out=block)
    begin, end, _ = columns.indices(weights.shape[0])
    itself = np.arange(max(rows.start, begin), min(rows.stop, end))
    block[itself - rows.start, itself - begin] = 0
    return block


def _exponents(x: Rows, y: Rows, gamma: float) -> NDArray:
    """``-gamma ||x - y||^2``, at most zero, between all rows x and all rows y."""
    products = x @ y.T
    found = products.toarray() if sparse.issparse(products) else products
    found *= 2 * gamma
    found -= gamma * _squares(x)[:, None]
    found -= gamma * _squares(y)
    return np.minimum(found, 0, out=found)


def _squares(x: Rows) -> NDArray:
    return x.multiply(x).sum(axis=1) if sparse.issparse(x) else np.einsum("ij,ij->i", x, x)
