"""Documents in words, for vectors of words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.targets import n_rows


class _Again:
    """An iterable that starts again."""

    def __init__(self, documents):
        self.documents = documents

    def __iter__(self):
        return iter(self.documents)


DOCUMENTS: dict[str, Callable] = {
    "lists": lambda texts: texts,
    "tuples": lambda texts: tuple(map(tuple, texts)),
    "arrays": lambda texts: [np.array(text, dtype=str) for text in texts],
    "objects": lambda texts: [np.array(text, dtype=object) for text in texts],
    "generator": iter,
    "iterable": _Again,
    "generators": lambda texts: [iter(text) for text in texts],
    "an empty one": lambda texts: [[], *texts],
    "empty ones": lambda texts: [[] for _ in texts],
    "none": lambda texts: [],
    "one word": lambda texts: [["a"] * 9],
    "a word each": lambda texts: [["a"], ["b"]] * 5,
    "empty words": lambda texts: [["", "a", ""]] * 5,
    "strings": lambda texts: [" ".join(text) for text in texts],
    "a string": lambda texts: " ".join(texts[0]) if texts else "",
    "numbers": lambda texts: [[1, 2, 3]] * 5,
    "bytes": lambda texts: [[b"a", b"b"]] * 5,
    "None": lambda texts: [["a", None, "b"]] * 5,
    "None among them": lambda texts: [*texts, None],
    "nested": lambda texts: [[["a"], ["b"]]] * 5,
    "a number": lambda texts: 3,
    "nothing": lambda texts: None,
    "a dict": lambda texts: {"a": ["b", "c"]},
    "a set": lambda texts: [{"a", "b"}] * 5,
}

NAMES: dict[str, Callable] = {
    "none": lambda n: None,
    "words": lambda n: [f"w{i}" for i in range(n)],
    "too few": lambda n: ["a"],
    "twice": lambda n: ["a"] * n,
    "numbers": lambda n: list(range(n)),
    "unhashable": lambda n: [[i] for i in range(n)],
    "a number": lambda n: 3,
}


@dataclass(frozen=True)
class Texts:
    """Documents: the arguments of ``fit``."""

    n: int = 8
    n_words: int = 6
    length: int = 10
    form: str = "lists"
    seed: int = 0

    def make(self) -> dict[str, Any]:
        """The arguments by their names."""
        rng = np.random.default_rng(self.seed)
        sizes = rng.poisson(self.length, self.n)
        texts = [[f"w{i}" for i in rng.integers(self.n_words, size=m)] for m in sizes]
        return {"X": DOCUMENTS[self.form](texts)}


@dataclass(frozen=True)
class Named:
    """A matrix of words and contexts, and what its rows are called."""

    X: Any
    words: str = "none"

    def make(self) -> dict[str, Any]:
        """The arguments by their names."""
        X = self.X.make()
        names = NAMES[self.words](n_rows(X))
        return {"X": X} if names is None else {"X": X, "words": names}


def texts() -> st.SearchStrategy[Texts]:
    """Documents of a few words."""
    return st.builds(
        Texts,
        n=st.integers(1, 20),
        n_words=st.integers(1, 12),
        length=st.integers(0, 20),
        form=st.just("lists") | st.sampled_from(list(DOCUMENTS)),
        seed=st.integers(0, 1000),
    )


def names() -> st.SearchStrategy[str]:
    """Names of the rows of a matrix."""
    return st.just("none") | st.sampled_from(list(NAMES))
