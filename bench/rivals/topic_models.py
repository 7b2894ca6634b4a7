"""Rivals of the topic model: each fits counts (n, V), and gives topics, prior and seconds.

Seconds are of the processor, for training alone: what it takes to hand documents over as lists of
words does not count. A word that training lacks has the probability of one that occurs in no
document of the topic.
"""

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import LatentDirichletAllocation as ScikitLDA


class Topics(NamedTuple):
    """Probabilities of words (K, V), Dirichlet parameters of documents (K,), seconds."""

    words: NDArray[np.float64]
    prior: NDArray[np.float64]
    seconds: float


def scikit_learn(X: sparse.csr_array, k: int, seed: int, n_iter: int = 60) -> Topics:
    """Batch variational Bayes, defaults but for the number of passes."""
    model = ScikitLDA(k, max_iter=n_iter, random_state=seed)
    begin = time.process_time()
    model.fit(X)
    seconds = time.process_time() - begin
    return Topics(_normed(model.components_), np.full(k, 1 / k), seconds)


def gensim(X: sparse.csr_array, k: int, seed: int, passes: int = 10) -> Topics:
    """Online variational Bayes with learned priors."""
    from gensim.matutils import Sparse2Corpus
    from gensim.models import LdaModel

    V = X.shape[1]
    documents = list(Sparse2Corpus(X.astype(int), documents_columns=False))
    begin = time.process_time()
    model = LdaModel(
        documents,
        num_topics=k,
        id2word={i: str(i) for i in range(V)},
        passes=passes,
        random_state=seed,
        alpha="auto",
        eta="auto",
    )
    seconds = time.process_time() - begin
    return Topics(_normed(model.get_topics()), np.asarray(model.alpha, dtype=float), seconds)


def tomotopy(X: sparse.csr_array, k: int, seed: int, n_iter: int = 200) -> Topics:
    """Gibbs sampling with learned priors of documents, one worker."""
    import tomotopy as tp

    model = tp.LDAModel(k=k, seed=seed, min_cf=0, rm_top=0)
    for words in documents_of(X):
        model.add_doc(words)
    begin = time.process_time()
    model.train(n_iter, workers=1)
    seconds = time.process_time() - begin
    used = np.array([int(word) for word in model.used_vocabs])
    found = np.stack([model.get_topic_word_dist(i) for i in range(k)])
    topics = np.repeat(found.min(axis=1, keepdims=True), X.shape[1], axis=1)
    topics[:, used] = found
    return Topics(_normed(topics), np.asarray(model.alpha, dtype=float), seconds)


def documents_of(X: sparse.csr_array) -> list[list[str]]:
    """Documents as lists of words, each as often as it counts."""
    counts = X.data.astype(int)
    words = X.indices.astype(str)
    return [
        np.repeat(words[a:b], counts[a:b]).tolist()
        for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
    ]


def ours(X: sparse.csr_array, k: int, seed: int, **settings: Any) -> Topics:
    """`LatentDirichletAllocation`, not a rival."""
    from spectral_estimators import LatentDirichletAllocation

    model = LatentDirichletAllocation(k, random_state=seed, **settings)
    begin = time.process_time()
    model.fit(X)
    seconds = time.process_time() - begin
    return Topics(_normed(model.components_), np.full(k, 1 / k), seconds)


def _normed(topics: NDArray[Any]) -> NDArray[np.float64]:
    topics = np.asarray(topics, dtype=np.float64)
    return topics / topics.sum(axis=1, keepdims=True)
