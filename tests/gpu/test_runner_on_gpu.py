"""The device runner and the core's functions on a GPU."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from spectral_nn.arrays import (
    add_at,
    clip,
    erf,
    from_numpy,
    get_namespace,
    require_one_device,
    to_numpy,
    where_it_lives,
)
from spectral_nn.data import Sequences
from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_hmm
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.expectation_on import expect_on
from spectral_nn.models.chains.lanes import lane_batches
from spectral_nn.moments.frame import Frame, column_moments, input_moments
from spectral_nn.runners.base import SerialRunner
from spectral_nn.runners.device import DeviceRunner, evaluate_on, open_device, runner_like


def chunks(rng, n=8, rows=50_000, d=50, dtype=np.float64):
    return [
        Rows(
            rng.standard_normal((rows, d)).astype(dtype),
            rng.standard_normal((rows, 1)).astype(dtype),
            rng.uniform(0.5, 2, rows).astype(dtype),
        )
        for _ in range(n)
    ]


def gram(rows):
    return (rows.X * rows.weight[:, None]).T @ rows.X


def lanes(rng, n=200_000, d=40):
    parameters = planted_hmm(7, d, rng=rng)
    codes = rng.integers(0, d + 1, n).astype(np.int32)
    offsets = np.concatenate([[0], np.sort(rng.choice(n, 50, replace=False)), [n]])
    return parameters, lane_batches(Sequences(codes, np.unique(offsets)), 200, 24, d)


def assert_same(a, b, rtol):
    for name, value in vars(b).items():
        np.testing.assert_allclose(getattr(a, name), value, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_totals_are_those_of_a_serial_run(rng, dtype, rtol):
    data = chunks(rng, dtype=dtype)
    expected = SerialRunner().total(gram, data)
    run = open_device("cuda")
    scale = np.abs(expected).max()
    placed = run.place(data)
    assert placed is not data
    for parts in (data, iter(data), placed):
        found = run.total(gram, parts)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)


def test_moments_of_rows(rng):
    data = chunks(rng)
    run = open_device("cuda")
    columns = SerialRunner().total(column_moments, data)
    assert_same(run.total(column_moments, data), columns, 1e-8)
    statistic = partial(input_moments, columns=columns)
    expected, found = (r.total(statistic, data) for r in (SerialRunner(), run))
    assert_same(found, expected, 1e-8)
    assert Frame.standard(columns, 50).whitened(found).n_dimensions == 50


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("d", [40, 500])
def test_lanes(rng, dtype, rtol, d):
    parameters, batches = lanes(rng, d=d)
    expected = expect_lanes(parameters, batches, dtype=np.float64)
    statistic = partial(expect_on, parameters, dtype=dtype)
    assert_same(open_device("cuda").total(statistic, [batches]), expected, rtol)


def test_arrays_on_the_device_are_computed_on_there(cupy, rng):
    parameters, batches = lanes(rng)
    there = replace(batches, symbols=cupy.asarray(batches.symbols))
    expected = expect_lanes(parameters, batches, dtype=np.float64)
    assert_same(expect_on(parameters, there, dtype=np.float64), expected, 1e-10)
    run = runner_like(there.symbols)
    assert isinstance(run, DeviceRunner)
    assert_same(
        run.total(partial(expect_on, parameters, dtype=np.float64), [there]), expected, 1e-10
    )


def test_chunks_that_do_not_fit_are_halved(cupy, rng):
    data = chunks(rng, n=4, rows=200_000)
    expected = SerialRunner().total(gram, data)
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=int(1.2 * data[0].X.nbytes))
    run = open_device("cuda")
    for _ in range(2):
        found = run.total(gram, data)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-6)
    assert run.place(data) is data


def test_no_room_at_all_is_a_clear_error(cupy, rng):
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=1 << 12)
    with pytest.raises(MemoryError, match=r"cuda:0.*device=None"):
        open_device("cuda").total(gram, chunks(rng, n=1, d=2000, rows=2000))


def test_functions_of_a_worker_open_the_device_there(rng):
    data = chunks(rng, n=1)
    np.testing.assert_allclose(
        evaluate_on("cuda:0", gram, data[0]), gram(data[0]), rtol=1e-10, atol=1e-6
    )


def test_a_gpu_that_is_not_there(cupy):
    count = cupy.cuda.runtime.getDeviceCount()
    with pytest.raises(RuntimeError, match=f"finds {count} GPUs"):
        open_device(f"cuda:{count}")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_to_the_device_and_back(cupy, rng, dtype):
    x = (10 * rng.standard_normal((30, 4))).astype(dtype)
    there = from_numpy(x[::-1], like=cupy.ones(1, dtype=np.int64))
    assert (there.dtype, type(there)) == (dtype, cupy.ndarray)
    np.testing.assert_array_equal(to_numpy(there), x[::-1])
    assert where_it_lives(there) == "cupy on cuda:0"


def test_what_the_standard_lacks(cupy, rng):
    x = rng.standard_normal((100, 3))
    index = rng.integers(0, 5, 100)
    there = cupy.asarray(x)
    np.testing.assert_allclose(to_numpy(erf(there)), erf(x), rtol=1e-12)
    np.testing.assert_array_equal(to_numpy(clip(there, -1, high=0.5)), clip(x, -1, 0.5))
    table = add_at(cupy.zeros((5, 3)), cupy.asarray(index), there)
    np.testing.assert_allclose(to_numpy(table), add_at(np.zeros((5, 3)), index, x), rtol=1e-12)
    single = add_at(cupy.zeros((5, 3)), cupy.asarray(index), there.astype("float32"))
    assert single.dtype == get_namespace(there).float64
    with pytest.raises(ValueError, match="X is an array of cupy on cuda:0, but y of numpy"):
        require_one_device(X=there, y=x)
