"""Eight gigabytes in a file, trained on by a process that may use two.

The file is written piece by piece, dropped from the page cache, and mapped into memory. On Linux
with control groups of version 1, as root, a group limits the process: pages of the file that it
reads count, and the kernel takes them back. Elsewhere its data segment is limited (RLIMIT_DATA), to
which mapped files do not count. The settings say which of the two it was.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from bench.harness import Report, confine_to_one_thread, main, timed
from bench.scale_data import PlantedRows
from spectral_estimators import MLPRegressor
from spectral_nn.metrics import direction_angles

N_FEATURES, N_UNITS = 100, 10
PIECE_ROWS = 100_000
N_JOBS = 2
GROUPS = Path("/sys/fs/cgroup/memory")


def run(n_bytes: int = 8 * 10**9, limit: int = 2 * 2**30) -> Report:
    """Write the file, fit in a limited process, delete the file."""
    n_rows = n_bytes // (4 * N_FEATURES)
    report = Report(
        "scale_memmap",
        {
            "data": f"{n_rows} rows, d={N_FEATURES}, k={N_UNITS}, float32",
            "file": f"{n_bytes / 1e9:g} GB, not in the page cache at the start",
            "fit": f"MLPRegressor, init='tensor', max_iter=5, n_jobs={N_JOBS}",
            "seed": 0,
        },
    )
    with tempfile.TemporaryDirectory() as folder, limited(limit) as bound:
        _, report.details["writing, seconds"] = timed(lambda: write(rows(n_rows), Path(folder)))
        done = run_in(bound, "bench.scale_memmap", folder, str(n_rows))
        peak = bound.peak()
    report.settings = {**report.settings, "limit": f"{limit / 2**30:g} GiB, by {bound.how}"}
    report.details["exit status"] = done.returncode
    finished = done.returncode == 0
    report.add("finishes", finished, must=1, higher_is_better=True)
    if finished:
        figures = json.loads(done.stdout)
        report.details |= figures
        report.add("fit", figures["seconds"], unit="s")
        report.add("largest angle to a planted unit", figures["angle"], unit="degrees")
        report.add(
            "peak of resident memory, pages of the file included", figures["peak"], unit="GiB"
        )
    if peak is not None:
        report.add("peak of what the group was charged", peak, unit="GiB")
    return report


class Limit(NamedTuple):
    """What holds a child to its memory: how, what it has to call first, and its peak in GiB."""

    how: str
    enter: Callable[[], None]
    peak: Callable[[], float | None]


@contextmanager
def limited(limit: int) -> Iterator[Limit]:
    """Set a limit up for one child, and take it away when the child is gone."""
    group = GROUPS / f"spectral_nn_{os.getpid()}"
    try:
        group.mkdir()
    except OSError:  # no control groups of this version, or not ours to make

        def enter() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

        yield Limit("RLIMIT_DATA: mapped files do not count", enter, lambda: None)
        return

    def join() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        yield Limit(
            "a control group: pages of mapped files count",
            join,
            lambda: int((group / "memory.max_usage_in_bytes").read_text()) / 2**30,
        )
    finally:
        _remove(group)


def run_in(bound: Limit, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python as the limited child, and keep what it prints."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=bound.enter,
        check=False,
    )


def _remove(group: Path) -> None:
    """Remove a control group, which may be busy for a moment after its last process has ended."""
    for _ in range(50):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.1)
    print(f"could not remove {group}", file=sys.stderr)


def rows(n_rows: int) -> PlantedRows:
    """The planted data."""
    return PlantedRows(n_rows, N_FEATURES, N_UNITS, PIECE_ROWS, dtype="float32")


def write(data: PlantedRows, folder: Path) -> None:
    """Write inputs and targets as plain binary files, and leave none of it in the page cache."""
    with (folder / "X").open("wb") as inputs, (folder / "y").open("wb") as targets:
        for X, y in data:
            X.tofile(inputs)
            y.tofile(targets)
        inputs.flush()
        os.fsync(inputs.fileno())
        os.posix_fadvise(inputs.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fit_file(folder: Path, n_rows: int) -> dict[str, float]:
    """Fit to the mapped file in this process."""
    X = np.memmap(folder / "X", np.float32, "r", shape=(n_rows, N_FEATURES))
    y = np.fromfile(folder / "y", np.float32)
    model = MLPRegressor(hidden_layer_sizes=(N_UNITS,), max_iter=5, n_jobs=N_JOBS, random_state=0)
    warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps are enough here
    _, seconds = timed(lambda: model.fit(X, y))
    angles = direction_angles(model.coefs_[0], rows(n_rows).teacher.coefs[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "angle": float(angles.max()), "peak": peak}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        confine_to_one_thread(N_JOBS)
        print(json.dumps(fit_file(Path(sys.argv[1]), int(sys.argv[2]))))
    else:
        main(run, cores=N_JOBS)
