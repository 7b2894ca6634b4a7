"""Ten million rows of a series in a file, fitted by a process that may use 3 GiB.

A planted Gaussian model of 20 states in 13 columns is written to a .npy file in pieces, which is
opened with ``np.load(mmap_mode="r")`` by a fresh process for each number of rows. Memory is limited
as :mod:`bench.scale_memmap` says. What a step of EM costs a row may not grow with the number of
rows. A full run takes a minute and half a gigabyte of disk.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, confine_to_one_thread, main, timed
from bench.scale_memmap import limited, run_in
from spectral_estimators import GaussianHMM

SIZES = (100_000, 1_000_000, 10_000_000)
LIMIT = 3 * 2**30
N_STATES, N_FEATURES = 20, 13
STAY = 0.95
PIECE_ROWS = 100_000
N_ITER = 5
GROWTH = 1.2  # of the seconds that a step takes for each row


def run(sizes: tuple[int, ...] = SIZES, limit: int = LIMIT) -> Report:
    """Write each file, fit in a limited process, delete the file; the smallest comes first."""
    report = Report(
        "series_memmap",
        {
            "data": f"one sequence, {N_FEATURES} columns, float32, planted with {N_STATES} states; "
            "not in the page cache at the start",
            "fit": f"GaussianHMM({N_STATES}), diagonal, n_iter={N_ITER}, tol=0, otherwise defaults",
            "seconds": "wall time; of a step, the fastest of those that follow the first",
            "growth": f"seconds a step and row, over those of {sizes[0]:,} rows",
            "seed": 0,
        },
    )
    a_row: list[float] = []
    for n_rows in sizes:
        label = f"{n_rows:,} rows"
        with tempfile.TemporaryDirectory() as folder, limited(limit) as bound:
            path = Path(folder) / "rows.npy"
            _, report.details[f"{label}: writing, seconds"] = timed(partial(write, n_rows, path))
            done = run_in(bound, "bench.series_memmap", str(path))
            peak = bound.peak()
        report.settings = {**report.settings, "limit": f"{limit / 2**30:g} GiB, by {bound.how}"}
        finished = done.returncode == 0
        report.add(f"{label}: finishes", finished, must=1, higher_is_better=True)
        if not finished:
            report.details[f"{label}: exit status"] = done.returncode
            continue
        figures = json.loads(done.stdout)
        report.details[label] = figures
        step = min(figures["steps"])
        a_row.append(step / n_rows)
        report.add(f"{label}: fit", figures["seconds"], unit="s")
        report.add(f"{label}: a step", step, unit="s")
        report.add(f"{label}: objective a row", figures["objective"] / n_rows, unit="nats")
        report.add(f"{label}: peak of resident memory", figures["peak"], unit="GiB")
        if peak is not None:
            report.add(f"{label}: peak of what the group was charged", peak, unit="GiB")
        if n_rows > sizes[0]:
            report.add(f"{label}: growth of a step and row", a_row[-1] / a_row[0], must=GROWTH)
    return report


def pieces(n_rows: int) -> Iterator[NDArray[np.float32]]:
    """Rows of the planted model, a piece at a time; each goes on from a state of its own."""
    rng = np.random.default_rng(0)
    means = 0.5 * rng.standard_normal((N_STATES, N_FEATURES))
    deviations = rng.uniform(0.5, 1.5, size=means.shape)
    for low in range(0, n_rows, PIECE_ROWS):
        n = min(PIECE_ROWS, n_rows - low)
        visits = np.cumsum(rng.random(n) > STAY)  # a visit to a state that anybody may be
        states = rng.integers(N_STATES, size=n + 1)[visits]
        noise = rng.standard_normal((n, N_FEATURES))
        yield (means[states] + deviations[states] * noise).astype(np.float32)


def write(n_rows: int, path: Path) -> None:
    """Write the rows as NumPy's file, and leave none of it in the page cache."""
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, N_FEATURES))
    for i, piece in enumerate(pieces(n_rows)):
        rows[i * PIECE_ROWS : i * PIECE_ROWS + len(piece)] = piece
    rows.flush()
    del rows  # what is mapped stays in the page cache
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fit_file(path: Path) -> dict[str, object]:
    """Fit to the mapped file in this process, and time every step."""
    ends: list[float] = []

    def clock(stage: str, step: int, objective: float) -> None:
        if stage == "EM":
            ends.append(time.perf_counter())

    model = GaussianHMM(N_STATES, n_iter=N_ITER, tol=0.0, random_state=0, verbose=clock)
    _, seconds = timed(lambda: model.fit(np.load(path, mmap_mode="r")))
    return {
        "seconds": seconds,
        "steps": np.diff(ends).tolist(),
        "objective": model.monitor_.history[-1],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if __name__ == "__main__":
    if len(sys.argv) == 2:
        confine_to_one_thread()
        print(json.dumps(fit_file(Path(sys.argv[1]))))
    else:
        main(run)
