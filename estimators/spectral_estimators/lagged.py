"""`Lagged`: the last rows of a stimulus, side by side, as columns."""

from collections.abc import Iterable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._network_input import DTYPES
from spectral_estimators._progress import reports_steps
from spectral_estimators._sklearn_compat import CallbackSupportMixin, Interval, check_constraints
from spectral_nn.runners.parts import Walk

__all__ = ["Lagged"]


class Lagged(CallbackSupportMixin, TransformerMixin, SpectralEstimator):
    r"""The last frames of a stimulus, side by side, as the columns of a regression.

    Row t of the output is :math:`(x_{t-l+1}, \dots, x_{t-1}, x_t)` for l = ``n_lags``, the oldest
    frame first: what a cell that remembers l frames has seen when it answers with
    :math:`y_t`.  Rows are as many as before, so that y stays as it is.

    Parameters
    ----------
    n_lags : int, default=10
        Frames that a row holds, the present one included.
    fill_value : float, default=0.0
        What stands for the frames before the first: the mean of the stimulus, for instance.

    Attributes
    ----------
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MLPRegressor : Finds the subunits of a cell in such columns.

    Notes
    -----
    ``transform`` copies X once, n d numbers.  What it returns has n d l of them and is a read-only
    view of this copy, in which neighbouring rows overlap.

    ``MLPRegressor``, ``MLPClassifier`` and ``TensorFeatures`` keep the view, and copy the blocks
    and the rows of it that they draw: with n = 1e5, d = 25, l = 10 the peak of a pipeline's memory
    rises by 109 MB, and by 281 MB where the 200 MB of columns are copied.  (With one worker or
    threads; processes and devices are sent whole chunks.)  Whatever scales or selects columns in
    between copies them all.

    Trials that do not follow one another are lagged one by one, and a network takes them as the
    chunks of a table: ``net.fit([(lagged.transform(X), y) for X, y in trials])``.

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.arange(8.0).reshape(4, 2)
    >>> Lagged(2).fit_transform(frames)
    array([[0., 0., 0., 1.],
           [0., 1., 2., 3.],
           [2., 3., 4., 5.],
           [4., 5., 6., 7.]])

    In a pipeline; the weights of a hidden unit are a film of ``n_lags`` frames:

    >>> from sklearn.pipeline import make_pipeline
    >>> from spectral_estimators import MLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> frames = rng.standard_normal((4000, 3))
    >>> y = np.maximum(frames[:, 0] + np.roll(frames[:, 1], 1), 0)
    >>> net = MLPRegressor(hidden_layer_sizes=(1,), random_state=0)
    >>> cell = make_pipeline(Lagged(2), net).fit(frames, y)
    >>> film = cell[-1].coefs_[0].T.reshape(1, 2, 3)
    >>> (np.abs(film[0]) > 0.5).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_lags": [Interval(Integral, 1, None, closed="left")],
        "fill_value": [Real],
    }

    def __init__(self, n_lags: int = 10, *, fill_value: float = 0.0) -> None:
        self.n_lags = n_lags
        self.fill_value = fill_value

    @reports_steps
    def fit(self, X: Any, y: Any = None) -> Self:
        """Take note of the columns of X.

        Parameters
        ----------
        X : array, shape (n, d)
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault, such as NaN in X.
        """
        check_constraints(self)
        check_array(X, dtype=DTYPES, estimator=self, input_name="X")
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: Any, before: Any = None) -> NDArray[np.floating]:
        """Put each row beside those that came before it.

        Parameters
        ----------
        X : array, shape (n, d)
        before : array, shape (m, d), optional
            Rows that came before X, of which the last ``n_lags - 1`` are looked at, so that a long
            recording can be lagged chunk by chunk.  Where there are fewer, ``fill_value`` stands
            for the others.

        Returns
        -------
        lagged : array (n, n_lags * d)
            A read-only view of a copy of X, in float32 if X is.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import Lagged
        >>> frames = np.arange(4.0)[:, None]
        >>> Lagged(2).fit(frames).transform(frames[2:], before=frames[:2]).tolist()
        [[1.0, 2.0], [2.0, 3.0]]
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=DTYPES)
        return self._lag(X, self._tail([] if before is None else [before], X))

    def transform_chunks(self, chunks: Iterable[Any]) -> Iterable[Any]:
        """Lag a recording that comes in chunks, each after the one before.

        Parameters
        ----------
        chunks : iterable of X, or of tuples (X, y) or (X, y, sample_weight)
            To be walked several times, as ``fit`` of a network does, its ``__iter__`` has to start
            again: a list, for instance.

        Returns
        -------
        iterable
            Of the same, with lagged X; a chunk is lagged when it is asked for.  A network's ``fit``
            takes it as it is.

        Examples
        --------
        >>> import numpy as np
        >>> frames = np.arange(3.0)[:, None]
        >>> lagged = Lagged(2).fit(frames)
        >>> [chunk.tolist() for chunk in lagged.transform_chunks([frames[:2], frames[2:]])]
        [[[0.0, 0.0], [0.0, 1.0]], [[1.0, 2.0]]]
        """
        check_is_fitted(self)
        return Walk(partial(self._walk, chunks))

    def _walk(self, chunks: Iterable[Any]) -> Iterator[Any]:
        """Walk over the chunks once."""
        seen: list[Any] = []
        for chunk in chunks:
            X, *others = chunk if isinstance(chunk, tuple) else (chunk,)
            X = validate_data(self, X, reset=False, dtype=DTYPES)
            before = self._tail(seen, X)
            seen = [before, X]
            lagged = self._lag(X, before)
            yield (lagged, *others) if isinstance(chunk, tuple) else lagged

    def _tail(self, parts: list[Any], like: NDArray[np.floating]) -> NDArray[np.floating]:
        """The last rows (n_lags - 1, d) of some parts, as numbers of the dtype of an array."""
        wanted = self.n_lags - 1
        fill = np.full((wanted, self.n_features_in_), self.fill_value, like.dtype)
        parts = [part[max(len(part) - wanted, 0) :] for part in parts]
        rows = [
            check_array(part, dtype=like.dtype, input_name="before") for part in parts if wanted
        ]
        for part in rows:
            if part.shape[1] != self.n_features_in_:
                raise ValueError(
                    f"before has {part.shape[1]} columns, and X has {self.n_features_in_}: give "
                    "the rows that came before X."
                )
        return np.concatenate([fill, *rows])[len(fill) + sum(map(len, rows)) - wanted :]

    def _lag(self, X: NDArray[np.floating], before: NDArray[np.floating]) -> NDArray[np.floating]:
        """Rows of X with those before them, as a view of one copy."""
        rows = np.ascontiguousarray(np.concatenate([before, X]))  # of columns, where X is
        shape = (len(X), self.n_lags * X.shape[1])
        return as_strided(rows, shape, (rows.strides[0], rows.itemsize), writeable=False)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns of ``transform``.

        Parameters
        ----------
        input_features : array of str, shape (d,), optional
            Names of the columns of X; by default those seen by ``fit``, or x0, x1, ...

        Returns
        -------
        names : array (n_lags * d,) of str
            Such as "x0_lag1", of the frame before the present one, which is lag 0.
        """
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)  # of X, checked
        lags = range(self.n_lags - 1, -1, -1)
        return np.array([f"{name}_lag{lag}" for lag in lags for name in names], dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
