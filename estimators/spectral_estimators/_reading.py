"""From what users pass to the tables of the core: checked chunk by chunk, or as a whole."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_X_y

from spectral_estimators._network_input import (
    DTYPES,
    read_table,
    read_x,
    read_xy,
    row_major,
    row_weights,
)
from spectral_estimators._sklearn_compat import feature_names
from spectral_estimators._tables import is_chunked, is_lazy, is_remote, raw_parts, recut
from spectral_nn.arrays import (
    from_numpy,
    get_namespace,
    is_foreign,
    numpy_dtype,
    require_one_device,
    to_numpy,
)
from spectral_nn.data.rows import CHUNK_ROWS, Rows
from spectral_nn.data.table import ChunkedRows, Table
from spectral_nn.runners.parts import as_part, load, mapped
from spectral_nn.stored import is_dask

__all__ = [
    "Encoder",
    "Given",
    "as_array",
    "by_chunks",
    "check_answers",
    "read_inputs",
    "read_rows",
    "told_columns",
]

_MOST_LABELS = 10_000  # distinct values of y, of all chunks together, that are kept to look at

Encoder = Callable[[Any, Any], NDArray]
"""From targets as the user has them, and a dtype, to columns of numbers (n, q)."""

Targets = Callable[[Any], tuple[Encoder, dict[str, Any]]]
"""From y, or the distinct values it takes in all chunks, to its encoder and settings."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a user gave, ready for the core.

    Attributes
    ----------
    rows : inputs, encoded targets, weights.
    n_features : columns of X.
    names : of the columns, or None.
    dtype : of X in NumPy's terms.
    settings : attributes that go with the targets.
    """

    rows: Table
    n_features: int
    names: NDArray | None
    dtype: Any
    settings: dict[str, Any]


def told_columns(estimator: Any, given: Given) -> None:
    """Set ``n_features_in_`` and ``feature_names_in_``."""
    estimator.n_features_in_ = given.n_features
    estimator.__dict__.pop("feature_names_in_", None)
    if given.names is not None:
        estimator.feature_names_in_ = given.names


def as_array(values: Any) -> Any:
    """Fitted values as an array, whoever set them."""
    return values if is_foreign(values) else np.asarray(values)


def by_chunks(function: Callable[[Any], Any], X: Any) -> Any:
    """Apply a function of rows, (n, d) -> (n, ...), to X in memory, on disk, or of dask.

    Returns
    -------
    Array; of dask's array a dask array that is computed when it is needed.

    Raises
    ------
    ValueError
        If X is an iterable or a list of delayed chunks.
    """
    if is_dask(X) and hasattr(X, "map_blocks") and hasattr(X, "chunks"):
        whole = X.rechunk({1: -1})
        example = np.asarray(function(np.zeros((1, X.shape[1]), X.dtype)))
        shape = {"chunks": (X.chunks[0], *((n,) for n in example.shape[1:]))}
        drop = {"drop_axis": 1} if example.ndim == 1 else {}
        return whole.map_blocks(function, dtype=example.dtype, meta=example[:0], **shape, **drop)
    if is_lazy(X):
        return np.concatenate(
            [function(part[0]) for part in map(load, raw_parts(X, None, None, CHUNK_ROWS))]
        )
    if is_chunked(X):
        raise ValueError(
            f"X is of type {type(X).__name__}: apply the fitted estimator to one chunk at a time, "
            "or inside dask's map_partitions."
        )
    return function(X)


def check_answers(outputs: Any) -> Any:
    """Outputs of a network, where all are finite numbers.

    Raises
    ------
    ValueError
        Naming X.
    """
    xp = get_namespace(outputs)
    if not bool(xp.all(xp.isfinite(outputs))):
        raise ValueError(
            f"What the fitted network gives for X is beyond {numpy_dtype(outputs.dtype)}: X holds "
            "numbers far larger than those of fit. Scale X as it was scaled there."
        )
    return outputs


def read_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    run: Any,
    *,
    resume: bool,
    numeric: bool,
    targets: Targets | None,
    missing: bool = False,
) -> Given:
    """Rows, encoded targets and weights, with the estimator left untouched.

    Parameters
    ----------
    estimator : asks.
    X, y, sample_weight : as the user gave them.
    run : who computes.
    resume : whether X has to have the columns of an earlier fit.
    numeric : whether y holds numbers.
    targets : None for a table that has none; y is then not looked at.
    missing : whether X, which is then no array of another library, may hold NaN.

    Raises
    ------
    ValueError
        Naming X, y or sample_weight; of chunks, the first at fault and its row.
    """
    if is_chunked(X):
        looking: dict[str, Any] = {"numeric": numeric, "alone": targets is None, "missing": missing}
        return _read_chunks(estimator, X, y, sample_weight, run, resume, targets, looking)
    if is_foreign(X):
        return _read_foreign(estimator, X, y, sample_weight, resume, targets)
    if targets is None:
        table = read_x(estimator, X, resume=resume, missing=missing)
        y = np.zeros(table.shape[0])
    else:
        table, y = read_xy(estimator, X, y, resume=resume, numeric=numeric, missing=missing)
    encode, settings = (targets or _no_targets)(y)
    kept, Y, weights = row_weights(sample_weight, table, encode(y, table.dtype))
    names = feature_names(X)
    return Given(Rows.of(kept, Y, weights), table.shape[1], names, table.dtype, settings)


def _read_foreign(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    resume: bool,
    targets: Targets | None,
) -> Given:
    """Arrays of another library: they stay where they are."""
    table = check_foreign(X)
    d = table.shape[1]
    if resume:
        check_columns(estimator, d)
    if targets is None:
        y, targets = np.zeros(table.shape[0]), _no_targets
    given = {"y": y, "sample_weight": sample_weight}
    require_one_device(X=X, **{name: a for name, a in given.items() if is_foreign(a)})
    labels = to_numpy(_as_floats(y)) if is_foreign(y) else np.asarray(y)
    check_X_y(np.zeros((X.shape[0], 1)), labels, multi_output=True, y_numeric=False)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    encode, settings = targets(labels)
    dtype = numpy_dtype(table.dtype)
    Y = encode(labels, dtype)
    weights = sample_weight
    if is_foreign(weights):
        weights = to_numpy(_as_floats(weights))
    index, Y, weights = row_weights(weights, np.arange(len(Y)).astype(dtype), Y)
    if len(Y) < table.shape[0]:
        kept = from_numpy(np.asarray(index, dtype=np.int64), like=table)
        table = get_namespace(table).take(table, kept, axis=0)
    weights = None if weights is None else from_numpy(weights, like=table)
    return Given(Rows.of(table, from_numpy(Y, like=table), weights), d, None, dtype, settings)


def check_foreign(X: Any) -> Any:
    """X as a finite matrix of floats, of its own library; else ValueError naming X."""
    xp = get_namespace(X)
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: X has shape {tuple(X.shape)}. "
            "Reshape your data to (n, d)."
        )
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X has shape {tuple(X.shape)}: it needs a row and a column at least.")
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError("Complex data not supported: X is complex.")
    if not xp.isdtype(X.dtype, "real floating"):
        X = xp.astype(X, xp.float64)
    X = _as_floats(X)
    if not bool(xp.all(xp.isfinite(X))):
        at = int(np.flatnonzero(~to_numpy(xp.all(xp.isfinite(X), axis=1)))[0])
        raise ValueError(f"Input X contains NaN or infinity, first in row {at}.")
    return X


def _as_floats(x: Any) -> Any:
    """Floats of a precision that NumPy does not have, or that nothing is computed in, as double."""
    xp = get_namespace(x)
    plain = x.dtype in (xp.float32, xp.float64) or not xp.isdtype(x.dtype, "real floating")
    return x if plain else xp.astype(x, xp.float64)


def read_inputs(estimator: Any, X: Any, **fitted: Any) -> Any:
    """Rows in memory for a fitted estimator, of any library.

    Parameters
    ----------
    estimator : asks.
    X : array or sparse matrix (n, d)
    **fitted : a fitted array, by its name, that has to be where X is.

    Raises
    ------
    ValueError
        Naming X.
    """
    if not is_foreign(X):
        table = read_table(estimator, X)
        require_one_device(**fitted, X=table.data if issparse(table) else table)
        return table
    require_one_device(**fitted, X=X)
    table = check_foreign(X)
    check_columns(estimator, table.shape[1])
    return table


def check_columns(estimator: Any, n_features: int) -> None:
    """Check that X has the columns of an earlier fit; ValueError naming X."""
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What one look at a chunk tells."""

    number: int
    n_kept: int
    n_features: int
    n_outputs: int
    weight: float
    dtype: Any
    labels: NDArray
    names: NDArray | None


def _read_chunks(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    run: Any,
    resume: bool,
    targets: Targets | None,
    looking: dict[str, Any],
) -> Given:
    """A table in chunks: one look at all of them, then each is read again in every pass."""
    raw = raw_parts(X, y, sample_weight, run.chunk_rows, alone=targets is None)
    looks = (as_part(part).map(partial(_look, number=i, **looking)) for i, part in enumerate(raw))
    seen = list(run.map(load, looks))
    full = [chunk for chunk in seen if chunk.n_kept]
    if not full:
        raise ValueError(
            f"Found array with 0 sample(s): the {len(seen)} chunks of X hold no row of positive "
            "weight."
        )
    first = full[0]
    for chunk in full:
        for what, mine, others in (
            ("columns", chunk.n_features, first.n_features),
            ("targets", chunk.n_outputs, first.n_outputs),
        ):
            if mine != others:
                raise ValueError(
                    f"chunk {chunk.number} of X has {mine} {what}, chunk {first.number} has "
                    f"{others}: all chunks must have the same."
                )
        if chunk.names is not None and not np.array_equal(chunk.names, first.names):
            raise ValueError(
                f"chunk {chunk.number} of X has columns called {list(chunk.names)}, chunk "
                f"{first.number} {_called(first.names)}: all chunks must have the same, in one "
                "order."
            )
    if resume:
        check_columns(estimator, first.n_features)
    dtype = np.result_type(*(chunk.dtype for chunk in full))
    encode, settings = (targets or _no_targets)(_all_labels(full))
    q = encode(first.labels[:1], dtype).shape[1]
    read = partial(_read, encode=encode, dtype=dtype)
    sizes = [chunk.n_kept for chunk in seen]
    if isinstance(raw, list) and not is_remote(X):
        parts: Any = [part for part, n in zip(mapped(read, raw), sizes, strict=True) if n]
        sizes = [n for n in sizes if n]
    else:
        parts, sizes = recut(raw, read, sizes, run.chunk_rows)
    rows = ChunkedRows(
        run=run,
        parts=run.place(parts),
        sizes=np.array(sizes),
        n_features=first.n_features,
        n_outputs=q,
        total_weight=sum(chunk.weight for chunk in full),
        like=np.empty((0, q), dtype),
    )
    return Given(rows, first.n_features, first.names, dtype, settings)


def _look(
    chunk: tuple[Any, Any, Any], number: int, numeric: bool, alone: bool, missing: bool
) -> _Chunk:
    """Check a chunk, and say what it holds.

    Raises
    ------
    ValueError
        Naming the chunk, and the row where one is at fault.
    """
    X, y, weight = chunk
    names = feature_names(X)
    n = X.shape[0]
    if alone:
        y = np.zeros(n)
    elif y is None:
        raise ValueError(f"chunk {number} of X has no targets y.")
    if n == 0:
        nothing = np.empty(0)
        return _Chunk(number, 0, int(X.shape[1]), 1, 0.0, np.float32, nothing, names)
    how = {"multi_output": True, "y_numeric": numeric, "dtype": DTYPES}
    finite = "allow-nan" if missing else True
    try:
        X, y = check_X_y(X, y, accept_sparse="csr", ensure_all_finite=finite, **how)
        if np.shape(weight) in ((), (n,)) and not np.any(1 if weight is None else weight):
            weights: NDArray | None = np.empty(0)
        else:
            _, _, weights = row_weights(weight, X, np.zeros((n, 1)))
    except ValueError as error:
        raise ValueError(f"chunk {number} of X: {error}{_first_bad(X, y)}") from error
    return _Chunk(
        number=number,
        n_kept=n if weights is None else len(weights),
        n_features=X.shape[1],
        n_outputs=1 if y.ndim == 1 else y.shape[1],
        weight=float(n if weights is None else weights.sum(dtype=np.float64)),
        dtype=X.dtype,
        labels=_labels(y, numeric),
        names=names,
    )


def _labels(y: NDArray, numeric: bool) -> NDArray:
    """Values of y that tell what y is: its labels, or any row of numbers."""
    if numeric or (y.ndim == 1 and y.dtype.kind == "f" and not np.array_equal(y, np.floor(y))):
        return y[:1].copy()  # a view would keep the chunk
    return np.unique(y)[:_MOST_LABELS] if y.ndim == 1 else np.eye(y.shape[1], dtype=y.dtype)


def _called(names: NDArray | None) -> str:
    return "has columns without names" if names is None else str(list(names))


def _no_targets(y: Any) -> tuple[Encoder, dict[str, Any]]:
    return _no_columns, {}


def _no_columns(y: Any, dtype: Any) -> NDArray:
    return np.empty((len(y), 0), dtype)


def _all_labels(chunks: list[_Chunk]) -> NDArray:
    """The values of all chunks together."""
    if chunks[0].labels.ndim == 2:
        return chunks[0].labels
    return np.unique(np.concatenate([chunk.labels for chunk in chunks]))


def _first_bad(X: Any, y: Any) -> str:
    """Where a chunk first holds what is not finite, in words."""
    for name, values in (("X", X), ("y", y)):
        entries = getattr(values, "data", None) if hasattr(values, "tocsr") else values
        try:
            finite = np.isfinite(np.asarray(entries, dtype=np.float64))
        except (TypeError, ValueError):
            continue
        if hasattr(values, "tocsr"):
            bad = np.flatnonzero(~finite)
            rows = np.searchsorted(values.tocsr().indptr, bad, side="right") - 1
        else:
            rows = np.flatnonzero(~finite.reshape(len(finite), -1).all(axis=1))
        if rows.size:
            return f" (row {rows[0]} of the chunk, in {name})"
    return ""


def _read(chunk: tuple[Any, Any, Any], encode: Encoder, dtype: Any) -> Rows:
    """Rows of a chunk that was looked at before."""
    X, y, weight = chunk
    y = np.zeros(X.shape[0]) if y is None else np.asarray(y)
    sparse = hasattr(X, "tocsr")
    X = X.tocsr().astype(dtype, copy=False) if sparse else row_major(np.asarray(X, dtype=dtype))
    Y = encode(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, dtype)
    kept, Y, weights = row_weights(weight, X, Y)
    return Rows.of(kept, Y, weights)
