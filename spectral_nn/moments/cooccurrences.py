"""How often words stand near each other: sparse counts of texts, in whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.additive import Additive
from spectral_nn.compiled import Compiled
from spectral_nn.runners.base import Runner

__all__ = [
    "CoOccurrences",
    "TokenChunk",
    "Vocabulary",
    "count_cooccurrences",
    "count_following",
    "encode_documents",
    "window_weights",
]

CHUNK_TOKENS = 1 << 20
"""Tokens that are counted together: their places, and a row of counts, fit a cache."""

_SCANNED = 8  # a row with more than one word in so many is collected in order, others are sorted


class Vocabulary(dict[str, int]):
    """Codes of words, 0, 1, ... in the order in which they are first looked up.

    Raises
    ------
    TypeError
        If what is looked up, and new, is no string.

    Examples
    --------
    >>> vocabulary = Vocabulary()
    >>> [vocabulary[word] for word in "to be or not to be".split()]
    [0, 1, 2, 3, 0, 1]
    """

    def __missing__(self, word: Any) -> int:
        if not isinstance(word, str):
            raise TypeError(f"{word!r} is no string, but of type {type(word).__name__}")
        code = self[word] = len(self)
        return code


class TokenChunk(NamedTuple):
    """Some documents, laid end to end.

    Attributes
    ----------
    tokens : int32 array (n,)
        Codes of words.
    offsets : int64 array (m + 1,)
        Document i is ``tokens[offsets[i]:offsets[i + 1]]``; documents may be empty.
    n_words : int
        Codes are below it.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    n_words: int


@dataclass(frozen=True, eq=False)
class CoOccurrences(Additive):
    """Counts of words, and of words that follow them within a window.

    Attributes
    ----------
    words : int64 array (V,)
        How often each word occurs.
    following : csr_array (V, V) of int64
        Sum of the weights with which the word of the column comes after the word of the row.
    """

    words: NDArray[np.int64]
    following: sparse.csr_array

    def __add__(self, other: CoOccurrences) -> CoOccurrences:
        """Counts of both texts; the one of fewer words gets rows and columns of zeros."""
        n_words = max(self.words.size, other.words.size)
        one, more = self.widened(n_words), other.widened(n_words)
        return CoOccurrences(one.words + more.words, one.following + more.following)

    def widened(self, n_words: int) -> CoOccurrences:
        """The same counts, with words that have not occurred at the end."""
        extra = n_words - self.words.size
        if extra == 0:
            return self
        old = self.following
        rows = np.concatenate([old.indptr, np.full(extra, old.indptr[-1], old.indptr.dtype)])
        following = sparse.csr_array((old.data, old.indices, rows), shape=(n_words, n_words))
        return CoOccurrences(np.pad(self.words, (0, extra)), following)

    def of_words(self, chosen: NDArray[np.int64]) -> CoOccurrences:
        """Counts of some words, in the order of their codes in `chosen`."""
        following = self.following[chosen][:, chosen]
        following.sort_indices()
        return CoOccurrences(self.words[chosen], following)

    def near(self) -> sparse.csr_array:
        """Symmetric counts (V, V) of words on either side."""
        return self.following + self.following.T.tocsr()


def window_weights(window: int, dynamic: bool) -> NDArray[np.int64]:
    """Weights of words at distances 1, ..., window.

    All ones; or, of a dynamic window, window, ..., 1: window times the chance that a window whose
    width is drawn from 1, ..., window reaches so far, as word2vec draws it.
    """
    return np.arange(window, 0, -1) if dynamic else np.ones(window, dtype=np.int64)


def encode_documents(
    documents: Iterable[Any], vocabulary: Vocabulary, chunk_tokens: int = CHUNK_TOKENS
) -> Iterator[TokenChunk]:
    """Turn documents into chunks of codes; the vocabulary grows.

    Parameters
    ----------
    documents : iterable of lists of str
        Walked once.
    vocabulary : Vocabulary
        What words are called so far.
    chunk_tokens : int
        Least number of tokens of a chunk, apart from the last.

    Yields
    ------
    TokenChunk

    Raises
    ------
    TypeError
        Naming the document that is a string, or none of whose elements are strings.
    """
    waiting: list[Any] = []
    n_tokens = first = 0
    for position, document in enumerate(documents):
        if isinstance(document, str | bytes):
            raise TypeError(
                f"document {position} of X is a string, {document[:40]!r}, and its letters would "
                "be taken for words. Give lists of words: X = [text.split() for text in texts]."
            )
        words = _listed(document, position)
        waiting.append(words)
        n_tokens += len(words)
        if n_tokens >= chunk_tokens:
            yield _encode(waiting, first, vocabulary)
            waiting, n_tokens, first = [], 0, position + 1
    if waiting or first == 0:
        yield _encode(waiting, first, vocabulary)


def _listed(document: Any, position: int) -> Any:
    """A document whose words can be counted and walked."""
    if hasattr(document, "__len__"):
        return document
    if isinstance(document, Iterable):
        return list(document)
    raise TypeError(
        f"document {position} of X is {document!r}, of type {type(document).__name__}, and no list "
        "of words. Give an iterable of lists of strings."
    )


def _encode(documents: list[Any], first: int, vocabulary: Vocabulary) -> TokenChunk:
    offsets = np.zeros(len(documents) + 1, dtype=np.int64)
    np.cumsum([len(words) for words in documents], out=offsets[1:])
    codes = map(vocabulary.__getitem__, chain.from_iterable(documents))
    try:
        tokens = np.fromiter(codes, dtype=np.int32, count=offsets[-1])
    except TypeError as error:
        raise _blame(documents, first, error) from None
    return TokenChunk(tokens, offsets, len(vocabulary))


def _blame(documents: list[Any], first: int, error: TypeError) -> TypeError:
    """Say which token is no string."""
    for position, words in enumerate(documents, first):
        for place, word in enumerate(words):
            if not isinstance(word, str):
                return TypeError(
                    f"token {place} of document {position} of X is no string but {word!r}, of "
                    f"type {type(word).__name__}. Give lists of strings: convert it with str, or "
                    "leave it out."
                )
    return error


def count_following(chunk: TokenChunk, weights: NDArray[np.int64]) -> CoOccurrences:
    """Count the words of a chunk, and the words that follow them.

    Parameters
    ----------
    chunk : TokenChunk
    weights : int array (window,)
        Of words at distances 1, 2, ...; a window ends with the document.

    Notes
    -----
    The places of each word are collected by a counting sort, and what follows them is added to one
    row of counts at a time, which a cache holds: O(n window) time without a sort of pairs, and
    ``12 n window`` bytes.
    """
    tokens, offsets, n_words = chunk
    counts = np.zeros(n_words, np.int32)
    order, stop = np.empty(tokens.size, np.int32), np.empty(tokens.size, np.int32)
    indptr = np.zeros(n_words + 1, np.int64)
    most = tokens.size * weights.size
    indices, data = np.empty(most, np.int32), np.empty(most, np.int64)
    nnz = _count_following(tokens, offsets, weights, counts, order, stop, indptr, indices, data)
    following = sparse.csr_array((data[:nnz], indices[:nnz], indptr), shape=(n_words, n_words))
    return CoOccurrences(np.bincount(tokens, minlength=n_words), following)


@Compiled
def _count_following(
    tokens: NDArray[np.int32],
    offsets: NDArray[np.int64],
    weights: NDArray[np.int64],
    counts: NDArray[np.int32],
    order: NDArray[np.int32],
    stop: NDArray[np.int32],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.int64],
) -> int:
    """Fill the arrays of a CSR matrix with sorted indices; return how many entries it has."""
    n_words, window = counts.size, weights.size
    for token in tokens:
        indptr[token + 1] += 1
    for word in range(n_words):
        indptr[word + 1] += indptr[word]
    for document in range(offsets.size - 1):
        for at in range(offsets[document], offsets[document + 1]):
            place = indptr[tokens[at]]
            order[place] = at
            stop[place] = min(at + window + 1, offsets[document + 1])
            indptr[tokens[at]] += 1
    nnz = begin = 0
    for word in range(n_words):  # whose places end at indptr[word], as it was moved there
        first = nnz
        for place in range(begin, indptr[word]):
            at = order[place]
            for other in range(at + 1, stop[place]):
                near = tokens[other]
                if counts[near] == 0:
                    indices[nnz] = near
                    nnz += 1
                counts[near] += weights[other - at - 1]
        begin = indptr[word]
        if _SCANNED * (nnz - first) > n_words:
            nnz = first
            for near in range(n_words):
                if counts[near]:
                    indices[nnz] = near
                    nnz += 1
        else:
            indices[first:nnz].sort()
        for k in range(first, nnz):
            data[k] = counts[indices[k]]
            counts[indices[k]] = 0
        indptr[word] = first
    indptr[n_words] = nnz
    return nnz


def count_cooccurrences(
    documents: Iterable[Any],
    vocabulary: Vocabulary,
    weights: NDArray[np.int64],
    run: Runner,
    chunk_tokens: int = CHUNK_TOKENS,
) -> CoOccurrences:
    """Count the words of documents, and the words that follow them, in one walk.

    Parameters
    ----------
    documents : iterable of lists of str
        Walked once, and never stored.
    vocabulary : Vocabulary
        It grows by the words that it does not know.
    weights : int array (window,)
        See `window_weights`.
    run : Runner
        Who counts; words are looked up here.
    chunk_tokens : int
        Tokens that are counted together.

    Returns
    -------
    CoOccurrences
        Of no words, if there are no documents.
    """
    chunks = encode_documents(documents, vocabulary, chunk_tokens)
    return run.total(partial(count_following, weights=weights), chunks)
