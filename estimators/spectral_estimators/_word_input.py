"""Documents in words, and matrices of words and contexts: what they are, and checks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from spectral_estimators._network_input import check_magnitude
from spectral_nn.data.frames import is_frame

__all__ = ["check_cooccurrences", "check_documents", "is_matrix", "names_of_rows"]


def is_matrix(X: Any) -> bool:
    """Whether X is a table of numbers, and not documents."""
    if sparse.issparse(X) or is_frame(X):
        return True
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"


def check_documents(X: Any) -> Iterable[Any]:
    """X, which can be walked; TypeError if it is a string or no iterable."""
    if isinstance(X, str | bytes):
        raise TypeError(
            "X is a string. Give lists of words, one for each document: X = [text.split()]."
        )
    if not isinstance(X, Iterable) or getattr(X, "shape", None) == ():
        raise TypeError(
            "X must be an iterable of lists of words, or a matrix of words and contexts; got "
            f"{type(X).__name__}."
        )
    return X


def check_cooccurrences(X: Any) -> sparse.csr_array:
    """Counts (n, m) as CSR, in double precision.

    Raises
    ------
    ValueError
        Naming X, if it has negative entries or such as are not finite, or only zeros.
    """
    counts = sparse.csr_array(check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X"))
    counts.sum_duplicates()
    check_magnitude(counts)
    if counts.nnz and counts.data.min() < 0:
        at = int(counts.data.argmin())
        row = int(np.searchsorted(counts.indptr, at, side="right")) - 1
        raise ValueError(
            f"X holds counts of words in contexts, but entry ({row}, {counts.indices[at]}) is "
            f"{counts.data[at]:.3g}: none may be negative."
        )
    counts.eliminate_zeros()
    if not counts.nnz:
        raise ValueError(f"X is a matrix {counts.shape} of zeros: no word occurs in any context.")
    return counts


def names_of_rows(X: Any, words: Iterable[Any] | None) -> list[Any]:
    """What rows are called.

    Raises
    ------
    TypeError, ValueError
        Naming ``words``: no list of names, not as many as rows, or not distinct.
    """
    n_rows = X.shape[0]
    if words is None:
        return list(X.index) if hasattr(X, "index") else list(range(n_rows))
    try:
        names = list(words)
        n_distinct = len(set(names))
    except TypeError as error:
        raise TypeError(f"words must be a list of strings, or of other names: {error}.") from error
    if len(names) != n_rows or n_distinct != n_rows:
        raise ValueError(
            f"words must name each of the {n_rows} rows of X; got {len(names)} names, "
            f"{n_distinct} of them distinct."
        )
    return names
