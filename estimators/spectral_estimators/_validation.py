"""From the sequences that users pass to what the core takes, with errors that name the argument."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from spectral_nn.execute.parts import load
from spectral_nn.execute.runner import Runner
from spectral_nn.models.hmm.coding import encode, largest_symbol
from spectral_nn.sequences import (
    LazySequences,
    Partitions,
    Place,
    Sequences,
    SequenceStream,
    Source,
    is_list_of_sequences,
    is_partitioned,
)
from spectral_nn.stored import is_stored

__all__ = [
    "chained",
    "encoded",
    "is_one_shot",
    "is_table",
    "labelled_source",
    "labels_and_lengths",
    "read",
    "spawn_rng",
    "surveyed",
    "together",
]

_SPARSE_ALPHABET = 1 << 20  # inferred alphabets beyond this must be filled by the data


def is_table(X: Any) -> bool:
    """Whether rows of X are observations (array, data frame, list of numbers), not sequences."""
    if isinstance(X, (Sequences, SequenceStream)) or is_partitioned(X):
        return False
    if is_list_of_sequences(X) or _is_stream(X):
        return False
    return getattr(X, "ndim", 2) != 3


def is_one_shot(X: Any) -> bool:
    """Whether X is an iterator (a generator), or a stream of one: it can be walked once only."""
    return isinstance(X.iterable if isinstance(X, SequenceStream) else X, Iterator)


def read(X: Any, lengths: Any = None) -> Source:
    """Sequences, wherever they are; symbols are not checked yet.

    Raises
    ------
    ValueError
        If X has none of the accepted forms, or ``lengths`` does not fit.
    """
    if is_partitioned(X) or isinstance(X, SequenceStream) or _is_stream(X):
        if lengths is not None:
            raise ValueError("lengths goes with a table X; X is an iterable of sequences.")
        if is_partitioned(X):
            return Partitions.from_input(X)
        return X if isinstance(X, SequenceStream) else SequenceStream(X)
    if is_stored(X):
        return LazySequences(X, lengths)
    _check_kind(X)
    return Sequences.from_input(X, lengths)


def labels_and_lengths(X: Any, y: Any, lengths: Any) -> tuple[Any, Any]:
    """Sort out the second positional argument: scikit-learn's ``y`` or hmmlearn's ``lengths``.

    With a table X of n rows, whole numbers of at least 1 that sum to n are lengths; n numbers
    are labels (n ones are lengths: n sequences of one row, as in hmmlearn).

    Returns
    -------
    y, lengths

    Raises
    ------
    ValueError
        If it could be neither.
    """
    if y is None or lengths is not None or not is_table(X):
        return y, lengths
    if not is_stored(X):
        _check_kind(X)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    numbers = np.ma.asarray(y)
    if numbers.ndim == 1 and numbers.dtype.kind in "iu" and not np.ma.is_masked(numbers):
        if (numbers >= 1).all() and numbers.sum() == n and numbers.size:
            return None, np.asarray(numbers)
        if numbers.size != n:
            raise ValueError(
                f"The second argument holds {numbers.size} numbers that sum to {numbers.sum()}, "
                f"but X has {n} rows: as lengths they must be positive and sum to {n}, as labels "
                f"y there must be {n}. Pass lengths= or y= by name."
            )
    return y, None


def labelled_source(source: Source) -> Sequences:
    """Sequences in memory, which is where labels are.

    Raises
    ------
    ValueError
        Naming ``y``, of sequences in a stream or of dask; nothing of X has been read.
    """
    if source.remote or not isinstance(source, (Sequences, LazySequences)):
        kind = "a dask collection" if source.remote else "an iterable"
        raise ValueError(f"y (labels) needs sequences in memory; X is {kind}.")
    return together(source)


def together(source: Source) -> Sequences:
    """All sequences, in memory here."""
    pieces = list(source.pieces())
    if len(pieces) == 1:
        return pieces[0]
    values = np.concatenate([piece.values for piece in pieces])
    return Sequences.from_lengths(values, np.concatenate([piece.lengths for piece in pieces]))


def encoded(
    source: Source,
    n_symbols: int,
    missing: float | None = None,
    y: Any = None,
    n_components: int | None = None,
) -> Source:
    """Checked int32 codes of a source; what is not in memory is checked as it is read.

    Raises
    ------
    ValueError
        Naming ``X`` or ``y`` with the first offending position.
    """
    if y is None:
        return source.coded(partial(_encode, n_symbols=n_symbols, missing=missing))
    assert isinstance(source, Sequences)
    codes = encode(source.values, n_symbols, missing, _labels(y, source), n_components)
    return Sequences(codes, source.offsets)


def surveyed(source: Source, missing: float | None, run: Runner) -> tuple[Source, int]:
    """Look through all data once, where they are.

    Parameters
    ----------
    source : symbols, not checked yet.
    missing : what stands for "not observed".
    run : who looks.

    Returns
    -------
    source : with the lengths of its partitions known.
    n_symbols : largest symbol plus one.

    Raises
    ------
    ValueError
        If nothing was observed, or the largest symbol is out of all proportion to the data.
    """
    parts = source.look(run, partial(_largest, missing=missing))
    looked = run.map(load, list(parts) if source.remote else parts)
    found = [(-1, 0) if one is None else one for one in looked]
    rows = [n_rows for _, n_rows in found]
    if isinstance(source, Partitions):
        source = source.measured(rows)
    largest, n = max(symbol for symbol, _ in found), sum(rows)
    if largest < 0:
        raise ValueError(f"Every one of the {n} observations in X is missing.")
    if largest >= max(_SPARSE_ALPHABET, 16 * n):
        raise ValueError(
            f"X holds the symbol {largest} but only {n} observations, so that n_features would be "
            f"{largest + 1}. Recode symbols to 0, 1, 2, ... (np.unique with return_inverse=True)."
        )
    return source, largest + 1


def _largest(values: Any, place: Place, missing: float | None) -> tuple[int, int]:
    return largest_symbol(values, missing, place), int(values.shape[0])


def chained(
    first: Sequences, second: Sequences | None, rest: Iterator[Sequences]
) -> SequenceStream:
    """Put pieces that were looked at back in front of a stream that goes once."""

    def sequences() -> Iterator[Any]:
        yield from first
        if second is not None:
            yield from second
        for piece in rest:
            yield from piece

    return SequenceStream(sequences())


def spawn_rng(random_state: Any) -> np.random.Generator:
    """Turn scikit-learn's ``random_state`` into a Generator for the core."""
    words = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(words)


def _check_kind(X: Any) -> None:
    """Turn away what is no array, list or iterable of numbers."""
    if hasattr(X, "tocsr"):
        raise ValueError("Sparse data were passed as X; sequences of symbols must be dense.")
    if isinstance(X, (str, bytes, dict, set)) or not hasattr(X, "__iter__"):
        raise ValueError(
            f"X is of type {type(X).__name__}; give integer symbols: a list of arrays, a table "
            "(n, 1) with lengths=, or an iterable of arrays."
        )


def _is_stream(X: Any) -> bool:
    """Whether X is an iterable of sequences that is not an array, list or tuple."""
    return (
        hasattr(X, "__iter__")
        and not isinstance(X, (list, tuple, Sequences, str, bytes, dict, set))
        and not any(hasattr(X, name) for name in ("shape", "__array__", "tocsr"))
    )


def _encode(values: Any, place: Place, n_symbols: int, missing: float | None) -> np.ndarray:
    return encode(values, n_symbols, missing, place=place)


def _labels(y: Any, source: Sequences) -> Any:
    """Labels laid out like the values of a source.

    Raises
    ------
    ValueError
        If y does not have one label for every observation.
    """
    if isinstance(y, Sequences) or is_list_of_sequences(y):
        labels = y if isinstance(y, Sequences) else Sequences.from_list(y)
        if not np.array_equal(labels.offsets, source.offsets):
            raise ValueError(
                f"y has {len(labels)} sequences of labels with lengths {_some(labels.lengths)}; "
                f"X has {len(source)} with lengths {_some(source.lengths)}. They must be equal."
            )
        return labels.values
    if np.ndim(y) > 1 and np.shape(y)[:2] == (len(source), source.lengths[0]):
        return np.ma.asarray(y).reshape(-1)  # laid out like a 3-D X, (m, t) or (m, t, 1)
    return y


def _some(lengths: np.ndarray) -> str:
    shown = ", ".join(map(str, lengths[:5].tolist()))
    return f"[{shown}{', ...' if len(lengths) > 5 else ''}]"
