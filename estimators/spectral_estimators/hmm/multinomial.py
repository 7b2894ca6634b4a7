"""`MultinomialHMM`: hidden Markov models of counts of categories, learned by moments."""

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from spectral_estimators._sklearn_compat import Interval
from spectral_estimators.hmm._parameters import (
    PRIOR,
    check_concentration,
    check_shape,
    kept_parts,
    probabilities,
)
from spectral_estimators.hmm._row_base import RowHMM
from spectral_estimators.hmm._rows import MOST, RowRule
from spectral_nn.data import LazySequences, Place, Sequences, Source
from spectral_nn.emissions.multinomial import MultinomialEmission
from spectral_nn.emissions.simplex import pseudo_counts

__all__ = ["MultinomialHMM"]


class MultinomialHMM(RowHMM):
    r"""Hidden Markov model with multinomial emissions: moments first, likelihood to finish.

    A row counts how often each of d categories came up in a number of trials.  ``fit`` takes
    several starts (decompositions of moments, k-means on rows, on their moving averages and on
    what past and future say of them, random ones), races them, and climbs with EM from the winner.
    It can stand in for ``hmmlearn.hmm.MultinomialHMM``; what differs is listed under Notes.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    n_trials : int or array of int (n,), optional
        Sum of every row, or of each row of a table or list; other sums are refused.  None: rows
        may differ in it.  `sample` needs one number, and so do single missing entries.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat.
    algorithm : {"viterbi", "map"}, default="viterbi"
        How `decode` and `predict` find states.
    random_state : int, RandomState or None
        Equal seeds give equal models, whatever ``n_jobs``.
    n_iter : int, default=100
        Most EM steps on all data.  0: no likelihood step of any kind, only the start.
    tol : float, optional
        EM stops when a step gains less, in nats.  None: 3e-6 nats for each observation.
    verbose : bool, int or callable, default=False
        Print progress to standard error; or hand it to a function
        ``(stage, step, objective in nats)``.
    params, init_params : str made of "s", "t", "e", default="ste"
        Which of startprob, transmat and emissionprob ``fit`` re-estimates, and which it starts
        anew.
    implementation : {"log", "scaling"}, default="log"
        hmmlearn's; has no effect.
    emissionprob_prior : float or array (K, d), default=1.0
        Parameters of Dirichlet priors of the rows of ``emissionprob_``, positive; 1 is flat.  With
        2, say, no category gets probability zero because the training data lack it.
    init : {"tensor", "random", "kmeans"}, default="tensor"
        Where starts come from.
    n_init : int, optional
        Number of starts.  None: 16 for "tensor", else 1.
    n_jobs : int, optional
        Workers, as joblib means it.  The result does not depend on it.
    device : {"cuda", "cuda:1", ..., "cpu"}, optional
        Where the E-steps of ``fit`` run, for X of NumPy.
    dtype : {"float32", "float64"}, default="float32"
        Working precision of the recursions of E-steps in ``fit``.
    missing : number, optional
        The value in X that stands for "not observed", for instance -1 or NaN.  Entries masked in a
        numpy masked array are missing in any case.

    Attributes
    ----------
    startprob_ : array (K,)
        Distribution of the first state.
    transmat_ : array (K, K)
        ``transmat_[i, j]``: probability that state j follows state i.
    emissionprob_ : array (K, d)
        ``emissionprob_[k, j]``: probability that a trial in state k falls into category j.
    n_components_ : int
        K.
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of the data, d.
    n_iter_, converged_, monitor_, report_
        As of `CategoricalHMM`.

    See Also
    --------
    CategoricalHMM : One trial at a time.
    PoissonHMM : Counts whose sum says something of the state.

    Notes
    -----
    .. math:: P(x | h = k) = n! \prod_{j=1}^d \frac{p_{kj}^{x_j}}{x_j!}, \quad n = \sum_j x_j

    **Input** is that of `CategoricalHMM`, with rows of d counts (n, d) in the place of symbols.

    **Missing entries.**  Where ``n_trials`` is a number, the sum of the missing counts of a row is
    known, and the likelihood is the exact marginal one: the missing categories are one category.
    Otherwise a row with a missing entry is missing as a whole.

    **Different from hmmlearn.**  Defaults: ``n_iter`` (100; hmmlearn 10) and ``tol`` (relative to
    the number of observations; hmmlearn 0.01).  ``n_trials=None`` stays None: each row has its own
    sum, in new data, too, where hmmlearn keeps the sums of the training data and refuses others;
    but `sample` needs a number.  Whole numbers may be floats.  A state that nothing belongs to
    keeps its emissions, where hmmlearn's become NaN.  ``fit`` searches for a start instead of
    drawing one.  ``monitor_`` exists after ``fit`` only.  `predict_next` answers with expected
    counts, or with expected shares if ``n_trials`` is no number.

    **Cost.**  6 K^2 + 4 K d flops for each observation and EM step.

    References
    ----------
    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989: EM.

    Anandkumar, Hsu, Kakade, "A method of moments for mixture models and hidden Markov models",
    COLT 2012: the decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> states = np.repeat([0, 1, 0, 1], 100)
    >>> X = rng.multinomial(6, np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])[states])
    >>> model = MultinomialHMM(2, n_trials=6, random_state=0).fit(X)
    >>> model.emissionprob_[np.argsort(model.emissionprob_[:, 2])].round(1).tolist()
    [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RowHMM._parameter_constraints,
        "n_trials": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "emissionprob_prior": PRIOR,
    }
    _words = "counts are whole numbers from 0 to 2**53"
    _sized_by = ("emissionprob_", 2)
    _of_counts = True
    _parts: ClassVar = {"s": "startprob_", "t": "transmat_", "e": "emissionprob_"}

    emissionprob_: Any

    def __init__(
        self,
        n_components: Any = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
        *,
        emissionprob_prior: Any = 1.0,
        init: str = "tensor",
        n_init: int | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
        dtype: str = "float32",
        missing: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_trials = n_trials
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.emissionprob_prior = emissionprob_prior
        self.init = init
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype
        self.missing = missing

    def pseudo_residuals(self, X: Any, lengths: Any = None) -> Any:
        """As of every family of rows, where ``n_trials`` is one number for all of them.

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory

        Returns
        -------
        array, shape (n, d), for a table; Sequences of such arrays for a list or `Sequences`

        Raises
        ------
        ValueError
            If ``n_trials`` is no number.
        """
        if _number(self._trials()) is None:
            raise ValueError(
                f"pseudo_residuals needs n_trials as one number, got {self.n_trials!r}: without it "
                "the law of a count is not known."
            )
        return super().pseudo_residuals(X, lengths)

    @property
    def _law(self) -> Any:
        return partial(MultinomialEmission.pooled, n_trials=_number(self._trials()))

    def _prior(self, n_features: int) -> np.ndarray:
        k = self.n_components
        check_concentration(self.emissionprob_prior, "emissionprob_prior", (k, n_features), k)
        kept = kept_parts(self).get("emission")
        return pseudo_counts(self.emissionprob_prior, None if kept is None else kept.probs)

    @staticmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        return (rows < 0) | (rows != np.floor(rows)) | (rows > MOST)

    def _rule(self, source: Source) -> RowRule:
        trials = self._trials()
        if trials is not None and trials.ndim:
            if not isinstance(source, (Sequences, LazySequences)):
                raise ValueError(
                    "n_trials is an array, which goes with a table or a list; X comes in pieces. "
                    "Give n_trials as a number, or leave it out."
                )
            if trials.size != source.offsets[-1]:
                raise ValueError(
                    f"n_trials has {trials.size} entries, but X has {source.offsets[-1]} rows. "
                    "Give one for each row, or a number, or leave n_trials out."
                )
        return partial(_check_sums, trials=trials)

    def _trials(self) -> np.ndarray | None:
        """``n_trials``, checked: an array () or (n,); () also where all entries are equal."""
        if self.n_trials is None:
            return None
        trials = np.asarray(self.n_trials)
        if trials.ndim > 1 or trials.size == 0 or trials.dtype.kind not in "iu" or trials.min() < 0:
            raise ValueError(
                "n_trials must be a whole number, an array of them with one for each row of X, or "
                f"None; got {self.n_trials!r}."
            )
        return trials.flat[:1].reshape(()) if (trials == trials.flat[0]).all() else trials

    def _emission(self, n_components: Any) -> MultinomialEmission:
        probs = probabilities(self.emissionprob_, "emissionprob_")
        check_shape(probs, "emissionprob_", (n_components, None), n_components)
        return MultinomialEmission(probs, _number(self._trials()))

    def _emission_values(self, emission: MultinomialEmission) -> dict[str, np.ndarray]:
        return {"emissionprob_": emission.probs}


def _number(trials: np.ndarray | None) -> int | None:
    """The number of trials of every row; None where there is no such number."""
    return None if trials is None or trials.ndim else int(trials)


def _check_sums(rows: np.ndarray, place: Place, trials: np.ndarray | None) -> np.ndarray:
    """Compare sums of rows with ``n_trials``; what is missing of a row of unknown sum is all."""
    whole = ~np.isnan(rows).any(axis=1)
    if trials is not None:
        wanted = trials[place.row :][: len(rows)] if trials.ndim else np.full(len(rows), trials)
        found = np.nansum(rows, axis=1)
        bad = np.where(whole, found != wanted, found > wanted)
        if bad.any():
            at = int(np.argmax(bad))
            raise ValueError(
                f"{place.at(at)} has {found[at]:.0f} trials in all, but n_trials says "
                f"{wanted[at]}. Correct it, or leave n_trials out."
            )
    if _number(trials) is None:
        rows[~whole] = np.nan
    return rows
