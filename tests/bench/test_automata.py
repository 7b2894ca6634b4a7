"""Planted automata: probabilities of strings, and the competition's perplexity."""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.planted_automata import MEAN_LENGTHS, draw_automaton, perplexity


@pytest.mark.parametrize("seed", [0, 1])
def test_strings_follow_their_probabilities(seed, rng):
    automaton = draw_automaton(seed)
    chain = automaton.steps.sum(axis=1)
    assert_allclose(chain.sum(axis=1) + automaton.stop, 1)
    occupied = np.linalg.solve(np.eye(automaton.n_states) - chain.T, automaton.start)
    assert_allclose(occupied @ automaton.stop, 1)  # every string ends
    drawn = automaton.sample(20_000, rng)
    mean = np.mean([len(string) for string in drawn])
    assert_allclose(mean, occupied.sum() - 1, rtol=0.05)
    assert MEAN_LENGTHS[0] * 0.9 < mean < MEAN_LENGTHS[1] * 1.1
    assert min(map(len, drawn)) > 0
    keys = [string.tobytes() for string in drawn]
    ((common, times),) = Counter(keys).most_common(1)
    (log_p,) = automaton.log_probabilities([np.frombuffer(common, np.int32)])
    share = times / len(keys)
    assert abs(np.exp(log_p) - share) < 5 * np.sqrt(share / len(keys))


def test_test_strings_are_distinct(rng):
    strings = draw_automaton(0).distinct(50, rng)
    assert len({string.tobytes() for string in strings}) == len(strings) == 50


def test_the_optimum_is_the_true_model():
    true = np.log([0.1, 0.2, 0.3])
    assert_allclose(perplexity(np.log(np.full(4, 0.1)), np.log(np.full(4, 0.2))), 4)
    assert perplexity(true, true) < perplexity(true, true[::-1])
    assert_allclose(perplexity(true, true - 5), perplexity(true, true))
