"""Joint diagonalisation of symmetric matrices by an orthogonal change of basis."""

from __future__ import annotations

from typing import NamedTuple

from spectral_nn.arrays import Array, get_namespace, to_numpy

__all__ = ["JointDiagonalisation", "joint_diagonalise", "off_diagonal_ratio"]


class JointDiagonalisation(NamedTuple):
    """A basis that makes several matrices as diagonal as can be.

    Attributes
    ----------
    basis : array (K, K)
        R, with columns of unit norm: ``slices[v] = R @ diag(eigenvalues[v]) @ inv(R)`` nearly.
    eigenvalues : array (m, K)
        The diagonals of ``inv(R) @ slices[v] @ R``.
    ratio : float
        Share of the Frobenius norm of all ``inv(R) @ slices[v] @ R`` off the diagonals, between
        0 (exactly diagonal) and 1.
    """

    basis: Array
    eigenvalues: Array
    ratio: float


def off_diagonal_ratio(slices: Array) -> tuple[Array, Array]:
    r"""Return the diagonals of matrices and the share of their norm that is off them.

    .. math:: \Big(\sum_v \sum_{i \ne j} M_{v,ij}^2 \Big/ \sum_{v,i,j} M_{v,ij}^2\Big)^{1/2}

    Parameters
    ----------
    slices : array (m, K, K)

    Returns
    -------
    diagonals : array (m, K)
    ratio : array ()
        0 if all entries are zero.

    Notes
    -----
    Cost: O(m K^2). No wait for the device.
    """
    xp = get_namespace(slices)
    diagonals = xp.linalg.diagonal(slices)
    eye = xp.eye(slices.shape[-1], dtype=slices.dtype, device=slices.device)
    # Masked rather than subtracted, so that a ratio of 1e-12 is not lost to cancellation.
    off = xp.linalg.vector_norm(slices * (1 - eye))
    total = xp.linalg.vector_norm(slices)
    return diagonals, off / xp.where(total > 0, total, xp.ones_like(total))


def joint_diagonalise(
    slices: Array, *, n_sweeps: int = 60, tol: float | None = None
) -> JointDiagonalisation:
    r"""Diagonalise symmetric matrices together by Jacobi rotations.

    Finds the orthogonal V that minimises
    :math:`\sum_v \sum_{i \ne j} (V^T M_v V)_{ij}^2`, a rotation in one plane (p, q) after another
    by the angle that minimises it over that plane,

    .. math::
        \theta = \tfrac12 \operatorname{atan2}\big(t_{off},\ t_{on} + \sqrt{t_{on}^2 + t_{off}^2}
        \big), \quad
        t_{on} = \sum_v h_{v1}^2 - h_{v2}^2, \quad t_{off} = 2 \sum_v h_{v1} h_{v2},

    with :math:`h_v = (M_{v,pp} - M_{v,qq},\ M_{v,pq} + M_{v,qp})`.

    Parameters
    ----------
    slices : array (m, K, K)
        Symmetric matrices, m >= 1.
    n_sweeps : int, default 60
        Most passes over all planes; 5 to 10 are usual.
    tol : float, default the square root of the machine epsilon
        Stop after a sweep with no |sin(theta)| above this. Convergence is quadratic at the end,
        so what is left is of the order of tol squared.

    Returns
    -------
    JointDiagonalisation
        ``(basis (K, K) orthogonal, eigenvalues (m, K), ratio)``. A ratio that stays large says
        that the slices share no orthogonal basis.

    Raises
    ------
    ValueError
        If `slices` is not a stack of square matrices.

    Notes
    -----
    The planes of a sweep are visited in round-robin order: K/2 disjoint ones are rotated at
    once, in K - 1 rounds, and the device is waited for once a sweep.
    Cost: O(m K^3) a sweep.
    Cardoso and Souloumiac, *Jacobi angles for simultaneous diagonalization*, SIAM J. Matrix Anal.
    Appl. 17 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import joint_diagonalise
    >>> rng = np.random.default_rng(0)
    >>> Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    >>> slices = (Q * rng.standard_normal((3, 1, 5))) @ Q.T
    >>> joint_diagonalise(slices).ratio < 1e-12
    True
    """
    check_slices(slices)
    xp = get_namespace(slices)
    K = slices.shape[-1]
    if tol is None:
        tol = float(xp.finfo(slices.dtype).eps) ** 0.5
    matrices, V = _pad_to_even(slices)
    order = _round_robin(V)
    for _ in range(n_sweeps):
        largest = xp.zeros((), dtype=slices.dtype, device=slices.device)
        for _ in range(V.shape[1] - 1):
            c, s = _rotations(matrices)
            matrices = _rotate(matrices, c, s, axis=1)
            matrices = _rotate(matrices, c, s, axis=2)
            V = _rotate(V, c, s, axis=1)
            matrices = xp.take(xp.take(matrices, order, axis=1), order, axis=2)
            V = xp.take(V, order, axis=1)
            largest = xp.maximum(largest, xp.max(xp.abs(s)))
        if not float(to_numpy(largest)) > tol:
            break
    V = V[:K, :K]
    eigenvalues, ratio = off_diagonal_ratio(V.T @ slices @ V)
    return JointDiagonalisation(V, eigenvalues, float(to_numpy(ratio)))


def check_slices(slices: Array) -> None:
    """Raise ValueError unless `slices` is a non-empty stack of square matrices (m, K, K)."""
    shape = slices.shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(
            f"slices has shape {tuple(shape)}: a non-empty stack of square matrices (m, K, K) is "
            "needed."
        )


def _pad_to_even(slices: Array) -> tuple[Array, Array]:
    """Return the slices and the identity with a zero row and column more where K is odd.

    A plane with a direction of zeros has angle 0, so the last entry of V stays by itself.
    """
    xp = get_namespace(slices)
    m, K = slices.shape[:2]
    V = xp.eye(K + K % 2, dtype=slices.dtype, device=slices.device)
    if K % 2:
        column = xp.zeros((m, K, 1), dtype=slices.dtype, device=slices.device)
        slices = xp.concat([slices, column], axis=2)
        row = xp.zeros((m, 1, K + 1), dtype=slices.dtype, device=slices.device)
        slices = xp.concat([slices, row], axis=1)
    return slices, V


def _round_robin(V: Array) -> Array:
    """Return the permutation that takes one round of pairs (i, i + n/2) to the next.

    Position 0 stays and the others move on by one along the circle 1 .. n/2 - 1, n - 1 .. n/2,
    so that n - 1 rounds meet every pair once and end in the order they began with.
    """
    xp = get_namespace(V)
    half = V.shape[0] // 2
    circle = [*range(1, half), *range(2 * half - 1, half - 1, -1)]
    source = [0] * (2 * half)
    for position, before in zip(circle, [circle[-1], *circle[:-1]], strict=True):
        source[position] = before
    return xp.asarray(source, device=V.device)


def _rotations(matrices: Array) -> tuple[Array, Array]:
    """Return cosines and sines (n/2,) of the best angles in the planes (i, i + n/2)."""
    xp = get_namespace(matrices)
    half = matrices.shape[-1] // 2
    diagonal = xp.linalg.diagonal(matrices)
    difference = diagonal[:, :half] - diagonal[:, half:]
    coupling = xp.linalg.diagonal(matrices[:, :half, half:])
    coupling = coupling + xp.linalg.diagonal(matrices[:, half:, :half])
    on = xp.sum(difference**2 - coupling**2, axis=0)
    off = 2 * xp.sum(difference * coupling, axis=0)
    angle = xp.atan2(off, on + xp.hypot(on, off)) / 2
    return xp.cos(angle), xp.sin(angle)


def _rotate(x: Array, c: Array, s: Array, *, axis: int) -> Array:
    """Rotate coordinates (i, i + n/2) of one axis of `x`, the last or the one before it."""
    xp = get_namespace(x)
    half = c.shape[0]
    if axis == x.ndim - 1:
        first, second = x[..., :half], x[..., half:]
    else:
        first, second = x[..., :half, :], x[..., half:, :]
        c, s = c[:, None], s[:, None]
    return xp.concat([c * first + s * second, c * second - s * first], axis=axis)
