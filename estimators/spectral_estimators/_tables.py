"""Tables that are not in memory: what they are, and how they are cut into parts."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.arrays import is_foreign
from spectral_nn.data.rows import CHUNK_ROWS, Rows, joined
from spectral_nn.runners.parts import Part, Walk
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


def raw_parts(
    X: Any, y: Any, sample_weight: Any, n_rows: int, *, alone: bool = False
) -> Iterable[Any]:
    """Parts that load as tuples ``(X, y, sample_weight)`` of a chunk; weights may be None.

    Parameters
    ----------
    X : dask array or frame, list of delayed, lazy array, or iterable of tuples (X, y[, weight]).
    y, sample_weight : of the same kind, or arrays where the chunks of X have known lengths.
    n_rows : of a part of a lazy array, at the least.
    alone : whether there are no targets; chunks may then be X alone, and y is None.

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
        return [_delayed(partial(_as_tuple, alone=alone), part) for part in X]
    if is_lazy(X):
        return _lazy_parts(X, y, sample_weight, n_rows)
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
    return Walk(lambda: map(partial(_as_tuple, alone=alone), X))


def _as_tuple(chunk: Any, *, alone: bool = False) -> tuple[Any, Any, Any]:
    """``(X, y, weight)`` of what a user's chunk holds; ValueError if it is no such tuple."""
    if alone and not isinstance(chunk, tuple):
        chunk = chunk, None
    if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
        raise ValueError(
            "a chunk of X must be a tuple (X, y) or (X, y, sample_weight); got "
            f"{type(chunk).__name__}."
        )
    X, y, *weight = chunk
    return X, y, weight[0] if weight else None


def _lazy_parts(X: Any, y: Any, sample_weight: Any, n_rows: int) -> list[Any]:
    """Slices of an array on disk, not much smaller than what it is stored in."""
    n = _length(X, "X")
    for name, other in (("y", y), ("sample_weight", sample_weight)):
        if other is not None and not np.isscalar(other):
            _check_same_rows(n, _length(other, name), name)
    arrays = tuple(portable(array) for array in (X, y, sample_weight))
    own = (getattr(X, "chunks", None) or (1,))[0]  # rows that have to be read together
    step = n_rows
    while step < 2 * own:
        step *= 2
    cuts = [partial(_sliced, begin, min(begin + step, n)) for begin in range(0, n, step)]
    if isinstance(X, np.memmap):  # slices are views, which are sent to processes by their file
        return [cut(arrays) for cut in cuts]
    return [Part(arrays).map(cut) for cut in cuts]


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


def recut(
    parts: Iterable[Any], read: Callable[[Any], Rows], sizes: list[int], n_rows: int
) -> tuple[Iterable[Any], list[int]]:
    """Cut tables again, so that sums over them do not depend on how a user has cut them.

    Parameters
    ----------
    parts : list of dask.delayed, or Walk
        What `read` makes a table of.
    read : callable
        Makes a table; it is not called for parts without rows.
    sizes : list of int
        Rows of each table.
    n_rows : int
        Rows wanted in a part, 16,384 times a power of two; dask's parts stay near to what they
        were if they are larger, so that only neighbours exchange rows.

    Returns
    -------
    parts, sizes
        As many rows in each but the last: sums over them are those over the same rows in memory,
        to the last bit.
    """
    n = sum(sizes)
    if not isinstance(parts, list):
        made: Iterable[Any] = Walk(lambda: _recut_walk(iter(parts), read, sizes, n_rows))
    else:
        n_rows = max(n_rows, CHUNK_ROWS << max(0, round(np.log2(max(sizes) / CHUNK_ROWS))))
        tables = [_delayed(read, part) for part in parts]
        made = [
            _delayed(_join, [tables[i] for i, _, _ in pieces], [cut[1:] for cut in pieces])
            for pieces in _pieces(sizes, n_rows)
        ]
    return made, [min(n_rows, n - begin) for begin in range(0, n, n_rows)]


def _pieces(sizes: list[int], n_rows: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield what each new part is made of: numbers of old ones, with first and last row."""
    ends = np.cumsum(sizes).tolist()
    for begin in range(0, ends[-1], n_rows):
        end = min(begin + n_rows, ends[-1])
        first, last = np.searchsorted(ends, [begin, end - 1], side="right").tolist()
        yield [
            (i, max(begin - ends[i] + sizes[i], 0), min(end - ends[i] + sizes[i], sizes[i]))
            for i in range(first, last + 1)
            if sizes[i]
        ]


def _recut_walk(
    chunks: Iterator[Any], read: Callable[[Any], Rows], sizes: list[int], n_rows: int
) -> Iterator[Rows]:
    """One walk over chunks, cut again.

    Raises
    ------
    ValueError
        If there are not as many chunks, or rows in them, as in the first walk.
    """
    n_walked = 0
    for pieces in _pieces(sizes, n_rows):
        tables = []
        for number, begin, end in pieces:
            while n_walked <= number:
                try:
                    chunk = next(chunks)
                except StopIteration:
                    raise _differs("chunks", len(sizes), n_walked) from None
                if sizes[n_walked]:
                    rows = read(chunk)
                    if rows.n_rows != sizes[n_walked]:
                        what = f"rows in chunk {n_walked}"
                        raise _differs(what, sizes[n_walked], rows.n_rows)
                n_walked += 1
            tables.append(rows.cut(begin, end))
        yield joined(tables)
    n_walked += sum(1 for _ in chunks)
    if n_walked != len(sizes):
        raise _differs("chunks", len(sizes), n_walked)


def _differs(what: str, first: int, later: int) -> ValueError:
    return ValueError(
        f"X yielded {first} {what} in the first walk and {later} in a later one. Its __iter__ must "
        "start again and yield the same chunks."
    )


def _join(tables: list[Rows], cuts: list[tuple[int, int]]) -> Rows:
    """Some rows of each table, on top of each other."""
    return joined([rows.cut(*cut) for rows, cut in zip(tables, cuts, strict=True)])


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
    """Check that there is a target, or a weight, for every row of X; ValueError naming which."""
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
