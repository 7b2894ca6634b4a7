"""The runner of one device, on devices of any machine: PyTorch's CPU, a strict one, a fake."""

import pickle
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.arrays import from_numpy, get_namespace
from spectral_nn.data import Sequences
from spectral_nn.runners import device as device_module
from spectral_nn.runners.base import SerialRunner, runner
from spectral_nn.runners.device import DeviceRunner, evaluate_on, open_device, runner_like
from spectral_nn.runners.parts import Part, mapped
from spectral_nn.runners.transfer import move, size


class Table(NamedTuple):
    """A chunk that can be cut, of dense or sparse rows."""

    X: Any
    names: Any
    step: int = 1

    def halves(self):
        middle = self.X.shape[0] // 2
        parts = (slice(0, middle), slice(middle, None))
        return tuple(Table(self.X[part, :], self.names, self.step) for part in parts)


class Whole(NamedTuple):
    """A chunk that cannot be cut."""

    X: Any


@dataclass(frozen=True, eq=False)
class Sums:
    rows: int
    first: Any
    second: tuple

    def __add__(self, other):
        second = tuple(a + b for a, b in zip(self.second, other.second, strict=True))
        return Sums(self.rows + other.rows, self.first + other.first, second)


def sums(table, power=1):
    xp = get_namespace(table.X)
    X = table.X**power
    return Sums(X.shape[0], xp.sum(X, axis=0), (X.T @ X,))


def shape(table):
    return [tuple(table.X.shape)]


def scaled(factor, table):
    return table._replace(X=factor * table.X)


def assert_equal(a, b, rtol=1e-12):
    assert a.rows == b.rows
    for x, y in [(a.first, b.first), *zip(a.second, b.second, strict=True)]:
        assert type(x) is np.ndarray
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=rtol)


def tables(rng, n=7, dtype=np.float64):
    names = np.array(["a", "b"], dtype=object)
    return [Table(rng.standard_normal((64, 3)).astype(dtype), names) for _ in range(n)]


@pytest.fixture(params=["torch", "array_api_strict", "array_api_strict device1"])
def like(request):
    library, _, device = request.param.partition(" ")
    xp = pytest.importorskip(library, reason=f"{library} is not installed")
    return xp.ones(2, device=xp.Device(device)) if device else xp.ones(2)


class NoRoom(Exception):
    """The fake device's own error."""


class Held:
    """An array on the fake device, which counts what it holds until it is gone."""

    def __init__(self, device, values):
        self.device, self.values = device, values
        device.used += values.nbytes
        if device.used > device.limit:
            raise NoRoom(f"{device.used} of {device.limit}")

    def __del__(self):
        self.device.used -= self.values.nbytes


@dataclass(eq=False)
class FakeDevice:
    """A device with little memory: what is put there, and `work` times as much to compute."""

    limit: int
    work: float = 1.0
    name = "fake:0"
    out_of_memory = (NoRoom,)

    def __post_init__(self):
        self.used, self.freed, self.largest = 0, 0, []

    def put(self, x):
        return Held(self, x)

    def current(self):
        return nullcontext()

    def free(self):
        self.freed += 1

    def room(self):
        return self.limit - self.used


def held_sums(table):
    """Sums of a table on the fake device, which take memory while they are computed."""
    held = table.X
    held.device.largest.append(held.values.nbytes)
    work = Held(held.device, np.zeros(int(held.device.work * held.values.nbytes), dtype=np.uint8))
    result = sums(table._replace(X=held.values))
    del work
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_totals_are_those_of_a_serial_run(like, rng, dtype):
    chunks = tables(rng, dtype=dtype)
    statistic = partial(sums, power=2)
    run, serial = runner_like(like), SerialRunner()
    expected = serial.total(statistic, chunks)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_equal(run.total(statistic, iter(chunks)), expected, rtol)
    assert_equal(run.total(statistic, chunks[:1]), serial.total(statistic, chunks[:1]), rtol)
    assert_equal(run.total(statistic, run.place(chunks)), expected, rtol)


def test_parts_are_loaded_where_their_chunk_is(like, rng):
    chunks = tables(rng)
    double = partial(scaled, 2.0)
    expected = SerialRunner().total(sums, mapped(double, chunks))
    run = runner_like(like)
    for parts in (chunks, run.place(chunks)):
        assert_equal(run.total(sums, mapped(double, parts)), expected)
        assert list(run.map(shape, mapped(double, parts))) == [[(64, 3)]] * 7


def test_single_precision_chunks_are_added_in_double_precision():
    torch = pytest.importorskip("torch")
    large = [Whole(np.full((1, 1), 2.0**24, np.float32))]
    ones = [Whole(np.ones((1, 1), np.float32)) for _ in range(1000)]
    summed = runner_like(torch.ones(1)).total(lambda c: Sums(1, c.X, ()), large + ones)
    assert summed.first.dtype == np.float32
    assert summed.first[0, 0] == 2**24 + 1000


def test_sparse_rows_are_moved_dense(like, rng):
    X = sparse.random_array((50, 4), density=0.2, rng=rng, format="csr")
    chunk = Table(X, None)
    expected = sums(chunk._replace(X=X.toarray()))
    assert size(chunk) == 50 * 4 * 8
    assert_equal(runner_like(like).total(sums, [chunk]), expected)


def test_what_is_no_array_of_numbers_stays(rng):
    names = np.array(["x"], dtype=object)
    sequences = Sequences(np.arange(3), np.array([0, 3]))
    part = (Table(np.ones((2, 1)), names), [np.zeros(1, dtype=np.int32), sequences], "text", None)
    put = []
    moved = move(part, lambda x: put.append(x.dtype) or x + 1)
    assert put == [np.float64, np.int32]
    assert moved[0].X[0, 0] == 2
    assert moved[0].names is names
    assert moved[1][1] is sequences
    assert moved[2:] == ("text", None)


def test_arrays_there_already_are_not_moved(like, rng):
    chunks = tables(rng)
    anchor = get_namespace(like).astype(like, get_namespace(like).int64)
    there = [Table(from_numpy(chunk.X, like=anchor), None) for chunk in chunks]
    assert_equal(runner_like(like).total(sums, there), SerialRunner().total(sums, chunks))


def test_one_chunk_at_a_time_is_there(rng):
    chunks = tables(rng)
    device = FakeDevice(chunks[0].X.nbytes, work=0)
    assert_equal(DeviceRunner(device).total(held_sums, chunks), SerialRunner().total(sums, chunks))
    assert set(device.largest) == {chunks[0].X.nbytes}
    assert device.used == 0


@pytest.mark.parametrize("work", [1, 4, 30])
def test_chunks_are_halved_until_they_fit(rng, work):
    chunks = tables(rng)
    nbytes = chunks[0].X.nbytes
    device = FakeDevice(int(1.4 * nbytes), work)
    run = DeviceRunner(device)
    expected = SerialRunner().total(sums, chunks)
    assert_equal(run.total(held_sums, chunks), expected)
    assert device.used == 0
    # What is known not to fit is not tried again.
    device.largest.clear()
    assert_equal(run.total(held_sums, chunks), expected)
    assert max(device.largest) < nbytes


def test_no_room_at_all_is_a_clear_error(rng):
    device = FakeDevice(2000, work=10**6)
    with pytest.raises(MemoryError, match=r"fake:0, [\d,]+ bytes.*24 bytes.*device=None"):
        DeviceRunner(device).total(held_sums, tables(rng))
    device = FakeDevice(2000, work=10**6)
    with pytest.raises(MemoryError, match="0 halvings"):
        DeviceRunner(device).total(held_sums, [Whole(np.ones((8, 3)))])


def test_place_keeps_what_fits_and_streams_the_rest(rng):
    chunks = tables(rng)
    nbytes = sum(chunk.X.nbytes for chunk in chunks)
    expected = SerialRunner().total(sums, chunks)
    for limit, there in ((2 * nbytes, True), (1.5 * nbytes, False)):
        device = FakeDevice(int(limit), work=0)
        run = DeviceRunner(device)
        parts = run.place(chunks)
        assert (parts is not chunks) == there
        assert device.used == (nbytes if there else 0)
        for _ in range(2):
            assert_equal(run.total(held_sums, parts), expected)
        assert device.used == (nbytes if there else 0)
    walked = (chunk for chunk in chunks)
    assert DeviceRunner(FakeDevice(10**9)).place(walked) is walked


def test_errors_of_chunks_and_statistics_are_passed_on(rng):
    def broken():
        yield from tables(rng, 2)
        raise OSError("chunk 2 is not there")

    run = DeviceRunner(FakeDevice(10**9))
    with pytest.raises(OSError, match="chunk 2"):
        run.total(held_sums, broken())
    with pytest.raises(ZeroDivisionError):
        run.total(lambda _: 1 / 0, tables(rng))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "torch", ""])
def test_a_name_that_is_no_device(name):
    with pytest.raises(ValueError, match="device="):
        open_device(name)


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"pip install 'spectral-nn\[cuda13\]'.*cuda12"):
        open_device("cuda")
    with pytest.raises(ImportError), runner(device="cuda:1"):
        pass


class _Runtime:
    """CuPy's `cuda.runtime`, on a machine with so many GPUs."""

    class CUDARuntimeError(RuntimeError):
        pass

    def __init__(self, count):
        self._count = count

    def getDeviceCount(self):
        if self._count is None:
            raise self.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return self._count


@pytest.mark.parametrize(
    ("count", "name", "said"),
    [
        (None, "cuda", "0 GPUs.*cudaErrorNoDevice.*device=None"),
        (0, "cuda:0", "0 GPUs"),
        (2, "cuda:2", "'cuda:2'.*2 GPUs"),
    ],
)
def test_without_the_gpu_the_error_says_what_is_there(monkeypatch, count, name, said):
    cupy = type(sys)("cupy")
    cupy.__version__ = "14.0"
    cupy.cuda = type(sys)("cupy.cuda")
    cupy.cuda.runtime = _Runtime(count)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(RuntimeError, match=said):
        open_device(name)


def test_runner_like_keeps_the_precision_of_what_is_put(like, rng):
    assert isinstance(runner_like(np.ones(2)), SerialRunner)
    run = runner_like(get_namespace(like).astype(like, get_namespace(like).float32))
    single = run.total(sums, tables(rng, dtype=np.float32))
    assert (single.first.dtype, run.total(sums, tables(rng)).first.dtype) == ("float32", "float64")


def test_a_function_on_a_device_travels_and_opens_the_device_there(monkeypatch, rng):
    chunk = tables(rng)[0]
    call = pickle.loads(pickle.dumps(partial(evaluate_on, "cuda:3", held_sums)))
    opened = []

    def opening(name):
        opened.append(name)
        return DeviceRunner(FakeDevice(10**9))

    monkeypatch.setattr(device_module, "_opened", opening)
    assert_equal(call(chunk), sums(chunk))
    assert opened == ["cuda:3"]
    assert_equal(call(Part(chunk).map(partial(scaled, 2.0))), sums(scaled(2.0, chunk)))
