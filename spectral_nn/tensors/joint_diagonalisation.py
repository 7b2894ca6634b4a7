"""Symmetric tensors with orthogonal components, by Jacobi rotations of their slices."""

from __future__ import annotations

import numpy as np

from spectral_nn.arrays import Array, from_numpy, to_numpy
from spectral_nn.results import Factors
from spectral_nn.tensors.contractions import relative_residual

__all__ = ["diagonalise_tensor"]

_MIN_GAIN = 1e-10  # of a sweep, as a share of the squared norm


def diagonalise_tensor(T: Array) -> Factors:
    r"""Decompose a symmetric tensor into as many orthogonal components as it has rows.

    .. math:: T = \sum_k \lambda_k\, v_k^{\otimes 3}, \qquad v_j^T v_k = \delta_{jk}

    The slices ``T[:, :, j]`` then have V for eigenvectors, all of them. V is the orthogonal matrix
    that makes them most nearly diagonal, found by rotating one pair of coordinates at a time by the
    best angle, until no rotation is left.

    Parameters
    ----------
    T : array (K, K, K)
        Symmetric, usually whitened.

    Returns
    -------
    Factors
        Weights ``T(v, v, v)``, which are at least 0 (signs are in the vectors), the largest first,
        and the same vectors (K, K) for all three modes.

    Raises
    ------
    ValueError
        If T is not a cube, or has entries that are not finite.

    See Also
    --------
    spectral_nn.tensors.power.tensor_power : One component after another, from random starts.
    spectral_nn.tensors.jennrich.jennrich : Slices whose common basis is not orthogonal.

    Notes
    -----
    There is no random start: the same tensor has the same components. Noise of the tensor moves
    all components alike; in the power method, errors of the first add to those of the last.

    Computed on the host. Cost: O(K^4) a sweep: some ten sweeps, and 50 or more of tensors with much
    noise, until one gains less than 1e-10 of the squared norm.
    Cardoso and Souloumiac, *Jacobi angles for simultaneous diagonalization*, SIAM J. Matrix Anal.
    Appl. 17 (1996), with real rotations.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import compose, diagonalise_tensor
    >>> V = np.array([[0.6, -0.8], [0.8, 0.6]])
    >>> found = diagonalise_tensor(compose(np.array([3.0, -2.0]), [V] * 3))
    >>> found.weights.round(6).tolist(), found.vectors[0].round(6).tolist()
    ([3.0, 2.0], [[0.6, 0.8], [0.8, -0.6]])
    """
    from spectral_nn.tensors.rotations import rotate  # Numba is slow to import

    shape = tuple(T.shape)
    if len(shape) != 3 or len(set(shape)) != 1:
        raise ValueError(f"T has shape {shape}: a symmetric tensor (K, K, K) is needed.")
    slices = np.array(to_numpy(T), dtype=np.float64)
    if not np.isfinite(slices).all():
        raise ValueError("T has entries that are not finite.")
    V = np.eye(shape[0])
    rotate(slices, V, _MIN_GAIN * float(np.vdot(slices, slices)))
    weights = np.einsum("ijk,ia,ja,ka->a", to_numpy(T), V, V, V, optimize=True)
    V, weights = np.where(weights < 0, -V, V), np.abs(weights)
    order = np.argsort(-weights, kind="stable")
    found = (from_numpy(weights[order], like=T), (from_numpy(V[:, order], like=T),) * 3)
    return Factors(*found, residual=relative_residual(T, *found))
