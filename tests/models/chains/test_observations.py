import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.emissions import CategoricalEmission
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.models.chains.observations import look_up_rows, tabulate

LAW = DiagonalGaussian(np.array([[0.0, 1.0], [5.0, -1.0], [1e4, 0.0]]), np.ones((3, 2)))


@pytest.fixture
def x(rng):
    x = 3 * rng.standard_normal((20, 2))
    x[3, 1] = x[5] = np.nan
    return x


def test_rows_are_divided_by_the_largest(x):
    table, log_scale, logarithms = look_up_rows(LAW, x)
    found = LAW.log_likelihoods(x)
    assert_array_equal(log_scale, np.append(found.max(axis=1), 0))
    assert_array_equal(
        logarithms, np.append(found - found.max(axis=1)[:, None], np.zeros((1, 3)), 0)
    )
    assert_array_equal(table, np.exp(logarithms))
    assert_array_equal(table[-1], 1)
    assert_array_equal(table[5], 1)


def test_far_states_keep_their_logarithms(x):
    table, _, logarithms = look_up_rows(LAW, x)
    assert table[0, 2] == 0
    assert -6e7 < logarithms[0, 2] < -4e7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tables_are_padded_by_zeros(x, dtype):
    wanted = look_up_rows(LAW, x)
    found = tabulate(LAW, x, 8, dtype=dtype)
    assert found.table.dtype == dtype
    assert_allclose(found.table[:, :3], wanted.table, rtol=1e-6 if dtype == "float32" else 0)
    assert_array_equal(found.table[:, 3:], 0)
    assert_array_equal(found.log_scale, wanted.log_scale)
    symbols = tabulate(CategoricalEmission(np.eye(3, 5)), None, 4, dtype=dtype)
    assert_array_equal(symbols.table[:-1], np.eye(5, 4) * [1, 1, 1, 0])
    assert_array_equal(symbols.table[-1], [1, 1, 1, 0])


def test_a_label_leaves_one_state(x):
    labels = np.full(20, -1.0)
    labels[2] = 1
    table, log_scale, _ = look_up_rows(LAW, np.column_stack([x, labels]), labelled=True)
    assert_array_equal(table[2], [0, 1, 0])
    assert_allclose(log_scale[2], LAW.log_likelihoods(x)[2, 1])
    assert_array_equal(table[3], look_up_rows(LAW, x).table[3])


def test_what_no_state_allows_stays_impossible():
    class Nothing:
        rows = True
        n_components = 2

        def log_likelihoods(self, x, dtype):
            return np.full((x.shape[0], 2), -np.inf)

    table, log_scale, _ = look_up_rows(Nothing(), np.zeros((2, 1)))
    assert_array_equal(table, [[0, 0], [0, 0], [1, 1]])
    assert_array_equal(log_scale, 0)
