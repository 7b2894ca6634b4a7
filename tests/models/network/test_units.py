"""Hidden units on data: regressions above them, the weakest, and those turned round."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.units import (
    find_flipped_units,
    find_weakest_units,
    fit_second_layer,
    hidden_moments,
    read_units_on_data,
)
from spectral_nn.moments.frame import Frame
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


def table(rng, n=80, d=3, q=2):
    X = rng.standard_normal((n, d))
    weight = np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0.2, 3.0, n))
    return Rows(X, np.sin(2 * X[:, :q]) + 0.1 * rng.standard_normal((n, q)), weight)


def layer(rng, d=3, k=5):
    return rng.standard_normal((d, k)), rng.uniform(-1, 1, k)


def loss(features, Y, weight):
    """Weighted squares that least squares leave."""
    root = np.sqrt(weight)[:, None]
    solved = np.linalg.lstsq(root * features, root * Y, rcond=None)[0]
    return float((weight[:, None] * (Y - features @ solved) ** 2).sum())


def as_they_are(d):
    """The frame in which inputs are what they are, up to 400."""
    zeros, hundreds = np.zeros(d), np.full(d, 100.0)
    return Frame(np.arange(d), zeros, hundreds, zeros, 100 * np.eye(d), np.zeros(1), np.eye(1))


@pytest.mark.parametrize("with_inputs", [False, True])
def test_moments_by_hand(rng, with_inputs):
    rows, (coef, intercept) = table(rng), layer(rng)
    frame = as_they_are(rows.X.shape[1]) if with_inputs else None
    found = hidden_moments(rows, coef, intercept, "tanh", frame)
    hidden = np.tanh(rows.X @ coef + intercept)
    parts = [np.ones((80, 1)), rows.X, hidden] if with_inputs else [np.ones((80, 1)), hidden]
    features = np.concatenate(parts, axis=1)
    w = rows.weight
    assert_allclose(found.gram, np.einsum("n,ni,nj->ij", w, features, features), rtol=1e-10)
    assert_allclose(found.cross, np.einsum("n,ni,nq->iq", w, features, rows.Y), atol=1e-10)


@given(
    seed=st.integers(0, 2**20),
    cuts=st.lists(st.integers(0, 80), max_size=5),
    as_sparse=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_chunks_add_up_to_one_shot(seed, cuts, as_sparse):
    rng = np.random.default_rng(seed)
    rows, (coef, intercept) = table(rng), layer(rng)
    edges = [0, *sorted(cuts), 80]
    parts = rows._replace(X=sparse.csr_array(rows.X)) if as_sparse else rows
    frame = as_they_are(rows.X.shape[1])
    sums = [
        hidden_moments(parts.take(np.arange(a, b)), coef, intercept, "relu", frame)
        for a, b in pairwise(edges)
        if a < b
    ]
    found, expected = sum(sums[1:], sums[0]), hidden_moments(rows, coef, intercept, "relu", frame)
    assert_allclose(found.gram, expected.gram, rtol=0, atol=1e-12 * expected.gram.max())
    scale = np.abs(expected.cross).max()
    assert_allclose(found.cross, expected.cross, rtol=0, atol=1e-12 * scale)


def test_namespaces_agree(xp, rng):
    rows, (coef, intercept) = table(rng), layer(rng)
    there = Rows(*(xp.asarray(part) for part in rows))
    found = hidden_moments(there, coef, intercept, "relu")
    expected = hidden_moments(rows, coef, intercept, "relu")
    assert_allclose(found.gram, expected.gram, rtol=1e-12)


def test_the_second_layer_is_that_of_least_squares(rng):
    rows, (coef, intercept) = table(rng), layer(rng, k=4)
    network = fit_second_layer(rows, coef, intercept, "tanh", RUN)
    assert (network.activation, network.output) == ("tanh", "identity")
    features = np.column_stack([np.ones(80), np.tanh(rows.X @ coef + intercept)])
    left = (rows.weight[:, None] * (rows.Y - network.predict(rows.X)) ** 2).sum()
    assert left == pytest.approx(loss(features, rows.Y, rows.weight), rel=1e-6)


def test_a_weight_is_a_row_many_times(rng):
    rows, (coef, intercept) = table(rng), layer(rng, k=4)
    rows = rows._replace(weight=np.round(rows.weight))
    repeated = rows.take(np.repeat(np.arange(80), rows.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.X)))
    one, two = (fit_second_layer(r, coef, intercept, "relu", RUN) for r in (rows, repeated))
    assert_allclose(one.predict(rows.X), two.predict(rows.X), atol=1e-9)


def test_the_same_unit_twice_stays_finite(rng):
    rows, (coef, intercept) = table(rng), layer(rng, k=2)
    network = fit_second_layer(
        rows, np.repeat(coef, 2, axis=1), np.repeat(intercept, 2), "relu", RUN
    )
    single = fit_second_layer(rows, coef, intercept, "relu", RUN)
    assert np.abs(network.coefs[1]).max() < 10
    assert_allclose(network.predict(rows.X), single.predict(rows.X), atol=1e-3)


def test_a_unit_that_is_never_on_stays_finite(rng):
    rows, (coef, intercept) = table(rng), layer(rng, k=3)
    intercept[1] = -100.0
    network = fit_second_layer(rows, coef, intercept, "relu", RUN)
    assert np.isfinite(network.coefs[1]).all()
    assert np.abs(network.coefs[1][1]).max() < 1e-6


@pytest.mark.parametrize("with_inputs", [False, True])
def test_the_weakest_unit_is_that_of_refits(rng, with_inputs):
    """Leave one out, and fit again: the unit that goes costs least, greedily."""
    k, d = 6, 3
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows, (coef, intercept) = table(rng, n=200), layer(rng, k=k)
        hidden = np.maximum(rows.X @ coef + intercept, 0)
        fixed = [np.ones((200, 1)), rows.X] if with_inputs else [np.ones((200, 1))]
        frame = as_they_are(d) if with_inputs else None
        moments = hidden_moments(rows, coef, intercept, "relu", frame)
        kept, coefficients = find_weakest_units(moments, d if with_inputs else 0, 3)
        expected = list(range(k))
        for _ in range(3):
            losses = [
                loss(
                    np.concatenate([*fixed, hidden[:, [i for i in expected if i != j]]], axis=1),
                    rows.Y,
                    rows.weight,
                )
                for j in expected
            ]
            expected.pop(int(np.argmin(losses)))
        assert kept.tolist() == expected
        features = np.concatenate([*fixed, hidden[:, kept]], axis=1)
        left = (rows.weight[:, None] * (rows.Y - features @ coefficients) ** 2).sum()
        assert left == pytest.approx(loss(features, rows.Y, rows.weight), rel=1e-5)


def test_units_added_to_the_true_ones_are_the_weakest(rng):
    coef, intercept = layer(rng, d=5, k=6)
    X = rng.standard_normal((500, 5))
    hidden = np.maximum(X @ coef + intercept, 0)
    Y = hidden[:, [1, 2, 5]] @ np.array([[1.0], [-2.0], [0.5]])
    moments = hidden_moments(Rows(X, Y, np.ones(500)), coef, intercept, "relu")
    assert find_weakest_units(moments, 0, 3)[0].tolist() == [1, 2, 5]
    assert find_weakest_units(moments, 0, 0)[0].tolist() == list(range(6))


@pytest.mark.parametrize("activation", ["relu", "softplus"])
@pytest.mark.parametrize("q", [1, 3])
def test_units_turned_round_are_turned_back(rng, activation, q):
    d, k = 6, 5
    teacher = planted_network(d, k, activation=activation, n_outputs=q, rng=rng)
    X, _ = sample_network(teacher, 500, rng=rng)
    rows = Rows(X, teacher.predict(X), np.ones(500))
    W, b = teacher.coefs[0], teacher.intercepts[0]
    patterns = [s for r in range(k + 1) for s in combinations(range(k), r)]
    for turned in [patterns[i] for i in rng.choice(len(patterns), 6, replace=False)] + [()]:
        sign = np.ones(k)
        sign[list(turned)] = -1
        moments = hidden_moments(rows, W * sign, b * sign, activation, as_they_are(d))
        kept, solved = find_weakest_units(moments, d, 0)
        assert len(kept) == k
        back = find_flipped_units(W * sign, activation, solved[1 : d + 1], solved[d + 1 :])
        assert_allclose(back, sign)
        found = fit_second_layer(rows, W * sign * back, b * sign * back, activation, RUN)
        assert_allclose(found.predict(X), rows.Y, atol=1e-4)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "erf", "squared_relu"])
def test_units_that_do_not_reflect_are_left_alone(rng, activation):
    coef, _ = layer(rng)
    assert_allclose(find_flipped_units(coef, activation, coef[:, :1], np.ones((5, 1))), 1)


@pytest.mark.parametrize("inputs", ["gaussian", "uniform", "mixture"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_units_are_read_off_data_of_any_law(rng, inputs, activation):
    teacher = planted_network(6, 4, activation=activation, rng=rng)
    X, y = sample_network(teacher, 6000, noise=0.02, rng=rng, inputs=inputs)
    W, b = teacher.coefs[0], teacher.intercepts[0]
    norm = np.linalg.norm(W, axis=0)
    asked = np.array([1.0, -1.0, -1.0, 1.0])
    sign, scale, bias = read_units_on_data(
        X @ (W / norm * asked), y[:, None], np.ones(6000), activation
    )
    coef = W / norm * asked * sign * scale
    rows = Rows(X, y[:, None], np.ones(6000))
    found = fit_second_layer(rows, coef, bias, activation, RUN)
    truth = teacher.predict(X)
    left = ((found.predict(X) - truth) ** 2).mean() / truth.var()
    assert left < 0.01
    assert direction_angles(coef, W).max() < 1e-5
    if activation == "relu":  # its scale is in the second layer, its sign in the linear part
        assert_allclose(sign, asked)
        assert_allclose(bias / scale, b, atol=0.25)
    else:
        assert_allclose(bias * sign * asked, b, atol=0.5)
        assert_allclose(np.log(scale / norm), 0, atol=0.5)


def test_reading_does_not_depend_on_the_scale_of_projections(rng):
    teacher = planted_network(4, 3, rng=rng)
    X, y = sample_network(teacher, 3000, rng=rng, inputs="uniform")
    P = X @ teacher.coefs[0]
    sign, scale, bias = read_units_on_data(P, y[:, None], np.ones(3000), "relu")
    other = read_units_on_data(1000 * P, y[:, None], np.ones(3000), "relu")
    assert_allclose(other[0], sign)
    assert_allclose(1000 * other[1], scale)
    assert_allclose(other[2], bias)


def test_units_are_read_off_projections_of_few_values(rng):
    P = rng.choice([-1.0, 1.0], (2000, 2))
    found = read_units_on_data(P, np.maximum(P[:, :1], 0), np.ones(2000), "relu")
    assert all(np.isfinite(part).all() for part in found)


def test_rows_of_no_weight_have_no_say(rng):
    teacher = planted_network(4, 2, rng=rng)
    X, y = sample_network(teacher, 3000, rng=rng, inputs="uniform")
    P, y = X @ teacher.coefs[0], y[:, None]
    weight = np.repeat([1.0, 0.0], [3000, 1000])
    wide = np.concatenate([P, 50 * rng.standard_normal((1000, 2))])
    found = read_units_on_data(wide, np.concatenate([y, np.zeros((1000, 1))]), weight, "relu")
    for ours, theirs in zip(found, read_units_on_data(P, y, np.ones(3000), "relu"), strict=True):
        assert_allclose(ours, theirs, rtol=0.02)
