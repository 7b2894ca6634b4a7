"""Topics read off the moments of documents."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.moments.document_pairs import MAX_TOPICS, count_workable
from spectral_nn.moments.documents import DocumentMoments
from spectral_nn.tensors import diagonalise_tensor

__all__ = ["SpectralTopics", "explain_shortfall", "find_topics"]


class SpectralTopics(NamedTuple):
    """Topics that moments show.

    Attributes
    ----------
    topics : ndarray of shape (k, V)
        Probabilities of words; k may be less than was asked for.
    prior : ndarray of shape (k,)
        Dirichlet parameters of the topics of a document. They are only as good as ``alpha0``.
    negative_mass : float
        Share of the topics, in absolute values, that was negative, and was set to zero.
    eigenvalues : ndarray of shape (r,)
        Of the second moment in its basis, the largest first.
    workable : int
        How many directions of the second moment, the largest first, are more than noise.
    residual : float
        Share of the whitened third moment, in the Frobenius norm, that no topics explain.
    """

    topics: NDArray[np.float64]
    prior: NDArray[np.float64]
    negative_mass: float
    eigenvalues: NDArray[np.float64]
    workable: int
    residual: float


def find_topics(moments: DocumentMoments, n_components: int, alpha0: float = 1.0) -> SpectralTopics:
    r"""Read topics off moments of documents.

    With :math:`\alpha_0 = \sum_i \alpha_i`, the moments of three words of a document,

    .. math:: M_2 &= E[x_1 x_2^T] - \tfrac{\alpha_0}{\alpha_0 + 1} m m^T
              = \sum_i \tfrac{\alpha_i}{\alpha_0 (\alpha_0 + 1)} \mu_i \mu_i^T \\
              M_3 &= E[x_1 \otimes x_2 \otimes x_3]
              - \tfrac{\alpha_0}{\alpha_0 + 2} \mathrm{sym}(E[x_1 x_2^T] \otimes m)
              + \tfrac{2 \alpha_0^2}{(\alpha_0 + 1)(\alpha_0 + 2)} m^{\otimes 3}
              = \sum_i \tfrac{2 \alpha_i}{\alpha_0 (\alpha_0 + 1)(\alpha_0 + 2)} \mu_i^{\otimes 3}

    are sums over topics. Whitened by W, the third is :math:`\sum_i \lambda_i v_i^{\otimes 3}` with
    orthonormal :math:`v_i`, and :math:`\mu_i \propto M_2 W v_i`.

    Parameters
    ----------
    moments : DocumentMoments
    n_components : int
        K.
    alpha0 : float, default=1.0
        Sum of the Dirichlet parameters; other values need no other look at the data.

    Returns
    -------
    SpectralTopics
        Of K topics, or of as many as are workable, 150 at most.

    See Also
    --------
    spectral_nn.moments.documents.document_moments : The moments.

    Notes
    -----
    Negative entries of topics are set to zero. (The projection on the simplex, which is nearer in
    distance, leaves few words of a topic of real text.)

    Directions are workable as long as the noise of the second moment, whitened along all of them,
    has a norm below one: beyond that, whitened moments may be noise alone.

    :math:`M_2 W v_i` is one more product with the second moment than the pseudo-inverse of W^T
    would be, and nearer to the truth.

    Cost: O(V r K + K^4).
    Anandkumar, Ge, Hsu, Kakade and Telgarsky, *Tensor decompositions for learning latent variable
    models*, JMLR 15 (2014), theorem 3.5; Anandkumar, Foster, Hsu, Kakade and Liu, *A spectral
    algorithm for latent Dirichlet allocation*, NIPS 2012.
    """
    basis, m, second, third, noise = (to_numpy(x) for x in moments[:5])
    projected = basis.T @ m
    a1, a2 = alpha0 / (alpha0 + 1), alpha0 / (alpha0 + 2)
    pairs = basis.T @ second
    pairs = (pairs + pairs.T) / 2
    values, vectors = np.linalg.eigh(pairs - a1 * np.outer(projected, projected))
    values, vectors = values[::-1], vectors[:, ::-1]
    workable = count_workable(values, vectors, noise)
    k = min(n_components, workable, MAX_TOPICS)
    if k == 0:
        nothing = np.empty(0)
        return SpectralTopics(np.empty((0, m.size)), nothing, np.nan, values, 0, np.nan)
    whitener = vectors[:, :k] / np.sqrt(values[:k])
    mean = whitener.T @ projected
    core = np.einsum("abc,ai,bj,ck->ijk", third, *(whitener,) * 3, optimize=True)
    core -= a2 * _symmetric(np.einsum("ij,k->ijk", whitener.T @ pairs @ whitener, mean))
    core += 2 * a1 * a2 * np.einsum("i,j,k->ijk", mean, mean, mean)
    found = diagonalise_tensor(core)
    weights, v = np.asarray(found.weights), np.asarray(found.vectors[0])
    raw = (second - a1 * np.outer(m, projected)) @ whitener @ v
    raw = raw * np.where(raw.sum(axis=0) < 0, -1.0, 1.0)
    kept = np.maximum(raw, 0.0)
    size = np.abs(raw).sum()
    with np.errstate(divide="ignore"):
        prior = 4 * (alpha0 / (alpha0 + 2)) * ((alpha0 + 1) / (alpha0 + 2)) / weights**2
    return SpectralTopics(
        (kept / kept.sum(axis=0)).T,
        prior,
        float((kept.sum() - raw.sum()) / size),
        values,
        workable,
        found.residual,
    )


def explain_shortfall(found: SpectralTopics, n_components: int) -> str:
    """Say why moments show fewer topics than `n_components`."""
    n = len(found.topics)
    if n < found.workable:
        return (
            f"moments of X are read for {n} topics at most, not n_components={n_components}, as "
            "the time of a decomposition grows with the fourth power of their number."
        )
    values = found.eigenvalues
    next_one = min(n, values.size - 1)
    return (
        f"the moments of X carry {n} topics, not n_components={n_components}: beyond, the second "
        f"moment is within its noise (of its eigenvalues, the first is {values[0]:.2g}, number "
        f"{next_one + 1} {values[next_one]:.2g})."
    )


def _symmetric(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over the places of the third index, of a tensor symmetric in the first two."""
    return T + T.transpose(1, 2, 0) + T.transpose(2, 0, 1)
