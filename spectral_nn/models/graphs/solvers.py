"""Linear systems of graphs, ``(I - alpha S) z = b``, solved by iterations or by eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from spectral_nn.models.graphs.affinity import Weights, multiply
from spectral_nn.models.graphs.kernels import curve, descend, turn
from spectral_nn.runners.base import Runner

__all__ = ["Solution", "System", "conjugate_gradients", "expand_in_eigenvectors", "iterate"]

_MIN_BASIS = 60  # vectors of Lanczos iteration between restarts
_UNSURE = 0.1  # share of a row that one more step may still move
_ROUNDING = 4  # units in the last place that the residual of a row may keep


@dataclass(frozen=True, eq=False)
class System:
    r"""``(I - alpha S) z = b`` for C right-hand sides, and the units of its solution.

    .. math:: S = M + \mathrm{diag}(l)

    Attributes
    ----------
    matrix : Weights
        M, of shape (n, n).
    loops : ndarray of shape (n, 1), or 0.0
        l.
    alpha : float
    right : ndarray of shape (n, C)
        b.
    units : ndarray of shape (n, 1)
        What is wanted is ``units * z``.
    stochastic : bool
        Whether rows of that sum to one, or are zero.
    run : Runner
    """

    matrix: Weights
    loops: Any
    alpha: float
    right: NDArray
    units: NDArray
    stochastic: bool
    run: Runner

    def step(self, z: NDArray) -> NDArray:
        """``alpha S z + b``, a step of power iteration: what vertices hear where all say z."""
        heard = self.multiply(z)
        heard *= self.alpha
        heard += self.right
        return heard

    def multiply(self, z: NDArray) -> NDArray:
        """``S z``."""
        heard = multiply(self.matrix, z, self.run)
        if not np.isscalar(self.loops):
            heard += self.loops * z
        return heard

    def sizes(self, z: NDArray) -> NDArray:
        """Sum of each row of ``|z|``, in the units that are wanted, (n,)."""
        return np.abs(z) @ np.ones(z.shape[1], z.dtype) * self.units[:, 0]


class Solution(NamedTuple):
    """What a solver found.

    Attributes
    ----------
    z : ndarray of shape (n, C)
    n_iter : int
        Products with the graph.
    residual : float
        What one more step of power iteration would change, summed over ``units * z``.
    converged : bool
    """

    z: NDArray
    n_iter: int
    residual: float
    converged: bool


def iterate(
    system: System, start: NDArray, *, tol: float, max_iter: int, n_done: int = 0
) -> Solution:
    r"""Power iteration, :math:`z \leftarrow \alpha S z + b`; S need not be symmetric.

    Rows are divided by their sums after each step where these are known to be one in the end. It
    stops when a step changes less than `tol`, summed over all entries, and no row by more than a
    tenth of itself: numbers far from all labels are small, and are right only after the others.

    Parameters
    ----------
    system : System
    start : ndarray of shape (n, C)
    tol : float
    max_iter : int
        Most products with the graph, those that were made before among them.
    n_done : int
        How many were.

    Returns
    -------
    Solution

    Notes
    -----
    The error falls by ``alpha`` times the largest eigenvalue of S in a step, which costs O(C) for
    every edge. Where nothing is negative, as it is here, the error of a small number is as small.
    """
    z, residual, settled = start, np.inf, False
    for n_iter in range(n_done, max_iter):
        if settled:
            return Solution(z, n_iter, residual, True)
        new = system.step(z)
        if system.stochastic:
            totals = system.sizes(new)
            new /= np.where(totals > 0, totals, 1)[:, None]
        change = system.sizes(new - z)
        residual = float(change.sum())
        settled = residual <= _floor(system, tol) and not _is_unsure(system, new, change).any()
        z = new
    return Solution(z, max_iter, residual, False)


def conjugate_gradients(system: System, *, tol: float, max_iter: int) -> Solution:
    """Conjugate gradients for all right-hand sides at once; S is symmetric.

    Iteration ends when the residual, computed anew to be sure, sums to less than `tol`. Rows so far
    from all labels, or so loosely tied to them, that rounding hides what they hear are then left to
    power iteration.

    Parameters
    ----------
    system : System
        S without loops, its eigenvalues within [-1, 1].
    tol : float
    max_iter : int
        Most products with the graph.

    Returns
    -------
    Solution

    Notes
    -----
    The error falls by ``(sqrt(c) - 1) / (sqrt(c) + 1)`` in a step, where c is the condition number
    of I - alpha S, ``(1 + alpha) / (1 - alpha)`` at the most: .87 for alpha = .99, of which power
    iteration makes .99. A step costs O(C) for every edge.
    """
    z = np.zeros_like(system.right)
    left = system.right.copy()  # the residual
    toward, before = left.copy(), _squares(left)
    size, floor = float(system.sizes(left).sum()), _floor(system, tol)
    for n_iter in range(1, max_iter + 1):
        if size <= floor:
            left = system.step(z) - z
            sizes = system.sizes(left)
            size = float(sizes.sum())
            if size <= floor:
                return _finish_small_rows(system, z, sizes, tol, max_iter, n_iter)
            toward, before = left.copy(), _squares(left)
            continue
        product = system.multiply(toward)
        curvature, squares = np.zeros((2, z.shape[1]))
        curve(toward, product, system.alpha, curvature)
        length = _ratios(before, curvature)
        size = descend(z, left, toward, product, length, system.units, squares)
        turn(toward, left, _ratios(squares, before))
        before = squares
    return Solution(z, max_iter, float(size), False)


def expand_in_eigenvectors(
    system: System, n_eigenvectors: int, *, rng: np.random.Generator, max_iter: int
) -> Solution:
    r"""Solve in the basis of the leading eigenvectors of S, which is symmetric.

    .. math:: z = b + \sum_k \frac{\alpha\lambda_k}{1 - \alpha\lambda_k} v_k v_k^\top b

    With all eigenvectors this is exact; those that are left out count as if of eigenvalue zero.

    Parameters
    ----------
    system : System
    n_eigenvectors : int
        n or more: all, which takes memory for n^2 numbers.
    rng : Generator
        Draws the vector that Lanczos iteration starts from.
    max_iter : int
        Most restarts of Lanczos iteration; eigenvectors that have not converged then are left out.

    Returns
    -------
    Solution
        ``n_iter`` counts products with single vectors here.

    Notes
    -----
    On a manifold that is thin, as long spirals are, eigenvalues crowd at one: Lanczos iteration
    needs many restarts, and what tells vertices apart lies in eigenvectors that are left out.
    """
    n = len(system.right)
    n_products, converged = 0, True

    def apply(v: NDArray) -> NDArray:
        nonlocal n_products
        n_products += 1
        return system.multiply(np.asarray(v, system.right.dtype).reshape(n, -1)).reshape(v.shape)

    if n_eigenvectors >= n:
        values, vectors = eigh(apply(np.eye(n, dtype=system.right.dtype)))
    else:
        operator = LinearOperator((n, n), matvec=apply, matmat=apply, dtype=system.right.dtype)
        how: dict[str, Any] = {"k": n_eigenvectors, "which": "LA", "maxiter": max_iter}
        how["ncv"] = min(n, max(2 * n_eigenvectors + 1, _MIN_BASIS))
        start = rng.standard_normal(n).astype(system.right.dtype)
        if np.linalg.norm(apply(start)) == 0:  # no edges: all eigenvalues are zero
            return Solution(system.right.copy(), n_products, 0.0, True)
        try:
            values, vectors = eigsh(operator, v0=start, **how)
        except ArpackNoConvergence as error:
            values, vectors, converged = error.eigenvalues, error.eigenvectors, False
    # Of an eigenvalue that is one but for rounding nothing is left: no label reaches those rows.
    left = 1 - system.alpha * values
    least = _ROUNDING * np.finfo(values.dtype).eps
    shares = np.where(left > least, system.alpha * values / np.maximum(left, least), 0)
    z = system.right + vectors @ (shares[:, None] * (vectors.T @ system.right))
    residual = float(system.sizes(system.step(z) - z).sum())
    return Solution(z, n_products, residual, converged)


def _finish_small_rows(
    system: System, z: NDArray, sizes: NDArray, tol: float, max_iter: int, n_iter: int
) -> Solution:
    """Recompute by power iteration those rows that are smaller than their residual."""
    unsure = _is_unsure(system, z, sizes)
    if not unsure.any():
        return Solution(z, n_iter, float(sizes.sum()), True)
    if n_iter >= max_iter:
        return Solution(z, n_iter, float(sizes.sum()), False)
    z[unsure] = 0
    np.maximum(z, 0, out=z)
    linear = replace(system, stochastic=False)  # sums of tiny rows tell whom these hear most of
    return iterate(linear, z, tol=tol, max_iter=max_iter, n_done=n_iter)


def _is_unsure(system: System, z: NDArray, change: NDArray) -> NDArray[np.bool_]:
    return change > _UNSURE * system.sizes(z)


def _floor(system: System, tol: float) -> float:
    """The tolerance, or what rounding leaves if that is more."""
    return max(tol, _ROUNDING * float(np.finfo(system.right.dtype).eps) * len(system.right))


def _squares(x: NDArray) -> NDArray[np.float64]:
    return np.einsum("ij,ij->j", x, x, dtype=np.float64)


def _ratios(x: NDArray, y: NDArray) -> NDArray:
    """Quotients; zero where a right-hand side is solved already."""
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)
