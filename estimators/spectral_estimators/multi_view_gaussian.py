"""`MultiViewGaussianMixture`: components of rows of numbers that several views agree on."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_estimators._mixture_input import check_ridge
from spectral_estimators._reading import Given
from spectral_estimators._sklearn_compat import StrOptions
from spectral_estimators.mixture import GaussianMixture
from spectral_nn.emissions.gaussian_blocks import BlockGaussian
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.models.mixtures.options import MixtureOptions

__all__ = ["MultiViewGaussianMixture"]

_MADE_HERE = ("weights_init", "means_init", "precisions_init")  # of `GaussianMixture`


class MultiViewGaussianMixture(GaussianMixture):
    r"""Mixture of Gaussians whose columns come in views, independent within a component.

    .. math:: p(x) = \sum_{k=1}^{K} w_k \prod_v N(x_v; \mu_{kv}, \Sigma_{kv})

    What two views have in common is due to the component alone, so that moments of three views find
    the means whatever the noise within a view is: its covariances need be neither diagonal nor the
    same in all components [1]_. `fit` races that start against clusters as `GaussianMixture` does,
    and climbs the likelihood.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    views : list of array-likes of int, each of shape (n_columns,), optional
        Columns of each view; every column belongs to one. None: each column is a view.
    covariance_type : {"full", "diag"}, default="full"
        Of each view and component: a covariance matrix, or a variance for each column.
    tol : float, default=1e-3
        EM stops when a step gains less, in nats a row.
    reg_covar : float, default=1e-6
        Added to the variances of each component in every M-step.
    max_iter : int, default=100
        Most EM steps on all rows. 0: the start as it is, which with ``init_params="tensor"`` is the
        pure method of moments.
    n_init : int, default=1
        As of `GaussianMixture`.
    init_params : str, default="tensor"
        Where starts come from. "tensor": the race told above, which needs three views or more.
        "kmeans", "k-means++", "random" and "random_from_data": scikit-learn's.
    random_state : int, RandomState or None
        Equal seeds give equal models, whatever ``n_jobs``.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted model instead of a new start.
    verbose : int, bool or callable, default=0
        Print progress, or hand it to a function ``(stage, step, log-likelihood in nats)``.
    verbose_interval : int, default=10
        EM steps between two lines.
    n_jobs : int, optional
        Workers for every pass over the rows, as joblib means it.

    Attributes
    ----------
    weights_ : array (K,)
    means_ : array (K, p)
    covariances_, precisions_, precisions_cholesky_ : array
        (K, p, p), zero between views, if full; (K, p) if diagonal.
    views_ : list of arrays of int (n_columns,)
        Columns of each view.
    converged_, n_iter_, lower_bound_, lower_bounds_, init_
        As of `GaussianMixture`.
    report_ : MixtureReport
        Starts of the race and their likelihoods; canonical correlations between views, what chance
        reaches (``noise_floor``), how many are above it (``rank``), the ``residual`` of the
        decomposition, and why moments took no part, if so (``fault``).
    n_features_in_, feature_names_in_ : int and array (p,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MultiViewMixture : Views that are categorical items.
    GaussianMixture : Columns that may depend on each other in any way.

    Notes
    -----
    Views beyond three are joined to three for the moments, which rest on rows without missing
    entries; EM takes missing entries as `GaussianMixture` does. Three joined views of d columns
    each tell d + 1 components apart at the most, and moments show a component if it moves a
    canonical correlation between views above chance, ``(sqrt(d1) + sqrt(d2)) / sqrt(n)``.

    An EM step costs what one of `GaussianMixture` does, 2 n K p^2 flops with full covariances;
    moments take one pass of ``2 n d1 d2 d3`` flops.

    References
    ----------
    .. [1] Anandkumar, Ge, Hsu, Kakade, Telgarsky, "Tensor decompositions for learning latent
       variable models", JMLR 15, 2014, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.choice(2, 2000, p=[0.7, 0.3])
    >>> noise = [rng.standard_normal((2000, 2)) @ rng.standard_normal((2, 2)) for _ in range(3)]
    >>> X = 2.0 * labels[:, None] + np.concatenate(noise, axis=1)
    >>> model = MultiViewGaussianMixture(2, views=[[0, 1], [2, 3], [4, 5]], random_state=0).fit(X)
    >>> model.weights_[model.means_[:, 0].argsort()].round(1).tolist()
    [0.7, 0.3]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: constraint
        for name, constraint in GaussianMixture._parameter_constraints.items()
        if name not in _MADE_HERE
    } | {
        "views": ["array-like", None],
        "covariance_type": [StrOptions({"full", "diag"})],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        views: Any = None,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "tensor",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.views = views
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    def _options(self, n_features: int) -> MixtureOptions:
        """Settings of a fit."""
        check_ridge(self.reg_covar)
        views = _read_views(self.views, n_features)
        if self.views is not None and len(views) < 3 and self.init_params == "tensor":
            raise ValueError(
                f"views has {len(views)} entries, but moments need three views that are "
                "independent in each component: what two agree on leaves the means open. Split a "
                "view, or use init_params='kmeans'."
            )
        return MixtureOptions(
            self.n_components,
            self.covariance_type,
            self.init_params,
            self.n_init,
            self.max_iter,
            self.tol,
            self.reg_covar,
            views=_numbers_of(views),
        )

    def _assign(self, given: Given, found: Any, home: Any) -> Any:
        self.views_ = _read_views(self.views, given.n_features)
        return super()._assign(given, found, home)

    def _parameters(self) -> MixtureParameters:
        found = super()._parameters()
        if self.covariance_type == "diag":
            return found
        full: Any = found.emission
        law: Any = BlockGaussian.of(full, _numbers_of(self.views_))
        return MixtureParameters(found.weights, law)


def _read_views(views: Any, n_features: int) -> list[NDArray[np.int64]]:
    """Columns of each view, checked."""
    if views is None:
        return [np.array([j]) for j in range(n_features)]
    if getattr(views, "ndim", 1) == 0 or not isinstance(views, Iterable):
        raise ValueError(f"views must be a list of lists of columns of X; got {views!r}.")
    found = []
    for i, view in enumerate(views):
        columns = np.atleast_1d(np.asarray(view))
        if columns.ndim != 1 or columns.dtype.kind not in "iu" or not columns.size:
            raise ValueError(
                f"views[{i}] must be a list of numbers of columns of X, such as [0, 1]; got "
                f"{view!r}."
            )
        found.append(columns.astype(np.int64))
    taken = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    if taken.size and not 0 <= taken.min() <= taken.max() < n_features:
        far = int(taken[(taken < 0) | (taken >= n_features)][0])
        raise ValueError(
            f"views names column {far}, but X has the columns 0 to {n_features - 1}. Leave it out."
        )
    counts = np.bincount(taken, minlength=n_features)
    if (counts != 1).any():
        j = int((counts != 1).argmax())
        raise ValueError(
            f"Column {j} of X is in {counts[j]} of the views, but each column belongs to one. "
            + ("Add it to a view, or leave it out of X." if counts[j] == 0 else "Name it once.")
        )
    return found


def _numbers_of(views: list[NDArray[np.int64]]) -> tuple[int, ...]:
    """The view of each column."""
    of = np.empty(sum(view.size for view in views), dtype=np.int64)
    for i, columns in enumerate(views):
        of[columns] = i
    return tuple(of.tolist())
