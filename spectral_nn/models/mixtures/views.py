r"""Mixtures from the moments of three views: conditional means and weights, in closed form.

Of three groups of columns that are independent given the class, cross moments are reduced to
symmetric ones of the third view,

.. math:: \tilde x_a = S_{cb} S_{ab}^+ x_a, \quad \tilde x_b = S_{ca} S_{ba}^+ x_b, \quad
          E[\tilde x_a \tilde x_b^T] = \sum_k w_k \mu_{ck} \mu_{ck}^T, \quad
          E[\tilde x_a \otimes \tilde x_b \otimes x_c] = \sum_k w_k \mu_{ck}^{\otimes 3},

with :math:`S_{ab} = E[x_a x_b^T]` and pseudo-inverses of rank K. Anandkumar, Ge, Hsu, Kakade and
Telgarsky, *Tensor decompositions for learning latent variable models*, JMLR 15 (2014), theorem 3.6.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from spectral_nn.moments.views import ViewMoments, Views
from spectral_nn.results import RankError
from spectral_nn.tensors import diagonalise_tensor, whiten

__all__ = ["Spectrum", "ViewMixture", "mixture_of_views", "spectrum_of_views"]

_NEGLIGIBLE = 1e-9  # of the largest variance within a view
_LEAST = 1e-3  # of the largest singular value, in inverses

Cross = dict[tuple[int, int], NDArray[np.float64]]


class Spectrum(NamedTuple):
    """How many classes the moments of three views tell apart.

    Attributes
    ----------
    correlations : ndarray of shape (r,)
        Canonical correlations of the pair of views that shows the fewest classes; the first is 1.
    floor : float
        What chance alone reaches in that pair, about.
    rank : int
        How many are above the floor, at least 1.
    """

    correlations: NDArray[np.float64]
    floor: float
    rank: int


class ViewMixture(NamedTuple):
    """A mixture as moments show it.

    Attributes
    ----------
    weights : ndarray of shape (K,)
        Positive, of sum one.
    means : ndarray of shape (K, D)
        Expectation of every column in each class, as it comes: of indicators, it may be negative.
    residual : float
        Of the decomposition, relative to the tensor.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    residual: float


def spectrum_of_views(moments: ViewMoments, views: Views) -> Spectrum:
    """Canonical correlations between views, against those of independent ones.

    Notes
    -----
    Independent views of r_a and r_b free features have correlations of up to about
    ``(sqrt(r_a) + sqrt(r_b)) / sqrt(n)``.
    """
    _, cross = _whiten_views(moments, views)
    found = []
    for a, b in combinations(range(3), 2):
        values = np.linalg.svd(cross[a, b])[1]
        free = np.sqrt(np.array(cross[a, b].shape) - 1.0).sum()
        floor = float(free / np.sqrt(max(moments.n_rows[a, b], 1.0)))
        found.append(
            Spectrum(
                np.asarray(values, dtype=np.float64), floor, max(int((values > floor).sum()), 1)
            )
        )
    return min(found, key=lambda one: one.rank)


def mixture_of_views(moments: ViewMoments, views: Views, n_components: int) -> ViewMixture:
    """Decompose the moments of three views.

    Parameters
    ----------
    moments : ViewMoments
    views : Views
    n_components : int
        K.

    Returns
    -------
    ViewMixture
        Columns that are in no view are read off as well.

    Raises
    ------
    RankError
        If a view has fewer than K independent features, or the moments are not those of K classes.

    Notes
    -----
    O(F_1 F_2 F_3 K + F_v^3 + K^4 sweeps).
    """
    K = n_components
    maps, cross = _whiten_views(moments, views)
    _check_ranks(maps, K)
    basis = [_leading(cross, view, K) for view in range(3)]
    maps = [into @ few for into, few in zip(maps, basis, strict=True)]
    Q = {(a, b): basis[a].T @ S @ basis[b] for (a, b), S in cross.items()}
    from_a, from_b = Q[2, 1] @ _inverse(Q[0, 1]), Q[2, 0] @ _inverse(Q[1, 0])
    second = from_a @ Q[0, 1] @ from_b.T
    second = (second + second.T) / 2
    _check_positive(second)
    W, unwhiten, _ = whiten(second, K)
    seen = [maps[0] @ from_a.T @ W, maps[1] @ from_b.T @ W, maps[2] @ W]
    T = np.einsum("ijk,ia,jb,kc->abc", moments.triples, *seen, optimize=True)
    factors = diagonalise_tensor(sum(T.transpose(order) for order in permutations(range(3))) / 6)
    strength = np.maximum(factors.weights, 1.0)  # 1 / sqrt(w), with w at most 1
    weights = strength**-2.0
    means = (unwhiten @ factors.vectors[0]) * strength  # of the third view, in its coordinates
    whole = _read_off(moments, views, maps, Q, means, weights)
    return ViewMixture(weights / weights.sum(), whole, factors.residual)


def _whiten_views(moments: ViewMoments, views: Views) -> tuple[list[NDArray[np.float64]], Cross]:
    """Maps (F_v, r_v) to coordinates in which each view has a second moment of the identity.

    And the cross moments (r_a, r_b) of two views in these. Of indicators, whose second moments may
    each rest on other rows, variances are no smaller than what chance takes from 1.
    """
    maps = []
    for view, (sizes, place) in enumerate(zip(views.sizes, views.places, strict=True)):
        second = moments.features[place, place]
        free = np.eye(len(second)) if views.item is None else _contrasts(np.diag(second), sizes)
        values, vectors = np.linalg.eigh(free.T @ second @ free)
        kept = values > _NEGLIGIBLE * values[-1]
        chance = 2 * np.sqrt(kept.size / max(moments.n_rows[view, view], 1.0))
        least = 0.0 if views.item is None else min(chance, 1.0)
        maps.append(free @ vectors[:, kept] / np.sqrt(np.maximum(values[kept], least)))
    cross = {
        (a, b): maps[a].T @ moments.features[views.places[a], views.places[b]] @ maps[b]
        for a, b in permutations(range(3), 2)
    }
    return maps, cross


def _contrasts(shares: NDArray[np.float64], sizes: list[int]) -> NDArray[np.float64]:
    """The constant and, of each compound item, contrasts of its categories, of variance 1.

    Shares (F_v,) are those of the categories; the result is (F_v, 1 + F_v - number of compounds).
    """
    blocks = []
    for share in np.split(shares, np.cumsum(sizes)[:-1]):
        root = np.sqrt(share)
        others = np.linalg.svd(root[None])[2][1:].T
        blocks.append(
            others * np.where(share > 0, 1 / np.where(share > 0, root, 1.0), 0.0)[:, None]
        )
    constant = np.full((shares.size, 1), 1 / len(sizes))
    return np.concatenate([constant, block_diag(*blocks)], axis=1)


def _leading(cross: Cross, view: int, n_components: int) -> NDArray[np.float64]:
    """The K directions (r_v, K) of a view that the two others say most of."""
    others = np.concatenate([cross[view, other] for other in range(3) if other != view], axis=1)
    return np.linalg.svd(others, full_matrices=False)[0][:, :n_components]


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse in which small singular values are shrunk rather than blown up."""
    U, s, Vt = np.linalg.svd(matrix)
    if not s[0] > 0:
        raise RankError(
            "The leading directions of two views have nothing in common: the views show as many "
            "classes as there are rows. Use smaller views, or more rows."
        )
    return (Vt.T / np.maximum(s, _LEAST * s[0])) @ U.T


def _check_ranks(maps: list[NDArray[np.float64]], K: int) -> None:
    """Check that every view has K independent features; else RankError."""
    least = min(into.shape[1] for into in maps)
    if least < K:
        raise RankError(
            f"n_components={K}, but a view has only {least} linearly independent features, and "
            f"cannot tell more classes apart. Use n_components={least} at the most, or larger "
            "views."
        )


def _check_positive(second: NDArray[np.float64]) -> None:
    """Check that a second moment of K classes has K positive eigenvalues; else RankError."""
    values = np.linalg.eigvalsh(second)[::-1]
    if not values[-1] > 0:
        K, most = values.size, max(int((values > 0).sum()), 1)
        raise RankError(
            f"n_components={K}, but the symmetric moment of the views has the eigenvalues "
            f"{np.array2string(values, precision=3, separator=', ')}, of which {most} are "
            f"positive. Use n_components={most} at the most, or more rows."
        )


def _read_off(
    moments: ViewMoments,
    views: Views,
    maps: list[NDArray[np.float64]],
    Q: Cross,
    means: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    r"""Means (K, D) of all columns by class, from cross moments with a view that they are not in.

    ``E[x_j y_v^T] = M_j diag(w) N_v^T``, with the means N_v of a view in its coordinates. The third
    view serves for all columns but its own, the first for those.
    """
    from_third = np.linalg.pinv(weights[:, None] * means.T)
    whole = moments.pairs[:, views.places[2]] @ maps[2] @ from_third
    from_first = np.linalg.pinv(weights[:, None] * (Q[0, 2] @ from_third).T)
    own = views.columns(2)
    whole[own] = moments.pairs[own, views.places[0]] @ maps[0] @ from_first
    return whole.T
