"""Sequences: rows that are cut into some, with labels and weights, in every form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from spectral_estimators import Sequences, SequenceStream
from tests.fuzz.tables import Table, put, tables
from tests.fuzz.targets import TARGETS, WEIGHTS, n_rows, weights


def _objects(pieces):
    array = np.empty(len(pieces), dtype=object)
    array[:] = pieces
    return array


def _cut(X, lengths):
    return np.split(X, np.cumsum(lengths)[:-1])


FORMS: dict[str, Callable] = {
    "list": lambda pieces: {"X": pieces},
    "lists": lambda pieces: {"X": [piece.tolist() for piece in pieces]},
    "tuple": lambda pieces: {"X": tuple(pieces)},
    "first columns": lambda pieces: {"X": [piece[:, 0] for piece in pieces]},
    "container": lambda pieces: {"X": Sequences.from_list(pieces)},
    "objects": lambda pieces: {"X": _objects(pieces)},
    "series": lambda pieces: {"X": pd.Series(pieces)},
    "stream": lambda pieces: {"X": SequenceStream(list(pieces))},
    "small chunks": lambda pieces: {"X": SequenceStream(list(pieces), chunk_tokens=5)},
    "generator": lambda pieces: {"X": iter(pieces)},
    "an empty one": lambda pieces: {"X": [*pieces, pieces[0][:0]]},
    "another width": lambda pieces: {"X": [*pieces, np.ones((2, 7))]},
    "another type": lambda pieces: {"X": [*pieces, np.array([["w"]])]},
    "no sequences": lambda pieces: {"X": []},
}

LENGTHS: dict[str, Callable] = {
    "right": lambda lengths: lengths,
    "list": lambda lengths: lengths.tolist(),
    "none": lambda lengths: None,
    "floats": lambda lengths: lengths.astype(float),
    "fractions": lambda lengths: lengths + 0.5,
    "too long": lambda lengths: lengths + 1,
    "too short": lambda lengths: lengths[:-1],
    "zero": lambda lengths: np.append(lengths, 0),
    "negative": lambda lengths: np.concatenate([lengths, [1, -1]]),
    "NaN": lambda lengths: np.where(np.arange(len(lengths)) == 0, np.nan, lengths),
    "words": lambda lengths: ["a"] * len(lengths),
    "two dimensions": lambda lengths: lengths[:, None],
    "one number": lambda lengths: int(lengths.sum()),
    "empty": lambda lengths: [],
}

STATES: dict[str, Callable] = {
    "none": lambda rng, n: None,
    "states": lambda rng, n: np.arange(n) % 2,
    "partly": lambda rng, n: np.arange(n) % 3 - 1,
    "none known": lambda rng, n: np.full(n, -1),
    "too large": lambda rng, n: np.arange(n),
    "fractions": lambda rng, n: np.full(n, 0.5),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "words": lambda rng, n: np.full(n, "a"),
    "too short": lambda rng, n: np.zeros(max(n - 1, 0), int),
    "two dimensions": lambda rng, n: np.zeros((n, 2), int),
    "objects": lambda rng, n: np.full(n, None),
}


@dataclass(frozen=True)
class Cut:
    """Rows of a table cut into sequences: the arguments of ``fit``.

    ``form`` is one of `FORMS`, "three dimensions", or "table", which goes with ``lengths``.
    """

    rows: Table
    mean_length: int = 6
    form: str = "list"
    lengths: str = "right"
    states: str = "none"
    sample_weight: str = "none"

    def make(self) -> dict[str, Any]:
        """The arguments by their names."""
        rng = np.random.default_rng(self.rows.seed)
        X = self.rows.values()
        if not isinstance(X, np.ndarray) or X.ndim != 2 or not X.size:
            return {"X": X}
        n = len(X)
        starts = np.flatnonzero(rng.random(n - 1) < 1 / self.mean_length) + 1
        lengths = np.diff(np.concatenate([[0], starts, [n]]))
        y = STATES[self.states](rng, n)
        if self.form == "three dimensions":
            t = min(self.mean_length, n)
            arguments = {"X": X[: n // t * t].reshape(n // t, t, -1)}
        elif self.form == "table":
            arguments = {"X": put(X, self.rows.form), "lengths": LENGTHS[self.lengths](lengths)}
        else:
            arguments = FORMS[self.form](_cut(X, lengths))
            y = None if y is None else _cut(y, lengths)
        if y is not None:
            arguments["y"] = y
        if self.sample_weight != "none":
            arguments["sample_weight"] = WEIGHTS[self.sample_weight](rng, len(lengths))
        return arguments


def cuts(*laws: str, max_columns: int = 3, labels: bool = True) -> st.SearchStrategy[Cut]:
    """Sequences of rows of some laws; with labels of states and weights, or without."""
    none, right = st.just("none"), st.just("right")
    return st.builds(
        Cut,
        rows=tables(*laws, max_columns=max_columns),
        mean_length=st.sampled_from([1, 3, 6, 100]),
        form=st.sampled_from(["list", "table"]) | st.sampled_from([*FORMS, "three dimensions"]),
        lengths=right | right | st.sampled_from(list(LENGTHS)),
        states=none | none | none | st.sampled_from(list(STATES) if labels else ["none"]),
        sample_weight=weights() if labels else none,
    )


@dataclass(frozen=True)
class Labelled:
    """Sequences each of which has a label."""

    sequences: Cut
    y: str = "labels"

    def make(self) -> dict[str, Any]:
        """The arguments by their names."""
        X = self.sequences.make()["X"]
        return {"X": X, "y": TARGETS[self.y](np.random.default_rng(0), n_rows(X))}
