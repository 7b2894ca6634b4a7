"""Counts of words, and priors of topics, checked: errors name the argument."""

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_non_negative

from spectral_estimators._network_input import check_magnitude
from spectral_nn.arrays import get_namespace, is_foreign, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.topics.priors import TopicPriors
from spectral_nn.warn import warn

__all__ = ["check_counts", "check_positive", "counts_in_memory", "holds_fractions", "read_priors"]

_LARGEST_PRIOR = 1e30  # priors are numbers in single precision, too


def check_counts(table: Table, whom: str) -> Table:
    """The table, with a check of each chunk that nothing is negative where it is read."""
    return table.mapped(partial(_check_chunk, whom=whom))


def _check_chunk(rows: Rows, whom: str) -> Rows:
    if is_foreign(rows.X):
        xp = get_namespace(rows.X)
        if bool(xp.any(rows.X < 0)):
            raise ValueError(f"Negative values in data passed to {whom}.")
    else:
        check_non_negative(rows.X, whom)
        check_magnitude(rows.X)
    return rows


def holds_fractions(table: Table) -> bool:
    """Whether counts in memory are no whole numbers, with a warning that says so."""
    if not isinstance(table, Rows) or is_foreign(table.X):
        return False
    entries = table.X.data if sparse.issparse(table.X) else table.X
    bad = entries != np.floor(entries)
    if not bad.any():
        return False
    warn(
        f"X holds fractions, such as {float(entries[bad].flat[0]):.3g}. Moments are of counts: "
        "topics start at random. Give counts of words, before any tf-idf, or set init='random'.",
        UserWarning,
    )
    return True


def counts_in_memory(X: Any, whom: str) -> Any:
    """Documents (n, V) as CSR, not negative."""
    X = sparse.csr_array(to_numpy(X) if is_foreign(X) else X)
    check_non_negative(X, whom)
    return X


def read_priors(topics: Any, words: Any, n_components: int, n_words: int) -> TopicPriors:
    """Priors of K topics: None is 1 / K, a number is for all.

    Raises
    ------
    ValueError
        Naming ``doc_topic_prior`` or ``topic_word_prior``.
    """
    K = n_components
    topics, words = (1 / K if prior is None else prior for prior in (topics, words))
    if isinstance(topics, Real):
        topics = np.full(K, float(topics))
    topics = check_positive(topics, (K,), "doc_topic_prior")
    if isinstance(words, Real):
        of_words = np.full((K, 1), float(words))
    else:
        of_words = check_positive(words, (K, n_words), "topic_word_prior")
    for name, values in (("doc_topic_prior", topics), ("topic_word_prior", of_words)):
        if values.min() < 1 / _LARGEST_PRIOR or values.max() > _LARGEST_PRIOR:
            raise ValueError(
                f"{name} must lie between {1 / _LARGEST_PRIOR:g} and {_LARGEST_PRIOR:g}; got "
                f"{values.min():g} to {values.max():g}."
            )
    return TopicPriors(topics, of_words, n_words)


def check_positive(
    values: Any, shape: tuple[int, ...], name: str, least: float | None = None
) -> NDArray[np.float64]:
    """Finite numbers of a shape, positive or at least `least`; ValueError naming them."""
    found = check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
    if found.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {found.shape}.")
    bad = found <= 0 if least is None else found < least
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        bound = "above 0" if least is None else f"at least {least:g}"
        raise ValueError(f"{name} must be {bound}; entry {at} is {found[at]:.3g}.")
    return found
