"""From the sequences that users pass to what the core takes, with errors that name the argument."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, wraps
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.utils import check_random_state

from spectral_estimators._devices import on_host
from spectral_estimators._network_input import check_weight_range
from spectral_nn.data import (
    LazySequences,
    Partitions,
    Place,
    Sequences,
    SequenceStream,
    Source,
    as_rows,
    is_list_of_sequences,
    is_partitioned,
)
from spectral_nn.data.container import check_weight
from spectral_nn.data.symbols import alphabet, encode
from spectral_nn.runners.base import Runner
from spectral_nn.runners.parts import load
from spectral_nn.stored import is_stored
from spectral_nn.warn import warn

__all__ = [
    "chained",
    "encoded",
    "in_memory",
    "is_one_shot",
    "is_table",
    "labels_of",
    "look_through",
    "read",
    "spawn_rng",
    "surveyed",
    "takes_lengths_second",
    "together",
    "weighted",
]

M = TypeVar("M", bound=Callable[..., Any])
T = TypeVar("T")

_SPARSE_ALPHABET = 1 << 20  # inferred alphabets beyond this must be filled by the data
_FEW_STRINGS = 20  # may differ by chance, or because somebody tries out what a model does


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


def takes_lengths_second(method: M) -> M:
    """Let ``method(X, lengths)``, hmmlearn's order, stand beside ``method(X, y, lengths)``.

    The shape of a second positional argument tells what it is, and never its values: with a table
    X of n rows, a row of numbers is y if there are n, else lengths.  (n ones could be either; they
    are labels, as a fold of cross-validation in which all labels are 1 must be.)

    Raises
    ------
    ValueError
        If it has another size than X has rows and does not sum to them: it can be neither.
    """

    @wraps(method)
    def called(self: Any, *given: Any, **named: Any) -> Any:
        if len(given) == 2 and "lengths" not in named and _are_lengths(*given):
            return method(self, given[0], lengths=given[1], **named)
        return method(self, *given, **named)

    return cast(M, called)


def _are_lengths(X: Any, second: Any) -> bool:
    """Whether the second positional argument is a row of numbers of another size than X."""
    if second is None or not is_table(X) or is_list_of_sequences(second):
        return False
    if not is_stored(X):
        _check_kind(X)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    numbers = np.ma.asarray(on_host(second))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf" or numbers.size == n:
        return False
    if np.ma.is_masked(numbers) or not (numbers >= 1).all() or numbers.sum() != n:
        raise ValueError(
            f"The second argument holds {numbers.size} numbers that sum to {numbers.sum()}, but X "
            f"has {n} rows: as lengths they must be positive and sum to {n}, as labels y there "
            f"must be {n}. Pass lengths= or y= by name."
        )
    return True


def in_memory(source: Source, argument: str) -> Sequences:
    """Sequences in memory, which is where what goes with them (labels, weights) is.

    Raises
    ------
    ValueError
        Naming ``argument``, of sequences in a stream or of dask; nothing of X has been read.
    """
    if source.remote or not isinstance(source, (Sequences, LazySequences)):
        kind = "a dask collection" if source.remote else "an iterable"
        raise ValueError(f"{argument} needs sequences in memory; X is {kind}.")
    return together(source)


def weighted(source: Source, sample_weight: Any) -> Sequences:
    """Sequences in memory, with their weights.

    Raises
    ------
    ValueError
        Naming ``sample_weight``.
    """
    sequences = in_memory(source, "sample_weight")
    weight = check_weight(on_host(sample_weight), len(sequences), "sample_weight")
    if not weight.any():
        raise ValueError("sample_weight is 0 for every sequence of X. Give one of them a weight.")
    check_weight_range(weight[weight > 0])
    return replace(sequences, weight=weight)


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
    missing: float | str | None = None,
    y: Any = None,
    n_components: int | None = None,
    symbols: np.ndarray | None = None,
) -> Source:
    """Checked int32 codes of a source; what is not in memory is checked as it is read.

    Parameters
    ----------
    source : symbols, not checked yet.
    n_symbols : size of the alphabet.
    missing : what stands for "not observed".
    y : labels, of a source in memory.
    n_components : number of states that labels may name.
    symbols : the strings that the source is made of, sorted; None for numbers.

    Raises
    ------
    ValueError
        Naming ``X`` or ``y`` with the first offending position.
    """
    how: dict[str, Any] = {"n_symbols": n_symbols, "missing": missing, "symbols": symbols}
    if y is not None:
        assert isinstance(source, Sequences)
        labels, place = labels_of(y, source)
        how |= {"labels": labels, "n_components": n_components, "place_of_labels": place}
    return source.coded(partial(_encode, **how))


def look_through(
    source: Source, look: Callable[[Any, Place], tuple[T, int]], run: Runner
) -> tuple[Source, list[tuple[T, int]]]:
    """Look at all data once, where they are.

    Parameters
    ----------
    source : values, not checked yet.
    look : (values, place) -> what is found there, and the number of rows.
    run : who looks.

    Returns
    -------
    source : with the lengths of its partitions known.
    looked : what `look` returned for each stretch; nothing for empty partitions.
    """
    looked = list(run.map(load, source.look(look)))
    if isinstance(source, Partitions):
        source = source.measured([0 if one is None else one[1] for one in looked])
    return source, [one for one in looked if one is not None]


def surveyed(
    source: Source, missing: float | str | None, run: Runner
) -> tuple[Source, int, np.ndarray | None]:
    """Look through all data once, where they are.

    Parameters
    ----------
    source : symbols, not checked yet.
    missing : what stands for "not observed".
    run : who looks.

    Returns
    -------
    source : with the lengths of its partitions known.
    n_symbols : largest symbol plus one, or the number of distinct strings.
    symbols : the distinct strings, sorted; None where symbols are numbers.

    Raises
    ------
    ValueError
        If nothing was observed, the largest symbol is out of all proportion to the data, or some
        are numbers and some strings.

    Warns
    -----
    UserWarning
        If there are more than 20 strings, no two of them equal.
    """
    source, looked = look_through(source, partial(_look, missing=missing), run)
    found, n = [one for one, _ in looked], sum(rows for _, rows in looked)
    strings = [one for one in found if isinstance(one, np.ndarray)]
    if 0 < len(strings) < len(found):
        raise ValueError("Some chunks of X hold strings, and some numbers. Give one or the other.")
    symbols = np.unique(np.concatenate(strings)) if strings else None
    largest = max(found) if symbols is None else symbols.size - 1
    if largest < 0:
        raise ValueError(f"Every one of the {n} observations in X is missing.")
    if symbols is not None:
        if symbols.size == n > _FEW_STRINGS:
            warn(
                f"X holds {n} strings, no two of them equal, such as {str(symbols[0])!r}. Each "
                "string is one symbol, and a list of strings is one sequence. Split sentences into "
                "tokens, a list for each sentence: X = [text.split() for text in X].",
                UserWarning,
            )
        return source, symbols.size, symbols
    if largest >= max(_SPARSE_ALPHABET, 16 * n):
        raise ValueError(
            f"X holds the symbol {largest} but only {n} observations, so that n_features would be "
            f"{largest + 1}. Recode symbols to 0, 1, 2, ... (np.unique with return_inverse=True)."
        )
    return source, largest + 1, None


def _look(values: Any, place: Place, missing: float | str | None) -> tuple[Any, int]:
    return alphabet(values, missing, place), int(values.shape[0])


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
            f"X is of type {type(X).__name__}; give symbols: a list of arrays, a table "
            "(n, 1) with lengths=, or an iterable of arrays."
        )


def _is_stream(X: Any) -> bool:
    """Whether X is an iterable of sequences that is not an array, list or tuple."""
    return (
        hasattr(X, "__iter__")
        and not isinstance(X, (list, tuple, Sequences, str, bytes, dict, set))
        and not any(hasattr(X, name) for name in ("shape", "__array__", "tocsr"))
    )


def _encode(values: Any, place: Place, **how: Any) -> np.ndarray:
    return encode(values, place=place, **how)


def labels_of(y: Any, source: Sequences) -> tuple[Any, Place]:
    """Labels laid out like the values of a source, and what their entries are called.

    Raises
    ------
    ValueError
        If y does not have one label for every observation.
    """
    if isinstance(y, Sequences) or is_list_of_sequences(y):
        labels = y if isinstance(y, Sequences) else _list_of_labels(y)
        if not np.array_equal(labels.offsets, source.offsets):
            raise ValueError(
                f"y has {len(labels)} sequences of labels with lengths {_some(labels.lengths)}; "
                f"X has {len(source)} with lengths {_some(source.lengths)}. They must be equal."
            )
        return labels.values, labels.place._replace(argument="y")
    array = as_rows(y, "y")
    if array.ndim > 1 and array.shape[:2] == (len(source), source.lengths[0]):
        # laid out like a 3-D X, (m, t) or (m, t, 1)
        return array.reshape(-1), Place(offsets=source.offsets, argument="y")
    return array, Place(argument="y")


def _list_of_labels(y: Any) -> Sequences:
    try:
        return Sequences.from_list(y, "y")
    except ValueError as error:
        raise ValueError(
            f"{error} y needs a label for each observation of X, -1 where unknown."
        ) from error


def _some(lengths: np.ndarray) -> str:
    shown = ", ".join(map(str, lengths[:5].tolist()))
    return f"[{shown}{', ...' if len(lengths) > 5 else ''}]"
