"""The same fit, whoever computes it: workers, processes, a cluster, chunks, array libraries.

Every estimator is fitted to one planted data set in one process, then in every other way, and all
parameters are compared: the largest difference beside the largest entry of each array.

Sums in another order differ in their last digits, and a fit passes that on: the agreement asked for
is that of fits which converge. (A fit that wanders for hundreds of steps of L-BFGS along a flat
valley makes any difference larger, here as with every other program.)
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.base import clone

from bench.harness import Report, main
from bench.scale_data import (
    PlantedRows,
    PlantedSequences,
    PlantedSeries,
    kept_on,
    local_cluster,
)
from spectral_estimators import (
    CategoricalHMM,
    GaussianHMM,
    MLPClassifier,
    MLPRegressor,
    PoissonHMM,
    TensorFeatures,
)
from spectral_nn.arrays import to_numpy

MUST, REACH = 1e-10, 1e-12
N_WORKERS = 2
PIECES = (1_000, 7_000, 20_000)  # rows or tokens
Ways = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Rows:
    """A network estimator and the rows it is fitted to; ``classes`` turns targets into labels."""

    model: Any
    data: PlantedRows
    classes: bool = False

    def table(self) -> tuple[NDArray, NDArray]:
        """All rows in memory."""
        X, y = self.data.together()
        return X, self.target(y)

    def target(self, y: Any) -> Any:
        """Numbers as they are; or two classes, the second the likelier the larger the number."""
        if not self.classes:
            return y
        noise = np.random.default_rng(0).logistic(size=y.size)
        return (3.0 * (y - y.mean()) > noise).astype(int)

    def pieces(self, size: int) -> list[tuple[NDArray, NDArray]]:
        """The rows in other pieces."""
        X, y = self.table()
        return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]

    def ways(self, client: Any) -> Ways:
        """What to call for each way to fit; each returns the fitted estimator."""
        import dask.array as da

        X, y = self.table()
        return (
            _on_joblib(self.model, (X, y))
            | _on_libraries(self.model, (X, y))
            | {
                f"chunks of {size}": partial(_fit, self.model, self.pieces(size), None)
                for size in PIECES
            }
            | {
                f"dask, chunks of {size}": lambda size=size: _fit(
                    self.model,
                    *kept_on(
                        client,
                        da.from_array(X, chunks=(size, X.shape[1])),
                        da.from_array(y, chunks=size),
                    ),
                )
                for size in PIECES
            }
        )


@dataclass(frozen=True)
class Tokens:
    """A sequence estimator and what it is fitted to."""

    model: Any
    data: PlantedSequences

    def ways(self, client: Any) -> Ways:
        """What to call for each way to fit; each returns the fitted estimator."""
        import dask.bag as db

        sequences = list(self.data)
        X = np.concatenate(sequences)
        X = X[:, None] if X.ndim == 1 else X
        lengths = np.array([len(sequence) for sequence in sequences])
        return (
            _on_joblib(self.model, (sequences,))
            | _on_libraries(self.model, (X, None, lengths))
            | {"a sequence at a time": partial(_fit, self.model, self.data)}
            | {
                f"dask, partitions of {size}": lambda size=size: _fit(
                    self.model,
                    *kept_on(
                        client,
                        db.from_sequence(sequences, partition_size=size // self.data.length),
                    ),
                )
                for size in PIECES
            }
        )


def cases() -> Mapping[str, Rows | Tokens]:
    """Estimators and their planted data, in double precision."""
    rows = PlantedRows(60_000, 20, 3, 20_000)
    tokens = PlantedSequences(60_000, 5, 12, length=500, piece_tokens=20_000)
    series = PlantedSeries(60_000, 5, 12, length=500, piece_tokens=20_000)
    how: dict[str, Any] = {"dtype": "float64", "random_state": 0}
    return {
        "CategoricalHMM": Tokens(CategoricalHMM(5, **how), tokens),
        "GaussianHMM, diagonal": Tokens(GaussianHMM(5, **how), series),
        "GaussianHMM, full": Tokens(GaussianHMM(5, covariance_type="full", **how), series),
        "PoissonHMM": Tokens(PoissonHMM(5, **how), replace(series, counts=True)),
        "MLPRegressor": Rows(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), rows),
        "MLPClassifier": Rows(MLPClassifier((3,), random_state=0), rows, classes=True),
        "TensorFeatures": Rows(TensorFeatures(3, random_state=0), rows),
    }


def run(names: tuple[str, ...] = ()) -> Report:
    """Fit in every way, and report the largest difference of each."""
    report = Report(
        "scale_same",
        {
            "figures": "largest difference of a parameter / largest entry of its array",
            "against": "the same estimator, n_jobs=1, the data in memory",
            "workers": N_WORKERS,
            "data": {name: str(case.data) for name, case in cases().items()},
        },
    )
    errors = report.details.setdefault("errors", {})
    with local_cluster(N_WORKERS) as client:
        for name, case in cases().items():
            if names and name not in names:
                continue
            ways = case.ways(client)
            reference = parameters(ways.pop("serial")())
            for way, fit in ways.items():
                try:  # one way that fails must not hide the others
                    gap = difference(parameters(fit()), reference)
                except Exception as error:
                    errors[f"{name}: {way}"] = f"{type(error).__name__}: {error}"
                    traceback.print_exc()
                    gap = float("nan")
                report.add(f"{name}: {way}", gap, must=MUST, reach=REACH)
    return report


def parameters(model: Any) -> dict[str, NDArray]:
    """All that a fit has learned, as NumPy arrays by name."""
    names = (
        ("startprob_", "transmat_", "emissionprob_", "means_", "covars_", "lambdas_"),
        ("coefs_", "intercepts_"),
        ("components_", "mean_"),
    )
    found: dict[str, NDArray] = {}
    for name in (name for group in names for name in group if hasattr(model, name)):
        value = getattr(model, name)
        arrays = value if isinstance(value, list) else [value]
        found |= {f"{name}[{i}]": np.asarray(to_numpy(a)) for i, a in enumerate(arrays)}
    return found


def difference(found: Mapping[str, NDArray], expected: Mapping[str, NDArray]) -> float:
    """Largest difference of an entry, beside the largest entry of its array; NaN stays NaN."""
    return float(
        np.max(
            [
                np.max(np.abs(found[name] - array)) / np.max(np.abs(array))
                for name, array in expected.items()
            ]
        )
    )


def _fit(model: Any, *data: Any, **settings: Any) -> Any:
    return clone(model).set_params(**settings).fit(*data)


def _on_joblib(model: Any, data: tuple[Any, ...]) -> Ways:
    """Serial, and every backend of joblib."""

    def under(backend: str) -> Any:
        with parallel_config(backend, n_jobs=N_WORKERS):
            return _fit(model, *data)

    return {
        "serial": lambda: _fit(model, *data, n_jobs=1),
        "n_jobs=2": lambda: _fit(model, *data, n_jobs=N_WORKERS),
        "threads": lambda: under("threading"),
        "processes (loky)": lambda: under("loky"),
        "joblib's dask backend": lambda: under("dask"),
    }


def _on_libraries(model: Any, data: tuple[Any, ...]) -> Ways:
    """Arrays of other libraries, on the CPU."""

    def given(library: Any) -> Any:
        X, *others = data
        return _fit(model, library.asarray(X), *others)

    def strict() -> Any:
        import array_api_strict

        return given(array_api_strict)

    def torch() -> Any:
        import torch

        return given(torch)

    return {"array_api_strict": strict, "torch, CPU": torch}


if __name__ == "__main__":
    main(run, cores=N_WORKERS)
