"""Statistics on a GPU: the runner moves the chunk, and the statistic follows its chunk."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache, reduce
from typing import Any, TypeVar

import array_api_compat
import numpy as np

from spectral_nn.arrays import (
    Array,
    from_numpy,
    get_namespace,
    is_foreign,
    to_numpy,
    where_it_lives,
)
from spectral_nn.runners.base import CHUNK_ROWS, Runner, SerialRunner
from spectral_nn.runners.parts import load
from spectral_nn.runners.transfer import map_arrays, move, size, to_host, widened

__all__ = ["Device", "DeviceRunner", "evaluate_on", "open_device", "runner_like"]

T = TypeVar("T")

_HALVINGS = 12
_SHARE = 0.6  # of the free memory that data may fill; the rest is for what statistics need


class Device:
    """Where an array of any library is.

    Attributes
    ----------
    name : str
        For messages.
    out_of_memory : tuple of exception types
        Those that say so.
    """

    out_of_memory: tuple[type[BaseException], ...] = (MemoryError,)

    def __init__(self, like: Array) -> None:
        self.name = where_it_lives(like)
        # A whole number has no say in the precision of what is put beside it.
        xp = get_namespace(like)
        self._like = xp.zeros(1, dtype=xp.int64, device=array_api_compat.device(like))

    def put(self, x: np.ndarray) -> Array:
        """Copy an array over."""
        return from_numpy(x, like=self._like)

    def current(self) -> AbstractContextManager[Any]:
        """Make the device the current one."""
        return nullcontext()

    def free(self) -> None:
        """Give cached memory back."""

    def room(self) -> int | None:
        """Bytes free, None if nobody knows."""
        return None


class _Cuda(Device):
    """One GPU, through CuPy."""

    def __init__(self, cupy: Any, index: int) -> None:
        self._cupy, self._gpu = cupy, cupy.cuda.Device(index)
        self.out_of_memory = (cupy.cuda.memory.OutOfMemoryError,)
        with self._gpu:
            super().__init__(cupy.zeros(1))

    def put(self, x: np.ndarray) -> Array:
        with self._gpu:
            return super().put(x)

    def current(self) -> AbstractContextManager[Any]:
        return self._gpu

    def free(self) -> None:
        with self._gpu:
            self._cupy.get_default_memory_pool().free_all_blocks()

    def room(self) -> int:
        """Bytes that the driver or CuPy's pool has free, within the pool's limit."""
        with self._gpu:
            pool = self._cupy.get_default_memory_pool()
            room = self._gpu.mem_info[0] + pool.free_bytes()
            limit = pool.get_limit()
            return min(room, limit - pool.used_bytes()) if limit else room


class DeviceRunner(SerialRunner):
    """One device, driven by this process: a chunk goes there, its statistic is added up there.

    Notes
    -----
    A chunk that does not fit is cut in halves, and so are, beforehand, all later ones of its size.
    Single precision statistics are added up in double precision, where they are, and come back as
    NumPy arrays in the precision they had.
    """

    # Kernels take longer than their launches; a time step of lanes is one product.
    chunk_rows = 32 * CHUNK_ROWS
    chunk_tokens = 1 << 26

    def __init__(self, device: Device) -> None:
        self.device = device
        self._too_large = np.inf  # bytes of the smallest chunk that did not fit

    def total(self, statistic: Callable[..., T], chunks: Iterable[Any]) -> T:
        """Add up in order.

        Raises
        ------
        MemoryError
            If there is no room even for a small part of a chunk.
        """
        with self.device.current():
            found = (one for part in chunks for one in self._evaluated(statistic, load(part)))
            first = next(found)
            summed = reduce(operator.add, map(widened, found), widened(first))
            return to_host(summed, like=first)

    def place(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Copies on the device, if all of a list fit; else the parts as they are."""
        room = self.device.room()
        if room is None or not isinstance(parts, list):
            return parts
        left = _SHARE * room
        placed: list[Any] = []
        for part in parts:
            chunk = load(part)
            left -= size(chunk)
            if left < 0:
                return parts
            try:
                placed.append(move(chunk, self.device.put))
            except self.device.out_of_memory:
                return parts
        return placed

    def _evaluated(self, statistic: Callable[..., T], chunk: Any, halvings: int = 0) -> Iterator[T]:
        """Statistic of a chunk, or those of its parts where it does not fit."""
        if size(chunk) < self._too_large or not hasattr(chunk, "halves"):
            try:
                result = statistic(move(chunk, self.device.put))
            except self.device.out_of_memory:
                self._too_large = min(size(chunk), self._too_large)
            else:
                yield result
                return
        # Here the error has gone, and with it its traceback, which kept arrays alive.
        self.device.free()
        chunk = map_arrays(lambda x: to_numpy(x) if is_foreign(x) else x, chunk)
        halves = _halves(chunk) if halvings < _HALVINGS else ()
        if not halves:
            self._too_large = np.inf
            raise MemoryError(self._advice(chunk, halvings))
        for half in halves:
            yield from self._evaluated(statistic, half, halvings + 1)

    def _advice(self, chunk: Any, halvings: int) -> str:
        room = self.device.room()
        free = "" if room is None else f", {room:,} bytes of which are free,"
        return (
            f"The memory of {self.device.name}{free} is too small for this statistic of a chunk "
            f"of {size(chunk):,} bytes, which {halvings} halvings have left. Free memory of the "
            "device, fit a smaller model, or compute on the host with device=None."
        )


def evaluate_on(device: str, function: Callable[..., T], part: Any) -> T:
    """Call a function with a part on the device of this process, in halves if need be."""
    return _opened(device).total(function, [part])


def open_device(name: str) -> DeviceRunner:
    """Open a GPU.

    Parameters
    ----------
    name : str
        "cuda" for the current one, or "cuda:1".

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
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            "device='cuda' needs CuPy: pip install 'spectral-nn[cuda13]', or "
            f"'spectral-nn[cuda12]' for an older driver. ({error})"
        ) from error
    runtime = cupy.cuda.runtime
    try:
        count, reason = runtime.getDeviceCount(), ""
    except runtime.CUDARuntimeError as error:
        count, reason = 0, f" ({error})"
    if count == 0 or int(known[1] or 0) >= count:
        raise RuntimeError(
            f"device={name!r} asks for a GPU that is not there: CuPy {cupy.__version__} finds "
            f"{count} GPUs{reason}. Check the driver with nvidia-smi, or compute on the host with "
            "device=None."
        )
    return DeviceRunner(_Cuda(cupy, int(known[1] or runtime.getDevice())))


_opened = cache(open_device)


def runner_like(x: Array) -> Runner:
    """Return the runner that computes where an array of any library is.

    That is a `SerialRunner` for NumPy, else a `DeviceRunner` for the library and device of `x`.
    """
    if array_api_compat.is_numpy_array(x):
        return SerialRunner()
    if array_api_compat.is_cupy_array(x):
        return open_device(f"cuda:{x.device.id}")
    return DeviceRunner(Device(x))


def _halves(chunk: Any) -> tuple[Any, ...]:
    """Two smaller chunks, none if there are none."""
    if not hasattr(chunk, "halves"):
        return ()
    halves = chunk.halves()
    return halves if max(map(size, halves)) < size(chunk) else ()
