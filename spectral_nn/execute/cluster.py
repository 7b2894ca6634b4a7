"""Statistics on a dask cluster, or with dask's own threads: the data stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial, reduce
from itertools import islice
from typing import Any, TypeVar

from spectral_nn.additive import tree_sum
from spectral_nn.execute.parts import Derived, derived, evaluate

__all__ = ["ClusterError", "DaskRunner"]

T = TypeVar("T")

_BRANCHES = 8  # partial sums that meet in one task; a power of two keeps the binary tree
_WAVE = 64  # parts sent at once of what is walked and never kept; a power of two, too
_ATTEMPTS = 3  # at data sent from here, which are lost with the worker that held them


class ClusterError(RuntimeError):
    """The cluster went away, or lost its workers again and again, during a computation."""


class DaskRunner:
    """Every statistic is a graph: one task a part, then a tree of sums; only its root comes back.

    Parameters
    ----------
    client : distributed.Client, optional
        None for dask's default: the current client if there is one, else threads here.
    device : str, optional
        Where each worker computes, such as "cuda".

    Notes
    -----
    A part is a `dask.delayed.Delayed` (or a future); anything else is sent to the cluster, once in
    `place`.  Dask computes again what a lost worker held; data that were sent are sent again.
    The tree adds neighbours, so that the order of the parts is that of the sum.
    """

    bulk = 1

    def __init__(self, client: Any = None, device: str | None = None) -> None:
        self._client = client if client is not None else _current_client()
        self._device = device

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Compute ``function(item)`` of all items at once, on the workers' processors."""
        call = _node(partial(evaluate, function))
        for wave in _waves(items):
            yield from self._computed(partial(_applied, call, self._sent(wave)))

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in a tree; of what is walked, a wave at a time."""
        call = _node(self._there(partial(evaluate, statistic)))
        return tree_sum(
            self._computed(partial(_rooted, call, self._sent(wave)))[0] for wave in _waves(chunks)
        )

    def derive(self, function: Callable[..., Any], parts: Iterable[Any]) -> Iterable[Any]:
        """Tasks of tasks; what is here is derived where it is sent."""
        if not isinstance(parts, list):
            return derived(function, parts)
        call = _node(function)
        return [
            _apply(call, part)
            if _is_remote(part)
            else part.derived(call)
            if isinstance(part, _Sent)
            else Derived(function, part)
            for part in parts
        ]

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Start computing dask's parts, and keep them in the cluster's memory; send all others."""
        if self._client is None or not isinstance(parts, list):
            return parts
        remote = [part for part in parts if _is_remote(part)]
        kept = iter(self._guarded(lambda: self._client.persist(remote)) if remote else ())
        return [
            next(kept)
            if _is_remote(part)
            else part
            if isinstance(part, _Sent)
            else _Sent(self._client, part)
            for part in parts
        ]

    def _sent(self, parts: Iterable[Any]) -> Callable[[], list[Any]]:
        """Tasks of parts; called again, what was sent from here is sent again."""
        handles = [
            part if _is_remote(part) or isinstance(part, _Sent) else _Sent(self._client, part)
            for part in parts
        ]
        asked = False

        def tasks() -> list[Any]:
            nonlocal asked
            if asked:
                for handle in handles:
                    if isinstance(handle, _Sent):
                        handle.send()
            asked = True
            return [handle.task if isinstance(handle, _Sent) else handle for handle in handles]

        return tasks

    def _computed(self, graph: Callable[[], list[Any]]) -> list[Any]:
        """Results of tasks, in order."""
        if self._client is None:
            import dask

            return list(dask.compute(*graph()))
        for attempt in range(_ATTEMPTS):
            try:
                return self._guarded(
                    lambda: self._client.gather(self._client.compute(graph(), retries=_ATTEMPTS))
                )
            except ClusterError:
                if attempt == _ATTEMPTS - 1 or self._client.status != "running":
                    raise
        raise AssertionError("unreachable")

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do something with the client; ClusterError where the cluster is at fault."""
        from distributed import CancelledError, KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm import CommClosedError

        lost = (CancelledError, KilledWorker, CommClosedError, ClosedClientError, OSError)
        try:
            return action()
        except lost as error:
            raise ClusterError(
                f"the dask cluster failed ({type(error).__name__}: {error}); its client is "
                f"{self._client.status}. The estimator is as it was before: start the cluster "
                "again and repeat the fit."
            ) from error

    def _there(self, function: Callable[[Any], T]) -> Callable[[Any], T]:
        """The function on each worker's device."""
        if self._device is None:
            return function
        from spectral_nn.execute.device import OnDevice

        return OnDevice(function, self._device)


class _Sent:
    """A part in memory here, its copy in the cluster, and what functions there make of it."""

    def __init__(self, client: Any, part: Any, calls: tuple[Any, ...] = ()) -> None:
        self._client, self._part, self._calls = client, part, calls
        self.send()

    def send(self) -> None:
        """Send it, again if need be."""
        if self._client is not None:
            self._copy = self._client.scatter([self._part], hash=False)[0]
        else:
            self._copy = _node(self._part)

    @property
    def task(self) -> Any:
        """Task, or future, of the copy."""
        return reduce(lambda part, call: _apply(call, part), self._calls, self._copy)

    def derived(self, call: Any) -> _Sent:
        """The same copy, seen through one more function."""
        other = copy(self)
        other._calls = (*self._calls, call)
        return other


def _current_client() -> Any:
    """The client in force, without a start of one."""
    import sys

    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def _is_remote(part: Any) -> bool:
    """Whether a part is dask's already."""
    return hasattr(part, "__dask_graph__") or type(part).__name__ == "Future"


def _waves(parts: Iterable[Any]) -> Iterator[list[Any]]:
    """A list as it is, anything else in runs of some tens."""
    if isinstance(parts, list):
        yield parts
        return
    waiting = iter(parts)
    while wave := list(islice(waiting, _WAVE)):
        yield wave


def _node(value: Any) -> Any:
    """A constant that the graph holds once, however many tasks use it."""
    from dask import delayed

    return delayed(value, pure=False, traverse=False)


def _apply(call: Any, part: Any) -> Any:
    """Task ``call(part)``."""
    from dask import delayed

    return delayed(_called, pure=False)(call, part)


def _called(function: Callable[[Any], T], part: Any) -> T:
    return function(part)


def _applied(call: Any, parts: Callable[[], list[Any]]) -> list[Any]:
    """Tasks of all parts."""
    return [_apply(call, part) for part in parts()]


def _rooted(call: Any, parts: Callable[[], list[Any]]) -> list[Any]:
    """The root of a tree over them."""
    return [_tree(_applied(call, parts))]


def _tree(tasks: list[Any]) -> Any:
    """Sum of tasks, neighbours first."""
    from dask import delayed

    while len(tasks) > 1:
        groups = [tasks[i : i + _BRANCHES] for i in range(0, len(tasks), _BRANCHES)]
        tasks = [delayed(_summed, pure=False)(group) for group in groups]
    return tasks[0]


def _summed(parts: list[Any]) -> Any:
    return tree_sum(parts)
