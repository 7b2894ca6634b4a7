"""One runner for every statistic: a function of a chunk, over many chunks, summed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_TASKS_PER_WORKER = 32  # sent at once: enough to keep workers busy, and memory bounded


class Runner(Protocol):
    """What a fit asks of whoever computes: `map` a picklable function over items, in order."""

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Yield ``function(item)`` in the order of the items, some tens ahead at the most."""


class SerialRunner:
    """Everything in this process."""

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Apply the function to one item after another."""
        return map(function, items)


class JoblibRunner:
    """Joblib workers: processes by default, or what the user's `joblib.parallel_config` says."""

    def __init__(self, parallel: Any, n_workers: int) -> None:
        self._parallel = parallel
        self._wave = _TASKS_PER_WORKER * n_workers

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Send each item to a worker; an error or a killed worker raises here."""
        from sklearn.utils.parallel import delayed

        waiting = iter(items)
        while wave := list(islice(waiting, self._wave)):
            yield from self._parallel(delayed(function)(item) for item in wave)


@contextmanager
def runner(n_jobs: int | None = None) -> Iterator[Runner]:
    """Open a runner whose workers live as long as the block.

    Parameters
    ----------
    n_jobs : joblib's number of workers; None is 1 outside a `joblib.parallel_config`.

    Yields
    ------
    Runner
        A `SerialRunner` for one worker, else a `JoblibRunner`.

    Raises
    ------
    ValueError
        If `n_jobs` is 0.

    Notes
    -----
    Chunks never depend on `n_jobs` and results are added in their order, so that the number of
    workers changes no bit of a sum.
    """
    import joblib

    n_workers = joblib.effective_n_jobs(n_jobs)
    if n_workers == 1:
        yield SerialRunner()
        return
    from sklearn.utils.parallel import Parallel

    with Parallel(n_jobs=n_jobs) as parallel:
        yield JoblibRunner(parallel, n_workers)


def total(run: Runner, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
    """Sum a statistic over chunks: ``statistic(c_1) + statistic(c_2) + ...``, in this order.

    Parameters
    ----------
    run : who computes.
    statistic : chunk -> a statistic, anything with ``+``; picklable.
    chunks : at least one.

    Returns
    -------
    The sum.  Memory is that of a few statistics, whatever the number of chunks.
    """
    results = run.map(statistic, chunks)
    summed: Any = next(results)
    for result in results:
        summed = summed + result
    return summed
