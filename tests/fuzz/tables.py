"""Tables of numbers: their laws, what is wrong with them, and the forms that they come in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from scipy import sparse

MAX_ROWS = 40


def _clusters(rng, n, d):
    return rng.standard_normal((n, d)) + 6.0 * rng.integers(3, size=(n, 1))


LAWS: dict[str, Callable] = {
    "normal": lambda rng, n, d: rng.standard_normal((n, d)),
    "clusters": _clusters,
    "scales": lambda rng, n, d: rng.standard_normal((n, d)) * 10.0 ** rng.integers(-9, 9, size=d),
    "counts": lambda rng, n, d: rng.poisson(3.0, (n, d)).astype(float),
    "binary": lambda rng, n, d: rng.integers(2, size=(n, d)).astype(float),
    "symbols": lambda rng, n, d: rng.integers(4, size=(n, d)).astype(float),
    "trials": lambda rng, n, d: rng.multinomial(6, np.full(d, 1 / max(d, 1)), n).astype(float),
}


def _set(value, where=()):
    """A flaw: entries at random, or of a place, hold a value."""

    def spoil(rng, X):
        X = X.copy()
        if X.size:
            at = tuple(rng.integers(size) for size in X.shape) if where == () else where
            X[at] = value
        return X

    return spoil


def _repeat_column(rng, X):
    return np.repeat(X[:, :1], X.shape[1], axis=1)


def _words(rng, X):
    return np.array([f"w{abs(x) % 3:.0f}" for x in X.ravel()], dtype=str).reshape(X.shape)


def _objects(rng, X):
    X = X.astype(object)
    if X.size:
        X[tuple(rng.integers(size) for size in X.shape)] = rng.choice(np.array(["odd", None, {}]))
    return X


_FIRST_COLUMN = (slice(None), slice(None, 1))

ODD: dict[str, Callable] = {
    "constant column": _set(2.0, _FIRST_COLUMN),
    "equal columns": _repeat_column,
    "equal rows": lambda rng, X: np.repeat(X[:1], len(X), axis=0),
    "zeros": lambda rng, X: np.zeros_like(X),
    "row of zeros": _set(0.0, (slice(None, 1),)),
    "column of zeros": _set(0.0, _FIRST_COLUMN),
    "large": lambda rng, X: 1e4 * X,
    "huge": lambda rng, X: 1e150 * X,
    "enormous": lambda rng, X: 1e300 * X,
    "small": lambda rng, X: 1e-6 * X,
    "tiny": lambda rng, X: 1e-160 * X,
    "denormal": lambda rng, X: 1e-310 * X,
    "far": lambda rng, X: X + 1e9,
    "outlier": _set(1e12),
    "enormous outlier": _set(1.7e308),
    "one row": lambda rng, X: X[:1],
    "two rows": lambda rng, X: X[:2],
    "one column": lambda rng, X: X[:, :1],
    "rows twice": lambda rng, X: np.concatenate([X, X]),
    "sorted": lambda rng, X: np.sort(X, axis=0),
}
"""What a fit may find odd, but can be asked to take."""

BROKEN: dict[str, Callable] = {
    "NaN": _set(np.nan),
    "row of NaN": _set(np.nan, (slice(None, 1),)),
    "column of NaN": _set(np.nan, _FIRST_COLUMN),
    "all NaN": lambda rng, X: np.full_like(X, np.nan),
    "infinity": _set(np.inf),
    "minus infinity": _set(-np.inf),
    "negative": _set(-1.0),
    "fraction": _set(0.5),
    "large number": _set(2.0**40),
    "no rows": lambda rng, X: X[:0],
    "no columns": lambda rng, X: X[:, :0],
    "one dimension": lambda rng, X: X[:, 0] if X.shape[1] else X.ravel(),
    "three dimensions": lambda rng, X: X[None],
    "no dimension": lambda rng, X: np.array(1.0),
    "words": _words,
    "objects": _objects,
    "complex": lambda rng, X: X + 1j,
    "dates": lambda rng, X: np.zeros(X.shape, "datetime64[s]"),
    "ragged": lambda rng, X: [[1.0, 2.0], [3.0]],
    "nothing": lambda rng, X: None,
    "a string": lambda rng, X: "odd",
    "a number": lambda rng, X: 3,
    "a dict": lambda rng, X: {"a": [1.0, 2.0]},
}
"""What most fits have to refuse."""

FLAWS = ODD | BROKEN


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _masked(X):
    mask = np.zeros(X.shape, bool)
    mask.flat[:1] = True
    return np.ma.array(X, mask=mask)


FORMS: dict[str, Callable] = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "long double": lambda X: X.astype(np.longdouble),
    "integers": lambda X: np.nan_to_num(X).clip(-(2.0**40), 2.0**40).astype(np.int64),
    "bytes": lambda X: np.nan_to_num(X).clip(0, 200).astype(np.uint8),
    "booleans": lambda X: X > 0,
    "objects": lambda X: X.astype(object),
    "big-endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "read-only": _read_only,
    "masked": _masked,
    "list": lambda X: X.tolist(),
    "CSR": sparse.csr_array,
    "CSC": sparse.csc_matrix,
    "COO": sparse.coo_array,
    "pandas": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]),
    "numbered columns": pd.DataFrame,
    "pandas' own types": lambda X: pd.DataFrame(X).convert_dtypes(),
    "polars": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(X.shape[1])]),
    "generator": iter,
}


def put(X: Any, form: str) -> Any:
    """X in another form, if it can be: a table of numbers."""
    if not isinstance(X, np.ndarray) or X.dtype.kind != "f" or X.ndim != 2:
        return X
    with np.errstate(all="ignore"):  # float16 does not hold much
        return FORMS[form](X)


@dataclass(frozen=True)
class Table:
    """How to make a table of numbers."""

    law: str = "normal"
    n: int = 20
    d: int = 3
    flaws: tuple[str, ...] = ()
    form: str = "array"
    seed: int = 0

    def values(self) -> Any:
        """The table, in no form yet; of flaws, those that come after a table has gone are idle."""
        rng = np.random.default_rng(self.seed)
        X: Any = LAWS[self.law](rng, self.n, self.d)
        for flaw in self.flaws:
            if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    X = FLAWS[flaw](rng, X)
        return X

    def make(self) -> Any:
        """The table."""
        return put(self.values(), self.form)


def flaws() -> st.SearchStrategy[tuple[str, ...]]:
    """None in half of the cases; else what is odd, what is broken, or two things."""
    none, odd = st.just(()), st.sampled_from(list(ODD))
    some = st.sampled_from(list(FLAWS))
    return none | none | none | st.tuples(odd) | st.tuples(some) | st.tuples(odd, some)


def forms() -> st.SearchStrategy[str]:
    """An array in half of the cases."""
    return st.just("array") | st.sampled_from(list(FORMS))


def tables(*laws: str, max_columns: int = 5) -> st.SearchStrategy[Table]:
    """Tables of some laws, sound or not, in any form."""
    return st.builds(
        Table,
        law=st.sampled_from(laws),
        n=st.integers(5, MAX_ROWS),
        d=st.integers(1, max_columns),
        flaws=flaws(),
        form=forms(),
        seed=st.integers(0, 1000),
    )
