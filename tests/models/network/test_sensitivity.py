"""Sobol' indices and active subspaces against closed forms, quadrature and simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from spectral_nn.datasets import planted_network
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.sensitivity import active_subspace, sobol_indices

KINKED = {"relu", "squared_relu"}
D, K = 6, 5


def parts(network):
    return network.coefs, network.intercepts, network.activation


def on_standard_inputs(network, mean, variance):
    """The same function of standard normal inputs."""
    W, A = network.coefs
    b, c = network.intercepts
    W_scaled = W * np.sqrt(variance)[:, None]
    return Network((W_scaled, A), (b + mean @ W, c), network.activation, "identity")


def gradients(network, X, output=0):
    """Gradients (n, d) of an output."""
    Z = X @ network.coefs[0] + network.intercepts[0]
    activation = ACTIVATIONS[network.activation]
    slopes = activation.derivative(Z, activation.value(Z)) * network.coefs[1][:, output]
    return slopes @ network.coefs[0].T


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_indices_agree_with_jansens_estimator(activation, rng):
    """Within four standard errors of the differences' squares, 12 indices each."""
    network = planted_network(D, K, activation=activation, n_outputs=2, rng=rng)
    mean, deviation = rng.uniform(-0.5, 0.5, D), rng.uniform(0.5, 2, D)
    found = sobol_indices(*parts(network), mean=mean, variance=deviation**2)
    n = 50_000
    A, B = (mean + deviation * rng.standard_normal((n, D)) for _ in range(2))
    f, g = network.decision(A), network.decision(B)
    assert_allclose(found.variance, f.var(axis=0), rtol=0.1)
    for column in range(D):
        C = A.copy()
        C[:, column] = B[:, column]
        h = network.decision(C)
        total = (f - h) ** 2 / (2 * found.variance)
        rest = (g - h) ** 2 / (2 * found.variance)
        for simulated, exact in (
            (total, found.total[:, column]),
            (rest, 1 - found.first[:, column]),
        ):
            error = simulated.std(axis=0) / np.sqrt(n)
            assert (np.abs(simulated.mean(axis=0) - exact) < 4 * error + 1e-9).all()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_variance_of_one_unit(activation):
    """One column and one unit: all is explained, and the variance is that of the unit."""
    coefs, intercepts = (np.array([[1.7]]), np.array([[-2.0]])), (np.array([0.4]), np.zeros(1))
    found = sobol_indices(coefs, intercepts, activation)
    t = stats.norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    assert_allclose(found.first, 1, atol=1e-6)
    assert_allclose(found.total, 1, atol=1e-6)
    unit = -2 * ACTIVATIONS[activation].value(1.7 * t + 0.4)
    assert_allclose(found.variance, unit.var(), rtol=2e-3)
    assert (found.remainder < 1e-6).all()


def test_linear_network_by_hand(rng):
    W, A = rng.standard_normal((D, K)), rng.standard_normal((K, 2))
    variance = rng.uniform(0.5, 3, D)
    found = sobol_indices((W, A), (np.ones(K), np.ones(2)), "identity", mean=3.0, variance=variance)
    parts_of_variance = ((W @ A) ** 2 * variance[:, None]).T
    assert_allclose(found.variance, parts_of_variance.sum(axis=1))
    expected = parts_of_variance / parts_of_variance.sum(axis=1, keepdims=True)
    assert_allclose(found.first, expected)
    assert_allclose(found.total, expected)


def test_squares_by_hand(rng):
    """f = x^T M x + m^T x: main effects 2 M_ii^2 + m_i^2, interactions 4 M_ij^2."""
    W, a, b = rng.standard_normal((D, K)), rng.standard_normal((K, 1)), rng.standard_normal(K)
    found = sobol_indices((W, a), (b, np.zeros(1)), "square")
    M, m = (W * a[:, 0]) @ W.T, 2 * W @ (a[:, 0] * b)
    main = 2 * np.diag(M) ** 2 + m**2
    interactions = 4 * (M**2).sum(axis=1) - 4 * np.diag(M) ** 2
    whole = main.sum() + interactions.sum() / 2
    assert_allclose(found.variance, whole)
    assert_allclose(found.first[0], main / whole)
    assert_allclose(found.total[0], (main + interactions) / whole)
    pair = sobol_indices((W, a), (b, np.zeros(1)), "square", groups=[[0, 3], range(D)])
    assert_allclose(pair.first[0, 0], (main[0] + main[3] + 4 * M[0, 3] ** 2) / whole)
    assert_allclose(pair.first[0, 1], 1)
    assert_allclose(pair.total[0, 1], 1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_group_and_the_rest_share_the_variance(activation, rng):
    network = planted_network(D, K, activation=activation, rng=rng)
    found = sobol_indices(*parts(network), groups=[[0, 1], [2, 3, 4, 5]])
    assert_allclose(found.first + found.total[:, ::-1], 1, atol=1e-6)
    each = sobol_indices(*parts(network))
    alone = sobol_indices(*parts(network), groups=[[i] for i in range(D)])
    assert_allclose(alone.first, each.first)
    assert (each.first <= each.total + 1e-9).all()


def test_opposite_units_make_an_absolute_value():
    """relu(t) + relu(-t): correlation -1, where a series would be slow; the variance is known."""
    W, a = np.array([[0.6, -0.6], [0.8, -0.8]]), np.ones((2, 1))
    found = sobol_indices((W, a), (np.zeros(2), np.zeros(1)), "relu")
    assert_allclose(found.variance, 1 - 2 / np.pi, atol=1e-5)
    C = active_subspace((W, a), (np.zeros(2), np.zeros(1)), "relu").matrix[0]
    assert_allclose(C, np.outer([0.6, 0.8], [0.6, 0.8]), atol=1e-5)


def test_arc_cosine_kernel(rng):
    """Mean products of ReLUs and of their steps without biases (Cho, Saul, NeurIPS 2009)."""
    W = rng.standard_normal((3, 2))
    W /= np.linalg.norm(W, axis=0)
    angle = np.arccos(W[:, 0] @ W[:, 1])
    a = np.ones((2, 1))
    product = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    variance = 2 * (0.5 - 0.5 / np.pi) + 2 * (product - 0.5 / np.pi)
    zero = (np.zeros(2), np.zeros(1))
    assert_allclose(sobol_indices((W, a), zero, "relu").variance, variance, atol=1e-5)
    both = (np.pi - angle) / (2 * np.pi)
    C = 0.5 * W @ W.T + both * (np.outer(*W.T) + np.outer(*W.T).T)
    assert_allclose(active_subspace((W, a), zero, "relu").matrix[0], C, atol=1e-5)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_subspace_agrees_with_simulated_gradients(activation, rng):
    network = planted_network(D, K, activation=activation, n_outputs=2, rng=rng)
    root = rng.standard_normal((D, D)) / 2
    mean, covariance = rng.uniform(-0.5, 0.5, D), root @ root.T + 0.2 * np.eye(D)
    found = active_subspace(*parts(network), mean=mean, covariance=covariance)
    X = mean + rng.standard_normal((40_000, D)) @ np.linalg.cholesky(covariance).T
    for output in range(2):
        g = gradients(network, X, output) * found.deviation
        C = g.T @ g / len(g)
        spread = np.einsum("ni,nj->nij", g[:4000], g[:4000]).std(axis=0)
        error = spread / np.sqrt(len(g))
        assert (np.abs(found.matrix[output] - C) < 5 * error + 1e-6).all()
        V = found.directions[output]
        assert_allclose(V.T @ V, np.eye(K), atol=1e-12)
        assert (np.diff(found.eigenvalues[output]) <= 0).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_law_of_the_inputs_is_a_change_of_variables(activation, rng):
    network = planted_network(D, K, activation=activation, rng=rng)
    mean, variance = rng.uniform(-1, 1, D), rng.uniform(0.3, 2, D)
    same = on_standard_inputs(network, mean, variance)
    ours = sobol_indices(*parts(network), mean=mean, variance=variance)
    assert_allclose(ours.total, sobol_indices(*parts(same)).total, atol=1e-12)
    subspace = active_subspace(*parts(network), mean=mean, covariance=variance)
    assert_allclose(subspace.matrix, active_subspace(*parts(same)).matrix, atol=1e-12)
    full = active_subspace(*parts(network), mean=mean, covariance=np.diag(variance))
    assert_allclose(full.matrix, subspace.matrix, atol=1e-12)


def test_more_units_than_columns(rng):
    network = planted_network(2, 5, rng=rng)
    found = active_subspace(*parts(network))
    assert found.directions.shape == (1, 2, 2)
    g = gradients(network, rng.standard_normal((50_000, 2)))
    assert_allclose(found.matrix[0], g.T @ g / len(g), atol=0.03)


def test_steep_units_state_what_is_left_out():
    """tanh(60 t) is nearly a step: its Hermite series ends nowhere, and the bound says so."""
    coefs = (np.array([[36.0], [48.0]]), np.ones((1, 1)))
    found = sobol_indices(coefs, (np.array([0.2]), np.zeros(1)), "tanh")
    assert 1e-3 < found.remainder[0] < 0.1
    # of a step, Var E[f|x_1] = 4 P(t, t' < 0) - 1 with correlation 0.36
    step = 2 * np.arcsin(0.36) / np.pi
    assert abs(found.first[0, 0] - step) < found.remainder[0]


def test_what_does_not_vary():
    W, a = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [2.0, 3.0]])
    coefs, intercepts = (W, a), (np.array([0.5, 1.0]), np.zeros(2))
    found = sobol_indices(coefs, intercepts, "tanh")
    assert_allclose(found.first[0], [1, 0], atol=1e-12)
    assert_allclose(found.total[0], [1, 0], atol=1e-12)
    assert np.isnan(found.first[1]).all()
    assert found.variance[1] == 0
    C = active_subspace(coefs, intercepts, "tanh").matrix
    assert_allclose(C[1], 0, atol=1e-12)
    still = sobol_indices(coefs, intercepts, "relu", variance=[1.0, 0.0])
    assert_allclose(still.total[0], [1, 0], atol=1e-12)
