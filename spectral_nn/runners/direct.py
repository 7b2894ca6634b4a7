"""Calls to a dask cluster's workers with what they hold, outside of its scheduling."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from time import monotonic
from typing import Any, TypeVar

__all__ = ["DirectCalls", "at_home"]

T = TypeVar("T")

_BRIEF = 1.0  # seconds: in longer passes tasks cost next to nothing
_SILENCE = 10.0  # seconds without tasks: a scheduler may be set to close when it has none
_LOOK = 0.2  # seconds between looks whether workers that were asked are still there
_FAILURES = 3  # in a row; dask may drop a copy of what it holds twice, which is one


class DirectCalls:
    """Asks workers for results without tasks, where tasks would take longer than the work.

    Parameters
    ----------
    client : distributed.Client

    Notes
    -----
    Tasks cost a pass some ten milliseconds, a call three.  Tasks come first, and again every ten
    seconds: they tell whether a pass is brief, get over whatever has failed here, show in the
    dashboard, and keep a cluster that closes when it is idle.  A cluster that adapts to its tasks
    (`cluster.adapt`) gets nothing but tasks.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._until: dict[tuple[str, ...], float] = {}
        self._homes: dict[tuple[str, ...], dict[str, dict[int, str]]] = {}
        self._failures = 0

    def results(self, call: Callable[[Any], T], futures: list[Any]) -> list[T] | None:
        """Call a function with what each future stands for, all at once.

        Parameters
        ----------
        call : picklable.
        futures : of what is in the workers' memory.

        Returns
        -------
        list of results in order; None where tasks are due, where they would do better because a
        worker has more futures than threads, or where anything failed: tasks tell what it was.
        """
        names = _names(futures)
        if monotonic() > self._until.get(names, 0.0) or self._failures == _FAILURES:
            return None
        try:
            homes = self._located(futures)
            if not homes:
                return None
            answers = self._client.sync(self._answers, call, homes)
            found = {i: result for answer in answers.values() for i, result in answer.items()}
            results = [found[i][0] for i in range(len(futures))]
        except Exception:
            self._failures += 1
            self._until[names] = 0.0
            return None
        self._failures = 0
        return results

    def after_tasks(self, futures: list[Any], seconds: float) -> None:
        """Take note of how long the same took as tasks."""
        names = _names(futures)
        adapts = getattr(getattr(self._client, "cluster", None), "_adaptive", None) is not None
        self._homes.pop(names, None)  # tasks may have moved what they use
        self._until[names] = monotonic() + _SILENCE if seconds < _BRIEF and not adapts else 0.0

    def _located(self, futures: list[Any]) -> dict[str, dict[int, str]]:
        """Keys by their worker, then by number; none where threads have several."""
        names = _names(futures)
        if names not in self._homes:
            owners, threads = self._client.who_has(futures), self._client.nthreads()
            homes: dict[str, dict[int, str]] = {}
            # A task that was stolen leaves a copy: what has one home only goes first.
            for i, name in sorted(enumerate(names), key=lambda pair: len(owners[pair[1]])):
                home = min(owners[name], key=lambda home: len(homes.get(home, ())) / threads[home])
                homes.setdefault(home, {})[i] = name
            fit = all(len(keys) <= threads[home] for home, keys in homes.items())
            self._homes[names] = homes if fit else {}
        return self._homes[names]

    async def _answers(
        self, call: Callable[[Any], Any], homes: dict[str, dict[int, str]]
    ) -> dict[str, dict[int, Any]]:
        """What workers say; ConnectionError where one is gone: dask would try it for 30 s."""
        asked = asyncio.ensure_future(self._client.run(at_home, call, homes, workers=list(homes)))
        try:
            while not (await asyncio.wait({asked}, timeout=_LOOK))[0]:
                if gone := homes.keys() - (await self._client.nthreads()).keys():
                    raise ConnectionError(f"{', '.join(gone)} left the cluster")
        finally:
            asked.cancel()
        return asked.result()


async def at_home(
    call: Callable[[Any], Any], keys: dict[str, dict[int, str]], dask_worker: Any
) -> dict[int, tuple[Any] | None]:
    """Call a function, on a worker, with what it holds.

    Parameters
    ----------
    call : picklable.
    keys : by address of the worker, then by number of the result.
    dask_worker : the worker; dask gives it.

    Returns
    -------
    dict of results by their numbers, each in a tuple; None where the function failed.

    Notes
    -----
    Data are read in the worker's event loop, as dask reads them, and the function is called on
    the threads that its tasks are called on.
    """
    _log_no_calls()
    mine = keys[dask_worker.address]
    data = [dask_worker.data[key] for key in mine.values()]
    loop = asyncio.get_running_loop()
    calls = [loop.run_in_executor(dask_worker.executor, _tried, call, one) for one in data]
    return dict(zip(mine, await asyncio.gather(*calls), strict=True))


def _tried(call: Callable[[Any], T], one: Any) -> tuple[T] | None:
    """Its result; nothing is raised, as an event loop cannot pass on all that may be."""
    try:
        return (call(one),)
    except BaseException:
        return None


@cache
def _log_no_calls() -> None:
    """Keep a worker from a line in its log for every pass."""
    logging.getLogger("distributed.worker").addFilter(
        lambda record: record.args != (at_home.__name__,)
    )


def _names(futures: list[Any]) -> tuple[str, ...]:
    return tuple(future.key for future in futures)
