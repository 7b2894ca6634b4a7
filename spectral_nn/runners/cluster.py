"""Statistics where the data are: dask's own threads, or the workers of its cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from spectral_nn.additive import tree_sum
from spectral_nn.runners.direct import DirectCalls
from spectral_nn.runners.memory import keep_freed_memory
from spectral_nn.runners.parts import Derived, derived, evaluate, load
from spectral_nn.runners.placed import Bundled, Sent, View, called, is_remote, listed, seen
from spectral_nn.runners.transfer import size
from spectral_nn.stored import is_dask

__all__ = ["ClusterError", "ClusterRunner", "DaskRunner", "open_dask"]

T = TypeVar("T")

# All three are powers of two, so that partial sums are branches of one binary tree.
_BRANCHES = 8  # partial sums that meet in one task
_FEW = 32  # parts whose sums come back one by one: quicker than a task that adds them
_WAVE = 64  # parts sent at once of what is walked and never kept

_SMALL = 1 << 23  # bytes of parts that are bundled, as one task costs more than they do
_ATTEMPTS = 3


class ClusterError(RuntimeError):
    """The cluster went away, or lost its workers again and again, during a computation."""


def open_dask(client: Any = None, device: str | None = None) -> DaskRunner:
    """Open a runner on a client's cluster, or on dask's threads here.

    Parameters
    ----------
    client : distributed.Client, optional
        None for the current one, if there is one.
    device : str, optional
        Where each worker computes statistics, such as "cuda".
    """
    client = _current_client() if client is None else client
    return DaskRunner(device) if client is None else ClusterRunner(client, device)


class DaskRunner:
    """Every statistic is a graph: one task a part, and a tree of sums; only its root comes back.

    Parameters
    ----------
    device : str, optional
        Where statistics are computed, such as "cuda".
    """

    bulk = 1

    def __init__(self, device: str | None = None) -> None:
        self._device = device

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Compute ``function(item)`` of all items at once; of what is walked, a wave at a time."""
        import dask

        call = _node(partial(evaluate, function))
        for wave in _waves(items):
            yield from dask.compute(*(_apply(call, part) for part in wave))

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in a tree; of what is walked, a wave at a time."""
        call = _node(self._there(partial(evaluate, statistic)))
        return tree_sum(
            _tree([_apply(call, part) for part in wave]).compute() for wave in _waves(chunks)
        )

    def derive(self, function: Callable[..., Any], parts: Iterable[Any]) -> Iterable[Any]:
        """Tasks of tasks; what was sent is seen through; what is here is derived where it goes."""
        if not isinstance(parts, list):
            return derived(function, parts)
        call = _node(function)

        def put_before(part: Any) -> Any:
            if is_dask(part):
                return _apply(call, part)
            return seen(part).through(function) if is_remote(part) else Derived(function, part)

        return list(map(put_before, parts))

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Parts as they are: dask makes them again in every pass."""
        return parts

    def _there(self, function: Callable[[Any], T]) -> Callable[[Any], T]:
        """The function on the device."""
        if self._device is None:
            return function
        from spectral_nn.runners.device import OnDevice

        return OnDevice(function, self._device)


class ClusterRunner(DaskRunner):
    """The same on a cluster, whose workers hold the parts between passes.

    Parameters
    ----------
    client : distributed.Client
    device : str, optional
        Where each worker computes, such as "cuda".

    Notes
    -----
    A part is a `dask.delayed.Delayed` or a future; anything else is sent to the cluster, once in
    `place`.  Dask computes again what a lost worker held; data that were sent are sent again.
    A task costs about a millisecond: many small parts are bundled, neighbours together, and
    sums of up to 32 come back one by one, while those of more meet on the workers.  What is
    bundled is often summed in less time than tasks cost: see `DirectCalls`.
    """

    def __init__(self, client: Any, device: str | None = None) -> None:
        super().__init__(device)
        self._client = client
        self._held: Any = None
        self._direct = DirectCalls(client)

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Compute ``function(item)`` of all items at once; of what is walked, a wave at a time."""
        call = partial(_on_worker, partial(evaluate, function))
        for wave in _waves(items):
            yield from self._results(call, wave, lambda futures: futures)

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in a tree; of what is walked, a wave at a time."""
        call = partial(_on_worker, self._there(partial(evaluate, statistic)))
        if isinstance(chunks, Bundled):
            return tree_sum(self._bundle_sums(chunks.summed(call), chunks.bundles))
        return tree_sum(tree_sum(self._results(call, wave, self._sums)) for wave in _waves(chunks))

    def derive(self, function: Callable[..., Any], parts: Iterable[Any]) -> Iterable[Any]:
        """See bundles through a function; anything else as without a cluster."""
        if isinstance(parts, Bundled):
            return parts.through(function)
        return super().derive(function, parts)

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Start computing dask's parts, and keep them in the cluster's memory; send all others."""
        if not isinstance(parts, list):
            return parts
        with self._guarded():
            if any(map(is_remote, parts)):
                futures = self._kept([self._there_is(part) for part in parts])
                group = self._group(self._results(size, futures, lambda sizes: sizes))
                return self._neighbours(futures, group) if group else futures
            group = self._group(list(map(size, parts)))
            if not group:
                return [Sent(self._client, part) for part in parts]
            bundles = [
                Sent(self._client, parts[i : i + group]) for i in range(0, len(parts), group)
            ]
            return Bundled(bundles, group, len(parts))

    def _group(self, sizes: list[int]) -> int:
        """How many neighbours to bundle, so that a thread keeps one; 0 for large parts."""
        if max(sizes) > _SMALL:
            return 0
        n_threads = sum(self._client.nthreads().values())
        group = 1
        while group * n_threads < len(sizes):
            group *= 2
        return group

    def _neighbours(self, futures: list[Any], group: int) -> Bundled:
        """Bundles of what is on the cluster, each on one worker."""
        threads = self._client.nthreads()
        homes = [name for name, n in threads.items() for _ in range(n)]
        bundles = [
            self._client.submit(
                listed,
                futures[i : i + group],
                pure=False,
                workers=[homes[i // group % len(homes)]],
                allow_other_workers=True,
            )
            for i in range(0, len(futures), group)
        ]
        return Bundled(bundles, group, len(futures))

    def _there_is(self, part: Any) -> Any:
        """A part that is on the cluster, or sent."""
        return part if is_remote(part) else Sent(self._client, part)

    def _bundle_sums(self, call: Callable[[Any], T], bundles: list[Any]) -> list[T]:
        """A result for each bundle, without tasks where they would take longer than the work."""
        few = len(bundles) <= _FEW
        with self._guarded():
            if few and (sums := self._direct.results(call, self._computed(bundles))) is not None:
                return sums
            begin = monotonic()
            sums = self._results(call, bundles, self._sums)
            if few:
                self._direct.after_tasks(self._computed(bundles), monotonic() - begin)
            return sums

    def _results(
        self, call: Callable[[Any], Any], parts: list[Any], sums: Callable[[list[Any]], list[Any]]
    ) -> list[Any]:
        """Results, or their partial sums, in order; what was sent and is lost is sent again."""
        with self._guarded():
            views = [seen(self._there_is(part)) for part in parts]
        for attempt in range(_ATTEMPTS):
            try:
                with self._guarded():
                    if attempt:
                        for sent in {view.base for view in views if isinstance(view.base, Sent)}:
                            sent.send()
                    return self._gathered(call, views, sums)
            except ClusterError:
                if attempt == _ATTEMPTS - 1 or self._client.status != "running":
                    raise
        raise AssertionError("unreachable")

    def _gathered(
        self, call: Callable[[Any], Any], views: list[View], sums: Callable[[list[Any]], list[Any]]
    ) -> list[Any]:
        """Results, or their partial sums."""
        futures = self._mapped(call, views)
        found = sums(futures)
        # Those of the call before are let go only now: the client sends messages at most every
        # 10 ms, and one that says so would hold up the one that asks for these.
        self._held = (futures, found)
        return self._client.gather(found)

    def _sums(self, futures: list[Any]) -> list[Any]:
        """Partial sums of many, or all of few."""
        while len(futures) > _FEW:
            futures = [
                self._client.submit(tree_sum, futures[i : i + _BRANCHES], pure=False)
                for i in range(0, len(futures), _BRANCHES)
            ]
        return futures

    def _mapped(self, call: Callable[[Any], Any], views: list[View]) -> list[Any]:
        """Futures of a function of all parts: one task for each."""
        bases = self._computed([view.base for view in views])
        how = {"pure": False, "retries": _ATTEMPTS}
        if len({tuple(map(id, view.functions)) for view in views}) == 1:  # sent once
            return self._client.map(partial(called, call, views[0].functions), bases, **how)
        calls = [partial(called, call, view.functions) for view in views]
        return self._client.map(_applied, calls, bases, **how)

    def _kept(self, parts: list[Any]) -> list[Any]:
        """Futures of parts as they are seen."""
        if any(isinstance(part, View) for part in parts):
            return self._mapped(load, list(map(seen, parts)))
        return self._computed(parts)

    def _computed(self, bases: list[Any]) -> list[Any]:
        """Futures of parts that nothing is derived from here."""
        tasks = [base.copy if isinstance(base, Sent) else base for base in bases]
        started = iter(self._client.compute([task for task in tasks if is_dask(task)]))
        return [next(started) if is_dask(task) else task for task in tasks]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Use the client; ClusterError where the cluster is at fault."""
        from distributed.client import ClosedClientError

        try:
            if self._client.status == "closed":
                raise ClosedClientError("the client is closed")
            yield
        except ClusterError:
            raise
        except Exception as error:
            if not self._is_at_fault(error):
                raise
            raise ClusterError(
                f"the dask cluster failed ({type(error).__name__}: {error}); its client is "
                f"{self._client.status}. The estimator is as it was before: start the cluster "
                "again and repeat the fit."
            ) from error

    def _is_at_fault(self, error: Exception) -> bool:
        """Whether the cluster raised it, rather than a statistic or a part that was not to be had.

        Tasks may raise an OSError of their own, and so may the network; once its client is no
        longer connected, a cluster may raise anything.
        """
        from distributed import CancelledError, KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm import CommClosedError

        if isinstance(error, CancelledError | KilledWorker | ClosedClientError | CommClosedError):
            return True
        _, found = self._held or ((), ())
        if any(future.status == "error" for future in found):
            return False
        return isinstance(error, OSError) or self._client.status != "running"


def _current_client() -> Any:
    """The client in force, without a start of one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


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

    return delayed(_applied, pure=False)(call, part)


def _applied(function: Callable[[Any], T], part: Any) -> T:
    return function(part)


def _tree(tasks: list[Any]) -> Any:
    """Sum of tasks, neighbours first."""
    from dask import delayed

    while len(tasks) > 1:
        groups = [tasks[i : i + _BRANCHES] for i in range(0, len(tasks), _BRANCHES)]
        tasks = [delayed(tree_sum, pure=False)(group) for group in groups]
    return tasks[0]


def _on_worker(call: Callable[[Any], T], part: Any) -> T:
    keep_freed_memory()
    return call(part)
