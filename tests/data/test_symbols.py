"""Codes and the emission table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from spectral_nn.data import symbols as coding
from spectral_nn.data.symbols import alphabet, encode, find_missing
from tests.oracles import emission_table


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, object])
def test_dtypes(dtype):
    codes = encode(np.array([[2], [0], [1]], dtype=dtype), 3)
    assert codes.dtype == np.int32
    assert_array_equal(codes, [2, 0, 1])
    assert alphabet(np.array([2, 0, 1], dtype=dtype)) == 2


def test_missing_by_value_nan_and_mask():
    assert_array_equal(encode([0, -1, 1], 2, missing=-1), [0, 2, 1])
    assert_array_equal(encode([0.0, np.nan, 1.0], 2, missing=np.nan), [0, 2, 1])
    assert_array_equal(encode(np.ma.array([0, -7, 1], mask=[0, 1, 0]), 2), [0, 2, 1])
    assert_array_equal(encode(np.ma.array([[0], [9]], mask=[[0], [1]]), 2), [0, 2])
    assert_array_equal(encode([0, 9], 2, missing=9), [0, 2])
    assert_array_equal(encode(np.array([0, 255], dtype=np.uint8), 2, missing=255), [0, 2])
    assert_array_equal(encode(np.array([0, 1], dtype=np.uint8), 2, missing=-1), [0, 1])
    assert alphabet([9, 9], missing=9) == -1
    words, none = np.array(["a", "b"]), np.zeros(2, bool)
    assert_array_equal(find_missing(words, none, np.nan), none)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, -3], r"Negative values in data: X\[2\] is -3"),
        ([0, 1.5], r"Fractional values in data: X\[1\] is 1.5"),
        ([np.nan, 0], r"NaN in data: X\[0\] is nan"),
        ([0, np.inf], r"Infinity in data: X\[1\] is inf.*set it to NaN .*missing=np\.nan\."),
        ([0, np.nan], r"NaN in data: X\[1\] is nan.*declare it with missing=np\.nan\."),
        ([0, 5], r"X\[1\] is 5, but symbols must be below n_features=3"),
        ([0, 1e30], r"X\[1\] is 1e\+30, but symbols"),
        (["a", "b"], "X must hold whole numbers"),
        ([1j], "Complex data not supported"),
        ([[0, 1]], "one symbol"),
    ],
)
def test_first_offender_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        encode(np.array(values), 3)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 7), st.data())
def test_positions_do_not_depend_on_chunks(values, chunk, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "CHUNK", chunk)
        assert_array_equal(encode(values, 7), values)
        labels = data.draw(st.lists(st.integers(-1, 3), min_size=len(values), max_size=len(values)))
        codes = encode(values, 7, labels=labels, n_components=4)
        assert_array_equal(codes % 8, values)
        assert_array_equal(codes // 8 - 1, labels)
        at = data.draw(st.integers(0, len(values) - 1))
        values[at] = -2
        with pytest.raises(ValueError, match=rf"X\[{at}\] is -2"):
            encode(values, 7)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2], r"y\[1\] is 2, but states are 0 .. 1"),
        ([0, -2], r"y\[1\] is -2"),
        ([0, 0.5], r"y\[1\] is 0.5"),
        ([0], "y has 1 labels for 2"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        encode([0, 1], 2, labels=labels, n_components=2)


def test_labels_that_cannot_be_coded():
    with pytest.raises(ValueError, match="n_components"):
        encode([0, 1], 2, labels=[0, 1])
    with pytest.raises(ValueError, match="32 bits"):
        encode([0, 1], 2**20, labels=[0, 1], n_components=2**12)


def test_table_rows_are_the_likelihoods_of_codes():
    rng = np.random.default_rng(0)
    b = rng.dirichlet(np.ones(4), 3)
    plain, full = emission_table(b), emission_table(b, labelled=True)
    assert plain.shape == (5, 3)
    assert full.shape == (5 * 4, 3)
    assert full.flags.c_contiguous
    assert_array_equal(full[:5], plain)
    assert_array_equal(plain[4], np.ones(3))
    code = encode([2, -1], 4, missing=-1, labels=[1, 0], n_components=3)
    assert_array_equal(full[code], [[0, b[1, 2], 0], [1, 0, 0]])
