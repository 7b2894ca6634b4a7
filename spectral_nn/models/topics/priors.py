"""Priors of a topic model, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TopicPriors"]


@dataclass(frozen=True, eq=False)
class TopicPriors:
    """Dirichlet parameters of the topics of a document, and of the words of a topic.

    Attributes
    ----------
    topics : ndarray of shape (K,)
        Positive.
    words : ndarray of shape (K, V) or (K, 1)
        Positive.  The same for all words of a topic in the second case.
    n_words : int
        V.
    """

    topics: NDArray[np.float64]
    words: NDArray[np.float64]
    n_words: int

    @property
    def n_components(self) -> int:
        """Number of topics, K."""
        return self.topics.shape[0]

    @property
    def word_totals(self) -> NDArray[np.float64]:
        """Sum of the parameters of the words of each topic, (K,)."""
        each = self.words.sum(axis=1)
        return each * (self.n_words / self.words.shape[1])
