"""Tables that are not in memory: what they are, and how they are cut into parts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.arrays import is_foreign
from spectral_nn.data.rows import CHUNK_ROWS, Rows, joined
from spectral_nn.runners.parts import Derived
from spectral_nn.stored import is_dask, is_stored, portable

__all__ = ["is_chunked", "is_lazy", "is_remote", "raw_parts", "recut"]

_LARGE = 1 << 26  # bytes from which on an array mapped into memory is read in chunks


def is_chunked(X: Any) -> bool:
    """Whether X has to be read chunk by chunk: dask's, lazy, large and mapped, or an iterable."""
    return is_dask(X) or _is_list_of_delayed(X) or is_lazy(X) or _is_iterable(X)


def is_remote(X: Any) -> bool:
    """Whether dask has to compute."""
    return is_dask(X) or _is_list_of_delayed(X)


def is_lazy(X: Any) -> bool:
    """Whether X is an array on disk: zarr, HDF5, or a large one mapped into memory."""
    if isinstance(X, np.memmap):
        return X.nbytes >= _LARGE
    return is_stored(X) and not is_dask(X)


def raw_parts(X: Any, y: Any, sample_weight: Any, bulk: int) -> Iterable[Any]:
    """Parts that load as tuples ``(X, y, sample_weight)`` of a chunk; weights may be None.

    Parameters
    ----------
    X : dask array or frame, list of delayed, lazy array, or iterable of tuples (X, y[, weight]).
    y, sample_weight : of the same kind, or arrays where the chunks of X have known lengths.
    bulk : chunks of the usual size in a part of a lazy array.

    Returns
    -------
    list, or an iterable that can be walked again and again.

    Raises
    ------
    ValueError
        If X is a generator, which can be walked once; or if y does not fit X.
    """
    if is_dask(X):
        return _dask_parts(X, y, sample_weight)
    if _is_list_of_delayed(X):
        if y is not None:
            _check_as_many(X, y)
            return _zipped(X, y, sample_weight)
        return [_delayed(_as_tuple, part) for part in X]
    if is_lazy(X):
        return _lazy_parts(X, y, sample_weight, bulk)
    if isinstance(X, Iterator):
        raise ValueError(
            "X is a generator, which can be walked once, and a fit takes several passes over the "
            "data. Nothing was read. Give a list of chunks, an object whose __iter__ starts again "
            "(see docs/scale.md), or feed the chunks to partial_fit."
        )
    if y is not None:
        raise ValueError(
            f"X is an iterable ({type(X).__name__}) that yields its own targets, as tuples "
            "(X, y) or (X, y, sample_weight); leave y out."
        )
    return Tuples(X)


@dataclass(frozen=True, eq=False)
class Tuples:
    """An iterable of chunks, walked afresh each time."""

    chunks: Iterable[Any]

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield (X, y, weight) of one chunk after another."""
        return map(_as_tuple, self.chunks)


def _as_tuple(chunk: Any) -> tuple[Any, Any, Any]:
    """``(X, y, weight)`` of what a user's chunk holds.

    Raises
    ------
    ValueError
        If it is no tuple of two or three.
    """
    if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
        raise ValueError(
            "a chunk of X must be a tuple (X, y) or (X, y, sample_weight); got "
            f"{type(chunk).__name__}."
        )
    X, y, *weight = chunk
    return X, y, weight[0] if weight else None


def _lazy_parts(X: Any, y: Any, sample_weight: Any, bulk: int) -> list[Any]:
    """Slices of an array on disk, not much smaller than what it is stored in."""
    n = _length(X, "X")
    for name, other in (("y", y), ("sample_weight", sample_weight)):
        if other is not None and not np.isscalar(other):
            _check_same_rows(n, _length(other, name), name)
    arrays = tuple(portable(array) for array in (X, y, sample_weight))
    own = (getattr(X, "chunks", None) or (1,))[0]  # rows that have to be read together
    step = CHUNK_ROWS * bulk
    while step < 2 * own:
        step *= 2
    cuts = [partial(_sliced, begin, min(begin + step, n)) for begin in range(0, n, step)]
    if isinstance(X, np.memmap):  # slices are views, which are sent to processes by their file
        return [cut(arrays) for cut in cuts]
    return [Derived(cut, arrays) for cut in cuts]


def _sliced(begin: int, end: int, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_cut(array, begin, end) for array in arrays)


def _cut(array: Any, begin: int, end: int) -> Any:
    """Rows of an array; what is no array is for all rows."""
    if array is None or np.isscalar(array):
        return array
    rows = array[begin:end]
    return rows if isinstance(rows, np.ndarray) else np.asarray(rows)


def _dask_parts(X: Any, y: Any, sample_weight: Any) -> list[Any]:
    """Delayed blocks of rows, with their targets and weights.

    Raises
    ------
    ValueError
        If y or the weights are cut otherwise and their lengths are not known.
    """
    if X.ndim == 2 and hasattr(X, "rechunk"):
        X = X.rechunk({1: -1})
    blocks = _blocks_of(X)
    columns = [
        _beside(X, blocks, other, name)
        for name, other in (("y", y), ("sample_weight", sample_weight))
    ]
    return [_delayed(_tupled, *parts) for parts in zip(blocks, *columns, strict=True)]


def recut(parts: list[Any], sizes: list[int]) -> tuple[list[Any], list[int]]:
    """Cut delayed `Rows` again where sums would otherwise depend on how they were cut.

    Parameters
    ----------
    parts : delayed tables.
    sizes : rows of each.

    Returns
    -------
    parts, sizes : 16,384 rows times a power of two in each but the last, near to what they were:
        sums over them are those over the same rows in memory, to the last bit.  Only neighbours
        exchange rows for it.
    """
    size = CHUNK_ROWS << max(0, round(np.log2(max(sizes) / CHUNK_ROWS)))
    ends = np.cumsum(sizes)
    if all(n == size for n in sizes[:-1]) and sizes[-1] <= size:
        return parts, sizes
    made, n = [], int(ends[-1])
    for begin in range(0, n, size):
        first, last = np.searchsorted(ends, [begin, min(begin + size, n) - 1], side="right")
        starts = ends[first : last + 1] - sizes[first : last + 1]
        cuts = [(max(begin - int(s), 0), begin + size - int(s)) for s in starts]
        made.append(_delayed(partial(_window, cuts), parts[first : last + 1]))
    return made, [min(size, n - begin) for begin in range(0, n, size)]


def _window(cuts: list[tuple[int, int]], tables: list[Rows]) -> Rows:
    """Some rows of each table, on top of each other."""
    pieces = zip(tables, cuts, strict=True)
    return joined([rows.split(end)[0].split(begin)[1] for rows, (begin, end) in pieces])


def _beside(X: Any, blocks: list[Any], other: Any, name: str) -> list[Any]:
    """Parts of y or of the weights that belong to the blocks of X."""
    if other is None or np.isscalar(other):
        return [other] * len(blocks)
    rows: Any = X.chunks[0] if hasattr(X, "chunks") else (np.nan,)
    known = not np.isnan(rows).any()
    if is_dask(other):
        if known and hasattr(other, "rechunk") and other.chunks[0] != rows:
            _check_same_rows(sum(rows), sum(other.chunks[0]), name)
            other = other.rechunk({0: rows})
        if other.ndim == 2 and hasattr(other, "rechunk"):
            other = other.rechunk({1: -1})
        parts = _blocks_of(other)
        if len(parts) != len(blocks):
            raise ValueError(
                f"X has {len(blocks)} blocks of rows and {name} has {len(parts)}: give both the "
                f"same blocks ({name}.rechunk, repartition)."
            )
        return parts
    if not known:
        raise ValueError(
            f"{name} is in memory, but the blocks of the dask collection X have unknown lengths: "
            f"give {name} as a dask collection with the same blocks, or call "
            "X.compute_chunk_sizes() first."
        )
    _check_same_rows(sum(rows), len(other), name)
    return np.split(np.asarray(other), np.cumsum(rows)[:-1])


def _blocks_of(X: Any) -> list[Any]:
    return list(np.ravel(np.asarray(X.to_delayed(), dtype=object)))


def _delayed(function: Any, *parts: Any) -> Any:
    from dask import delayed

    return delayed(function, pure=False)(*parts)


def _tupled(*parts: Any) -> tuple[Any, ...]:
    return parts


def _zipped(X: list[Any], y: list[Any], sample_weight: Any) -> list[Any]:
    weights = [None] * len(X) if sample_weight is None else sample_weight
    return [_delayed(_tupled, *parts) for parts in zip(X, y, weights, strict=True)]


def _check_same_rows(n: int, n_others: int, name: str) -> None:
    """Check that there is a target, or a weight, for every row of X.

    Raises
    ------
    ValueError
        Naming the one that is longer or shorter.
    """
    if n_others != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n} rows, {name} "
            f"has {n_others}."
        )


def _check_as_many(X: Any, y: Any) -> None:
    if not isinstance(y, list) or len(y) != len(X):
        raise ValueError(
            f"X is a list of {len(X)} delayed chunks: y must be a list of as many, or be left out "
            "where each chunk is a tuple (X, y)."
        )


def _is_list_of_delayed(X: Any) -> bool:
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(map(is_dask, X))


def _is_iterable(X: Any) -> bool:
    """Whether X is an iterable of chunks: no array, no frame, and no list of numbers."""
    if isinstance(X, (list, tuple)):
        return bool(X) and all(
            isinstance(part, tuple) and len(part) in (2, 3) and np.ndim(part[0]) == 2 for part in X
        )
    known = isinstance(X, (np.ndarray, str, bytes, dict, set)) or is_foreign(X)
    return hasattr(X, "__iter__") and not known and not hasattr(X, "shape")


def _length(array: Any, name: str) -> int:
    shape = getattr(array, "shape", None)
    if shape is None:
        return len(array)
    if len(shape) == 0:
        raise ValueError(f"{name} has no rows: its shape is {tuple(shape)}.")
    return int(shape[0])
