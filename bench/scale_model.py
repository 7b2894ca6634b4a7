r"""What a pass over data costs on many workers: a simulation, from costs that were measured.

A pass is what `spectral_nn.runners.cluster.DaskRunner` does: the parameters are sent to all
workers, each worker makes the statistics of its parts one after another, and statistics are
added in a tree of `BRANCHES` at a node, each node on the worker of its first child. In closed form,
for N tokens in p parts on each of W workers,

.. math:: T(W) \approx \frac{N c}{W} + s \, n(W) + \lceil \log_8 (p W) \rceil \, 7 (t + m) + f

with c the cost of a token, s that of a task, n(W) the number of tasks, t and m those of sending and
of adding a statistic, and f that of the way there and back.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

BRANCHES = 8
PARTS = 4  # a worker holds
WIRE, BANDWIDTH = 1e-4, 1.25e9  # of the assumed network: 0.1 ms a message, 10 Gbit/s a worker
STRAGGLERS, SLOWDOWN = 0.05, 2.0  # share of slow workers in a pass, and how slow they are


@dataclass(frozen=True)
class Costs:
    """Measured or assumed costs, in seconds and bytes.

    Attributes
    ----------
    token : of one token in one E-step on one core.
    part : of one part in an E-step, beyond its tokens.
    merge : of adding two statistics.
    task : of one task: building its graph, scheduling, starting and reporting it.
    empty_pass : of a pass of tasks, besides them: the way to the cluster and back.
    message : of sending a statistic of no size from worker to worker, software and wire.
    bandwidth : bytes a second between two workers.
    size : bytes of a statistic; the parameters are about as large.
    """

    token: float
    part: float
    merge: float
    task: float
    empty_pass: float
    message: float
    bandwidth: float
    size: float

    @property
    def transfer(self) -> float:
        """Of sending one statistic."""
        return self.message + self.size / self.bandwidth


@dataclass(frozen=True)
class Pass:
    """Seconds of one pass, by what they went into, in the order of time.

    Attributes
    ----------
    scheduling : until all tasks are with the scheduler and have been handed out.
    parameters : until every worker has the parameters.
    compute : until the last part is done.
    tree : until the sum is at its root.
    """

    scheduling: float
    parameters: float
    compute: float
    tree: float

    @property
    def seconds(self) -> float:
        """Of the whole pass."""
        return self.scheduling + self.parameters + self.compute + self.tree


def n_tasks(n_parts: int) -> int:
    """Tasks of a pass: one a part, and the nodes of the tree."""
    tasks = n_parts
    while n_parts > 1:
        n_parts = math.ceil(n_parts / BRANCHES)
        tasks += n_parts
    return tasks


def depth(n_parts: int) -> int:
    """Levels of the tree."""
    levels = 0
    while n_parts > 1:
        n_parts = math.ceil(n_parts / BRANCHES)
        levels += 1
    return levels


def simulate_pass(
    costs: Costs,
    n_tokens: float,
    n_workers: int,
    parts_per_worker: int = PARTS,
    slowness: Sequence[float] | NDArray[np.float64] | None = None,
) -> Pass:
    """Follow one pass through a cluster.

    Parameters
    ----------
    costs : Costs
    n_tokens : tokens in all, shared out evenly.
    n_workers : W, of one core each.
    parts_per_worker : parts that each worker holds.
    slowness : (W,), optional
        How many times slower each worker computes in this pass; 1 for all by default.

    Returns
    -------
    Pass

    Notes
    -----
    Tasks are handed out before the first is computed, which is a little harsher than dask is; a
    worker receives one statistic after another.
    """
    n_parts = n_workers * parts_per_worker
    slow = np.ones(n_workers) if slowness is None else np.asarray(slowness, dtype=float)
    each = (costs.token * n_tokens / n_parts + costs.part) * slow
    ready = np.outer(each, np.arange(1, parts_per_worker + 1)).ravel()
    worker = np.repeat(np.arange(n_workers), parts_per_worker)
    computed = float(ready.max())
    while ready.size > 1:
        ready, worker = _level(costs, ready, worker)
    return Pass(
        scheduling=costs.empty_pass + costs.task * n_tasks(n_parts),
        parameters=math.ceil(math.log2(n_workers)) * costs.transfer if n_workers > 1 else 0.0,
        compute=computed,
        tree=float(ready[0]) - computed,
    )


def _level(
    costs: Costs, ready: NDArray[np.float64], worker: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """One level of the tree: when each node has its sum, and where."""
    times, places = [], []
    for begin in range(0, ready.size, BRANCHES):
        group = slice(begin, begin + BRANCHES)
        home = worker[group][0]
        clock = 0.0
        for moment, place in sorted(zip(ready[group], worker[group], strict=True)):
            clock = max(clock, moment) + (costs.transfer if place != home else 0.0)
        times.append(clock + (len(ready[group]) - 1) * costs.merge)
        places.append(home)
    return np.array(times), np.array(places)


def fastest(costs: Costs, n_tokens: float, counts: Sequence[int]) -> int:
    """The number of workers, of some, with which a pass takes least time."""
    return min(counts, key=lambda count: simulate_pass(costs, n_tokens, count).seconds)


def worthwhile(costs: Costs, n_tokens: float, counts: Sequence[int], share: float = 0.5) -> int:
    """The most workers, of some, of whose time this share or more is put to use; else 1."""
    one = serial_pass(costs, n_tokens)
    used = [
        count
        for count in counts
        if one / (count * simulate_pass(costs, n_tokens, count).seconds) >= share
    ]
    return max(used, default=1)


def serial_pass(costs: Costs, n_tokens: float) -> float:
    """Seconds of a pass in one process without a cluster."""
    return costs.token * n_tokens


def with_stragglers(
    costs: Costs, n_tokens: float, n_workers: int, rng: np.random.Generator, rounds: int = 20
) -> float:
    """Mean seconds of a pass in which each worker is slow with some probability.

    Parameters
    ----------
    rng : draws who.
    rounds : passes to take the mean of.
    """
    draws = np.where(rng.random((rounds, n_workers)) < STRAGGLERS, SLOWDOWN, 1.0)
    passes = [simulate_pass(costs, n_tokens, n_workers, slowness=slowness) for slowness in draws]
    return float(np.mean([one.seconds for one in passes]))


def on_network(costs: Costs) -> Costs:
    """Costs measured on one machine, with the assumed network between the workers."""
    return replace(
        costs,
        message=costs.message + WIRE,
        empty_pass=costs.empty_pass + 2 * WIRE,
        bandwidth=min(costs.bandwidth, BANDWIDTH),
    )
