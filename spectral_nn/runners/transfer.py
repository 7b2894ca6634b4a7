"""Chunks and statistics on their way to a device and back: all their arrays, wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from math import prod
from typing import Any

import array_api_compat
import numpy as np

from spectral_nn.arrays import Array, get_namespace, numpy_dtype, to_numpy

__all__ = ["map_arrays", "move", "size", "to_host", "widened"]

_NUMBERS = "biufc"


def map_arrays(function: Callable[[Any], Any], part: Any) -> Any:
    """A part with a function applied to each of its arrays, SciPy's sparse ones included.

    Parameters
    ----------
    function : array -> anything.
    part : an array, or a dataclass, a named tuple, a tuple or a list of parts; anything else stays
        as it is.  So does what says `stays_on_host`.
    """
    if _is_array(part):
        return function(part)
    if getattr(part, "stays_on_host", False):
        return part
    if is_dataclass(part) and not isinstance(part, type):
        old = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
        new = {name: map_arrays(function, value) for name, value in old.items()}
        return part if all(new[name] is old[name] for name in old) else replace(part, **new)
    if isinstance(part, tuple) and hasattr(part, "_make"):
        return part._make(map_arrays(function, value) for value in part)
    if isinstance(part, tuple | list):
        return type(part)(map_arrays(function, value) for value in part)
    return part


def _arrays_of(part: Any) -> list[Any]:
    """All arrays of a part, in the order of the fields."""
    found: list[Any] = []

    def noted(x: Any) -> Any:
        found.append(x)
        return x

    map_arrays(noted, part)
    return found


def size(part: Any) -> int:
    """Bytes of all arrays of numbers of a part, of sparse ones as dense ones."""
    kinds = [(x.shape, numpy_dtype(x.dtype)) for x in _arrays_of(part)]
    return sum(prod(shape) * dtype.itemsize for shape, dtype in kinds if dtype.kind in _NUMBERS)


def move(part: Any, put: Callable[[np.ndarray], Array]) -> Any:
    """A chunk with its NumPy arrays of numbers put elsewhere, sparse ones made dense."""

    def moved(x: Any) -> Any:
        x = x.toarray() if _is_sparse(x) else x
        return put(x) if isinstance(x, np.ndarray) and x.dtype.kind in _NUMBERS else x

    return map_arrays(moved, part)


def widened(statistic: Any) -> Any:
    """A statistic with its single precision arrays in double precision, where they are."""

    def wide(x: Any) -> Any:
        xp = get_namespace(x)
        return xp.astype(x, xp.float64) if x.dtype == xp.float32 else x

    return map_arrays(wide, statistic)


def to_host(statistic: Any, *, like: Any) -> Any:
    """A statistic with NumPy arrays, of the precisions of another one."""
    dtypes = iter([numpy_dtype(x.dtype) for x in _arrays_of(like)])
    return map_arrays(lambda x: to_numpy(x).astype(next(dtypes), copy=False), statistic)


def _is_array(x: Any) -> bool:
    """Arrays of any library; NumPy's scalars are numbers."""
    return _is_sparse(x) or (array_api_compat.is_array_api_obj(x) and not isinstance(x, np.generic))


def _is_sparse(x: Any) -> bool:
    return hasattr(x, "toarray") and hasattr(x, "nnz")
