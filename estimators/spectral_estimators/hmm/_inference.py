"""What a hidden Markov model can do once it has parameters: score, decode, predict, sample."""

from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import MovableMixin, at_home, home_of, on_host
from spectral_estimators._validation import is_table, takes_lengths_second, together
from spectral_estimators.hmm._parameters import check_shape, probabilities
from spectral_nn.data import Sequences, Source
from spectral_nn.data.container import check_weight
from spectral_nn.models.chains import inference, recursions
from spectral_nn.models.chains.forecast import Forecast, forecast
from spectral_nn.models.chains.parameters import HMMParameters, stationary


class HMMInference(MovableMixin, SpectralEstimator, ABC):
    """Exact inference: the base of an estimator that holds the parameters of a chain.

    It needs ``n_components``, ``algorithm`` and ``random_state`` from the constructor, and the
    attributes that `_parts` names, fitted or set by hand; they are checked at every use.
    """

    _parts: ClassVar[dict[str, str]]
    """Where the parts are kept, by their letters in ``params``: start, transitions, emissions."""

    n_components: Any
    algorithm: str
    random_state: Any
    startprob_: Any
    transmat_: Any

    @abstractmethod
    def _emission(self, n_components: Any) -> Any:
        """The emissions that the estimator holds, checked, in the form of the core.

        Raises
        ------
        ValueError
            Naming the attribute.
        """

    @abstractmethod
    def _coded(self, X: Any, lengths: Any, emission: Any) -> Source:
        """Checked observations of X in the form of the core, wherever they are."""

    @abstractmethod
    def _n_observed(self, values: np.ndarray, emission: Any) -> int:
        """How many of these observations are not missing."""

    def _as_given(self, observations: np.ndarray) -> np.ndarray:
        """Drawn observations (n, p) in the form that users have."""
        return observations

    def __sklearn_is_fitted__(self) -> bool:
        """Whether the parameters are there, by `fit` or by hand."""
        return all(hasattr(self, name) for name in self._parts.values())

    @takes_lengths_second
    def score(
        self,
        X: Any,
        y: Any = None,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Log-likelihood of the data in nats, summed over sequences.

        Parameters
        ----------
        X : list of arrays, Sequences, table (n, 1), 1-D array, or iterable of arrays
            See `fit`; of any library, and on disk, but not of dask.
        y : ignored
            ``score(X, lengths)``, hmmlearn's order, works too, see `fit`.
        lengths : array of int, shape (m,), optional
            Rows of each sequence in a table.
        sample_weight : array of float, shape (m,), optional
            How often each of the m sequences counts.

        Returns
        -------
        float
            -inf if a sequence is impossible under the model.

        Notes
        -----
        Exact, float64, O(n K^2), and never underflows.
        """
        each = [part for part, _ in self._likelihoods(X, lengths)]
        if sample_weight is None:
            return float(sum(part.sum() for part in each))
        found = np.concatenate(each)
        weight = check_weight(on_host(sample_weight), found.size, "sample_weight")
        return float(found[weight > 0] @ weight[weight > 0])

    def score_samples(self, X: Any, lengths: ArrayLike | None = None) -> tuple[float, Any]:
        """Log-likelihood of the data and the probabilities of the states at every position.

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory

        Returns
        -------
        log_likelihood : float, nats
        posteriors : array, shape (n, K), or Sequences of such
            As `predict_proba`.
        """
        parameters, codes, home = self._prepared(X, lengths)
        posterior, log_likelihood = inference.smooth(parameters, codes)
        return float(log_likelihood.sum()), at_home(shaped_like(X, posterior, codes), home)

    def predict_proba(self, X: Any, lengths: ArrayLike | None = None) -> Any:
        """Probabilities of the states at every position given the whole sequence (smoothing).

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory

        Returns
        -------
        array, shape (n, K), for a table; Sequences of such arrays for a list or `Sequences`
            Uniform over the states in a sequence that is impossible under the model.
        """
        return self.score_samples(X, lengths)[1]

    def decode(
        self, X: Any, lengths: ArrayLike | None = None, algorithm: str | None = None
    ) -> tuple[float, Any]:
        """Find the states behind the observations.

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory
        algorithm : {"viterbi", "map"}, optional
            "viterbi": the most likely path of states.  "map": the most likely state at each
            position by itself.  Default: the estimator's ``algorithm``.

        Returns
        -------
        log_probability : float
            "viterbi": ``log P(path, X)`` in nats.  "map": the expected number of positions that
            are right (the sum of the largest posteriors), which is what hmmlearn returns.
        states : array of int, shape (n,), or Sequences of such
            As `predict`.

        Raises
        ------
        ValueError
            If ``algorithm`` is unknown.
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in ("viterbi", "map"):
            raise ValueError(f"algorithm must be 'viterbi' or 'map', got {algorithm!r}.")
        if algorithm == "map":
            home = home_of(X)
            posterior = on_host(self.predict_proba(X, lengths))
            rows = posterior.values if isinstance(posterior, Sequences) else posterior
            states = shaped_like(X, rows.argmax(axis=1), posterior)
            return float(rows.max(axis=1).sum()), at_home(states, home)
        parameters, codes, home = self._prepared(X, lengths)
        states, log_probability = inference.find_paths(parameters, codes)
        return float(log_probability.sum()), at_home(shaped_like(X, states, codes), home)

    def predict(self, X: Any, lengths: ArrayLike | None = None) -> Any:
        """States behind the observations, by the estimator's ``algorithm``.

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory

        Returns
        -------
        array of int, shape (n,), for a table; Sequences of such arrays for a list or `Sequences`
            There are as many samples in the result as in X.
        """
        return self.decode(X, lengths)[1]

    def predict_next(self, X: Any, lengths: ArrayLike | None = None) -> np.ndarray:
        r"""Expectation of the observation that follows a prefix; for symbols, its distribution.

        .. math:: E(x_{T+1} | x_1 \ldots x_T)
                  = \sum_{ij} P(h_T = i | x_1 \ldots x_T)\, T_{ij} E(x | h = j)

        Parameters
        ----------
        X : array, shape (t,) or (t, 1), or m prefixes in any form of `score`
            An empty array asks for the first observation.
        lengths : array of int, shape (m,), optional

        Returns
        -------
        array, shape (d,) for one prefix, (m, d) for a list, `Sequences`, 3-D array or ``lengths``
            Columns are those of X, or symbols 0 .. d - 1 (strings in the order of ``symbols_``).

        Raises
        ------
        ValueError
            If a prefix is impossible under the model.
        """
        state = self._next_state(X, lengths)
        following = state @ self._parameters().emission.mean()
        return at_home(following[0] if lengths is None and is_table(X) else following, home_of(X))

    def forecast(
        self,
        X: Any,
        steps: int,
        *,
        quantiles: ArrayLike | None = (0.05, 0.5, 0.95),
        lengths: ArrayLike | None = None,
    ) -> Forecast:
        r"""States, means and quantiles of what follows a prefix, 1 .. ``steps`` ahead.

        .. math:: P(x_{T+s} \le x | x_1 \ldots x_T)
                  = \sum_{ij} P(h_T = i | x_1 \ldots x_T)\, (T^s)_{ij} P(x_{T+s} \le x | h = j)

        Parameters
        ----------
        X : see `predict_next`
        steps : int
            How far ahead; far ahead the states have their stationary distribution, unless the
            chain is periodic or falls apart.
        quantiles : array of float, shape (n_levels,), optional
            Levels of the quantiles, between 0 and 1.  None: no quantiles.
        lengths : array of int, shape (m,), optional

        Returns
        -------
        Forecast
            ``states`` (steps, K), ``mean`` (steps, p), ``quantiles`` (steps, p, n_levels) and
            ``levels`` for one prefix; the first three have an axis (m, ...) in front for a list,
            `Sequences`, 3-D array or ``lengths``.  Of symbols, ``mean`` holds the probabilities
            (steps, d), and ``quantiles`` is None.

        Raises
        ------
        ValueError
            If ``steps`` is below 1, a level is not between 0 and 1, or a prefix is impossible.

        See Also
        --------
        predict_next : The mean one step ahead alone.
        sample : Draws of what follows, ``prefix=``.

        Notes
        -----
        Quantiles are marginal: those of one column at one step, exact for the mixture of the
        states' laws; the least x at which its distribution function reaches the level.  Cost:
        2 n K^2 flops for prefixes of n rows, then 64 distribution functions for each state, step,
        column and level.

        References
        ----------
        Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition,
        2016, chapter 5.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import GaussianHMM
        >>> model = GaussianHMM(2)
        >>> model.startprob_ = np.array([0.5, 0.5])
        >>> model.transmat_ = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
        >>> ahead = model.forecast([0.1, 4.2, 3.9], 2, quantiles=[0.1, 0.9])
        >>> ahead.states.round(2).tolist(), ahead.mean.round(2).tolist()
        ([[0.2, 0.8], [0.34, 0.66]], [[3.2], [2.64]])
        >>> ahead.quantiles.shape  # steps, columns, levels
        (2, 1, 2)
        """
        if not isinstance(steps, Real) or not steps >= 1 or steps % 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}.")
        levels = None if quantiles is None else np.asarray(quantiles, dtype=np.float64)
        if levels is not None and (levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all()):
            raise ValueError(
                f"quantiles must be a row of levels between 0 and 1, such as (0.05, 0.95), or "
                f"None; got {quantiles!r}."
            )
        found = forecast(self._parameters(), self._next_state(X, lengths), int(steps), levels)
        one, home = lengths is None and is_table(X), home_of(X)

        def given(array: Any) -> Any:
            return None if array is None else at_home(array[0] if one else array, home)

        return Forecast(given(found.states), given(found.mean), given(found.quantiles), levels)

    def sample(
        self,
        n_samples: int = 1,
        random_state: Any = None,
        currstate: int | None = None,
        *,
        prefix: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a sequence from the model.

        Parameters
        ----------
        n_samples : int
            Number of steps.
        random_state : int or RandomState, optional
            Default: the estimator's.  Equal seeds give hmmlearn's draws.
        currstate : int, optional
            State of the first step.
        prefix : array, shape (t,) or (t, 1), optional
            Observations that the sample continues: its first state is drawn given all of them.

        Returns
        -------
        X : array, shape (n_samples, p), of symbols p = 1
        states : array of int, shape (n_samples,)

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, ``currstate`` is no state, or it comes with ``prefix``.

        Examples
        --------
        What may follow a row of 4:

        >>> import numpy as np
        >>> from spectral_estimators import GaussianHMM
        >>> model = GaussianHMM(2)
        >>> model.startprob_ = np.array([0.5, 0.5])
        >>> model.transmat_ = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
        >>> X, states = model.sample(3, random_state=0, prefix=[4.0])
        >>> X.shape, states.shape
        ((3, 1), (3,))
        """
        parameters = self._parameters()
        start = parameters.startprob
        if n_samples < 1 or n_samples != int(n_samples):
            raise ValueError(f"n_samples must be a whole number of at least 1, got {n_samples}.")
        if currstate is not None and not 0 <= currstate < parameters.n_components:
            raise ValueError(
                f"currstate must be one of 0 .. {parameters.n_components - 1}, got {currstate}."
            )
        if prefix is not None:
            if currstate is not None:
                raise ValueError("Give currstate or prefix, not both.")
            starts = self._next_state(prefix, None)
            if len(starts) != 1:
                raise ValueError(f"prefix must be one sequence, got {len(starts)}.")
            start = starts[0]
        rng = check_random_state(self.random_state if random_state is None else random_state)
        observations, states = recursions.sample(
            replace(parameters, startprob=start), int(n_samples), rng, currstate
        )
        return self._as_given(observations), states

    def get_stationary_distribution(self) -> np.ndarray:
        """Distribution over states that the transitions leave as it is.

        Returns
        -------
        array, shape (K,)
        """
        return stationary(self._parameters().transmat)

    def _parameters(self) -> HMMParameters:
        """The parameters in use, checked."""
        missing = [name.lstrip("_") for name in self._parts.values() if not hasattr(self, name)]
        if missing:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: {', '.join(missing)} "
                "must come from fit or be set by hand."
            )
        startprob, transmat = (
            probabilities(getattr(self, name), name) for name in ("startprob_", "transmat_")
        )
        k = len(startprob) if self.n_components == "auto" else self.n_components
        check_shape(startprob, "startprob_", (k,), k)
        check_shape(transmat, "transmat_", (k, k), k)
        return HMMParameters(startprob, transmat, self._emission(k))

    def _prepared(self, X: Any, lengths: Any) -> tuple[HMMParameters, Sequences, Any]:
        """Checked parameters, X in memory as codes, and where X came from."""
        parameters, home = self._parameters(), home_of(X)
        return parameters, together(self._coded(X, lengths, parameters.emission)), home

    def _likelihoods(self, X: Any, lengths: Any) -> Any:
        """Yield the log-likelihoods of the sequences of each piece, and how many are observed."""
        parameters = self._parameters()
        for piece in self._coded(X, lengths, parameters.emission).pieces():
            part = inference.log_likelihoods(parameters, piece)
            yield part, self._n_observed(piece.values, parameters.emission)

    def _next_state(self, X: Any, lengths: Any) -> np.ndarray:
        """Distributions (m, K) of the state after each prefix."""
        if lengths is None and is_table(X) and np.shape(X)[:1] == (0,):
            return self._parameters().startprob[None]
        parameters, codes, _ = self._prepared(X, lengths)
        last, log_likelihood = inference.filter_last(parameters, codes)
        impossible = np.flatnonzero(np.isneginf(log_likelihood))
        if impossible.size:
            parts = ", ".join(name.lstrip("_") for name in self._parts.values())
            raise ValueError(
                f"Prefix {impossible[0]} has probability zero under this model, so nothing follows "
                f"it. Smooth one of {parts}."
            )
        return last @ parameters.transmat


def shaped_like(X: Any, values: np.ndarray, sequences: Any) -> Any:
    """``values`` themselves for a table X, else cut into the sequences that X holds."""
    return values if is_table(X) else Sequences(values, sequences.offsets)
