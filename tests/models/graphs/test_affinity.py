"""Weights of edges: products by blocks, paths to sources, means of neighbours."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics.pairwise import rbf_kernel

from spectral_nn.models.graphs import affinity
from spectral_nn.models.graphs.affinity import (
    find_reached,
    make_graph,
    multiply,
    predict_rbf,
    rbf_graph,
    scale,
    symmetrise,
)
from spectral_nn.runners.base import SerialRunner, runner

RUN = SerialRunner()


@pytest.fixture
def never_dense(monkeypatch):
    """Weights of rbf graphs are made anew in every product, in blocks of odd sizes."""
    monkeypatch.setattr(affinity, "_MAX_DENSE", 0)
    monkeypatch.setattr(affinity, "_BLOCK", (7, 11))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_products_of_rbf_weights_are_those_of_the_matrix(rng, never_dense, kind):
    X, z = rng.normal(size=(50, 3)), rng.normal(size=(50, 4))
    left, right = rng.random((2, 50))
    graph = rbf_graph(kind(X), 0.7, RUN)
    W = rbf_kernel(X, gamma=0.7)
    np.fill_diagonal(W, 0)
    np.testing.assert_allclose(multiply(graph.weights, z, RUN), W @ z, atol=1e-13)
    np.testing.assert_allclose(graph.degrees, W.sum(axis=1), atol=1e-13)
    scaled = scale(graph.weights, left, right)
    expected = left[:, None] * (W @ (right[:, None] * z))
    np.testing.assert_allclose(multiply(scaled, z, RUN), expected, atol=1e-13)
    with runner(2) as threads:
        assert np.array_equal(multiply(scaled, z, threads), multiply(scaled, z, RUN))


def test_few_rows_have_their_weights_kept(rng):
    X = rng.normal(size=(30, 3))
    graph = rbf_graph(X, 0.7, RUN)
    W = rbf_kernel(X, gamma=0.7)
    assert graph.symmetric
    np.testing.assert_allclose(graph.weights + np.diag(graph.loops), W, atol=1e-13)


def test_memory_of_rbf_products_is_that_of_a_block(rng):
    X = rng.normal(size=(4000, 2))  # whose matrix of weights takes 128 MB
    tracemalloc.start()
    rbf_graph(X, 1.0, RUN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6


def test_products_by_threads_are_the_same_to_the_last_bit(rng, monkeypatch):
    monkeypatch.setattr(affinity, "_ROWS", 16)
    W = sparse.random_array((100, 100), density=0.1, rng=rng, format="csr")
    z = rng.normal(size=(100, 3))
    with runner(2) as threads:
        assert np.array_equal(multiply(W, z, threads), W @ z)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_loops_are_taken_off(rng, kind):
    W = rng.random((6, 6))
    graph = make_graph(kind(W))
    np.testing.assert_array_equal(graph.loops, W.diagonal())
    off = W - np.diag(W.diagonal())
    np.testing.assert_allclose(graph.degrees, off.sum(axis=1))
    np.testing.assert_allclose(graph.in_degrees, off.sum(axis=0))
    assert not graph.symmetric
    undirected = symmetrise(graph)
    assert undirected.symmetric
    assert symmetrise(undirected) is undirected
    np.testing.assert_allclose(undirected.degrees, (off + off.T).sum(axis=1) / 2)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("undirected", [False, True])
def test_reached_are_those_with_a_path(rng, kind, undirected):
    W = (rng.random((40, 40)) < 0.03).astype(float)
    if undirected:
        W = W + W.T
    sources = rng.random(40) < 0.1
    walks = np.linalg.matrix_power(np.eye(40) + W, 40) @ sources
    found = find_reached(make_graph(kind(W)), sources, RUN)
    np.testing.assert_array_equal(found, walks > 0)
    assert not found.all()


def test_means_of_neighbours_do_not_underflow(rng, monkeypatch):
    monkeypatch.setattr(affinity, "_ENTRIES", 40)
    X, shares, new = rng.normal(size=(20, 2)), rng.random((20, 3)), rng.normal(size=(15, 2))
    W = rbf_kernel(new, X, gamma=2.0)
    expected = W @ shares / W.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_rbf(X, 2.0, shares, new, RUN), expected, atol=1e-12)
    far = predict_rbf(X, 20.0, shares, np.array([[1e3, 0.0]]), RUN)
    np.testing.assert_allclose(far[0], shares[X[:, 0].argmax()])
