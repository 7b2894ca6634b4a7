"""Scores against derivatives of the density and Stein's identity; sums whatever the chunks."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from spectral_nn.arrays import to_numpy
from spectral_nn.moments.scores import (
    GaussianMixtureScore,
    GaussianScore,
    ScoreMoments,
    score_moments,
)
from spectral_nn.runners.base import SerialRunner

MEANS = np.array([[0.4, -0.3, 0.1], [-1.0, 0.8, 0.0], [0.5, 0.9, -0.7]])
ROOTS = np.array(
    [
        [[1.2, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.2, 0.1, 0.9]],
        [[0.7, 0.0, 0.0], [-0.4, 1.1, 0.0], [0.2, 0.3, 1.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.5, -0.2, 0.8]],
    ]
)
COVARIANCES = ROOTS @ ROOTS.transpose(0, 2, 1)
WEIGHTS = np.array([0.5, 0.2, 0.3])
GAUSSIAN = GaussianScore(MEANS[0], COVARIANCES[0])
MIXTURE = GaussianMixtureScore(WEIGHTS, MEANS, COVARIANCES)
THETA = np.array([0.6, -0.8, 0.5])


def density(x, score):
    if isinstance(score, GaussianScore):
        return multivariate_normal(score.mean, score.covariance).pdf(x)
    parts = zip(score.weights, score.means, score.covariances, strict=True)
    return sum(w * multivariate_normal(m, c).pdf(x) for w, m, c in parts)


def derivative(f, x, axes, h):
    """Central differences, one axis after another, extrapolated once (Richardson)."""

    def crude(h):
        total = 0.0
        for signs in product((1, -1), repeat=len(axes)):
            step = sum(s * np.eye(len(x))[a] for s, a in zip(signs, axes, strict=True))
            total += np.prod(signs) * f(x + h * step)
        return total / (2 * h) ** len(axes)

    return (4 * crude(h / 2) - crude(h)) / 3


@pytest.mark.parametrize("score", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_scores_are_derivatives_of_the_density(score, rng):
    for x in rng.standard_normal((3, 3)):
        p = density(x, score)
        assert_allclose(score.log_density(x[None]), [np.log(p)], rtol=1e-12)
        S1, S2, S3 = (S[0] for S in score(x[None], THETA))
        f = partial(density, score=score)
        for i in range(3):
            assert_allclose(S1[i], -derivative(f, x, [i], 1e-2) / p, atol=1e-6)
            for j in range(3):
                assert_allclose(S2[i, j], derivative(f, x, [i, j], 1e-2) / p, atol=1e-6)
                third = sum(THETA[k] * derivative(f, x, [i, j, k], 2e-2) for k in range(3))
                assert_allclose(S3[i, j], -third / p, atol=1e-4)


@pytest.mark.parametrize("score", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_steins_identity_on_a_polynomial(score, rng):
    """E[f S_m] = E[grad^m f] for f a cubic; on smooth decaying functions the grid is exact."""
    axis = np.arange(-9, 9.1, 0.3)
    X = np.stack([a.ravel() for a in np.meshgrid(axis, axis, axis, indexing="ij")], axis=1)
    w = np.exp(score.log_density(X)) * 0.3**3
    assert_allclose(w.sum(), 1, rtol=1e-9)

    C = rng.standard_normal((3, 3, 3))
    C = sum(np.transpose(C, p) for p in [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
    C = C + np.transpose(C, (1, 0, 2))  # symmetric
    M, v = np.diag([1.0, -2.0, 0.5]), np.array([0.3, 1.0, -2.0])
    f = np.einsum("ijk,ni,nj,nk->n", C, X, X, X) / 6 + ((X @ M) * X).sum(1) / 2 + X @ v
    gradient = np.einsum("ijk,nj,nk->ni", C, X, X) / 2 + X @ M + v
    hessian = np.einsum("ijk,nk->nij", C, X) + M
    sums = score_moments(score, X, f * w, THETA)
    assert_allclose(sums.first, w @ gradient, atol=1e-8)
    assert_allclose(sums.second, np.tensordot(w, hessian, 1), atol=1e-8)
    assert_allclose(sums.third, C @ THETA, atol=1e-7)


def test_one_component_is_a_gaussian(rng):
    one = GaussianMixtureScore(np.ones(1), MEANS[:1], COVARIANCES[:1])
    X = rng.standard_normal((7, 3))
    for a, b in zip(one(X, THETA), GAUSSIAN(X, THETA), strict=True):
        assert_allclose(a, b, rtol=1e-13)
    assert_allclose(one.log_density(X), GAUSSIAN.log_density(X), rtol=1e-13)


@pytest.mark.parametrize("score", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
@pytest.mark.parametrize("n_responses", [None, 2])
@pytest.mark.parametrize("n_directions", [None, 4])
def test_fast_sums_agree_with_the_scores(xp, rng, score, n_responses, n_directions):
    X = rng.standard_normal((50, 3))
    R = rng.standard_normal(50 if n_responses is None else (50, n_responses))
    theta = rng.standard_normal(3 if n_directions is None else (3, n_directions))
    fast = score_moments(score, *(xp.asarray(a) for a in (X, R, theta)))
    slow = score_moments(lambda X, theta: score(X, theta), X, R, theta)
    assert fast.n_rows == slow.n_rows == 50
    o = () if n_responses is None else (2,)
    m = () if n_directions is None else (4,)
    assert slow.third.shape == (*o, *m, 3, 3)
    for name in ("first", "second", "third"):
        assert_allclose(to_numpy(getattr(fast, name)), getattr(slow, name), atol=1e-11)
    if n_responses is None and n_directions is None:
        assert_allclose(slow.third, np.tensordot(R, score(X, theta)[2], 1), atol=1e-11)


@pytest.mark.parametrize("score", [GAUSSIAN, lambda X, theta: GAUSSIAN(X, theta)])
def test_merged_chunks_are_one_shot(score, rng):
    X, R = rng.standard_normal((40_000, 3)), rng.standard_normal((40_000, 2))
    theta = rng.standard_normal((3, 2))

    def statistic(rows):
        return score_moments(score, X[rows], R[rows], theta)

    chunks = [slice(0, 1), slice(1, 17_000), slice(17_000, 40_000)]
    merged = SerialRunner().total(statistic, chunks)
    whole = statistic(slice(None))
    assert merged.n_rows == whole.n_rows == 40_000
    for a, b in zip(merged.mean(), whole.mean(), strict=True):
        assert np.linalg.norm(a - b) < 1e-12 * np.linalg.norm(b)


def test_fits(rng):
    X = rng.standard_normal((4000, 3)) @ ROOTS[0].T + MEANS[0]
    fitted = GaussianScore.fit(X)
    assert_allclose(fitted.mean, X.mean(axis=0))
    assert_allclose(fitted.covariance, np.cov(X.T, bias=True))
    far = np.concatenate([X, X[:2000] + 20.0])
    mixture = GaussianMixtureScore.fit(far, 2, rng=rng)
    assert_allclose(np.sort(mixture.weights), [1 / 3, 2 / 3], atol=1e-3)
    assert_allclose(np.sort(mixture.means[:, 0]), MEANS[0, 0] + np.array([0.0, 20.0]), atol=0.1)
    few = GaussianMixtureScore.fit(far, 2, rng=rng, max_rows=500)
    assert_allclose(np.sort(few.weights), [1 / 3, 2 / 3], atol=0.1)


def test_errors(rng):
    X = rng.standard_normal((5, 3))
    with pytest.raises(ValueError, match="drop constant and dependent columns"):
        GaussianScore(np.zeros(2), np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"\(d,\) and \(d, d\) are needed"):
        GaussianScore(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="must be positive and sum to one"):
        GaussianMixtureScore(np.array([0.5, 0.6]), MEANS[:2], COVARIANCES[:2])
    with pytest.raises(ValueError, match="there are 2 weights, 3 means"):
        GaussianMixtureScore(np.array([0.5, 0.5]), MEANS, COVARIANCES[:2])
    with pytest.raises(ValueError, match="one response a row"):
        score_moments(GAUSSIAN, X, np.ones(4), THETA)
    with pytest.raises(ValueError, match="theta"):
        score_moments(GAUSSIAN, X, np.ones(5), THETA[:2])
    with pytest.raises(ValueError, match="the score returned arrays of shapes"):
        score_moments(lambda X, theta: (X, X, X), X, np.ones(5), THETA)
    a = score_moments(GAUSSIAN, X, np.ones(5), THETA)
    with pytest.raises(ValueError, match="cannot be added"):
        a + ScoreMoments(1, a.first, a.second, np.zeros((2, 3, 3)))
