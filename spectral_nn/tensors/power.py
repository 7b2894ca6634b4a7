"""The tensor power method for symmetric, orthogonally decomposable tensors."""

from __future__ import annotations

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.results import Factors
from spectral_nn.tensors.contractions import compose, khatri_rao, relative_residual

__all__ = ["tensor_power"]


def tensor_power(
    T: Array,
    n_components: int | None = None,
    *,
    n_starts: int = 32,
    n_iter: int = 32,
    rng: np.random.Generator,
) -> Factors:
    r"""Decompose a symmetric tensor with orthogonal components by power iteration.

    .. math:: T = \sum_k \lambda_k\, v_k^{\otimes 3}, \qquad
        \theta \leftarrow T(I, \theta, \theta) / \|T(I, \theta, \theta)\|

    From each of `n_starts` random unit vectors, iterate; take the one with the largest
    :math:`\lambda = T(\theta, \theta, \theta)`, iterate on, subtract
    :math:`\lambda\, \theta^{\otimes 3}`, and begin again for the next component.

    Parameters
    ----------
    T : array (n, n, n)
        Symmetric, usually whitened.
    n_components : int, default n
        K, in 1..n.
    n_starts : int, default 32
        Random starts for a component.
    n_iter : int, default 32
        Iterations of every start, and as many again of the best one. Convergence is quadratic.
    rng : numpy.random.Generator
        Draws the starts.

    Returns
    -------
    Factors
        Weights in the order found, the largest first but for noise, and the same vectors (n, K)
        for all three modes. Weights are not negative: the sign is in the vectors.

    Raises
    ------
    ValueError
        If T is not a cube, K is not in 1..n, or a count is below 1.

    Notes
    -----
    All starts advance together, one matrix product an iteration, with no wait for the device.
    Cost: O(K n_iter n_starts n^3).
    Anandkumar, Ge, Hsu, Kakade and Telgarsky, *Tensor decompositions for learning latent variable
    models*, JMLR 15 (2014), algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import compose, tensor_power
    >>> T = compose(np.array([3.0, 2.0]), [np.eye(2)] * 3)
    >>> np.round(tensor_power(T, rng=np.random.default_rng(0)).weights, 6)
    array([3., 2.])
    """
    xp = get_namespace(T)
    n = T.shape[0]
    K = n if n_components is None else n_components
    if T.shape != (n, n, n):
        raise ValueError(f"T has shape {tuple(T.shape)}: a symmetric tensor (n, n, n) is needed.")
    if not 1 <= K <= n:
        raise ValueError(f"n_components={K} is out of range: T has between 1 and {n} components.")
    if n_starts < 1 or n_iter < 1:
        raise ValueError(f"n_starts={n_starts} and n_iter={n_iter} must both be at least 1.")
    rest = T
    weights, vectors = [], []
    for _ in range(K):
        starts = from_numpy(rng.standard_normal((n, n_starts)), like=T)
        candidates, values = _iterate(rest, starts, n_iter)
        best = xp.reshape(xp.argmax(values), (1,))
        vector, weight = _iterate(rest, xp.take(candidates, best, axis=1), n_iter)
        weights.append(weight)
        vectors.append(vector)
        rest = rest - compose(weight, (vector,) * 3)
    found = (xp.concat(weights), (xp.concat(vectors, axis=1),) * 3)
    return Factors(*found, residual=relative_residual(T, *found))


def _iterate(T: Array, theta: Array, n_iter: int) -> tuple[Array, Array]:
    """Return unit vectors (n, L) after `n_iter` steps, and T(theta, theta, theta) (L,) there."""
    xp = get_namespace(T, theta)
    n = T.shape[0]
    unfolded = xp.reshape(T, (n, n * n))
    theta = _unit(theta, theta)
    for _ in range(n_iter):
        theta = _unit(unfolded @ khatri_rao((theta, theta)), theta)
    return theta, xp.sum(theta * (unfolded @ khatri_rao((theta, theta))), axis=0)


def _unit(x: Array, otherwise: Array) -> Array:
    """Scale columns to unit norm; a column of zeros becomes that of `otherwise`."""
    xp = get_namespace(x)
    norms = xp.linalg.vector_norm(x, axis=0)
    some = norms > 0
    return xp.where(some, x / xp.where(some, norms, xp.ones_like(norms)), otherwise)
