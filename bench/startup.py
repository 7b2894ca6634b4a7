"""What a user waits for first: the import, and the first fit, each in fresh processes.

The import must load no library that it does not need and compile nothing. The first fit, of 1,000
tokens, is timed with an empty compile cache (as right after an installation) and with a warm one;
the import is not part of it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import Report, main

IMPORT = """
import time; begin = time.perf_counter()
import spectral_estimators
seconds = time.perf_counter() - begin
import json, sys
print(json.dumps([seconds, sorted({"tensorly", "matplotlib", "cupy", "torch"} & set(sys.modules))]))
"""
FIT = """
import json, time, numpy
from spectral_estimators import CategoricalHMM
X = numpy.random.default_rng(0).integers(0, 12, size=(1000, 1))
begin = time.perf_counter()
CategoricalHMM(n_components=3, random_state=0).fit(X)
print(json.dumps(time.perf_counter() - begin))
"""


def run(rounds: int = 5) -> Report:
    """Start the processes and report medians."""
    report = Report(
        "startup",
        {
            "rounds": f"{rounds}, the median counts; compile caches emptied for {min(rounds, 3)}",
            "seed": 0,
            "first fit": "CategoricalHMM(n_components=3), 1,000 tokens of 12 symbols, no import",
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        _fresh(IMPORT, Path(folder))  # writes the .pyc files, as an installation does
        imports = [_fresh(IMPORT, Path(folder)) for _ in range(rounds)]
        compiled = sum(path.is_file() for path in Path(folder).rglob("*"))
    cold, warm = [], []
    for _ in range(min(rounds, 3)):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_fresh(FIT, Path(folder)))
            warm += [_fresh(FIT, Path(folder)) for _ in range(2)]
    report.details = {"import": imports, "first fit, cold": cold, "first fit, warm": warm}
    seconds = [row[0] for row in imports]
    loaded = {name for row in imports for name in row[1]}
    report.details["loaded needlessly"] = sorted(loaded)
    report.add("import", statistics.median(seconds), must=2.0, reach=1.0, unit="s")
    report.add("needless libraries loaded by the import", len(loaded), must=0)
    report.add("files compiled by the import", compiled, must=0)
    report.add(
        "first fit, empty compile cache", statistics.median(cold), must=8.0, reach=3.0, unit="s"
    )
    report.add(
        "first fit, warm compile cache", statistics.median(warm), must=0.5, reach=0.2, unit="s"
    )
    return report


def _fresh(code: str, cache: Path) -> Any:
    """Run code in a fresh process with its own compile cache; what it printed, as JSON."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main(run)
