"""Whitening: linear maps under which a second moment becomes the identity."""

from __future__ import annotations

from typing import NamedTuple

from spectral_nn.arrays import Array, get_namespace, to_numpy
from spectral_nn.results import RankWarning
from spectral_nn.warn import warn

__all__ = ["Whitening", "whiten", "whiten_cross"]


class Whitening(NamedTuple):
    """Whitening of a symmetric moment.

    Attributes
    ----------
    whitener : array (n, K)
        W with ``W.T @ M2 @ W = I``.
    unwhitener : array (n, K)
        The pseudo-inverse of ``W.T``: takes whitened vectors back, ``unwhitener @ v``.
    eigenvalues : array (n,)
        Of M2, in descending order.
    """

    whitener: Array
    unwhitener: Array
    eigenvalues: Array


def whiten(M2: Array, n_components: int, *, rtol: float | None = None) -> Whitening:
    r"""Whiten a symmetric positive semi-definite moment of rank K.

    With the K leading eigenpairs :math:`M_2 \approx U \Lambda U^T`,

    .. math:: W = U \Lambda^{-1/2}, \qquad (W^T)^+ = U \Lambda^{1/2}.

    Parameters
    ----------
    M2 : array (n, n)
        Symmetric. What noise makes negative is no obstacle beyond the K leading eigenvalues.
    n_components : int
        K, at most n.
    rtol : float, default n times the machine epsilon
        Eigenvalues below ``rtol * eigenvalues[0]`` are negligible: they warn, and are raised to
        that level so that the result stays finite.

    Returns
    -------
    Whitening
        ``(whitener (n, K), unwhitener (n, K), eigenvalues (n,))``.

    Raises
    ------
    ValueError
        If K is not in 1..n, or M2 has no positive eigenvalue.

    Warns
    -----
    RankWarning
        If the K-th eigenvalue is negligible.

    Notes
    -----
    Cost: O(n^3), the dense eigendecomposition.
    Anandkumar, Ge, Hsu, Kakade and Telgarsky, *Tensor decompositions for learning latent variable
    models*, JMLR 15 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import whiten
    >>> M2 = np.diag([4.0, 1.0, 0.0])
    >>> W = whiten(M2, 2).whitener
    >>> np.allclose(W.T @ M2 @ W, np.eye(2))
    True
    """
    xp = get_namespace(M2)
    n = M2.shape[0]
    if not 1 <= n_components <= n:
        raise ValueError(
            f"n_components={n_components} is out of range: M2 of shape {M2.shape} can be whitened "
            f"to between 1 and {n} components."
        )
    eigenvalues, eigenvectors = xp.linalg.eigh(M2)
    eigenvalues = xp.flip(eigenvalues)
    U = xp.flip(eigenvectors, axis=1)[:, :n_components]
    first, last = (float(e) for e in to_numpy(eigenvalues)[[0, n_components - 1]])
    if not first > 0:
        raise ValueError(
            f"M2 has no positive eigenvalue (the largest is {first:.3g}), so it is not a second "
            "moment; check its sign and that it is not empty."
        )
    floor = (n * float(xp.finfo(M2.dtype).eps) if rtol is None else rtol) * first
    if last < floor:
        warn(
            f"M2 has a numerical rank below n_components={n_components}: eigenvalue "
            f"{n_components} is {last:.3g}, {last / first:.3g} times the first ({first:.3g}). "
            f"It was raised to {floor:.3g}; fewer components would be safer.",
            RankWarning,
        )
    root = xp.sqrt(xp.clip(eigenvalues[:n_components], min=floor))
    return Whitening(U / root, U * root, eigenvalues)


def whiten_cross(U: Array, s: Array, Vt: Array, floor: float = 1e-3) -> tuple[Array, Array]:
    r"""Whiten a cross moment from its singular value decomposition.

    For :math:`H \approx U S V^T`, with the left view on the rows of H,

    .. math:: W_l = U S^{-1/2}, \qquad W_r = V S^{-1/2}, \qquad W_l^T H W_r = I.

    Parameters
    ----------
    U : array (n, K)
    s : array (K,)
        Singular values in descending order.
    Vt : array (K, p)
    floor : float, default 1e-3
        Singular values are taken to be at least ``floor * s[0]``. Directions below it are shrunk
        rather than blown up: there ``W_l.T @ H @ W_r`` stays below 1.

    Returns
    -------
    W_left : array (n, K)
    W_right : array (p, K)

    Raises
    ------
    ValueError
        If ``s[0]`` is not positive.

    Notes
    -----
    Cost: O((n + p) K).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import whiten_cross
    >>> H = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> W_left, W_right = whiten_cross(*np.linalg.svd(H, full_matrices=False))
    >>> np.allclose(W_left.T @ H @ W_right, np.eye(2))
    True
    """
    xp = get_namespace(U, s, Vt)
    largest = float(to_numpy(s)[0])
    if not largest > 0:
        raise ValueError(
            f"s[0]={largest:.3g} must be positive: the cross moment is zero, so past and future "
            "share nothing that could be whitened."
        )
    root = xp.sqrt(xp.clip(s, min=floor * largest))
    return U / root, Vt.T / root
