"""Tables and their frame: sums whatever the chunks, and what is white, clipped and left out."""

from dataclasses import fields
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from spectral_nn.additive import Additive
from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows, joined
from spectral_nn.moments import frame as frame_module
from spectral_nn.moments.frame import CLIP, Frame, column_moments, input_moments
from spectral_nn.runners.base import SerialRunner


def table(rng, n=60, d=4, q=2, dtype=np.float64):
    """Correlated columns of unequal size and place, outputs of them, weights with zeros."""
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 3 * rng.standard_normal(d)
    Y = np.sin(X[:, :1]) * np.arange(1, q + 1) + rng.standard_normal((n, q)) - 5
    weight = np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0.2, 3.0, n))
    return Rows(X.astype(dtype), Y.astype(dtype), weight.astype(dtype))


def split(rows, cuts):
    """The table in pieces, at sorted places."""
    edges = [0, *sorted(cuts), rows.X.shape[0]]
    return [rows.take(np.arange(a, b)) for a, b in pairwise(edges) if a < b]


def merged(statistic, chunks):
    return SerialRunner().total(statistic, chunks)


def assert_same(found, expected, rtol=1e-12):
    """All fields agree, each relative to its largest entry; sums may cancel to nothing."""
    for field in fields(expected):
        a, b = (np.asarray(to_numpy(getattr(s, field.name))) for s in (found, expected))
        assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(initial=0), 1.0))


def seen(rows):
    """Frame that whitens a table, and its statistics."""
    columns = column_moments(rows)
    inputs = input_moments(rows, columns)
    return Frame.standard(columns, rows.X.shape[1]).whitened(inputs), columns, inputs


@given(
    seed=st.integers(0, 2**20),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    q=st.sampled_from([1, 2, 6]),
    as_sparse=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_chunks_add_up_to_one_shot(seed, cuts, q, as_sparse):
    rows = table(np.random.default_rng(seed), q=q)
    columns = column_moments(rows)
    given_rows = rows._replace(X=sparse.csr_array(rows.X)) if as_sparse else rows
    chunks = split(given_rows, cuts)
    assert_same(merged(column_moments, chunks), columns)
    passes = partial(input_moments, columns=columns)
    assert_same(merged(passes, chunks), passes(rows))


def test_chunks_without_weight_change_nothing(rng):
    rows = table(rng)
    nothing = rows._replace(weight=np.zeros_like(rows.weight))
    for chunks in ([nothing, rows], [rows, nothing], [nothing, nothing, rows]):
        found, expected = merged(column_moments, chunks), column_moments(rows)
        assert_allclose(found.mean, expected.mean, rtol=1e-14)
        assert_allclose(found.scatter, expected.scatter, rtol=1e-14)
        assert found.n_effective == pytest.approx(expected.n_effective)
    assert column_moments(nothing).n_effective == 0


def test_chunks_are_the_table(rng):
    rows = table(rng, n=10)
    chunks = list(rows.blocks(4))
    assert [len(chunk.X) for chunk in chunks] == [4, 4, 2]
    for name in Rows._fields:
        assert_array_equal(np.concatenate([getattr(c, name) for c in chunks]), getattr(rows, name))
    taken = rows.take(np.array([7, 0]))
    assert_array_equal(taken.X, rows.X[[7, 0]])
    assert_array_equal(taken.weight, rows.weight[[7, 0]])


def test_columns_by_hand(rng):
    rows = table(rng)
    found = column_moments(rows)
    both = np.concatenate([rows.X, rows.Y], axis=1)
    mean = np.average(both, axis=0, weights=rows.weight)
    variance = np.average((both - mean) ** 2, axis=0, weights=rows.weight)
    assert_allclose(found.mean, mean, rtol=1e-12)
    assert_allclose(found.deviation, np.sqrt(variance), rtol=1e-12)
    assert found.n_rows == 60
    assert found.n_effective == pytest.approx(rows.weight.sum() ** 2 / (rows.weight**2).sum())


def test_a_far_away_mean_costs_no_digits(rng):
    """Centred sums: one pass of squares would lose everything here."""
    near = table(rng)
    far = near._replace(X=near.X + 1e8)
    found = merged(column_moments, split(far, [7, 31]))
    assert_allclose(found.deviation, column_moments(near).deviation, rtol=1e-6)


def test_a_weight_is_a_row_many_times(rng):
    rows = table(rng)
    rows = rows._replace(weight=np.round(rows.weight))
    repeated = rows.take(np.repeat(np.arange(60), rows.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.X)))
    frame, columns, inputs = seen(rows)
    other, _, expected = seen(repeated)
    assert_allclose(columns.deviation, column_moments(repeated).deviation, rtol=1e-12)
    assert_same(inputs, expected)
    assert_allclose(frame.inputs(rows.X), other.inputs(rows.X), atol=1e-9)
    equal = repeated._replace(weight=np.full(len(repeated.X), 0.3))
    assert column_moments(equal).n_effective == pytest.approx(len(equal.X))


def test_inputs_by_hand(rng):
    """Two deviations out is seen, forty are clipped; only the fourth powers see ten."""
    rows = table(rng, n=400)
    rows.X[3, 1] += 300 * rows.X[:, 1].std()
    columns = column_moments(rows)
    found = input_moments(rows, columns)
    x = (rows.X - columns.mean[:4]) / columns.deviation[:4]
    y = (rows.Y - columns.mean[4:]) / columns.deviation[4:]
    assert abs(x[3, 1]) > 10
    clipped = np.clip(x, -CLIP, CLIP)
    w = rows.weight
    assert_allclose(found.weight, w.sum())
    assert_allclose(found.first, w @ clipped, atol=1e-9)
    assert_allclose(found.second, np.einsum("n,ni,nj->ij", w, clipped, clipped), atol=1e-9)
    assert_allclose(found.fourth, w @ np.clip(x, -10, 10) ** 4, rtol=1e-12)
    assert_allclose(found.cross, np.einsum("n,ni,nq->iq", w, clipped, y), atol=1e-9)
    assert_allclose(found.outputs, np.einsum("n,nq,nr->qr", w, y, y), atol=1e-9)


@pytest.mark.parametrize("q", [1, 3])
def test_the_frame_makes_inputs_white_and_outputs_standard(rng, q):
    rows = table(rng, n=500, q=q)
    frame, _, _ = seen(rows)
    share = rows.weight / rows.weight.sum()
    Z, Y = frame.inputs(rows.X), frame.outputs(rows.Y)
    assert Z.shape == (500, 4)
    assert_allclose(share @ Z, 0, atol=1e-12)
    assert_allclose(np.einsum("n,ni,nj->ij", share, Z, Z), np.eye(4), atol=1e-10)
    assert_allclose(share @ Y, 0, atol=1e-12)
    assert_allclose(share @ Y**2, 1, rtol=1e-12)


def test_many_outputs_become_their_leading_components(rng, monkeypatch):
    monkeypatch.setattr(frame_module, "_MOST_OUTPUTS", 4)
    rows = table(rng, n=500)
    hidden = rng.standard_normal((500, 4)) * [8.0, 5.0, 3.0, 2.0]
    loadings = np.linalg.qr(rng.standard_normal((10, 4)))[0]
    # All columns of equal size, so that the standardised ones have the same four components.
    Y = hidden @ loadings.T
    Y = Y / Y.std(axis=0) + 0.01 * rng.standard_normal((500, 10))
    rows = rows._replace(Y=Y)
    frame, _, _ = seen(rows)
    assert frame.y_map.shape == (10, 4)
    share = rows.weight / rows.weight.sum()
    S = frame.outputs(rows.Y)
    assert_allclose(np.einsum("n,ni,nj->ij", share, S, S), np.eye(4), atol=1e-10)
    left = (
        Y
        - np.concatenate([np.ones((500, 1)), S], 1)
        @ np.linalg.lstsq(np.concatenate([np.ones((500, 1)), S], 1), Y, rcond=None)[0]
    )
    assert left.std() < 0.05


def test_outputs_of_lower_rank_give_fewer_components(rng, monkeypatch):
    monkeypatch.setattr(frame_module, "_MOST_OUTPUTS", 4)
    rows = table(rng, n=300)
    rows = rows._replace(Y=rng.standard_normal((300, 2)) @ rng.standard_normal((2, 7)))
    frame, _, _ = seen(rows)
    assert frame.y_map.shape == (7, 2)


def test_a_constant_output_stays_finite(rng):
    rows = table(rng, q=2)
    rows.Y[:, 1] = 3.0
    frame, _, inputs = seen(rows)
    Y = frame.outputs(rows.Y)
    assert_allclose(Y[:, 1], 0, atol=1e-12)
    assert np.isfinite(inputs.cross).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
def test_constant_columns_are_left_out(rng, value):
    rows = table(rng)
    wide = rows._replace(X=np.insert(rows.X, 2, value, axis=1))
    # Merged, too: means of chunks differ in their last digits.
    columns = merged(column_moments, split(wide, [7, 20, 41]))
    frame = Frame.standard(columns, 5).whitened(input_moments(wide, columns))
    assert frame.kept.tolist() == [0, 1, 3, 4]
    expected, _, _ = seen(rows)
    assert_allclose(np.abs(frame.inputs(wide.X)), np.abs(expected.inputs(rows.X)), atol=1e-9)


def test_constant_columns_of_single_precision_are_left_out(rng):
    rows = table(rng, n=5000, dtype=np.float32)
    wide = rows._replace(X=np.insert(rows.X, 2, np.float32(0.1), axis=1))
    columns = merged(column_moments, split(wide, [1000, 3000]))
    assert Frame.standard(columns, 5).kept.tolist() == [0, 1, 3, 4]


def test_collinear_columns_are_left_out(rng):
    rows = table(rng, n=300)
    X = np.concatenate([rows.X, rows.X[:, :2] @ [[1.0, 2.0], [1.0, -3.0]]], axis=1)
    rows = rows._replace(X=X)
    columns = column_moments(rows)
    frame = Frame.standard(columns, 6)
    # Clipping bends the relation: here nothing is clipped.
    assert (np.abs(frame.standardise(X)) < CLIP).all()
    frame = frame.whitened(input_moments(rows, columns))
    assert frame.n_dimensions == 4
    share = rows.weight / rows.weight.sum()
    Z = frame.inputs(X)
    assert_allclose(np.einsum("n,ni,nj->ij", share, Z, Z), np.eye(4), atol=1e-8)


def test_nothing_varies(rng):
    rows = table(rng)._replace(X=np.ones((60, 3)))
    frame, _, _ = seen(rows)
    assert frame.n_dimensions == 0
    assert frame.inputs(rows.X).shape == (60, 0)


def test_directions_are_pulled_back_to_the_columns(rng):
    rows = table(rng, n=300)
    rows.X[:9, 0] += 100  # clipping moves the mean
    rows = rows._replace(X=np.insert(rows.X, 1, 2.0, axis=1))
    frame, _, _ = seen(rows)
    assert np.abs(frame.centre).max() > 0.02
    U = rng.standard_normal((4, 3))
    W, offset = frame.pull_back(U, 5)
    assert W.shape == (5, 3)
    assert (W[1] == 0).all()
    inside = (np.abs(frame.standardise(rows.X)) < CLIP).all(axis=1)
    assert inside.sum() > 250
    assert_allclose((rows.X @ W + offset)[inside], frame.inputs(rows.X)[inside] @ U, atol=1e-9)


def test_a_projected_frame_sees_a_part(rng):
    rows = table(rng)
    frame, _, _ = seen(rows)
    basis = np.linalg.qr(rng.standard_normal((4, 2)))[0]
    part = frame.projected(basis)
    assert part.n_dimensions == 2
    assert_allclose(part.inputs(rows.X), frame.inputs(rows.X) @ basis, atol=1e-12)


def test_sums_take_every_field():
    a = Additive()
    assert type(a + a) is Additive


def test_namespaces_agree(xp, rng):
    rows = table(rng, q=6)
    rows.X[:, 2] = 1.5
    frame, columns, inputs = seen(rows)
    there = Rows(*(xp.asarray(part) for part in rows))
    found = column_moments(there)
    assert_same(found, columns)
    moved = input_moments(there, found)
    assert type(moved.second) is type(there.X)
    assert_same(moved, inputs)
    other = Frame.standard(found, 4).whitened(moved)
    Z = other.inputs(there.X)
    assert type(Z) is type(there.X)
    assert_allclose(np.abs(to_numpy(Z)), np.abs(frame.inputs(rows.X)), atol=1e-9)
    assert_allclose(
        np.abs(to_numpy(other.outputs(there.Y))), np.abs(frame.outputs(rows.Y)), atol=1e-9
    )


def test_single_precision(xp, rng):
    rows = table(rng, n=500)
    there = Rows(*(xp.asarray(part.astype(np.float32)) for part in rows))
    columns = column_moments(there)
    inputs = input_moments(there, columns)
    assert inputs.second.dtype == xp.float32
    frame = Frame.standard(columns, 4).whitened(inputs)
    Z = frame.inputs(there.X)
    assert Z.dtype == xp.float32
    expected, _, _ = seen(rows)
    assert_allclose(np.abs(to_numpy(Z)), np.abs(expected.inputs(rows.X)), atol=1e-3)


def test_clipping_does_not_hide_that_columns_depend_on_each_other(rng):
    X = rng.standard_normal((20_000, 6))
    wide = np.concatenate([X, X @ rng.standard_normal((6, 2))], axis=1)
    rows = Rows(wide, X[:, :1], np.ones(20_000))
    columns = column_moments(rows)
    frame = Frame.standard(columns, 8).whitened(input_moments(rows, columns))
    assert (np.abs(wide - wide.mean(axis=0)) > 4 * wide.std(axis=0)).any()
    assert frame.n_dimensions == 6


def test_outputs_that_do_not_vary_are_no_obstacle(rng):
    X = rng.standard_normal((100, 3))
    rows = Rows(X, np.zeros((100, 12)), np.ones(100))
    columns = column_moments(rows)
    frame = Frame.standard(columns, 3).whitened(input_moments(rows, columns))
    assert_allclose(frame.outputs(rows.Y), 0)


def test_columns_of_sparse_rows_are_those_of_dense_ones(rng):
    """Constant columns without a zero, columns of zeros alone, and some far from one."""
    X = rng.standard_normal((300, 6)) * (rng.random((300, 6)) < 0.3)
    X[:, 1], X[:, 2] = 0.1, 0.0
    X[:, 3] *= 2.0**50
    rows = table(rng, n=300)._replace(X=X)
    found = column_moments(rows._replace(X=sparse.csr_array(X)))
    assert_same(found, column_moments(rows))
    assert found.deviation[1] < 1e-12


def test_sparse_rows_are_cut_joined_and_taken_as_they_are(rng):
    X = sparse.random_array((50, 7), density=0.2, rng=rng, format="csr")
    rows = Rows.of(X)
    assert (rows.n_outputs, rows.total_weight) == (0, 50)
    parts = [rows.cut(0, 20), rows.take(np.arange(20, 50))]
    for part in (joined(parts), *rows.halves(), *parts):
        assert sparse.issparse(part.X)
    assert_array_equal(joined(parts).X.toarray(), X.toarray())
