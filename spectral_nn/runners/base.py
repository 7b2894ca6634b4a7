"""Who computes: a statistic is a function of a chunk, summed over many chunks.

A fit asks three things of a runner, and never who it is: to `map` a function over items, the
`total` of a statistic over chunks, and to `place` parts where they are computed on, for many passes
over them.  What differs between runners is a number that they state.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from spectral_nn.additive import tree_sum
from spectral_nn.blas import one_blas_thread
from spectral_nn.runners.parts import Part, evaluate

__all__ = [
    "CHUNK_ROWS",
    "JoblibRunner",
    "Runner",
    "SerialRunner",
    "ThreadRunner",
    "runner",
]

T = TypeVar("T")

CHUNK_ROWS = 1 << 14  # of a table: some milliseconds of work at the least
_MAPPING = {"LokyBackend", "MultiprocessingBackend"}  # send mapped arrays by the name of the file
_TASKS_PER_WORKER = 8  # sent to processes at once: enough to keep them busy, and memory bounded
_TASKS_PER_THREAD = 2  # ahead of the one that is waited for


class Runner(Protocol):
    """What a fit asks of whoever computes.

    Attributes
    ----------
    chunk_rows : int
        Rows of a table that it wants at once, 16,384 times a power of two.
    chunk_tokens : int
        Rows of sequences that it wants at once.
    n_workers : int
        Items that `map` takes at a time.
    """

    chunk_rows: int
    chunk_tokens: int

    @property
    def n_workers(self) -> int:
        """How many items are computed at a time."""

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Yield ``function(item)`` in the order of the items, some tens ahead at the most.

        Items that are parts are loaded where the function is called.
        """

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Sum a statistic over chunks: ``statistic(c_1) + statistic(c_2) + ...``, neighbours first.

        Parameters
        ----------
        statistic : callable
            Chunk -> anything with ``+``; picklable.
        chunks : iterable
            At least one chunk or part.

        Notes
        -----
        Memory is that of log2(number of chunks) statistics.
        """

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Parts put where statistics of them are computed, for several passes.

        Only lists are kept; anything else is walked anew in every pass.
        """


class SerialRunner:
    """Everything in this process, one thing after another."""

    chunk_rows = CHUNK_ROWS
    chunk_tokens = 1 << 16
    n_workers = 1

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Apply the function to one item after another."""
        return map(partial(evaluate, function), items)

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in a tree."""
        return tree_sum(self.map(statistic, chunks))

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Parts as they are."""
        return parts


class ThreadRunner(SerialRunner):
    """Threads of this process: the kernels let go of Python's lock, and nothing is copied."""

    def __init__(self, pool: ThreadPoolExecutor, n_workers: int) -> None:
        self._pool, self.n_workers = pool, n_workers
        self._ahead = _TASKS_PER_THREAD * n_workers

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Keep some items ahead of the one that is waited for."""
        ahead: deque[Future[T]] = deque()
        try:
            for item in items:
                ahead.append(self._pool.submit(evaluate, function, item))
                if len(ahead) > self._ahead:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for task in ahead:
                task.cancel()


class JoblibRunner(SerialRunner):
    """Workers of joblib's backends: processes, or what the user has registered.

    Processes get large arrays as files mapped into memory, written once.
    """

    def __init__(self, parallel: Any, n_workers: int, share: Callable[[Any], Any] | None) -> None:
        self._parallel, self.n_workers = parallel, n_workers
        self._wave = _TASKS_PER_WORKER * n_workers
        self._share = share

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Send each item to a worker; an error or a killed worker raises here."""
        from joblib import delayed

        waiting = iter(items)
        while wave := list(islice(waiting, self._wave)):
            yield from self._parallel(delayed(evaluate)(function, item) for item in wave)

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Chunks as files mapped into memory; parts that are made there as they are."""
        if self._share is None or not isinstance(parts, list):
            return parts
        return [part if isinstance(part, Part) else self._share(part) for part in parts]


@contextmanager
def runner(
    n_jobs: int | None = None, *, device: str | None = None, remote: bool = False
) -> Iterator[Runner]:
    """Open a runner whose workers live as long as the block, in which BLAS has one thread.

    Parameters
    ----------
    n_jobs : joblib's number of workers; None is 1 outside a `joblib.parallel_config`.
    device : "cuda" or "cuda:1"; None or "cpu" for the processor.
    remote : whether the parts are dask's, so that dask has to compute.

    Yields
    ------
    Runner
        A `SerialRunner` for one worker; a `ThreadRunner`, or a `JoblibRunner` for other backends; a
        `spectral_nn.runners.cluster.DaskRunner` for dask's parts and under
        ``parallel_config(backend="dask")``; a `spectral_nn.runners.device.DeviceRunner` for a GPU.

    Raises
    ------
    ValueError
        If `n_jobs` is 0, or there is no such device.
    ImportError
        If the device needs a library that is not installed.

    Notes
    -----
    Chunks never depend on `n_jobs`, results are added in one tree, and BLAS has one thread here and
    in every worker (see `spectral_nn.blas`), so that on one machine neither the number of
    workers nor who they are changes a bit of a sum.  Devices, and other BLAS kernels, round
    differently.
    """
    with one_blas_thread(), ExitStack() as stack:
        yield _open_runner(n_jobs, device, remote, stack)


def _open_runner(n_jobs: int | None, device: str | None, remote: bool, stack: ExitStack) -> Runner:
    """The runner that suits, and what has to be undone after it."""
    import joblib

    backend, _ = joblib.parallel.get_active_backend()
    client = getattr(backend, "client", None) if n_jobs != 1 else None
    on_device = device not in (None, "cpu")
    if remote or client is not None:
        from spectral_nn.runners.cluster import open_dask

        return open_dask(client, device if on_device else None)
    if on_device:
        from spectral_nn.runners.device import open_device

        return open_device(str(device))
    n_workers = joblib.effective_n_jobs(n_jobs)
    return SerialRunner() if n_workers == 1 else _joblib_runner(n_jobs, n_workers, stack)


def _joblib_runner(n_jobs: int | None, n_workers: int, stack: ExitStack) -> Runner:
    """Workers of the backend in force, and what has to be undone after them."""
    import joblib

    parallel = stack.enter_context(joblib.Parallel(n_jobs=n_jobs, prefer="threads"))
    if getattr(parallel._backend, "supports_sharedmem", False):
        return ThreadRunner(stack.enter_context(ThreadPoolExecutor(n_workers)), n_workers)
    if type(parallel._backend).__name__ not in _MAPPING:
        return JoblibRunner(parallel, n_workers, None)
    with _named():
        folder = tempfile.mkdtemp(prefix="spectral_nn_")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return JoblibRunner(parallel, n_workers, partial(_shared, folder))


def _shared(folder: str, part: Any) -> Any:
    """Write the arrays of a part to a file, and map it into memory: joblib sends only its name."""
    import joblib

    with _named(folder):
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        with open(handle, "wb") as file:
            joblib.dump(part, file)
    return joblib.load(name, mmap_mode="r")


@contextmanager
def _named(folder: str | None = None) -> Iterator[None]:
    """Say of an OSError which folder could not be written to, and why it should be."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}. joblib's processes are sent large arrays as temporary files. Set "
            "TMPDIR to a folder with room for X, or fit with joblib's threads",
            error.filename or folder,
        ) from error
