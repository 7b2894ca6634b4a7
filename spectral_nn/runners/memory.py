"""Memory that a process of a cluster keeps for the next block, instead of giving it back."""

from __future__ import annotations

import ctypes
import os
from functools import cache

__all__ = ["keep_freed_memory"]

_TRIM, _MAP = -1, -3  # of mallopt in malloc.h
_KEPT = 1 << 28  # bytes free at the top that are kept
_MAPPED = 1 << 25  # bytes from which on an array gets pages of its own: glibc's largest


@cache
def keep_freed_memory() -> None:
    """Undo, in this process, what makes large arrays slow in dask's workers.

    Notes
    -----
    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``, and glibc then takes new pages
    from the system for every array beyond 128 kB, and gives them back with it.  Sums over blocks of
    rows, whose temporaries have some megabytes, take twice as long for it (1e6 rows of 60 columns,
    two workers: 6.1 s a fit, 3.5 s without).  Another value of the variable, set by a user, is left
    as it is; so is a C library without ``mallopt``.
    """
    if os.environ.get("MALLOC_TRIM_THRESHOLD_") != "65536":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MAP, _MAPPED)
    mallopt(_TRIM, _KEPT)
