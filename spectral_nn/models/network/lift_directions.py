"""From score moments to the directions of hidden units: whitening, power method, signs.

The middle of the textbook algorithm, see `spectral_nn.models.network.lift`: Janzamin, Sedghi and
Anandkumar, *Beating the perils of non-convexity* (arXiv 1506.08473), appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.tensors import multilinear, tensor_power, whiten

__all__ = ["Whitener", "directions", "orient", "whiten_second", "whiten_slices"]

Floats = NDArray[np.float64]

_DRAWS = 1000  # random combinations among which a definite one is sought
_MIXTURES = 10  # random combinations of several outputs that are decomposed
_GAP = 1.2  # a second moment is trusted when its k-th singular value exceeds the next as much
_RANK = 1e-8  # eigenvalues below this share of the largest are none
_CONVEX = ("relu", "softplus", "squared_relu")


@dataclass(frozen=True, eq=False)
class Whitener:
    """A whitening, and what it was made of.

    Attributes
    ----------
    whitener, unwhitener : ndarrays (d, k), see `spectral_nn.tensors.Whitening`.
    kind : "second" or "slice".
    definite : whether the k eigenvalues of the matrix had one sign. If not, whitened directions
        are not orthogonal, and what the power method finds is no recovery.
    condition : smallest over largest of their sizes.
    """

    whitener: Floats
    unwhitener: Floats
    kind: str
    definite: bool
    condition: float


def whiten_second(
    second: Floats, n_components: int, *, always: bool = False, rng: np.random.Generator
) -> Whitener | None:
    """Whiten with the second moment, if it may be trusted.

    Parameters
    ----------
    second : ndarray (q, d, d)
        Means of y S_2, one an output; of several outputs, random combinations are tried.
    n_components : int
        k.
    always : bool
        Whether to whiten with it even where it is indefinite or does not stand out from noise.
    rng : numpy.random.Generator

    Returns
    -------
    Whitener, or None where the moment is not to be trusted

    Warns
    -----
    RankWarning
        If the moment has a numerical rank below k.

    Notes
    -----
    An indefinite matrix is whitened by its absolute value: directions become orthogonal only as
    far as they were incoherent before. Cost: O(q d³ + 1000 k³).
    """
    chosen = _choose(second, n_components, rng)
    if always or (chosen.definite and chosen.gap > _GAP):
        return _whiten_by(chosen, "second")
    return None


def whiten_slices(slices: Floats, n_components: int, *, rng: np.random.Generator) -> Whitener:
    """Whiten with a combination of slices of the third moment.

    Parameters
    ----------
    slices : ndarray (m, d, d)
        Means of y S_3 contracted with directions, of one or several outputs.
    n_components : int
        k.
    rng : numpy.random.Generator
        Draws the combinations.

    Warns
    -----
    RankWarning
        If the slices have a numerical rank below k.

    Notes
    -----
    The subspace is that of the k leading left singular vectors of all slices side by side; in it,
    the definite combination whose least eigenvalue is largest is taken out of a thousand random
    ones, if there is any. Cost: O(m d³ + 1000 k³).
    """
    return _whiten_by(_choose(slices, n_components, rng), "slice")


def _whiten_by(chosen: _Choice, kind: str) -> Whitener:
    white = whiten(chosen.size, chosen.size.shape[0], rtol=_RANK)
    return Whitener(
        chosen.basis @ white.whitener,
        chosen.basis @ white.unwhitener,
        kind,
        chosen.definite,
        chosen.condition,
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    """A combination of matrices: its absolute value (k, k) in a basis (d, k), and what it is.

    `gap` is the k-th over the next singular value of all the matrices side by side.
    """

    basis: Floats
    size: Floats
    definite: bool
    condition: float
    gap: float


def _choose(matrices: Floats, n_components: int, rng: np.random.Generator) -> _Choice:
    """Choose the definite combination of matrices (m, d, d) that lies farthest from singular."""
    d = matrices.shape[1]
    wide = np.transpose(matrices, (1, 0, 2)).reshape(d, -1)
    squares, vectors = np.linalg.eigh(wide @ wide.T)
    singular = np.sqrt(np.maximum(squares[::-1], 0))
    U = vectors[:, ::-1][:, :n_components]
    gap = np.inf
    if n_components < d and singular[n_components] > 0:
        gap = singular[n_components - 1] / singular[n_components]
    small = U.T @ matrices @ U
    draws = np.ones((1, 1)) if len(small) == 1 else rng.standard_normal((_DRAWS, len(small)))
    draws /= np.linalg.norm(draws, axis=1, keepdims=True)  # so that all have the same noise
    combined = np.tensordot(draws, small, 1)
    eigenvalues = np.linalg.eigvalsh(combined)
    sizes = np.abs(eigenvalues)
    least, largest = sizes.min(axis=1), sizes.max(axis=1)
    one_sign = np.abs(np.sum(np.sign(eigenvalues), axis=1)) == n_components
    definite = one_sign & (least > _RANK * largest)
    best = int(np.lexsort((least, definite))[-1])
    values, rotation = np.linalg.eigh(combined[best])
    return _Choice(
        U,
        (rotation * np.abs(values)) @ rotation.T,
        bool(definite[best]),
        float(least[best] / largest[best]) if largest[best] > 0 else 0.0,
        float(gap),
    )


def directions(
    core: Floats, whitener: Whitener, *, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Find the columns of A_1, up to order and sign, from the whitened tensor of each output.

    Parameters
    ----------
    core : ndarray (q, k, k, k)
    whitener : Whitener
    rng : numpy.random.Generator

    Returns
    -------
    directions : ndarray (d, k), of unit length
    residual : float
        Relative residual of the decomposition.

    Notes
    -----
    The power method decomposes one tensor. Of several outputs, ten random combinations are
    decomposed, and the directions along which all outputs' tensors are largest are kept.
    Cost: O(32 k⁵) a combination.
    """
    q, k = core.shape[:2]
    turned = [np.transpose(core, (0, *p)) for p in ((1, 2, 3), (2, 3, 1), (3, 1, 2))]
    core = (turned[0] + turned[1] + turned[2]) / 3  # symmetric but for noise beforehand
    core = (core + np.transpose(core, (0, 2, 1, 3))) / 2
    mixtures = np.ones((1, 1)) if q == 1 else rng.standard_normal((_MIXTURES, q))
    best, captured, residual = np.empty((k, k)), -np.inf, np.inf
    for mixture in mixtures:
        factors = tensor_power(np.tensordot(mixture, core, 1), k, rng=rng)
        V = factors.vectors[0]
        along = float(sum(np.sum(_cube(each, V) ** 2) for each in core))
        if along > captured:
            best, captured, residual = V, along, factors.residual
    found = whitener.unwhitener @ best
    return found / np.linalg.norm(found, axis=0), residual


def _cube(T: Floats, V: Floats) -> Floats:
    """Return T(v, v, v) for each column v."""
    return np.einsum("jjj->j", multilinear(T, V, V, V))


def orient(unit: Floats, first: Floats, second: Floats, activation: str) -> tuple[Floats, Floats]:
    r"""Give directions their signs, and tell the output weights up to a factor a unit.

    In the basis of the directions, :math:`E[y S_1]` has the coordinates :math:`a_2 E[\sigma']`
    and :math:`E[y S_2]` has :math:`a_2 E[\sigma'']`. Of a convex, increasing activation both
    expectations are positive: the second moment, which does not know the signs of directions,
    tells those of the output weights, and the first moment then those of the directions. Of an odd
    one (up to a constant) both signs describe the same function, and output weights are made
    positive.

    Parameters
    ----------
    unit : ndarray (d, k)
    first : ndarray (q, d)
    second : ndarray (q, d, d)
    activation : str

    Returns
    -------
    unit : ndarray (d, k)
    loadings : ndarray (k, q), of unit length, a positive multiple of the output weights
    """
    inverse = np.linalg.pinv(unit)
    slopes = inverse @ first.T  # (k, q)
    loadings = slopes
    if activation in _CONVEX:
        loadings = np.einsum("ka,qab,kb->kq", inverse, second, inverse)
        signs = np.sign(np.sum(slopes * loadings, axis=1))
    else:
        largest = np.argmax(np.abs(slopes), axis=1)
        signs = np.sign(np.take_along_axis(slopes, largest[:, None], axis=1)[:, 0])
        loadings = slopes * signs[:, None]
    lengths = np.linalg.norm(loadings, axis=1, keepdims=True)
    return unit * np.where(signs < 0, -1.0, 1.0), loadings / np.where(lengths > 0, lengths, 1.0)
