"""`DawidSkene`: true labels, and how reliable workers are, from the labels of a crowd."""

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._answers import (
    categories_of,
    codes_of,
    is_missing,
    read_answers,
    set_columns,
)
from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import runner_at
from spectral_estimators._progress import listener, reports_steps
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    feature_names,
    output_container,
    with_input_tags,
)
from spectral_estimators._validation import spawn_rng
from spectral_nn.emissions.categorical_items import CategoricalItems
from spectral_nn.models.base import silent
from spectral_nn.models.mixtures.crowd import (
    CrowdOptions,
    fit_crowd,
    infer_labels,
    lay_out_labels,
)
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.warn import warn

__all__ = ["DawidSkene"]

_LONG = ("task", "worker", "label")
_HINT_OF_LONG = (
    "If each row is one label, that is the long layout: give the columns task, worker and label in "
    'this order with layout="long", or under these names.'
)


class _Labels(NamedTuple):
    """Labels as they were given, one an entry.

    Attributes
    ----------
    task, worker, label : arrays (n,)
        Tasks and workers as codes; labels as the user has them.
    tasks, workers : arrays
        What these codes stand for.
    """

    task: NDArray[np.int64]
    worker: NDArray[np.int64]
    label: NDArray
    tasks: NDArray
    workers: NDArray


class DawidSkene(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, SpectralEstimator
):
    r"""True labels of tasks from those that several workers gave, each with errors of their own.

    Every worker has a matrix of confusion, and labels of different workers are independent given
    the true one [1]_. EM starts from the majority vote, and weighs workers by how reliable they
    turn out to be, label by label.

    Parameters
    ----------
    init : {"majority", "tensor"}, default="majority"
        Where EM starts: from the shares of the votes, or from moments of three groups of workers
        [2]_.
    max_iter : int, default=1000
        Most EM steps. 0: the start alone.
    tol : float, default=1e-8
        EM stops when a step gains less, in nats a task.
    layout : {"auto", "wide", "long"}, default="auto"
        "wide": X has a row for each task and a column for each worker, NaN or None where there is
        no label. "long": X has the three columns task, worker and label, a row for each label.
        "auto": long if X is a data frame with columns of these names, else wide.
    confusion_prior : float, default=1.0
        Parameter of the Dirichlet prior of the rows of matrices of confusion; 1 is flat. With 2,
        say, a worker with few labels is never taken to be infallible.
    class_prior : float, default=1.0
        Parameter of the Dirichlet prior of the shares of the true labels; 1 is flat.
    random_state : int, RandomState or None
        For ``init="tensor"``: which workers form a group.
    n_jobs : int, optional
        Workers, as joblib means it, for more than 16,384 tasks.

    Attributes
    ----------
    classes_ : array (L,)
        The labels, sorted.
    workers_ : array (W,)
        Those with labels: their names, sorted; in the wide layout the columns, by name if X is a
        data frame, else by number.
    confusion_matrices_ : array (W, L, L)
        ``[w, k, v]``: probability that worker w says ``classes_[v]`` where ``classes_[k]`` is true.
    class_prior_ : array (L,)
        Share of each true label.
    tasks_ : array (n_tasks,)
        In the long layout as X names them, sorted; in the wide one numbers of rows.
    labels_ : array (n_tasks,)
        Most probable label of each task of X.
    n_iter_ : int
        EM steps.
    converged_ : bool
        Whether the last step gained less than ``tol``.
    lower_bound_ : float
        Log-likelihood plus log prior, in nats a task, before the last step.
    report_ : ClassesReport
        Starts and winner, and what moments showed with ``init="tensor"``.
    n_features_in_, feature_names_in_ : int and array (n_columns,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MultiViewMixture : Classes without names.

    Notes
    -----
    **Moments do not help here.** On five real sets of crowd labels EM from a start by moments [2]_
    was no better than EM from the majority vote: most workers do better than chance, so that votes
    are a good start, and moments of pairs and triples of workers rest on the few tasks that these
    have in common. The value of this class is a plain EM that is fast: sums over the labels that
    were given, in sparse matrices, O(L) for each of them and step.

    A worker who is first seen by `predict` says nothing.

    References
    ----------
    .. [1] Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM
       algorithm", Applied Statistics 28, 1979.
    .. [2] Zhang, Chen, Zhou, Jordan, "Spectral methods meet EM: a provably optimal algorithm for
       crowdsourcing", NIPS 2014.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([["cat", "cat", "dog"], ["dog", "dog", "dog"], ["cat", "cat", "dog"],
    ...               ["dog", "dog", None], ["cat", None, "dog"]], dtype=object)
    >>> model = DawidSkene().fit(X)
    >>> model.labels_.tolist()
    ['cat', 'dog', 'cat', 'dog', 'cat']
    >>> model.confusion_matrices_[2].round(1).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "init": [StrOptions({"majority", "tensor"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "layout": [StrOptions({"auto", "wide", "long"})],
        "confusion_prior": [Interval(Real, 0, None, closed="neither")],
        "class_prior": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        init: str = "majority",
        max_iter: int = 1000,
        tol: float = 1e-8,
        layout: str = "auto",
        confusion_prior: float = 1.0,
        class_prior: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.layout = layout
        self.confusion_prior = confusion_prior
        self.class_prior = class_prior
        self.random_state = random_state
        self.n_jobs = n_jobs

    @reports_steps
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find true labels and matrices of confusion.

        Parameters
        ----------
        X : array or data frame, shape (n_tasks, n_workers) or (n_labels_given, 3)
            See ``layout``. Labels are strings, numbers or booleans.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault. The estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps were not enough.
        UserWarning
            If ``layout="auto"`` reads X as wide, and no label occurs in two of its columns.
        """
        check_constraints(self)
        X = self._columns_of(X)
        given = self._read(X, reset=True)
        nothing = np.zeros(given.label.shape, dtype=bool)
        wide_by_default = self.layout == "auto" and not self._is_long(X)
        advice = f" {_HINT_OF_LONG}" if wide_by_default else ""
        classes = categories_of(given.label, nothing, "X", advice)
        label = codes_of(given.label, nothing, classes, "X").astype(np.int64)
        if wide_by_default:
            _warn_if_nothing_is_shared(given, label, classes)
        seen, worker = np.unique(given.worker, return_inverse=True)
        workers = given.workers[seen]
        shape = (given.tasks.size, workers.size, classes.size)
        x = lay_out_labels(given.task, worker, label, shape)
        options = CrowdOptions(
            classes.size,
            self.init,
            self.max_iter,
            self.tol,
            self.confusion_prior - 1.0,
            self.class_prior,
        )
        with runner_at(None, self.n_jobs, None, False) as run:
            how: dict[str, Any] = {"run": run, "on_step": listener(self) or silent}
            found = fit_crowd(x, options, rng=spawn_rng(self.random_state), **how)
            shares = infer_labels(found.parameters, x)
        if self.max_iter and not found.converged:
            warn(
                f"EM was still gaining after max_iter={self.max_iter} steps. Raise max_iter, or "
                "tol.",
                ConvergenceWarning,
            )
        law: Any = found.parameters.emission
        set_columns(self, X)
        self.classes_, self.workers_, self.tasks_ = classes, workers, given.tasks
        self.class_prior_ = found.parameters.weights
        self.confusion_matrices_ = np.stack(law.of_items())
        self.labels_ = classes[shares.argmax(axis=1)]
        self.n_iter_ = len(found.history)
        self.converged_ = found.converged
        self.lower_bound_ = found.history[-1] / shape[0] if found.history else float("nan")
        self.report_ = found.report
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label for each task.

        Parameters
        ----------
        X : array or data frame, as in `fit`

        Returns
        -------
        array, shape (n_tasks, L)
            In the long layout the tasks of X are sorted, as ``numpy.unique`` returns them; with
            ``set_output(transform="pandas")`` they are the index. A task without labels has the
            shares of all tasks.
        """
        shares, tasks = self._infer(X)
        if output_container(self) == "pandas" and self._is_long(X):
            from pandas import DataFrame

            return DataFrame(shares, index=tasks)  # scikit-learn would take the index of X
        return shares

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label for each task; another name of `transform`.

        Parameters
        ----------
        X : array or data frame, as in `fit`

        Returns
        -------
        array, shape (n_tasks, L)
        """
        return self._infer(X)[0]

    def predict(self, X: Any) -> NDArray:
        """Return the most probable label of each task; see `transform`.

        Parameters
        ----------
        X : array or data frame, as in `fit`

        Returns
        -------
        array, shape (n_tasks,)
        """
        shares = self._infer(X)[0]
        return self.classes_[shares.argmax(axis=1)]

    def fit_predict(self, X: Any, y: Any = None) -> NDArray:
        """Find true labels, and return them: ``labels_``.

        Parameters
        ----------
        X : array or data frame, as in `fit`
        y : ignored

        Returns
        -------
        array, shape (n_tasks,)
        """
        return self.fit(X).labels_

    def _infer(self, X: Any) -> tuple[NDArray[np.float64], NDArray]:
        """Probabilities of the labels (n_tasks, L), and the tasks."""
        check_is_fitted(self)
        given = self._read(self._columns_of(X), reset=False)
        nothing = np.zeros(given.label.shape, dtype=bool)
        label = codes_of(given.label, nothing, self.classes_, "X").astype(np.int64)
        places = {name: place for place, name in enumerate(self.workers_.tolist())}
        place = np.array([places.get(name, -1) for name in given.workers.tolist()])
        known = place[given.worker] >= 0
        worker = place[given.worker[known]]
        shape = (given.tasks.size, self.workers_.size, self.classes_.size)
        x = lay_out_labels(given.task[known], worker, label[known], shape)
        L = self.classes_.size
        probs = self.confusion_matrices_.transpose(1, 0, 2).reshape(L, -1)
        law = CategoricalItems(probs, (L,) * self.workers_.size)
        return infer_labels(MixtureParameters(self.class_prior_, law), x), given.tasks

    def _max_steps(self) -> int:
        """Most steps of EM that callbacks are told."""
        return self.max_iter

    def _columns_of(self, X: Any) -> Any:
        """Of a data frame in the long layout the three columns; else X."""
        return X[list(_LONG)] if self._is_long(X) and _has_names(X) else X

    def _read(self, X: Any, *, reset: bool) -> _Labels:
        """Labels of either layout.

        Raises
        ------
        ValueError
            Naming X.
        """
        if self._is_long(X):
            return self._read_long(X, reset=reset)
        table = read_answers(self, X, reset=reset)
        row, column = np.nonzero(~is_missing(table))
        if reset and row.size == 0:
            raise ValueError("X has no labels: all of it is missing.")
        # What was fitted to a frame may be given an array, and the other way round.
        names = feature_names(X) if reset else getattr(self, "feature_names_in_", None)
        tasks, workers = np.arange(table.shape[0]), _workers(names, table.shape[1])
        return _Labels(row, column, table[row, column], tasks, workers)

    def _is_long(self, X: Any) -> bool:
        return self.layout == "long" or (self.layout == "auto" and _has_names(X))

    def _read_long(self, X: Any, *, reset: bool) -> _Labels:
        table = read_answers(self, X, reset=reset)
        if table.shape[1] != len(_LONG):
            raise ValueError(
                f"X has {table.shape[1]} columns: layout='long' takes three, task, worker and "
                "label."
            )
        missing = is_missing(table)
        if missing.any():
            row, column = np.argwhere(missing)[0]
            raise ValueError(
                f"row {row} of X has no {_LONG[column]}: leave out the rows of labels that were "
                "not given."
            )
        whole = np.zeros(len(table), dtype=bool)
        tasks = categories_of(table[:, 0], whole, "the column of tasks in X")
        task = codes_of(table[:, 0], whole, tasks, "the column of tasks in X").astype(np.int64)
        names, label = (np.array(table[:, j].tolist()) for j in (1, 2))
        workers, worker = np.unique(names, return_inverse=True)
        return _Labels(task, worker, label, tasks, workers)

    @property
    def _n_features_out(self) -> int:
        return self.classes_.size

    def __sklearn_tags__(self) -> Any:
        return with_input_tags(super().__sklearn_tags__(), allow_nan=True, string=True)


def _has_names(X: Any) -> bool:
    """Whether X is a frame with the columns of the long layout."""
    names = list(getattr(X, "columns", ()))
    return all(name in names for name in _LONG)


def _workers(names: NDArray | None, n_columns: int) -> NDArray:
    """Names of columns, or their numbers where they have none, or two have one name."""
    if names is None or len(set(names)) < n_columns:
        return np.arange(n_columns)
    return np.array(names.tolist())


def _warn_if_nothing_is_shared(given: _Labels, label: NDArray[np.int64], classes: NDArray) -> None:
    """Warn where two columns or more have labels, and none of these occurs in two of them."""
    n_columns = np.unique(given.worker).size
    pairs = np.unique(label * given.workers.size + given.worker).size
    if n_columns < 2 or pairs > classes.size:
        return
    shown = ", ".join(repr(one) for one in classes[:5].tolist())
    warn(
        f"X was read as wide, a column for each worker, but no label occurs in two of its "
        f"{n_columns} columns: together they hold {classes.size} labels "
        f"({shown}{', ...' if classes.size > 5 else ''}). {_HINT_OF_LONG} If workers do share no "
        'label, layout="wide" says so.',
        UserWarning,
    )
