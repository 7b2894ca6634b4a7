"""Variational Bayes of topics: steps that are sums over chunks of documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import gammaln, psi

from spectral_nn.additive import Additive
from spectral_nn.arrays import to_numpy
from spectral_nn.compiled import Compiled, compiled_part
from spectral_nn.data.rows import Rows
from spectral_nn.models.topics.priors import TopicPriors

__all__ = [
    "TopicModel",
    "TopicParameters",
    "TopicStatistics",
    "counts_of",
    "expect_logs",
    "infer_shares",
]


@dataclass(frozen=True, eq=False)
class TopicParameters:
    """Topics as Dirichlet distributions.

    Attributes
    ----------
    components : ndarray of shape (K, V)
        Parameters of the distribution of each topic over words, positive.
    """

    components: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TopicStatistics(Additive):
    """Sums over documents that an M-step needs.

    Attributes
    ----------
    counts : ndarray of shape (V, K)
        Expected number of tokens of each word in each topic.
    log_likelihood : float
        What documents add to the bound of the log-likelihood, nats.
    """

    counts: NDArray[np.float64]
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class TopicModel:
    r"""Latent Dirichlet allocation as a `spectral_nn.models.base.LatentModel` of tables of counts.

    Each topic, and the shares of topics of each document, have a Dirichlet distribution in the
    place of their posterior. An E-step fits those of documents, one by one:

    .. math:: \gamma_{dk} = \alpha_k + \sum_w n_{dw}
        \frac{e^{E[\log \theta_{dk}] + E[\log \beta_{kw}]}}
             {\sum_j e^{E[\log \theta_{dj}] + E[\log \beta_{jw}]}}

    Attributes
    ----------
    priors : TopicPriors
    max_updates : int
        Most updates of a document in an E-step.
    tol : float
        A document is done when its parameters change by less, on average.

    Notes
    -----
    Cost: O(nnz K) an update of all documents.
    Blei, Ng and Jordan, *Latent Dirichlet allocation*, JMLR 3 (2003), equations 6 and 7; Hoffman,
    Blei and Bach, *Online learning for latent Dirichlet allocation*, NIPS 2010.
    """

    priors: TopicPriors
    max_updates: int = 100
    tol: float = 1e-3

    def infer(
        self, parameters: TopicParameters, X: sparse.csr_array
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Fit the shares of documents (n, V).

        Returns
        -------
        shares : ndarray of shape (n, K)
            Dirichlet parameters of each document.
        counts : ndarray of shape (V, K)
            Expected number of tokens of each word in each topic.
        log_likelihood : float
            What the documents add to the bound, nats.
        """
        return infer_shares(
            X,
            np.exp(expect_logs(parameters.components)),
            self.priors.topics,
            max_updates=self.max_updates,
            tol=self.tol,
        )

    def statistic(self, parameters: TopicParameters, chunk: Rows) -> TopicStatistics:
        """E-step of a chunk."""
        _, counts, log_likelihood = self.infer(parameters, counts_of(chunk))
        return TopicStatistics(counts, log_likelihood)

    def maximise(self, statistics: TopicStatistics, parameters: TopicParameters) -> TopicParameters:
        """Add the counts to the prior."""
        return TopicParameters(self.priors.words + statistics.counts.T)

    def log_prior(self, parameters: TopicParameters) -> float:
        """What topics add to the bound of the log-likelihood, nats."""
        words = np.broadcast_to(self.priors.words, parameters.components.shape)
        return -float(_divergence(words, parameters.components).sum())

    def relax(self, old: TopicParameters, new: TopicParameters, power: float) -> TopicParameters:
        """Reach beyond an M-step on a logarithmic scale."""
        with np.errstate(over="ignore", under="ignore"):
            beyond = new.components * (new.components / old.components) ** (power - 1)
        usable = np.isfinite(beyond) & (beyond > 0)
        return TopicParameters(np.where(usable, beyond, new.components))

    def judge(self, parameters: TopicParameters, chunk: Rows) -> float:
        """Bound of the log-likelihood of documents that a race holds out, nats."""
        return self.statistic(parameters, chunk).log_likelihood

    def restore(self, old: TopicParameters, new: TopicParameters) -> TopicParameters:
        """Nothing has become impossible: priors are positive."""
        return new


def infer_shares(
    X: sparse.csr_array,
    topics: NDArray[np.float64],
    prior: NDArray[np.float64],
    *,
    max_updates: int = 100,
    tol: float = 1e-3,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Fit the shares of topics in documents (n, V), under topics (K, V) that are known.

    Parameters
    ----------
    X : csr_array of shape (n, V)
    topics : ndarray of shape (K, V)
        Probabilities, or the exponentials of their expected logarithms.
    prior : ndarray of shape (K,)
        Dirichlet parameters of the shares.
    max_updates, tol : int, float
        See `TopicModel`.

    Returns
    -------
    shares, counts, log_likelihood
        See `TopicModel.infer`.
    """
    words = np.ascontiguousarray(topics.T)
    shares = np.empty((X.shape[0], prior.size))
    counts = np.zeros(words.shape)
    given = X.indptr, X.indices, X.data.astype(np.float64)
    inside = _infer(*given, words, prior, max_updates, tol, shares, counts)
    return shares, counts, inside - float(_divergence(prior, shares).sum())


def counts_of(chunk: Rows) -> sparse.csr_array:
    """Counts of words of a chunk (n, V), here and sparse."""
    X = chunk.X if hasattr(chunk.X, "tocsr") else to_numpy(chunk.X)
    X = sparse.csr_array(X)
    if not X.has_canonical_format:
        X = X.copy()  # its arrays are those of the user
        X.sum_duplicates()
    return X


def expect_logs(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected logarithms of Dirichlet variables, of rows of parameters (n, d)."""
    return psi(parameters) - psi(parameters.sum(axis=1, keepdims=True))


def _divergence(prior: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of Dirichlet distributions, rows (n, d), from a prior (n,)."""
    prior = np.broadcast_to(prior, parameters.shape)
    found = ((parameters - prior) * expect_logs(parameters)).sum(axis=1)
    found += (gammaln(prior) - gammaln(parameters)).sum(axis=1)
    return found + gammaln(parameters.sum(axis=1)) - gammaln(prior.sum(axis=1))


@compiled_part
def _exp_psi(x):
    """Exponential of the digamma function; 0 where that underflows."""
    if x < 1e-6:
        return np.exp(-0.5772156649015329 - 1 / x)
    shift = 0.0
    while x < 6:
        shift += 1 / x
        x += 1
    r = 1 / (x * x)
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132)))))
    return x * np.exp(-0.5 / x - series - shift)


@compiled_part
def _weigh(shares, out):
    """Fill `out` (K,) with exponentials of expected logarithms under Dirichlet ``shares`` (K,)."""
    total = 0.0
    for k in range(shares.size):
        total += shares[k]
    scale = 1 / _exp_psi(total)
    for k in range(shares.size):
        out[k] = _exp_psi(shares[k]) * scale


@compiled_part
def _likelihood(now, topic_row):
    """Likelihood of a token of one word."""
    found = 1e-300
    for k in range(now.size):
        found += now[k] * topic_row[k]
    return found


@Compiled
def _infer(ends, index, counts, topics, alpha, n_updates, tol, shares, sums):
    """Fill `shares` (n, K) and add to `sums` (V, K); sum of ``count log(likelihood)``, nats."""
    K = alpha.size
    now, new = np.empty(K), np.empty(K)
    nats = 0.0
    for d in range(ends.size - 1):
        for k in range(K):
            shares[d, k] = 1.0
        for _ in range(n_updates):
            _weigh(shares[d], now)
            for k in range(K):
                new[k] = 0.0
            for i in range(ends[d], ends[d + 1]):
                row = topics[index[i]]
                part = counts[i] / _likelihood(now, row)
                for k in range(K):
                    new[k] += part * row[k]
            change = 0.0
            for k in range(K):
                x = alpha[k] + now[k] * new[k]
                change += abs(x - shares[d, k])
                shares[d, k] = x
            if change < tol * K:
                break
        _weigh(shares[d], now)
        for i in range(ends[d], ends[d + 1]):
            row = topics[index[i]]
            likelihood = _likelihood(now, row)
            nats += counts[i] * np.log(likelihood)
            part = counts[i] / likelihood
            for k in range(K):
                sums[index[i], k] += part * now[k] * row[k]
    return nats
