"""The CUDA device on a stand-in for CuPy, whose copies happen as late as a stream allows."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from spectral_nn.runners import cuda
from spectral_nn.runners.base import SerialRunner, total
from spectral_nn.runners.device import open_device


class There(np.ndarray):
    """An array on the device: copies to it wait in the stream."""

    def set(self, source, stream):
        stream.queue.append((self, source))


class Stream:
    def __init__(self, non_blocking=False):
        assert non_blocking
        self.queue, self.entered = [], 0

    def __enter__(self):
        self.entered += 1

    def __exit__(self, *_):
        self.entered -= 1

    def synchronize(self):
        self.run(len(self.queue))

    def run(self, n):
        for target, source in self.queue[:n]:
            target[...] = source
        del self.queue[:n]


class Event:
    def __init__(self, disable_timing=False):
        self.waits = lambda: None

    def record(self, stream):
        last = stream.queue[-1] if stream.queue else None

        def wait():
            queue = [entry is last for entry in stream.queue]
            stream.run(queue.index(True) + 1 if True in queue else 0)

        self.waits = wait

    def synchronize(self):
        self.waits()


class Pool:
    def __init__(self):
        self.limit, self.freed = 0, 0

    def free_all_blocks(self):
        self.freed += 1

    def free_bytes(self):
        return 7

    def used_bytes(self):
        return 100

    def get_limit(self):
        return self.limit


class NoMemory(MemoryError):
    pass


@pytest.fixture
def cupy(monkeypatch):
    """The names of CuPy that are used, on NumPy."""
    current, pool = [0], Pool()

    class Device:
        def __init__(self, index):
            self.id, self.mem_info = index, (1000, 2000)

        def __enter__(self):
            current.append(self.id)

        def __exit__(self, *_):
            current.pop()

    def empty(shape, dtype):
        assert current[-1] == 1
        if np.prod(shape) > 10**6:
            raise NoMemory
        return np.full(shape, 77, dtype).view(There)

    module = ModuleType("cupy")
    module.__version__ = "14.0"
    module.empty, module.pool, module.current = empty, pool, current
    module.ndarray = type("ndarray", (), {})
    module.get_default_memory_pool = lambda: pool
    module.cuda = SimpleNamespace(
        Device=Device,
        Stream=Stream,
        Event=Event,
        get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
        memory=SimpleNamespace(OutOfMemoryError=NoMemory),
        runtime=SimpleNamespace(
            CUDARuntimeError=RuntimeError,
            getDeviceCount=lambda: 2,
            getDevice=lambda: 1,
            getDeviceProperties=lambda index: {"name": b"Stand-in"},
        ),
    )
    extra = ModuleType("cupyx")
    extra.empty_pinned = np.empty
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "cupyx", extra)
    monkeypatch.setattr(cuda, "_STAGED", 64)
    return module


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_totals_through_small_pinned_buffers(cupy, rng, name):
    chunks = [rng.standard_normal((n, 3)) for n in (1, 50, 7, 64)]
    run = open_device(name)
    gram = total(run, lambda x: x.T @ x, chunks)
    np.testing.assert_allclose(gram, total(SerialRunner(), lambda x: x.T @ x, chunks), rtol=1e-12)
    assert cupy.current == [0]


@pytest.mark.parametrize(
    "x",
    [
        np.arange(1000, dtype=np.int32),
        np.asfortranarray(np.arange(300.0).reshape(20, 15)),
        np.arange(100)[::-3],
        np.ones((0, 4)),
        np.array(3.5),
        np.arange(130) % 3 == 0,
    ],
)
def test_copies_are_complete_after_the_block(cupy, x):
    device = cuda.open_cuda(1)
    with device.copying() as put:
        first, second = put(x), put(x)
        assert device._stream.entered == 1
    for there in (first, second):
        assert (there.dtype, there.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(there, x)
    assert device._stream.entered == 0


def test_a_failed_copy_waits_for_those_under_way(cupy):
    device = cuda.open_cuda(1)
    there = []

    def copy(*sizes):
        with device.copying() as put:
            there.extend(put(np.ones(size)) for size in sizes)

    with pytest.raises(device.out_of_memory):
        copy(20, 10**6 + 1)
    np.testing.assert_array_equal(there[0], 1)
    assert cupy.current == [0]
    assert not device._lock.locked()


def test_room_is_what_driver_and_pool_leave(cupy):
    device = cuda.open_cuda(1)
    assert device.room() == 1007
    cupy.pool.limit = 150
    assert device.room() == 50
    device.free()
    assert cupy.pool.freed == 1
    assert device.name == "cuda:1 (Stand-in)"
