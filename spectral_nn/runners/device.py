"""Statistics on a GPU: the runner moves the chunk, and the statistic follows its chunk.

While one chunk is computed on, a thread loads the next one and copies it to the device.  A chunk
that does not fit is cut in halves, and so are, beforehand, all later ones of its size.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial, reduce
from typing import Any, Protocol, TypeVar

import array_api_compat
import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace, where_it_lives
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.runners.parts import derived, evaluate, load
from spectral_nn.runners.transfer import move, precisions, size, to_host, widened

__all__ = ["Device", "DeviceRunner", "OnDevice", "open_device", "runner_like"]

T = TypeVar("T")

_BULK = 32  # times 16,384 rows: kernels take longer than their launches
_HALVINGS = 12
_SHARE = 0.6  # of the free memory that data may fill; the rest is for what statistics need


class Device(Protocol):
    """What a `DeviceRunner` asks of a device.

    Attributes
    ----------
    name : for messages.
    out_of_memory : exceptions that say so.
    """

    name: str
    out_of_memory: tuple[type[BaseException], ...]

    def copying(self) -> AbstractContextManager[Callable[[np.ndarray], Array]]:
        """Give a function that copies an array over; the copies have arrived after the block."""

    def computing(self) -> AbstractContextManager[Any]:
        """Make the device the current one; all is computed after the block."""

    def free(self) -> None:
        """Give cached memory back."""

    def room(self) -> int | None:
        """Bytes free, None if nobody knows."""


class DeviceRunner:
    """One device, driven by this process.

    Parameters
    ----------
    device : the device.

    Notes
    -----
    Single precision statistics are added up in double precision, where they are, and come back as
    NumPy arrays in the precision they had.
    """

    bulk = _BULK

    def __init__(self, device: Device) -> None:
        self._device = device
        self._too_large: int | None = None  # bytes of the smallest chunk that did not fit

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Apply the function to one item after another, on the host."""
        return (evaluate(function, _on_host(item)) for item in items)

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in order, the next chunk on its way while one is computed on.

        Raises
        ------
        MemoryError
            If there is no room even for a small part of a chunk.
        """
        with self._device.computing():
            statistics = self._statistics(statistic, chunks)
            first = next(statistics)
            summed = reduce(operator.add, map(widened, statistics), widened(first))
            return to_host(summed, precisions(first))

    def derive(self, function: Callable[..., Any], parts: Iterable[Any]) -> Iterable[Any]:
        """Put the function in front of each part; it is called on the host."""
        known = [_on_host(part) for part in parts] if isinstance(parts, list) else parts
        return derived(function, known)

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Parts with copies on the device if all of a list fit; else the parts as they are."""
        room = self._device.room()
        if room is None or not isinstance(parts, list):
            return parts
        left = _SHARE * room
        placed: list[Any] = []
        for part in parts:
            chunk = load(part)
            left -= size(chunk)
            there = self._copied(chunk) if left >= 0 else None
            if there is None:
                return parts
            placed.append(_Sent(part, there))
        return placed

    def _statistics(self, statistic: Callable[..., T], parts: Iterable[Any]) -> Iterator[T]:
        """Statistic of every piece, in order, where it leaves them."""
        pieces = self._pieces(parts)
        with ThreadPoolExecutor(1, "copies") as pool:
            ahead = pool.submit(self._next, pieces)
            # The piece before goes, and gives its memory back, before another one is copied.
            while (sent := ahead.result()) is not None:
                ahead = pool.submit(self._next, pieces)
                yield from self._evaluated(statistic, sent)

    def _pieces(self, parts: Iterable[Any]) -> Iterator[_Sent]:
        """Parts with a copy, and the others cut to less than what did not fit."""
        for part in parts:
            if isinstance(part, _Sent) and part.there is not None:
                yield part
            else:
                yield from map(_Sent, self._cut(load(_on_host(part))))

    def _cut(self, chunk: Any) -> Iterator[Any]:
        large = self._too_large is not None and size(chunk) >= self._too_large
        halves = _halves(chunk) if large else None
        if halves is None:
            yield chunk
        else:
            for half in halves:
                yield from self._cut(half)

    def _next(self, pieces: Iterator[_Sent]) -> _Sent | None:
        """The next piece, with a copy if there is room beside what is computed on."""
        sent = next(pieces, None)
        if sent is None or sent.there is not None:
            return sent
        return _Sent(sent.part, self._copied(sent.part))

    def _copied(self, chunk: Any) -> Any:
        """Copy of a chunk on the device; None if there is no room."""
        try:
            with self._device.copying() as put:
                return move(chunk, put)
        except self._device.out_of_memory:
            self._note(chunk)
            return None

    def _evaluated(
        self, statistic: Callable[..., T], sent: _Sent, halvings: int = 0
    ) -> Iterator[T]:
        """Statistic of a piece, or those of its parts where it does not fit."""
        if sent.there is None:
            self._device.free()
            sent.there = self._copied(load(sent.part))
        if sent.there is not None:
            try:
                with self._device.computing():
                    result = statistic(sent.there)
            except self._device.out_of_memory:
                self._note(load(sent.part))
            else:
                yield result
                return
        # Here the error has gone, and with it its traceback, which kept arrays alive.
        sent.there = None
        self._device.free()
        chunk = load(sent.part)
        halves = _halves(chunk) if halvings < _HALVINGS else None
        if halves is None:
            raise MemoryError(self._advice(chunk, halvings))
        for half in halves:
            yield from self._evaluated(statistic, _Sent(half), halvings + 1)

    def _note(self, chunk: Any) -> None:
        """Remember that a chunk did not fit."""
        self._too_large = min(size(chunk), self._too_large or size(chunk))

    def _advice(self, chunk: Any, halvings: int) -> str:
        room = self._device.room()
        free = "" if room is None else f", {room:,} bytes of which are free,"
        return (
            f"The memory of {self._device.name}{free} is too small for this statistic of a chunk "
            f"of {size(chunk):,} bytes, which {halvings} halvings have left. Free memory of the "
            "device, fit a smaller model, or compute on the host with device=None."
        )


@dataclass(eq=False)
class _Sent:
    """A part, and its copy on the device; None where there is none."""

    part: Any
    there: Any = None


class OnDevice:
    """A function of parts on the device of whoever calls it, such as a worker of a cluster.

    Parameters
    ----------
    function : picklable; called with a chunk on the device.
    device : "cuda" or "cuda:1".
    """

    def __init__(self, function: Callable[..., Any], device: str) -> None:
        self._function, self._device = function, device

    def __call__(self, part: Any) -> Any:
        """Load, move and evaluate, in halves if need be; results come back as NumPy arrays."""
        return _opened(self._device).total(self._function, [part])


def open_device(name: str) -> DeviceRunner:
    """Open a GPU.

    Parameters
    ----------
    name : "cuda" for the current one, or "cuda:1".

    Raises
    ------
    ValueError
        If there is no such kind of device.
    ImportError
        If CuPy is not installed.
    RuntimeError
        If there is no driver, or no GPU of this number.
    """
    known = re.fullmatch(r"cuda(?::(\d+))?", name)
    if known is None:
        raise ValueError(
            f"device={name!r} is no device: give 'cuda', 'cuda:1' (or another number), or None to "
            "compute on the host."
        )
    from spectral_nn.runners.cuda import open_cuda

    return DeviceRunner(open_cuda(None if known[1] is None else int(known[1])))


_opened = cache(open_device)


def runner_like(x: Array) -> Runner:
    """Runner that computes where an array is.

    Parameters
    ----------
    x : array of any library.

    Returns
    -------
    Runner
        A `SerialRunner` for NumPy, else a `DeviceRunner` for the library and device of `x`.
    """
    if array_api_compat.is_numpy_array(x):
        return SerialRunner()
    if array_api_compat.is_cupy_array(x):
        return open_device(f"cuda:{x.device.id}")
    return DeviceRunner(_Beside(x))


class _Beside:
    """Where an array is, for libraries that need no more care than that."""

    out_of_memory: tuple[type[BaseException], ...] = (MemoryError,)

    def __init__(self, x: Array) -> None:
        self.name = where_it_lives(x)
        # A whole number has no say in the precision of what is put beside it.
        xp = get_namespace(x)
        self._like = xp.zeros(1, dtype=xp.int64, device=array_api_compat.device(x))

    @contextmanager
    def copying(self) -> Iterator[Callable[[np.ndarray], Array]]:
        """Copies are made at once."""
        yield partial(from_numpy, like=self._like)

    def computing(self) -> AbstractContextManager[Any]:
        """Nothing to prepare."""
        return nullcontext()

    def free(self) -> None:
        """Nothing is cached."""

    def room(self) -> int | None:
        """Not known."""


def _on_host(part: Any) -> Any:
    """The part itself, of one that may have a copy on the device."""
    return part.part if isinstance(part, _Sent) else part


def _halves(chunk: Any) -> tuple[Any, Any] | None:
    """Two smaller chunks, None if there are none."""
    if not hasattr(chunk, "halves"):
        return None
    halves = chunk.halves()
    return halves if max(map(size, halves)) < size(chunk) else None
