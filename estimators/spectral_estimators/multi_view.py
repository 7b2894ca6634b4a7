"""`MultiViewMixture`: classes that explain the answers to several items, from moments first."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._answers import (
    categories_of,
    codes_of,
    is_missing,
    read_answers,
    set_columns,
    values_of,
)
from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import runner_at
from spectral_estimators._network_input import check_weight_range, row_weights
from spectral_estimators._progress import listener, reports_steps
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    feature_names,
    with_input_tags,
)
from spectral_estimators._validation import spawn_rng
from spectral_nn.emissions.categorical_items import CategoricalItems
from spectral_nn.models.base import Fit, silent
from spectral_nn.models.mixtures.items import N_STARTS, ItemsOptions, fit_items, infer_classes
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.warn import warn

__all__ = ["MultiViewMixture"]

_MANY_CATEGORIES = 50
_LEAST_ROWS = 10  # to a category, on average: K classes share them


class MultiViewMixture(CallbackSupportMixin, DensityMixin, SpectralEstimator):
    r"""Latent classes of rows whose columns are categorical and independent within each class.

    Latent-class analysis of any number of items, with any number of categories each and with
    missing answers. `fit` makes several starts, of third-order moments of three groups of items
    (*views*) and of random posteriors, races them on equal steps, and climbs with EM from the
    winner.

    Parameters
    ----------
    n_components : int, default=1
        Number of classes K.
    init : {"tensor", "random"}, default="tensor"
        Where starts come from. "tensor": an eighth of them are decompositions of moments, which are
        completed at rows ill explained where moments show fewer classes, and the others random.
    n_init : int, optional
        Number of starts. None: 48 for "tensor", else 1.
    max_iter : int, default=1000
        Most EM steps on all data. 0: the start alone; with "tensor", moments and no likelihood.
    tol : float, default=1e-9
        EM stops when a step gains less, in nats a row.
    categories : "auto" or list of p array-likes of shape (n_categories,), default="auto"
        Categories of each item, sorted; "auto": those that X holds. Name them if X may lack some.
    item_probs_prior : float, default=1.0
        Parameter of the Dirichlet prior of the answers to an item in a class; 1 is flat. With 2,
        say, no answer is impossible because a class lacks it.
    weights_prior : float, default=1.0
        Parameter of the Dirichlet prior of the weights; 1 is flat.
    random_state : int, RandomState or None
        Equal seeds give equal classes, whatever ``n_jobs`` and the order of rows.
    n_jobs : int, optional
        Workers, as joblib means it, for tables of more than 16,384 distinct rows.

    Attributes
    ----------
    weights_ : array (K,)
        Share of each class, the largest first.
    item_probs_ : list of p arrays (K, n_categories)
        Probability of each answer to each item in each class.
    categories_ : list of p arrays (n_categories,)
        Of each item.
    n_iter_ : int
        EM steps on all data.
    converged_ : bool
        Whether the last step gained less than ``tol``.
    lower_bound_ : float
        Log-likelihood of X plus log prior, in nats a row, before the last step.
    lower_bounds_ : list of float
        The same before each step.
    init_ : str
        The start that won: "tensor" or "random"; "given" for one class.
    report_ : ClassesReport
        Starts, winner, distinct rows, and what the moments of each division into views showed.
    n_features_in_, feature_names_in_ : int and array (p,)
        Items, and their names if they have any.

    See Also
    --------
    MultiViewGaussianMixture : Views of numbers, groups of columns.
    DawidSkene : Classes that have the same names as the answers: labels by a crowd.

    Notes
    -----
    .. math:: P(x) = \sum_k w_k \prod_{j \text{ answered}} P(x_j \mid k)

    Of three views that are independent given the class, cross moments are reduced to symmetric
    ones, whitened and decomposed [1]_. A view is a group of items, two or more of them compounded
    into one with all their combinations of answers. Moments of missing answers rest on the rows
    that have answered, which is unbiased where answers are missing by chance.

    Moments show a class if it moves a canonical correlation between views above chance,
    ``(sqrt(r1) + sqrt(r2)) / sqrt(n)``. Of 2,000 rows of 12 yes-or-no items they often show three
    or four of five classes. On such data random starts end at the best likelihood as often as those
    from moments: what makes the fit fast and safe is that all of them climb at once, in one product
    of matrices a step, and that equal rows are one row that weighs more.

    Classes are in the order of their weights; which number a class has means nothing else.

    References
    ----------
    .. [1] Anandkumar, Ge, Hsu, Kakade, Telgarsky, "Tensor decompositions for learning latent
       variable models", JMLR 15, 2014, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> classes = rng.choice(2, 1000, p=[0.7, 0.3])
    >>> yes = np.array([[0.9, 0.8, 0.7, 0.9, 0.1], [0.2, 0.1, 0.3, 0.1, 0.6]])
    >>> X = np.where(rng.random((1000, 5)) < yes[classes], "yes", "no")
    >>> model = MultiViewMixture(n_components=2, random_state=0).fit(X)
    >>> model.weights_.round(1).tolist()
    [0.7, 0.3]
    >>> model.categories_[0].tolist(), model.item_probs_[0].round(1).tolist()
    (['no', 'yes'], [[0.1, 0.9], [0.7, 0.3]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"tensor", "random"})],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "categories": [StrOptions({"auto"}), list, tuple],
        "item_probs_prior": [Interval(Real, 0, None, closed="neither")],
        "weights_prior": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        init: str = "tensor",
        n_init: int | None = None,
        max_iter: int = 1000,
        tol: float = 1e-9,
        categories: Any = "auto",
        item_probs_prior: float = 1.0,
        weights_prior: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.categories = categories
        self.item_probs_prior = item_probs_prior
        self.weights_prior = weights_prior
        self.random_state = random_state
        self.n_jobs = n_jobs

    @reports_steps
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the classes.

        Parameters
        ----------
        X : array or data frame, shape (n, p)
            Answers of any kind: numbers, strings, booleans; NaN or None where missing.
        y : ignored
        sample_weight : array, shape (n,), optional
            How often each row counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault. The estimator is then as it was before.
        RankError
            With ``max_iter=0``, if the moments do not carry K classes.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps were not enough.
        RankWarning
            If there are no other starts than moments, and they show fewer than K classes.
        RecoveryWarning
            If fewer than three columns vary: other classes then explain X as well.
        UserWarning
            If a column has more than 50 categories, of fewer than ten rows each on average.
        """
        check_constraints(self)
        answers = read_answers(self, X, reset=True)
        _, answers, weight = row_weights(sample_weight, np.zeros(len(answers)), answers)
        weight = np.ones(len(answers)) if weight is None else weight
        check_weight_range(weight)
        missing = is_missing(answers)
        categories = self._find_categories(answers, missing)
        codes = _encode(answers, missing, categories)
        if len(codes) < self.n_components:
            raise ValueError(
                "Expected n_samples >= n_components but got n_components = "
                f"{self.n_components}, n_samples = {len(codes)}. Use fewer classes."
            )
        if isinstance(self.categories, str):
            _warn_of_rare_categories(codes, categories, feature_names(X))
        n_init = self.n_init or (N_STARTS if self.init == "tensor" else 1)
        options = ItemsOptions(
            self.n_components,
            self.init,
            n_init,
            self.max_iter,
            self.tol,
            self.item_probs_prior - 1.0,
            self.weights_prior,
        )
        n_categories = tuple(cats.size for cats in categories)
        with runner_at(None, self.n_jobs, None, False) as run:
            rng = spawn_rng(self.random_state)
            how: dict[str, Any] = {"rng": rng, "run": run, "on_step": listener(self) or silent}
            found = fit_items(codes, weight, n_categories, options, **how)
        if self.max_iter and not found.converged:
            warn(
                f"EM was still gaining after max_iter={self.max_iter} steps. Raise max_iter, or "
                "tol.",
                ConvergenceWarning,
            )
        set_columns(self, X)
        self.categories_ = categories
        return self._assign(found, float(weight.sum()))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array or data frame, shape (n, p)
            As in `fit`; answers that fit has not seen raise a ValueError.

        Returns
        -------
        array, shape (n,)
        """
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int64]:
        """Find the classes, and return the most probable one of each row; see `fit`.

        Parameters
        ----------
        X : array or data frame, shape (n, p)
        y : ignored
        sample_weight : array, shape (n,), optional

        Returns
        -------
        array, shape (n,)
        """
        return self.fit(X, y, sample_weight).predict(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the posterior of the classes for each row.

        Parameters
        ----------
        X : array or data frame, shape (n, p)

        Returns
        -------
        array, shape (n, K)
            The weights for a row without answers, or with answers that no class gives.
        """
        return self._infer(X)[0]

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return the log-likelihood of each row, in nats; of missing answers the marginal one.

        Parameters
        ----------
        X : array or data frame, shape (n, p)

        Returns
        -------
        array, shape (n,)
        """
        return self._infer(X)[1]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log-likelihood of a row, in nats.

        Parameters
        ----------
        X : array or data frame, shape (n, p)
        y : ignored
        sample_weight : array, shape (n,), optional
            How often each row counts.

        Returns
        -------
        float
        """
        values = self.score_samples(X)
        if sample_weight is None:
            return float(values.mean())
        values, _, weight = row_weights(sample_weight, values, values[:, None])
        assert weight is not None
        check_weight_range(weight)
        return float(np.average(values, weights=weight))

    def aic(self, X: Any) -> float:
        """Akaike's information criterion on X; the lower the better.

        Parameters
        ----------
        X : array or data frame, shape (n, p)

        Returns
        -------
        float
        """
        return float(2 * self._n_parameters() - 2 * self.score_samples(X).sum())

    def bic(self, X: Any) -> float:
        """Bayesian information criterion on X; the lower the better.

        Parameters
        ----------
        X : array or data frame, shape (n, p)

        Returns
        -------
        float
        """
        values = self.score_samples(X)
        return float(self._n_parameters() * np.log(values.size) - 2 * values.sum())

    def sample(self, n_samples: int = 1) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : array, shape (n_samples, p)
            Of objects if the items are of several kinds.
        classes : array, shape (n_samples,)
            That each row was drawn from.

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples}: draw one row at least.")
        rng = check_random_state(self.random_state)
        parameters = self._parameters()
        classes = rng.choice(self.weights_.size, n_samples, p=self.weights_ / self.weights_.sum())
        law: Any = parameters.emission
        ends = np.cumsum(law.n_categories)[:-1]
        drawn = [part.argmax(axis=1) for part in np.split(law.sample(classes, rng), ends, axis=1)]
        return values_of(np.stack(drawn, axis=1), self.categories_), classes

    def _max_steps(self) -> int:
        """Most steps of EM that callbacks are told."""
        return self.max_iter

    def _find_categories(self, X: NDArray, missing: NDArray[np.bool_]) -> list[NDArray]:
        """Categories of each item: those that are given, or that X holds."""
        p = X.shape[1]
        if isinstance(self.categories, str):
            return [categories_of(X[:, j], missing[:, j], f"column {j} of X") for j in range(p)]
        if len(self.categories) != p:
            raise ValueError(
                f"categories has {len(self.categories)} entries, but X has {p} columns: give one "
                "list for each."
            )
        given = []
        for j, named in enumerate(self.categories):
            values = np.asarray(named)
            cats = categories_of(values, is_missing(values), f"categories[{j}]")
            if values.ndim != 1 or cats.size < values.size:
                raise ValueError(f"categories[{j}] must be a list of distinct values.")
            given.append(cats)
        return given

    def _infer(self, X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        check_is_fitted(self)
        X = read_answers(self, X, reset=False)
        codes = _encode(X, is_missing(X), self.categories_)
        with runner_at(None, self.n_jobs, None, False) as run:
            return infer_classes(self._parameters(), codes, run)

    def _parameters(self) -> MixtureParameters:
        sizes = tuple(cats.size for cats in self.categories_)
        law = CategoricalItems(np.concatenate(self.item_probs_, axis=1), sizes)
        return MixtureParameters(np.asarray(self.weights_), law)

    def _n_parameters(self) -> int:
        check_is_fitted(self)
        return self._parameters().n_parameters

    def _assign(self, found: Fit[MixtureParameters], total: float) -> Self:
        law: Any = found.parameters.emission
        order = np.argsort(-found.parameters.weights, kind="stable")
        self.weights_ = found.parameters.weights[order]
        self.item_probs_ = [probs[order] for probs in law.of_items()]
        self.n_iter_ = len(found.history) if self.max_iter else 0
        self.converged_ = found.converged
        self.lower_bounds_ = [value / total for value in found.history]
        self.lower_bound_ = self.lower_bounds_[-1]
        self.init_ = found.report.winner
        self.report_ = found.report
        return self

    def __sklearn_tags__(self) -> Any:
        return with_input_tags(super().__sklearn_tags__(), allow_nan=True, string=True)


def _encode(
    X: NDArray, missing: NDArray[np.bool_], categories: list[NDArray]
) -> NDArray[np.float64]:
    """Codes of all items."""
    names = (f"column {j} of X" for j in range(X.shape[1]))
    return np.stack(list(map(codes_of, X.T, missing.T, categories, names)), axis=1)


def _warn_of_rare_categories(
    codes: NDArray[np.float64], categories: list[NDArray], names: NDArray | None
) -> None:
    """Warn of the first column most of whose categories have hardly a row to each class."""
    n_answers = (~np.isnan(codes)).sum(axis=0)
    sizes = np.array([cats.size for cats in categories])
    rare = np.flatnonzero((sizes > _MANY_CATEGORIES) & (sizes * _LEAST_ROWS > n_answers))
    if not rare.size:
        return
    at = rare[0]
    name = f"column {at}" if names is None else f"column {names[at]!r}"
    others = f", the first of {rare.size} such columns," if rare.size > 1 else ""
    warn(
        f"{name} of X{others} has {sizes[at]} categories in {n_answers[at]} answers: too few of "
        "each to tell classes by, and a fit takes time in proportion. Cut numbers into bins "
        "(KBinsDiscretizer), or give them to MultiViewGaussianMixture; leave out columns of ids.",
        UserWarning,
    )
