"""From what users pass to what the core takes, with errors that name the argument."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from spectral_nn.models.hmm.coding import encode, largest_symbol
from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.sequences import Sequences, SequenceStream, is_list_of_sequences

__all__ = [
    "alphabet_size",
    "chained",
    "check_letters",
    "check_priors",
    "check_shapes",
    "check_size",
    "checked_parameters",
    "encoded",
    "is_one_shot",
    "is_table",
    "kept_parts",
    "labels_and_lengths",
    "read",
    "spawn_rng",
]

_SPARSE_ALPHABET = 1 << 20  # inferred alphabets beyond this must be filled by the data


def is_table(X: Any) -> bool:
    """Whether rows of X are observations (array, data frame, list of numbers), not sequences."""
    if isinstance(X, (Sequences, SequenceStream)) or is_list_of_sequences(X) or _is_stream(X):
        return False
    return getattr(X, "ndim", 2) != 3


def is_one_shot(X: Any) -> bool:
    """Whether X is an iterator (a generator): it can be walked once only."""
    return isinstance(X, Iterator)


def read(X: Any, lengths: Any = None) -> Sequences | SequenceStream:
    """Sequences in memory, or a stream for iterables of sequences; symbols are not checked yet.

    Raises
    ------
    ValueError
        If X has none of the accepted forms, or ``lengths`` does not fit.
    """
    if isinstance(X, SequenceStream) or _is_stream(X):
        if lengths is not None:
            raise ValueError("lengths goes with a table X; X is an iterable of sequences.")
        return X if isinstance(X, SequenceStream) else SequenceStream(X)
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
    _check_kind(X)
    n, numbers = len(X), np.ma.asarray(y)
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


def encoded(
    source: Sequences | SequenceStream,
    n_symbols: int,
    missing: float | None = None,
    y: Any = None,
    n_components: int | None = None,
) -> Sequences | SequenceStream:
    """Checked int32 codes of a source (a stream checks as it is walked).

    Raises
    ------
    ValueError
        Naming ``X`` or ``y`` with the first offending position.
    """
    if isinstance(source, SequenceStream):
        if y is not None:
            raise ValueError("y (labels) needs sequences in memory; X is an iterable.")
        code = partial(_encode_piece, n_symbols=n_symbols, missing=missing)
        return SequenceStream(source.iterable, code, source.chunk_tokens)
    labels = None if y is None else _labels(y, source)
    codes = encode(source.values, n_symbols, missing, labels, n_components)
    return Sequences(codes, source.offsets)


def alphabet_size(source: Sequences | SequenceStream, missing: float | None) -> int:
    """Largest symbol plus one; walks a stream once.

    Raises
    ------
    ValueError
        If nothing was observed, or the largest symbol is out of all proportion to the data.
    """
    largest, n = -1, 0
    for piece in source.pieces():
        largest = max(largest, largest_symbol(piece.values, missing))
        n += piece.values.shape[0]
    if largest < 0:
        raise ValueError(f"Every one of the {n} observations in X is missing.")
    if largest >= max(_SPARSE_ALPHABET, 16 * n):
        raise ValueError(
            f"X holds the symbol {largest} but only {n} observations, so that n_features would be "
            f"{largest + 1}. Recode symbols to 0, 1, 2, ... (np.unique with return_inverse=True)."
        )
    return largest + 1


def checked_parameters(
    startprob: Any, transmat: Any, emissionprob: Any, n_components: Any, n_features: int | None
) -> HMMParameters:
    """Parameters that a model holds (fitted, or set by hand), checked.

    Raises
    ------
    ValueError
        Naming the attribute: not numbers, wrong shape, negative entries, rows that do not sum to 1.
    """
    given = {"startprob": startprob, "transmat": transmat, "emissionprob": emissionprob}
    parts = {part: probabilities(value, f"{part}_") for part, value in given.items()}
    k = len(parts["startprob"]) if n_components == "auto" else n_components
    check_shapes(parts, k, n_features)
    return HMMParameters(**parts)


def kept_parts(estimator: Any) -> dict[str, np.ndarray]:
    """Parts that a fit does not start anew: those set, and not named in ``init_params``.

    Raises
    ------
    ValueError
        Naming the attribute that is no probability or has the wrong shape.
    """
    kept = {
        part: probabilities(getattr(estimator, f"{part}_"), f"{part}_")
        for part in ("startprob", "transmat", "emissionprob")
        if part[0] not in estimator.init_params and hasattr(estimator, f"{part}_")
    }
    if kept and estimator.n_components == "auto":
        raise ValueError(
            f"n_components='auto' tries several K, so it cannot start from {', '.join(kept)} as "
            "they stand. Use init_params='ste'."
        )
    check_shapes(kept, estimator.n_components, estimator.get_params(deep=False)["n_features"])
    return kept


def check_shapes(parts: dict[str, np.ndarray], k: int, d: int | None) -> None:
    """Check the shapes of startprob, transmat and emissionprob, as far as they are given.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    columns: Any = "n_features" if d is None else d
    shapes = {"startprob": (k,), "transmat": (k, k), "emissionprob": (k, columns)}
    for part, array in parts.items():
        free = part == "emissionprob" and d is None
        wanted = (k, *array.shape[1:2]) if free else shapes[part]
        if array.shape != wanted or array.ndim != len(shapes[part]):
            shown = str(shapes[part]).replace("'", "")
            raise ValueError(
                f"{part}_ must have shape {shown}, from n_components={k} and n_features={d}; got "
                f"{array.shape}."
            )


def probabilities(value: Any, name: str) -> np.ndarray:
    """An array of float64 whose last axis holds distributions.

    Raises
    ------
    ValueError
        Naming the array and the first offending entry or row.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of probabilities: {error}") from error
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{name} must be an array of probabilities, got shape {array.shape}.")
    bad = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise ValueError(
            f"{name} must hold probabilities; entry {bad[0].tolist()} is {array[tuple(bad[0])]}."
        )
    sums = np.atleast_1d(array.sum(axis=-1))
    off = np.flatnonzero(~np.isclose(sums, 1))
    if off.size:
        which = name if array.ndim == 1 else f"row {off[0]} of {name}"
        raise ValueError(f"{which} must sum to 1, got {sums.flat[off[0]]:.6g}. Normalise {name}.")
    return array


def check_priors(estimator: Any, n_symbols: int) -> None:
    """Check Dirichlet priors given as arrays: shape, and entries that are positive and finite.

    Raises
    ------
    ValueError
        Naming the prior.
    """
    k = estimator.n_components
    shapes = {"startprob": (k,), "transmat": (k, k), "emissionprob": (k, n_symbols)}
    for part, shape in shapes.items():
        name = f"{part}_prior"
        prior = getattr(estimator, name)
        if prior is None or np.ndim(prior) == 0:
            continue
        if k == "auto":
            raise ValueError(f"{name} is an array, which n_components='auto' cannot use.")
        try:
            array = np.asarray(prior, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be a number or an array of numbers: {error}") from error
        try:
            fits = np.broadcast_shapes(array.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name} must be a number or have shape {shape}; got {array.shape}.")
        if not (np.isfinite(array) & (array > 0)).all():
            at = np.argwhere(~(np.isfinite(array) & (array > 0)))[0]
            raise ValueError(
                f"{name} holds {array[tuple(at)]} at {at.tolist()}; the parameters of a Dirichlet "
                "distribution must be positive."
            )


def check_letters(estimator: Any) -> None:
    """Check that ``params`` and ``init_params`` are made of the letters s, t and e.

    Parameters
    ----------
    estimator : with both attributes, strings.

    Raises
    ------
    ValueError
        Naming the one that holds another letter.
    """
    for name in ("params", "init_params"):
        value = getattr(estimator, name)
        extra = sorted(set(value) - set("ste"))
        if extra:
            raise ValueError(
                f"{name} may contain 's' (startprob), 't' (transmat) and 'e' (emissionprob); "
                f"got {value!r}."
            )


def check_size(estimator: Any, source: Sequences | SequenceStream) -> None:
    """Check that data in memory can carry the start.

    Raises
    ------
    ValueError
        Naming ``init``.
    """
    if not isinstance(source, Sequences):
        return
    k, init = estimator.n_components, estimator.init
    longest = int(source.lengths.max())
    if len(kept_parts(estimator)) == 3 or (init == "tensor" and k == 1):
        return
    least = {"tensor": 3, "spectral-clustering": 2}.get(init, 1)
    if longest < least:
        raise ValueError(
            f"init={init!r} needs a sequence of at least {least} observations; the longest in X "
            f"has {longest}. Give longer sequences or use init='random'."
        )


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


def _encode_piece(piece: Sequences, n_symbols: int, missing: float | None) -> Sequences:
    return Sequences(encode(piece.values, n_symbols, missing), piece.offsets)


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
