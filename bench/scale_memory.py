"""Peak memory of a fit to a stream, from 1e5 to 1e7 rows or tokens; it must not grow.

Data are drawn piece by piece, afresh in every walk, and are never in memory as a whole. Each size
runs in a fresh process, whose peak is its own: libraries, one piece, and all that the fit keeps.
"""

import json
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from bench.harness import Report, confine_to_one_thread, main, timed
from bench.scale_data import PlantedRows, PlantedSequences
from spectral_estimators import CategoricalHMM, MLPRegressor, TensorFeatures

SIZES = (100_000, 1_000_000, 10_000_000)
MUST = 1.2  # times the peak of the smallest size
PIECE = 50_000


def hmm(n_symbols: int, size: int) -> tuple[Any, Any]:
    """A model of sequences, and a stream of them."""
    model = CategoricalHMM(10, n_features=n_symbols, n_iter=3, random_state=0)
    return model, PlantedSequences(size, 10, n_symbols, piece_tokens=PIECE)


def network(model: Any, size: int) -> tuple[Any, Any]:
    """A model of rows, and a stream of them."""
    return model, PlantedRows(size, 20, 5, PIECE)


CASES: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "CategoricalHMM, d=12": partial(hmm, 12),
    "CategoricalHMM, d=50": partial(hmm, 50),
    "MLPRegressor": partial(
        network, MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    ),
    "TensorFeatures": partial(network, TensorFeatures(5, random_state=0)),
}


def run(sizes: tuple[int, ...] = SIZES) -> Report:
    """Fit every estimator at every size, and report the growth of the peaks."""
    report = Report(
        "scale_memory",
        {
            "sizes": list(sizes),
            "CategoricalHMM": "an iterable of sequences of 1,000; K=10, 3 EM steps; windows of "
            "d=50 symbols are nearly all different",
            "networks": f"an iterable of (X, y) of {PIECE} rows, d=20, k=5; 5 steps of L-BFGS",
            "growth": "largest peak of any size / peak of the smallest",
            "seed": 0,
        },
    )
    _in_child("CategoricalHMM, d=12", PIECE)  # compiles, which takes memory that no fit needs
    for name in CASES:
        points = [_in_child(name, size) for size in sizes]
        report.details[name] = points
        peaks = [point["peak"] for point in points]
        for point in points:
            report.add(f"{name}, N={point['size']:.0e}: peak", point["peak"], unit="MiB")
        growth = max(peaks) / peaks[0]
        report.add(f"{name}: growth of the peak", growth, must=MUST, unit="x")
        report.add(f"{name}, N={sizes[-1]:.0e}: fit", points[-1]["seconds"], unit="s")
    return report


def _in_child(name: str, size: int) -> dict[str, float]:
    """Fit in a fresh process: size, seconds, peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale_memory", name, str(size)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def fit_stream(name: str, size: int) -> dict[str, float]:
    """Fit one estimator to a stream, in this process."""
    model, stream = CASES[name](size)
    warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps are enough here
    _, seconds = timed(lambda: model.fit(stream))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"size": size, "seconds": seconds, "peak": peak}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        confine_to_one_thread()
        print(json.dumps(fit_stream(sys.argv[1], int(sys.argv[2]))))
    else:
        main(run)
