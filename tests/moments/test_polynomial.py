"""Moments of outputs with polynomials of inputs, against sums written out."""

from functools import partial
from itertools import combinations_with_replacement, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.moments.frame import Frame, column_moments, input_moments
from spectral_nn.moments.polynomial import (
    high_moments,
    linear_moments,
    low_features,
    low_moments,
    monomial_index,
    monomials,
    n_fourth_moments,
    slice_moments,
    tube_moments,
)
from spectral_nn.runners.base import SerialRunner

N, D, K, S = 50, 4, 3, 2
FIELDS = {"low": ["gram", "cross"], "high": ["squares", "third", "fourth"]}


def table(rng, q=S):
    X = rng.standard_normal((N, D)) @ rng.standard_normal((D, D)) + rng.standard_normal(D)
    Y = X[:, :1] ** 2 * np.arange(1, q + 1) + rng.standard_normal((N, q))
    return Rows(X, Y, np.where(rng.random(N) < 0.2, 0.0, rng.uniform(0.2, 3.0, N)))


def framed(rows, rng):
    """Frame of K dimensions, and one of all."""
    columns = column_moments(rows)
    inputs = input_moments(rows, columns)
    whole = Frame.standard(columns, D).whitened(inputs)
    return whole.projected(np.linalg.qr(rng.standard_normal((whole.n_dimensions, K)))[0]), whole


def statistics(rows, rng):
    """Every statistic as a function of a chunk."""
    part, whole = framed(rows, rng)
    n_outputs = whole.y_map.shape[1]
    slopes, along = rng.standard_normal((2, D, n_outputs))
    basis = rng.standard_normal((D, K))
    n_features = 1 + K + K * (K + 1) // 2
    coefficients = rng.standard_normal((n_features, n_outputs))
    return {
        "slices": partial(slice_moments, frame=whole, slopes=slopes, along=along),
        "tubes": partial(tube_moments, frame=whole, slopes=slopes, basis=basis),
        "low": partial(low_moments, frame=part),
        "high": partial(high_moments, frame=part, coefficients=coefficients, with_fourth=True),
    }


def arrays_of(kind, sums):
    return [getattr(sums, name) for name in FIELDS[kind]] if kind in FIELDS else [sums]


def assert_same(kind, found, expected, rtol=1e-12):
    for pair in zip(arrays_of(kind, found), arrays_of(kind, expected), strict=True):
        a, b = map(to_numpy, pair)
        assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_monomials_stand_where_the_index_says(xp, rng, size, order):
    Z = rng.standard_normal((7, size))
    index = monomial_index(size, order)
    found = to_numpy(monomials(xp.asarray(Z), order))
    products = list(combinations_with_replacement(range(size), order))
    assert found.shape == (7, len(products))
    assert index.shape == (size,) * order
    for places in product(range(size), repeat=order):
        assert products[index[places]] == tuple(sorted(places))
        assert_allclose(found[:, index[places]], Z[:, list(places)].prod(axis=1), rtol=1e-14)


def test_slices_are_sums_written_out(rng):
    rows = table(rng)
    _, frame = framed(rows, rng)
    slopes, along = rng.standard_normal((2, D, S))
    found = slice_moments(rows, frame, slopes, along)
    x, y = frame.centred(rows.X), frame.outputs(rows.Y)
    r = (y - x @ slopes) * rows.weight[:, None]
    assert_allclose(found[:S], np.einsum("ns,ni,nj->sij", r, x, x), atol=1e-10)
    tilted = np.einsum("ns,ns,ni,nj->sij", r, x @ along, x, x)
    assert_allclose(found[S:], tilted, atol=1e-10)


def test_linear_moments_are_sums_written_out(rng):
    rows = table(rng)
    frame, _ = framed(rows, rng)
    z, y = frame.inputs(rows.X), frame.outputs(rows.Y)
    expected = np.einsum("n,ni,ns->is", rows.weight, z, y)
    assert_allclose(linear_moments(rows, frame), expected, atol=1e-10)


def test_tubes_are_sums_written_out(rng):
    rows = table(rng)
    _, frame = framed(rows, rng)
    slopes, basis = rng.standard_normal((D, S)), rng.standard_normal((D, K))
    found = tube_moments(rows, frame, slopes, basis)
    x, y = frame.centred(rows.X), frame.outputs(rows.Y)
    r = (y - x @ slopes) * rows.weight[:, None]
    z = x @ basis
    third = np.einsum("ns,na,ni,nj->saij", r, x, z, z)
    for s, tubes in enumerate(np.split(found, S, axis=1)):
        assert_allclose(tubes[:, monomial_index(K, 2)], third[s], atol=1e-10)


def test_low_moments_are_the_normal_equations_of_all_quadratics(rng):
    rows = table(rng)
    frame, _ = framed(rows, rng)
    found = low_moments(rows, frame)
    Z, Y = frame.inputs(rows.X), frame.outputs(rows.Y)
    products = [Z[:, i] * Z[:, j] for i in range(K) for j in range(i, K)]
    features = np.column_stack([np.ones(N), Z, *products])
    root = np.sqrt(rows.weight)[:, None]
    solved = np.linalg.solve(found.gram, found.cross)
    expected = np.linalg.lstsq(root * features, root * Y, rcond=None)[0]
    assert_allclose(solved, expected, atol=1e-9)
    assert found.gram[0, 0] == pytest.approx(rows.weight.sum())


def test_high_moments_are_sums_written_out(rng):
    rows = table(rng)
    frame, _ = framed(rows, rng)
    low = low_moments(rows, frame)
    coefficients = np.linalg.solve(low.gram, low.cross)
    found = high_moments(rows, frame, coefficients, True)
    Z, Y = frame.inputs(rows.X), frame.outputs(rows.Y)
    products = np.einsum("ni,nj->nij", Z, Z)
    index = monomial_index(K, 2)
    r = Y - coefficients[0] - Z @ coefficients[1 : K + 1]
    upper = np.triu(np.ones((K, K)))[:, :, None] * coefficients[K + 1 :][index]
    r = r - np.einsum("nij,ijs->ns", products, upper)
    w = rows.weight
    assert_allclose(found.squares, w @ r**2, rtol=1e-10)
    third = np.einsum("n,ns,ni,nj,nl->sijl", w, r, Z, Z, Z)
    fourth = np.einsum("n,ns,ni,nj,nl,nm->sijlm", w, r, Z, Z, Z, Z)
    assert_allclose(found.third[:, index], third, atol=1e-9)
    assert_allclose(found.fourth[:, index][:, :, :, index], fourth, atol=1e-9)
    less = high_moments(rows, frame, coefficients, False)
    assert less.fourth.shape == (S, 0, 0)
    assert_allclose(less.third, found.third, atol=1e-11)
    assert ((less + less).third == 2 * less.third).all()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 10])
def test_fourth_moments_are_those_of_all_pairs_with_all(rng, size):
    """Whatever the number of bands they are made in, and of blocks."""
    X, Y = rng.standard_normal((1500, size)), rng.standard_normal((1500, S))
    rows = Rows(X, Y, rng.uniform(0, 2, 1500))
    columns = column_moments(rows)
    frame = Frame.standard(columns, size).whitened(input_moments(rows, columns))
    features = low_features(frame.inputs(X))
    y, w = frame.outputs(Y), rows.weight
    low = low_moments(rows, frame)
    assert_allclose(low.gram, (features.T * w) @ features, atol=1e-8)
    assert_allclose(low.cross, (features.T * w) @ y, atol=1e-8)
    coefficients = rng.standard_normal((features.shape[1], S))
    r = y - features @ coefficients
    pairs, z = features[:, size + 1 :], features[:, 1 : size + 1]
    for with_fourth in (True, False):
        high = high_moments(rows, frame, coefficients, with_fourth)
        assert_allclose(high.squares, w @ r**2)
        assert_allclose(high.third, np.einsum("n,ns,np,ni->spi", w, r, pairs, z), atol=1e-7)
    fourth = high_moments(rows, frame, coefficients, True).fourth
    assert_allclose(fourth, np.einsum("n,ns,np,nq->spq", w, r, pairs, pairs), atol=1e-7)


def test_products_of_four_are_multiplied_out_once_or_little_more():
    distinct = 31 * 32 * 33 * 34 // 24
    assert distinct < n_fourth_moments(30) < 1.4 * distinct < 0.3 * 496**2


@given(
    seed=st.integers(0, 2**20),
    cuts=st.lists(st.integers(0, N), max_size=5),
    q=st.sampled_from([1, 2, 6]),
    as_sparse=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_chunks_add_up_to_one_shot(seed, cuts, q, as_sparse):
    rng = np.random.default_rng(seed)
    rows = table(rng, q)
    edges = [0, *sorted(cuts), N]
    parts = rows._replace(X=sparse.csr_array(rows.X)) if as_sparse else rows
    chunks = [parts.take(np.arange(a, b)) for a, b in pairwise(edges) if a < b]
    for kind, statistic in statistics(rows, rng).items():
        assert_same(kind, SerialRunner().total(statistic, chunks), statistic(rows))


def test_a_weight_is_a_row_many_times(rng):
    rows = table(rng)
    rows = rows._replace(weight=np.round(rows.weight))
    repeated = rows.take(np.repeat(np.arange(N), rows.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.X)))
    for kind, statistic in statistics(rows, rng).items():
        assert_same(kind, statistic(repeated), statistic(rows))


def test_namespaces_agree(xp, rng):
    rows = table(rng)
    there = Rows(*(xp.asarray(part) for part in rows))
    for kind, statistic in statistics(rows, rng).items():
        found = statistic(there)
        assert type(arrays_of(kind, found)[0]) is type(there.X)
        assert_same(kind, found + found, statistic(rows) + statistic(rows))


def test_single_precision(xp, rng):
    rows = table(rng)
    there = Rows(*(xp.asarray(part.astype(np.float32)) for part in rows))
    for kind, statistic in statistics(rows, rng).items():
        found = statistic(there)
        assert all(x.dtype == xp.float32 for x in arrays_of(kind, found))
        assert_same(kind, found, statistic(rows), rtol=1e-4)
