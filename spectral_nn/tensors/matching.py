"""Matching of components that two models hold in different orders."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spectral_nn.arrays import Array, to_numpy

__all__ = ["match_components", "unit_columns"]


def match_components(A: Array, B: Array, *, cost: Literal["l1", "cosine"] = "l1") -> np.ndarray:
    r"""Find the order of the rows of B that fits the rows of A best.

    .. math:: \min_\sigma \sum_k c(A_k, B_{\sigma(k)})

    Parameters
    ----------
    A, B : array (K, n)
        Components are rows. (Vectors of `Factors` are columns: pass their transposes.)
    cost : {"l1", "cosine"}, default "l1"
        ``sum |a - b|``, for probabilities; or ``1 - |cos(a, b)|``, for vectors whose sign and
        scale are arbitrary.

    Returns
    -------
    permutation : ndarray (K,) of int64
        ``B[permutation]`` is in the order of A.

    Raises
    ------
    ValueError
        If the shapes differ, `cost` is unknown, or an entry is not finite.

    Notes
    -----
    On the host. Cost: O(K^2 n + K^3), the Hungarian algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import match_components
    >>> match_components(np.eye(3), np.eye(3)[[2, 0, 1]])
    array([1, 2, 0])
    """
    # Slow to import, and needed by nothing else here.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    A, B = (np.asarray(to_numpy(x), dtype=np.float64) for x in (A, B))
    if A.shape != B.shape or A.ndim != 2:
        raise ValueError(
            f"A and B have shapes {A.shape} and {B.shape}: both must be (K, n), one component a "
            "row."
        )
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("A or B holds NaN or infinity; components must be finite to be matched.")
    if cost == "l1":
        costs = cdist(A, B, "cityblock")
    elif cost == "cosine":
        costs = 1 - np.abs(unit_columns(A.T).T @ unit_columns(B.T))
    else:
        raise ValueError(f'cost={cost!r} is unknown: give "l1" or "cosine".')
    return linear_sum_assignment(costs)[1].astype(np.int64)


def unit_columns(X: np.ndarray) -> np.ndarray:
    """Scale columns to unit Euclidean norm; columns of zeros stay."""
    norms = np.linalg.norm(X, axis=0)
    return X / np.where(norms > 0, norms, 1.0)
