"""How many topics a corpus carries: held-out words told by more and more of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.topics.collapsed import collapse
from spectral_nn.models.topics.evaluate import complete_documents
from spectral_nn.models.topics.fit import soften
from spectral_nn.models.topics.priors import TopicPriors
from spectral_nn.models.topics.report import TopicEvidence
from spectral_nn.models.topics.spectral import find_topics
from spectral_nn.models.topics.variational import counts_of
from spectral_nn.moments.documents import document_moments
from spectral_nn.results import RankError
from spectral_nn.runners.base import SerialRunner

__all__ = ["TopicEvidence", "choose_topics"]

NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96)
"""That are tried."""

_MAX_DOCUMENTS = 8192
_HELD_OUT = 0.25
_PASSES = 20
_PATIENCE = 3  # numbers in a row that are no better than the best before


def choose_topics(table: Table, alpha0: float, rng: np.random.Generator) -> TopicEvidence:
    """Choose the number of topics on documents that are held out.

    Parameters
    ----------
    table : Rows or ChunkedRows
        Counts of words, one document a row; 8,192 documents at most are looked at.
    alpha0 : float
        See `spectral_nn.models.topics.spectral.find_topics`.
    rng : Generator
        Draws the directions that moments begin with, and the halves of documents.

    Returns
    -------
    TopicEvidence

    Raises
    ------
    RankError
        If the moments of these documents carry no topic.

    Notes
    -----
    Moments are summed once; each number of topics is read off them, refined by 20 passes at most,
    and judged by documents that neither has seen. Priors are 1 / K. Numbers grow until three in a
    row are no better than the best before.
    """
    rows = table.sample(_MAX_DOCUMENTS)
    X = counts_of(rows)
    held = np.arange(X.shape[0]) % round(1 / _HELD_OUT) == 0
    learned, told = X[~held], X[held]
    moments = document_moments(Rows.of(learned), NUMBERS[-1], SerialRunner(), rng=rng)
    if moments is None:
        raise RankError("no document of X has three tokens: moments carry no topic.")
    seed = rng.integers(2**31)
    n_words = X.shape[1]
    tried: list[int] = []
    nats: list[NDArray[np.float64]] = []
    best = 0
    for K in NUMBERS:
        spectral = find_topics(moments, K, alpha0)
        if len(spectral.topics) < K or len(tried) - best > _PATIENCE:
            break
        priors = TopicPriors(np.full(K, 1 / K), np.full((K, 1), 1 / K), n_words)
        start = soften(spectral.topics, moments) + 1e-12
        fitted = collapse(learned, start, priors, max_iter=_PASSES, tol=0.1)
        topics = fitted.counts + 1 / K
        topics /= topics.sum(axis=1, keepdims=True)
        halves = np.random.default_rng(seed)  # the same for all
        likelihood, n_tokens = complete_documents(told, topics, priors.topics, halves)
        tried.append(K)
        nats.append(likelihood)
        best = int(np.argmax([each.sum() for each in nats]))
    if not tried:
        raise RankError("the moments of X carry no topic: the second moment is within its noise.")
    behind = nats[best] - np.array(nats)
    errors = behind.std(axis=1) / np.sqrt(behind.shape[1])
    lost = behind.mean(axis=1)
    chosen = tried[int(np.flatnonzero(lost <= errors)[0])]
    perplexity = np.exp(-np.array([each.sum() for each in nats]) / max(n_tokens.sum(), 1.0))
    return TopicEvidence(np.array(tried), perplexity, lost, errors, chosen)
