"""The text of ``docs/scaling.md``, all of its figures filled in from what was kept."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.harness import Row, kept_rows
from bench.scale_model import (
    BANDWIDTH,
    PARTS,
    SLOWDOWN,
    STRAGGLERS,
    WIRE,
    Costs,
    depth,
    n_tasks,
)

PAGE = """\
# Scaling: from one core to a cluster

<!-- Written by `python -m bench.scale_law` from bench/results/; change bench/scale_page.py. -->

Every fit here is a number of passes over the data; a pass makes statistics of each part of the
data and adds them up. Only the statistics travel. That is why the same estimator runs on threads,
on processes and on a dask cluster. This page says what a pass costs, and what of it more workers
can change.

![Seconds of a pass against workers](scaling.png)

Solid lines are simulated from the measured costs below. The red points are measured passes on one
and two processes of a local dask cluster.

## What is measured

On {cpu}, one thread a worker, d=50 symbols:

| | one token | statistics that travel | adding two |
|---|---|---|---|
{costs}

| on a local dask cluster (processes, TCP) | |
|---|---|
| one task: in the graph, scheduled, started, reported | {task} |
| a pass of tasks, besides them | {empty} |
| a message from worker to worker, software alone | {message} |
| bandwidth of the same | {bandwidth:.2g} GB/s |

Pieces like these are of use only if they add up. Whole passes on the same cluster, beside what the
simulation makes of the pieces:

| workers | parts | measured | simulated | error |
|---|---|---|---|---|
{checks}

One machine can check two workers, not a thousand: beyond that, the simulation is arithmetic on the
assumptions below.
{others}
## What a pass costs

T(W) ≈ N c / W + s n(W) + 7 L (t + m) + f: the share of each worker (c a token), the scheduler's
work (s a task, n tasks, one after another), the tree of L levels in which eight sums meet at a node
(t to send one, m to add it), and the way to the cluster and back.

With 1,000 workers and four parts on each, there are {tasks} tasks and {depth} levels. One EM step,
K=30:

| tokens | one process | 1,000 workers | scheduler | compute | tree | with stragglers |
|---|---|---|---|---|---|---|
{passes}

- **The tree is cheap.** Statistics of an EM step are {small}, whatever N is, and a level more
  makes eight times as many parts.
- **The scheduler is not.** Dask hands out some {rate:.0f} tasks a second here. Four parts a worker
  keep it short; chunks of a megabyte would drown it: give each worker few, large chunks.
- **Counting is the dearest sum.** Counts of n-grams grow up to {large}, and adding two
  takes {merge}. It is one pass of many, and in a text most windows come again, so that counts
  are smaller; here nearly all of them differ.

## Whole fits

`CategoricalHMM(K, init="random")`: one counting pass and 100 EM steps.

| | tokens | 1 worker | 100 workers | 1,000 workers |
|---|---|---|---|---|
{fits}

`init="tensor"` adds a race of starts on a sample of at most 2^19 positions: at K=30 about 1,800
passes over it, some {race} on one core, whatever N is; the starts run beside each other.

A single worker would have to read 10^12 tokens, 4 TB, from disk in every step; its column is
arithmetic. A worker of a hundred would hold 40 GB of them, one of a thousand 4 GB.

## Where adding workers stops paying

| tokens | half of the workers' time is used up to | a pass is fastest with | which takes |
|---|---|---|---|
{limits}

Where N c / W meets s n(W), one more worker adds as much to the scheduler's work as it takes off
everyone's share: W is then about the square root of N c / (4.6 s), and a hundred times the data
is worth ten times the workers.

## When not to use a cluster at all

- **The data fit on one machine.** A step over {minute} tokens at K=30 takes a minute on one
  core; `n_jobs=` divides that without a scheduler, and files mapped into memory need not fit.
- **A pass is shorter than about a second.** The way to the cluster and back, and its tasks, take
  longer than what is shared out.
- **The data are not there yet.** Sending 4 bytes a token over {gigabit:.3g} GB/s takes
  {send:.1f} ns, {share:.0%} of one E-step at K=30: nothing beside many steps of EM. A single cheap
  pass, as of moments, is better made where the data lie.
- **Many fits.** Restarts and grids need no sums across workers: run one fit a worker.

## What is assumed

- A network of {gigabit:.3g} GB/s a worker and {wire} a message on top of the software that was
  measured; workers as fast as this one core, one core each; no other load.
- The data lie in the workers' memory, in equal parts, four a worker.
- One scheduler, which handles tasks one after another, before the first of them is computed.
  Dask is milder, there the two overlap; with thousands of workers it may as well be harsher, for
  every task was timed with two.
- No worker fails. Dask computes again what a lost one held; that costs about a pass.
- No stragglers, but in the column that says so: there, {slow:.0%} of the workers, others in every
  pass, run at 1/{slowdown:g} of their speed. A thousand workers then always wait for one of them,
  and compute takes {slowdown:g} times as long. (Dask lets idle workers take parts that wait; the
  simulation does not.)
"""


Passes = Mapping[float, Mapping[str, float]]
MEASURED = {
    "scale_same": "Same fit however it is computed, largest relative difference",
    "scale_speed": "Two workers against one, times as fast",
    "scale_memory": "Streams: peak memory, times that of 1e5 rows or tokens",
    "scale_memmap": "Larger than memory",
}


def page(
    costs: Mapping[str, Costs],
    passes: Passes,
    fits: Mapping[str, Mapping[float, Sequence[float]]],
    checks: Sequence[Mapping[str, Any]],
    cpu: str,
    results: Path,
) -> str:
    """Fill the page in.

    Parameters
    ----------
    costs : as measured, without the assumed network; "E-step, K=30" and "counting" among them.
    passes : of EM with K=30, what `bench.scale_law.about_a_pass` tells, by number of tokens.
    fits : seconds on 1, 100 and 1,000 workers, by kind of step and number of tokens.
    checks : passes measured and predicted.
    cpu : where all that was measured.
    results : folder of the kept JSON.
    """
    step, counting = costs["E-step, K=30"], costs["counting"]
    return PAGE.format(
        cpu=cpu,
        costs=table(
            [name, f"{1e9 * c.token:.0f} ns", size(c.size), duration(c.merge)]
            for name, c in costs.items()
        ),
        task=duration(step.task),
        empty=duration(step.empty_pass),
        message=duration(step.message),
        bandwidth=step.bandwidth / 1e9,
        checks=table(
            [
                c["workers"],
                c["parts"],
                duration(c["seconds"]),
                duration(c["predicted"]),
                f"{c['predicted'] / c['seconds'] - 1:+.0%}",
            ]
            for c in checks
        ),
        others=_others(results),
        parts=PARTS,
        tasks=n_tasks(1000 * PARTS),
        depth=depth(1000 * PARTS),
        passes=table(
            [power(n), *map(duration, list(values.values())[:6])] for n, values in passes.items()
        ),
        small=size(step.size),
        rate=1 / step.task,
        large=size(counting.size),
        merge=duration(counting.merge),
        fits=table(
            [name, power(n), *map(duration, seconds)]
            for name, sizes in fits.items()
            for n, seconds in sizes.items()
        ),
        race=duration(1800 * 2**19 * step.token),
        limits=table(
            [
                power(n),
                f"{values['half used']:.0f} workers",
                f"{values['fastest']:.0f} workers",
                duration(values["seconds of the fastest"]),
            ]
            for n, values in passes.items()
        ),
        minute=f"{60 / step.token / 1e9:.1f} billion",
        gigabit=BANDWIDTH / 1e9,
        send=4 / BANDWIDTH * 1e9,
        share=4 / BANDWIDTH / step.token,
        wire=duration(WIRE),
        slow=STRAGGLERS,
        slowdown=SLOWDOWN,
    )


def _others(results: Path) -> str:
    """What the other benchmarks of scale have kept, as far as they have been run."""
    lines = [
        [title, row.claim, f"{row.measured:.3g} {row.unit}".strip(), f"{row.must:g}"]
        for name, title in MEASURED.items()
        if (results / f"{name}.json").exists()
        for row in _claims(kept_rows(name, results), worst_only=name == "scale_same")
    ]
    if not lines:
        return ""
    head = (
        "\nThe claims, with what was measured and what must be kept. Dask is *quiet* with the "
        "settings that [scale.md](scale.md#when-it-does-not-pay) gives, which spare most of its "
        "own upkeep.\n\n"
        "| | | measured | must |\n"
    )
    return head + "|---|---|---|---|\n" + table(lines) + "\n"


def _claims(rows: Sequence[Row], worst_only: bool) -> list[Row]:
    """Rows with a bound; of many ways to fit an estimator, the one that differs most."""
    bounded = [row for row in rows if row.must is not None]
    if not worst_only:
        return bounded
    worst: dict[str, Row] = {}
    for row in bounded:
        name = row.claim.partition(":")[0]
        if name not in worst or not row.measured <= worst[name].measured:
            worst[name] = row
    return [replace(row, claim=f"{row.claim} (the largest)") for row in worst.values()]


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Lines of a Markdown table."""
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def power(number: float) -> str:
    """A power of ten, in words that a page can show."""
    return f"10^{round(math.log10(number))}"


def size(n_bytes: float) -> str:
    """Bytes, for a reader."""
    return f"{n_bytes / 2**20:.0f} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:.0f} KiB"


def duration(seconds: float) -> str:
    """Seconds, for a reader: two digits, and a unit that fits."""
    units = ((86400 * 365, "years"), (86400, "days"), (3600, "h"), (60, "min"), (1, "s"))
    for length, unit in units:
        if seconds >= 2 * length or (unit == "s" and seconds >= 1):
            return f"{_two_digits(seconds / length)} {unit}"
    if seconds >= 1e-3:
        return f"{_two_digits(1e3 * seconds)} ms"
    return f"{_two_digits(1e6 * seconds)} us"


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
