"""Array namespaces and devices, and the two ways between them and NumPy.

Functions of the core begin with ``xp = get_namespace(...)`` and then use only names of the
Python array API standard, so that NumPy, PyTorch and CuPy arrays take the same path. Steps that
the standard lacks (a general eigendecomposition, an assignment problem, compiled loops) happen on
the host between `to_numpy` and `from_numpy`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

import array_api_compat
import numpy as np

__all__ = ["Array", "erf", "from_numpy", "get_namespace", "to_numpy"]

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


def _is_strict(x: Array) -> bool:
    """Tell arrays of array_api_strict, whose devices only its own `to_device` can leave."""
    return type(x).__module__.startswith("array_api_strict")
