"""`GaussianMixture`: mixtures of Gaussians, from moments and clusters, refined by likelihood."""

import math
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import MovableMixin, at_home, home_of, on_host, runner_at
from spectral_estimators._mixture_input import check_ridge, given_parts
from spectral_estimators._network_input import (
    DTYPES,
    check_magnitude,
    check_weight_range,
    row_major,
)
from spectral_estimators._progress import listener, reports_steps
from spectral_estimators._reading import Given, by_chunks, read_rows, told_columns
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._tables import is_chunked, is_remote
from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.mixtures.fit import fit_mixture
from spectral_nn.models.mixtures.gaussian import LAWS
from spectral_nn.models.mixtures.model import (
    MixtureModel,
    MixtureParameters,
    MixtureStatistics,
    log_joint,
    posterior,
)
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.warn import warn

__all__ = ["GaussianMixture", "moments_init"]


class GaussianMixture(CallbackSupportMixin, MovableMixin, DensityMixin, SpectralEstimator):
    r"""Mixture of Gaussians: starts from moments and from clusters, raced, then EM.

    .. math:: p(x) = \sum_{k=1}^{K} w_k\, N(x; \mu_k, \Sigma_k)

    EM goes to the optimum that it starts near, and clusters of k-means are a poor start where
    components overlap or there are many.  Moments see the components themselves: what is left of
    the third moments of rows, once those of noise are taken away, is a tensor whose rank-one terms
    are the means [1]_.  On real data clusters are often the better start, so ``fit`` races both
    and keeps the better likelihood.  It can stand in for ``sklearn.mixture.GaussianMixture``; what
    differs is listed under Notes.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        A covariance matrix a component; one for all; a variance for each column; one a component.
    tol : float, default=1e-3
        EM stops when a step gains less, in nats a row.
    reg_covar : float, default=1e-6
        Added to the variances of each component in every M-step: 0, or 1e-30 or more.
    max_iter : int, default=100
        Most EM steps on all rows.  0: the start as it is, which with ``init_params="tensor"`` is
        the pure method of moments.
    n_init : int, default=1
        With "tensor", how many times as many clusterings take part in the race; else how many
        starts are climbed to the end.
    init_params : str, default="tensor"
        Where starts come from.  "tensor": the race told above.  "kmeans", "k-means++", "random" and
        "random_from_data": scikit-learn's.
    weights_init, means_init, precisions_init : array-like, optional
        Parts of the start, in the shapes of ``weights_``, (K,), ``means_``, (K, p), and
        ``precisions_``.  With means there is one start: rows belong to the nearest.
    random_state : int, RandomState or None
        Equal seeds give equal models, whatever ``n_jobs``.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted model instead of a new start.
    verbose : int, bool or callable, default=0
        Print progress to standard output; or hand it to a function
        ``(stage, step, log-likelihood in nats)``.
    verbose_interval : int, default=10
        EM steps between two lines.
    n_jobs : int, optional
        Workers for every pass over the rows, as joblib means it.  The result does not depend on it.

    Attributes
    ----------
    weights_ : array (K,)
    means_ : array (K, p)
    covariances_, precisions_, precisions_cholesky_ : array
        (K, p, p) if full, (p, p) if tied, (K, p) if diagonal, (K,) if spherical.  The last is the
        upper triangular U with ``U @ U.T`` the precision, or the root of it.
    converged_ : bool
        Whether the last step gained less than ``tol``.
    n_iter_ : int
        EM steps on all rows.
    lower_bound_ : float
        Mean log-likelihood of a row before the last step, nats.
    lower_bounds_ : list of float
        The same for every step.
    init_ : str
        Which start won: "tensor"; "kmeans", the same on a sample ("quick"), or in columns of
        variance one ("scaled"); "given", "warm", "one" of one component, or what ``init_params``
        says.
    report_ : MixtureReport
        Starts of the race and their likelihoods; eigenvalues that tell means from noise, what
        noise alone would reach, and why moments took no part, if so (``fault``).
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of X, and their names if it has any.

    See Also
    --------
    moments_init : The start from moments alone, for scikit-learn's class.
    MultiViewGaussianMixture : Groups of columns that are independent within a component.
    GaussianHMM : Rows that follow each other.

    Notes
    -----
    **How far to trust moments.**  They need K columns at the least, as means have K - 1 directions
    and noise needs one.  They find planted means where columns of a component are independent and
    its variances near those of the others; ``max_iter=0`` and `moments_init` raise a `RankError`
    where the means do not stand out of the noise.  In the race they are one start of several.

    **Different from scikit-learn.**  ``init_params="tensor"``.  X may have missing entries (NaN),
    weights (``sample_weight``), and need not fit in memory, all three together.  EM steps reach
    beyond the M-step while that pays, so fewer are needed; with ``init_params="kmeans"`` the start
    is scikit-learn's own.  A component that has lost all its rows keeps its mean.

    **Cost.**  For each row and EM step 8 K p flops, or 2 K p^2 with full or tied covariances.
    Moments take p^2 + 2 K (2 p + K^2) flops a row, once.

    References
    ----------
    .. [1] Hsu, Kakade, "Learning mixtures of spherical Gaussians: moment methods and spectral
       decompositions", ITCS 2013; Pereira, Kileel, Kolda, "Tensor moments of Gaussian mixture
       models: theory and applications", 2022.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(5, 1, (100, 2))])
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> np.sort(model.weights_).round(2).tolist()
    [0.33, 0.67]
    >>> X[::7, 1] = np.nan
    >>> GaussianMixture(2, random_state=0).fit(X).weights_.sum().round(6).item()
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(LAWS))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [
            StrOptions({"tensor", "kmeans", "k-means++", "random", "random_from_data"})
        ],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose", callable],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "tensor",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @reports_steps
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find starts, race them, and climb the likelihood from the best.

        Parameters
        ----------
        X : array, shape (n, p); or what need not fit in memory
            NaN where missing; a row without any entry counts for nothing.  Also arrays on disk
            (memory maps, zarr, HDF5), dask's arrays, and iterables of chunks: arrays, or tuples
            ``(X, None, sample_weight)``.
        y : Ignored
        sample_weight : array, shape (n,), optional
            How often each row counts.

        Returns
        -------
        self

        Raises
        ------
        RankError
            With ``init_params="tensor"`` and ``max_iter=0``, if the moments of X do not carry
            ``n_components`` components.
        ValueError
            Naming the argument at fault.  The estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps were too few.
        """
        check_constraints(self)
        resume = self.warm_start and hasattr(self, "converged_")
        with runner_at(None, self.n_jobs, None, is_remote(X)) as run:
            given = self._read(X, sample_weight, run, resume=resume)
            _check_size(type(self).__name__, given, self.n_components)
            how: dict[str, Any] = {"rng": check_random_state(self.random_state), "run": run}
            if resume:
                before = self.lower_bound_ * given.rows.total_weight
                how |= {"start": self._parameters(), "before": before}
            if (tell := listener(self, partial(_step_line, self.verbose_interval))) is not None:
                how["on_step"] = tell
            found = fit_mixture(given.rows, self._options(given.n_features), **how)
        if not found.converged and self.max_iter > 0:
            warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
            )
        return self._assign(given, found, home_of(X))

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray:
        """Fit, and tell the likeliest component of each row.

        Parameters
        ----------
        X : array, shape (n, p); or what `predict` takes
        y : Ignored
        sample_weight : array, shape (n,), optional

        Returns
        -------
        labels : array (n,)
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict(self, X: Any) -> NDArray:
        """Likeliest component of each row.

        Parameters
        ----------
        X : array, shape (n, p)
            In memory, on disk, or of dask; NaN where missing.

        Returns
        -------
        labels : array (n,)
        """
        check_is_fitted(self)
        return by_chunks(partial(self._of_rows, _labels), X)

    def predict_proba(self, X: Any) -> NDArray:
        """Probability of each component for each row.

        Parameters
        ----------
        X : array, shape (n, p)

        Returns
        -------
        posterior : array (n, K)
        """
        check_is_fitted(self)
        return by_chunks(partial(self._of_rows, _posteriors), X)

    def score_samples(self, X: Any) -> NDArray:
        """Log-likelihood of each row, nats; of what is missing the marginal one.

        Parameters
        ----------
        X : array, shape (n, p)

        Returns
        -------
        log_likelihood : array (n,)
        """
        check_is_fitted(self)
        return by_chunks(partial(self._of_rows, _totals), X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-likelihood of a row, nats.

        Parameters
        ----------
        X : array, shape (n, p); or what `fit` takes
        y : Ignored
        sample_weight : array, shape (n,), optional

        Returns
        -------
        float
        """
        total, weight = self._total(X, sample_weight)
        return total / weight

    def aic(self, X: Any) -> float:
        """Akaike information criterion, the lower the better.

        Parameters
        ----------
        X : array, shape (n, p); or what `fit` takes

        Returns
        -------
        float
        """
        return -2 * self._total(X)[0] + 2 * self._n_parameters()

    def bic(self, X: Any) -> float:
        """Bayesian information criterion, the lower the better.

        Parameters
        ----------
        X : array, shape (n, p); or what `fit` takes

        Returns
        -------
        float
        """
        total, n_rows = self._total(X)
        return -2 * total + math.log(n_rows) * self._n_parameters()

    def sample(self, n_samples: int = 1) -> tuple[NDArray, NDArray]:
        """Draw rows, with their components, those of a component one after another.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : array (n_samples, p)
        y : array (n_samples,)

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples}. It must be at least 1.")
        parameters = self._parameters()
        rng = check_random_state(self.random_state)
        weights = parameters.weights / parameters.weights.sum()
        y = np.repeat(np.arange(self.n_components), rng.multinomial(n_samples, weights))
        home = home_of(self.means_)
        return at_home(parameters.emission.sample(y, rng), home), at_home(y, home)

    def _read(self, X: Any, sample_weight: Any, run: Any, *, resume: bool) -> Given:
        """What the user gave, checked."""
        if hasattr(X, "tocsr"):
            raise TypeError(
                "Sparse data was passed for X, but dense data is required. Use '.toarray()' to "
                "convert to a dense numpy array."
            )
        given = on_host(X), None, on_host(sample_weight)
        how: dict[str, Any] = {"numeric": True, "targets": None, "missing": True}
        found = read_rows(self, *given, run, resume=resume, **how)
        return replace(found, rows=found.rows.mapped(_check_rows))

    def _max_steps(self) -> int:
        """Most steps of EM that callbacks are told, of all climbs together."""
        raced = self.init_params == "tensor" and self.n_components > 1
        return self.max_iter * (2 if raced else self.n_init)  # of a race, its winner and k-means

    def _options(self, n_features: int) -> MixtureOptions:
        """Settings of a fit."""
        check_ridge(self.reg_covar)
        return MixtureOptions(
            self.n_components,
            self.covariance_type,
            self.init_params,
            self.n_init,
            self.max_iter,
            self.tol,
            self.reg_covar,
            given_parts(self, n_features),
        )

    def _assign(self, given: Given, found: Any, home: Any) -> Self:
        """Put what was found on the estimator, all at once, where the data are."""
        law = found.parameters.emission
        values = {"weights_": found.parameters.weights, "means_": law.means}
        values["covariances_"] = law.covariances
        values["precisions_cholesky_"] = root = _precision_root(law)
        with np.errstate(over="ignore"):
            precisions = root @ np.swapaxes(root, -1, -2) if law.correlated else root**2
        if not np.isfinite(precisions).all():
            raise ValueError(
                f"The columns of X vary by so little, with reg_covar={self.reg_covar:g}, that one "
                "over a variance is no finite number. Scale the columns of X."
            )
        values["precisions_"] = precisions
        told_columns(self, given)
        for name, value in values.items():
            setattr(self, name, at_home(value.astype(given.dtype), home))
        total = float(given.rows.total_weight)
        self.lower_bounds_ = [value / total for value in found.history]
        self.lower_bound_ = self.lower_bounds_[-1] if found.history else -np.inf
        self.n_iter_ = len(found.history)
        self.converged_ = found.converged
        self.init_ = found.report.winner
        self.report_ = found.report
        return self

    def _parameters(self) -> MixtureParameters:
        """What was fitted, on the host in double precision."""
        kept = [np.asarray(to_numpy(v)) for v in (self.weights_, self.means_, self.covariances_)]
        weights, means, covariances = (value.astype(np.float64) for value in kept)
        law = LAWS[self.covariance_type]
        if law.correlated and kept[-1].dtype == np.float32:
            # In single precision a covariance may not be positive any more; that of its root is.
            inverse = np.linalg.inv(to_numpy(self.precisions_cholesky_).astype(np.float64))
            covariances = np.swapaxes(inverse, -1, -2) @ inverse
        return MixtureParameters(weights, law(means, covariances))

    def _of_rows(self, function: Any, X: Any) -> Any:
        """A function of joint log-probabilities (n, K) of rows in memory, where they are."""
        home = home_of(X)
        how: dict[str, Any] = {"dtype": DTYPES, "ensure_all_finite": "allow-nan"}
        table = row_major(validate_data(self, on_host(X), reset=False, **how))
        check_magnitude(table)
        found = function(log_joint(self._parameters(), table.astype(np.float64, copy=False)))
        whole = found.dtype.kind == "i"
        return at_home(found if whole else found.astype(table.dtype), home)

    def _total(self, X: Any, sample_weight: Any = None) -> tuple[float, float]:
        """Log-likelihood of rows, nats, and their weight."""
        check_is_fitted(self)
        if not is_chunked(X) and sample_weight is None:
            each = to_numpy(self.score_samples(X))
            return float(each.mean()) * each.size, float(each.size)
        with runner_at(None, self.n_jobs, None, is_remote(X)) as run:
            rows = self._read(X, sample_weight, run, resume=True).rows
            statistic = partial(MixtureModel().statistic, self._parameters())
            found: MixtureStatistics = run.total(statistic, rows.chunks())
            return found.log_likelihood, float(rows.total_weight)

    def _n_parameters(self) -> int:
        """Free parameters."""
        return self._parameters().n_parameters

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that entries of X may be missing."""
        return with_input_tags(super().__sklearn_tags__(), allow_nan=True)


def moments_init(
    X: Any, n_components: int, covariance_type: str = "full", *, sample_weight: Any = None
) -> dict[str, NDArray[np.float64]]:
    """Start of a mixture from moments alone, for scikit-learn's `GaussianMixture`.

    Parameters
    ----------
    X : array, shape (n, p); or what `GaussianMixture.fit` takes
    n_components : int
        K, at least 1.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Of the precisions. With "full" they are the same for all components.
    sample_weight : array, shape (n,), optional

    Returns
    -------
    dict
        ``weights_init``, ``means_init`` and ``precisions_init``, float64.

    Raises
    ------
    RankError
        If the moments of X do not carry K components; the message gives the eigenvalues.

    See Also
    --------
    GaussianMixture : Races this start against others.
    sklearn.mixture.GaussianMixture : Takes it.

    References
    ----------
    Hsu, Kakade, "Learning mixtures of spherical Gaussians: moment methods and spectral
    decompositions", ITCS 2013.

    Pereira, Kileel, Kolda, "Tensor moments of Gaussian mixture models: theory and applications",
    2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture as Theirs
    >>> rng = np.random.default_rng(0)
    >>> means = 3 * rng.standard_normal((4, 10))
    >>> X = means[rng.integers(4, size=5000)] + rng.standard_normal((5000, 10))
    >>> model = Theirs(4, **moments_init(X, 4)).fit(X)
    >>> order = np.argsort(model.means_[:, 0]), np.argsort(means[:, 0])
    >>> bool(np.abs(model.means_[order[0]] - means[order[1]]).max() < 0.2)
    True
    """
    how: dict[str, Any] = {"covariance_type": covariance_type, "max_iter": 0}
    found = GaussianMixture(n_components, **how).fit(X, sample_weight=sample_weight)
    names = ("weights", "means", "precisions")
    return {
        f"{name}_init": to_numpy(getattr(found, f"{name}_")).astype(np.float64) for name in names
    }


def _check_rows(rows: Rows) -> Rows:
    check_magnitude(rows.X)
    if rows.weight is not None:
        check_weight_range(to_numpy(rows.weight))
    return rows


def _check_size(name: str, given: Given, n_components: int) -> None:
    """Check that there are two rows, and as many as components."""
    n = given.rows.n_rows
    if n < 2:
        raise ValueError(
            f"Found array with {n} sample(s) while a minimum of 2 is required by {name}."
        )
    if n < n_components:
        raise ValueError(
            f"Expected n_samples >= n_components but got n_components = {n_components}, "
            f"n_samples = {n}"
        )
    if isinstance(given.rows, Rows) and np.isnan(given.rows.X).all(axis=0).any():
        at = int(np.isnan(given.rows.X).all(axis=0).argmax())
        raise ValueError(f"Column {at} of X is missing in every row. Leave it out.")


def _precision_root(law: Any) -> NDArray[np.float64]:
    """Upper triangular U with ``U @ U.T`` the precision; of variances, one over their root."""
    if not law.correlated:
        return 1 / np.sqrt(law.covariances)
    return np.swapaxes(np.linalg.inv(np.linalg.cholesky(law.covariances)), -1, -2)


def _labels(joint: NDArray[np.floating]) -> NDArray[np.int64]:
    return joint.argmax(axis=1)


def _posteriors(joint: NDArray[np.floating]) -> NDArray[np.floating]:
    return posterior(joint)[0]


def _totals(joint: NDArray[np.floating]) -> NDArray[np.floating]:
    return posterior(joint)[1]


def _step_line(interval: int, stage: str, step: int, objective: float) -> str:
    """Make a line of progress: of every start of a race, and of some steps of EM."""
    if stage == "EM" and step % interval:
        return ""
    return f"{stage}, step {step}: log-likelihood {objective:.4f}"
