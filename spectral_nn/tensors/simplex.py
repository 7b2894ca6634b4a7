"""Euclidean projection on the probability simplex."""

from __future__ import annotations

from spectral_nn.arrays import Array, get_namespace

__all__ = ["project_simplex"]


def project_simplex(X: Array, axis: int = -1) -> Array:
    r"""Replace vectors by the nearest probability vectors.

    .. math:: \min_p \|p - x\|_2 \ \text{with}\ p \ge 0,\ \sum_i p_i = 1;
        \qquad p_i = \max(x_i - \tau, 0),

    where :math:`\tau = (\sum_{i \le r} x_{(i)} - 1) / r` and r is the largest j for which the
    j-th largest entry exceeds :math:`(\sum_{i \le j} x_{(i)} - 1) / j`.

    Parameters
    ----------
    X : array (..., n, ...), real floating
    axis : int, default -1
        Axis along which the result sums to one.

    Returns
    -------
    P : array, of the shape of X

    Notes
    -----
    Cost: O(n log n) a vector, the sort.
    Duchi, Shalev-Shwartz, Singer and Chandra, *Efficient projections onto the l1-ball*, ICML
    (2008), figure 1.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import project_simplex
    >>> project_simplex(np.array([[0.5, 0.5, -1.0], [3.0, 1.0, 0.0]]))
    array([[0.5, 0.5, 0. ],
           [1. , 0. , 0. ]])
    """
    xp = get_namespace(X)
    X = xp.moveaxis(X, axis, -1)
    # With the largest entry at 0, tau is at least -1 and what lies below cannot matter: cutting
    # it off keeps sums exact and finite whatever the scale.
    X = xp.clip(X - xp.max(X, axis=-1, keepdims=True), min=-1.0)
    descending = xp.sort(X, axis=-1, descending=True)
    count = xp.arange(1, X.shape[-1] + 1, dtype=X.dtype, device=X.device)
    support = count * descending > xp.cumulative_sum(descending, axis=-1) - 1
    kept = xp.where(support, descending, xp.zeros_like(descending))
    size = xp.sum(xp.astype(support, X.dtype), axis=-1, keepdims=True)
    tau = (xp.sum(kept, axis=-1, keepdims=True) - 1) / size
    return xp.moveaxis(xp.clip(X - tau, min=0.0), -1, axis)
