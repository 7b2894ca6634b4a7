"""`CategoricalHMM`: hidden Markov models of discrete symbols, learned by moments."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from spectral_estimators._devices import on_host, runner_at
from spectral_estimators._progress import listener
from spectral_estimators._sklearn_compat import Interval, StrOptions, with_input_tags
from spectral_estimators._validation import (
    chained,
    encoded,
    is_one_shot,
    read,
    spawn_rng,
    surveyed,
)
from spectral_estimators.hmm._base import AUTO_NEEDS_DATA, BaseHMM
from spectral_estimators.hmm._contexts import checked_features, checked_lags
from spectral_estimators.hmm._parameters import (
    PRIOR,
    check_concentration,
    check_shape,
    checked_symbols,
    kept_parts,
    probabilities,
)
from spectral_nn.data import Partitions, Sequences, SequenceStream, Source
from spectral_nn.emissions import CategoricalEmission
from spectral_nn.models.chains.fit import count, fit_counts
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.runners.base import Runner, SerialRunner


class CategoricalHMM(BaseHMM):
    """Hidden Markov model with categorical emissions: moments first, likelihood to finish.

    ``fit`` counts n-grams in one pass, takes several starts (by default a quarter of them
    decompose moments; of the others a third are for states that last, some group histories where
    states outnumber symbols, and the rest are random; of more than 1000 symbols half have anchors),
    races them on the n-grams and on the data, and climbs with EM from the winner.  It can stand in
    for ``hmmlearn.hmm.CategoricalHMM``; Notes list what differs.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat (where starts have anchors, 1.001 takes
        its place, so that no transition becomes impossible).
    emissionprob_prior : float or array (K, d), optional
        The same for each row of emissions.  None: one pseudo-count for each state, or d / 30 where
        that is more, spread over the symbols by their add-one smoothed frequencies, so that no
        symbol gets probability zero.
    n_features : int, optional
        Size d of the alphabet 0 .. d - 1.  None: the largest symbol of the data plus one; reads
        as that after ``fit``.  Preset it if symbols may come that training did not show.
    algorithm : {"viterbi", "map"}, default="viterbi"
        How `decode` and `predict` find states.
    random_state : int, RandomState or None
        Equal seeds give equal models, whatever ``n_jobs``.
    n_iter : int, default=100
        Most EM steps on all data.  0: none, only what moments say: with "tensor" the decomposition,
        followed by the fit of the trigrams from there.
    tol : float, optional
        EM stops when a step gains less, in nats.  None: 3e-6 nats for each token.
    verbose : bool, int or callable, default=False
        Print progress to standard error; or hand it to a function
        ``(stage, step, objective in nats)``.
    params, init_params : str made of "s", "t", "e", default="ste"
        Which of startprob, transmat and emissionprob ``fit`` re-estimates, and which it
        starts anew.  A part not in ``init_params`` starts from the attribute as it stands.
    init : {"tensor", "anchor", "random"}, default="tensor"
        Where starts come from.  "tensor" decomposes moments of n-grams; where moments between
        windows of 3, 10 or 30 symbols show the states better, it decomposes these as well, or, if
        n-grams show next to nothing and there is one start only, instead; and of more than 1000
        symbols it looks for anchors.  "anchor", for words and other large alphabets: each symbol
        gets the few states that its neighbours suggest, see ``support_``.  "random" with
        ``n_init=10`` is Baum-Welch with 10 restarts.
    n_init : int, optional
        Number of starts.  None: 12, or fewer where few steps are wanted or states are many, so that
        the race between them costs little more than EM from one of them does; 6 for more than 1000
        symbols, and for more than 10 states of fewer symbols; 3 for "anchor", 1 for "random".
        Labels ``y``, emissions kept by ``init_params``, or a single state make the only start
        instead; ``n_iter=0`` takes one.
    context_lags : sequence of int, optional
        Where the neighbours are that tell symbols apart, for anchors: (-1, 1) are the symbols
        before and after.  None: those, and beyond 300,000 observations (-2, 2) as well.
    symbol_features : array or sparse matrix (d, f), optional
        What else is known of each symbol, for anchors, such as the endings of words: a row for each
        symbol (of strings, sorted as by ``np.unique``), which counts for a tenth of the neighbours.
    n_jobs : int, optional
        Workers, as joblib means it: threads, or what a `joblib.parallel_config` around ``fit``
        says (processes, or a dask cluster).  The result does not depend on it.  `partial_fit` only
        counts in parallel.
    device : {"cuda", "cuda:1", ..., "cpu"}, optional
        Where the E-steps of ``fit`` run, for X of NumPy; fitted attributes are NumPy's.
    dtype : {"float32", "float64"}, default="float32"
        Working precision of the E-steps in ``fit``.  Parameters and all inference are float64.
    missing : number or str, optional
        The value in X that stands for "not observed", for instance -1 or NaN; a string such as "?"
        among strings.  Entries masked in a numpy masked array are missing in any case.
    implementation : {"log", "scaling"}, default="log"
        hmmlearn's; has no effect.

    Attributes
    ----------
    startprob_ : array (K,)
        Distribution of the first state.  The three arrays of parameters are of X's library and on
        its device; `move_to_host` and `move_to_device` move them.
    transmat_ : array (K, K)
        ``transmat_[i, j]``: probability that state j follows state i.
    emissionprob_ : array (K, d)
        ``emissionprob_[k, v]``: probability of symbol v in state k.
    n_components_ : int
        K.
    symbols_ : array of str (d,)
        The strings that X was made of, sorted, in the order of the columns of ``emissionprob_``.
        Only after a fit to strings.
    monitor_ : ConvergenceMonitor
        ``history``, ``iter``, ``converged``.
    n_iter_, converged_ : int and bool
        EM steps on all data, and whether the last one gained less than ``tol``.
    support_ : array of bool (K, d)
        Which states each symbol had in EM: few from anchors, else those that ``emissionprob_`` has.
    report_ : ChainReport
        Starts, winner, what moments showed; ``print`` shows it as a table.

    See Also
    --------
    MultinomialHMM : Counts of categories, several a row.
    BernoulliHMM : Several marks a row, each there or not.
    ObservableOperatorModel : Predicts sequences without states or local optima.
    HMMClassifier : A model for each class of sequences.

    Notes
    -----
    **Input.**  One sample is one sequence, and time runs along its first axis.  X may be a list of
    integer arrays or of lists, a series or an array of objects that holds them (``groupby(...)
    .agg(list)``), a `Sequences`, a 3-D array (m, t, 1), a table (n, 1) cut by ``lengths``, a 1-D
    array (one sequence), or any iterable of arrays.  Methods that return something for each
    observation answer a table with an array, and a list with a `Sequences`.

    **Strings.**  Symbols may also be strings.  `fit`, and the first `partial_fit`, find them in the
    data and keep them in ``symbols_``; `sample` answers with them, `predict_next` in their order.
    Strings that training did not show are refused.  ``n_features`` goes with numbers only.

    **Data that are not in memory, or elsewhere.** A table or a 3-D array may also be an
    ``np.memmap``, a zarr array, an h5py dataset or a dask array; it is read in windows of about a
    million rows and never copied as a whole. X may be a dask.bag whose elements are sequences, or a
    list of ``dask.delayed``, each a list of sequences, a `Sequences` or one sequence: sums are made
    where they are, and only half a million observations, for the race, come here. PyTorch, CuPy and
    other arrays of the array API are computed on where they live; inference is exact on the host,
    and its answers go back. All give the same fit up to rounding.

    **Different from hmmlearn.** Defaults: ``n_iter`` (100; hmmlearn 10), ``tol`` (relative to the
    number of tokens; hmmlearn 0.01), ``emissionprob_prior`` (pseudo-counts; hmmlearn a flat prior,
    which makes unseen symbols impossible). ``fit`` and ``score`` take ``y`` before ``lengths``; by
    position, n numbers after a table of n rows are labels, any other number of them is lengths.
    ``fit`` searches for a start instead of drawing one. ``monitor_`` exists after ``fit`` only, its
    ``history`` is the objective with the priors, and ``converged`` is False after stopping at
    ``n_iter``. Impossible sequences score -inf and never NaN.

    **Cost.**  6 K^2 flops for each token and EM step; counts need memory for the distinct n-grams.

    References
    ----------
    Anandkumar, Ge, Hsu, Kakade, Telgarsky, "Tensor decompositions for learning latent variable
    models", JMLR 15, 2014.

    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989: EM.

    Stratos, Collins, Hsu, "Unsupervised part-of-speech tagging with anchor hidden Markov models",
    TACL 4, 2016: anchors.

    Examples
    --------
    A model set by hand (Wikipedia's weather), which needs no fit:

    >>> import numpy as np
    >>> model = CategoricalHMM(n_components=2)
    >>> model.startprob_ = np.array([0.6, 0.4])
    >>> model.transmat_ = np.array([[0.7, 0.3], [0.4, 0.6]])
    >>> model.emissionprob_ = np.array([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
    >>> log_probability, states = model.decode([0, 1, 2])
    >>> round(float(np.exp(log_probability)), 5), states.tolist()
    (0.01344, [1, 0, 0])
    >>> model.predict_next([0, 1, 2]).round(3).tolist()
    [0.27, 0.366, 0.364]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._parameter_constraints,
        "emissionprob_prior": [*PRIOR, None],
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
        "init": [StrOptions({"tensor", "anchor", "random"})],
        "context_lags": ["array-like", None],
        "symbol_features": ["array-like", "sparse matrix", None],
        "missing": [Real, str, None],
    }
    _parts: ClassVar = {"s": "startprob_", "t": "transmat_", "e": "emissionprob_"}
    _agreed: Any = None
    """Size of the alphabet and its strings, where the next fit must have those."""

    def __init__(
        self,
        n_components: Any = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = None,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "ste",
        init_params: str = "ste",
        init: str = "tensor",
        n_init: int | None = None,
        context_lags: Any = None,
        symbol_features: Any = None,
        n_jobs: int | None = None,
        device: str | None = None,
        dtype: str = "float32",
        missing: float | str | None = None,
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.init = init
        self.n_init = n_init
        self.context_lags = context_lags
        self.symbol_features = symbol_features
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype
        self.missing = missing
        self.implementation = implementation

    def _fit_once(self, source: Source, y: Any, home: Any) -> Self:
        """Fit to a generator: of more than 2**20 symbols n-grams are counted, and nothing kept."""
        self._check_one_walk(y)
        pieces = source.pieces()
        first, second = next(pieces), next(pieces, None)
        if second is not None:
            self._absorb(chained(first, second, pieces), None, None, home)
            self._seen = None
            return self
        return self._fit_source(first, None, home)

    def _check_one_walk(self, y: Any) -> None:
        """Refuse, before anything is read, what takes more than one walk over X."""
        if y is not None:
            raise ValueError("y (labels) needs sequences in memory; X is a generator.")
        if self.n_components == "auto":
            raise ValueError(AUTO_NEEDS_DATA)

    def _absorb(self, source: Source, y: Any, counts: Any, home: Any) -> Self:
        """Fit to the counts of a source, added to earlier ``counts``."""
        if y is not None:
            raise ValueError(
                "partial_fit takes no labels y of symbols: use fit with all labelled data."
            )
        preset = self.__dict__["n_features"]
        if counts is not None and preset not in (None, counts.n_symbols):
            raise ValueError(
                f"n_features={preset}, but earlier calls of partial_fit counted "
                f"{counts.n_symbols} symbols. Set n_features before the first call, or clone the "
                "estimator and start again."
            )
        with runner_at(home, self.n_jobs, self.device, source.remote) as run:
            if counts is None and isinstance(source, SequenceStream) and is_one_shot(source):
                # Only now is the stream walked, so the first piece has to show the whole alphabet.
                pieces = source.pieces()
                first = next(pieces)
                _, n_symbols, symbols = self._alphabet(first, run)
                source = chained(first, None, pieces)
            else:
                known = None if counts is None else counts.n_symbols
                source, n_symbols, symbols = self._alphabet(source, run, known)
            options = self._categorical_options(n_symbols, labelled=False)
            codes = encoded(source, n_symbols, self.missing, symbols=symbols)
            seen = count(codes, n_symbols, run)
            total = seen if counts is None else counts + seen
            result = fit_counts(
                total,
                options,
                rng=spawn_rng(self.random_state),
                on_step=listener(self),
            )
        return self._assign(result, home, {"symbols_": symbols, "_seen": total})

    def _read(
        self, source: Source, y: Any, states: int | None, run: Runner
    ) -> tuple[Source, HMMOptions, dict[str, Any]]:
        source, n_symbols, symbols = self._alphabet(source, run)
        codes = encoded(source, n_symbols, self.missing, y, states, symbols)
        options = self._categorical_options(n_symbols, labelled=y is not None)
        return codes, options, {"symbols_": symbols, "_agreed": None}

    def _agree(self, sequences: Sequences) -> None:
        """The alphabet: a symbol that a part lacks must be possible in its model."""
        _, *self._agreed = self._alphabet(sequences, SerialRunner())

    def _alphabet(
        self, source: Source, run: Runner, known: int | None = None
    ) -> tuple[Source, int, np.ndarray | None]:
        """The source, its partitions measured, the size of the alphabet, and its strings if any.

        These are agreed on (`_agree`), or the size is known already, or preset, or that of kept
        emissions, or found in the data.
        """
        if self._agreed is not None:
            return source, *self._agreed
        symbols = None if known is None else self._symbols(known)
        if known is None and self.__dict__["n_features"] is not None:
            known = int(self.__dict__["n_features"])
        kept = kept_parts(self)
        if known is None and "emission" in kept:
            known = kept["emission"].n_symbols
            symbols = self._symbols(known)
        if known is not None and not isinstance(source, Partitions):
            return source, known, symbols
        source, found, strings = surveyed(source, self.missing, run)
        return (source, found, strings) if known is None else (source, known, symbols)

    def _categorical_options(self, n_symbols: int, labelled: bool) -> HMMOptions:
        """Gather the constructor's arguments for the core."""
        k = self.n_components
        check_concentration(self.emissionprob_prior, "emissionprob_prior", (k, n_symbols), k)
        return self._options(
            n_symbols=n_symbols,
            emission_prior=self.emissionprob_prior,
            labelled=labelled,
            context_lags=checked_lags(self.context_lags, n_symbols),
            symbol_features=checked_features(self.symbol_features, n_symbols),
        )

    @property
    def support_(self) -> Any:
        """Which states each symbol had in EM, (K, d)."""
        support = self.report_.support
        return self.emissionprob_ > 0 if support is None else support

    def _emission(self, n_components: Any) -> CategoricalEmission:
        array = probabilities(self.emissionprob_, "emissionprob_")
        preset = self.__dict__["n_features"]
        check_shape(array, "emissionprob_", (n_components, preset), n_components, preset)
        return CategoricalEmission(array)

    def _emission_values(self, emission: CategoricalEmission) -> dict[str, np.ndarray]:
        return {"emissionprob_": emission.probs}

    def _symbols(self, n_symbols: int) -> np.ndarray | None:
        """The strings that symbols stand for, checked; None where they are numbers."""
        symbols = getattr(self, "symbols_", None)
        return None if symbols is None else checked_symbols(symbols, n_symbols)

    def _coded(self, X: Any, lengths: Any, emission: CategoricalEmission) -> Source:
        source, d = read(on_host(X), on_host(lengths)), emission.n_symbols
        return encoded(source, d, self.missing, symbols=self._symbols(d))

    def _n_observed(self, values: np.ndarray, emission: CategoricalEmission) -> int:
        return int(np.count_nonzero(values < emission.n_symbols))

    def _as_given(self, observations: np.ndarray) -> np.ndarray:
        strings = self._symbols(np.shape(self.emissionprob_)[1])
        return (observations if strings is None else strings[observations])[:, None]

    # hmmlearn's `n_features` becomes the alphabet found by fit; scikit-learn's parameters never
    # change.  So the attribute reads as the former, and `get_params` and `clone` see the latter.
    @property
    def n_features(self) -> int | None:
        """Size of the alphabet: as preset, else as fitted or set by hand, else None."""
        preset = self.__dict__["n_features"]
        emission = getattr(self, "emissionprob_", None)
        if preset is None and emission is not None and np.ndim(emission) == 2:
            return np.shape(emission)[1]
        return preset

    @n_features.setter
    def n_features(self, value: int | None) -> None:
        self.__dict__["n_features"] = value

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name, as scikit-learn; ``n_features`` as it was passed.

        Parameters
        ----------
        deep : bool, default=True
            No argument is an estimator, so it makes no difference.

        Returns
        -------
        dict
        """
        return super().get_params(deep) | {"n_features": self.__dict__["n_features"]}

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X holds categories, one sequence in a 1-D array at the least."""
        return with_input_tags(
            super().__sklearn_tags__(),
            categorical=True,
            positive_only=True,
            one_d_array=True,
            three_d_array=True,
        )
