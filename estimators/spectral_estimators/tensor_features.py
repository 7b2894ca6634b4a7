"""`TensorFeatures`: directions that moments find, as a supervised dimension reduction."""

from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import MovableMixin, check_device, home_of, runner_at
from spectral_estimators._input_laws import LAW_CONSTRAINTS, score_of_laws
from spectral_estimators._network_input import (
    check_known,
    columns,
    fit_classes,
    one_hot,
)
from spectral_estimators._progress import reports_steps
from spectral_estimators._reading import (
    Encoder,
    Given,
    by_chunks,
    read_inputs,
    read_rows,
    told_columns,
)
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._tables import is_remote
from spectral_estimators._validation import spawn_rng
from spectral_nn.arrays import Array, from_numpy, is_foreign, same_precision, to_numpy
from spectral_nn.models.network.features import absorb, directions, directions_of_stream
from spectral_nn.models.network.jackknife import (
    MAX_DIRECTIONS,
    DirectionErrors,
    direction_errors,
)
from spectral_nn.models.network.options import INPUT_MODELS
from spectral_nn.warn import warn

__all__ = ["TensorFeatures"]

MAX_CLASSES = 20  # distinct whole numbers that are read as labels
_FAR = 1.0  # standard errors of a direction


class TensorFeatures(
    CallbackSupportMixin,
    MovableMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    SpectralEstimator,
):
    r"""Supervised dimension reduction along the directions that a hidden layer would look in.

    If ``E[y | x]`` depends on x through a few projections only,

    .. math:: y = g(u_1^\top x, \dots, u_k^\top x) + \text{noise},

    then every cross-moment of y with a score function of x lies in their span, and if g is a sum of
    functions of one projection each, as in a network with one hidden layer, the moments of third
    and fourth order say which directions in the span they are [1]_.  ``fit`` decomposes these
    moments; ``transform`` gives the projections :math:`u_j^\top (x - \mu)`.  Unlike those of PCA
    they are chosen for y; unlike those of partial least squares they see what is not linear.

    Parameters
    ----------
    n_components : int, default=10
        Number k of directions.
    target : {"auto", "numbers", "classes"}, default="auto"
        What y holds.  "auto": classes, if y holds strings, booleans, or at most 20 distinct whole
        numbers of an integer type; else numbers.
    input_model : {"auto", "gaussian", "mixture", "cubic"} or callable, default="auto"
        What the moments assume of the rows of X.  A callable is a score function of your own:
        called with X (n, d) and theta (d,), it returns S1 (n, d), S2 (n, d, d) and S3 contracted
        with theta (n, d, d), as `GaussianScore` and `GaussianMixtureScore` do.
    random_state : int, RandomState or None
        Equal seeds give equal directions, whatever ``n_jobs``.
    n_jobs : int, optional
        Workers for the passes over the rows, as joblib means it: threads, or what a
        `joblib.parallel_config` around ``fit`` says (processes, or a dask cluster).
    device : str, optional
        "cuda" (or "cuda:1"): chunks of NumPy data are streamed to this GPU, which may hold fewer
        than all, and results come back as NumPy.  Arrays of CuPy or PyTorch are
        computed where they live, with ``device=None``.
    input_distribution : frozen law of scipy.stats, or list of one for each column, optional
        Laws that the columns of X were drawn from, independently of each other; one law is for all
        columns.  Their scores take the place of ``input_model``, as `MLPRegressor` says.

    Attributes
    ----------
    components_ : array (k, d)
        Directions u_j, rows of unit length, of the dtype of X.
    mean_ : array (d,)
    singular_values_ : array (r,)
        Of the moments; where they fall off says how many directions the data support.
    n_components_ : int
        k.
    report_ : NetworkReport
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MLPRegressor : A network with such units.
    Lagged : Columns of a stimulus in time, whose directions are films.
    ReceptiveFieldDisplay : Directions as images.
    sklearn.cross_decomposition.PLSRegression : Directions by linear dependence alone.

    Notes
    -----
    Directions are lines: their signs mean nothing; those with the largest weights come first.  The
    moments are taken of whitened data, so that the scale of the columns of X matters to
    ``transform`` only.  The projections keep it, and some may be small: scale them before a
    penalised model.

    O(n d^2 + n d k^2 + n k^4 / 2) time, a handful of passes; memory d^2 + k^4 an output, whatever n
    is.  ``input_model="auto"`` is "gaussian" here, where no race can decide.

    References
    ----------
    .. [1] Janzamin, Sedghi, Anandkumar, "Beating the perils of non-convexity: guaranteed training
       of neural networks using tensor methods", arXiv 1506.08473, 2016, section 3.

    Examples
    --------
    Of six columns, y depends on the sum of the first two and on the third, and not linearly:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 6))
    >>> y = np.maximum(X[:, 0] + X[:, 1] - 0.5, 0) - np.maximum(X[:, 2], 0)
    >>> features = TensorFeatures(n_components=2, random_state=0).fit(X, y)
    >>> order = np.argsort(np.abs(features.components_[:, 2]))
    >>> np.abs(features.components_[order]).round(1).tolist()
    [[0.7, 0.7, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "target": [StrOptions({"auto", "numbers", "classes"})],
        "input_model": [StrOptions(set(INPUT_MODELS)), callable],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "device": [str, None],
        "input_distribution": LAW_CONSTRAINTS,
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        target: str = "auto",
        input_model: Any = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        device: str | None = None,
        input_distribution: Any = None,
    ) -> None:
        self.n_components = n_components
        self.target = target
        self.input_model = input_model
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.input_distribution = input_distribution

    @reports_steps
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the directions.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d); or what need not fit in memory
            As in `MLPRegressor.fit`.
        y : array, shape (n,) or (n, q); left out where the chunks of X bring their own
            Numbers, or labels; see ``target``.
        sample_weight : array, shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault.  The estimator is then as it was before.

        Warns
        -----
        UserWarning
            If the moments do not carry k directions, or the rows are too few to say.
        """
        check_constraints(self)
        check_device(self)
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(X, y, sample_weight, run)
            laws = score_of_laws(self.input_distribution, self.input_model, given.rows, run)
            found = directions(
                given.rows,
                self.n_components,
                rng=spawn_rng(self.random_state),
                run=run,
                input_model=self.input_model,
                input_score=laws,
            )
        self.__dict__.pop("_stream", None)
        return self._assign(given, found)

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None
    ) -> Self:
        """Add rows to those of earlier calls of `partial_fit`, and find the directions anew.

        Sums over the rows are kept, not the rows, and sums add up: beyond the first call, which
        settles how rows are centred, whitened and projected, it does not matter in how many parts
        the data come.  Let the first call see a fair sample, of 5 d k² rows or more: beyond twelve
        columns, what it misses is not seen by later calls.  The inputs are taken to be Gaussian,
        whatever ``input_model`` and ``input_distribution`` say.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
        sample_weight : array, shape (n,), optional
        classes : array, shape (n_classes,), optional
            All labels that y will ever hold, in the first call; by default those it holds there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault, such as labels of y that the first call did not know.

        Notes
        -----
        O(n d K + n K^6 / 48) with K = 12 dimensions, or as many as X has if these are fewer; with
        K = k and O(n K^5 / 12) for more than twelve directions.  One decomposition a call.
        """
        check_constraints(self)
        check_device(self)
        kept = self.__dict__.get("_stream")
        rng = spawn_rng(self.random_state)
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(
                X, y, sample_weight, run, resume=kept is not None, seen=kept, classes=classes
            )
            self._check_outputs(given, kept)
            seen = absorb(
                given.rows, kept[0] if kept else None, self.n_components, rng=rng, run=run
            )
            found = directions_of_stream(seen, rng=rng)
        self._stream = (seen, given.settings["binarizer"])
        return self._assign(given, found)

    def standard_errors(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, n_groups: int = 20
    ) -> DirectionErrors:
        r"""Standard errors of the directions, and confidence intervals.

        By a delete-a-group jackknife: rows are cut into groups, and the directions found anew from
        the moments of all rows but a group's. Moments are sums over rows, so that takes one walk
        over them for all groups. The rows must be independent of each other.

        Parameters
        ----------
        X, y, sample_weight : array-likes, as in `fit`
            What `fit` was given.
        n_groups : int, default=20
            Number of groups, at least 2. Intervals are by Student's t with one degree of freedom
            less.

        Returns
        -------
        DirectionErrors
            ``errors`` has the shape of ``components_``, ``intervals(0.95)`` gives lower and upper
            ends of each entry, and ``angles`` a standard error of each direction in degrees; all
            NumPy's.

        Raises
        ------
        ValueError
            If an argument is at fault, there are more than 12 directions, or ``input_model`` is
            neither "auto" nor "gaussian".

        Warns
        -----
        UserWarning
            If the moments of X do not show the directions, as where others were fitted.

        See Also
        --------
        spectral_nn.models.network.jackknife : The method.
        ReceptiveFieldDisplay : Directions as images, beside their standard errors.

        Notes
        -----
        Three walks over the rows, with O(n K^6 / 48) of work beyond that of `fit`, and
        ``n_groups`` decompositions. They say how far the directions are from those of infinitely
        many rows, and nothing of other optima.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((20_000, 6))
        >>> y = np.maximum(X[:, 0] + X[:, 1] - 0.5, 0) - np.maximum(X[:, 2], 0)
        >>> features = TensorFeatures(n_components=2, random_state=0).fit(X, y)
        >>> found = features.standard_errors(X, y)
        >>> bool(found.errors.max() < 0.1), found.intervals(0.95).shape
        (True, (2, 2, 6))
        """
        check_is_fitted(self)
        check_device(self)
        self._check_jackknife(n_groups)
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            rows = self._read(X, y, sample_weight, run, resume=True).rows
            if rows.n_rows < n_groups:
                raise ValueError(
                    f"X has {rows.n_rows} rows, fewer than n_groups={n_groups}. Give all rows that "
                    "fit was given."
                )
            found = direction_errors(rows, to_numpy(self.components_), n_groups=n_groups, run=run)
        at = int(np.argmax(found.distances))
        if found.distances[at] > _FAR:
            warn(
                f"Direction {at} is {found.distances[at]:.1f} standard errors from the one that "
                "the moments of X and y show. Give what fit was given; or the rows are too few "
                "for the moments to carry this direction.",
                UserWarning,
            )
        return found

    def _check_jackknife(self, n_groups: int) -> None:
        """ValueError where no standard errors can be found."""
        if not isinstance(n_groups, Integral) or n_groups < 2:
            raise ValueError(
                f"n_groups must be a whole number of at least 2, such as 20; got {n_groups!r}."
            )
        if self.n_components_ > MAX_DIRECTIONS:
            raise ValueError(
                f"n_components={self.n_components_} directions are too many for standard errors, "
                "which need sums of products of up to six projections. Fit with "
                f"{MAX_DIRECTIONS} at most."
            )
        if callable(self.input_model) or self.input_model not in ("auto", "gaussian"):
            raise ValueError(
                f"input_model={self.input_model!r} has no standard errors, which are those of "
                "moments under Gaussian inputs. Fit with input_model='gaussian'."
            )

    def _read(
        self, X: Any, y: Any, sample_weight: Any, run: Any, *, resume: bool = False, **how: Any
    ) -> Given:
        """What the user gave, checked."""
        return read_rows(
            self,
            X,
            y,
            sample_weight,
            run,
            resume=resume,
            numeric=False,
            targets=partial(self._targets, **how),
        )

    def _check_outputs(self, given: Given, kept: Any) -> None:
        """ValueError where y has other columns than that of earlier calls of `partial_fit`."""
        if kept is None:
            return
        n_before = len(kept[0].columns.centre) - given.rows.n_features
        if given.rows.n_outputs != n_before:
            raise ValueError(
                f"y has {given.rows.n_outputs} columns, but that of the first call of partial_fit "
                f"had {n_before}."
            )

    def _assign(self, given: Given, found: Any) -> Self:
        """Put what was found on the estimator, all at once, where the data are."""
        told_columns(self, given)
        values = {"components_": found.components, "mean_": found.mean}
        for name, value in values.items():
            setattr(self, name, from_numpy(value.astype(given.dtype), like=given.rows.like))
        self.singular_values_ = np.asarray(found.singular_values)
        self.n_components_ = int(self.components_.shape[0])
        self.report_ = found.report
        return self

    def transform(self, X: Any) -> NDArray:
        """Project rows on the directions.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        projections : array (n, k)
            In float32 if X and the data of ``fit`` are.
        """
        check_is_fitted(self)
        return by_chunks(self._project, X)

    def _project(self, X: Any) -> Array:
        """Projections of rows in memory."""
        table = read_inputs(self, X, components_=self.components_)
        components, mean = self.components_, self.mean_
        if is_foreign(table):
            table, components, mean = same_precision(table, components, mean)
        # the mean is projected on its own, so that sparse rows stay sparse
        return table @ components.T - mean @ components.T

    def _targets(
        self, y: Any, seen: Any = None, classes: Any = None
    ) -> tuple[Encoder, dict[str, Any]]:
        """How y becomes columns: numbers as they are, labels as 0 and 1.

        Raises
        ------
        ValueError
            Naming y: a single class, labels that are new, or strings where ``target="numbers"``.
        """
        labels = y if classes is None else classes
        binarizer = (
            seen[1] if seen else fit_classes(labels) if self._holds_classes(labels) else None
        )
        if binarizer is None:
            return _numbers, {"binarizer": None}
        if len(binarizer.classes_) == 1:
            raise ValueError(
                f"y has one class only, {binarizer.classes_.tolist()[0]!r}, and no direction tells "
                "it from another. Give rows of two classes or more."
            )
        check_known(binarizer, y)
        return partial(one_hot, binarizer), {"binarizer": binarizer}

    def _holds_classes(self, y: Any) -> bool:
        """Whether y is to be read as labels."""
        if self.target != "auto":
            return self.target == "classes"
        kind = np.asarray(y).dtype.kind
        if kind in "iu":
            few = len(np.unique(y)) <= MAX_CLASSES
            return few and type_of_target(y) in ("binary", "multiclass")
        return kind in "OSUTb"

    @property
    def _n_features_out(self) -> int:
        """How many names `get_feature_names_out` makes."""
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y is needed, and that X may be sparse."""
        tags = with_input_tags(super().__sklearn_tags__(), sparse=True)
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _numbers(y: Any, dtype: Any) -> NDArray:
    """Columns of numbers; ValueError if y holds none."""
    try:
        return columns(y, dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold numbers: {error}. Or set target='classes'.") from error
