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

_LETTERS = str.maketrans("0123456789", "abcdefghij")  # Mallet reads words of three letters or more
_DIGITS = str.maketrans("abcdefghij", "0123456789")


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
    used = np.array(model.used_vocabs).astype(int)
    found = np.stack([model.get_topic_word_dist(i) for i in range(k)])
    return Topics(_of_all_words(found, used, X.shape[1]), np.asarray(model.alpha, float), seconds)


def topica(X: sparse.csr_array, k: int, seed: int) -> Topics:
    """Sparse Gibbs sampling with its defaults: 1,000 passes, learned priors of documents."""
    from topica import LDA

    documents = documents_of(X)
    model = LDA(k, seed=seed)
    begin = time.process_time()
    model.fit(documents)
    seconds = time.process_time() - begin
    used = np.array(model.vocabulary).astype(int)
    topics = _of_all_words(np.asarray(model.topic_word), used, X.shape[1])
    return Topics(topics, np.asarray(model.alpha, float), seconds)


def mallet(X: sparse.csr_array, k: int, seed: int) -> Topics:
    """Mallet's sparse Gibbs sampling in Rust, with its defaults but for the learned priors.

    Those are read off what it says of a document without words, and of one with a single word:
    topics that the word is not of then have shares smaller by a / (a + 1), a the sum of the prior.
    """
    from pyrmallet import LatentDirichletAllocation as Mallet

    texts = [
        " ".join(word.zfill(3) for word in words).translate(_LETTERS) for words in documents_of(X)
    ]
    model = Mallet(k, random_state=seed)
    begin = time.process_time()
    model.fit(texts)
    seconds = time.process_time() - begin
    names = list(model.feature_names_in_)
    used = np.array([name.translate(_DIGITS) for name in names]).astype(int)
    none, one = model.transform(["", names[0]])
    ratio = (one / none).min()
    topics = _of_all_words(model.components_, used, X.shape[1])
    return Topics(topics, none * ratio / (1 - ratio), seconds)


def anchor_topics(X: sparse.csr_array, k: int, seed: int) -> Topics:
    """Anchor words of a rectified co-occurrence matrix, defaults; it learns no priors.

    It rules words out of topics, which would make held-out words impossible: a hundredth of each
    topic is the words' frequencies.
    """
    from anchortopics.model import OTFR

    model = OTFR(k, random_state=seed)
    begin = time.process_time()
    model.fit(X)
    seconds = time.process_time() - begin
    topics = 0.99 * _normed(model.components_) + 0.01 * X.sum(axis=0) / X.sum()
    return Topics(topics, np.full(k, 1 / k), seconds)


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


def _of_all_words(
    topics: NDArray[np.float64], used: NDArray[np.int64], n_words: int
) -> NDArray[np.float64]:
    """Topics (K, V) of topics of the words that training had; the others are their least."""
    full = np.repeat(topics.min(axis=1, keepdims=True), n_words, axis=1)
    full[:, used] = topics
    return _normed(full)


def _normed(topics: NDArray[Any]) -> NDArray[np.float64]:
    topics = np.asarray(topics, dtype=np.float64)
    return topics / topics.sum(axis=1, keepdims=True)
