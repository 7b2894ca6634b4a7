"""Tensors for inputs that are not Gaussian: exact polynomials, mixtures, and no worse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.mixture import GaussianMixture

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.local import cubic_moments, find_components, mixture_moments
from spectral_nn.models.network.moments import network_moments, null_rows, subspace, summarise
from spectral_nn.runners.base import SerialRunner
from spectral_nn.tensors.shared_cp import shared_cp

RUN = SerialRunner()


def ones(X, Y):
    return Rows(X, Y.reshape(len(X), -1), np.ones(len(X)))


def gaussian(rows, K, run=RUN):
    seen = summarise(rows, run)
    null = null_rows(rows, seen, np.random.default_rng(0), run)
    frame, *_ = subspace(rows, seen, null, K, run)
    return network_moments(rows, frame, seen.columns.n_effective, run)


def angles(moments, k, teacher):
    found = shared_cp(moments.tensors, k, rng=np.random.default_rng(0))
    W, _ = moments.frame.pull_back(found.directions, teacher.coefs[0].shape[0])
    return direction_angles(W, teacher.coefs[0]).mean()


def cubic_sample(rng, n=400, d=4):
    """Rows of a cubic polynomial, and how its pieces depend on x; no entry is clipped."""
    X = rng.uniform(-1, 1, (n, d)) @ rng.standard_normal((d, d))
    U, a = rng.standard_normal((d, 3)), np.array([1.0, -2.0, 0.5])
    P = X @ U
    Y = np.stack([P**3 @ a + P[:, 0] ** 2 - P[:, 1], (P + 1) ** 3 @ a[::-1]], axis=1)
    return Rows(X, Y, rng.uniform(0.5, 2, n)), U, np.stack([a, a[::-1]], axis=1)


def test_cubics_of_a_cubic_are_its_derivatives(rng):
    """Whatever the law of the inputs: order 3 to rounding, and gradient and Hessian at 0."""
    rows, U, a = cubic_sample(rng)
    plain = gaussian(rows, 4)
    assert plain.frame.n_dimensions == 4
    found = cubic_moments(rows, plain, RUN)
    T1, T2, T3 = found.tensors
    # z = P^T x + shift, so that U^T x = V^T (z - shift).
    P, shift = plain.frame.pull_back(np.eye(4), 4)
    V = np.linalg.solve(P, U)
    scale = plain.residual / np.diag(plain.frame.y_map)
    third = 6 * np.einsum("ij,kj,lj,js->ikls", V, V, V, a) / np.sqrt(6) / scale
    assert_allclose(T3, third, atol=1e-6 * np.abs(third).max())
    at = -V.T @ shift  # U^T x at z = 0
    first = np.stack([3 * at**2 * a[:, 0], 3 * (at + 1) ** 2 * a[:, 1]], axis=1)
    first[:, 0] += [2 * at[0], -1, 0]
    assert_allclose(T1, V @ first / scale, atol=1e-6 * np.abs(T1).max())
    second = np.stack([6 * at * a[:, 0], 6 * (at + 1) * a[:, 1]], axis=1)
    second[:, 0] += [2, 0, 0]
    hessian = np.einsum("ij,kj,js->iks", V, V, second) / np.sqrt(2) / scale
    assert_allclose(T2, hessian, atol=1e-6 * np.abs(hessian).max())


def test_cubics_are_those_of_a_regression_written_out(rng):
    X = rng.standard_normal((300, 3))
    rows = Rows(X, np.tanh(2 * X[:, :1] - X[:, 1:2]), rng.uniform(0.5, 2, 300))
    plain = gaussian(rows, 3)
    found = cubic_moments(rows, plain, RUN)
    Z, y = plain.frame.inputs(X), plain.frame.outputs(rows.Y)
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    triples = [(i, j, k) for i in range(3) for j in range(i, 3) for k in range(j, 3)]
    features = np.column_stack(
        [np.ones(300), Z, *(Z[:, p].prod(axis=1) for p in (*map(list, pairs), *map(list, triples)))]
    )
    root = np.sqrt(rows.weight)[:, None]
    solved = np.linalg.lstsq(root * features, root * y, rcond=None)[0][:, 0]
    third = found.tensors[2][..., 0] * np.sqrt(6) * plain.residual
    # The value of a symmetric tensor at z is six times that of its part of the polynomial.
    z = rng.standard_normal(3)
    value = sum(
        c * z[list(t)].prod() for c, t in zip(solved[-len(triples) :], triples, strict=True)
    )
    assert np.einsum("ijk,i,j,k", third, z, z, z) == pytest.approx(6 * value)
    assert_allclose(third, third.transpose(1, 2, 0), atol=1e-12)
    assert_allclose(third, third.transpose(1, 0, 2), atol=1e-12)


def test_cubics_need_rows_and_few_dimensions(rng):
    X = rng.standard_normal((200, 8))
    rows = ones(X, np.maximum(X[:, 0], 0))
    assert cubic_moments(rows, gaussian(rows, 8), RUN) is None  # 165 products
    assert cubic_moments(rows, gaussian(rows, 4), RUN) is not None  # 35
    X = rng.standard_normal((6000, 20))
    rows = ones(X, np.maximum(X[:, 0], 0))
    assert cubic_moments(rows, gaussian(rows, 20), RUN) is None  # 1771


def test_any_chunks_give_the_same(rng, monkeypatch):
    rows, _, _ = cubic_sample(rng)
    mixture = GaussianMixture(2, random_state=0).fit(rows.X)
    plain = gaussian(rows, 4)
    cubic, local = (
        cubic_moments(rows, plain, RUN),
        mixture_moments(rows, plain, mixture, RUN),
    )
    whole = Rows.chunks
    monkeypatch.setattr(Rows, "chunks", lambda self: whole(self, 77))
    parts = rows._replace(X=sparse.csr_array(rows.X))
    for found, expected in (
        (cubic_moments(parts, plain, RUN), cubic),
        (mixture_moments(parts, plain, mixture, RUN), local),
    ):
        for a, b in zip(found.tensors, expected.tensors, strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-8 * np.abs(b).max())


def test_a_weight_is_a_row_many_times(rng):
    rows, _, _ = cubic_sample(rng)
    rows = rows._replace(weight=rng.integers(0, 4, 400).astype(float))
    repeated = rows.take(np.repeat(np.arange(400), rows.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.X)))
    mixture = GaussianMixture(2, random_state=0).fit(rows.X)
    plain = gaussian(rows, 4)
    for found, expected in (
        (cubic_moments(rows, plain, RUN), cubic_moments(repeated, plain, RUN)),
        (
            mixture_moments(rows, plain, mixture, RUN),
            mixture_moments(repeated, plain, mixture, RUN),
        ),
    ):
        for a, b in zip(found.tensors, expected.tensors, strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-8 * np.abs(b).max())


def test_mixture_slices_are_regressions_inside_the_components(rng):
    X = np.concatenate([rng.normal(-3, 0.5, (300, 2)), rng.normal(2, 0.5, (500, 2))])
    y = np.where(X[:, 0] < 0, X[:, 0] + 2 * X[:, 1] ** 2, 3 * X[:, 0] * X[:, 1])
    rows = ones(X, y)
    plain = gaussian(rows, 2)
    mixture = GaussianMixture(2, random_state=0).fit(plain.frame.inputs(X))
    found = mixture_moments(rows, plain, mixture, RUN)
    assert [T.shape[-1] for T in found.tensors] == [3, 3, 1, 1]
    for m in range(4):
        assert_allclose(found.tensors[m][..., :1], plain.tensors[m])
    P, _ = plain.frame.pull_back(np.eye(2), 2)
    Q = np.linalg.inv(P)
    first = int(mixture.predict(plain.frame.inputs(X[:1]))[0])
    for component, hessian in ((first, [[0, 0], [0, 4]]), (1 - first, [[0, 3], [3, 0]])):
        slices = found.tensors[1][..., 1 + component]
        share = mixture.weights_[component]
        expected = Q @ np.array(hessian) @ Q.T * plain.frame.y_map[0, 0]
        assert_allclose(
            slices,
            np.sqrt(share / 2) * expected / plain.residual,
            atol=2e-2 * np.abs(slices).max(),
        )


def clouds(rng, n, d, n_components):
    """Gaussian clouds two deviations from their middle."""
    middles = 4 * np.eye(n_components, d)
    return middles[rng.integers(0, n_components, n)] + rng.standard_normal((n, d))


@pytest.mark.parametrize(("n_components", "found"), [(1, None), (2, 2), (3, 3)])
def test_components_are_found_where_there_are_some(rng, n_components, found):
    X = clouds(rng, 3000, 4, n_components)
    rows = ones(X, X[:, 0])
    mixture = find_components(rows, summarise(rows, RUN).frame, 0)
    assert getattr(mixture, "n_components", None) == found


def test_components_of_few_rows_are_not_looked_for(rng):
    """Each has to carry a regression on all quadratics."""
    X = rng.standard_normal((150, 6)) + 6 * rng.integers(0, 2, (150, 1))
    rows = ones(X, X[:, 0])
    assert find_components(rows, summarise(rows, RUN).frame, 0) is None
    small = np.concatenate([rng.standard_normal((2000, 6)), 9 + rng.standard_normal((40, 6))])
    rows = ones(small, small[:, 0])
    assert find_components(rows, summarise(rows, RUN).frame, 0) is None


def test_the_same_seed_finds_the_same_components(rng):
    X = clouds(rng, 3000, 4, 3)
    rows = ones(X, X[:, 0])
    frame = summarise(rows, RUN).frame
    one, two = (find_components(rows, frame, 3) for _ in range(2))
    assert_allclose(one.means_, two.means_, rtol=0, atol=0)


def compared(activation, inputs, kinds="plain local cubic", seeds=5):
    """Mean angles of Gaussian, mixture-local and cubic moments, over some networks."""
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        teacher = planted_network(8, 3, activation=activation, rng=rng)
        X, y = sample_network(teacher, 12_000, rng=rng, inputs=inputs)
        rows = ones(X, y)
        plain = gaussian(rows, 3)
        mixture = find_components(rows, plain.frame, 0)
        found = {"plain": plain, "local": plain}
        if mixture is not None:
            found["local"] = mixture_moments(rows, plain, mixture, RUN)
        if "cubic" in kinds:
            found["cubic"] = cubic_moments(rows, plain, RUN)
        errors.append([angles(found[kind], 3, teacher) for kind in kinds.split()])
    return np.mean(errors, axis=0)


def test_mixtures_are_seen_better_from_inside():
    for activation in ("relu", "tanh"):
        plain, local = compared(activation, "mixture", "plain local")
        assert local < 1.02 * plain
        assert local < 12


def test_uniform_inputs_are_seen_better_by_cubics():
    plain, local, cubic = compared("tanh", "uniform")
    assert cubic < 0.8 * plain
    assert local < 0.9 * plain


def test_gaussian_inputs_are_seen_well_by_cubics_too():
    plain, local, cubic = compared("tanh", "gaussian")
    assert local == plain  # one component
    assert cubic < 1.5 * plain < 6


def test_namespaces_agree(xp, rng):
    rows, _, _ = cubic_sample(rng)
    plain = gaussian(rows, 4)
    mixture = GaussianMixture(2, random_state=0).fit(rows.X)
    there = Rows(*(xp.asarray(part) for part in rows))
    for found, expected in (
        (cubic_moments(there, plain, RUN), cubic_moments(rows, plain, RUN)),
        (mixture_moments(there, plain, mixture, RUN), mixture_moments(rows, plain, mixture, RUN)),
    ):
        for a, b in zip(found.tensors, expected.tensors, strict=True):
            assert_allclose(to_numpy(a), b, rtol=0, atol=1e-8 * np.abs(b).max())
