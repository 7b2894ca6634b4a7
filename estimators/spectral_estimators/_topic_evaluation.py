"""How good the topics of a fitted estimator are."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._devices import home_of, runner_at
from spectral_estimators._reading import Given, read_inputs
from spectral_estimators._tables import is_remote
from spectral_estimators._validation import spawn_rng
from spectral_estimators._word_counts import counts_in_memory
from spectral_nn.models.topics.errors import TopicErrors, topic_errors
from spectral_nn.models.topics.evaluate import coherence, complete_documents
from spectral_nn.models.topics.fit import TopicOptions
from spectral_nn.models.topics.spectral import SpectralTopics, find_topics
from spectral_nn.models.topics.variational import TopicModel, TopicParameters
from spectral_nn.moments.documents import DocumentMoments

__all__ = ["TopicEvaluationMixin"]


class TopicEvaluationMixin:
    """Bounds, perplexity, coherence and standard errors of `LatentDirichletAllocation`."""

    components_: NDArray[Any]
    moments_: DocumentMoments | None
    total_samples: float
    random_state: Any
    alpha0: float
    n_jobs: int | None
    device: str | None

    def _read(self, X: Any, run: Any, method: str, *, resume: bool) -> Given:
        raise NotImplementedError

    def _options(self, K: int, n_words: int, init: Any) -> TopicOptions:
        raise NotImplementedError

    def score(self, X: Any, y: Any = None) -> float:
        """Variational bound of the log-likelihood of documents, nats.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
        y : ignored

        Returns
        -------
        float
        """
        check_is_fitted(self)
        return self._score(self._counts(X, "score"))

    def perplexity(self, X: Any, sub_sampling: bool = False, *, method: str = "bound") -> float:
        """Perplexity of documents: less is better.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
        sub_sampling : bool, default=False
            Whether X is a sample of ``total_samples`` documents, as in scikit-learn.
        method : {"bound", "completion"}, default="bound"
            "bound": by `score`, as in scikit-learn, which compares no two models of different
            priors or numbers of topics. "completion": a random half of each document is told by the
            other half; the honest figure, for documents that took no part in the fit.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If ``method`` is unknown, or X is at fault.

        Examples
        --------
        Topics that fit tell words better than one topic does:

        >>> import numpy as np
        >>> from spectral_estimators import LatentDirichletAllocation
        >>> rng = np.random.default_rng(0)
        >>> topics = rng.dirichlet(np.full(50, 0.1), 3)
        >>> X = rng.multinomial(60, rng.dirichlet(np.full(3, 0.3), 2000) @ topics)
        >>> models = [LatentDirichletAllocation(k, random_state=0).fit(X[:1500]) for k in (1, 3)]
        >>> one, three = (model.perplexity(X[1500:], method="completion") for model in models)
        >>> three < one
        True
        """
        check_is_fitted(self)
        counts = self._counts(X, "perplexity")
        if method == "completion":
            rng = spawn_rng(self.random_state)
            model, _ = self._fitted()
            nats, n = complete_documents(
                counts,
                self._topics(),
                model.priors.topics,
                rng,
                max_updates=model.max_updates,
                tol=model.tol,
            )
            return _perplexity(nats.sum(), n.sum())
        if method != "bound":
            raise ValueError(f'method must be "bound" or "completion", got {method!r}.')
        if not sub_sampling:
            return _perplexity(self._score(counts), counts.sum())
        ratio = self.total_samples / counts.shape[0]
        model, parameters = self._fitted()
        nats = ratio * self._infer(counts)[2] + model.log_prior(parameters)
        return _perplexity(nats, ratio * counts.sum())

    def coherence(self, X: Any, *, n_words: int = 10) -> NDArray[np.float64]:
        """Coherence of the topics: whether their likeliest words occur in the same documents.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
            Counts of words, of the same vocabulary.
        n_words : int, default=10
            Of each topic.

        Returns
        -------
        ndarray of shape (K,)
            Normalised pointwise mutual information, between -1 and 1.

        See Also
        --------
        spectral_nn.models.topics.evaluate.coherence : The equation.
        """
        check_is_fitted(self)
        return coherence(self._counts(X, "coherence"), self._topics(), n_words)

    def resolve(self, alpha0: float) -> SpectralTopics:
        """Read topics off the moments of the fit for another sum of Dirichlet parameters.

        Parameters
        ----------
        alpha0 : float
            Positive. Small: documents of one topic; large: of all.

        Returns
        -------
        SpectralTopics
            ``topics`` (K, V), ``prior`` (K,), ``negative_mass`` and ``residual``, of moments alone.

        Raises
        ------
        ValueError
            If ``alpha0`` is not positive, or the fit has not summed moments.

        See Also
        --------
        spectral_nn.models.topics.spectral.find_topics : The equations.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import LatentDirichletAllocation
        >>> rng = np.random.default_rng(0)
        >>> topics = rng.dirichlet(np.full(50, 0.1), 3)
        >>> X = rng.multinomial(60, rng.dirichlet(np.full(3, 0.3), 2000) @ topics)
        >>> lda = LatentDirichletAllocation(3, random_state=0).fit(X)
        >>> [lda.resolve(alpha0).topics.shape for alpha0 in (0.1, 0.9)]
        [(3, 50), (3, 50)]
        """
        check_is_fitted(self)
        if not alpha0 > 0:
            raise ValueError(f"alpha0 must be above 0, got {alpha0!r}.")
        if self.moments_ is None:
            raise ValueError("there are no moments: fit with init='tensor'.")
        return find_topics(self.moments_, len(self.components_), float(alpha0))

    def standard_errors(self, X: Any, *, n_groups: int = 20) -> TopicErrors:
        """Standard errors of the topics that moments show, and confidence intervals.

        By a jackknife over groups of documents, which must be independent of each other. They are
        those of moments alone: refined topics are nearer to the truth.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, V)
            What `fit` was given.
        n_groups : int, default=20
            Number of groups of documents, at least 2.

        Returns
        -------
        TopicErrors
            ``topics`` and ``errors`` (K, V), and ``intervals(0.95)``, lower and upper ends; in the
            order of ``components_``.

        Raises
        ------
        RankError
            If the moments do not carry as many topics.
        ValueError
            If an argument is at fault.

        See Also
        --------
        spectral_nn.models.topics.errors : The method.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import LatentDirichletAllocation
        >>> rng = np.random.default_rng(0)
        >>> topics = rng.dirichlet(np.full(50, 0.1), 3)
        >>> X = rng.multinomial(60, rng.dirichlet(np.full(3, 0.3), 2000) @ topics)
        >>> found = LatentDirichletAllocation(3, random_state=0).fit(X).standard_errors(X)
        >>> found.errors.shape, bool(found.errors.max() < 0.05)
        ((3, 50), True)
        """
        check_is_fitted(self)
        if not isinstance(n_groups, Integral) or n_groups < 2:
            raise ValueError(f"n_groups must be a whole number of at least 2; got {n_groups!r}.")
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(X, run, "standard_errors", resume=True)
            return topic_errors(
                given.rows,
                self._topics(),
                float(self.alpha0),
                n_groups=int(n_groups),
                run=run,
                rng=spawn_rng(self.random_state),
            )

    def _topics(self) -> NDArray[np.float64]:
        """Probabilities of words in topics (K, V)."""
        components = np.asarray(self.components_, dtype=np.float64)
        return components / components.sum(axis=1, keepdims=True)

    def _fitted(self) -> tuple[TopicModel, TopicParameters]:
        components = np.asarray(self.components_, dtype=np.float64)
        K, n_words = components.shape
        options = self._options(K, n_words, "random")
        return options.model, TopicParameters(components)

    def _infer(self, counts: Any) -> tuple[NDArray, NDArray, float]:
        model, parameters = self._fitted()
        return model.infer(parameters, counts)

    def _score(self, counts: Any) -> float:
        model, parameters = self._fitted()
        return float(self._infer(counts)[2] + model.log_prior(parameters))

    def _counts(self, X: Any, method: str) -> Any:
        """Documents in memory for a fitted estimator, CSR."""
        return counts_in_memory(read_inputs(self, X), f"{type(self).__name__}.{method}")


def _perplexity(nats: float, n_tokens: float) -> float:
    """Of log-likelihoods, nats; without a token that of one. Infinite for a tiny part of one."""
    with np.errstate(over="ignore"):
        return float(np.exp(-nats / (n_tokens or 1.0)))
