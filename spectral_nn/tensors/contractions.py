"""Multilinear maps of third-order tensors, and tensors composed from rank-one terms."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_nn.arrays import Array, get_namespace, to_numpy

__all__ = ["compose", "khatri_rao", "multilinear", "relative_residual"]


def multilinear(T: Array, A: Array, B: Array, C: Array) -> Array:
    r"""Contract each mode of a third-order tensor with a matrix.

    .. math:: T(A, B, C)_{abc} = \sum_{ijk} T_{ijk} A_{ia} B_{jb} C_{kc}

    Parameters
    ----------
    T : array (n1, n2, n3)
    A : array (n1, k1)
    B : array (n2, k2)
    C : array (n3, k3)

    Returns
    -------
    contracted : array (k1, k2, k3)

    Notes
    -----
    Cost: O(n1 n2 n3 k3 + n1 n2 k2 k3 + n1 k1 k2 k3), three matrix products.
    The notation is that of Anandkumar, Ge, Hsu, Kakade and Telgarsky, *Tensor decompositions for
    learning latent variable models*, JMLR 15 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import multilinear
    >>> T = np.arange(24.0).reshape(2, 3, 4)
    >>> ones = [np.ones((n, 1)) for n in T.shape]
    >>> multilinear(T, *ones)
    array([[[276.]]])
    """
    xp = get_namespace(T, A, B, C)
    # Each product takes away the last mode and puts the new one first.
    for matrix in (C, B, A):
        T = xp.tensordot(matrix, T, axes=((0,), (T.ndim - 1,)))
    return T


def khatri_rao(vectors: Sequence[Array]) -> Array:
    """Return the column-wise Kronecker product of matrices, the last index running fastest.

    Parameters
    ----------
    vectors : sequence of arrays (n_m, K)

    Returns
    -------
    product : array (n_1 * n_2 * ..., K)

    Notes
    -----
    Cost: O(K prod n_m).
    """
    xp = get_namespace(*vectors)
    product = vectors[0]
    for matrix in vectors[1:]:
        product = xp.reshape(product[:, None, :] * matrix[None, :, :], (-1, matrix.shape[1]))
    return product


def compose(weights: Array, vectors: Sequence[Array]) -> Array:
    r"""Sum weighted rank-one tensors.

    .. math:: T = \sum_k w_k\, a^{(1)}_k \otimes \dots \otimes a^{(M)}_k

    Parameters
    ----------
    weights : array (K,)
    vectors : sequence of M arrays, the m-th of shape (n_m, K)
        Components are columns. Repeat one matrix for a symmetric tensor.

    Returns
    -------
    T : array (n_1, ..., n_M)

    Notes
    -----
    Cost: O(K prod n_m), one matrix product.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import compose
    >>> compose(np.array([2.0, 3.0]), [np.eye(2)] * 3)[:, :, 1]
    array([[0., 0.],
           [0., 3.]])
    """
    xp = get_namespace(weights, *vectors)
    first = vectors[0] * weights
    rest = khatri_rao(vectors[1:])
    return xp.reshape(first @ rest.T, tuple(matrix.shape[0] for matrix in vectors))


def relative_residual(T: Array, weights: Array, vectors: Sequence[Array]) -> float:
    """Measure what a sum of rank-one terms leaves of a tensor.

    Parameters
    ----------
    T : array (n_1, ..., n_M)
    weights : array (K,)
    vectors : sequence of M arrays, the m-th of shape (n_m, K)

    Returns
    -------
    residual : float
        ``||T - compose(weights, vectors)|| / ||T||`` in the Frobenius norm, 0 if T is zero and
        the sum is too.

    Notes
    -----
    Cost: O(K prod n_m). Waits for the device.
    """
    xp = get_namespace(T, weights, *vectors)
    norms = xp.stack(
        [xp.linalg.vector_norm(T - compose(weights, vectors)), xp.linalg.vector_norm(T)]
    )
    rest, total = (float(norm) for norm in to_numpy(norms))
    if total > 0:
        return rest / total
    return 0.0 if rest == 0 else float("inf")
