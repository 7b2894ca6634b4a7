"""One runner for every statistic: a function of a chunk, over many chunks, summed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Runner(Protocol):
    """What a fit asks of whoever computes: `map` a picklable function over items, in order."""

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Sequence[T]:
        """Results of ``function(item)`` in the order of the items."""


class SerialRunner:
    """Everything in this process."""

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Sequence[T]:
        """Apply the function to one item after another."""
        return [function(item) for item in items]


class JoblibRunner:
    """Joblib workers: processes by default, or what the user's `joblib.parallel_config` says."""

    def __init__(self, parallel: Any) -> None:
        self._parallel = parallel

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Sequence[T]:
        """Send each item to a worker; an error or a killed worker raises here."""
        from sklearn.utils.parallel import delayed

        return list(self._parallel(delayed(function)(item) for item in items))


@contextmanager
def runner(n_jobs: int | None = None) -> Iterator[Runner]:
    """Open a runner whose workers live as long as the block.

    Parameters
    ----------
    n_jobs : joblib's number of workers; None is 1 outside a `joblib.parallel_config`.

    Notes
    -----
    Chunks never depend on `n_jobs` and results are added in their order, so that the number of
    workers changes no bit of a sum.
    """
    import joblib

    if joblib.effective_n_jobs(n_jobs) == 1:
        yield SerialRunner()
        return
    from sklearn.utils.parallel import Parallel

    with Parallel(n_jobs=n_jobs) as parallel:
        yield JoblibRunner(parallel)


def total(run: Runner, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
    """Sum a statistic over chunks: ``statistic(c_1) + statistic(c_2) + ...``, in this order."""
    results = iter(run.map(statistic, chunks))
    summed: Any = next(results)
    for result in results:
        summed = summed + result
    return summed
