"""Pseudo-residuals: against sums over all paths, and the normal law under planted models."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from spectral_nn.data import Sequences
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian
from spectral_nn.emissions.poisson import PoissonEmission
from spectral_nn.models.chains.inference import leave_out, log_likelihoods
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.recursions import sample
from spectral_nn.models.chains.residuals import autocorrelations, pseudo_residuals
from tests.oracles import all_paths, random_hmm

MEANS = np.array([[-1.0, 2.0], [0.5, 0.0], [3.0, 1.0]])
LAWS = {
    "diagonal": DiagonalGaussian(MEANS, np.array([[1.0, 4.0], [0.2, 1.0], [2.0, 0.1]])),
    "full": FullGaussian(MEANS, np.tile([[2.0, 0.6], [0.6, 1.0]], (3, 1, 1))),
    "poisson": PoissonEmission(np.array([[0.0, 4.0], [3.0, 0.5], [9.0, 2.0]])),
}


def others_by_enumeration(start, trans, likelihoods):
    """Distribution of each state where its own observation is missing."""
    n, k = likelihoods.shape
    found = np.empty((n, k))
    for t in range(n):
        table = likelihoods.copy()
        table[t] = 1.0
        paths, p = all_paths(start, trans, table, np.arange(n))
        found[t] = np.bincount(paths[:, t], p, k) / p.sum()
    return found


@pytest.mark.parametrize("law", LAWS)
def test_residuals_are_sums_over_all_paths(law, rng):
    start, trans, _ = random_hmm(3, 2, rng)
    emission = LAWS[law]
    x = np.asarray(emission.sample(rng.integers(3, size=9), rng), dtype=float)
    x[2, 0] = x[3, 1] = np.nan
    x[6] = np.nan
    offsets = np.array([0, 1, 6, 9])
    likelihoods = np.exp(emission.log_likelihoods(x))
    weights = np.concatenate(
        [others_by_enumeration(start, trans, likelihoods[a:b]) for a, b in pairwise(offsets)]
    )
    parameters = HMMParameters(start, trans, emission)
    data = Sequences(x, offsets)
    states, log_likelihood = leave_out(parameters, data)
    assert_allclose(states, weights, rtol=1e-11)
    assert_allclose(log_likelihood, log_likelihoods(parameters, data), rtol=1e-12)
    if law == "poisson":
        rates = stats.poisson(emission.rates)
        each = (rates.cdf(x[:, None]) + rates.cdf(x[:, None] - 1)) / 2
    else:
        each = stats.norm(emission.means, np.sqrt(emission.variances)).cdf(x[:, None])
    wanted = stats.norm.ppf(np.einsum("tk,tkp->tp", weights, each))
    found = pseudo_residuals(parameters, data)
    assert_array_equal(np.isnan(found), np.isnan(x))
    assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_an_observation_that_its_own_state_cannot_explain_says_nothing_about_it():
    """The posterior of the first state is 0 at the outlier, yet the other rows are all for it."""
    law = DiagonalGaussian(np.zeros((2, 1)), np.array([[1.0], [2500.0]]))
    parameters = HMMParameters([0.5, 0.5], [[0.99, 0.01], [0.01, 0.99]], law)
    x = np.zeros((21, 1))
    x[10] = -60.0
    data = Sequences(x, np.array([0, 21]))
    assert leave_out(parameters, data)[0][10, 0] > 0.999
    wide = leave_out(parameters, data)[0][10, 1]
    wanted = stats.norm.ppf(wide * stats.norm.cdf(-60 / 50))
    assert_allclose(pseudo_residuals(parameters, data)[10, 0], wanted, rtol=1e-9)
    x[10] = 1e9
    assert_allclose(
        pseudo_residuals(parameters, Sequences(x, np.array([0, 21])))[10, 0], 8.2095, 1e-4
    )


def test_where_the_others_are_impossible_states_are_uniform():
    parameters = HMMParameters.categorical([1, 0], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
    data = Sequences(np.array([0, 1, 0], dtype=np.int32), np.array([0, 3]))
    found, log_likelihood = leave_out(parameters, data)
    assert_array_equal(found, [[0.5, 0.5], [1, 0], [0.5, 0.5]])
    assert_array_equal(log_likelihood, [-np.inf])


def planted(seed=3, n=6000):
    law = DiagonalGaussian(np.array([[0.0, 0.0], [3.0, -1.0]]), np.array([[1.0, 1.0], [4.0, 0.3]]))
    parameters = HMMParameters([0.5, 0.5], [[0.95, 0.05], [0.1, 0.9]], law)
    x, _ = sample(parameters, n, np.random.default_rng(seed))
    return parameters, Sequences(x, np.array([0, n]))


def test_residuals_of_the_true_model_are_standard_normal():
    parameters, data = planted()
    for column in pseudo_residuals(parameters, data).T:
        assert stats.kstest(column, "norm").pvalue > 0.05


@pytest.mark.parametrize("wrong", ["one law", "same widths"])
def test_residuals_of_a_wrong_model_are_not(wrong):
    parameters, data = planted()
    law = parameters.emission
    if wrong == "one law":
        parameters = HMMParameters([1.0], [[1.0]], DiagonalGaussian.pooled(data.values, 1))
    else:
        widths = DiagonalGaussian(law.means, np.full((2, 2), 2.0))
        parameters = HMMParameters(parameters.startprob, parameters.transmat, widths)
    for column in pseudo_residuals(parameters, data).T:
        assert stats.kstest(column, "norm").pvalue < 1e-6


def test_a_model_without_memory_shows_in_their_order_alone():
    parameters, data = planted()
    share = [2 / 3, 1 / 3]
    forgetful = HMMParameters(share, [share, share], parameters.emission)
    found = pseudo_residuals(forgetful, data)
    assert stats.kstest(found[:, 0], "norm").pvalue > 1e-3
    assert (autocorrelations(found, data.offsets, 1)[1] > 0.15).all()
    right = autocorrelations(pseudo_residuals(parameters, data), data.offsets, 1)[1]
    assert ((right > -0.12) & (right < 0.0)).all()  # neighbours are seen from the same rows


def test_autocorrelations_keep_sequences_and_gaps_apart(rng):
    x = rng.standard_normal((40, 2))
    x[[3, 4, 20], 0] = np.nan
    offsets = np.array([0, 1, 18, 40])
    found = autocorrelations(x, offsets, 5)
    for column in range(2):
        z = x[:, column] - np.nanmean(x[:, column])
        for lag in range(6):
            pairs = [z[t] * z[t + lag] for a, b in pairwise(offsets) for t in range(a, b - lag)]
            assert_allclose(found[lag, column], np.nanmean(pairs) / np.nanmean(z**2), rtol=1e-12)
    assert np.isnan(autocorrelations(x[:3], np.array([0, 1, 3]), 4)[2:]).all()
