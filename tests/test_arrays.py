import pickle

import numpy as np
import pytest

from spectral_nn.arrays import (
    add_at,
    clip,
    from_numpy,
    fused,
    get_namespace,
    require_one_device,
    to_numpy,
    where_it_lives,
)
from spectral_nn.results import Factors


def test_namespace_comes_from_the_arrays(xp):
    x = xp.asarray([1.0, 2.0])
    found = get_namespace(x, None, 3.0, xp.asarray([1]))
    assert float(found.sum(x)) == 3.0
    assert type(found.ones(2)) is type(x)


def test_a_list_is_no_array():
    with pytest.raises(TypeError):
        get_namespace([1.0, 2.0])


def test_arrays_of_two_libraries_are_refused():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError):
        get_namespace(np.ones(2), strict.ones(2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool", "complex128"])
def test_round_trip_keeps_values_and_dtype(xp, dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    like = xp.asarray(x)
    there = from_numpy(x, like=like)
    assert type(there) is type(like)
    back = to_numpy(there)
    assert type(back) is np.ndarray
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


def test_floating_numbers_take_the_precision_of_like(xp):
    single = xp.asarray([1.0], dtype=xp.float32)
    assert from_numpy(np.ones(2), like=single).dtype == xp.float32
    assert from_numpy(np.ones(2), like=xp.asarray([1])).dtype == xp.float64
    assert from_numpy(np.ones(2, dtype=np.int32), like=single).dtype == xp.int32


@pytest.mark.filterwarnings("error")
def test_reversed_and_read_only_memory_is_taken(xp):
    x = np.arange(4.0)
    x.flags.writeable = False
    np.testing.assert_array_equal(to_numpy(from_numpy(x[::-1], like=xp.ones(1))), [3, 2, 1, 0])


def test_gradients_and_lazy_conjugates_are_resolved():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(to_numpy(torch.ones(2, requires_grad=True)), [1, 1])
    np.testing.assert_array_equal(to_numpy(torch.tensor([1 + 2j]).conj()), [1 - 2j])


def test_another_device_than_the_default_one():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    x = strict.asarray([1.0, 2.0], device=device)
    np.testing.assert_array_equal(to_numpy(x), [1, 2])
    assert from_numpy(np.ones(3), like=x).device == device


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_added_as_often_as_the_index_says(xp, rng, dtype):
    index, rows = rng.integers(0, 4, 50), rng.standard_normal((50, 3)).astype(dtype)
    expected = np.ones((5, 3))
    np.add.at(expected, index, rows)
    table = add_at(xp.ones((5, 3), dtype=xp.float64), xp.asarray(index), xp.asarray(rows))
    assert table.dtype == xp.float64
    np.testing.assert_allclose(to_numpy(table), expected, rtol=1e-12)


def test_rows_are_added_on_another_device_than_the_default_one():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    index = strict.asarray([1, 0, 1], device=device)
    table = add_at(strict.zeros((2, 1), device=device), index, strict.ones((3, 1), device=device))
    assert table.device == device
    np.testing.assert_array_equal(to_numpy(table), [[1], [2]])


def test_a_fused_function_is_the_function(xp):
    def far(x, mean):
        return clip((x - mean) * 2, -1.0, 1.0)

    x, mean = xp.asarray([[0.0, 1.0], [2.0, 3.0]], dtype=xp.float32), xp.asarray(1.25)
    found = fused(far)(x, xp.astype(mean, xp.float32))
    assert found.dtype == xp.float32
    np.testing.assert_array_equal(to_numpy(found), [[-1, -0.5], [1, 1]])


def test_clip_keeps_dtype_and_nan(xp):
    x = xp.asarray([-2.0, 0.5, 3.0, float("nan")], dtype=xp.float32)
    assert clip(x, -1, 1).dtype == xp.float32
    np.testing.assert_array_equal(to_numpy(clip(x, -1, 1)), [-1, 0.5, 1, np.nan])
    np.testing.assert_array_equal(to_numpy(clip(x, high=1.0)), [-2, 0.5, 1, np.nan])


def test_arrays_of_one_device_are_accepted(xp):
    x = xp.ones(3)
    assert where_it_lives(x).endswith(" on cpu") or "CPU_DEVICE" in where_it_lives(x)
    require_one_device(X=x, y=xp.zeros(3), sample_weight=None)
    require_one_device()


def test_arrays_of_several_libraries_or_devices_are_named():
    strict = pytest.importorskip("array_api_strict")
    there = strict.ones(2, device=strict.Device("device1"))
    with pytest.raises(ValueError, match="X is an array of numpy on cpu, but y of array_api_st"):
        require_one_device(X=np.ones(2), y=there)
    with pytest.raises(ValueError, match=r"y of array_api_strict on device1.*Move y to where X is"):
        require_one_device(X=strict.ones(2), y=there)


def test_to_numpy_copies_nothing_on_the_host():
    x = np.ones(3)
    assert to_numpy(x) is x


def test_factors_are_frozen_and_pickle():
    factors = Factors(np.ones(2), (np.eye(2),) * 3, 0.5)
    with pytest.raises(AttributeError):
        factors.residual = 0.0
    again = pickle.loads(pickle.dumps(factors))
    assert again.residual == 0.5
    np.testing.assert_array_equal(again.vectors[2], np.eye(2))
