"""Simultaneous diagonalisation by random combinations: Jennrich's algorithm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy

__all__ = ["JointDiagonalisation", "jennrich", "off_diagonal_ratio"]


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


def jennrich(
    slices: Array, *, n_projections: int = 20, rng: np.random.Generator
) -> JointDiagonalisation:
    r"""Find the basis in which matrices that commute are all diagonal.

    .. math:: M_v = R\, \mathrm{diag}(\lambda_v)\, R^{-1}, \qquad v = 1, \dots, m

    The eigenvectors of :math:`\sum_v \theta_v M_v` with random :math:`\theta` are R, unless two
    of its eigenvalues happen to lie close together. Several combinations are tried, and the one
    whose eigenvectors make all slices most nearly diagonal is kept.

    Parameters
    ----------
    slices : array (m, K, K)
        Need not be symmetric.
    n_projections : int, default 20
        Combinations to try.
    rng : numpy.random.Generator
        Draws the combinations, standard normal.

    Returns
    -------
    JointDiagonalisation
        ``(basis (K, K), eigenvalues (m, K), ratio)``. The order and the signs of the columns of R
        are arbitrary.

    Raises
    ------
    ValueError
        If `slices` is not a stack of square matrices, or n_projections < 1.

    Notes
    -----
    Noise makes close eigenvalues complex. A conjugate pair is replaced by the real and the
    imaginary part of its eigenvector, which span the same real plane, so R is always real.

    The eigendecompositions are done on the host, since the array API standard has none for
    general matrices.
    Cost: O(n_projections (m K^3 + 25 K^3)).

    Harshman, *Foundations of the PARAFAC procedure*, UCLA Working Papers in Phonetics 16 (1970),
    who credits R. Jennrich; Leurgans, Ross and Abel, *A decomposition for three-way arrays*, SIAM
    J. Matrix Anal. Appl. 14 (1993).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import jennrich
    >>> rng = np.random.default_rng(0)
    >>> R = rng.standard_normal((4, 4))
    >>> slices = (R * rng.standard_normal((6, 1, 4))) @ np.linalg.inv(R)
    >>> jennrich(slices, rng=rng).ratio < 1e-10
    True
    """
    _check_slices(slices)
    if n_projections < 1:
        raise ValueError(f"n_projections={n_projections} must be at least 1.")
    xp = get_namespace(slices)
    m, K, _ = slices.shape
    theta = from_numpy(rng.standard_normal((n_projections, m)), like=slices)
    combinations = xp.reshape(theta @ xp.reshape(slices, (m, K * K)), (n_projections, K, K))
    bases = from_numpy(_real_eigenvectors(to_numpy(combinations)), like=slices)
    # The pseudo-inverse does not fail on the singular basis of a defective combination.
    inverses = xp.linalg.pinv(bases)
    # One projection at a time: all together would take n_projections times the slices' memory.
    tried = [
        off_diagonal_ratio(inverses[p, ...] @ (slices @ bases[p, ...]))
        for p in range(n_projections)
    ]
    ratios = to_numpy(xp.stack([ratio for _, ratio in tried]))
    best = int(np.argmin(np.where(np.isnan(ratios), np.inf, ratios)))
    return JointDiagonalisation(bases[best, ...], tried[best][0], float(ratios[best]))


def _check_slices(slices: Array) -> None:
    """Raise ValueError unless `slices` is a non-empty stack of square matrices (m, K, K)."""
    shape = slices.shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(
            f"slices has shape {tuple(shape)}: a non-empty stack of square matrices (m, K, K) is "
            "needed."
        )


def _real_eigenvectors(matrices: np.ndarray) -> np.ndarray:
    """Return real bases (P, K, K) of unit columns that span the eigenspaces of real matrices."""
    eigenvalues, vectors = np.linalg.eig(matrices)
    # Of a pair, the member below the real axis gives the imaginary part of the other one.
    basis = np.where(eigenvalues.imag[:, None, :] < 0, vectors.imag, vectors.real)
    norms = np.linalg.norm(basis, axis=1, keepdims=True)
    return basis / np.where(norms > 0, norms, 1.0)
