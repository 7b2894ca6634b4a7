"""Targets and weights of the rows of a table: sound ones, and others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse


def _spoilt(y, value):
    y = np.array(y)
    y[-1:] = value
    return y


def _labels(rng, n):
    return np.arange(n) % 3


def _distributions(rng, n):
    shares = rng.dirichlet(np.ones(3), n)
    shares[n // 2 :] = 0
    return shares


NUMBERS: dict[str, Callable] = {
    "numbers": lambda rng, n: rng.standard_normal(n),
    "several": lambda rng, n: rng.standard_normal((n, 2)),
    "counts": lambda rng, n: rng.poisson(2.0, n),
}

LABELS: dict[str, Callable] = {
    "labels": _labels,
    "two labels": lambda rng, n: np.arange(n) % 2,
    "words": lambda rng, n: np.array(["a", "bb", "c"])[_labels(rng, n)],
    "multilabel": lambda rng, n: rng.integers(2, size=(n, 3)),
}

PARTLY: dict[str, Callable] = {
    "partly labelled": lambda rng, n: np.where(np.arange(n) < 8, _labels(rng, n), -1),
    "words and None": lambda rng, n: np.where(np.arange(n) < 8, "a", None),
    "distributions": _distributions,
}

OTHER: dict[str, Callable] = {
    "none": lambda rng, n: None,
    "constant": lambda rng, n: np.ones(n),
    "one of a kind": lambda rng, n: np.arange(n),
    "zeros": lambda rng, n: np.zeros(n),
    "huge": lambda rng, n: 1e200 * rng.standard_normal(n),
    "tiny": lambda rng, n: 1e-200 * rng.standard_normal(n),
    "far": lambda rng, n: 1e9 + rng.standard_normal(n),
    "outlier": lambda rng, n: _spoilt(rng.standard_normal(n), 1e15),
    "NaN": lambda rng, n: _spoilt(rng.standard_normal(n), np.nan),
    "infinity": lambda rng, n: _spoilt(rng.standard_normal(n), np.inf),
    "negative": lambda rng, n: -rng.poisson(2.0, n) - 1,
    "none known": lambda rng, n: np.full(n, -1),
    "booleans": lambda rng, n: np.arange(n) % 2 == 0,
    "objects": lambda rng, n: np.array([1, "a", None] * n, dtype=object)[:n],
    "numbers among objects": lambda rng, n: (np.arange(n) % 3).astype(object),
    "column": lambda rng, n: _labels(rng, n)[:, None],
    "three dimensions": lambda rng, n: np.zeros((n, 2, 2)),
    "no columns": lambda rng, n: np.zeros((n, 0)),
    "too short": lambda rng, n: _labels(rng, max(n - 1, 0)),
    "too long": lambda rng, n: _labels(rng, n + 1),
    "empty": lambda rng, n: np.array([]),
    "a string": lambda rng, n: "odd",
    "a number": lambda rng, n: 1,
    "complex": lambda rng, n: np.arange(n) + 1j,
    "dates": lambda rng, n: np.arange(n).astype("datetime64[D]"),
    "float32": lambda rng, n: rng.standard_normal(n).astype(np.float32),
    "list": lambda rng, n: _labels(rng, n).tolist(),
    "series": lambda rng, n: pd.Series(_labels(rng, n), index=np.arange(n)[::-1]),
    "categories": lambda rng, n: pd.Series(list("abc" * n)[:n], dtype="category"),
    "sparse": lambda rng, n: sparse.csr_array(rng.integers(2, size=(n, 3))),
    "ragged": lambda rng, n: [[1], [1, 2]] * (n // 2),
}

TARGETS = NUMBERS | LABELS | PARTLY | OTHER

WEIGHTS: dict[str, Callable] = {
    "none": lambda rng, n: None,
    "ones": lambda rng, n: np.ones(n),
    "random": lambda rng, n: rng.random(n),
    "some zero": lambda rng, n: (np.arange(n) % 2).astype(float),
    "one row": lambda rng, n: (np.arange(n) == 0).astype(float),
    "zeros": lambda rng, n: np.zeros(n),
    "huge": lambda rng, n: np.full(n, 1e200),
    "enormous": lambda rng, n: np.full(n, 1e308),
    "tiny": lambda rng, n: np.full(n, 1e-200),
    "denormal": lambda rng, n: np.full(n, 1e-310),
    "far apart": lambda rng, n: 10.0 ** rng.integers(-200, 200, n),
    "negative": lambda rng, n: _spoilt(np.ones(n), -1.0),
    "NaN": lambda rng, n: _spoilt(np.ones(n), np.nan),
    "infinity": lambda rng, n: _spoilt(np.ones(n), np.inf),
    "integers": lambda rng, n: np.ones(n, int),
    "float32": lambda rng, n: np.ones(n, np.float32),
    "list": lambda rng, n: [1.0] * n,
    "one number": lambda rng, n: 2.0,
    "column": lambda rng, n: np.ones((n, 1)),
    "too short": lambda rng, n: np.ones(max(n - 1, 0)),
    "words": lambda rng, n: np.array(["a"] * n),
    "None among them": lambda rng, n: [None] * n,
}


def targets(sound: dict[str, Callable]) -> st.SearchStrategy[str]:
    """Names of targets, sound ones in two thirds of the cases."""
    usual = st.sampled_from(list(sound))
    return usual | usual | st.sampled_from(list(TARGETS))


def weights() -> st.SearchStrategy[str]:
    """Names of weights, none in two thirds of the cases."""
    return st.just("none") | st.just("none") | st.sampled_from(list(WEIGHTS))


@dataclass(frozen=True)
class Rows:
    """A table with targets and weights: the arguments of ``fit``."""

    X: Any
    y: str | None = None
    sample_weight: str | None = None
    seed: int = 0

    def make(self) -> dict[str, Any]:
        """The arguments by their names."""
        rng = np.random.default_rng(self.seed)
        X = self.X.make()
        n = n_rows(X)
        arguments = {"X": X}
        if self.y is not None:
            arguments["y"] = TARGETS[self.y](rng, n)
        if self.sample_weight not in (None, "none"):
            arguments["sample_weight"] = WEIGHTS[self.sample_weight](rng, n)
        return arguments


def n_rows(X: Any) -> int:
    """Rows of whatever X is; some number if it has none."""
    shape = getattr(X, "shape", None)
    if shape is None:
        return len(X) if hasattr(X, "__len__") else 10
    return int(shape[0]) if shape else 10
