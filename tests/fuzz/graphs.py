"""Weights of graphs, for labels that spread on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.tables import Table, put, tables


def _two_parts(rng, W):
    half = len(W) // 2
    W[:half, half:] = W[half:, :half] = 0
    return W


SHAPES: dict[str, Callable] = {
    "full": lambda rng, W: W,
    "sparse": lambda rng, W: np.where(np.abs(W) > 1.5, W, 0),
    "two parts": _two_parts,
    "directed": lambda rng, W: np.triu(W),
    "no edges": lambda rng, W: np.zeros_like(W),
    "loops": lambda rng, W: np.diag(np.diag(W)),
    "lonely row": lambda rng, W: W * (np.arange(len(W)) > 0) * (np.arange(len(W)) > 0)[:, None],
    "not square": lambda rng, W: W[:, :-1],
    "negative": lambda rng, W: -W,
}


@dataclass(frozen=True)
class Graph:
    """How to make a matrix of weights."""

    shape: str
    table: Table

    def make(self) -> Any:
        """The matrix."""
        rng = np.random.default_rng(self.table.seed)
        X = self.table.values()
        if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
            return X
        with np.errstate(all="ignore"):
            weights = np.abs(X @ X.T)
            return put(SHAPES[self.shape](rng, weights), self.table.form)


def graphs() -> st.SearchStrategy[Graph]:
    """Graphs of few nodes."""
    return st.builds(Graph, st.just("full") | st.sampled_from(list(SHAPES)), tables("normal"))
