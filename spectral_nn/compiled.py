"""Functions compiled by Numba, which run wherever Numba cannot keep what it has compiled."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Compiled", "compiled_part", "writeable"]

# Python's lock is let go of; 1 / 0 is inf, as a check for it would cost the SIMD.
_HOW = {"nogil": True, "error_model": "numpy"}

# What Numba raises at the first call where its cache cannot be written, or was cut off: kernels
# themselves open no files.
_CACHE_FAILED = (OSError, EOFError, pickle.UnpicklingError)

#: For functions that only compiled functions call: they are kept with their callers.
compiled_part = numba.njit(**_HOW)


def writeable(x: Any) -> NDArray:
    """C-ordered and writeable: Numba would compile again for what workers get read-only."""
    return np.require(x, requirements=["C", "W"])


class Compiled:
    """A function that is compiled at its first call with arrays of new types, and kept on disk.

    Where that cannot be kept (nothing there may be written, or the disk is full) or what was kept
    cannot be read, each process compiles the function anew.

    Parameters
    ----------
    function : of arrays and numbers.  It writes results to arrays that it is given, and returns a
        number or nothing: to return an array, Numba calls Python, where a pending Ctrl-C would
        raise in the midst of it and come out as a SystemError.

    Attributes
    ----------
    signatures : the types of arguments that are compiled so far.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        try:
            self._compiled = numba.njit(cache=True, **_HOW)(function)
        except RuntimeError:  # there is no folder that it may write to
            self._compiled = numba.njit(**_HOW)(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        try:
            return self._compiled(*arguments)
        except _CACHE_FAILED:
            self._compiled = numba.njit(**_HOW)(self._function)
            return self._compiled(*arguments)

    def __reduce__(self) -> str:
        return self._function.__qualname__  # pickled by name, as functions are

    @property
    def signatures(self) -> list[Any]:
        """One tuple of Numba's types for each of the compiled versions."""
        return self._compiled.signatures
