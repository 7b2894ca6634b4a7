"""Operators of symbols in the basis that makes them diagonal: the eigenvalues are emissions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.tensors import JointDiagonalisation, jennrich

__all__ = ["Diagonalised", "diagonalise", "leading_left_vectors"]

_MOST_SLICES = 64  # that operators are compressed to


@dataclass(frozen=True, eq=False)
class Diagonalised:
    """Operators in the basis that makes them most nearly diagonal.

    Attributes
    ----------
    core : (m, K, K) combinations of the operators, which all of them are combinations of.
    back : (d, m) these.
    joint : of the core without the part that is the same in all states.
    """

    core: NDArray[np.float64]
    back: NDArray[np.float64]
    joint: JointDiagonalisation


def diagonalise(
    operators: NDArray[np.float64], counts: NgramCounts, rng: np.random.Generator
) -> Diagonalised:
    """Compress the operators and find their common eigenvectors: Jennrich's algorithm.

    What an operator has in common for all states, a multiple of the identity, says nothing of any
    and is diagonal in every basis. It is taken out first, so that the ratio of `joint` is off the
    diagonals over *what tells states apart*: of bases that of the best one, and of views that of
    those which show the states best. (Between wide windows of chains that change fast, operators
    are multiples of the identity but for noise.)

    Parameters
    ----------
    operators : (d, K, K), as `spectral_nn.models.chains.spectral.WhitenedMoments` has them.
    counts : with the frequencies of the d symbols.
    rng : draws the random combinations.

    Notes
    -----
    The d operators are compressed to m = min(2K, 64): 2 d K^2 min(d, K^2) flops.
    """
    frequency = counts.symbols / max(counts.symbols.sum(), 1)
    seen = frequency > 0
    scale = np.sqrt(frequency[seen])
    n_components = operators.shape[1]
    stacked = (operators[seen] / scale[:, None, None]).reshape(seen.sum(), -1)
    left = leading_left_vectors(stacked, min(2 * n_components, _MOST_SLICES))
    core = (left.T @ stacked).reshape(-1, n_components, n_components)
    common = np.trace(core, axis1=1, axis2=2) / n_components
    joint = jennrich(core - common[:, None, None] * np.eye(n_components), rng=rng)
    back = np.zeros((frequency.size, left.shape[1]))
    back[seen] = scale[:, None] * left
    return Diagonalised(core, back, joint)


def leading_left_vectors(matrix: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Leading left singular vectors, from the eigenvectors of the smaller Gram matrix.

    Parameters
    ----------
    matrix : (r, c).
    n : vectors wanted.

    Returns
    -------
    (r, min(n, rank)) orthonormal columns; singular values below 1e-7 of the first count as none.

    Notes
    -----
    2 r c min(r, c) flops, all of them products of matrices: a full SVD takes ten times as long.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    gram = matrix.T @ matrix if tall else matrix @ matrix.T
    values, vectors = np.linalg.eigh(gram)
    leading = np.flatnonzero(values > 1e-14 * values[-1])[::-1][:n]
    vectors = vectors[:, leading]
    return matrix @ (vectors / np.sqrt(values[leading])) if tall else vectors
