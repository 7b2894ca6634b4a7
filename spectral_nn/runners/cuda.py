"""CUDA through CuPy: copies through pinned memory on a stream of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from threading import Lock
from typing import Any

import numpy as np

from spectral_nn.arrays import Array

__all__ = ["CudaDevice", "open_cuda"]

_STAGED = 1 << 26  # bytes of each of the two pinned buffers
_COPIERS = 4  # threads that fill a buffer: one is slower than the bus


class CudaDevice:
    """One GPU, see `spectral_nn.runners.device.Device`.

    Parameters
    ----------
    cupy : the module.
    index : number of the GPU.

    Notes
    -----
    Arrays are copied by pieces: while one pinned buffer travels, the host fills the other.  The
    arrays made here belong to the copy stream's memory; they may be used on any other once
    `copying` has ended, and their memory may be used again once they are gone and `computing` has
    ended, as both wait for their stream.
    """

    def __init__(self, cupy: Any, index: int) -> None:
        from cupyx import empty_pinned

        self._cupy = cupy
        self._device = cupy.cuda.Device(index)
        self.out_of_memory: tuple[type[BaseException], ...] = (cupy.cuda.memory.OutOfMemoryError,)
        properties = cupy.cuda.runtime.getDeviceProperties(index)
        self.name = f"cuda:{index} ({properties['name'].decode()})"
        with self._device:
            # Work on the default stream must not wait for copies, as it does for other streams.
            self._stream = cupy.cuda.Stream(non_blocking=True)
            self._buffers = cycle(
                [
                    (empty_pinned(_STAGED, np.uint8), cupy.cuda.Event(disable_timing=True))
                    for _ in range(2)
                ]
            )
        self._copiers = ThreadPoolExecutor(_COPIERS, "staging")
        self._lock = Lock()

    @contextmanager
    def copying(self) -> Iterator[Callable[[np.ndarray], Array]]:
        """Copy on the copy stream, and wait for it."""
        with self._lock, self._device, self._stream:
            try:
                yield self._put
            finally:
                self._stream.synchronize()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute on the current stream, and wait for it."""
        with self._device:
            try:
                yield
            finally:
                self._cupy.cuda.get_current_stream().synchronize()

    def free(self) -> None:
        """Give the blocks that CuPy's pool keeps back to the driver."""
        with self._device:
            self._cupy.get_default_memory_pool().free_all_blocks()

    def room(self) -> int:
        """Bytes that the driver or CuPy's pool has free, within the pool's limit."""
        with self._device:
            pool = self._cupy.get_default_memory_pool()
            room = self._device.mem_info[0] + pool.free_bytes()
            limit = pool.get_limit()
            return min(room, limit - pool.used_bytes()) if limit else room

    def _put(self, x: np.ndarray) -> Array:
        """Copy of an array, under way on the copy stream."""
        x = np.asarray(x, order="C")
        there = self._cupy.empty(x.shape, x.dtype)
        if not x.size:
            return there
        source, target = x.reshape(-1).view(np.uint8), there.reshape(-1).view(np.uint8)
        for begin in range(0, source.size, _STAGED):
            piece = source[begin : begin + _STAGED]
            memory, left = next(self._buffers)
            left.synchronize()  # what it held before is on the device
            staged = memory[: piece.size]
            slices = (np.array_split(part, _COPIERS) for part in (staged, piece))
            list(self._copiers.map(np.copyto, *slices))
            target[begin : begin + piece.size].set(staged, self._stream)
            left.record(self._stream)
        return there


def open_cuda(index: int | None) -> CudaDevice:
    """Open a GPU.

    Parameters
    ----------
    index : its number, None for the current one.

    Raises
    ------
    ImportError
        If CuPy is not installed, or cannot be loaded.
    RuntimeError
        If there is no driver, or no GPU of this number.
    """
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
    if count == 0 or (index is not None and index >= count):
        asked = "cuda" if index is None else f"cuda:{index}"
        raise RuntimeError(
            f"device={asked!r} asks for a GPU that is not there: CuPy {cupy.__version__} finds "
            f"{count} GPUs{reason}. Check the driver with nvidia-smi, or compute on the host with "
            "device=None."
        )
    return CudaDevice(cupy, runtime.getDevice() if index is None else index)
