"""`TensorFeatures`: directions that moments find, as a supervised dimension reduction."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._network_input import (
    check_rows,
    fit_classes,
    one_hot,
    read_table,
    read_xy,
    row_weights,
    told_names,
)
from spectral_estimators._sklearn_compat import (
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._validation import spawn_rng
from spectral_nn.recipes.network.features import absorb, directions, directions_of_stream
from spectral_nn.recipes.network.options import INPUT_MODELS

__all__ = ["TensorFeatures"]

_MOST_CLASSES = 20  # distinct whole numbers that are read as labels


class TensorFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        Worker processes for the passes over moments, as joblib means it.

    Attributes
    ----------
    components_ : array (k, d)
        Directions u_j, rows of unit length, of the dtype of X.
    mean_ : array (d,)
    singular_values_ : array
        Of the moments; where they fall off says how many directions the data support.
    n_components_ : int
        k.
    diagnostics_ : dict
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    Notes
    -----
    Directions are lines: their signs mean nothing; the loudest come first.  The moments are taken
    of whitened data, so that the scale of the columns of X matters to ``transform`` only.  The
    projections keep it, and some may be small: scale them before a penalised model.

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
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        target: str = "auto",
        input_model: Any = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.target = target
        self.input_model = input_model
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the directions.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
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
        table, y = read_xy(self, X, y, resume=False, numeric=False)
        Y = self._targets(y, table.dtype)
        table, Y, weights = row_weights(sample_weight, table, Y)
        check_rows(table)
        found = directions(
            table,
            Y,
            self.n_components,
            rng=spawn_rng(self.random_state),
            n_jobs=self.n_jobs,
            input_model=self.input_model,
            sample_weight=weights,
        )
        self.__dict__.pop("_stream", None)
        return self._assign(X, found, table.dtype)

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, classes: Any = None
    ) -> Self:
        """Add rows to those of earlier calls of `partial_fit`, and find the directions anew.

        Sums over the rows are kept, not the rows, and sums add up: beyond the first call, which
        settles how rows are centred, whitened and projected, it does not matter in how many parts
        the data come.  Let the first call see a fair sample, of 5 d k² rows or more: beyond twelve
        columns, what it misses is not seen by later calls.  The inputs are taken to be Gaussian,
        whatever ``input_model`` says.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
        sample_weight : array, shape (n,), optional
        classes : array, optional
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
        kept = self.__dict__.get("_stream")
        table, y = read_xy(self, X, y, resume=kept is not None, numeric=False)
        binarizer = kept[1] if kept else self._labels(y if classes is None else classes)
        Y = self._coded(binarizer, y, table.dtype)
        table, Y, weights = row_weights(sample_weight, table, Y)
        rng = spawn_rng(self.random_state)
        if kept is None:
            check_rows(table)
        seen = absorb(
            table,
            Y,
            kept[0] if kept else None,
            self.n_components,
            rng=rng,
            n_jobs=self.n_jobs,
            sample_weight=weights,
        )
        found = directions_of_stream(seen, rng=rng)
        self._stream = (seen, binarizer)
        return self._assign(X, found, table.dtype)

    def _assign(self, X: Any, found: Any, dtype: Any) -> Self:
        """Put what was found on the estimator, all at once."""
        told_names(self, X)
        self.components_ = np.asarray(found.components, dtype=dtype)
        self.mean_ = np.asarray(found.mean, dtype=dtype)
        self.singular_values_ = np.asarray(found.singular_values)
        self.n_components_ = len(self.components_)
        self.diagnostics_ = found.diagnostics
        return self

    def transform(self, X: Any) -> NDArray:
        """Project rows on the directions.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        projections : array (n, k)
        """
        check_is_fitted(self)
        table = read_table(self, X)
        # the mean is projected on its own, so that sparse rows stay sparse
        return table @ self.components_.T - self.mean_ @ self.components_.T

    def _targets(self, y: Any, dtype: Any) -> NDArray:
        """Targets (n, q): numbers as they are, labels as columns of 0 and 1.

        Raises
        ------
        ValueError
            Naming y: a single class, or strings where ``target="numbers"``.
        """
        return self._coded(self._labels(y), y, dtype)

    def _labels(self, y: Any) -> LabelBinarizer | None:
        """How labels become columns; None where y holds numbers."""
        return fit_classes(y) if self._holds_classes(y) else None

    def _coded(self, binarizer: LabelBinarizer | None, y: Any, dtype: Any) -> NDArray:
        """Targets (n, q), by a binarizer that may be of an earlier call."""
        if binarizer is not None:
            return one_hot(binarizer, y, dtype)
        try:
            Y = np.asarray(y, dtype=dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must hold numbers: {error}. Or set target='classes'.") from error
        return Y[:, None] if Y.ndim == 1 else Y

    def _holds_classes(self, y: Any) -> bool:
        """Whether y is to be read as labels."""
        if self.target != "auto":
            return self.target == "classes"
        kind = np.asarray(y).dtype.kind
        if kind in "iu":
            few = len(np.unique(y)) <= _MOST_CLASSES
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
