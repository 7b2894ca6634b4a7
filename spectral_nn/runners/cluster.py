"""Statistics where the data are: dask's own threads, or the workers of its cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from spectral_nn.additive import tree_sum
from spectral_nn.runners.parts import Part, as_part, evaluate, load
from spectral_nn.stored import is_dask

__all__ = ["ClusterError", "DaskRunner", "open_dask"]

T = TypeVar("T")

# Powers of two, so that partial sums are branches of one binary tree.
_BRANCHES = 8  # partial sums that meet in one task
_WAVE = 64  # parts of this process that are sent at once

_ATTEMPTS = 3


class ClusterError(RuntimeError):
    """The cluster went away, or lost its workers again and again, during a computation."""


def open_dask(client: Any = None, device: str | None = None) -> DaskRunner:
    """Open a `DaskRunner` on a client's cluster, the current one's, or else dask's threads."""
    return DaskRunner(_current_client() if client is None else client, device)


class DaskRunner:
    """Every pass is a graph: a task for each part, and a tree of sums, whose root comes back.

    Parameters
    ----------
    client : distributed.Client, optional
        None for dask's threads in this process, which make delayed parts again in every pass.
    device : str, optional
        Where each worker computes statistics, such as "cuda".

    Notes
    -----
    The chunk of a part is a `dask.delayed.Delayed`, a future, or in this process; the latter is
    sent to the cluster, once in `place`, or else in every pass.  Dask computes again what a lost
    worker held; what was sent from here is sent again.
    """

    chunk_rows = 1 << 17  # a task costs about a millisecond
    chunk_tokens = 1 << 16

    def __init__(self, client: Any = None, device: str | None = None) -> None:
        self._client, self._device = client, device
        self._futures: list[Any] = []  # of the last pass: they tell who is at fault

    @property
    def n_workers(self) -> int:
        """Threads of all workers."""
        if self._client is None:
            return os.cpu_count() or 1
        with self._guarded():
            return sum(self._client.nthreads().values())

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Compute ``function(item)`` of all of dask's items at once, of others a wave at a time."""
        for wave in self._waves(items):
            yield from self._results(partial(evaluate, function), wave, list)

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in a tree, where the parts are."""
        call = partial(evaluate, self._on_device(statistic))
        return tree_sum(self._results(call, wave, _tree)[0] for wave in self._waves(chunks))

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Let the cluster compute a list of parts and keep them; send it those that are here.

        Anything but a list, and parts of dask without a cluster, are made again in every pass.
        """
        if self._client is None or not isinstance(parts, list):
            return parts
        there = [as_part(part) for part in parts if self._is_there(part)]
        with self._guarded():
            kept = iter(self._client.compute(_tasks(load, there)))
            return [
                Part(next(kept) if self._is_there(part) else _Sent(self._client, part))
                for part in parts
            ]

    def _on_device(self, statistic: Callable[..., T]) -> Callable[..., T]:
        """The statistic on the device of whichever worker calls it."""
        if self._device is None:
            return statistic
        from spectral_nn.runners.device import evaluate_on

        return partial(evaluate_on, self._device, statistic)

    def _is_there(self, part: Any) -> bool:
        """Whether a part is dask's, or was sent there."""
        chunk = as_part(part).chunk
        if is_dask(chunk) or isinstance(chunk, _Sent):
            return True
        if self._client is None:
            return False
        from distributed import Future

        return isinstance(chunk, Future)

    def _waves(self, parts: Iterable[Any]) -> Iterator[list[Any]]:
        """All parts of dask at once, but of parts that are here some tens."""
        wave: list[Any] = []
        n_here = 0
        for part in parts:
            wave.append(part)
            n_here += not self._is_there(part)
            if n_here == _WAVE:
                yield wave
                wave, n_here = [], 0
        if wave:
            yield wave

    def _results(
        self,
        call: Callable[[Any], Any],
        parts: list[Any],
        gather: Callable[[list[Any]], list[Any]],
    ) -> list[Any]:
        """Results of a graph; data that were sent from here and are lost are sent again.

        `gather` leads from the tasks of all parts of a wave to those whose results come back.
        """
        if self._client is None:
            import dask

            return list(dask.compute(*gather(_tasks(call, list(map(as_part, parts))))))
        with self._guarded():
            there = [
                as_part(part) if self._is_there(part) else Part(_Sent(self._client, part))
                for part in parts
            ]
        for attempt in range(_ATTEMPTS):
            try:
                with self._guarded():
                    if attempt:
                        self._send_again(there)
                    self._futures = self._client.compute(
                        gather(_tasks(call, there)), retries=_ATTEMPTS
                    )
                    return list(self._client.gather(self._futures))
            except ClusterError:
                if attempt == _ATTEMPTS - 1 or self._client.status != "running":
                    raise
            finally:
                self._futures = []
        raise AssertionError("unreachable")

    def _send_again(self, parts: list[Part]) -> None:
        for sent in {part.chunk for part in parts if isinstance(part.chunk, _Sent)}:
            sent.send(self._client)

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
        if any(future.status == "error" for future in self._futures):
            return False
        return isinstance(error, OSError) or self._client.status != "running"


class _Sent:
    """A part of this process, and its `copy` in the cluster's memory, a future."""

    def __init__(self, client: Any, part: Any) -> None:
        self._part = part
        self.send(client)

    def send(self, client: Any) -> None:
        """Send it, again if need be.

        The scheduler chooses a worker and looks it up when the part has arrived there; where the
        worker has left meanwhile, that is a KeyError.
        """
        from distributed.comm import CommClosedError

        for _ in range(_ATTEMPTS):
            try:
                self.copy = client.scatter([self._part], hash=False)[0]
                return
            except KeyError as error:
                left = error
        raise CommClosedError(f"worker {left} left while data were sent to it") from left


def _current_client() -> Any:
    """The client in force, without a start of one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def _tasks(call: Callable[[Any], Any], parts: list[Part]) -> list[Any]:
    """Tasks of a function of all parts; the graph holds a function of many parts once."""
    from dask import delayed

    calls: dict[tuple[int, ...], Any] = {}
    apply = delayed(_apply, pure=False)
    tasks = []
    for part in parts:
        functions = tuple(map(id, part.functions))
        if functions not in calls:
            calls[functions] = delayed((call, part.functions), pure=False, traverse=False)
        chunk = part.chunk.copy if isinstance(part.chunk, _Sent) else part.chunk
        known = is_dask(chunk) or isinstance(part.chunk, _Sent) or hasattr(chunk, "key")
        # Dask looks into containers for tasks, and copies them.
        whole = chunk if known else delayed(chunk, pure=False, traverse=False)
        tasks.append(apply(calls[functions], whole))
    return tasks


def _apply(call: tuple[Callable[[Any], T], tuple[Callable[[Any], Any], ...]], chunk: Any) -> T:
    """Task of a part."""
    function, functions = call
    return function(Part(chunk, functions))


def _tree(tasks: list[Any]) -> list[Any]:
    """The sum of tasks, neighbours first."""
    from dask import delayed

    add = delayed(tree_sum, pure=False)
    while len(tasks) > 1:
        tasks = [add(tasks[i : i + _BRANCHES]) for i in range(0, len(tasks), _BRANCHES)]
    return tasks
