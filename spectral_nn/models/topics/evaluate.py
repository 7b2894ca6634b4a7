"""How good topics are: held-out words told by the others of their document, and coherence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.models.topics.variational import infer_shares

__all__ = ["coherence", "complete_documents", "top_words"]

_ROUNDING = 1e-4  # by which sums of many probabilities in single precision may be off one


def complete_documents(
    X: sparse.csr_array,
    topics: NDArray[np.float64],
    prior: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    max_updates: int = 100,
    tol: float = 1e-3,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Tell half of the tokens of each document by the other half.

    The shares of topics :math:`\theta` are fitted to a random half; the other half has probability
    :math:`\prod_w (\sum_k \theta_k \beta_{kw})^{n_w}`.

    Parameters
    ----------
    X : csr_array of shape (n, V)
        Counts, whole numbers, of documents that took no part in the fit.
    topics : ndarray of shape (K, V)
        Positive probabilities of words; each row sums to one.
    prior : ndarray of shape (K,)
        Dirichlet parameters of the shares of a document.
    rng : Generator
        Draws the halves: each token falls in either with probability 1/2.
    max_updates, tol : int, float
        See `spectral_nn.models.topics.variational.TopicModel`.

    Returns
    -------
    log_likelihood : ndarray of shape (n,)
        Of the told half of each document, nats.
    n_tokens : ndarray of shape (n,)
        In these; ``exp(-log_likelihood.sum() / n_tokens.sum())`` is the perplexity.

    Raises
    ------
    ValueError
        If a row of ``topics`` does not sum to one, or ``prior`` and ``topics`` differ in K.

    See Also
    --------
    spectral_estimators.LatentDirichletAllocation.perplexity : The same of a fitted model.
    coherence : Whether words of a topic go together.

    Notes
    -----
    No bound and no knowledge of the model is involved: any topics and prior can be compared.
    Wallach, Murray, Salakhutdinov and Mimno, *Evaluation methods for topic models*, ICML 2009,
    section 5.

    Examples
    --------
    Two topics of two words each tell which of their words comes no better than a coin does:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> topics = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]) * 0.996 + 0.001
    >>> X = csr_array(np.array([[500, 500, 0, 0], [0, 0, 500, 500]]))
    >>> nats, n = complete_documents(X, topics, np.full(2, 0.1), np.random.default_rng(0))
    >>> round(float(np.exp(-nats.sum() / n.sum())), 1)
    2.0

    Topics of another package, here scikit-learn's, whose rows are counts:

    >>> from sklearn.decomposition import LatentDirichletAllocation
    >>> rng = np.random.default_rng(0)
    >>> X = rng.multinomial(60, rng.dirichlet(np.full(3, 0.3), 400) @ rng.dirichlet(np.ones(50), 3))
    >>> lda = LatentDirichletAllocation(3, random_state=0).fit(X[:300])
    >>> topics = lda.components_ / lda.components_.sum(axis=1, keepdims=True)
    >>> prior = np.full(3, lda.doc_topic_prior_)
    >>> nats, n = complete_documents(csr_array(X[300:]), topics, prior, np.random.default_rng(0))
    >>> bool(30 < np.exp(-nats.sum() / n.sum()) < 50)
    True
    """
    _check_topics(topics)
    X = sparse.csr_array(X)
    seen = sparse.csr_array(X, dtype=np.float64, copy=True)
    seen.data = rng.binomial(X.data.astype(np.int64), 0.5).astype(np.float64)
    told = X.data - seen.data
    shares = infer_shares(seen, topics, prior, max_updates=max_updates, tol=tol)[0]
    shares /= shares.sum(axis=1, keepdims=True)
    document = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    kept = told > 0
    document = document[kept]
    likelihood = np.einsum("ik,ik->i", shares[document], topics.T[X.indices[kept]])
    n = X.shape[0]

    def by_document(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(document, values, minlength=n).astype(np.float64)

    return by_document(told[kept] * np.log(likelihood)), by_document(told[kept])


def _check_topics(topics: NDArray[np.float64]) -> None:
    """Check that rows are probabilities; else likelihoods are beyond one, and models incomparable.

    Raises
    ------
    ValueError
        Naming topics.
    """
    sums = np.sum(topics, axis=1)
    off = ~(np.abs(sums - 1) <= _ROUNDING)
    if off.any():
        k = int(np.argmax(off))
        raise ValueError(
            f"topics must hold probabilities of words, but row {k} sums to {sums[k]:.6g}, and not "
            "to 1. Divide rows by their sums: topics / topics.sum(axis=1, keepdims=True)."
        )


def coherence(
    X: sparse.csr_array, topics: NDArray[np.float64], n_words: int = 10
) -> NDArray[np.float64]:
    r"""Normalised pointwise mutual information of the likeliest words of each topic.

    The mean over pairs of words of

    .. math:: \log \frac{P(v, w)}{P(v) P(w)} \Bigm/ -\log P(v, w)

    where P is the share of documents that have the word, or both. Between -1, never together, and
    1, always together.

    Parameters
    ----------
    X : csr_array of shape (n, V)
        Counts of words.
    topics : ndarray of shape (K, V)
    n_words : int, default=10
        Of each topic.

    Returns
    -------
    ndarray of shape (K,)

    Raises
    ------
    IndexError
        If the likeliest words of a topic are beyond the columns of X.

    See Also
    --------
    spectral_estimators.LatentDirichletAllocation.coherence : The same of a fitted model.
    complete_documents : How well topics tell words of other documents.

    Notes
    -----
    Cost: O(K n_words nnz(columns)).
    Bouma, *Normalized (pointwise) mutual information in collocation extraction*, GSCL 2009; Lau,
    Newman and Baldwin, *Machine reading tea leaves*, EACL 2014.

    Examples
    --------
    The words of the first topic are always together, those of the second never:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> X = csr_array(np.array([[1, 1, 0, 0], [2, 1, 0, 0], [0, 0, 1, 3], [0, 0, 1, 1]]))
    >>> topics = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]])
    >>> coherence(X, topics, n_words=2).round(6).tolist()
    [1.0, -1.0]
    """
    occurs = sparse.csc_array(X, dtype=np.float64, copy=True)
    occurs.data[:] = occurs.data > 0
    n = X.shape[0]
    return np.array([_npmi(occurs[:, words], n) for words in top_words(topics, n_words)])


def _npmi(occurs: sparse.csc_array, n: int) -> float:
    """Mean over pairs of the columns."""
    together = (occurs.T @ occurs).toarray() / n
    alone = np.diag(together)
    low, high = np.triu_indices(len(alone), 1)
    both, apart = together[low, high], alone[low] * alone[high]
    always, never = both >= 1, both <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(both / apart) / -np.log(both)
    return float(np.where(never, -1.0, np.where(always, 1.0, found)).mean())


def top_words(topics: NDArray[np.float64], n_words: int) -> NDArray[np.intp]:
    """Numbers (K, n_words) of the likeliest words of topics (K, V), the likeliest first."""
    n_words = min(n_words, topics.shape[1])
    return np.argsort(-topics, axis=1, kind="stable")[:, :n_words]
