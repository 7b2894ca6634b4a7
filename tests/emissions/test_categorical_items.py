"""Rows of categorical items, against loops over the items of each row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from spectral_nn.emissions.categorical_items import CategoricalItems, indicators

SIZES = (2, 4, 1, 3)


def law_of(rng, n_components=3, sizes=SIZES):
    blocks = [rng.dirichlet(np.ones(size), n_components) for size in sizes]
    return CategoricalItems(np.concatenate(blocks, axis=1), sizes)


def codes_of(rng, n, sizes=SIZES, missing=0.2):
    codes = np.stack([rng.integers(0, size, n) for size in sizes], axis=1).astype(float)
    codes[rng.random(codes.shape) < missing] = np.nan
    return codes


def by_loop(law, codes):
    """Likelihoods (n, K): the product over the items that a row answers."""
    items = law.of_items()
    found = np.ones((codes.shape[0], law.n_components))
    for i, row in enumerate(codes):
        for item, code in zip(items, row, strict=True):
            if code >= 0:
                found[i] *= item[:, int(code)]
    return found


@pytest.mark.parametrize("csr", [False, True])
def test_likelihoods_are_products_over_the_items_answered(csr):
    rng = np.random.default_rng(0)
    law, codes = law_of(rng), codes_of(rng, 30)
    found = law.log_likelihoods(indicators(codes, SIZES, csr=csr))
    assert_allclose(np.exp(found), by_loop(law, codes), rtol=1e-12)


@pytest.mark.parametrize("csr", [False, True])
def test_an_impossible_answer_makes_a_row_impossible(csr):
    law = CategoricalItems(np.array([[1.0, 0.0, 0.5, 0.5]]), (2, 2))
    x = indicators(np.array([[1, 0], [0, 1], [np.nan, 1]]), (2, 2), csr=csr)
    assert_allclose(np.exp(law.log_likelihoods(x)), [[0.0], [0.5], [0.5]])


@pytest.mark.parametrize("csr", [False, True])
def test_the_m_step_counts_answers(csr):
    rng = np.random.default_rng(1)
    law, codes = law_of(rng), codes_of(rng, 40)
    mass = rng.dirichlet(np.ones(3), 40)
    sums = law.gather(indicators(codes, SIZES, csr=csr), mass)
    for j, found in enumerate(law.maximise(sums).of_items()):
        counts = np.stack([mass[codes[:, j] == v].sum(axis=0) for v in range(SIZES[j])], axis=1)
        assert_allclose(found, counts / counts.sum(axis=1, keepdims=True), rtol=1e-12)


def test_pseudo_counts_are_added_but_fill_no_zero():
    law = CategoricalItems(np.array([[0.5, 0.5, 0.0, 1.0, 0.0]]), (2, 3))
    found = law.maximise(np.array([[3.0, 0.0, 0.0, 1.0, 0.0]]), 1.0)
    assert_allclose(found.probs, [[0.8, 0.2, 0.0, 1.0, 0.0]])
    assert_allclose(found.log_prior(1.0), np.log(0.8) + np.log(0.2))


def test_an_item_without_answers_keeps_its_law():
    law = law_of(np.random.default_rng(2))
    sums = np.ones((3, sum(SIZES)))
    sums[1, 2:6] = 0
    assert_array_equal(law.maximise(sums).of_items()[1][1], law.of_items()[1][1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.booleans())
def test_statistics_of_chunks_add_up(seed, cut, csr):
    rng = np.random.default_rng(seed)
    law, x = law_of(rng), indicators(codes_of(rng, 20), SIZES, csr=csr)
    mass = rng.random((20, 3))
    parts = law.gather(x[:cut], mass[:cut]) + law.gather(x[cut:], mass[cut:])
    assert_allclose(parts, law.gather(x, mass), rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1, 3))
def test_relaxed_laws_sum_to_one_and_keep_zeros(seed, power):
    rng = np.random.default_rng(seed)
    old, new = law_of(rng), law_of(rng)
    new.probs[0, :2] = 0.0, 1.0
    found = old.relax(new, power)
    for item in found.of_items():
        assert_allclose(item.sum(axis=1), 1)
    assert_array_equal(found.probs == 0, new.probs == 0)
    assert_allclose(old.relax(new, 1.0).probs, new.probs)


def test_relaxing_goes_beyond_the_step():
    old = CategoricalItems(np.array([[0.5, 0.5]]), (2,))
    new = CategoricalItems(np.array([[0.6, 0.4]]), (2,))
    assert_allclose(old.relax(new, 2.0).probs, [[0.36 / 0.52, 0.16 / 0.52]])


def test_samples_have_the_shares_of_the_law():
    rng = np.random.default_rng(3)
    law = law_of(rng)
    states = np.repeat([0, 2], 20_000)
    x = law.sample(states, rng)
    begins = np.cumsum(SIZES) - np.array(SIZES)
    assert_array_equal(np.add.reduceat(x, begins, axis=1), 1)
    for k in (0, 2):
        assert_allclose(x[states == k].mean(axis=0), law.probs[k], atol=0.02)


def test_what_a_sample_lacks_becomes_all_but_impossible():
    old = CategoricalItems(np.array([[0.7, 0.3, 0.0, 1.0]]), (2, 2))
    found = CategoricalItems(np.array([[1.0, 0.0, 0.0, 1.0]]), (2, 2)).restore(old)
    assert 0 < found.probs[0, 1] < 1e-7
    assert_array_equal(found.probs[0, 2:], [0, 1])
    assert_allclose(found.probs[0, :2].sum(), 1)


def test_pooled_law_and_number_of_parameters():
    x = indicators(np.array([[0, 1], [0, 0], [1, np.nan]]), (2, 2))
    law = CategoricalItems.pooled(x, 2, (2, 2))
    assert_allclose(law.probs, [[0.625, 0.375, 0.5, 0.5]] * 2)
    assert law.n_parameters == 4
    assert sparse.issparse(indicators(np.array([[0, 1]]), (2, 2), csr=True))
