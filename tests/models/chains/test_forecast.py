"""Forecasts: against sums over all paths of states, SciPy's quantiles, and draws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from spectral_nn.emissions.bernoulli import BernoulliEmission
from spectral_nn.emissions.gaussian import DiagonalGaussian, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.emissions.multinomial import MultinomialEmission
from spectral_nn.emissions.poisson import PoissonEmission
from spectral_nn.models.chains.forecast import forecast, mixture_quantiles
from spectral_nn.models.chains.parameters import HMMParameters, stationary
from tests.oracles import all_paths, random_hmm

LEVELS = np.array([0.001, 0.05, 0.3, 0.5, 0.9, 0.999])
MEANS = np.array([[-1.0, 40.0], [0.5, -3.0], [6.0, 41.0]])
SPREAD = np.array([[2.0, 0.6], [0.6, 1.0]])
SHARES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
LAWS = {
    "spherical": SphericalGaussian(MEANS, np.array([0.01, 1.0, 9.0])),
    "diagonal": DiagonalGaussian(MEANS, np.array([[1.0, 4.0], [0.2, 1.0], [2.0, 0.1]])),
    "full": FullGaussian(MEANS, SPREAD * np.array([1.0, 0.3, 5.0])[:, None, None]),
    "tied": TiedGaussian(MEANS, SPREAD),
    "poisson": PoissonEmission(np.array([[0.0, 4.0], [3.0, 0.5], [900.0, 2.0]])),
    "bernoulli": BernoulliEmission(np.array([[0.9, 0.5], [0.0, 0.3], [0.2, 1.0]])),
    "multinomial": MultinomialEmission(SHARES, 12),
}
SCIPYS = {
    "diagonal": lambda law: stats.norm(law.means, np.sqrt(law.variances)),
    "full": lambda law: stats.norm(law.means, np.sqrt(law.covariances.diagonal(axis1=1, axis2=2))),
    "poisson": lambda law: stats.poisson(law.rates),
    "bernoulli": lambda law: stats.bernoulli(law.probs),
    "multinomial": lambda law: stats.binom(law.n_trials, law.probs),
}

COUNTS = ("poisson", "bernoulli", "multinomial")


def test_states_and_means_are_sums_over_all_futures(rng):
    start, trans, probs = random_hmm(3, 4, rng)
    found = forecast(HMMParameters.categorical(start, trans, probs), start[None], 5)
    # Codes that every state emits with probability one leave the paths of the chain alone.
    paths, p = all_paths(start, trans, np.ones((1, 3)), np.zeros(5, dtype=int))
    for step in range(5):
        states = np.bincount(paths[:, step], p, 3)
        assert_allclose(found.states[0, step], states, rtol=1e-12)
        assert_allclose(found.mean[0, step], states @ probs, rtol=1e-12)
    assert found.quantiles is None


def test_prefixes_do_not_mix(rng):
    start, trans, _ = random_hmm(3, 2, rng)
    parameters = HMMParameters(start, trans, LAWS["diagonal"])
    following = rng.dirichlet(np.ones(3), 4)
    whole = forecast(parameters, following, 6, LEVELS)
    for i in range(4):
        alone = forecast(parameters, following[i : i + 1], 6, LEVELS)
        for name in ("states", "mean", "quantiles"):
            assert_allclose(getattr(whole, name)[i], getattr(alone, name)[0], rtol=1e-13)


def test_long_forecasts_are_stationary(rng):
    _, trans, _ = random_hmm(3, 2, rng)
    parameters = HMMParameters([1, 0, 0], trans, LAWS["poisson"])
    found = forecast(parameters, parameters.startprob[None], 3000, LEVELS)
    limit = stationary(trans)
    assert_allclose(found.states[0, -1], limit, rtol=1e-10)
    assert_allclose(found.mean[0, -1], limit @ LAWS["poisson"].rates, rtol=1e-10)
    F = np.einsum("k,xkp->xp", limit, LAWS["poisson"].cdf(np.arange(1200.0)[:, None] + [0, 0]))
    assert_array_equal(found.quantiles[0, -1], [np.searchsorted(F[:, j], LEVELS) for j in (0, 1)])


def test_transitions_that_sum_to_nearly_one_stay_probabilities():
    trans = np.array([[0.9, 0.100004], [0.2, 0.799996]])
    parameters = HMMParameters([1, 0], trans, PoissonEmission(np.array([[1.0], [3.0]])))
    found = forecast(parameters, np.array([[1.0, 0.0]]), 100_000, None)
    assert_allclose(found.states.sum(axis=2), 1, rtol=1e-12)
    assert found.quantiles is None


@pytest.mark.parametrize("name", SCIPYS)
def test_quantiles_of_one_state_are_scipys(name):
    law = LAWS[name]
    found = mixture_quantiles(law.cdf, np.eye(3), law.mean().shape[1], LEVELS)
    expected = SCIPYS[name](law).ppf(LEVELS[:, None, None])  # (levels, K, p)
    exact = name in COUNTS
    assert_allclose(found, expected.transpose(1, 2, 0), rtol=0 if exact else 1e-9)


@pytest.mark.parametrize("name", SCIPYS)
def test_distribution_functions_are_scipys(name, rng):
    law = LAWS[name]
    x = rng.normal(3, 8, (40, law.mean().shape[1]))
    x[:5], x[5:8] = np.round(x[:5]), [[-np.inf], [np.inf], [1e300]]
    assert_allclose(law.cdf(x), SCIPYS[name](law).cdf(x[:, None]), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_are_the_least_that_reach_the_level(name, rng):
    law = LAWS[name]
    weights = rng.dirichlet(np.ones(3), 50)
    found = mixture_quantiles(law.cdf, weights, law.mean().shape[1], LEVELS)
    for i, level in enumerate(LEVELS):
        here = found[:, :, i]
        reached, before = (
            np.einsum("nk,nkp->np", weights, law.cdf(x)) - level
            for x in (here, np.nextafter(here, -np.inf))
        )
        assert (reached >= -1e-15).all()
        assert (before < 1e-15).all()
    if name in COUNTS:
        assert_array_equal(found, np.round(found))


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_are_those_of_draws(name, rng):
    """Of 40,000 draws two steps ahead a share near the level is at most the quantile."""
    law = LAWS[name]
    start, trans, _ = random_hmm(3, 2, rng)
    found = forecast(HMMParameters(start, trans, law), start[None], 2, LEVELS[1:-1])
    states = rng.choice(3, 40_000, p=start @ trans)
    x = law.sample(states, rng)
    for i, level in enumerate(found.levels):
        here = found.quantiles[0, 1, :, i]
        assert (np.mean(x <= here, axis=0) > level - 0.015).all()
        assert (np.mean(x < here, axis=0) < level + 0.015).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1e9, 1e150])
def test_quantiles_know_no_scale(scale):
    law = DiagonalGaussian(np.zeros((1, 1)), np.full((1, 1), scale**2))
    found = mixture_quantiles(law.cdf, np.ones((1, 1)), 1, LEVELS)
    assert_allclose(found[0, 0], stats.norm.ppf(LEVELS) * scale, rtol=1e-9, atol=1e-15 * scale)


def test_counts_of_one_trial_where_their_number_is_not_known():
    law = MultinomialEmission(SHARES)
    expected = stats.bernoulli(SHARES).ppf(LEVELS[:, None, None]).transpose(1, 2, 0)
    assert_array_equal(mixture_quantiles(law.cdf, np.eye(3), 3, LEVELS), expected)
