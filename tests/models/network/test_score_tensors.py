"""Tensors from a user's scores: brute force, Stein's identity, units of the columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.moments import summarise
from spectral_nn.models.network.score_tensors import moments_from_score
from spectral_nn.moments.scores import GaussianMixtureScore, GaussianScore
from spectral_nn.runners.base import SerialRunner
from spectral_nn.tensors.shared_cp import shared_cp

RUN = SerialRunner()


def ones(X, Y):
    return Rows(X, Y.reshape(len(X), -1), np.ones(len(X)))


def gaussian_score(X, theta):
    """Scores of N(0, I), as a user would write them."""
    eye = np.eye(X.shape[1])
    pairs = np.einsum("ni,nj->nij", X, X)
    along = X @ theta
    cross = np.einsum("ni,j->nij", X, theta)
    third = along[:, None, None] * (pairs - eye) - cross - cross.transpose(0, 2, 1)
    return X, pairs - eye, third


def basis_of(moments, seen):
    """Of modes in the units of X, for tensors of standardised columns."""
    return moments.frame.whitener * seen.frame.deviation[:, None]


@pytest.mark.parametrize("q", [1, 2])
def test_tensors_are_means_of_scores_written_out(rng, q):
    X = rng.standard_normal((90, 4))
    weight = rng.uniform(0.5, 2, 90)
    rows = Rows(X, np.maximum(X[:, :q], 0) + X[:, 2:3] ** 2, weight)
    seen = summarise(rows, RUN)
    found = moments_from_score(rows, seen, 3, gaussian_score, RUN)
    assert_allclose(found.frame.whitener.T @ found.frame.whitener, np.eye(3), atol=1e-12)
    P = basis_of(found, seen)
    y, share = seen.frame.outputs(rows.Y), weight / weight.sum()
    y = y - seen.frame.inputs(X) @ seen.beta  # what is linear comes back in the first order
    S3 = np.stack([gaussian_score(X, e)[2] for e in np.eye(4)], axis=-1)
    first = np.einsum("n,ns,ni,ia->as", share, y, X, P)
    first += found.frame.whitener.T @ seen.frame.whitener @ seen.beta
    # of higher orders, so does what is quadratic in the three directions
    Z = seen.frame.standardise(X) @ found.frame.whitener
    i, j = np.triu_indices(3)
    quadratics = np.concatenate([np.ones((90, 1)), Z, Z[:, i] * Z[:, j]], axis=1)
    root = np.sqrt(share)[:, None]
    y = seen.frame.outputs(rows.Y)
    fitted = np.linalg.lstsq(root * quadratics, root * y)[0]
    y = y - quadratics @ fitted
    hessian = np.zeros((3, 3, q))
    hessian[i, j] = fitted[4:]
    second = np.einsum("n,ns,nij,ia,jb->abs", share, y, gaussian_score(X, X[0])[1], P, P)
    second += hessian + hessian.swapaxes(0, 1)
    third = np.einsum("n,ns,nijk,ia,jb,kc->abcs", share, y, S3, P, P, P, optimize=True)
    for T, expected in zip(
        found.tensors, (first, second / np.sqrt(2), third / np.sqrt(6)), strict=True
    ):
        assert_allclose(T, expected, atol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_tensors_are_mean_derivatives(activation):
    """Stein: sums over units of a_j E[sigma^(m)] w_j^(x)m, for correlated inputs too."""
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [-0.3, 0.2, 0.9]])
    mean = np.array([0.5, 0.0, -0.2])
    X = rng.standard_normal((400_000, 3)) @ root.T + mean
    W, b, a = rng.standard_normal((3, 2)), np.array([0.3, -0.2]), np.array([1.0, -1.5])
    t = X @ W + b
    h = np.tanh(t)
    p = 1 / (1 + np.exp(-t))
    slopes, values = {
        "tanh": ((1 - h**2, -2 * h * (1 - h**2), (6 * h**2 - 2) * (1 - h**2)), h),
        "softplus": ((p, p * (1 - p), p * (1 - p) * (1 - 2 * p)), np.logaddexp(0, t)),
    }[activation]
    rows = ones(X, values @ a)
    seen = summarise(rows, RUN)
    found = moments_from_score(rows, seen, 3, GaussianScore(mean, root @ root.T), RUN)
    U = basis_of(found, seen).T @ W
    y_scale = seen.frame.y_map[0, 0]
    outer, factorial = U, 1.0
    for m, T in enumerate(found.tensors, 1):
        factorial *= m
        mean_slope = slopes[m - 1].mean(axis=0) * a * y_scale / np.sqrt(factorial)
        expected = np.tensordot(outer, mean_slope, axes=(-1, 0))[..., None]
        assert_allclose(T, expected, atol=0.02 + 0.02 * np.abs(expected).max())
        if m < 3:
            assert np.linalg.norm(T - expected) < 0.12 * np.linalg.norm(expected)
        outer = outer[..., None, :] * U


def test_the_frame_maps_rows_to_where_the_tensors_live(rng):
    teacher = planted_network(5, 2, activation="tanh", rng=rng)
    X, y = sample_network(teacher, 30_000, rng=rng)
    scale = np.array([1.0, 1.3, 0.8, 1.0, 1.0])
    X = X * scale + 3
    rows = ones(np.insert(X, 1, 8.0, axis=1), y)

    def score(X, theta):
        """That of the columns which vary."""
        S1, S2, S3 = gaussian_score(
            (np.delete(X, 1, axis=1) - 3) / scale, np.delete(theta, 1) / scale
        )
        both = np.outer(scale, scale)
        out = []
        for S in (S1 / scale, S2 / both, S3 / both):
            for axis in range(1, S.ndim):
                S = np.insert(S, 1, 0.0, axis=axis)
            out.append(S)
        return tuple(out)

    seen = summarise(rows, RUN)
    found = moments_from_score(rows, seen, 2, score, RUN)
    directions = shared_cp(found.tensors, 2, rng=rng).directions
    W, offset = found.frame.pull_back(directions, 6)
    assert (W[1] == 0).all()
    assert direction_angles(np.delete(W, 1, axis=0) * scale[:, None], teacher.coefs[0]).max() < 10
    inside = (np.abs(X - 3) < 3 * scale).all(axis=1)
    projected = found.frame.inputs(rows.X) @ directions
    assert_allclose((rows.X @ W + offset)[inside], projected[inside], atol=1e-9)


def test_planted_directions_by_the_score_of_a_mixture():
    rng = np.random.default_rng(3)
    teacher = planted_network(4, 2, activation="tanh", rng=rng)
    X, y = sample_network(teacher, 40_000, rng=rng, inputs="mixture")
    rows = ones(X, y)
    found = moments_from_score(
        rows, summarise(rows, RUN), 2, GaussianMixtureScore.fit(X, rng=rng), RUN
    )
    directions = shared_cp(found.tensors, 2, rng=rng).directions
    W, _ = found.frame.pull_back(directions, 4)
    assert direction_angles(W, teacher.coefs[0]).max() < 15


def test_any_chunks_and_sparse_rows_give_the_same(rng, monkeypatch):
    X = np.where(rng.random((300, 4)) < 0.4, 0, rng.standard_normal((300, 4)))
    rows = Rows(X, np.tanh(X[:, :2]), rng.uniform(0.5, 2, 300))
    expected = moments_from_score(rows, summarise(rows, RUN), 3, gaussian_score, RUN)
    whole = Rows.chunks
    monkeypatch.setattr(Rows, "chunks", lambda self: whole(self, 41))
    parts = rows._replace(X=sparse.csr_array(X))
    found = moments_from_score(parts, summarise(parts, RUN), 3, gaussian_score, RUN)
    P, Q = found.frame.whitener, expected.frame.whitener
    for T, other in zip(found.tensors, expected.tensors, strict=True):
        for axis in range(T.ndim - 1):
            T = np.moveaxis(np.tensordot(P, T, axes=(1, axis)), 0, axis)
            other = np.moveaxis(np.tensordot(Q, other, axes=(1, axis)), 0, axis)
        assert_allclose(T, other, atol=1e-10)


def test_a_score_of_wrong_shape_is_refused(rng):
    X = rng.standard_normal((50, 3))
    rows = ones(X, X[:, 0])
    with pytest.raises(ValueError, match="score"):
        moments_from_score(rows, summarise(rows, RUN), 2, lambda X, theta: (X, X, X), RUN)


def test_units_of_the_columns_do_not_matter():
    errors = []
    for scale in (np.ones(5), np.array([1.0, 5.0, 0.2, 1.0, 1.0])):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            teacher = planted_network(5, 2, activation="tanh", rng=rng)
            X, y = sample_network(teacher, 20_000, rng=rng)
            rows = ones(X * scale, y)
            score = GaussianScore(np.zeros(5), np.diag(scale**2))
            found = moments_from_score(rows, summarise(rows, RUN), 2, score, RUN)
            W, _ = found.frame.pull_back(shared_cp(found.tensors, 2, rng=rng).directions, 5)
            errors.append(direction_angles(W * scale[:, None], teacher.coefs[0]).max())
    assert np.mean(errors[4:]) < 1.2 * np.mean(errors[:4])
