"""Moments of documents: how often words, pairs and triples of words occur together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple
from zlib import crc32

import array_api_compat
import numpy as np

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.moments.document_pairs import (
    WordSums,
    find_basis,
    long_documents,
    project_pairs,
    sum_pairs,
)
from spectral_nn.runners.base import Runner

__all__ = [
    "DocumentMoments",
    "DocumentSums",
    "TripleSums",
    "count_triples",
    "document_moments",
    "normalise",
]

_BLOCK = 1 << 20  # numbers, of products of two projections
_LEAST_ROWS = 256  # of such a block: fewer, and adding up sums takes longer than making them


@dataclass(frozen=True, eq=False)
class TripleSums(Additive):
    r"""Sums of projections :math:`y = Q^T c` of counts c, with L tokens in a document.

    Attributes
    ----------
    triples : array (r (r + 1) / 2, r)
        Sum of :math:`w\, y_i y_j y_l` for i <= j, with :math:`w = 1 / (L (L - 1) (L - 2))`.
    repeats : array (V, r)
        Sum of :math:`w\, c\, y^T`.
    words : array (V,)
        Sum of :math:`w\, c`.
    """

    triples: Array
    repeats: Array
    words: Array


@dataclass(frozen=True, eq=False)
class DocumentSums(Additive):
    """What moments need, summed over documents.

    Attributes
    ----------
    seen : WordSums
        Along the basis Q.
    words : array (V,)
        Sum of ``c / L``.
    triple : TripleSums
    difference : array (r, r)
        Pairs of every second document less those of the others, projected on both sides.
    sketch : int
        What tells the basis from others: sums along different ones mean nothing.
    """

    seen: WordSums
    words: Array
    triple: TripleSums
    difference: Array
    sketch: int

    def __add__(self, other: DocumentSums) -> DocumentSums:
        """Sums of both; ValueError if they are along different bases."""
        if self.sketch != other.sketch:
            raise ValueError(
                "these sums are projected on different bases, and do not add up. Find one basis "
                "(find_range), and give it to count_triples for all documents."
            )
        return replace(super().__add__(other), sketch=self.sketch)

    def __rmul__(self, weight: float) -> DocumentSums:
        """Sums of documents that count `weight` times."""
        return replace(super().__rmul__(weight), sketch=self.sketch)


class DocumentMoments(NamedTuple):
    r"""Moments of three words of a document, drawn without replacement, in the basis Q.

    Attributes
    ----------
    basis : array (V, r)
        Q, orthonormal columns.
    first : array (V,)
        :math:`m = E[x_1]`: probabilities of words.
    second : array (V, r)
        :math:`E[x_1 x_2^T]\, Q`.
    third : array (r, r, r)
        :math:`E[Q^T x_1 \otimes Q^T x_2 \otimes Q^T x_3]`.
    noise : array (r, r)
        Half the difference between :math:`Q^T E[x_1 x_2^T] Q` of every second document and of the
        others: as large as the error of that of all.
    n_documents, n_short, n_tokens : float
        Documents of three tokens or more, shorter ones that were left out, tokens of all.
    """

    basis: Array
    first: Array
    second: Array
    third: Array
    noise: Array
    n_documents: float
    n_short: float
    n_tokens: float


def count_triples(chunk: Rows, basis: Array) -> DocumentSums:
    """Words, pairs and triples in the documents of a chunk, projected on a basis (V, r)."""
    documents = long_documents(chunk)
    X, weight, length, *_ = documents
    scale = weight / (length * (length - 1) * (length - 2))
    projected = X @ basis
    scaled = scale[:, None] * projected
    return DocumentSums(
        sum_pairs(documents, basis),
        X.T @ (weight / length),
        TripleSums(_sum_triples(projected, scaled), X.T @ scaled, X.T @ scale),
        project_pairs(documents, documents.sign * weight, projected, basis),
        crc32(np.ascontiguousarray(to_numpy(basis[0, :])).tobytes()),
    )


def _sum_triples(projected: Array, scaled: Array) -> Array:
    """Sum of products of pairs of projections with a third, (r (r + 1) / 2, r)."""
    xp = get_namespace(projected)
    n, r = projected.shape
    low, high = (from_numpy(index, like=projected) for index in np.triu_indices(r))
    low, high = xp.astype(low, xp.int64), xp.astype(high, xp.int64)
    total = xp.zeros((low.shape[0], r), dtype=xp.float64, device=array_api_compat.device(projected))
    step = max(_LEAST_ROWS, _BLOCK // low.shape[0])
    for begin in range(0, n, step):
        end = min(begin + step, n)
        block = projected[begin:end, :]
        pairs = xp.take(block, low, axis=1) * xp.take(block, high, axis=1)
        total = total + pairs.T @ scaled[begin:end, :]
    return total


def document_moments(
    table: Table,
    n_components: int,
    run: Runner,
    *,
    n_power: int = 0,
    rng: np.random.Generator,
) -> DocumentMoments | None:
    r"""Sum the moments of documents that a topic model of K topics is read off.

    Parameters
    ----------
    table : Rows or ChunkedRows
        Counts of words, one document a row.
    n_components : int
        K; the basis has 20 more directions, or fewer: see `find_basis`.
    run : Runner
        Who computes.
    n_power : int, default=0
        See `find_range`.
    rng : Generator
        Draws the first directions.

    Returns
    -------
    DocumentMoments
        None if no document has three tokens.

    See Also
    --------
    spectral_nn.models.topics.spectral : What is read off them.

    Notes
    -----
    Neither pairs nor triples of words are ever a dense array of all words. With y = Q^T c,

    .. math:: E[y_1 \otimes y_2 \otimes y_3] = \sum_d w_d \Bigl( y^{\otimes 3}
        - \sum_v c_v\, \mathrm{sym}(q_v \otimes q_v \otimes y) + 2 \sum_v c_v q_v^{\otimes 3} \Bigr)

    where the last two terms take away triples that use a token twice.

    ``n_power + 2`` passes, and one more where K is above 50. Cost: ``O(nnz r)`` each, and
    ``O((n + V) r^3 / 2)`` in the last; r is 20 more than the topics that documents can show.
    """
    basis = find_basis(table, n_components, run, n_power=n_power, rng=rng)
    sums = run.total(partial(count_triples, basis=basis), table.chunks())
    return normalise(sums, basis) if sums.seen.n_documents > 0 else None


def normalise(sums: DocumentSums, basis: Array) -> DocumentMoments:
    """From sums over documents to means."""
    n = sums.seen.n_documents
    third = (_unpack(sums.triple.triples) - _repeated(sums.triple, basis)) / n
    return DocumentMoments(
        basis,
        sums.words / n,
        sums.seen.pairs / n,
        third,
        sums.difference / n,
        n,
        sums.seen.n_short,
        sums.seen.n_tokens,
    )


def _unpack(triples: Array) -> Array:
    """The symmetric array (r, r, r) of which pairs i <= j are given."""
    xp = get_namespace(triples)
    r = triples.shape[1]
    place = np.empty((r, r), dtype=np.int64)
    low, high = np.triu_indices(r)
    place[low, high] = place[high, low] = np.arange(low.size)
    index = xp.astype(from_numpy(place.reshape(-1), like=triples), xp.int64)
    return xp.reshape(xp.take(triples, index, axis=0), (r, r, r))


def _repeated(sums: TripleSums, basis: Array) -> Array:
    """What triples that use a token twice or three times add to the sum of all, (r, r, r)."""
    # The sum over places, below, counts a token that is used three times thrice: by 2/3 once each.
    repeats = sums.repeats - 2 / 3 * sums.words[:, None] * basis
    twice = _unpack(_sum_triples(basis, repeats))  # [i, j, l], symmetric in i and j
    xp = get_namespace(twice)
    return twice + xp.permute_dims(twice, (1, 2, 0)) + xp.permute_dims(twice, (2, 0, 1))
