"""Array namespaces and devices, and the two ways between them and NumPy.

Functions of the core begin with ``xp = get_namespace(...)`` and then use only names of the
Python array API standard, so that NumPy, PyTorch and CuPy arrays take the same path. Steps that
the standard lacks (a general eigendecomposition, an assignment problem, compiled loops) happen on
the host between `to_numpy` and `from_numpy`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from itertools import pairwise
from types import ModuleType
from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy
import numpy as np

__all__ = [
    "Array",
    "add_at",
    "beside",
    "clip",
    "erf",
    "from_numpy",
    "fused",
    "get_namespace",
    "is_foreign",
    "numpy_dtype",
    "require_one_device",
    "same_precision",
    "to_numpy",
    "where_it_lives",
]

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""


def get_namespace(*arrays: Array) -> ModuleType:
    """Return the array API namespace that all the arrays share.

    Parameters
    ----------
    *arrays : arrays of one library; None and Python scalars are passed over

    Returns
    -------
    xp : module
        Namespace that follows the array API standard, through `array_api_compat`.

    Raises
    ------
    TypeError
        If an argument is no array (a list, say), or if the arrays are of several libraries.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.arrays import get_namespace
    >>> xp = get_namespace(np.ones(3))
    >>> float(xp.sum(xp.ones(3)))
    3.0
    """
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:  # asked often; saves a microsecond
        return array_api_compat.numpy
    return array_api_compat.array_namespace(*arrays)


def to_numpy(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array on the host, without a copy where that is possible.

    Parameters
    ----------
    x : array (...) of any library and on any device, or what `numpy.asarray` takes

    Returns
    -------
    x : ndarray (...), of the same dtype

    Notes
    -----
    Waits for the device. Gradients are left behind.
    """
    if array_api_compat.is_torch_array(x):
        return x.detach().cpu().resolve_conj().numpy()
    if array_api_compat.is_cupy_array(x):
        return x.get()
    if _is_strict(x):
        x = x.to_device(get_namespace(x).Device("CPU_DEVICE"))
    return np.asarray(x)


def from_numpy(x: np.ndarray, *, like: Array) -> Array:
    """Return a NumPy array as an array of the namespace and device of `like`.

    Parameters
    ----------
    x : ndarray (...)
    like : array
        Where the result belongs. A real floating `x` also takes the precision of a real
        floating `like`, so that numbers drawn on the host do not promote single precision.

    Returns
    -------
    x : array (...)
        It may share its memory with the argument.
    """
    x = np.asarray(x)
    xp = get_namespace(like)
    dtype = None
    if x.dtype.kind == "f" and xp.isdtype(like.dtype, "real floating"):
        dtype = like.dtype
    if not array_api_compat.is_numpy_array(like):
        # PyTorch refuses negative strides and warns of memory that it may not write to.
        x = np.require(x, requirements=["C_CONTIGUOUS", "WRITEABLE"])
    return xp.asarray(x, dtype=dtype, device=array_api_compat.device(like))


def erf(x: Array) -> Array:
    """Return the error function of each entry, which the array API standard lacks.

    Parameters
    ----------
    x : array (...), real

    Returns
    -------
    y : array (...), of the namespace, device and dtype of `x`

    Notes
    -----
    On the device for NumPy, PyTorch and CuPy; by way of the host for any other library.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.arrays import erf
    >>> erf(np.asarray([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """
    if array_api_compat.is_torch_array(x):
        return x.erf()
    if array_api_compat.is_cupy_array(x):
        from cupyx.scipy import special as cupy_special

        return cupy_special.erf(x)
    # Slow to import, and needed by nothing else here.
    from scipy import special

    return from_numpy(special.erf(to_numpy(x)), like=x)


def add_at(table: Array, index: Array, rows: Array) -> Array:
    """Add rows to rows of a table, to the same one as often as the index says, which it lacks.

    Parameters
    ----------
    table : array (D, K), real floating; it is written to where its library allows for it
    index : array (n,) of int, entries below D
    rows : array (n, K) of the library and device of `table`

    Returns
    -------
    table : array (D, K), ``table[index[i]] += rows[i]`` for all i, in the precision of `table`

    Notes
    -----
    O(n K).  In place for NumPy, PyTorch and CuPy; by way of the host for any other library.  A GPU
    adds in any order, so that the last bits change from run to run.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.arrays import add_at
    >>> add_at(np.zeros((2, 1)), np.asarray([1, 0, 1]), np.ones((3, 1))).ravel()
    array([1., 2.])
    """
    if array_api_compat.is_torch_array(table):
        return table.index_add_(0, index, rows.to(table.dtype))
    if array_api_compat.is_cupy_array(table):
        import cupy

        cupy.add.at(table, index, rows)
        return table
    if not array_api_compat.is_numpy_array(table):
        summed = add_at(np.array(to_numpy(table)), to_numpy(index), to_numpy(rows))
        return from_numpy(summed, like=table)
    np.add.at(table, index, rows)
    return table


def clip(x: Array, low: float | None = None, high: float | None = None) -> Array:
    """Return the entries of `x`, those out of bounds replaced by the nearer bound.

    Parameters
    ----------
    x : array (...), real
    low, high : bounds; None for none

    Returns
    -------
    x : array (...), of the same dtype; NaN stays

    Notes
    -----
    The general wrapper of `array_api_compat` for CuPy looks the entries up by masks, which makes
    the host wait for the device twice.
    """
    # `fused` puts an object of CuPy in the place of an array.
    if type(x).__module__.partition(".")[0] == "cupy":
        import cupy

        bounds = -np.inf if low is None else low, np.inf if high is None else high
        return cupy.clip(x, *bounds)
    return get_namespace(x).clip(x, low, high)


def fused(function: Callable[..., Array]) -> Callable[..., Array]:
    """Let CuPy make one kernel of a function, which reads and writes its arrays once.

    Parameters
    ----------
    function : callable
        Of arrays alone, broadcast, that it combines entry by entry: operators, `clip`.

    Returns
    -------
    function : callable
        With arrays of any other library the same function, step by step.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.arrays import fused
    >>> fused(lambda x, mean: (x - mean) ** 2)(np.ones(2), np.asarray(3.0))
    array([4., 4.])
    """

    @wraps(function)
    def call(*arrays: Array) -> Array:
        on_gpu = array_api_compat.is_cupy_array(arrays[0])
        return (_one_kernel(function) if on_gpu else function)(*arrays)

    return call


@cache
def _one_kernel(function: Callable[..., Array]) -> Callable[..., Array]:
    import cupy

    return cupy.fuse(function)


def is_foreign(x: Any) -> bool:
    """Tell arrays of PyTorch, CuPy and the like from NumPy's, dask's, and what is none."""
    if isinstance(x, np.ndarray) or hasattr(x, "__dask_graph__"):
        return False
    return array_api_compat.is_array_api_obj(x)


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's dtype of the name that another library's has."""
    return dtype if isinstance(dtype, np.dtype) else np.dtype(str(dtype).rpartition(".")[2])


def same_precision(*arrays: Array) -> list[Array]:
    """Return real floating arrays of one library in the widest precision among them.

    Parameters
    ----------
    *arrays : arrays (...) of one library

    Returns
    -------
    arrays : list of arrays (...)
        An array that has this precision already is returned as it is.

    Notes
    -----
    NumPy multiplies matrices of single and double precision; PyTorch does not.
    """
    xp = get_namespace(*arrays)
    dtype = xp.result_type(*arrays)
    return [xp.astype(x, dtype, copy=False) for x in arrays]


def beside(value: Any, like: Array) -> Any:
    """Return a value, its arrays in the library, on the device and in the precision of another.

    Parameters
    ----------
    value : array of floating numbers; list, tuple or dict of such values; anything else stays
    like : array

    Returns
    -------
    value : of the same structure; its arrays are copies
    """
    if isinstance(value, np.ndarray) or is_foreign(value):
        return from_numpy(np.array(to_numpy(value), numpy_dtype(like.dtype)), like=like)
    if isinstance(value, dict):
        return {key: beside(each, like) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(beside(each, like) for each in value)
    return value


def where_it_lives(x: Array) -> str:
    """Return library and device of an array in words, such as "cupy on cuda:0"."""
    device = array_api_compat.device(x)
    if array_api_compat.is_cupy_array(x):
        device = f"cuda:{device.id}"
    elif _is_strict(x):
        device = str(device).split("'")[1]
    return f"{type(x).__module__.partition('.')[0]} on {device}"


def require_one_device(**arrays: Array | None) -> None:
    """Check that arrays are of one library and on one device.

    Parameters
    ----------
    **arrays : arrays by the names that the user knows them by; None is passed over

    Raises
    ------
    ValueError
        Naming two that are not, and where they are.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.arrays import require_one_device
    >>> require_one_device(X=np.ones((3, 2)), y=np.ones(3), sample_weight=None)
    """
    homes = {name: where_it_lives(x) for name, x in arrays.items() if x is not None}
    for (first, here), (second, there) in pairwise(homes.items()):
        if here != there:
            raise ValueError(
                f"{first} is an array of {here}, but {second} of {there}: arrays of one call have "
                f"to be of one library and on one device. Move {second} to where {first} is, or "
                "give all of them as NumPy arrays (and device='cuda' for a GPU)."
            )


def _is_strict(x: Array) -> bool:
    """Tell arrays of array_api_strict, whose devices only its own `to_device` can leave."""
    return type(x).__module__.startswith("array_api_strict")
