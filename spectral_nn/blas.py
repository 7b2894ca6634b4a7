"""One thread of BLAS, or of OpenMP, while a fit computes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Lock, Thread, local
from typing import Any

__all__ = ["one_blas_thread", "one_openmp_thread"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread for the length of a block, or of a function it decorates.

    Blocks may be nested, and may overlap in several threads: the first to open sets the limit, the
    last to close takes it back.

    Notes
    -----
    Chunks are what is computed in parallel.  Within one, more threads change the last bits of a
    product, since OpenBLAS cuts it differently for one thread and for two, and products of a few
    hundred numbers take many times as long, since its threads wait in busy loops.

    OpenBLAS's limit belongs to the process: other code that uses it meanwhile has one thread, too.
    A block costs about 0.2 ms, 5 ms where modules have been imported since the last one, and a
    microsecond inside another block of the same thread.

    Examples
    --------
    >>> import numpy as np
    >>> with one_blas_thread():
    ...     product = np.ones((2, 3)) @ np.ones((3, 2))
    """
    _depth.value = getattr(_depth, "value", 0) + 1
    try:
        if _depth.value > 1:
            yield
            return
        with _shared_limit, ExitStack() as stack:
            # The limit of a BLAS on OpenMP belongs to the thread.  And threadpoolctl listens to one
            # thread at a time, which is this one inside of a `threadpool_limits` of the caller.
            if any(library.num_threads > 1 for library in _blas_libraries()):
                stack.enter_context(_controller().limit(limits=1, user_api="blas"))
            yield
    finally:
        _depth.value -= 1


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Limit OpenMP, in this thread, to one thread for the length of a block.

    For scikit-learn's k-means on a few thousand rows, whose module has to be imported before.
    Threads that wait do so in busy loops: on two cores that are at work already, two of them took a
    hundred times as long as one. And labels then do not depend on how many cores there are.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> with one_openmp_thread():
    ...     labels = KMeans(2, n_init=1, random_state=0).fit_predict([[0.0], [0.1], [9.0]])
    """
    with _controller().limit(limits=1, user_api="openmp"):
        yield


_depth = local()  # blocks that are open in this thread


class _SharedLimit:
    """The limit of the process, for as long as any thread asks for it.

    threadpoolctl wants a limit to be lifted by the thread that has set it, and the first block to
    open may be the first to close.  So a thread of its own holds the limit.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._over = Event()
        self._holder: Thread | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._over, self._holder = _started()
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._holder is not None:
                self._over.set()
                self._holder.join()
                self._holder = None


_shared_limit = _SharedLimit()


def _started() -> tuple[Event, Thread]:
    """A thread that has set the limit, and what tells it to lift it."""
    ready, over = Event(), Event()
    holder = Thread(target=_hold, args=(ready, over), daemon=True)
    holder.start()
    try:
        ready.wait()
    except BaseException:  # Ctrl-C
        over.set()
        raise
    return over, holder


def _hold(ready: Event, over: Event) -> None:
    try:
        with _controller().limit(limits=1, user_api="blas"):
            ready.set()
            over.wait()
    finally:
        ready.set()


_found: tuple[int, Any] = (0, None)  # number of modules, and what was found when there were as many


def _controller() -> Any:
    """What threadpoolctl knows of the libraries of this process, asked anew after imports."""
    global _found
    import scipy.linalg  # noqa: F401  (brings a BLAS of its own, which has to be there by now)
    from threadpoolctl import ThreadpoolController

    if _found[0] != len(sys.modules):
        _found = len(sys.modules), ThreadpoolController()
    return _found[1]


def _blas_libraries() -> list[Any]:
    return [one for one in _controller().lib_controllers if one.user_api == "blas"]
