"""`PerSequence`: a transformer of rows, applied to the rows of sequences."""

from typing import Any, ClassVar, Self

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._column_names import names_of
from spectral_estimators._progress import reports_steps
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    HasMethods,
    check_constraints,
)
from spectral_estimators._validation import is_table
from spectral_nn.data import Sequences


def _inner_has(name: str) -> Any:
    """Whether the wrapped transformer has a method."""

    def check(self: "PerSequence") -> bool:
        return hasattr(getattr(self, "transformer_", self.transformer), name)

    return check


class PerSequence(  # type: ignore[call-arg]
    CallbackSupportMixin, TransformerMixin, SpectralEstimator, auto_wrap_output_keys=None
):
    """Apply a transformer of rows to sequences, so that it can stand before a sequence model.

    One sample of a sequence model is a sequence, whereas `StandardScaler` and its like take tables
    of rows.  The transformer is fitted once, to the rows of all training sequences together, and
    turns every sequence into a sequence of as many rows.

    Parameters
    ----------
    transformer : estimator with ``fit`` and ``transform``
        It must give one row for each row.  A clone is fitted; only `set_output` changes the
        transformer itself, so that later clones know of it.

    Attributes
    ----------
    transformer_ : the fitted clone.

    See Also
    --------
    HMMClassifier : A model that may stand behind it in a pipeline.
    Sequences : What comes out.
    sklearn.preprocessing.StandardScaler : A transformer that may stand in it.

    Notes
    -----
    A table (n, p) passes through the transformer as it is, and only then do ``set_output`` and
    ``get_feature_names_out`` make a difference to what comes out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = [np.array([[1.0], [3.0]]), np.array([[5.0]])]
    >>> [s.ravel().round(3).tolist() for s in PerSequence(StandardScaler()).fit_transform(X)]
    [[-1.225, 0.0], [1.225]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"])]
    }

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    @reports_steps
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit the transformer to all rows.

        Parameters
        ----------
        X : list of arrays or data frames (t_i, p), Sequences, 3-D array (m, t, p), or table (n, p)
            The transformer sees the rows of frames as one frame.
        y : passed on with a table; ignored with sequences, whose rows have no targets
        **params : of ``fit`` of the transformer
            It gets what it requests (`sklearn.set_config` with ``enable_metadata_routing=True``),
            of sequences for all of their rows, one after another.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds no sequences, or the transformer refuses its rows.
        """
        check_constraints(self)
        routed = process_routing(self, "fit", **params)["transformer"]["fit"]
        transformer = clone(self.transformer)
        if is_table(X):
            transformer.fit(X, y, **routed)
        else:
            transformer.fit(_rows(X, Sequences.from_input(X)), **routed)
        self.transformer_ = transformer
        return self

    def transform(self, X: Any, **params: Any) -> Any:
        """Transform every row.

        Parameters
        ----------
        X : as in `fit`
        **params : of ``transform`` of the transformer
            As in `fit`.

        Returns
        -------
        Sequences, or for a table what the transformer returns

        Raises
        ------
        ValueError
            If the transformer does not keep the number of rows.
        """
        check_is_fitted(self, "transformer_")
        routed = process_routing(self, "transform", **params)["transformer"]["transform"]
        return self._apply("transform", X, **routed)

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`.

        Parameters
        ----------
        X : as `transform` returns it

        Returns
        -------
        Sequences, or for a table what the transformer returns
        """
        check_is_fitted(self, "transformer_")
        return self._apply("inverse_transform", X)

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns after the transformation.

        Parameters
        ----------
        input_features : array of str, shape (p,), optional

        Returns
        -------
        array of str, shape (n_columns,)
        """
        check_is_fitted(self, "transformer_")
        return self.transformer_.get_feature_names_out(input_features)

    @available_if(_inner_has("set_output"))
    def set_output(self, *, transform: str | None = None) -> Self:
        """Container that a table comes back in; sequences always come back as arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional

        Returns
        -------
        self
        """
        for transformer in (self.transformer, getattr(self, "transformer_", None)):
            if transformer is not None:
                transformer.set_output(transform=transform)
        return self

    @property
    def n_features_in_(self) -> int:
        """Number of columns seen in `fit`."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns seen in `fit`, if they had any."""
        return self.transformer_.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Say to whom metadata go: to the transformer, whose `set_fit_request` and so on count.

        Returns
        -------
        MetadataRouter
        """
        methods = MethodMapping().add(caller="fit", callee="fit")
        methods.add(caller="transform", callee="transform")
        return MetadataRouter(owner=self).add(transformer=self.transformer, method_mapping=methods)

    def _apply(self, method: str, X: Any, **params: Any) -> Any:
        function = getattr(self.transformer_, method)
        if is_table(X):
            return function(X, **params)
        sequences = Sequences.from_input(X)
        values = np.asarray(function(_rows(X, sequences), **params))
        if values.shape[:1] != sequences.values.shape[:1]:
            raise ValueError(
                f"transformer {type(self.transformer_).__name__} made an array of shape "
                f"{values.shape} of {sequences.values.shape[0]} rows; PerSequence needs one row "
                "for each row."
            )
        return Sequences(values, sequences.offsets)

    def __sklearn_tags__(self) -> Any:
        """The tags of the transformer, which sees the data."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags = inner.input_tags
        tags.transformer_tags = inner.transformer_tags
        tags.target_tags = inner.target_tags
        return tags


def _rows(X: Any, sequences: Sequences) -> Any:
    """All rows as a table, a frame if X is a list of frames; sequences of scalars: one column."""
    if names_of(X) is not None:
        return nw.to_native(nw.concat([nw.from_native(frame, eager_only=True) for frame in X]))
    values = sequences.values
    return values[:, None] if values.ndim == 1 else values
