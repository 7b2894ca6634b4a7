"""`LatentDirichletAllocation`: topics of documents, from moments."""

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import check_device, home_of, on_host, runner_at
from spectral_estimators._progress import listener, reports_steps
from spectral_estimators._reading import Given, by_chunks, read_rows, told_columns
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._tables import is_remote
from spectral_estimators._topic_evaluation import TopicEvaluationMixin
from spectral_estimators._validation import spawn_rng
from spectral_estimators._word_counts import (
    check_counts,
    check_positive,
    holds_fractions,
    read_priors,
)
from spectral_nn.models.base import silent
from spectral_nn.models.topics.choose import TopicEvidence, choose_topics
from spectral_nn.models.topics.fit import (
    TopicFit,
    TopicOptions,
    batches,
    begin_online,
    fit_topics,
    online_step,
)
from spectral_nn.models.topics.variational import TopicModel, TopicParameters, expect_logs
from spectral_nn.moments.documents import DocumentMoments
from spectral_nn.runners.base import SerialRunner

__all__ = ["LatentDirichletAllocation"]

_PRIOR = [None, Interval(Real, 0, None, closed="neither"), "array-like"]


class LatentDirichletAllocation(
    CallbackSupportMixin,
    TopicEvaluationMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    SpectralEstimator,
):
    r"""Topics of documents: latent Dirichlet allocation, started from moments.

    A document draws shares :math:`\theta \sim \mathrm{Dir}(\alpha)` of K topics, and each of its
    words from :math:`\sum_k \theta_k \beta_k`. The frequencies of pairs and triples of words in
    documents, summed once, say what the topics :math:`\beta_k` are [1]_; a few passes of collapsed
    variational Bayes [2]_ refine them. It stands in for scikit-learn's class of this name, whose
    arguments and attributes it has.

    Parameters
    ----------
    n_components : int or "auto", default=10
        Number K of topics. "auto": the smallest number by which held-out documents lose no more
        than a standard error against the best; ``report_.evidence`` has the figures. On
        real text that is often as many as the moments carry.
    doc_topic_prior : float or array-like of shape (K,), optional
        Alpha; 1 / K by default.
    topic_word_prior : float or array-like of shape (K, V), optional
        Dirichlet parameters of the words of topics, 1 / K by default. An array seeds topics: words
        that have more of the prior in a topic belong to it.
    learning_method : {"collapsed", "batch", "online"}, default="collapsed"
        How topics are refined. "collapsed": documents are taken one after another, each of their
        tokens with a responsibility that is kept; the best of the three, for documents in memory.
        Where X comes in chunks, or responsibilities would take more than 2 GiB, it is "batch".
        "batch" and "online": variational Bayes, as in scikit-learn.
    learning_decay, learning_offset : float, default=0.7, 10.0
        Kappa and tau_0 of online steps, :math:`\rho_t = (\tau_0 + t)^{-\kappa}`.
    max_iter : int, default=100
        Most passes over the documents; 0 leaves topics as the moments show them.
    batch_size : int, default=128
        Documents of an online step.
    evaluate_every : int, default=-1
        Passes after which a verbose fit prints the perplexity; 0 or less: never.
    total_samples : float, default=1e6
        Documents that those of `partial_fit` stand for.
    perp_tol : float, default=0.1
        A fit stops when a pass lowers the perplexity by less.
    mean_change_tol : float, default=1e-3
        The shares of a document are done when they change by less, on average.
    max_doc_update_iter : int, default=100
        Most updates of the shares of a document.
    n_jobs : int, optional
        Workers for sums over documents, as joblib means it: threads, or what a
        `joblib.parallel_config` around ``fit`` says. "collapsed" passes have one.
    verbose : int, default=0
        Whether a line is printed after each pass.
    random_state : int, RandomState or None
        Draws the directions that moments begin with, and random topics.
    init : {"tensor", "random"} or array-like of shape (K, V), default="tensor"
        Where topics start: moments, hardly different topics as in scikit-learn, or given ones.
    alpha0 : float, default=1.0
        Sum of alpha that moments take; `resolve` tries others without another look at X.
    warm_start : bool, default=False
        Whether ``fit`` goes on from ``components_``.
    device : str, optional
        "cuda": moments are summed on this GPU; refinement runs on the processor.

    Attributes
    ----------
    components_ : ndarray of shape (K, V)
        Expected counts of words in topics, and the prior: divided by the sums of the rows,
        probabilities.
    exp_dirichlet_component_ : ndarray of shape (K, V)
        Exponentials of the expected logarithms of these probabilities.
    bound_ : float
        Perplexity of the training documents: of "collapsed" of each token given all others, else
        by the variational bound. NaN for ``max_iter=0``.
    n_iter_, n_batch_iter_ : int
        Passes, and online steps.
    converged_ : bool
    history_ : list of float
        Log-probabilities before each pass, nats, as ``bound_`` means them.
    init_ : str
        "tensor", "random" or "given".
    negative_mass_ : float
        Share of the topics read off moments that was negative, and set to zero: some tenths in real
        text, which is not what the model says. NaN for other starts.
    moments_ : DocumentMoments or None
        The moments that topics were read off.
    doc_topic_prior_, topic_word_prior_ : float or ndarray of shape (K,), (K, V)
        The priors used.
    report_ : TopicReport
        The method used, eigenvalues of the second moment, how many topics they carry
        (``workable``), the share of the third moment that no topics explain (``residual``).
    n_features_in_, feature_names_in_ : int and ndarray of shape (V,)

    See Also
    --------
    PMIEmbedding : Vectors of words, from those that stand near each other.
    TopicsDisplay : Topics as bars of their likeliest words.
    sklearn.decomposition.LatentDirichletAllocation : Variational Bayes from random topics.
    spectral_nn.moments.documents : The moments.
    spectral_nn.models.topics.collapsed : The refinement.

    Notes
    -----
    Moments take two passes over the documents, O(nnz (K + 20)) each, and O((n + V) (r + 20)^3) for
    the r topics that they carry, 150 at most; above 50 topics, they take a pass more. A pass of
    refinement takes O(nnz K). Sparse X stays sparse. Where the model holds, starts from moments
    find topics that random starts merge; on real text random starts of "collapsed" end about as
    well, later.

    References
    ----------
    .. [1] Anandkumar, Foster, Hsu, Kakade, Liu, "A spectral algorithm for latent Dirichlet
       allocation", NIPS 2012.
    .. [2] Asuncion, Welling, Smyth, Teh, "On smoothing and inference for topic models", UAI 2009.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> topics = rng.dirichlet(np.full(50, 0.1), 3)
    >>> X = rng.multinomial(60, rng.dirichlet(np.full(3, 0.3), 2000) @ topics)
    >>> lda = LatentDirichletAllocation(3, random_state=0).fit(X)
    >>> found = lda.components_ / lda.components_.sum(axis=1, keepdims=True)
    >>> bool(np.abs(found[:, None] - topics).sum(axis=2).min(axis=0).max() < 0.1)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "doc_topic_prior": _PRIOR,
        "topic_word_prior": _PRIOR,
        "learning_method": [StrOptions({"collapsed", "batch", "online"})],
        "learning_decay": [Interval(Real, 0, 1, closed="both")],
        "learning_offset": [Interval(Real, 1.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "evaluate_every": [Interval(Integral, None, None, closed="neither")],
        "total_samples": [Interval(Real, 0, None, closed="neither")],
        "perp_tol": [Interval(Real, 0, None, closed="left")],
        "mean_change_tol": [Interval(Real, 0, None, closed="left")],
        "max_doc_update_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "init": [StrOptions({"tensor", "random"}), "array-like"],
        "alpha0": [Interval(Real, 0, None, closed="neither")],
        "warm_start": ["boolean"],
        "device": [str, None],
    }

    def __init__(
        self,
        n_components: int | str = 10,
        *,
        doc_topic_prior: Any = None,
        topic_word_prior: Any = None,
        learning_method: str = "collapsed",
        learning_decay: float = 0.7,
        learning_offset: float = 10.0,
        max_iter: int = 100,
        batch_size: int = 128,
        evaluate_every: int = -1,
        total_samples: float = 1e6,
        perp_tol: float = 1e-1,
        mean_change_tol: float = 1e-3,
        max_doc_update_iter: int = 100,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
        init: Any = "tensor",
        alpha0: float = 1.0,
        warm_start: bool = False,
        device: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.doc_topic_prior = doc_topic_prior
        self.topic_word_prior = topic_word_prior
        self.learning_method = learning_method
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.evaluate_every = evaluate_every
        self.total_samples = total_samples
        self.perp_tol = perp_tol
        self.mean_change_tol = mean_change_tol
        self.max_doc_update_iter = max_doc_update_iter
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.init = init
        self.alpha0 = alpha0
        self.warm_start = warm_start
        self.device = device

    @reports_steps
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the topics of documents.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V); or what need not fit in memory
            Counts of words, one document a row: whole numbers for moments. Chunks, dask's arrays
            and arrays on disk as in `MLPRegressor.fit`.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault. The estimator is then as it was before.
        RankError
            If ``max_iter=0``, and the moments do not carry K topics.

        Warns
        -----
        RankWarning
            If they do not, or K is above 150, and some topics start at random.
        RecoveryWarning
            If ``max_iter=0``, and topics leave a good part of the moments unexplained.
        UserWarning
            If X holds fractions, and topics start at random; or a tenth of the documents has fewer
            than three tokens.
        """
        check_constraints(self)
        check_device(self)
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(X, run, "fit", resume=self._goes_on())
            K, evidence = self._count_topics(given)
            options = self._options(K, given.n_features, self._init_for(given, K))
            tell = listener(self, self._line) or silent
            found = fit_topics(given.rows, options, spawn_rng(self.random_state), run, tell)
            bound = self._bound_of(given, options.model, found, run)
        found = replace(found, report=replace(found.report, evidence=evidence))
        self._assign(given, found, bound)
        self.n_batch_iter_ = 1
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Move the topics towards what some more documents say, by online variational Bayes.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
            Of the first call, the moments are the start; let it see a fair sample.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming X, if it has other columns than in the first call: the vocabulary must stay.
        """
        check_constraints(self)
        check_device(self)
        first = not hasattr(self, "components_")
        run = SerialRunner()
        given = self._read(X, run, "partial_fit", resume=not first)
        rows = given.rows
        K = self._fixed_number() if first else len(self.components_)
        init = self._init_for(given, K) if first else "random"
        options = self._options(K, given.n_features, init)
        if first:
            found = begin_online(rows, options, spawn_rng(self.random_state), run)
            components, step = found.components, 1
        else:
            components, step = self.components_, self.n_batch_iter_
        parameters = TopicParameters(np.asarray(components, dtype=np.float64))
        for batch in batches(rows, self.batch_size):
            parameters = online_step(parameters, batch, options, step, self.total_samples, run)
            step += 1
        if first:
            self._assign(given, found, float("nan"))
        self._set_components(parameters.components, given.dtype)
        self.n_batch_iter_ = step
        return self

    def transform(self, X: Any, *, normalize: bool = True) -> NDArray:
        """Find the shares of topics in documents.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
        normalize : bool, default=True
            Whether shares sum to one; else they are Dirichlet parameters.

        Returns
        -------
        ndarray of shape (n, K)
        """
        check_is_fitted(self)

        def shares_of(X: Any) -> NDArray:
            shares = self._infer(self._counts(X, "transform"))[0]
            if normalize:
                shares /= shares.sum(axis=1, keepdims=True)
            return shares.astype(self.components_.dtype, copy=False)

        return by_chunks(shares_of, X)

    def fit_transform(self, X: Any, y: Any = None, *, normalize: bool = True) -> NDArray:
        """Fit, then `transform` the same documents.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
        y : ignored
        normalize : bool, default=True

        Returns
        -------
        ndarray of shape (n, K)
        """
        return self.fit(X).transform(X, normalize=normalize)

    def _goes_on(self) -> bool:
        """Whether `fit` starts from the topics that are there."""
        return self.warm_start and hasattr(self, "components_")

    def _read(self, X: Any, run: Any, method: str, *, resume: bool) -> Given:
        """Documents as a table, checked."""
        given = read_rows(self, X, None, None, run, resume=resume, numeric=True, targets=None)
        rows = check_counts(given.rows, f"{type(self).__name__}.{method}")
        return Given(**(vars(given) | {"rows": rows}))

    def _count_topics(self, given: Given) -> tuple[int, TopicEvidence | None]:
        """Number of topics, and why, where it was to be chosen."""
        if self.n_components != "auto":
            return self._fixed_number(), None
        if self._goes_on():
            return len(self.components_), self.report_.evidence
        if self.init != "tensor" or holds_fractions(given.rows):
            raise ValueError(
                "n_components='auto' reads topics off moments of counts: it needs init='tensor' "
                "and whole numbers in X. Give n_components as a number."
            )
        evidence = choose_topics(given.rows, float(self.alpha0), spawn_rng(self.random_state))
        return evidence.chosen, evidence

    def _fixed_number(self) -> int:
        """``n_components`` as a number."""
        if isinstance(self.n_components, str):
            raise ValueError(
                "n_components='auto' looks at all documents, in fit; partial_fit needs a number."
            )
        return int(self.n_components)

    def _init_for(self, given: Given, K: int) -> Any:
        """Where topics start: "tensor", "random", or an array."""
        if self._goes_on():
            if len(self.components_) != K:
                raise ValueError(
                    f"n_components={K}, but the {len(self.components_)} topics of an earlier fit "
                    "are the start where warm_start=True. Set warm_start=False."
                )
            return np.asarray(self.components_, dtype=np.float64)
        if not isinstance(self.init, str):
            shape = (K, given.n_features)
            return check_positive(self.init, shape, "init", least=0.0) + 1e-12
        return "random" if self.init == "tensor" and holds_fractions(given.rows) else self.init

    def _options(self, K: int, n_words: int, init: Any) -> TopicOptions:
        return TopicOptions(
            priors=read_priors(self.doc_topic_prior, self.topic_word_prior, K, n_words),
            init=init,
            alpha0=float(self.alpha0),
            method=self.learning_method,
            max_iter=self.max_iter,
            perp_tol=float(self.perp_tol),
            max_updates=self.max_doc_update_iter,
            doc_tol=float(self.mean_change_tol),
            decay=float(self.learning_decay),
            offset=float(self.learning_offset),
            batch_size=self.batch_size,
        )

    def _bound_of(self, given: Given, model: TopicModel, found: TopicFit, run: Any) -> float:
        """Perplexity of the training documents, as ``bound_`` says."""
        if found.n_iter == 0:
            return float("nan")
        if found.report.method == "collapsed":
            return float(np.exp(-found.history[-1] / max(found.n_tokens, 1.0)))
        parameters = TopicParameters(found.components)
        documents = run.total(partial(model.statistic, parameters), given.rows.chunks())
        nats = documents.log_likelihood + model.log_prior(parameters)
        return float(np.exp(-nats / max(found.n_tokens, 1.0)))

    def _max_steps(self) -> int:
        """Most passes that callbacks are told."""
        return self.max_iter

    def _line(self, stage: str, step: int, perplexity: float) -> str:
        """Scikit-learn's line of a verbose fit."""
        line = f"iteration: {step} of max_iter: {self.max_iter}"
        if self.evaluate_every > 0 and step % self.evaluate_every == 0 and np.isfinite(perplexity):
            line += f", perplexity: {perplexity:.4f}"
        return line

    def _assign(self, given: Given, found: TopicFit, bound: float) -> None:
        """Put what was found on the estimator, all at once."""
        told_columns(self, given)
        self._set_components(found.components, given.dtype)
        priors = self.doc_topic_prior, self.topic_word_prior
        mean = 1 / len(found.components)
        self.doc_topic_prior_, self.topic_word_prior_ = (
            mean if prior is None else prior for prior in priors
        )
        self.n_iter_, self.converged_, self.history_ = found.n_iter, found.converged, found.history
        self.init_, self.report_, self.bound_ = found.init, found.report, bound
        moments = found.moments  # which are where X is, all else is here
        self.moments_ = None if moments is None else DocumentMoments(*map(on_host, moments))
        self.negative_mass_ = found.spectral.negative_mass if found.spectral else float("nan")

    def _set_components(self, components: NDArray[np.float64], dtype: Any) -> None:
        self.components_ = components.astype(dtype)
        self.exp_dirichlet_component_ = np.exp(expect_logs(components)).astype(dtype)

    @property
    def _n_features_out(self) -> int:
        """How many names `get_feature_names_out` makes."""
        return int(self.components_.shape[0])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X holds counts, and may be sparse."""
        tags = with_input_tags(super().__sklearn_tags__(), sparse=True, positive_only=True)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
