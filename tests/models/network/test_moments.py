"""From rows to tensors: brute force, population identities, subspaces, noise."""

from itertools import permutations

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import subspace_angles

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.models.network import moments as moments_module
from spectral_nn.models.network.hermite import hermite_coefficients
from spectral_nn.models.network.moments import (
    network_moments,
    null_rows,
    solve_moments,
    subspace,
    summarise,
)
from spectral_nn.moments import frame as frame_module
from spectral_nn.moments.polynomial import NormalEquations
from spectral_nn.runners.base import SerialRunner, runner

RUN = SerialRunner()


def ones(X, Y):
    return Rows(X, Y.reshape(len(X), -1), np.ones(len(X)))


def table(rng, n=70, d=4, q=2):
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d)
    Y = np.maximum(X @ rng.standard_normal((d, q)), 0) + 0.1 * rng.standard_normal((n, q))
    return Rows(X, Y, np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0.2, 3.0, n)))


def planted(seed, d, k, n, **options):
    rng = np.random.default_rng(seed)
    sampling = {name: options.pop(name) for name in ("noise", "inputs") if name in options}
    teacher = planted_network(d, k, rng=rng, **options)
    X, y = sample_network(teacher, n, rng=rng, **sampling)
    return ones(X, y), teacher


def seen_through(rows, K, run=RUN, seed=0):
    """Frame of K dimensions, singular values, and the level that noise alone reaches."""
    seen = summarise(rows, run)
    return subspace(rows, seen, null_rows(rows, seen, np.random.default_rng(seed), run), K, run)


def tensors(rows, K, run=RUN):
    seen = summarise(rows, run)
    frame, values, _ = seen_through(rows, K, run)
    return network_moments(rows, frame, seen.columns.n_effective, run), values


def up_to_turns(moments):
    """What does not depend on the signs of singular vectors: tensors back in the columns."""
    P = to_numpy(moments.frame.whitener)
    # Signs of principal components of outputs are arbitrary as well, and so is their order.
    out = []
    for T in moments.tensors:
        for axis in range(T.ndim - 1):
            T = np.moveaxis(np.tensordot(P, T, axes=(1, axis)), 0, axis)
        flat = T.reshape(-1, T.shape[-1])
        out.append(flat @ flat.T)
    return out


def assert_same(found, expected, rtol):
    for a, b in zip(up_to_turns(found), up_to_turns(expected), strict=True):
        assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


def test_a_look_by_hand(rng):
    rows = table(rng, n=300)
    seen = summarise(rows, RUN)
    share = rows.weight / rows.weight.sum()
    Z, Y = seen.frame.inputs(rows.X), seen.frame.outputs(rows.Y)
    assert_allclose(seen.beta, np.einsum("n,ni,ns->is", share, Z, Y), atol=1e-10)
    mean = share @ rows.X
    x = (rows.X - mean) / np.sqrt(share @ (rows.X - mean) ** 2)
    assert_allclose(seen.kurtosis, share @ x**4, rtol=1e-10)
    gaussian = ones(rng.standard_normal((10**5, 2)), np.zeros(10**5))
    assert_allclose(summarise(gaussian, RUN).kurtosis, 3, atol=0.1)


@pytest.mark.parametrize("q", [1, 6])
def test_regression_on_whitened_inputs_for_many_outputs(rng, q, monkeypatch):
    """Beta is seen through the principal components of the outputs, if there are many."""
    monkeypatch.setattr(frame_module, "_MOST_OUTPUTS", 4)
    rows = table(rng, n=300, q=q)
    seen = summarise(rows, RUN)
    Z, Y = seen.frame.inputs(rows.X), seen.frame.outputs(rows.Y)
    share = rows.weight / rows.weight.sum()
    assert Y.shape == (300, min(q, 4))
    assert_allclose(seen.beta, np.einsum("n,ni,ns->is", share, Z, Y), atol=1e-8)


@pytest.mark.parametrize("q", [1, 2])
def test_tensors_are_moments_of_explicit_residuals(rng, q):
    rows = table(rng, q=q)
    found, _ = tensors(rows, 3)
    Z, Y = found.frame.inputs(rows.X), found.frame.outputs(rows.Y)
    n, K = Z.shape
    w = rows.weight / rows.weight.sum()
    products = np.einsum("ni,nj->nij", Z, Z)
    upper = np.triu_indices(K)
    features = np.column_stack([np.ones(n), Z, products[:, upper[0], upper[1]]])
    root = np.sqrt(w)[:, None]
    solved = np.linalg.lstsq(root * features, root * Y, rcond=None)[0]
    r = Y - features @ solved
    deviation = np.sqrt(w @ r**2)
    assert_allclose(found.residual, deviation, rtol=1e-9)
    T1, T2, T3, T4 = found.tensors
    assert_allclose(T1, solved[1 : K + 1] / deviation, atol=1e-8)
    hessian = np.zeros((K, K, q))
    for i, j, row in zip(*upper, solved[K + 1 :], strict=True):
        hessian[i, j] += row
        hessian[j, i] += row
    assert_allclose(T2, hessian / np.sqrt(2) / deviation, atol=1e-8)
    third = np.einsum("n,ns,ni,nj,nk->ijks", w, r, Z, Z, Z)
    assert_allclose(T3, third / np.sqrt(6) / deviation, atol=1e-8)
    fourth = np.einsum("n,ns,ni,nj,nk,nl->ijkls", w, r, Z, Z, Z, Z)
    assert_allclose(T4, fourth / np.sqrt(24) / deviation, atol=1e-8)
    assert found.noise == pytest.approx(np.sqrt(np.sum(rows.weight**2)) / rows.weight.sum())


def test_tensors_are_symmetric(rng):
    found, _ = tensors(table(rng), 3)
    for T in found.tensors[1:]:
        for places in permutations(range(T.ndim - 1)):
            assert_allclose(T, T.transpose(*places, T.ndim - 1), atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        ("relu", (0.02, 0.03, 0.1, 0.15)),
        ("tanh", (0.02, 0.1, 0.06, 0.3)),
        ("softplus", (0.02, 0.03, 0.15, 0.2)),
    ],
)
def test_tensors_of_a_planted_network_are_sums_over_units(activation, error):
    """Orders 1 to 4 are sum_j a_j c_m u_j^(x)m / (residual deviation), up to noise."""
    n = 150_000
    rows, teacher = planted(3, 4, 3, n, activation=activation, n_outputs=2, noise=0.0)
    found, _ = tensors(rows, 4)
    (W, A), (b, _) = teacher.coefs, teacher.intercepts
    s = np.linalg.norm(W, axis=0)
    c = hermite_coefficients(activation, s, b)
    A = A @ found.frame.y_map
    # Whitening is the identity up to noise, and the frame's basis a rotation.
    U = found.frame.whitener.T @ (W / s * found.frame.deviation[:, None])
    assert_allclose(np.linalg.norm(U, axis=0), 1, atol=0.02)
    outer = U
    for m, T in enumerate(found.tensors, 1):
        expected = np.tensordot(outer, c[:, m - 1, None] * A, axes=(-1, 0)) / found.residual
        assert np.linalg.norm(T - expected) < error[m - 1] * np.linalg.norm(expected)
        outer = outer[..., None, :] * U


def test_noise_of_all_orders_is_white():
    """Entries with distinct indices, of outputs that are noise: variance 1 / (n m!) each."""
    rng, n, values = np.random.default_rng(0), 2000, [[], [], [], []]
    for _ in range(60):
        rows = ones(rng.standard_normal((n, 4)), rng.standard_normal(n))
        seen = summarise(rows, RUN)
        found = network_moments(rows, seen.frame, n, RUN).tensors
        for m, T in enumerate(found):
            values[m].append(T[tuple(range(m + 1))][0])
    for m, size in enumerate((1, 2, 6, 24)):
        assert np.std(values[m]) * np.sqrt(n * size) == pytest.approx(1, abs=0.25)
    assert found[0].shape == (4, 1)


def test_fourth_moments_are_left_out_of_many_dimensions(rng):
    rows = ones(rng.standard_normal((1200, 31)), rng.standard_normal(1200))
    seen = summarise(rows, RUN)
    found = network_moments(rows, seen.frame, 1200, RUN)
    assert len(found.tensors) == 3
    assert found.tensors[2].shape == (31, 31, 31, 1)


@pytest.mark.parametrize("q", [1, 6])
def test_any_chunks_give_the_same(monkeypatch, q):
    rng = np.random.default_rng(5)
    monkeypatch.setattr(frame_module, "_MOST_OUTPUTS", 4)
    rows = table(rng, n=400, q=q)
    expected, values = tensors(rows, 3)
    chunks = Rows.chunks
    for size in (37, 399):
        monkeypatch.setattr(Rows, "chunks", lambda self, n_rows=size: chunks(self, n_rows))
        found, others = tensors(rows, 3)
        assert_allclose(others, values, rtol=1e-10)
        assert_allclose(found.residual, expected.residual, rtol=1e-10)
        assert_same(found, expected, 1e-9)


def test_workers_change_no_bit(rng):
    rows = table(rng, n=9000)
    expected, values = tensors(rows, 3)
    # In threads, which start faster; the recipe is tested with processes.
    with joblib.parallel_config("threading"), runner(2) as run:
        found, others = tensors(rows, 3, run)
        assert seen_through(rows, 3, run)[2] == seen_through(rows, 3)[2]
    assert_array_equal(others, values)
    for a, b in zip(found.tensors, expected.tensors, strict=True):
        assert_array_equal(a, b)


def test_sparse_rows_are_dense_rows(rng):
    rows = table(rng)
    rows = rows._replace(X=np.where(rng.random(rows.X.shape) < 0.5, 0, rows.X))
    expected, values = tensors(rows, 3)
    found, others = tensors(rows._replace(X=sparse.csr_array(rows.X)), 3)
    assert_allclose(others, values, rtol=1e-12)
    assert_same(found, expected, 1e-11)


def test_a_weight_is_a_row_many_times(rng):
    rows = table(rng, n=200)
    rows = rows._replace(weight=np.round(rows.weight))
    repeated = rows.take(np.repeat(np.arange(200), rows.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.X)))
    # In all dimensions: the noise in whose units subspaces are found is larger with weights.
    expected, _ = tensors(repeated, 4)
    found, _ = tensors(rows, 4)
    assert_same(found, expected, 1e-8)
    assert found.noise > expected.noise


def test_units_of_the_data_do_not_matter(rng):
    """A frame whitens: scales and places of columns and outputs change nothing."""
    rows = table(rng, n=200, q=1)
    moved = rows._replace(X=rows.X * [1e-6, 1.0, 30.0, 1e5] + [0, 1, 2, 1e6], Y=1e-4 * rows.Y + 7)
    expected, values = tensors(rows, 3)
    found, others = tensors(moved, 3)
    assert_allclose(others, values, rtol=1e-5)
    assert_allclose(found.residual, expected.residual, rtol=1e-5)
    for a, b in zip(found.tensors, expected.tensors, strict=True):
        assert np.linalg.norm(a) == pytest.approx(np.linalg.norm(b), rel=1e-5)


def test_namespaces_agree(xp, rng):
    rows = table(rng, n=200)
    expected, values = tensors(rows, 3)
    there = Rows(*(xp.asarray(part) for part in rows))
    found, others = tensors(there, 3)
    assert_allclose(others, values, rtol=1e-9)
    assert_same(found, expected, 1e-8)
    assert seen_through(there, 3)[2] == pytest.approx(seen_through(rows, 3)[2], rel=1e-9)


def test_single_precision(xp, rng):
    rows = table(rng, n=500)
    expected, values = tensors(rows, 3)
    there = Rows(*(xp.asarray(part.astype(np.float32)) for part in rows))
    found, others = tensors(there, 3)
    assert_allclose(others, values, rtol=1e-3)
    assert_same(found, expected, 1e-2)


@pytest.mark.parametrize(
    ("activation", "kind", "n", "degrees"),
    [
        ("relu", "mixed", 20_000, 12),
        ("relu", "orthonormal", 20_000, 12),
        ("tanh", "mixed", 20_000, 15),
        ("softplus", "mixed", 40_000, 35),
    ],
)
def test_the_subspace_holds_the_planted_directions(activation, kind, n, degrees):
    rows, teacher = planted(0, 20, 4, n, activation=activation, kind=kind)
    frame, values, _ = seen_through(rows, 4)
    assert frame.n_dimensions == 4
    assert (np.diff(values) <= 0).all()
    assert values.shape == (20,)
    found, _ = frame.pull_back(np.eye(4), 20)
    angles = np.degrees(subspace_angles(found, teacher.coefs[0]))
    assert angles.max() < degrees


def test_the_subspace_sharpens_with_rows():
    worst = []
    for n in (5_000, 80_000):
        angles = []
        for seed in range(3):
            rows, teacher = planted(seed, 12, 3, n)
            frame, _, _ = seen_through(rows, 3)
            found, _ = frame.pull_back(np.eye(3), 12)
            angles.append(np.degrees(subspace_angles(found, teacher.coefs[0])).max())
        worst.append(np.mean(angles))
    assert worst[1] < 0.45 * worst[0]  # n^-1/2: a quarter


def test_iterations_see_more_than_the_first_matrix(monkeypatch):
    """The whole third moments, against one slice of them."""
    angles = {}
    for n_passes in (0, 2):
        monkeypatch.setattr(moments_module, "_HOOI_PASSES", n_passes)
        angles[n_passes] = []
        for seed in range(4):
            rows, teacher = planted(seed, 20, 4, 8000, activation="tanh")
            found, _ = seen_through(rows, 4)[0].pull_back(np.eye(4), 20)
            angles[n_passes].append(np.degrees(subspace_angles(found, teacher.coefs[0])).mean())
    assert np.mean(angles[2]) < 0.8 * np.mean(angles[0])


def test_a_subspace_of_all_dimensions_turns_nothing_away(rng):
    rows = table(rng, n=200)
    frame, _, _ = seen_through(rows, 4)
    assert frame.n_dimensions == 4
    P, whitener = frame.whitener, summarise(rows, RUN).frame.whitener
    assert_allclose(P @ P.T, whitener @ whitener.T, atol=1e-9)


@pytest.mark.parametrize("k", [3, 4, 5])
def test_the_level_of_noise_tells_planted_directions(k):
    """On the whole exactly; one that is false now and then is the price."""
    counts = []
    for seed in range(6):
        rows, _ = planted(seed, 15, k, 40_000, kind="orthonormal")
        _, values, level = seen_through(rows, k)
        counts.append(int((values > 1.05 * level).sum()))
    assert set(counts) <= {k, k + 1}
    assert np.median(counts) == k


@pytest.mark.parametrize("n", [3000, 60_000])
def test_the_level_of_noise_is_that_of_noise(n):
    """Outputs that depend on nothing; more rows than signs are put on, too."""
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = ones(rng.standard_normal((n, 12)), rng.standard_normal(n))
        _, values, level = seen_through(rows, 4, seed=seed)
        ratios.append(values[0] / level)
        assert (values > 1.05 * level).sum() <= 2
    assert np.mean(ratios) == pytest.approx(0.95, abs=0.2)


def test_signs_take_the_signal():
    """And leave inputs, weights, and the size of the outputs as they are."""
    rows, _ = planted(0, 12, 3, 20_000)
    rows = rows._replace(weight=np.random.default_rng(0).uniform(0.5, 2, 20_000))
    seen = summarise(rows, RUN)
    null = null_rows(rows, seen, np.random.default_rng(0), RUN)
    assert_array_equal(null.rows.X, rows.X)
    assert_array_equal(null.rows.weight, rows.weight)
    assert_allclose(np.abs(seen.frame.outputs(null.rows.Y)), np.abs(seen.frame.outputs(rows.Y)))
    assert null.share == pytest.approx(np.sqrt(1 - (seen.beta**2).sum()))
    assert np.linalg.norm(summarise(null.rows, RUN).beta) < 0.06 < 0.5 < np.linalg.norm(seen.beta)
    _, values, level = seen_through(null.rows, 3)
    assert (values > 1.05 * level).sum() <= 2
    many = ones(np.random.default_rng(0).standard_normal((80_000, 3)), np.ones(80_000))
    few = null_rows(many, summarise(many, RUN), np.random.default_rng(0), RUN)
    assert len(few.rows.X) == 20_000
    assert few.share == pytest.approx(0.5)


def test_outputs_without_noise_or_signal_stay_finite(rng):
    X = rng.standard_normal((500, 4))
    for Y in (np.full(500, 2.0), X[:, 0] - 2 * X[:, 1]):
        found, values = tensors(ones(X, Y), 2)
        assert np.isfinite(values).all()
        assert all(np.isfinite(T).all() for T in found.tensors)


def test_products_that_do_not_vary_get_no_coefficient(rng):
    features = rng.standard_normal((50, 3))
    features = np.column_stack([features, features[:, 0]])
    y = features @ [[1.0], [2.0], [3.0], [1.0]]
    found = solve_moments(NormalEquations(features.T @ features, features.T @ y))
    assert_allclose(found[:, 0], [1, 2, 3, 1], atol=1e-8)
