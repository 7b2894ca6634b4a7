"""Scores of independent columns of known laws: Stein's identity, and their sums."""

import numpy as np
import pytest
from scipy import integrate, stats

from spectral_nn.arrays import to_numpy
from spectral_nn.moments.independent import IndependentScore, univariate_scores
from spectral_nn.moments.scores import GaussianScore, score_moments

WHOLE = [stats.norm(1, 2), stats.t(5), stats.logistic(), stats.gumbel_r()]
WITH_ENDS = [stats.uniform(-1, 2), stats.beta(2, 3), stats.expon(), stats.gamma(2)]


def grid(law):
    """Values g of a standard normal, and x = T(g)."""
    g = np.linspace(-6, 6, 20_001)
    return g, np.where(g < 0, law.ppf(stats.norm.cdf(g)), law.isf(stats.norm.sf(g)))


@pytest.mark.parametrize("law", WHOLE + WITH_ENDS, ids=lambda law: law.dist.name)
def test_moments_with_scores_are_mean_derivatives(law):
    g, x = grid(law)
    at, scores = univariate_scores(law)
    density, width = stats.norm.pdf(g), law.std()
    phase = x / width + 0.3
    derivatives = np.cos(phase), -np.sin(phase), -np.cos(phase)
    for order, (score, derivative) in enumerate(zip(scores, derivatives, strict=True), 1):
        weight = np.ones_like(g) if law in WHOLE else (density / law.pdf(x)) ** order
        moment = integrate.simpson(np.sin(phase) * np.interp(x, at, score) * density, x=g)
        expected = integrate.simpson(weight * derivative * density, x=g)
        expected /= integrate.simpson(weight * density, x=g)
        assert moment * width**order == pytest.approx(expected, abs=2e-3)


def test_of_normal_laws_they_are_the_gaussian_ones(rng):
    X, theta = rng.standard_normal((100, 3)), rng.standard_normal(3)
    score = IndependentScore.of([stats.norm(0.5, 2)] * 3)
    expected = GaussianScore(np.full(3, 0.5), 4 * np.eye(3))(X, theta)
    for found, known in zip(score(X, theta), expected, strict=True):
        np.testing.assert_allclose(found, known, atol=1e-3)


@pytest.mark.parametrize("n_responses", [None, 2])
@pytest.mark.parametrize("n_directions", [None, 3])
def test_sums_are_those_of_the_rows(xp, rng, n_responses, n_directions):
    X = rng.uniform(size=(50, 3))
    R = rng.standard_normal((50,) if n_responses is None else (50, n_responses))
    theta = rng.standard_normal((3,) if n_directions is None else (3, n_directions))
    score = IndependentScore.of([stats.uniform(), stats.expon(), stats.norm()])
    given = [xp.asarray(a) for a in (X, R, theta)]
    fast = score_moments(score, *given)
    slow = score_moments(lambda X, theta: score(X, theta), *given)
    for name in ("first", "second", "third"):
        found, expected = (to_numpy(getattr(sums, name)) for sums in (fast, slow))
        np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_single_precision_stays():
    X = np.random.default_rng(0).uniform(size=(5, 2)).astype(np.float32)
    score = IndependentScore.of([stats.uniform()] * 2)
    assert all(part.dtype == np.float32 for part in score(X, X[0]))
    assert all(part.dtype == np.float32 for part in score.moments(X, X[:, 0], X[0]))
