"""Rows of probabilities under Dirichlet priors, against the plain formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.emissions.simplex import log_dirichlet, maximise_rows, relax_rows


def for_any_rows(test):
    """Run a test of (seed, n, d, form of the pseudo-counts, structure) on many of them."""
    cases = given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 12),
        st.integers(1, 9),
        st.sampled_from(["number", "row", "rows"]),
        st.booleans(),
    )
    return settings(max_examples=60, deadline=None)(cases(test))


def rows_with_zeros(rng, n, d):
    """Rows (n, d) of sum one, some entries zero and some tiny; the first entry never zero."""
    p = rng.dirichlet(np.ones(d), n) * 10.0 ** -rng.integers(0, 120, (n, d))
    p[:, 1:][rng.random((n, d - 1)) < 0.3] = 0
    return p / p.sum(axis=1, keepdims=True)


def some_pseudo_counts(rng, n, d, form):
    """A number, those of all rows or those of each; of both signs, and zeros."""
    pseudo = rng.choice([-0.4, 0.0, 0.3, 2.0], (n, d))
    return {"number": pseudo[0, 0], "row": pseudo[0], "rows": pseudo}[form]


@for_any_rows
def test_log_density_is_the_sum_of_logarithms(seed, n, d, form, structure):
    rng = np.random.default_rng(seed)
    p, pseudo = rows_with_zeros(rng, n, d), some_pseudo_counts(rng, n, d, form)
    each = np.broadcast_to(pseudo, p.shape)
    used = (each != 0) & ~(structure & (p == 0) & (each > 0))
    with np.errstate(divide="ignore"):
        terms = each[used] * np.log(np.where(each[used] < 0, np.maximum(p[used], 1e-300), p[used]))
    assert_allclose(log_dirichlet(p, pseudo, structure=structure), terms.sum(), rtol=1e-12)


def test_log_density_of_many_small_rows_does_not_underflow():
    p = np.full((400, 3), 1e-9)
    assert_allclose(log_dirichlet(p, np.array([1.0, 2.0, 0.0])), 1200 * np.log(1e-9))


@for_any_rows
def test_mode_is_proportional_to_counts_and_pseudo_counts(seed, n, d, form, structure):
    rng = np.random.default_rng(seed)
    old, pseudo = rows_with_zeros(rng, n, d), some_pseudo_counts(rng, n, d, form)
    counts = rng.integers(0, 3, (n, d)).astype(float)
    added = np.where(structure & (old == 0), 0.0, pseudo)
    found = maximise_rows(counts, pseudo, old, structure=structure)
    for row, count, more, otherwise in zip(found, counts, added, old, strict=True):
        mode = np.maximum(count + more, 0)
        assert_allclose(row, mode / mode.sum() if mode.any() else otherwise, rtol=1e-14)


def test_one_row_may_stand_in_for_all():
    counts = np.array([[0.0, 0.0], [1.0, 3.0], [0.0, 0.0]])
    found = maximise_rows(counts, 0.0, np.array([0.9, 0.1]))
    assert_array_equal(found, [[0.9, 0.1], [0.25, 0.75], [0.9, 0.1]])


@pytest.mark.parametrize("power", [1.0, 1.2, 3.0])
def test_relaxed_rows_keep_what_is_possible(power):
    """However small it is in the step: only the zeros of the step are zeros."""
    old = np.array([[0.5, 0.5 - 1e-300, 1e-300, 0.0]])
    new = np.array([[1.0, 1e-250, 0.0, 0.0]])
    found = relax_rows(old, new, power)
    assert_array_equal(found > 0, new > 0)
    assert_allclose(found.sum(), 1)
