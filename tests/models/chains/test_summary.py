"""Summaries: against sums over all paths of states."""

from itertools import pairwise

import numpy as np
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.models.chains.parameters import HMMParameters, n_parameters, stationary
from spectral_nn.models.chains.summary import summarise
from tests.oracles import emission_table, hmm_by_enumeration, random_hmm

OFFSETS = np.array([0, 4, 5, 11])


def summarised(rng):
    start, trans, probs = random_hmm(3, 4, rng)
    codes = rng.integers(0, 4, 11)
    codes[2] = 4  # missing
    parameters = HMMParameters.categorical(start, trans, probs)
    pieces = [Sequences(codes[:5], OFFSETS[:3]), Sequences(codes[5:], OFFSETS[2:] - 5)]
    truths = [
        hmm_by_enumeration(start, trans, emission_table(probs), codes[a:b])
        for a, b in pairwise(OFFSETS)
    ]
    return parameters, summarise(parameters, pieces, lambda x: int(np.sum(x < 4))), truths


def test_criteria_are_those_of_all_paths(rng):
    parameters, found, truths = summarised(rng)
    p = n_parameters(parameters)
    assert p == 2 + 6 + 9
    likelihood = sum(np.log(truth["likelihood"]) for truth in truths)
    best = sum(np.log(truth["best"]) for truth in truths)
    assert (found.n_components, found.n_observations, found.n_parameters) == (3, 10, p)
    assert_allclose(found.log_likelihood, likelihood, rtol=1e-12)
    assert_allclose(found.aic, -2 * likelihood + 2 * p, rtol=1e-12)
    assert_allclose(found.bic, -2 * likelihood + p * np.log(10), rtol=1e-12)
    assert_allclose(found.icl, -2 * best + p * np.log(10), rtol=1e-12)
    assert found.icl > found.bic + 1  # paths are far from certain here


def test_states_are_those_of_all_paths(rng):
    parameters, found, truths = summarised(rng)
    expected = np.concatenate([truth["posterior"] for truth in truths]).mean(axis=0)
    assert_allclose(found.occupancy, expected, rtol=1e-12)
    assert_allclose(found.start, parameters.startprob)
    assert_allclose(found.stationary, stationary(parameters.transmat))
    assert_allclose(found.mean, parameters.emission.probs)


def test_mean_stay_is_that_of_draws(rng):
    """The mean of many stays, which end with probability 1 - T_kk."""
    stay = np.array([0.0, 0.5, 0.9, 1.0])
    trans = np.eye(4) * stay + (1 - stay[:, None]) * np.roll(np.eye(4), 1, axis=1)
    parameters = HMMParameters.categorical(np.full(4, 0.25), trans, np.ones((4, 1)))
    found = summarise(parameters, [Sequences(np.zeros(3, dtype=int), np.array([0, 3]))], np.size)
    draws = [rng.geometric(1 - one, 40_000).mean() for one in stay[:3]]
    assert_allclose(found.mean_stay, [*draws, np.inf], rtol=0.02)


def test_the_table_shows_every_state(rng):
    start, trans, probs = random_hmm(3, 30, rng)
    parameters = HMMParameters.categorical(start, trans, probs)
    found = summarise(parameters, [Sequences(np.arange(30), np.array([0, 30]))], np.size)
    lines = str(found).splitlines()
    assert lines[0].split() == ["states", "3"]
    assert f"{found.icl:.2f}" in lines[6]
    for k, line in enumerate(lines[-3:]):
        assert line.split()[0] == str(k)
        assert line.split()[1] == f"{found.occupancy[k]:.3f}"
        assert line.endswith(" ...")  # 30 columns are too many
        assert f"{probs[k, 0]:.4g}" in line


def test_impossible_data_have_infinite_criteria():
    parameters = HMMParameters.categorical([1.0], [[1.0]], [[1.0, 0.0]])
    found = summarise(parameters, [Sequences(np.array([1, 1]), np.array([0, 2]))], np.size)
    assert (found.log_likelihood, found.bic, found.icl) == (-np.inf, np.inf, np.inf)
    assert "-inf" in str(found)
