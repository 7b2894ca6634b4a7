"""`GMMHMM`: hidden Markov models whose states emit mixtures of Gaussians, learned by moments."""

from functools import partial
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from spectral_estimators._sklearn_compat import Interval, StrOptions
from spectral_estimators.hmm._parameters import (
    PRIOR,
    broadcastable,
    check_concentration,
    check_covariances,
    check_shape,
    probabilities,
    real_numbers,
)
from spectral_estimators.hmm._row_base import RowHMM
from spectral_estimators.hmm._rows import LARGEST, check_variance
from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian
from spectral_nn.emissions.gaussian_mixture import (
    GaussianMixtureEmission,
    GroupedGaussian,
    MixturePrior,
)
from spectral_nn.emissions.simplex import pseudo_counts

__all__ = ["GMMHMM"]

_LAWS: dict[str, Any] = {
    "spherical": SphericalGaussian,
    "diag": DiagonalGaussian,
    "tied": GroupedGaussian,
    "full": FullGaussian,
}
_SEEN = 1e-2  # observations that the default prior of a covariance is worth


class GMMHMM(RowHMM):
    r"""Hidden Markov model whose states emit mixtures of Gaussians: moments, then likelihood.

    ``fit`` takes 16 starts, most of which see how the past and the future of a row depend on each
    other; in each, the rows of a state are clustered into the parts of its mixture.  It races them,
    and climbs with EM from the winner.  It can stand in for ``hmmlearn.hmm.GMMHMM``; what differs
    is listed under Notes.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of states K.  "auto": chosen from the data; the evidence is kept in
        ``report_.evidence``.
    n_mix : int, default=1
        Number of Gaussians in each state, M.
    min_covar : float, default=1e-6
        Least variance, in any direction, as a share of the variance of the columns over all data.
    startprob_prior, transmat_prior : float or array (K,), (K, K), default=1.0
        Parameters of Dirichlet priors, positive; 1 is flat.
    weights_prior : float or array (M,), (K, M), default=1.0
        The same of weights.
    means_prior : float or array (M, 1), (K, M, p), default=0
        Where means are.
    means_weight : float or array (M,), (K, M), default=0
        The number of observations that this is worth.
    covars_prior, covars_weight : float or array, optional
        Priors of covariances, as in hmmlearn: shape and scale of inverse gamma distributions, (K,
        M) if spherical and (K, M, p) if diagonal; scale and degrees of freedom of inverse Wishart
        distributions, (K, M, p, p) and (K, M) if full, (K, p, p) and (K,) if tied.  A number in
        the place of a matrix is its diagonal.  None: what 1e-2 observations of the variance of
        each column over all data say.
    algorithm : {"viterbi", "map"}, default="viterbi"
        How `decode` and `predict` find states.
    covariance_type : {"spherical", "diag", "full", "tied"}, default="diag"
        One variance a Gaussian; one for each column; a covariance matrix a Gaussian; one for all
        Gaussians of a state.
    random_state : int, RandomState or None
        Equal seeds give equal models, whatever ``n_jobs``.
    n_iter : int, default=100
        Most EM steps on all data.  0: no likelihood step of any kind, only the start.
    tol : float, optional
        EM stops when a step gains less, in nats.  None: 3e-6 nats for each observation.
    verbose : bool, int or callable, default=False
        Print progress to standard error; or hand it to a function
        ``(stage, step, objective in nats)``.
    params, init_params : str made of "s", "t", "m", "c", "w", default="stmcw"
        Which of startprob, transmat, means, covars and weights ``fit`` re-estimates, and which it
        starts anew.
    implementation : {"log", "scaling"}, default="log"
        hmmlearn's; has no effect.
    init : {"tensor", "kmeans", "random"}, default="tensor"
        Where states of starts come from.  "tensor": the race told above, and with ``n_iter=0`` the
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
    weights_ : array (K, M)
        Share of each Gaussian in its state.
    means_ : array (K, M, p)
        Mean of each column in each Gaussian.
    covars_ : array
        (K, M) if spherical, (K, M, p) if diagonal, (K, M, p, p) if full, (K, p, p) if tied.
    n_components_ : int
        K.
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of the data, p.
    n_iter_, converged_, monitor_, report_
        As of `CategoricalHMM`.

    See Also
    --------
    GaussianHMM : One Gaussian a state.

    Notes
    -----
    .. math:: P(x | h = k) = \sum_{m=1}^M w_{km} N(x; \mu_{km}, \Sigma_{km})

    **Input** is that of `CategoricalHMM`, with rows of p numbers (n, p) in the place of symbols.  A
    missing entry leaves the other columns of its row in force: its likelihood is the marginal one,
    and its sums are completed by what each Gaussian expects of it.

    **Different from hmmlearn.**  Defaults: ``n_iter`` (100; hmmlearn 10), ``tol`` (relative to the
    number of observations; hmmlearn 0.01), ``min_covar`` (hmmlearn 0.001 in the unit of the data,
    at the start alone) and priors of covariances (hmmlearn's are flat, except that variances of
    spherical Gaussians are divided by ``p N + p - M`` in the place of ``p N``; so a Gaussian can
    shrink to a point).  A prior that takes observations away (such as ``covars_prior=-2`` if
    diagonal) counts as flat.  An M-step finds the mode of means and covariances together;
    hmmlearn's centres scatter at the means before the step, so that covariances shrink later, to
    the same in the end.  A Gaussian without observations keeps its mean and covariance, where
    hmmlearn's become 0 and NaN.  ``fit`` searches for a start instead of k-means.  ``monitor_``
    exists after ``fit`` only, and its ``history`` is the objective with the priors.  `aic` and
    `bic` count M - 1 weights for all states together, as hmmlearn's do.

    **Cost.**  For each observation and EM step 6 K^2 + 12 K M p flops, or 6 K^2 + 3 K M p^2 with
    covariance matrices, and 2 K M exponentials.

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
    >>> means = np.array([[-4.0, 4.0], [0.0, 8.0]])
    >>> X = rng.normal(means[states, rng.integers(2, size=400)])[:, None]
    >>> model = GMMHMM(2, 2, random_state=0).fit(X)
    >>> np.sort(model.means_.ravel()).round(1).tolist()
    [-4.2, 0.0, 4.1, 8.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RowHMM._parameter_constraints,
        "n_mix": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(_LAWS))],
        "min_covar": [Interval(Real, 0, None, closed="left")],
        "weights_prior": PRIOR,
        "means_prior": [Real, "array-like"],
        "means_weight": [Interval(Real, 0, None, closed="left"), "array-like"],
        "covars_prior": [Real, "array-like", None],
        "covars_weight": [Real, "array-like", None],
    }
    _words = "observations are finite numbers, up to 1e152 in size"
    _sized_by = ("means_", 3)
    _parts: ClassVar = {
        "s": "startprob_", "t": "transmat_", "m": "means_", "c": "covars_", "w": "weights_",
    }  # fmt: skip

    means_: Any
    covars_: Any
    weights_: Any

    def __init__(
        self,
        n_components: Any = 1,
        n_mix: int = 1,
        min_covar: float = 1e-6,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float | None = None,
        verbose: Any = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
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
        self.n_mix = n_mix
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.algorithm = algorithm
        self.covariance_type = covariance_type
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
    def _law(self) -> Any:
        components = _LAWS[self.covariance_type].pooled
        if self.covariance_type == "tied":
            components = partial(components, size=self.n_mix)
        return partial(GaussianMixtureEmission.pooled, n_parts=self.n_mix, components=components)

    @staticmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        return np.abs(rows) > LARGEST

    def _prior(self, n_features: int) -> Any:
        """The prior, which is made once the variance of X is known."""
        k = 1 if self.n_components == "auto" else self.n_components
        m, p = self.n_mix, n_features
        check_concentration(self.weights_prior, "weights_prior", (k, m), self.n_components)
        given = {
            name: broadcastable(getattr(self, name), name, shape)
            for name, shape in {
                "means_prior": (k, m, p),
                "means_weight": (k, m),
                **_shapes_of_priors(self.covariance_type, k, m, p),
            }.items()
            if getattr(self, name) is not None
        }
        pseudo = pseudo_counts(self.weights_prior, self._kept_weights())
        return partial(
            _make_prior, self.covariance_type, given, pseudo, self.min_covar, self.params
        )

    def _kept_weights(self) -> np.ndarray | None:
        """Weights that a fit starts from."""
        if "w" in self.init_params or not hasattr(self, "weights_"):
            return None
        return self._checked_weights(self.n_components)

    def _emission(self, n_components: Any) -> GaussianMixtureEmission:
        means = self._checked_means(n_components)
        covars = self._checked_covars(n_components, means.shape[1])
        law = _LAWS[self.covariance_type](means, covars)
        return GaussianMixtureEmission(self._checked_weights(n_components), law)

    def _kept_emission(self, names: list[str]) -> Any:
        k = self.n_components
        if len(names) == 3:
            return self._emission(k)
        found: dict[str, Any] = {"components": {}}
        if "means_" in names:
            found["components"]["means"] = self._checked_means(k)
        if "covars_" in names:
            found["components"]["covariances"] = self._checked_covars(k, None)
        if "weights_" in names:
            found["weights"] = self._checked_weights(k)
        return found

    def _checked_weights(self, k: int) -> np.ndarray:
        weights = probabilities(self.weights_, "weights_")
        check_shape(weights, "weights_", (k, self.n_mix), k)
        return weights

    def _checked_means(self, k: int) -> np.ndarray:
        """Means of all Gaussians (K M, p)."""
        means = real_numbers(self.means_, "means_")
        check_shape(means, "means_", (k, self.n_mix, None), k)
        return means.reshape(k * self.n_mix, -1)

    def _checked_covars(self, k: int, p: int | None) -> np.ndarray:
        """Covariances in the shape of the law."""
        covars = real_numbers(self.covars_, "covars_")
        kind, m = self.covariance_type, self.n_mix
        shapes: dict[str, tuple[Any, ...]] = {
            "spherical": (k, m), "diag": (k, m, p), "tied": (k, p, p), "full": (k, m, p, p),
        }  # fmt: skip
        check_shape(covars, "covars_", shapes[kind], k, p)
        check_covariances(covars, "covars_", matrices=kind in ("tied", "full"))
        return covars if kind == "tied" else covars.reshape(k * m, *covars.shape[2:])

    def _emission_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        weights = fields["weights"]
        law = SimpleNamespace(
            means=fields["components.means"], covariances=fields["components.covariances"]
        )
        if not isinstance(weights, np.ndarray):  # coordinates, which have no shape
            return {"weights_": weights, "means_": law.means, "covars_": law.covariances}
        return self._emission_values(SimpleNamespace(weights=weights, components=law))

    def _emission_values(self, emission: Any) -> dict[str, np.ndarray]:
        weights, law = emission.weights, emission.components
        covars = law.covariances
        if self.covariance_type != "tied":
            covars = covars.reshape(*weights.shape, *covars.shape[1:])
        means = law.means.reshape(*weights.shape, -1)
        return {"weights_": weights, "means_": means, "covars_": covars}


def _shapes_of_priors(kind: str, k: int, m: int, p: int) -> dict[str, tuple[int, ...]]:
    """Shapes that priors of covariances broadcast to."""
    prior, weight = {
        "spherical": ((k, m), (k, m)),
        "diag": ((k, m, p), (k, m, p)),
        "tied": ((k, p, p), (k,)),
        "full": ((k, m, p, p), (k, m)),
    }[kind]
    return {"covars_prior": prior, "covars_weight": weight}


def _make_prior(
    kind: str,
    given: dict[str, np.ndarray],
    pseudo: Any,
    min_covar: float,
    params: str,
    pooled: GaussianMixtureEmission,
) -> MixturePrior:
    """The prior, once the law of all data together tells K and the variance of each column."""
    (k, m), variance = pooled.weights.shape, pooled.components.variances[0]
    check_variance(variance)
    p = variance.size
    scatter, weight = _scatter_and_weight(kind, given, k, m, p)
    components = GaussianPrior(
        np.broadcast_to(given["means_prior"], (k, m, p)).reshape(-1, p),
        np.broadcast_to(given["means_weight"], (k, m)).reshape(-1, 1),
        _SEEN * variance if scatter is None else scatter,
        _SEEN if weight is None else np.maximum(weight, 0.0),
        min_covar * variance,
        "".join(letter for letter in "mc" if letter in params),
    )
    return MixturePrior(pseudo, components, keep_weights="w" not in params)


def _scatter_and_weight(
    kind: str, given: dict[str, np.ndarray], k: int, m: int, p: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Scatter that priors of covariances have seen, and of how many observations.

    The mode under an inverse Wishart prior and the Normal ones of the means that share the
    covariance is ``(scatter + psi) / (N + nu + p + 1 + number of means)``; under an inverse gamma
    one ``(scatter + 2 beta) / (N + 2 (alpha + 1) + 1)``, where N counts the p columns of a
    spherical Gaussian, and so does the last 1.
    """
    found = {}
    for name, shape in _shapes_of_priors(kind, k, m, p).items():
        array = given.get(name)
        if array is not None and kind in ("tied", "full") and name == "covars_prior":
            array = array * np.eye(p) if array.ndim < 2 else array
        found[name] = None if array is None else np.broadcast_to(array, shape)
    prior, weight = found.values()
    if kind in ("tied", "full"):
        means = m if kind == "tied" else 1
        return (
            None if prior is None else prior.reshape(-1, p, p),
            None if weight is None else weight.ravel() + p + 1 + means,
        )
    columns = p if kind == "spherical" else 1
    return (
        None if weight is None else 2 * weight.reshape(k * m, -1) / columns,
        None if prior is None else 2 * (prior.reshape(k * m, -1) + 1) / columns + 1,
    )
