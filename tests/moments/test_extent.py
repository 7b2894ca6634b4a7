"""Columns whose squares no number can hold, and how large the numbers of a table are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from spectral_nn.additive import tree_sum
from spectral_nn.data.rows import Rows
from spectral_nn.moments.extent import NOTHING, exponents, extent, powers
from spectral_nn.moments.frame import Frame, column_moments

rng = np.random.default_rng(0)
Z = rng.standard_normal((90, 4)) + 0.5


def rows_of(values):
    return Rows(values[:, :3], values[:, 3:], np.ones(len(values), values.dtype))


@given(st.lists(st.integers(-900, 900), min_size=4, max_size=4))
def test_moments_of_columns_of_all_sizes(power):
    scale = np.exp2(np.array(power))
    plain, found = column_moments(rows_of(Z)), column_moments(rows_of(Z * scale))
    assert_allclose(found.mean / scale, plain.mean, rtol=1e-13)
    assert_allclose(found.deviation / scale, plain.deviation, rtol=1e-13)
    ordinary = np.abs(np.array(power)) < 28  # a power of two below the largest of |Z|
    assert_array_equal(found.exponent[ordinary], 0)


@pytest.mark.parametrize("power", [-110, -60, 60, 110])
def test_chunks_of_other_sizes_merge(power):
    values = Z.astype(np.float32)
    values[:30, 0] = 0
    values[:, 1] *= np.float32(2.0**power)
    values[30:60, 2] *= np.float32(2.0**power)
    parts = [rows_of(values[i : i + 30]) for i in (0, 30, 60)]
    found = tree_sum(column_moments(part) for part in parts)
    expected = values.astype(np.float64)
    assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-5)
    assert_allclose(found.deviation, expected.std(axis=0), rtol=1e-5)


def test_lines_are_the_directions_of_weights():
    columns = column_moments(rows_of(Z * [1.0, 1e3, 1e-3, 1.0]))
    frame = Frame.standard(columns, 3)
    directions = rng.standard_normal((3, 2))
    weights, _ = frame.pull_back(directions, 5)
    found = frame.lines(directions, 5)
    assert_allclose(found, weights / np.linalg.norm(weights, axis=0), rtol=1e-15)
    tiny = Frame.standard(column_moments(rows_of(Z * 1e-307)), 3)
    assert_allclose(np.linalg.norm(tiny.lines(1e4 * directions, 3), axis=0), 1)


def test_the_extent_of_a_table():
    table = Rows(Z[:, :3], Z[:, 3:], np.arange(1.0, 91))
    whole = extent(table)
    assert_array_equal(whole.inputs, np.abs(Z[:, :3]).max(axis=0))
    assert (whole.low, whole.high, whole.weight) == (Z[:, 3].min(), Z[:, 3].max(), 90)
    for other in (
        tree_sum(extent(part) for part in table.blocks(40)),
        extent(table._replace(X=sparse.csr_array(table.X))),
        extent(table._replace(X=sparse.csr_matrix(table.X))),
    ):
        assert_array_equal(other.inputs, whole.inputs)
        assert (other.low, other.high, other.weight) == (whole.low, whole.high, whole.weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_bring_sizes_near_one(dtype):
    kind = np.finfo(dtype)
    sizes = np.array([0, 1, 2.0**31, 2.0**33, 2.0**-34, kind.max, kind.smallest_subnormal], dtype)
    found = exponents(sizes, 32)
    assert_array_equal(found[:3], [NOTHING, 0, 0])
    near = sizes * powers(-found, dtype).astype(dtype)
    assert np.isfinite(near).all()
    assert_allclose(near[3:5], 0.5)
    assert near[5] <= 4
