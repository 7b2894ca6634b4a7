"""Labels on a graph: three solvers against the closed form, and where each is at its limits."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import cKDTree

from spectral_nn.models.graphs import affinity
from spectral_nn.models.graphs.affinity import make_graph, rbf_graph, symmetrise
from spectral_nn.models.graphs.labels import LabelOptions, label
from spectral_nn.runners.base import SerialRunner, runner

RUN = SerialRunner()
SOLVERS = ("cg", "power", "eigen")


def closed_form(W, given, alpha):
    """Distributions by a dense solver; alpha None: clamped (W has no loops)."""
    degrees = W.sum(axis=1)
    if alpha is None:
        u = ~given.any(axis=1)
        F = given.copy()
        F[u] = np.linalg.solve(np.diag(degrees[u]) - W[np.ix_(u, u)], W[np.ix_(u, ~u)] @ given[~u])
    else:
        F = np.linalg.solve(np.eye(len(W)) - alpha * W / np.sqrt(np.outer(degrees, degrees)), given)
    return F / F.sum(axis=1, keepdims=True)


def planted(rng, n=120, n_classes=3):
    """Points of the plane, and distributions of some labels, a few of them soft."""
    X = rng.normal(size=(n, 2))
    given = np.zeros((n, n_classes))
    known = rng.choice(n, 20, replace=False)
    given[known] = rng.dirichlet(np.ones(n_classes), 20)
    given[known[4:]] = np.eye(n_classes)[rng.integers(0, n_classes, 16)]
    return X, given


def solve(graph, given, alpha, solver="cg", **how):
    how = {"tol": 1e-11, "max_iter": 20_000, "n_eigenvectors": len(given), **how}
    rng = np.random.default_rng(0)
    return label(graph, given, LabelOptions(alpha, solver, **how), rng=rng, run=RUN)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [None, 0.2, 0.99])
@pytest.mark.parametrize("kind", ["sparse", "dense", "in blocks"])
def test_every_solver_is_exact(rng, monkeypatch, solver, alpha, kind):
    monkeypatch.setattr(affinity, "_MAX_DENSE", 0 if kind == "in blocks" else 1 << 26)
    X, given = planted(rng)
    graph = rbf_graph(X, 2.0, RUN)
    W = np.exp(-2.0 * ((X[:, None] - X) ** 2).sum(axis=2)) - np.eye(len(X))
    if kind == "sparse":
        W *= W > 0.1
        W += 1e-3 * (np.eye(len(X), k=1) + np.eye(len(X), k=-1))
        graph = make_graph(sparse.csr_array(W))
    found = solve(graph, given, alpha, solver)
    np.testing.assert_allclose(found.distributions, closed_form(W, given, alpha), atol=1e-8)
    assert found.converged
    assert found.residual < 1e-9


def test_conjugate_gradients_need_a_fraction_of_the_steps(rng):
    X, given = planted(rng)
    graph = rbf_graph(X, 2.0, RUN)
    for alpha in (None, 0.99):
        flow, direct = (solve(graph, given, alpha, solver).n_iter for solver in ("power", "cg"))
        assert direct < flow / 5


@pytest.mark.parametrize("solver", ["cg", "power"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_reach_the_ends_of_a_long_path(solver, dtype):
    """With alpha = .2 what a vertex hears falls tenfold a step: soon below all rounding."""
    n = 61
    W = sparse.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1]).tocsr().astype(dtype)
    given = np.zeros((n, 2), dtype)
    given[0, 0] = given[-1, 1] = 1
    found = solve(make_graph(W), given, 0.2, solver, tol=1e-3)
    assert found.converged
    assert found.distributions.dtype == dtype
    np.testing.assert_array_equal(found.distributions.argmax(axis=1)[:30], 0)
    np.testing.assert_array_equal(found.distributions.argmax(axis=1)[31:], 1)


def test_a_cluster_that_hardly_hears_of_labels_gets_those_it_hears():
    """Weights of 1e-20 beside weights of 1 are lost in a residual, and not in a ratio."""
    W = np.zeros((6, 6))
    W[2:, 2:] = 1
    W[0, 2] = W[2, 0] = 1e-20
    W[1, 5] = W[5, 1] = 3e-20
    W -= np.diag(W.diagonal())
    given = np.zeros((6, 2))
    given[0, 0] = given[1, 1] = 1
    found = solve(make_graph(W), given, None, tol=1e-3)
    np.testing.assert_array_equal(found.distributions.argmax(axis=1), [0, 1, 1, 1, 1, 1])


def test_rows_without_a_path_get_the_shares_of_what_is_known():
    parts = [sparse.coo_array(np.ones((n, n))) for n in (3, 2, 1)]
    W = sparse.block_diag(parts, format="csr")
    given = np.zeros((6, 2))
    given[0, 0] = 1
    given[1] = [0.5, 0.5]
    for alpha in (None, 0.5):
        for solver in SOLVERS:
            found = solve(make_graph(sparse.csr_array(W)), given, alpha, solver)
            np.testing.assert_array_equal(found.reached, [True] * 3 + [False] * 3)
            np.testing.assert_allclose(found.distributions[3:], [[0.75, 0.25]] * 3)
            np.testing.assert_allclose(found.distributions[2, 0], 0.75, atol=0.1)


def test_what_is_left_is_reported(rng):
    X, given = planted(rng)
    graph = rbf_graph(X, 2.0, RUN)
    for solver in ("cg", "power"):
        found = solve(graph, given, 0.99, solver, max_iter=3)
        assert not found.converged
        assert found.n_iter == 3
        assert found.residual > 1e-3
    few = solve(graph, given, 0.99, "eigen", n_eigenvectors=10)
    assert few.residual > 1e-3


def test_workers_change_no_bit(rng, monkeypatch):
    monkeypatch.setattr(affinity, "_MAX_DENSE", 0)
    monkeypatch.setattr(affinity, "_BLOCK", (16, 16))
    X, given = planted(rng)
    with runner(2) as threads:
        graph = rbf_graph(X, 2.0, threads)
        options = LabelOptions(0.9)
        shared = label(graph, given, options, rng=rng, run=threads).distributions
    alone = label(rbf_graph(X, 2.0, RUN), given, options, rng=rng, run=RUN).distributions
    assert np.array_equal(shared, alone)


def spirals(rng, n):
    """Two arms of a thin spiral, n points."""
    arm = np.arange(n) % 2
    angle = 4 * np.pi * np.sqrt(rng.random(n)) + 1
    radius = angle * (1 - 2 * arm)
    X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return X + 0.1 * rng.normal(size=X.shape), arm


def test_few_eigenvectors_fail_on_thin_manifolds(rng):
    n = 2000
    X, arm = spirals(rng, n)
    nearest = cKDTree(X).query(X, 8)[1]
    W = sparse.csr_array((np.ones(nearest.size), (np.repeat(np.arange(n), 8), nearest.ravel())))
    graph = symmetrise(make_graph(W))
    known = rng.choice(n, 20, replace=False)
    given = np.zeros((n, 2))
    given[known, arm[known]] = 1
    exact = solve(graph, given, 0.99, tol=1e-3)
    few = solve(graph, given, 0.99, "eigen", n_eigenvectors=5, max_iter=200)
    assert (exact.distributions.argmax(axis=1) == arm).mean() > 0.98
    assert (few.distributions.argmax(axis=1) == arm).mean() < 0.8
    assert few.residual > 100 * exact.residual
