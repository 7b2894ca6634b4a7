"""`BernoulliHMM`: hidden Markov models of several marks, each there or not, learned by moments."""

from typing import Any, ClassVar

import numpy as np

from spectral_estimators.hmm._parameters import PRIOR, check_concentration, check_shape, kept_parts
from spectral_estimators.hmm._row_base import RowHMM
from spectral_nn.arrays import to_numpy
from spectral_nn.emissions.bernoulli import BernoulliEmission
from spectral_nn.emissions.simplex import pseudo_counts

__all__ = ["BernoulliHMM"]


class BernoulliHMM(RowHMM):
    r"""Hidden Markov model with Bernoulli emissions: moments first, likelihood to finish.

    A row says of each of p marks whether it is there, as in maps of chromatin states.  ``fit``
    takes several starts (decompositions of moments, k-means on rows, on their moving averages and
    on what past and future say of them, random ones), races them, and climbs with EM from the
    winner.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat.
    emissionprob_prior : float, pair or array (p, 2), (K, p, 2), default=1.0
        Parameters of Beta priors, positive: that of ones and that of zeros, or one number for
        both; 1 is flat.  The mode of a probability is ``(alpha - 1 + ones) / (alpha + beta - 2 +
        entries in the state)``.
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
        As of the other families; has no effect.
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
    emissionprob_ : array (K, p)
        ``emissionprob_[k, j]``: probability that mark j is there in state k.
    n_components_ : int
        K.
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of the data, p.
    n_iter_, converged_, monitor_, report_
        As of `CategoricalHMM`.

    See Also
    --------
    CategoricalHMM : One symbol at a time.
    MultinomialHMM : Counts of categories.

    Notes
    -----
    .. math:: P(x | h = k) = \prod_{j=1}^p p_{kj}^{x_j} (1 - p_{kj})^{1 - x_j}

    **Input** is that of `CategoricalHMM`, with rows (n, p) of zeros and ones, numbers or booleans,
    in the place of symbols.  A missing entry leaves the other columns of its row in force.

    **Cost.**  6 K^2 + 8 K p flops for each observation and EM step.

    References
    ----------
    Ernst, Kellis, "ChromHMM: automating chromatin-state discovery and characterization", Nature
    Methods 9, 2012: Bernoulli states of several marks.

    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989: EM.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> states = np.repeat([0, 1, 0, 1], 250)
    >>> X = rng.random((1000, 3)) < np.array([[0.8, 0.1, 0.5], [0.2, 0.6, 0.5]])[states]
    >>> model = BernoulliHMM(2, random_state=0).fit(X)
    >>> model.emissionprob_[np.argsort(model.emissionprob_[:, 1])].round(1).tolist()
    [[0.8, 0.1, 0.5], [0.2, 0.6, 0.5]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RowHMM._parameter_constraints,
        "emissionprob_prior": PRIOR,
    }
    _law = staticmethod(BernoulliEmission.pooled)
    _words = "marks are 0 or 1"
    _sized_by = ("emissionprob_", 2)
    _of_counts = True
    _parts: ClassVar = {"s": "startprob_", "t": "transmat_", "e": "emissionprob_"}

    emissionprob_: Any

    def __init__(
        self,
        n_components: Any = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
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
        self.emissionprob_prior = emissionprob_prior
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

    def _prior(self, n_features: int) -> np.ndarray:
        k = 1 if self.n_components == "auto" else self.n_components
        prior = self.emissionprob_prior
        check_concentration(prior, "emissionprob_prior", (k, n_features, 2), k)
        kept = kept_parts(self).get("emission")
        return pseudo_counts(prior, None if kept is None else kept.both)

    @staticmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        return (rows != 0) & (rows != 1)

    def _emission(self, n_components: Any) -> BernoulliEmission:
        probs = np.asarray(to_numpy(self.emissionprob_), dtype=np.float64)
        check_shape(probs, "emissionprob_", (n_components, None), n_components)
        if not ((probs >= 0) & (probs <= 1)).all():
            raise ValueError("emissionprob_ must hold probabilities, from 0 to 1.")
        return BernoulliEmission(probs)

    def _emission_values(self, emission: BernoulliEmission) -> dict[str, np.ndarray]:
        return {"emissionprob_": emission.probs}
