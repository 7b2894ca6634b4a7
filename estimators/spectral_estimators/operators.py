"""`ObservableOperatorModel`: sequences of symbols, by moments alone and without states."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import MovableMixin, at_home, home_of, on_host, runner_at
from spectral_estimators._sklearn_compat import (
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._validation import (
    chained,
    encoded,
    is_one_shot,
    is_table,
    read,
    spawn_rng,
    surveyed,
    takes_lengths_second,
    together,
)
from spectral_nn.data import Partitions, SequenceStream, Source
from spectral_nn.models.operators.fit import (
    OperatorFit,
    OperatorOptions,
    count,
    fit_counts,
    fit_operators,
)
from spectral_nn.models.operators.hankel import KINDS
from spectral_nn.models.operators.solve import draw, filtered
from spectral_nn.moments.surroundings import MAX_REACH
from spectral_nn.runners.base import Runner

__all__ = ["ObservableOperatorModel"]

_LONGEST = 100_000  # symbols of a string that is drawn

_AUTO = (
    "n_components='auto' holds out data, but {what} keeps only sums. Give n_components as a number."
)


class ObservableOperatorModel(MovableMixin, SpectralEstimator):
    r"""Probabilities of sequences of symbols from moments alone: no states, no local optima.

    A hidden Markov model gives a sequence the probability :math:`1^T A_{x_t} \cdots A_{x_1} \pi`,
    with matrices :math:`A_x = T^T \operatorname{diag}(B_{\cdot x})`.  So does any other basis of
    its state space, and one basis can be read off the singular vectors of a matrix of frequencies:

    .. math:: P(x_1 \ldots x_t) = b_\infty^T B_{x_t} \cdots B_{x_1} b_1, \qquad
              b_1 = U^T P_1, \quad B_x = (U^T P_{3x1})(U^T P_{21})^+, \quad
              b_\infty^T = P_1^T (U^T P_{21})^+

    (Hsu, Kakade, Zhang 2009).  `fit` counts substrings in one pass, takes one singular value
    decomposition, and is done.  What comes out predicts, scores and draws; it has no states to look
    at, as those of `CategoricalHMM` are.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Rank K of the model: the number of states of a hidden Markov model that it can stand for.
        "auto": the one of 1, 2, 3, ... 96 that gives held-out sequences the highest likelihood; the
        evidence is kept in ``report_.evidence``.
    hankel : {"factors", "strings", "symbols"}, default="factors"
        What moments are taken.  "symbols": those of Hsu, Kakade and Zhang, of three symbols in a
        row (:math:`P_1, P_{21}, P_{3x1}`), so K can be at most the number of symbols.  "factors":
        frequent substrings before and after a symbol, anywhere.  "strings": frequent beginnings and
        ends of whole strings, whose matrix holds frequencies of strings; it needs ``ends=True``.
    ends : bool, default=False
        Whether a sequence is a whole string: the model then has a probability that it ends, `score`
        is about whole strings, and `sample` draws them.  Otherwise a sequence is the beginning of
        one that goes on for ever.
    max_length : int, default=3
        Length of the longest substrings, at most 10.  Less where 64 bits do not hold two of them
        and a symbol, or where most sequences are too short.
    n_substrings : int, default=2000
        Most substrings on either side.
    n_features : int, optional
        Size d of the alphabet 0 .. d - 1.  None: the largest symbol of the data plus one.
    missing : number or str, optional
        The value in X that stands for "not observed".  Entries that a masked array masks are
        missing in any case.
    random_state : int, RandomState or None
        Chooses what is held out, and seeds the singular value decomposition.
    n_jobs : int, optional
        Workers that count, as joblib means it.  The result does not depend on it.

    Attributes
    ----------
    rank_ : int
        K.
    negative_fraction_ : float
        Share of the probabilities that were below 0 or above 1 and had to be clipped, on the way
        through windows of the training data.  Large values say that the rank is too high for the
        data, or the data too few; symbols that a state cannot emit make some in any case.
    n_features_ : int
        Size d of the alphabet.
    symbols_ : array of str (d,)
        The strings that X was made of, sorted.  Only after a fit to strings.
    model_ : Operators
        ``start`` (K,), ``operators`` (d, K, K), ``one`` (K,) and ``end`` (K,): :math:`b_1`,
        :math:`B_x`, :math:`b_\infty` and the functional that is the probability of the end.
    report_ : OperatorReport
        Singular values, substrings before and after, and what spoke for the rank.

    See Also
    --------
    CategoricalHMM : Hidden Markov models, with states.

    Notes
    -----
    **Input.**  As that of `CategoricalHMM`: sequences in memory, in streams, on disk or of dask;
    numbers or strings.  Arrays of other libraries are counted on the host.

    **Missing symbols** break a sequence: in `fit`, substrings do not go over them.  In `score` and
    `predict_next` they are summed out.

    **Beginnings.**  Sequences begin where those of X do.  One more, which begins anywhere, is added
    to them, so that a single long sequence does not make its beginning certain.

    **Scaling.**  Counts of substrings are divided by :math:`\sqrt{f + 50/n}`, for frequencies f at
    n positions, so that noise has one size.

    **Clipping.**  Errors of moments make some products negative.  At every step, probabilities
    below a small share of the usual one of their symbol (5 / sqrt(n), at most 5 %) are raised to
    it, and all are normalised: `score` is that of a proper distribution.  A state with negative
    probabilities is moved towards the average state until there are none, a tenth of the way at
    most; one that leads nowhere is replaced by the average state.  Ma and Rodu project states onto
    a simplex instead, whose corners are means of clusters of predicted states, as many as there are
    states.

    **Cost.**  O(n log n) for counts; the decomposition of a sparse matrix of `n_substrings` rows;
    2 K^2 flops for each distinct window.

    References
    ----------
    Hsu, Kakade, Zhang, "A spectral algorithm for learning hidden Markov models", COLT 2009; JCSS
    78, 2012: section 3 and algorithm 1.

    Balle, Carreras, Luque, Quattoni, "Spectral learning of weighted automata", Machine Learning 96,
    2014: Hankel matrices of strings and of factors.

    Ma, Rodu, "Bridging the usability gap: theoretical and methodological advances for spectral
    learning of hidden Markov models", arXiv 2302.07437, 2023: projected states.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.tile([0, 1, 2], 200)
    >>> model = ObservableOperatorModel(3, random_state=0).fit(X)
    >>> model.predict_next([0, 1]).round(2).tolist()
    [0.02, 0.02, 0.97]

    Whole strings:

    >>> words = [list("ab"), list("aab"), list("aaab")] * 100
    >>> model = ObservableOperatorModel(ends=True, random_state=0).fit(words)
    >>> np.exp(model.score_samples(words[:3])).round(2).tolist()
    [0.31, 0.31, 0.29]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "hankel": [StrOptions(set(KINDS))],
        "ends": ["boolean"],
        "max_length": [Interval(Integral, 1, MAX_REACH, closed="both")],
        "n_substrings": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
        "missing": [Real, str, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }
    _seen: Any = None
    """Counts of earlier calls of `partial_fit`, and the settings that they were made with."""

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        hankel: str = "factors",
        ends: bool = False,
        max_length: int = 3,
        n_substrings: int = 2000,
        n_features: int | None = None,
        missing: float | str | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.hankel = hankel
        self.ends = ends
        self.max_length = max_length
        self.n_substrings = n_substrings
        self.n_features = n_features
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs

    @takes_lengths_second
    def fit(self, X: Any, y: Any = None, lengths: ArrayLike | None = None) -> Self:
        """Count substrings, and solve.

        Parameters
        ----------
        X : list of arrays, Sequences, 3-D array (m, t, 1), table (n, 1), 1-D array, or iterable
            As in `CategoricalHMM.fit`.  A generator goes with a number of components only, and its
            first 2**18 symbols have to show the alphabet, or ``n_features``.
        y : ignored
        lengths : array of int, shape (m,), optional
            Symbols of each sequence of a table; ``fit(X, lengths)`` works, too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault: X, as `CategoricalHMM.fit`, or without two consecutive
            symbols; ``n_components`` above the number of substrings.

        Warns
        -----
        RankWarning
            If the data carry fewer components than ``n_components``.
        """
        source, home = self._given(X, lengths)
        once = is_one_shot(X)
        if once and self.n_components == "auto":
            raise ValueError(_AUTO.format(what="fit on a generator"))
        with runner_at(home, self.n_jobs, None, source.remote) as run:
            codes, options, symbols = self._coded(source, run, None)
            found = fit_operators(codes, options, rng=spawn_rng(self.random_state), run=run)
        return self._assign(found, symbols, None)

    @takes_lengths_second
    def partial_fit(self, X: Any, y: Any = None, lengths: ArrayLike | None = None) -> Self:
        """Add counts to those of earlier calls of `partial_fit`, and solve.

        The model is the same whether the sequences come in one call or in many.  The first call,
        and the first one after `fit`, begins a new one.

        Parameters
        ----------
        X : as in `fit`
            The first call fixes the alphabet, so preset ``n_features`` if later data may hold
            larger symbols.
        y : ignored
        lengths : array of int, shape (m,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`; if ``n_components`` is "auto", or settings changed since the first call.

        Notes
        -----
        At most 2^23 distinct windows are kept, a uniform sample of them beyond that.
        """
        source, home = self._given(X, lengths)
        if self.n_components == "auto":
            raise ValueError(_AUTO.format(what="partial_fit"))
        known = None if self._seen is None else self.n_features_
        with runner_at(home, self.n_jobs, None, source.remote) as run:
            codes, options, symbols = self._coded(source, run, known)
            counts = count(codes, options, run)
        settings = (self.hankel == "symbols", self.ends, self.max_length, self.n_features)
        if self._seen is not None:
            earlier, then = self._seen
            if settings != then:
                raise ValueError(
                    "hankel, ends, max_length or n_features have changed since the first call of "
                    "partial_fit. Set them back, or clone the estimator and start again."
                )
            counts = earlier + counts
        found = fit_counts(counts, options, rng=spawn_rng(self.random_state))
        return self._assign(found, symbols, (counts, settings))

    @takes_lengths_second
    def score(self, X: Any, y: Any = None, lengths: ArrayLike | None = None) -> float:
        """Log-likelihood of the data in nats, summed over sequences.

        Parameters
        ----------
        X : see `fit`; not of dask
        y : ignored
        lengths : array of int, shape (m,), optional

        Returns
        -------
        float
        """
        return float(sum(part.sum() for part in self._scored(X, lengths)))

    def score_samples(self, X: Any, lengths: ArrayLike | None = None) -> np.ndarray:
        """Log-likelihood of every sequence: of all that begin so, or with ``ends`` of the string.

        Parameters
        ----------
        X, lengths : see `score`

        Returns
        -------
        array, shape (m,), nats
        """
        return at_home(np.concatenate(list(self._scored(X, lengths))), home_of(X))

    def predict_next(self, X: Any, lengths: ArrayLike | None = None) -> np.ndarray:
        """Distribution of the symbol that follows a prefix.

        Parameters
        ----------
        X : array, shape (t,) or (t, 1), or m prefixes in any form of `score`
            An empty array asks for the first symbol.
        lengths : array of int, shape (m,), optional

        Returns
        -------
        array, shape (d,) for one prefix, (m, d) for a list, `Sequences`, 3-D array or ``lengths``
            Columns are symbols 0 .. d - 1 (strings in the order of ``symbols_``).  With ``ends``
            there is one more, the last: that nothing follows.
        """
        check_is_fitted(self, "model_")
        home = home_of(X)
        if lengths is None and is_table(X) and np.shape(X)[:1] == (0,):
            values, offsets = np.empty(0), np.zeros(2, dtype=np.int64)
        else:
            codes = together(self._known(X, lengths))
            values, offsets = codes.values, codes.offsets
        following = filtered(self.model_, values, offsets).following
        return at_home(following[0] if lengths is None and is_table(X) else following, home)

    def sample(self, n_samples: int = 1, random_state: Any = None, *, prefix: Any = None) -> Any:
        """Draw from the model.

        Parameters
        ----------
        n_samples : int
            Number of symbols; with ``ends``, number of strings.
        random_state : int or RandomState, optional
            Default: the estimator's.
        prefix : array, shape (t,) or (t, 1), optional
            What the sample continues; it is not part of it.

        Returns
        -------
        array, shape (n_samples, 1)
            One sequence; with ``ends``, a list of n_samples arrays (t_i,) instead, of which some
            may be empty where the end may come first.

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, or ``prefix`` is not one sequence.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1 or n_samples != int(n_samples):
            raise ValueError(f"n_samples must be a whole number of at least 1, got {n_samples}.")
        first = np.empty(0)
        if prefix is not None and len(prefix):
            given = together(self._known(prefix, None))
            if len(given) != 1:
                raise ValueError(f"prefix must be one sequence, got {len(given)}.")
            first = given.values
        rng = check_random_state(self.random_state if random_state is None else random_state)
        symbols = getattr(self, "symbols_", None)

        def drawn(most: int) -> np.ndarray:
            codes = draw(self.model_, rng.random_sample(most), first)
            return codes if symbols is None else symbols[codes]

        if self.model_.end is None:
            return drawn(int(n_samples))[:, None]
        return [drawn(_LONGEST) for _ in range(int(n_samples))]

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a model."""
        return hasattr(self, "model_")

    def _given(self, X: Any, lengths: Any) -> tuple[Source, Any]:
        """Check arguments; sequences on the host, and where X came from."""
        check_constraints(self)
        if self.hankel == "strings" and not self.ends:
            raise ValueError("hankel='strings' is about whole strings: it needs ends=True.")
        return read(on_host(X), on_host(lengths)), home_of(X)

    def _coded(
        self, source: Source, run: Runner, known: int | None
    ) -> tuple[Source, OperatorOptions, np.ndarray | None]:
        """Codes, what to fit to them, and the strings that symbols stand for, if any."""
        if isinstance(source, SequenceStream) and is_one_shot(source) and known is None:
            pieces = source.pieces()  # only now is it walked, so the first piece shows the alphabet
            first = next(pieces)
            _, n_symbols, symbols = self._alphabet(first, run, known)
            source = chained(first, None, pieces)
        else:
            source, n_symbols, symbols = self._alphabet(source, run, known)
        options = OperatorOptions(
            n_symbols,
            self.n_components,
            self.hankel,
            bool(self.ends),
            int(self.max_length),
            int(self.n_substrings),
        )
        return encoded(source, n_symbols, self.missing, symbols=symbols), options, symbols

    def _alphabet(
        self, source: Source, run: Runner, known: int | None
    ) -> tuple[Source, int, np.ndarray | None]:
        """The source, the size of the alphabet, and its strings if it has any."""
        symbols = None if known is None else getattr(self, "symbols_", None)
        known = self.n_features if known is None else known
        if known is not None and not isinstance(source, Partitions):
            return source, int(known), symbols
        source, found, strings = surveyed(source, self.missing, run)
        return (source, found, strings) if known is None else (source, int(known), symbols)

    def _known(self, X: Any, lengths: Any) -> Source:
        """Codes of X by the alphabet of the model."""
        symbols = getattr(self, "symbols_", None)
        source = read(on_host(X), on_host(lengths))
        return encoded(source, self.n_features_, self.missing, symbols=symbols)

    def _scored(self, X: Any, lengths: Any) -> Any:
        """Yield log-likelihoods of the sequences of each piece."""
        check_is_fitted(self, "model_")
        for piece in self._known(X, lengths).pieces():
            yield filtered(self.model_, piece.values, piece.offsets).log_likelihoods

    def _assign(self, found: OperatorFit, symbols: np.ndarray | None, seen: Any) -> Self:
        """Put a finished fit on the estimator, all at once."""
        values = {
            "model_": found.model,
            "rank_": found.model.rank,
            "negative_fraction_": found.negative_fraction,
            "n_features_": found.model.n_symbols,
            "report_": found.report,
            "_seen": seen,
        }
        if symbols is None:
            self.__dict__.pop("symbols_", None)
        else:
            values["symbols_"] = symbols
        self.__dict__.update(values)
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X holds categories, one sequence in a 1-D array at the least."""
        return with_input_tags(
            super().__sklearn_tags__(),
            categorical=True,
            positive_only=True,
            one_d_array=True,
            three_d_array=True,
        )
