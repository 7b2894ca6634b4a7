"""`PoissonHMM`: hidden Markov models of counts, learned by moments."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np

from spectral_estimators._sklearn_compat import Interval
from spectral_estimators.hmm._parameters import as_floats, check_shape
from spectral_estimators.hmm._row_base import RowHMM
from spectral_estimators.hmm._rows import MOST
from spectral_nn.arrays import to_numpy
from spectral_nn.emissions.poisson import GammaPrior, PoissonEmission

__all__ = ["PoissonHMM"]

_AT_LEAST_ZERO = [Interval(Real, 0, None, closed="left"), "array-like"]


class PoissonHMM(RowHMM):
    """Hidden Markov model with Poisson emissions: moments first, likelihood to finish.

    ``fit`` takes 16 starts, most of which see how the past and the future of a row depend on each
    other (among them decompositions of moments), races them, and climbs with EM from the winner.
    It can stand in for ``hmmlearn.hmm.PoissonHMM``; what differs is listed under Notes.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat.
    lambdas_prior, lambdas_weight : float or array (K,), (K, p), default=0.0
        Gamma prior of the rates: events seen before the data, and the number of observations that
        they were seen in.  The mode of a rate is ``(lambdas_prior + events) / (lambdas_weight +
        observations in the state)``.
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
    params, init_params : str made of "s", "t", "l", default="stl"
        Which of startprob, transmat and lambdas ``fit`` re-estimates, and which it starts anew.
    implementation : {"log", "scaling"}, default="log"
        hmmlearn's; has no effect.
    init : {"tensor", "kmeans", "random"}, default="tensor"
        Where starts come from.  "tensor": the race told above, and with ``n_iter=0`` the
        decomposition of moments alone.  "kmeans": clusters of rows.  "random": random rows.
    n_init : int, optional
        Number of starts.  None: 16, or 1 without a race.
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
    lambdas_ : array (K, p)
        Expected count of each column in each state.
    n_components_ : int
        K.
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of the data, p.
    n_iter_, converged_, monitor_, report_
        As of `CategoricalHMM`.

    See Also
    --------
    MultinomialHMM : Counts whose sum is given, or says nothing of the state.
    GaussianHMM : Rows of real numbers.

    Notes
    -----
    **Input** is that of `CategoricalHMM`, with rows of p counts (n, p) in the place of symbols.  A
    missing entry leaves the other columns of its row in force.

    **Different from hmmlearn.**  Defaults: ``n_iter`` (100; hmmlearn 10) and ``tol`` (relative to
    the number of observations; hmmlearn 0.01).  hmmlearn's M-step weighs ``lambdas_prior`` and
    ``lambdas_weight`` against the observations of all states together, ours against those of each
    state.  ``fit`` searches for a start instead of drawing one.  ``monitor_`` exists after ``fit``
    only, and its ``history`` is the objective with the priors.

    **Cost.**  6 K^2 + 8 K p flops for each observation and EM step.

    References
    ----------
    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989: EM.

    Anandkumar, Hsu, Kakade, "A method of moments for mixture models and hidden Markov models",
    COLT 2012: the decomposition.

    Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition, 2016:
    Poisson states.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> states = np.repeat([0, 1, 0, 1], 100)
    >>> X = rng.poisson(np.array([2.0, 9.0])[states])[:, None]
    >>> model = PoissonHMM(2, random_state=0).fit(X)
    >>> np.sort(model.lambdas_.ravel()).round(1).tolist()
    [2.1, 8.6]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RowHMM._parameter_constraints,
        "lambdas_prior": _AT_LEAST_ZERO,
        "lambdas_weight": _AT_LEAST_ZERO,
    }
    _law = staticmethod(PoissonEmission.pooled)
    _words = "counts are whole numbers from 0 to 2**53"
    _sized_by = ("lambdas_", 2)
    _of_counts = True
    _parts: ClassVar = {"s": "startprob_", "t": "transmat_", "l": "lambdas_"}

    lambdas_: Any

    def __init__(
        self,
        n_components: Any = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
        *,
        init: str = "tensor",
        n_init: int | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
        dtype: str = "float32",
        missing: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.init = init
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype
        self.missing = missing

    def _prior(self, n_features: int) -> GammaPrior:
        """The prior of the rates, checked."""
        k = 1 if self.n_components == "auto" else self.n_components
        found = []
        for name in ("lambdas_prior", "lambdas_weight"):
            array = as_floats(getattr(self, name), name)
            array = array[:, None] if array.ndim == 1 else array
            try:
                fits = np.broadcast_shapes(array.shape, (k, n_features)) == (k, n_features)
            except ValueError:
                fits = False
            if not fits or not ((array >= 0) & (array <= MOST)).all():
                raise ValueError(
                    f"{name} must be a number, or have shape ({k},) or ({k}, {n_features}), of "
                    f"numbers from 0 to 2**53; got {getattr(self, name)!r}."
                )
            found.append(array)
        return GammaPrior(*found)

    @staticmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        return (rows < 0) | (rows != np.floor(rows)) | (rows > MOST)

    def _emission(self, n_components: Any) -> PoissonEmission:
        rates = np.asarray(to_numpy(self.lambdas_), dtype=np.float64)
        check_shape(rates, "lambdas_", (n_components, None), n_components)
        if not (np.isfinite(rates) & (rates >= 0)).all():
            raise ValueError("lambdas_ must hold finite rates of at least 0.")
        return PoissonEmission(rates)

    def _emission_values(self, emission: PoissonEmission) -> dict[str, np.ndarray]:
        return {"lambdas_": emission.rates}
