"""`GaussianHMM`: hidden Markov models of real-valued series, learned by moments."""

from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from spectral_estimators._devices import at_home, home_of
from spectral_estimators._sklearn_compat import Interval, StrOptions
from spectral_estimators.hmm._parameters import (
    broadcastable,
    check_covariances,
    check_shape,
    real_numbers,
)
from spectral_estimators.hmm._row_base import RowHMM
from spectral_estimators.hmm._rows import LARGEST, check_variance
from spectral_nn.arrays import to_numpy
from spectral_nn.emissions.coordinates import Symmetric
from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.models.chains.errors import StandardErrors

__all__ = ["GaussianHMM"]

_LAWS: dict[str, Any] = {
    "spherical": SphericalGaussian,
    "diag": DiagonalGaussian,
    "tied": TiedGaussian,
    "full": FullGaussian,
}
_SHARE = 1e-2  # of the variance of a column: scatter that the default prior has seen


class GaussianHMM(RowHMM):
    """Hidden Markov model with Gaussian emissions: moments first, likelihood to finish.

    ``fit`` takes 16 starts, most of which see how the past and the future of a row depend on each
    other (among them decompositions of moments), races them, and climbs with EM from the winner.
    It can stand in for ``hmmlearn.hmm.GaussianHMM``; what differs is listed under Notes.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    covariance_type : {"spherical", "diag", "full", "tied"}, default="diag"
        One variance a state; one for each column; a covariance matrix a state; one for all states.
    min_covar : float, default=1e-6
        Least variance, in any direction, as a share of the variance of the columns over all data.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat.
    means_prior, means_weight : float or array (p,), (K,) or (K, p), default=0
        Where means are, and the number of observations that this is worth.
    covars_prior : float or array, optional
        Scatter seen before the data, added to that of each state: a number, (p,), (K,) if
        spherical, (K, p) if diagonal, (p, p) if tied, (K, p, p) if full.  None: 1e-2 times the
        variance of each column over all data.
    covars_weight : float, default=1
        The number of observations that this is worth, after 1 (or p, if full or tied).
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
    params, init_params : str made of "s", "t", "m", "c", default="stmc"
        Which of startprob, transmat, means and covars ``fit`` re-estimates, and which it starts
        anew.
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
        Working precision of the recursions of E-steps in ``fit``; densities and sums are float64.
    missing : number, optional
        The value in X that stands for "not observed", for instance -999 or NaN.  Entries masked in
        a numpy masked array are missing in any case.

    Attributes
    ----------
    startprob_ : array (K,)
        Distribution of the first state.
    transmat_ : array (K, K)
        ``transmat_[i, j]``: probability that state j follows state i.
    means_ : array (K, p)
        Mean of each column in each state.
    covars_ : array (K, p, p)
        Covariance matrix of each state, whatever ``covariance_type``.  It is set in the shape of
        the type: (K,), (K, p), (p, p) or (K, p, p).
    n_components_ : int
        K.
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of the data, p.
    n_iter_, converged_, monitor_, report_
        As of `CategoricalHMM`.

    See Also
    --------
    GMMHMM : A mixture of Gaussians a state.
    PoissonHMM : Rows of counts.
    GaussianMixture : Rows that do not follow each other.

    Notes
    -----
    **Input** is that of `CategoricalHMM`, with rows of p numbers (n, p) in the place of symbols.  A
    missing entry leaves the other columns of its row in force: its likelihood is the marginal one,
    and its sums are completed by what each state expects of it.

    **Different from hmmlearn.**  Defaults: ``n_iter`` (100; hmmlearn 10), ``tol`` (relative to the
    number of observations; hmmlearn 0.01), ``covars_prior`` (hmmlearn 0.01 whatever the unit of the
    data, and added to every entry of a full matrix; a number here means its diagonal) and
    ``min_covar`` (hmmlearn 0.001 in the unit of the data, at the start alone).  ``fit`` searches
    for a start instead of k-means.  ``monitor_`` exists after ``fit`` only, and its ``history`` is
    the objective with the priors.

    **Cost.**  For each observation and EM step 6 K^2 + 8 K p flops, or 6 K^2 + 2 K p^2 with full
    covariances.

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
    >>> X = rng.normal(0, np.array([1.0, 3.0])[states])[:, None]
    >>> model = GaussianHMM(2, random_state=0).fit(X)
    >>> np.sort(model.covars_.ravel() ** 0.5).round().tolist()
    [1.0, 3.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RowHMM._parameter_constraints,
        "covariance_type": [StrOptions(set(_LAWS))],
        "min_covar": [Interval(Real, 0, None, closed="left")],
        "means_prior": [Real, "array-like"],
        "means_weight": [Interval(Real, 0, None, closed="left"), "array-like"],
        "covars_prior": [Interval(Real, 0, None, closed="left"), "array-like", None],
        "covars_weight": [Real],
    }
    _words = "observations are finite numbers, up to 1e152 in size"
    _sized_by = ("means_", 2)
    _parts: ClassVar = {"s": "startprob_", "t": "transmat_", "m": "means_", "c": "_covars_"}

    means_: Any
    _covars_: Any

    def __init__(
        self,
        n_components: Any = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-6,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: float = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "stmc",
        init_params: str = "stmc",
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
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
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

    @property
    def covars_(self) -> Any:
        """Covariance matrix of each state (K, p, p)."""
        k, p = np.shape(self.means_)
        return at_home(self._as_matrices(to_numpy(self._covars_), k, p), home_of(self._covars_))

    @covars_.setter
    def covars_(self, value: Any) -> None:
        self._covars_ = np.array(to_numpy(value), dtype=np.float64)

    def _as_matrices(self, kept: np.ndarray, k: int, p: int) -> np.ndarray:
        """Matrices (k, p, p) of what is kept in the shape of the type."""
        full = {
            "spherical": lambda: np.reshape(kept, (k, 1, 1)) * np.eye(p),
            "diag": lambda: kept[:, :, None] * np.eye(p),
            "tied": lambda: np.tile(kept, (k, 1, 1)),
            "full": lambda: np.array(kept),
        }
        return full[self.covariance_type]()

    def _renamed(self, found: StandardErrors) -> StandardErrors:
        shape = found.values["means"].shape
        values, errors = (
            fields | {"covariances": self._as_matrices(fields["covariances"], *shape)}
            for fields in (found.values, found.errors)
        )
        coordinates = found.coordinates | {"covariances": Symmetric()}
        return super()._renamed(
            replace(found, values=values, errors=errors, coordinates=coordinates)
        )

    @property
    def _law(self) -> Any:
        return _LAWS[self.covariance_type].pooled

    @staticmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        return np.abs(rows) > LARGEST

    def _prior(self, n_features: int) -> Any:
        """The prior of means and covariances, which is made once the variance of X is known."""
        k = 1 if self.n_components == "auto" else self.n_components
        correlated = self.covariance_type in ("tied", "full")
        of_means = (k, n_features)
        of_covars = {
            "tied": (n_features, n_features),
            "full": (k, n_features, n_features),
        }.get(self.covariance_type, of_means)
        found: dict[str, Any] = {"covars_prior": None}
        for name, shape, by_state in (
            ("means_prior", of_means, k != n_features),
            ("means_weight", of_means, k != n_features),
            ("covars_prior", of_covars, self.covariance_type == "spherical"),
        ):
            if getattr(self, name) is None:
                continue
            array = broadcastable(getattr(self, name), name, shape, *([(k,)] if by_state else []))
            found[name] = array[:, None] if by_state and array.shape == (k,) else array
        clipped = max(self.covars_weight - (n_features if correlated else 1), 0.0)
        return partial(
            _make_prior,
            found,
            clipped,
            self.min_covar,
            "".join(letter for letter in "mc" if letter in self.params),
        )

    def _emission(self, n_components: Any) -> Any:
        means = self._checked_means(n_components)
        covars = self._checked_covars(n_components, means.shape[1])
        return _LAWS[self.covariance_type](means, covars)

    def _kept_emission(self, names: list[str]) -> Any:
        k = self.n_components
        if len(names) == 2:
            return self._emission(k)
        if names == ["means_"]:
            return {"means": self._checked_means(k)}
        return {"covariances": self._checked_covars(k, None)}

    def _checked_means(self, k: int) -> np.ndarray:
        means = real_numbers(self.means_, "means_")
        check_shape(means, "means_", (k, None), k)
        return means

    def _checked_covars(self, k: int, p: int | None) -> np.ndarray:
        """Covariances in the shape of their type."""
        covars = real_numbers(self._covars_, "covars_")
        kind = self.covariance_type
        if kind == "spherical" and covars.size == k:
            covars = covars.reshape(k)
        shapes: dict[str, tuple[Any, ...]] = {
            "spherical": (k,), "diag": (k, p), "tied": (p, p), "full": (k, p, p),
        }  # fmt: skip
        check_shape(covars, "covars_", shapes[kind], k, p)
        check_covariances(covars, "covars_", matrices=kind in ("tied", "full"))
        return covars

    def _emission_values(self, emission: Any) -> dict[str, np.ndarray]:
        return {"means_": emission.means, "_covars_": emission.covariances}


def _make_prior(
    found: dict[str, Any], weight: float, min_covar: float, free: str, pooled: Any
) -> GaussianPrior:
    """The prior, once the law of all data together tells the variance of each column."""
    variance = pooled.variances[0]
    check_variance(variance)
    scatter = found["covars_prior"]
    return GaussianPrior(
        found["means_prior"],
        found["means_weight"],
        _SHARE * variance if scatter is None else scatter,
        weight,
        min_covar * variance,
        free,
    )
