"""CUDA kernels of our own, on arrays of CuPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from spectral_nn.arrays import Array

__all__ = ["run_on_rows"]

_WARP, _BLOCK = 32, 256  # threads of a row, threads of a block
_NUMBERS = {"f": "float", "d": "double"}


def run_on_rows(source: str, name: str, table: Array, *arrays: Array) -> None:
    """Run a kernel with a warp for each row of a table.

    Parameters
    ----------
    source : str
        CUDA C++.
    name : str
        Of a template of the type of numbers.  It takes the arrays, the number of rows (long long)
        and of columns (int); thread i is lane ``i % 32`` of row ``i / 32``.
    table : CuPy array (n, K) of float32 or float64
        As all it is C-contiguous, and may be written to.
    *arrays : CuPy arrays

    Raises
    ------
    ValueError
        If an array is not C-contiguous.
    """
    for x in (table, *arrays):
        if not x.flags.c_contiguous:
            raise ValueError(f"{name} takes C-contiguous arrays; one has strides {x.strides}.")
    n, K = table.shape
    if n:
        kernel = _compiled(source, f"{name}<{_NUMBERS[table.dtype.char]}>")
        blocks = -(-n * _WARP // _BLOCK)
        kernel((blocks,), (_BLOCK,), (table, *arrays, np.int64(n), np.int32(K)))


@cache
def _compiled(source: str, instance: str) -> Any:
    """An instance of a template, compiled at its first call; CuPy keeps one for each GPU."""
    import cupy

    return cupy.RawModule(code=source, name_expressions=[instance]).get_function(instance)
