"""Sequences in memory, as one array with offsets, from any of the forms that users have.

A `Sequences` is an immutable pair ``(values, offsets)``; it behaves as a scikit-learn sample
container (`len`, `shape`, indexing by integers, slices, masks), so that cross-validation, grid
search and worker processes cut it between sequences and never through one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import is_foreign
from spectral_nn.data.cuts import Cut, Place, Window, frames
from spectral_nn.data.frames import array_of_frame, is_frame
from spectral_nn.stored import is_stored

__all__ = [
    "Sequences",
    "as_rows",
    "check_weight",
    "is_list_of_sequences",
    "offsets_of",
    "whole_sequences",
]

T = TypeVar("T")

_MOST_COPIED = 2**19  # rows


@dataclass(frozen=True, eq=False)
class Sequences:
    """Many sequences laid end to end.

    Parameters
    ----------
    values : array, shape (n,) or (n, p)
        The rows of all sequences, one sequence after another.
    offsets : array of int64, shape (m + 1,)
        Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``; ``offsets[0] == 0``,
        ``offsets[-1] == n`` and no sequence is empty.
    table : bool
        Whether `values` are what a user has: a table whose rows errors count from its beginning,
        and not within a sequence.
    weight : array of float64, shape (m,), optional
        How often each sequence counts in a fit, 0 or more; None for once.  (Of estimators it is
        ``sample_weight`` of ``fit``.)

    Raises
    ------
    ValueError
        If the offsets do not describe non-empty sequences that fill ``values``, or weights are not
        finite numbers of at least 0, one a sequence.

    See Also
    --------
    SequenceStream : Sequences that do not fit in memory.
    sequences_of_table : Sequences of a data frame.
    PerSequence : Transforms the rows of sequences.

    Examples
    --------
    >>> import numpy as np
    >>> s = Sequences.from_list([np.array([0, 1, 1]), np.array([2, 0])])
    >>> len(s), s.shape, s.lengths.tolist()
    (2, (2,), [3, 2])
    >>> s[1].tolist(), len(s[[1, 0, 1]])
    ([2, 0], 3)
    """

    values: Any
    offsets: np.ndarray
    table: bool = False
    weight: np.ndarray | None = None
    remote: ClassVar[bool] = False
    stays_on_host: ClassVar[bool] = True  # recursions over whole sequences are compiled for it

    def __post_init__(self) -> None:
        offsets = np.asarray(self.offsets, dtype=np.int64)
        object.__setattr__(self, "offsets", offsets)
        n = self.values.shape[0]
        if offsets.ndim != 1 or not offsets.size or offsets[0] != 0 or offsets[-1] != n:
            raise ValueError(
                f"offsets must be a 1-D array that runs from 0 to the number of rows, {n}; "
                f"got {offsets}."
            )
        short = np.flatnonzero(np.diff(offsets) < 1)
        if short.size:
            raise ValueError(
                f"Every sequence needs at least one row; sequence {short[0]} has "
                f"{np.diff(offsets)[short[0]]}. Drop empty sequences."
            )
        if self.weight is not None:
            object.__setattr__(self, "weight", check_weight(self.weight, offsets.size - 1))

    @classmethod
    def from_list(cls, sequences: Iterable[Any], name: str = "X") -> Sequences:
        """Join a list of sequences; O(n) copies.

        Parameters
        ----------
        sequences : iterable of arrays, each of shape (t_i,) or (t_i, p)
            Masked arrays keep their masks.
        name : of the argument, for errors.

        Returns
        -------
        Sequences

        Raises
        ------
        ValueError
            If there are none, one is empty or no array, or their widths differ.
        TypeError
            If one is a sparse matrix.

        Examples
        --------
        >>> import numpy as np
        >>> Sequences.from_list([np.zeros((3, 2)), np.ones((1, 2))]).lengths.tolist()
        [3, 1]
        """
        arrays = [as_rows(s, f"sequence {i} of {name}") for i, s in enumerate(sequences)]
        if not arrays:
            raise ValueError(f"{name} holds no sequences: give at least one.")
        for i, a in enumerate(arrays):
            if a.shape[1:] != arrays[0].shape[1:]:
                raise ValueError(
                    f"The sequences of {name} differ in width: sequence 0 has shape "
                    f"{arrays[0].shape}, sequence {i} has {a.shape}. Time is the first axis."
                )
            if a.shape[0] == 0:
                raise ValueError(f"Sequence {i} of {name} is empty. Drop empty sequences.")
        join = np.ma.concatenate if any(map(np.ma.isMaskedArray, arrays)) else np.concatenate
        offsets = np.cumsum([0] + [a.shape[0] for a in arrays], dtype=np.int64)
        try:
            return cls(join(arrays), offsets)
        except TypeError as error:  # of dates beside numbers
            kinds = ", ".join(sorted({str(a.dtype) for a in arrays}))
            raise ValueError(
                f"The sequences of {name} are of types that do not join: {kinds}."
            ) from error

    @classmethod
    def from_lengths(cls, X: Any, lengths: Any = None) -> Sequences:
        """Cut the rows of one table into sequences (hmmlearn's way).

        Parameters
        ----------
        X : array, shape (n,) or (n, p)
        lengths : array of int, shape (m,), optional
            Rows of each sequence, in order.  None: the whole table is one sequence.

        Returns
        -------
        Sequences
            Its values are X itself, where X is an array.

        Raises
        ------
        ValueError
            If ``X`` has no rows, a length is below 1 or fractional, or they do not sum to n.
        TypeError
            If ``X`` is a sparse matrix.

        Notes
        -----
        O(m).

        Examples
        --------
        >>> import numpy as np
        >>> Sequences.from_lengths(np.arange(5), [2, 3])[1].tolist()
        [2, 3, 4]
        """
        values = as_rows(X, "X")
        return cls(values, offsets_of(values.shape, lengths), table=True)

    @classmethod
    def from_input(cls, X: Any, lengths: Any = None) -> Sequences:
        """Read sequences from any of the accepted forms.

        Parameters
        ----------
        X : Sequences, list of arrays, 3-D array (m, t, p), table (n, p) or 1-D array (n,)
            A table or a 1-D array is one sequence, or several with ``lengths``.  A list of
            arrays, or of lists, is a list of sequences, and so is a series (of pandas, polars) or
            an array of objects that holds them; only a list of one-element lists or of scalars
            (``[[0], [1], [2]]``, ``[0, 1, 2]``) reads as a table, as NumPy reads it.
        lengths : array of int, shape (m,), optional
            Only with a table or a 1-D array.

        Returns
        -------
        Sequences

        Raises
        ------
        ValueError
            If the form is not one of these or ``lengths`` does not fit it.

        Examples
        --------
        >>> import numpy as np
        >>> Sequences.from_input([[0, 1], [2]]).lengths.tolist()  # a list of sequences
        [2, 1]
        >>> Sequences.from_input([0, 1, 2]).lengths.tolist()  # one sequence
        [3]
        >>> len(Sequences.from_input(np.zeros((4, 10, 2))))  # four of ten rows
        4
        """
        if lengths is None:
            if isinstance(X, Sequences):
                return X
            if is_list_of_sequences(X):
                return cls.from_list(X)
        elif isinstance(X, Sequences) or (
            is_list_of_sequences(X) and any(np.ndim(row) > 1 or len(row) != 1 for row in X)
        ):
            raise ValueError(
                "lengths goes with a table X; these X are sequences already. Leave lengths out."
            )
        array = as_rows(X, "X")
        offsets = offsets_of(array.shape, lengths)
        if array.ndim == 3:
            return cls(array.reshape(-1, array.shape[2]), offsets)
        return cls(array, offsets, table=True)

    def __len__(self) -> int:
        return self.offsets.size - 1

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each sequence, int64, shape (m,)."""
        return np.diff(self.offsets)

    @property
    def shape(self) -> tuple[int]:
        """``(m,)``: the number of sequences, for scikit-learn."""
        return (len(self),)

    def __iter__(self) -> Iterator[Any]:
        for start, stop in zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            yield self.values[start:stop]

    def __getitem__(self, key: Any) -> Any:
        """One sequence (an array) for an integer, else the chosen sequences (a `Sequences`)."""
        if isinstance(key, tuple):
            key = key[0]
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            i = range(len(self))[int(key)]
            return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]
        chosen = np.arange(len(self))[key if isinstance(key, slice) else _index(key)]
        starts, sizes = self.offsets[chosen], self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        n = int(offsets[-1])
        weight = None if self.weight is None else self.weight[chosen]
        if n and (np.diff(chosen) == 1).all():
            values = self.values[int(starts[0]) : int(starts[0]) + n]
        else:
            values = self.values[np.repeat(starts - offsets[:-1], sizes) + np.arange(n)]
        return Sequences(values, offsets, weight=weight)

    def __repr__(self) -> str:
        kind = getattr(self.values, "dtype", type(self.values).__name__)
        return f"Sequences({len(self)} sequences, {self.values.shape[0]} rows, {kind})"

    @property
    def place(self) -> Place:
        """Where the values are, for errors."""
        return Place(offsets=None if self.table else self.offsets)

    def pieces(self) -> Iterator[Sequences]:
        """Yield the whole, once.

        Yields
        ------
        Sequences
        """
        yield self

    def look(self, function: Callable[[Any, Place], T]) -> list[T]:
        """``function(values, place)`` of all values, called here.

        Parameters
        ----------
        function : callable, (values, place) -> T

        Returns
        -------
        list of T
            One entry.
        """
        return [function(self.values, self.place)]

    def coded(self, encode: Callable[[Any, Place], Any]) -> Sequences:
        """The same sequences of ``encode(values, place)``, which is called here.

        Parameters
        ----------
        encode : callable, (values, place) -> values

        Returns
        -------
        Sequences
        """
        return Sequences(encode(self.values, self.place), self.offsets, weight=self.weight)

    def parts(self, cut: Cut, make: Callable[[Any, Window], T], row: int = 0) -> list[T]:
        """``make(values, window)`` of each window, called here.

        Parameters
        ----------
        cut : Cut
            How sequences are cut into blocks, and blocks into windows.
        make : callable, (values, window) -> T
        row : int, default=0
            Where the data begin.

        Returns
        -------
        list of T
        """
        windows = (frame.window() for frame in frames(self.offsets, cut, row))
        weighed = (self._weighed(w, row) for w in windows if w is not None)
        return [make(self.values[w.low : w.high], w) for w in weighed]

    def _weighed(self, window: Window, row: int) -> Window:
        """The window with the weights of the sequences that its blocks are of."""
        if self.weight is None:
            return window
        start = window.row - row + window.blocks.start
        return window._replace(
            weight=self.weight[np.searchsorted(self.offsets, start, side="right") - 1]
        )

    def in_copies(self) -> Sequences:
        """Sequences without weights, each as often as it counts, rounded.

        Fractions are carried on to the next sequence.  Where that would make fewer rows than there
        are, or more than twice as many and half a million, it makes as many.

        Returns
        -------
        Sequences
        """
        assert self.weight is not None
        n, largest = int(self.offsets[-1]), float(self.weight.max())
        share = self.weight / largest  # sums of weights themselves may overflow
        rows = float(share @ self.lengths)
        scale = largest if n / rows <= largest <= max(_MOST_COPIED, 2 * n) / rows else n / rows
        reached = np.round(np.cumsum(scale * share)).astype(np.int64)
        copies = np.diff(reached, prepend=0)
        return replace(self[np.repeat(np.arange(len(self)), copies)], weight=None)


def check_weight(weight: Any, m: int, name: str = "weight") -> NDArray[np.float64]:
    """Weights of m sequences as numbers; ValueError naming the argument."""
    try:
        found = np.array(weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    if found.shape != (m,):
        raise ValueError(
            f"{name} must hold one number for each of the {m} sequences of X; "
            f"got shape {found.shape}. (A table is one sequence, unless lengths cuts it.)"
        )
    bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if bad.size:
        raise ValueError(
            f"{name} must be finite and at least 0; entry {bad[0]} is {found[bad[0]]}."
        )
    return found


def whole_sequences(values: Any, window: Window) -> Sequences:
    """What a window holds, where its blocks follow each other and are whole sequences."""
    offsets = np.append(window.blocks.start, window.high - window.low)
    return Sequences(values, offsets, weight=window.weight)


def offsets_of(shape: tuple[int, ...], lengths: Any) -> np.ndarray:
    """Offsets of the sequences that an array holds.

    Parameters
    ----------
    shape : (n,) or (n, p) for a table, (m, t, p) for m sequences of t rows.
    lengths : array of int, shape (m,); None where a table is one sequence.

    Returns
    -------
    array of int64, shape (m + 1,)

    Raises
    ------
    ValueError
        If there are no rows, a length is below 1 or fractional, they do not sum to n, or they come
        with a 3-D array.
    """
    n = int(np.prod(shape[:2] if len(shape) == 3 else shape[:1]))
    if n == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={tuple(shape)}) while a minimum of 1 is "
            "required: X is empty."
        )
    if len(shape) == 3:
        if lengths is not None:
            raise ValueError("lengths goes with a table X, not with a 3-D array (m, t, p).")
        return np.arange(shape[0] + 1) * shape[1]
    if lengths is None:
        return np.array([0, n])
    raw = np.asarray(lengths)
    if raw.ndim != 1 or raw.size == 0 or raw.dtype.kind not in "iuf":
        raise ValueError(f"lengths must be a 1-D array of integers, got {lengths!r}.")
    if not np.isfinite(raw).all() or (raw != np.floor(raw)).any() or (raw < 1).any():
        bad = int(np.flatnonzero(~((raw >= 1) & (raw == np.floor(raw))))[0])
        raise ValueError(f"lengths must be whole numbers of at least 1; entry {bad} is {raw[bad]}.")
    total = int(raw.sum())
    if total != n:
        raise ValueError(f"lengths sum to {total} but X has {n} rows; they must cover X exactly.")
    return np.concatenate([[0], np.cumsum(raw, dtype=np.int64)])


def as_rows(x: Any, name: str) -> Any:
    """An array of 1 to 3 dimensions; arrays of any library pass, masked arrays stay masked.

    A data frame becomes an array, see `array_of_frame`.
    """
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix; sequences must be dense arrays.")
    if is_frame(x):
        x = array_of_frame(x)
    elif not hasattr(x, "__array_namespace__") or isinstance(x, np.ma.MaskedArray):
        try:
            x = np.asanyarray(x)
        except ValueError as error:
            raise ValueError(f"{name} does not form an array: {error}") from error
    if x.ndim not in (1, 2, 3):
        raise ValueError(f"{name} must have 1 to 3 dimensions, got shape {tuple(x.shape)}.")
    return x


def is_list_of_sequences(X: Any) -> bool:
    """Whether X holds one sequence after another (see `Sequences.from_input`)."""
    if isinstance(X, (list, tuple)):
        rows = all(isinstance(e, (list, tuple)) and len(e) == 1 for e in X)  # of a table
        return any(map(_is_nested if rows else _is_sequence, X))
    if isinstance(X, Sequences) or is_foreign(X) or is_stored(X):
        return False
    if len(getattr(X, "shape", ())) != 1 or not hasattr(X, "__iter__"):
        return False
    return _is_sequence(next((entry for entry in X if entry is not None), None))


def _is_sequence(entry: Any) -> bool:
    return isinstance(entry, (list, tuple)) or len(getattr(entry, "shape", ())) > 0


def _is_nested(entry: Any) -> bool:
    return _is_sequence(entry[0])


def _index(key: Any) -> np.ndarray:
    """An index array; an empty list would otherwise become float."""
    return np.asarray(key, dtype=np.intp if np.size(key) == 0 else None)
