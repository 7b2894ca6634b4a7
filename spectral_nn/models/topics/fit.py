"""The fit of a topic model: a start from moments, and its refinement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.base import OnStep, Options, silent
from spectral_nn.models.fit import maximise_likelihood
from spectral_nn.models.tables import TableData
from spectral_nn.models.topics.collapsed import collapse, memory_of
from spectral_nn.models.topics.priors import TopicPriors
from spectral_nn.models.topics.report import TopicReport
from spectral_nn.models.topics.spectral import SpectralTopics, explain_shortfall, find_topics
from spectral_nn.models.topics.variational import (
    TopicModel,
    TopicParameters,
    counts_of,
)
from spectral_nn.moments.documents import DocumentMoments, document_moments
from spectral_nn.results import RankError, RankWarning, RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.runners.parts import load
from spectral_nn.warn import warn

__all__ = [
    "TopicFit",
    "TopicOptions",
    "batches",
    "begin_online",
    "fit_topics",
    "online_step",
    "soften",
]

MAX_COLLAPSED_BYTES = 1 << 31
"""Of responsibilities; beyond, and for data elsewhere, steps are sums over chunks."""

_TOLD_SHORT = 0.1  # of the documents
_MAX_RESIDUAL = 0.3  # of topics that are not refined
_MIXED = 0.5  # with the words of all documents: from a softer start, passes over all get further
_SPREAD = 100.0  # gamma shape of random topics, as in scikit-learn


@dataclass(frozen=True, eq=False)
class TopicOptions(Options):
    """How topics are fitted.

    Attributes
    ----------
    priors : TopicPriors
    init : {"tensor", "random"} or ndarray of shape (K, V)
        Where topics start.
    alpha0 : float
        Sum of the Dirichlet parameters of documents that moments take.
    method : {"collapsed", "batch", "online"}
    max_iter : int
        Most passes; 0 leaves the start as it is.
    perp_tol : float
        Stop when a pass lowers the perplexity by less.
    max_updates, doc_tol : int, float
        See `spectral_nn.models.topics.variational.TopicModel`.
    decay, offset, batch_size : float, float, int
        Of online steps.
    """

    priors: TopicPriors
    init: Any = "tensor"
    alpha0: float = 1.0
    method: str = "collapsed"
    max_iter: int = 100
    perp_tol: float = 0.1
    max_updates: int = 100
    doc_tol: float = 1e-3
    decay: float = 0.7
    offset: float = 10.0
    batch_size: int = 128

    @property
    def model(self) -> TopicModel:
        """Variational Bayes under these options."""
        return TopicModel(self.priors, self.max_updates, self.doc_tol)


@dataclass(frozen=True, eq=False)
class TopicFit:
    """A fitted topic model.

    Attributes
    ----------
    components : ndarray of shape (K, V)
        Dirichlet parameters of topics: expected counts of words, and the prior.
    history : list of float
        Of "collapsed", the log-probability of each token given all others; of "batch", the bound
        of the log-likelihood, nats; empty for "online".
    n_iter : int
        Passes done.
    converged : bool
    n_tokens : float
    init : str
        "tensor", "random" or "given".
    spectral : SpectralTopics or None
        What moments showed.
    moments : DocumentMoments or None
        The moments.
    report : TopicReport
    """

    components: NDArray[np.float64]
    history: list[float]
    n_iter: int
    converged: bool
    n_tokens: float
    init: str
    spectral: SpectralTopics | None
    moments: DocumentMoments | None
    report: TopicReport


@dataclass(frozen=True, eq=False)
class _Start:
    """Topics (K, V) to start from, and how they were found."""

    topics: NDArray[np.float64]
    n_tokens: float
    kind: str
    spectral: SpectralTopics | None = None
    moments: DocumentMoments | None = None
    report: TopicReport = field(default_factory=TopicReport)


def fit_topics(
    table: Table,
    options: TopicOptions,
    rng: np.random.Generator,
    run: Runner,
    tell: OnStep = silent,
) -> TopicFit:
    """Fit latent Dirichlet allocation to counts of words.

    Parameters
    ----------
    table : Rows or ChunkedRows
        One document a row.
    options : TopicOptions
    rng : Generator
        Draws random topics, and the directions that moments begin with.
    run : Runner
        Who computes.
    tell : callable
        Told (stage, pass, perplexity).

    Returns
    -------
    TopicFit

    Raises
    ------
    RankError
        If moments alone are asked for, and do not carry as many topics.

    Warns
    -----
    RankWarning
        If they do not, and other topics start at random.
    RecoveryWarning
        If moments alone are asked for, and topics leave a good part of them unexplained.
    UserWarning
        If a tenth of the documents is too short for moments.
    """
    start = _start(table, options, rng, run, strict=options.max_iter == 0)
    method = options.method

    def told(stage: str, step: int, nats: float) -> None:
        tell(stage, step, float(np.exp(-nats / max(start.n_tokens, 1.0))))

    if options.max_iter == 0:
        found: Any = (_as_parameters(start, options.priors, mixed=0.0), [], 0, False)
    elif options.method == "online":
        found = _go_online(table, start, options, run, tell)
    elif (X := _counts_here(table, options)) is not None:
        found = _collapse(X, start, options, told)
    else:
        method = "batch"
        found = _climb(table, start, options, run, told)
    return _complete(start, found, method)


def _complete(start: _Start, found: Any, method: str) -> TopicFit:
    components, history, n_iter, converged = found
    facts = {"winner": start.kind, "n_iter": n_iter, "converged": converged, "method": method}
    report = replace(start.report, **facts)
    how = start.n_tokens, start.kind, start.spectral, start.moments, report
    return TopicFit(components, history, n_iter, converged, *how)


def begin_online(
    table: Table, options: TopicOptions, rng: np.random.Generator, run: Runner
) -> TopicFit:
    """Topics that online steps may start from, see `fit_topics`."""
    start = _start(table, options, rng, run, strict=False)
    components = _as_parameters(start, options.priors, mixed=0.0)
    return _complete(start, (components, [], 0, False), "online")


def _start(
    table: Table, options: TopicOptions, rng: np.random.Generator, run: Runner, *, strict: bool
) -> _Start:
    """Topics from moments, drawn, or given; where `strict`, as many as asked for, or RankError."""
    K, V = options.priors.n_components, options.priors.n_words
    if not isinstance(options.init, str):
        given = options.init / options.init.sum(axis=1, keepdims=True)
        return _Start(given, _count_tokens(table, run), "given")
    if options.init == "random":
        return _random(K, V, _count_tokens(table, run), rng)
    moments = document_moments(table, K, run, rng=rng)
    if moments is None:
        _no_moments(
            "no document of X has three tokens, and moments are of triples of words.", K, K, strict
        )
        return _random(K, V, _count_tokens(table, run), rng)
    spectral = find_topics(moments, K, options.alpha0)
    n_short, n_all = moments.n_short, moments.n_short + moments.n_documents
    if n_short > _TOLD_SHORT * n_all:
        warn(
            f"{n_short:g} of {n_all:g} documents have fewer than three tokens: moments, which are "
            "of triples of words, leave them out. Join documents, or set init='random'.",
            UserWarning,
        )
    n_random = K - len(spectral.topics)
    if n_random:
        _no_moments(explain_shortfall(spectral, K), n_random, K, strict)
    if strict and spectral.residual > _MAX_RESIDUAL:
        warn(
            f"{spectral.residual:.0%} of the third moment is not explained by {K} topics: there "
            "are more topics, or too few documents. With max_iter above 0 topics are refined.",
            RecoveryWarning,
        )
    if not spectral.workable:
        return _random(K, V, moments.n_tokens, rng)
    drawn = _random(n_random, V, moments.n_tokens, rng)
    topics = np.concatenate([spectral.topics, drawn.topics])
    order = _match_prior(topics, options.priors)
    return _Start(
        topics[order],
        moments.n_tokens,
        "tensor",
        spectral,
        moments,
        TopicReport(
            n_short_documents=n_short,
            workable=spectral.workable,
            eigenvalues=spectral.eigenvalues,
            residual=spectral.residual,
        ),
    )


def _random(K: int, V: int, n_tokens: float, rng: np.random.Generator) -> _Start:
    """Topics that are hardly different, as scikit-learn begins with."""
    topics = rng.gamma(_SPREAD, 1 / _SPREAD, (K, V))
    return _Start(topics / topics.sum(axis=1, keepdims=True), n_tokens, "random")


def _no_moments(figures: str, n_random: int, K: int, strict: bool) -> None:
    """RankError, or a warning where refinement follows: moments carry fewer topics."""
    if strict:
        raise RankError(f"{figures} Set fewer n_components, or max_iter above 0.")
    warn(
        f"{figures} {n_random} of {K} topics start at random. Set fewer n_components, or "
        "init='random', which spares the time that moments take.",
        RankWarning,
    )


def _match_prior(topics: NDArray[np.float64], priors: TopicPriors) -> NDArray[np.intp]:
    """Order of topics in which each comes nearest to the prior of its words."""
    if priors.words.shape[1] == 1:
        return np.arange(len(topics))
    lift = priors.words / priors.words.mean(axis=0)
    return linear_sum_assignment(-lift @ topics.T)[1]


def _as_parameters(start: _Start, priors: TopicPriors, mixed: float) -> NDArray[np.float64]:
    """Dirichlet parameters (K, V) of topics that share all tokens evenly.

    The shares that moments tell are one over squares of weights, some of which are noise.
    """
    return priors.words + start.n_tokens / len(start.topics) * _soften(start, mixed)


def _soften(start: _Start, mixed: float) -> NDArray[np.float64]:
    """Topics mixed with the words of all documents."""
    if start.moments is None:
        return start.topics
    return soften(start.topics, start.moments, mixed)


def soften(
    topics: NDArray[np.float64], moments: DocumentMoments, mixed: float = _MIXED
) -> NDArray[np.float64]:
    """Topics (K, V) mixed with the words of all documents."""
    return (1 - mixed) * topics + mixed * to_numpy(moments.first)


def _count_tokens(table: Table, run: Runner) -> float:
    return float(run.total(_tokens_of, table.chunks()))


def _tokens_of(chunk: Rows) -> float:
    return float(counts_of(chunk).sum())


def _counts_here(table: Table, options: TopicOptions) -> sparse.csr_array | None:
    """Documents, if they are here, and small enough to keep a responsibility for each token."""
    if options.method != "collapsed" or not isinstance(table, Rows):
        return None
    X = counts_of(table)
    return X if memory_of(X, options.priors.n_components) <= MAX_COLLAPSED_BYTES else None


def _collapse(X: sparse.csr_array, start: _Start, options: TopicOptions, tell: OnStep) -> Any:
    found = collapse(
        X,
        _soften(start, _MIXED) + 1e-12,
        options.priors,
        max_iter=options.max_iter,
        tol=options.perp_tol,
        on_step=tell,
    )
    components = options.priors.words + found.counts
    return components, found.history, len(found.history), found.converged


def _climb(table: Table, start: _Start, options: TopicOptions, run: Runner, tell: OnStep) -> Any:
    """Batch variational Bayes."""
    model = options.model
    result = maximise_likelihood(
        model,
        TopicParameters(_as_parameters(start, options.priors, _MIXED)),
        TableData(model, table, run).expect,
        n_iter=options.max_iter,
        # No perplexity is above V: this is the gain that lowers one of V by the tolerance.
        tol=options.perp_tol * start.n_tokens / options.priors.n_words,
        on_step=tell,
    )
    history = result.history
    return result.parameters.components, history, len(history), result.converged


def _go_online(
    table: Table, start: _Start, options: TopicOptions, run: Runner, tell: OnStep
) -> Any:
    """Online variational Bayes, with a step for each small batch."""
    parameters = TopicParameters(_as_parameters(start, options.priors, mixed=0.0))
    step = 0
    for n_iter in range(1, options.max_iter + 1):
        for batch in batches(table, options.batch_size):
            step += 1
            parameters = online_step(parameters, batch, options, step, table.n_rows, run)
        tell("online", n_iter, np.nan)  # the perplexity would take another pass
    return parameters.components, [], options.max_iter, False


def batches(table: Table, n_rows: int) -> Iterator[Rows]:
    """Documents of a table in small batches, in order."""
    for part in table.chunks():
        yield from load(part).blocks(n_rows)


def online_step(
    parameters: TopicParameters,
    batch: Rows,
    options: TopicOptions,
    step: int,
    n_documents: float,
    run: Runner,
) -> TopicParameters:
    r"""Move topics towards what a batch says, by :math:`\rho_t = (\tau_0 + t)^{-\kappa}`.

    Parameters
    ----------
    parameters : TopicParameters
    batch : Rows
        Some documents.
    options : TopicOptions
        ``decay`` is kappa, ``offset`` tau_0.
    step : int
        t, from 1.
    n_documents : float
        How many the batch stands for.
    run : Runner
        Who computes.

    Notes
    -----
    Hoffman, Blei and Bach, *Online learning for latent Dirichlet allocation*, NIPS 2010,
    algorithm 2.
    """
    model = options.model
    found = run.total(partial(model.statistic, parameters), [batch])
    target = options.priors.words + n_documents / batch.n_rows * found.counts.T
    rho = (options.offset + step) ** -options.decay
    return TopicParameters((1 - rho) * parameters.components + rho * target)
