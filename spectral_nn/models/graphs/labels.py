"""Labels of some vertices of a graph, spread to all: clamped, or against a pull to where they were.

Both rules are linear systems that `spectral_nn.models.graphs.solvers` solves in any of three ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.base import Options
from spectral_nn.models.graphs.affinity import Graph, find_reached, multiply, scale
from spectral_nn.models.graphs.solvers import (
    Solution,
    System,
    conjugate_gradients,
    expand_in_eigenvectors,
    iterate,
)
from spectral_nn.runners.base import Runner

__all__ = ["LabelOptions", "Labels", "clamped_system", "label", "spreading_system"]


@dataclass(frozen=True)
class LabelOptions(Options):
    """How labels get to the vertices that have none.

    Attributes
    ----------
    alpha : float or None
        Share of what a vertex hears from its neighbours against the label that it was given. None:
        labels are clamped.
    solver : {"cg", "power", "eigen"}
        The first and the last take symmetric graphs alone.
    tol : float
    max_iter : int
    n_eigenvectors : int
        For "eigen"; the number of vertices or more for all.
    """

    alpha: float | None
    solver: str = "cg"
    tol: float = 1e-3
    max_iter: int = 1000
    n_eigenvectors: int = 100


@dataclass(frozen=True, eq=False)
class Labels:
    """What `label` found.

    Attributes
    ----------
    distributions : ndarray of shape (n, C)
        Shares of the labels, one row a vertex.
    reached : ndarray of shape (n,)
        Whether a vertex has a path to a label; others have the mean of the labels that were given.
    n_iter, residual, converged
        As of a `Solution`.
    """

    distributions: NDArray
    reached: NDArray[np.bool_]
    n_iter: int
    residual: float
    converged: bool


def label(
    graph: Graph,
    given: NDArray,
    options: LabelOptions,
    *,
    rng: np.random.Generator,
    run: Runner,
) -> Labels:
    """Spread labels over a graph.

    Parameters
    ----------
    graph : Graph
    given : ndarray of shape (n, C)
        Distributions of the labels of some vertices; rows of zeros for those that have none.
    options : LabelOptions
    rng : Generator
        For "eigen" with fewer than all eigenvectors.
    run : Runner

    Returns
    -------
    Labels
    """
    labelled = np.asarray(given.any(axis=1))
    # one over a smaller sum of weights is no finite number
    tied = graph.degrees >= np.finfo(graph.degrees.dtype).tiny
    reached = find_reached(graph, labelled, run) & (labelled | tied)
    if options.alpha is None:
        free = reached & ~labelled
        system = clamped_system(graph, given, free, loops=options.solver == "power", run=run)
        start = np.zeros_like(given)
    else:
        system = spreading_system(graph, given, options.alpha, run=run)
        start = given
    found = _solve(system, start, options, rng)
    shares = np.maximum(found.z * system.units, 0)
    if options.alpha is None:
        shares[labelled] = given[labelled]
    totals = shares.sum(axis=1, keepdims=True)
    shares /= np.where(totals > 0, totals, 1)
    shares[totals[:, 0] == 0] = given[labelled].mean(axis=0)
    return Labels(shares, reached, found.n_iter, found.residual, found.converged)


def clamped_system(
    graph: Graph, given: NDArray, free: NDArray[np.bool_], *, loops: bool, run: Runner
) -> System:
    r"""The system of label propagation: labels that are given stay.

    .. math:: (D_{uu} - W_{uu}) F_u = W_{ul} Y_l

    (Zhu, Ghahramani and Lafferty, *Semi-supervised learning using Gaussian fields and harmonic
    functions*, ICML 2003, equation 5), in the unknowns :math:`z = D^{1/2} F`, with which its matrix
    is symmetric and has a unit diagonal; rows of z that are not free are zero.

    Parameters
    ----------
    graph : Graph
    given : ndarray of shape (n, C)
    free : ndarray of shape (n,)
        Vertices u without a label and with a path to one.
    loops : bool
        Whether vertices hear themselves, too, as in power iteration of scikit-learn's; then the
        unknowns are F. It changes the iterations, and not what they lead to.
    run : Runner

    Returns
    -------
    System
    """
    heard = multiply(graph.weights, given, run)
    if loops:
        left = free / np.where(free, graph.degrees + graph.loops, 1).astype(given.dtype)
        matrix = scale(graph.weights, left, free.astype(given.dtype))
        units = np.ones_like(left)
        own = (left * graph.loops)[:, None]
        return System(matrix, own, 1.0, left[:, None] * heard, units[:, None], True, run)
    half = free / np.sqrt(np.where(free, graph.degrees, 1)).astype(given.dtype)
    matrix = scale(graph.weights, half, half)
    return System(matrix, 0.0, 1.0, half[:, None] * heard, half[:, None], True, run)


def spreading_system(graph: Graph, given: NDArray, alpha: float, *, run: Runner) -> System:
    r"""The system of label spreading: labels that are given pull, and may be overruled.

    .. math:: (I - \alpha S) F = (1 - \alpha) Y, \qquad S = D^{-1/2} W D^{-1/2}

    (Zhou, Bousquet, Lal, Weston and Schoelkopf, *Learning with local and global consistency*, NIPS
    2003, equation 3). Where edges have directions, D holds sums over columns, as scikit-learn's.

    Parameters
    ----------
    graph : Graph
    given : ndarray of shape (n, C)
    alpha : float
    run : Runner

    Returns
    -------
    System
    """
    half = 1 / np.sqrt(np.where(graph.in_degrees > 0, graph.in_degrees, 1)).astype(given.dtype)
    units = np.ones((len(given), 1), given.dtype)
    right = ((1 - alpha) * given).astype(given.dtype)
    return System(scale(graph.weights, half, half), 0.0, alpha, right, units, False, run)


def _solve(
    system: System, start: NDArray, options: LabelOptions, rng: np.random.Generator
) -> Solution:
    tol, max_iter = options.tol, options.max_iter
    if options.solver == "power":
        return iterate(system, start, tol=tol, max_iter=max_iter)
    if options.solver == "cg":
        return conjugate_gradients(system, tol=tol, max_iter=max_iter)
    return expand_in_eigenvectors(system, options.n_eigenvectors, rng=rng, max_iter=max_iter)
