import pickle

import numpy as np
import pytest

from spectral_nn.arrays import from_numpy, get_namespace, to_numpy
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
