"""What a pass costs, piece by piece, on this machine; and whether the pieces add up to a pass.

E-steps, counting and merging are timed in one process on one core. Tasks and messages are timed on
a local dask cluster, whose workers are processes that talk over TCP: it has the software of a large
cluster, though not its wires. Then whole passes on one and two of its workers are timed and
compared with what `bench.scale_model` makes of the pieces.
"""

import pickle
import statistics
from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np

from bench.harness import Report, main, timed
from bench.scale_data import PlantedSequences, local_cluster
from bench.scale_model import Costs, n_tasks, simulate_pass
from spectral_nn.data import Sequences
from spectral_nn.datasets import planted_hmm
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.lanes import LaneBatches, lane_batches
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.moments.ngrams import (
    NgramChunk,
    NgramCounts,
    count_ngrams,
    ngram_chunk,
    ngram_cut,
    window_order,
)
from spectral_nn.runners.cluster import DaskRunner

SIZES = (30, 100)  # states
N_SYMBOLS = 50
LANE_LENGTH, BURN_IN = 1024, 24  # of large data in single precision
PART_TOKENS = 131_072  # of a small part: one chunk of the E-step
N_PARTS = 8  # large parts
TASKS = (64, 256, 1024)
MESSAGES = (10**3, 10**5, 10**6, 10**7)  # bytes
REPEATS = 7


def run(n_tokens: int = 10_000_000) -> Report:
    """Time the pieces, then passes over `n_tokens` on the cluster."""
    report = Report(
        "scale_costs",
        {
            "E-step": f"lanes, float32, d={N_SYMBOLS}, one core",
            "cluster": "dask, workers are processes of one thread on this machine, TCP",
            "passes": f"{n_tokens} tokens, K={SIZES[0]}, in their workers' memory",
            "figures": f"the fastest of {REPEATS}",
            "seed": 0,
        },
    )
    counting = _counting(n_tokens)
    steps = {f"E-step, K={k}": _step_costs(k) for k in SIZES}
    with local_cluster(2) as client:
        cluster = _cluster_costs(client)
        measured = _passes(client, n_tokens, 2)
    with local_cluster(1) as client:  # of two workers, an idle one would help itself to parts
        measured = [*_passes(client, n_tokens, 1), *measured]
    costs = {name: Costs(**part, **cluster) for name, part in (steps | counting).items()}
    report.details["costs"] = {name: vars(cost) for name, cost in costs.items()}
    for name, cost in costs.items():
        report.add(f"{name}: one token", 1e9 * cost.token, unit="ns")
        report.add(f"{name}: statistics", cost.size / 2**20, unit="MiB")
        report.add(f"{name}: adding two", 1e3 * cost.merge, unit="ms")
    one = costs[f"E-step, K={SIZES[0]}"]
    report.add("one task", 1e3 * one.task, unit="ms")
    report.add("a pass of tasks, besides them", 1e3 * one.empty_pass, unit="ms")
    report.add("one message from worker to worker", 1e3 * one.message, unit="ms")
    report.add("bandwidth between workers", one.bandwidth / 1e9, unit="GB/s")
    report.details["passes"] = []
    for point in measured:
        n_workers, seconds = point["workers"], point["seconds"]
        parts = point["parts"] // n_workers
        predicted = simulate_pass(one, point["tokens"], n_workers, parts).seconds
        error = abs(predicted / seconds - 1)
        report.details["passes"].append(point | {"predicted": predicted})
        claim = f"pass on {n_workers} of dask's workers, {point['parts']} parts"
        report.add(claim, seconds, unit="s")
        report.add(f"{claim}: error of the prediction", 100 * error, reach=20, unit="%")
    return report


def _step_costs(n_components: int) -> dict[str, float]:
    """Token, part, merge and size, of a model with so many states."""
    parameters = planted_hmm(n_components, N_SYMBOLS, rng=np.random.default_rng(0))
    chunk = laid_out(0, 8 * PART_TOKENS)
    small = laid_out(0, 32 * 64)
    few = expected(parameters, chunk)
    whole = _fastest(partial(expected, parameters, chunk))
    part = _fastest(partial(expected, parameters, small)) - whole * small.n_rows / chunk.n_rows
    message = pickle.dumps(few, protocol=5)
    return {
        "token": whole / chunk.n_rows,
        "part": max(part, 0.0),
        "merge": _fastest(lambda: few + few, repeats=200),
        "size": float(len(message)),
    }


def _counting(n_tokens: int) -> dict[str, dict[str, float]]:
    """The same of n-gram counts, which grow with the data until they are as large as allowed.

    Windows of this planted model are nearly all different, so that the counts of some ten million
    tokens are as large as any: the worst case.
    """
    sequences = Sequences.from_list(list(PlantedSequences(n_tokens, SIZES[0], N_SYMBOLS)))
    order = window_order(N_SYMBOLS)

    def count(chunks: Sequence[NgramChunk]) -> NgramCounts:
        return reduce(add, (count_ngrams(chunk, order, N_SYMBOLS) for chunk in chunks))

    chunks = sequences.parts(ngram_cut(order), ngram_chunk)
    counts, seconds = timed(partial(count, chunks))
    halves = [count(chunks[::2]), count(chunks[1::2])]
    return {
        "counting": {
            "token": seconds / n_tokens,
            "part": 0.0,
            "merge": _fastest(partial(add, *halves), repeats=3),
            "size": float(counts.codes.nbytes + counts.counts.nbytes),
        }
    }


def _cluster_costs(client: Any) -> dict[str, float]:
    """Task, empty pass, message and bandwidth, by straight lines through what was timed."""
    from dask.delayed import delayed
    from distributed import wait

    run = DaskRunner(client)
    seconds = []
    for count in TASKS:
        parts = client.persist([delayed(float, pure=False)(i) for i in range(count)])
        wait(parts)
        seconds.append(_fastest(partial(run.total, abs, parts)))
    task, _ = np.polyfit([n_tasks(count) for count in TASKS], seconds, 1)
    lone = client.persist([delayed(float, pure=False)(0)])
    empty = max(_fastest(partial(run.total, abs, lone)) - task, 0.0)
    times = [_message(client, size) for size in MESSAGES]
    # relative errors count: a line by least squares would fit the longest message alone
    slope, message = np.polyfit(MESSAGES, times, 1, w=1 / np.array(times))
    return {
        "task": float(task),
        "empty_pass": float(empty),
        "message": max(float(message), min(times)),
        "bandwidth": float(1 / slope),
    }


def _message(client: Any, size: int) -> float:
    """Seconds that a task takes longer if its argument lies with the other worker."""
    from distributed import wait

    home, away = list(client.scheduler_info(n_workers=-1)["workers"])[:2]
    gaps = []
    for _ in range(REPEATS):
        value = client.submit(np.zeros, size // 8, workers=[home], pure=False)
        wait(value)

        def use(worker: str, value: Any = value) -> None:
            wait(client.submit(np.size, value, workers=[worker], pure=False))

        use(home)
        gaps.append(timed(partial(use, away))[1] - timed(partial(use, home))[1])
    return statistics.median(gaps)


def _passes(client: Any, n_tokens: int, n_workers: int) -> list[dict[str, Any]]:
    """Passes of a cluster over the same data in many parts and in few."""
    parameters = planted_hmm(SIZES[0], N_SYMBOLS, rng=np.random.default_rng(0))
    points = []
    for n_parts in (n_tokens // PART_TOKENS, N_PARTS):
        parts = _placed(client, n_parts, n_tokens // n_parts)
        one_pass = partial(DaskRunner(client).total, partial(expected, parameters), parts)
        points.append(
            {
                "workers": n_workers,
                "parts": n_parts,
                "tokens": n_tokens // n_parts * n_parts,
                "seconds": _fastest(one_pass),
            }
        )
    return points


def _placed(client: Any, n_parts: int, part_tokens: int) -> list[Any]:
    """Lanes in the memory of the workers, the same number on each."""
    from distributed import wait

    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    share = -(-n_parts // len(workers))
    parts = [
        client.submit(laid_out, i, part_tokens, workers=[workers[i // share]], pure=False)
        for i in range(n_parts)
    ]
    wait(parts)
    return parts


def laid_out(seed: int, n_tokens: int) -> LaneBatches:
    """Lanes of one long planted sequence."""
    data = PlantedSequences(n_tokens, 30, N_SYMBOLS, n_tokens, n_tokens, seed)
    sequences = Sequences.from_list(list(data))
    return lane_batches(sequences, LANE_LENGTH, BURN_IN, N_SYMBOLS)


def expected(parameters: HMMParameters, lanes: LaneBatches) -> HMMStatistics:
    """E-step of some lanes, as a fit makes it."""
    return expect_lanes(parameters, lanes, dtype=np.float32)


def _fastest(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Fewest seconds of some calls, after one that does not count."""
    call()
    return min(timed(call)[1] for _ in range(repeats))


if __name__ == "__main__":
    main(run, cores=2)
