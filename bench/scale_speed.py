"""Two workers against one: threads on two cores, and a local dask cluster of two processes.

Whole fits are timed, checks of the input included, on data that lie where a user of each has them:
in memory, or on the cluster's workers. Every worker has one thread.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from bench.harness import Report, main, race
from bench.scale_data import PlantedRows, PlantedSequences, kept_on, local_cluster
from bench.scale_same import difference, parameters
from spectral_estimators import CategoricalHMM, MLPRegressor, TensorFeatures

N_WORKERS = 2
N_PIECES = 8  # of the tokens
CHUNK = 1 << 17  # rows of a chunk: 16,384 times a power of two, as the README recommends
THREADS = {"must": 1.6, "reach": 1.9}  # times as fast as one worker
CLUSTER = {"must": 1.4, "reach": 1.8}


@dataclass(frozen=True)
class Workload:
    """A fit whose time is in passes over the data.

    Attributes
    ----------
    name : str
    model : the estimator.
    here, there : its data, in memory and on the cluster.
    claimed : whether a speed-up is claimed, or only told.
    rounds : timed fits of each way.
    """

    name: str
    model: Any
    here: tuple[Any, ...]
    there: tuple[Any, ...]
    claimed: bool = True
    rounds: int = 5

    def entrants(self) -> dict[str, Callable[[], Any]]:
        """One worker, two threads, two processes of a cluster; and one whose BLAS has two."""
        ways: dict[str, Callable[[], Any]] = {
            "one worker": partial(fit, self.model, 1, self.here),
            "n_jobs=2": partial(fit, self.model, N_WORKERS, self.here),
            "dask": partial(fit, self.model, None, self.there),
        }
        if not isinstance(self.model, CategoricalHMM):  # whose E-steps use no BLAS
            ways["one worker, BLAS on two threads"] = partial(fit_free, self.model, self.here)
        return ways


def fit(model: Any, n_jobs: int | None, data: tuple[Any, ...]) -> Any:
    """A fit of a copy."""
    return clone(model).set_params(n_jobs=n_jobs).fit(*data)


def fit_free(model: Any, data: tuple[Any, ...]) -> Any:
    """A fit by one worker whose products of matrices take both cores."""
    with threadpool_limits(N_WORKERS):
        return fit(model, 1, data)


def row_workloads(client: Any, n_rows: int) -> Iterator[Workload]:
    """Passes over moments, and steps of L-BFGS; the cluster draws its rows itself."""
    rows = PlantedRows(n_rows, 60, 10, CHUNK)
    data = rows.together(), tuple(kept_on(client, *rows.on_cluster()))
    size = f"{n_rows:.0e} rows"
    features = TensorFeatures(10, random_state=0)
    start = MLPRegressor((10,), max_iter=0, random_state=0)
    steps = MLPRegressor((10,), init="random", max_iter=50, tol=0.0, random_state=0)
    yield Workload(f"moments of {size} (TensorFeatures)", features, *data)
    yield Workload(f"moments of {size} (MLPRegressor)", start, *data)
    yield Workload(f"50 steps of L-BFGS on {size}", steps, *data, claimed=False)


def token_workloads(client: Any, n_tokens: int) -> Iterator[Workload]:
    """Steps of EM on some tokens, and on ten times as many; the cluster draws them itself."""
    em = CategoricalHMM(30, init="random", n_init=1, n_iter=100, tol=-np.inf, random_state=0)
    few = clone(em).set_params(n_iter=20)
    for model, size in ((em, n_tokens), (few, 10 * n_tokens)):
        tokens = PlantedSequences(size, 30, 50, piece_tokens=size // N_PIECES)
        data = (list(tokens),), tuple(kept_on(client, tokens.on_cluster()))
        name = f"{model.n_iter} steps of EM on {size:.0e} tokens, K=30"
        claimed = model is em
        yield Workload(name, model, *data, claimed=claimed, rounds=5 if claimed else 1)


def run(n_rows: int = 1_000_000, n_tokens: int = 1_000_000) -> Report:
    """Time every workload in every way, in turn, and report ratios of the fastest rounds."""
    report = Report(
        "scale_speed",
        {
            "workers": f"{N_WORKERS}, one thread each, on {N_WORKERS} cores",
            "rows": "d=60, k=10, float64",
            "tokens": "sequences of 1,000, K=30, d=50; one random start, float32",
            "dask": f"local cluster, {N_WORKERS} processes; in their memory, chunks of {CHUNK:,} "
            f"rows, or {N_PIECES} of the tokens",
            "rounds": "5, of the largest 1; the fastest counts, after one that does not",
            "seed": 0,
        },
    )
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is fixed
    with local_cluster(N_WORKERS) as client:
        for load in chain(row_workloads(client, n_rows), token_workloads(client, n_tokens)):
            _tell(report, load)
    return report


def _tell(report: Report, load: Workload) -> None:
    """Time a workload, and append its rows."""
    entrants = load.entrants()
    times = race(entrants, load.rounds)
    seconds = {way: time["min"] for way, time in times.items()}
    one = seconds.pop("one worker")
    report.details[load.name] = times
    report.add(f"{load.name}: one worker", one, unit="s")
    bounds = {"n_jobs=2": THREADS, "dask": CLUSTER} if load.claimed else {}
    for way, time in seconds.items():
        claim = f"{load.name}: {way}"
        report.add(claim, one / time, unit="x", higher_is_better=True, **bounds.get(way, {}))
    report.details[f"{load.name}: largest difference, dask"] = difference(
        parameters(entrants["dask"]()), parameters(entrants["one worker"]())
    )


if __name__ == "__main__":
    main(run, cores=N_WORKERS)
