"""The textbook algorithm: exact on exact moments, close on samples, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.lift import lift as lift_rows
from spectral_nn.moments.scores import GaussianMixtureScore, GaussianScore
from spectral_nn.results import RankWarning
from spectral_nn.runners.base import SerialRunner, runner
from spectral_nn.tensors import match_components

MIXTURE = GaussianMixtureScore(
    np.array([0.6, 0.4]),
    np.array([[0.8, -0.5], [-1.2, 0.75]]),
    np.array([[[0.8, 0.2], [0.2, 0.6]], [[0.5, -0.2], [-0.2, 1.0]]]),
)


def lift(X, y, *args, sample_weight=None, run=None, **options):
    Y = y[:, None] if y.ndim == 1 else y
    return lift_rows(Rows.of(X, Y, sample_weight), *args, run=run or SerialRunner(), **options)


def unit_columns(W):
    return W / np.linalg.norm(W, axis=0)


def network(activation, W, a, b):
    a = np.asarray(a, dtype=float).reshape(len(b), -1)
    intercepts = (np.asarray(b, dtype=float), np.arange(1.0, 1 + a.shape[1]))
    return Network((unit_columns(W), a), intercepts, activation, "identity")


def population(score, d, reach=7.5, step=0.3):
    """Grid and weights on which means of smooth functions are those under the density."""
    axis = np.arange(-reach, reach + step / 2, step)
    X = np.stack([a.ravel() for a in np.meshgrid(*[axis] * d, indexing="ij")], axis=1)
    weight = np.exp(score.log_density(X))
    return X, weight / weight.sum()


def assert_same_network(found, true, *, atol):
    """Units in the order of the true ones, and with their signs if the activation is odd."""
    found_W, true_W = to_numpy(found.coefs[0]), true.coefs[0]
    order = match_components(true_W.T, found_W.T, cost="cosine")
    signs = np.ones(len(order))
    if true.activation in ("tanh", "erf"):
        signs = np.sign(np.sum(found_W[:, order] * true_W, axis=0))
    assert_allclose(found_W[:, order] * signs, true_W, atol=atol)
    assert_allclose(to_numpy(found.intercepts[0])[order] * signs, true.intercepts[0], atol=atol)
    assert_allclose(to_numpy(found.coefs[1])[order] * signs[:, None], true.coefs[1], atol=4 * atol)
    assert_allclose(to_numpy(found.intercepts[1]), true.intercepts[1], atol=4 * atol)


W3 = np.array([[1.0, 0.3, -0.2], [0.2, 1.0, 0.1], [-0.1, 0.4, 1.0]])


@pytest.mark.parametrize("whitening", ["auto", "slice"])
@pytest.mark.parametrize(
    ("activation", "a", "b"),
    [
        ("tanh", [1.0, 0.7, 1.4], [0.5, 0.3, 0.8]),
        ("tanh", [1.0, -0.7, 1.4], [0.0, -0.3, 0.8]),
        ("erf", [0.9, 0.7, 1.4], [0.5, 0.1, -0.2]),
        ("softplus", [1.0, 0.7, 1.4], [0.9, 1.3, 0.6]),
        ("softplus", [1.0, -0.7, 1.4], [0.9, -1.3, 0.6]),
        ("tanh", [[1.0, 0.2], [0.7, -1.0], [-0.4, 1.4]], [0.5, 0.3, 0.8]),
    ],
)
def test_exact_moments_give_the_network(rng, activation, a, b, whitening):
    true = network(activation, W3, a, b)
    score = GaussianScore(np.zeros(3), np.eye(3))
    X, weight = population(score, 3)
    result = lift(
        X,
        true.decision(X),
        3,
        activation,
        score=score,
        rng=rng,
        sample_weight=weight,
        whitening=whitening,
    )
    assert result.whitener.definite
    assert result.residual < 1e-5
    assert direction_angles(result.network.coefs[0], true.coefs[0]).max() < 1e-2
    assert_same_network(result.network, true, atol=2e-3)


def test_an_indefinite_whitening_leaves_an_error(rng):
    true = network("softplus", W3, [1.0, -0.7, 1.4], [0.9, 1.3, 0.6])
    score = GaussianScore(np.zeros(3), np.eye(3))
    X, weight = population(score, 3)
    y = true.decision(X)
    options = {"score": score, "rng": rng, "sample_weight": weight}
    second = lift(X, y, 3, "softplus", whitening="second", **options)
    assert not second.whitener.definite
    assert direction_angles(second.network.coefs[0], true.coefs[0]).max() > 1
    auto = lift(X, y, 3, "softplus", **options)
    assert (auto.whitener.kind, auto.whitener.definite) == ("slice", True)


def test_inputs_need_their_own_score(rng):
    true = network("tanh", np.array([[1.0, 0.6], [-0.3, 1.0]]), [1.0, 0.8], [0.6, 0.4])
    X, weight = population(MIXTURE, 2, step=0.1)
    options = {"rng": rng, "sample_weight": weight}
    y = true.decision(X)[:, 0]
    right = lift(X, y, 2, "tanh", score=MIXTURE, **options)
    assert_same_network(right.network, true, atol=2e-3)
    mean = weight @ X
    gaussian = GaussianScore(mean, ((X - mean) * weight[:, None]).T @ (X - mean))
    wrong = lift(X, y, 2, "tanh", score=gaussian, **options)
    assert direction_angles(wrong.network.coefs[0], true.coefs[0]).max() > 5


@pytest.mark.parametrize(("activation", "bias"), [("tanh", 0.5), ("relu", 1.0)])
def test_a_sample_gives_the_network_roughly(rng, activation, bias):
    W = np.eye(8)[:, :4] + 0.1 * rng.standard_normal((8, 4))
    true = network(activation, W, [1.0, 0.7, 1.3, 0.9], np.full(4, bias))
    mean, root = np.arange(8) / 8, np.diag(np.linspace(0.8, 1.2, 8))
    root[1, 0] = root[5, 2] = 0.3
    X = rng.standard_normal((100_000, 8)) @ root.T + mean
    # seen from the middle of the data
    shift = Network(
        true.coefs, (bias - mean @ true.coefs[0], true.intercepts[1]), activation, "identity"
    )
    f = shift.decision(X)[:, 0]
    y = f + 0.05 * f.std() * rng.standard_normal(len(f))
    found = lift(X, y, 4, activation, score=GaussianScore.fit(X), rng=rng).network
    assert direction_angles(found.coefs[0], true.coefs[0]).mean() < 10  # 20 and more unrotated
    assert np.mean((found.decision(X)[:, 0] - f) ** 2) < 0.04 * f.var()


@pytest.fixture
def small(rng):
    X = rng.standard_normal((9000, 4))
    true = network("tanh", np.eye(4)[:, :2], [1.0, 1.0], [0.5, 0.5])
    score = GaussianScore(np.zeros(4), np.eye(4))
    return X, true.decision(X)[:, 0] + 0.1 * rng.standard_normal(9000), score


def fitted(X, y, score, **options):
    rng = np.random.default_rng(1)
    return lift(X, y, 2, "tanh", score=score, rng=rng, **options).network


def assert_close(a, b, rtol):
    for x, y in zip((*a.coefs, *a.intercepts), (*b.coefs, *b.intercepts), strict=True):
        assert np.linalg.norm(to_numpy(x) - y) < rtol * np.linalg.norm(y)


def test_a_callable_is_as_good_as_a_known_score(small):
    X, y, score = small
    assert_close(fitted(X, y, lambda X, theta: score(X, theta)), fitted(X, y, score), rtol=1e-6)


def test_who_computes_changes_nothing(small):
    X, y, score = small
    with runner(2) as parallel:
        here = fitted(X, y, score)
        assert_close(fitted(X, y, score, run=parallel), here, rtol=1e-12)


def test_weights_count_rows(small, rng):
    X, y, score = small
    counts = rng.integers(0, 3, len(y))
    repeated = fitted(np.repeat(X, counts, axis=0), np.repeat(y, counts), score)
    assert_close(fitted(X, y, score, sample_weight=counts.astype(float)), repeated, rtol=1e-6)


def test_other_arrays(small):
    torch = pytest.importorskip("torch")
    X, y, score = small
    there = fitted(torch.asarray(X), torch.asarray(y), score)
    assert isinstance(there.coefs[0], torch.Tensor)
    assert_close(there, fitted(X, y, score), rtol=1e-6)
    assert_close(fitted(sparse.csr_array(X), y, score), fitted(X, y, score), rtol=1e-6)


def test_many_features_are_seen_through_some_slices(rng, monkeypatch):
    monkeypatch.setattr("spectral_nn.models.network.lift.MAX_SLICES", 2)
    true = network("tanh", W3, [1.0, 0.7, 1.4], [0.5, 0.3, 0.8])
    score = GaussianScore(np.zeros(3), np.eye(3))
    X, weight = population(score, 3)
    result = lift(
        X,
        true.decision(X),
        3,
        "tanh",
        score=score,
        rng=np.random.default_rng(3),
        sample_weight=weight,
        whitening="slice",
    )
    assert direction_angles(result.network.coefs[0], true.coefs[0]).max() < 1e-2


def test_constant_outputs_are_refused(small):
    X, y, score = small
    with pytest.raises(ValueError, match="y is constant"):
        fitted(X, np.full(len(y), 3.0), score)


def test_too_many_units_are_said_so(rng):
    true = network("tanh", W3[:, :1], [1.0], [0.5])
    score = GaussianScore(np.zeros(3), np.eye(3))
    X, weight = population(score, 3)
    with pytest.warns(RankWarning, match="numerical rank below n_components=2"):
        lift(X, true.decision(X), 2, "tanh", score=score, rng=rng, sample_weight=weight)
