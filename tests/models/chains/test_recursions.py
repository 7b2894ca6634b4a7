"""Exact recursions: brute force, hmmlearn, Wikipedia, extremes."""

from itertools import pairwise

import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM as Rival
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data.symbols import encode
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.recursions import (
    filtered,
    posteriors,
    sample,
    viterbi,
)
from tests.oracles import emission_table, hmm_by_enumeration, random_hmm

WEATHER = (
    np.array([0.6, 0.4]),
    np.array([[0.7, 0.3], [0.4, 0.6]]),
    np.array([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]),
)


def rival(startprob, transmat, emissionprob):
    model = Rival(len(startprob))
    model.startprob_, model.transmat_, model.emissionprob_ = startprob, transmat, emissionprob
    return model


def check_by_enumeration(start, trans, table, codes, offsets):
    gamma, total = posteriors(start, trans, table, codes, offsets)
    last, again = filtered(start, trans, table, codes, offsets)
    states, best = viterbi(start, trans, table, codes, offsets)
    for i, (begin, end) in enumerate(pairwise(offsets)):
        truth = hmm_by_enumeration(start, trans, table, codes[begin:end])
        if truth["likelihood"] == 0:
            assert total[i] == again[i] == best[i] == -np.inf
            assert_allclose(gamma[begin:end], 1 / len(start))
            continue
        assert_allclose([total[i], again[i]], np.log(truth["likelihood"]), rtol=1e-12, atol=1e-14)
        assert_allclose(gamma[begin:end], truth["posterior"], atol=1e-13)
        assert_allclose(last[i], truth["last"], atol=1e-13)
        assert_allclose(best[i], np.log(truth["best"]), rtol=1e-12, atol=1e-14)
        path = states[begin:end]
        p = (
            start[path[0]]
            * table[codes[begin:end], path].prod()
            * trans[path[:-1], path[1:]].prod()
        )
        assert_allclose(p, truth["best"], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_against_all_paths(n_components, n_symbols, sparse, labelled, seed):
    rng = np.random.default_rng(seed)
    start, trans, emission = random_hmm(n_components, n_symbols, rng, sparse)
    lengths = rng.integers(1, 6, size=3)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    symbols = rng.integers(-1, n_symbols, size=offsets[-1])
    labels = rng.integers(-1, n_components, size=offsets[-1]) if labelled else None
    codes = encode(symbols, n_symbols, missing=-1, labels=labels, n_components=n_components)
    check_by_enumeration(start, trans, emission_table(emission, labelled), codes, offsets)


def test_wikipedia():
    table, codes, ends = emission_table(WEATHER[2]), np.array([0, 1, 2]), np.array([0, 3])
    states, best = viterbi(*WEATHER[:2], table, codes, ends)
    assert_array_equal(states, [1, 0, 0])
    assert_allclose(np.exp(best), 0.01344)
    gamma, _ = posteriors(*WEATHER[:2], table, codes, ends)
    expected = [[0.23170303, 0.76829697], [0.62406281, 0.37593719], [0.86397706, 0.13602294]]
    assert_allclose(gamma, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_against_hmmlearn(sparse):
    rng = np.random.default_rng(7)
    model = random_hmm(5, 8, rng, sparse)
    symbols, _ = sample(HMMParameters.categorical(*model), 600, rng)
    lengths = np.array([1, 99, 500])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    table, other, X = emission_table(model[2]), rival(*model), symbols[:, None]
    with np.errstate(divide="ignore"):
        expected, gamma = other.score_samples(X, lengths)
        best, path = other.decode(X, lengths)
    found, total = posteriors(*model[:2], table, symbols, offsets)
    assert_allclose(total.sum(), expected, rtol=1e-12)
    assert_allclose(found, gamma, atol=1e-11)
    states, log_p = viterbi(*model[:2], table, symbols, offsets)
    assert_array_equal(states, path)
    assert_allclose(log_p.sum(), best, rtol=1e-12)


def test_viterbi_ties_are_hmmlearns():
    flat = np.full(3, 1 / 3), np.full((3, 3), 1 / 3), np.full((3, 2), 1 / 2)
    cycle = np.full(3, 1 / 3), np.roll(np.eye(3), 1, axis=1), np.full((3, 2), 1 / 2)
    blocked = np.full(3, 1 / 3), np.full((3, 3), 1 / 3), np.tile([1.0, 0.0], (3, 1))
    X = np.array([0, 1, 1, 0, 1])
    for model in (flat, cycle, blocked):
        with np.errstate(divide="ignore"):
            expected = rival(*model).decode(X[:, None])
        states, best = viterbi(*model[:2], emission_table(model[2]), X, [0, 5])
        assert_array_equal(states, expected[1])
        assert best[0] == expected[0]


def test_sample_is_hmmlearns_with_its_generator():
    for state in (None, 1):
        expected = rival(*WEATHER).sample(50, random_state=3, currstate=state)
        symbols, states = sample(
            HMMParameters.categorical(*WEATHER), 50, np.random.RandomState(3), first_state=state
        )
        assert_array_equal(symbols, expected[0][:, 0])
        assert_array_equal(states, expected[1])


def test_sample_frequencies_and_impossible_draws():
    symbols, states = sample(HMMParameters.categorical(*WEATHER), 200_000, np.random.default_rng(0))
    assert_allclose(np.mean(states == 0), 4 / 7, atol=0.01)
    assert_allclose(np.bincount(symbols[states == 1], minlength=3) / sum(states == 1),
                    WEATHER[2][1], atol=0.01)  # fmt: skip

    class AlmostOne:
        def random(self, size):
            return np.full(size, np.nextafter(1, 0))

    thirds = np.append(np.full(10, 0.1), 0.0)
    symbols, _ = sample(HMMParameters.categorical([1.0], [[1.0]], thirds[None]), 4, AlmostOne())
    assert_array_equal(symbols, 9)
    assert sample(HMMParameters.categorical(*WEATHER), 0, np.random.default_rng(0))[0].size == 0


def test_a_million_steps_do_not_underflow():
    n = 1_000_000
    symbols, _ = sample(HMMParameters.categorical(*WEATHER), n, np.random.default_rng(1))
    table, ends = emission_table(WEATHER[2]) * 1e-30, np.array([0, n])
    gamma, total = posteriors(*WEATHER[:2], table, symbols, ends)
    assert np.isfinite(total).all()
    assert total[0] < -6e7
    assert_allclose(gamma.sum(axis=1), 1)
    states, best = viterbi(*WEATHER[:2], table, symbols, ends)
    assert -np.inf < best[0] <= total[0]
    assert np.mean(states == gamma.argmax(axis=1)) > 0.9


def test_a_path_far_below_the_smallest_double_is_found():
    """State 1 falls 1e-400 behind and is then the only one that is possible."""
    trans = np.array([[1.0, 0.0], [0.0, 1.0]])
    table = np.array([[1.0, 1e-100], [0.0, 1.0]])
    codes = np.array([0, 0, 0, 0, 1])
    start = np.array([0.5, 0.5])
    gamma, total = posteriors(start, trans, table, codes, [0, 5])
    last, again = filtered(start, trans, table, codes, [0, 5])
    expected = np.log(0.5) - 400 * np.log(10)
    assert_allclose([total[0], again[0]], expected, rtol=1e-14)
    assert_allclose(gamma, np.tile([0.0, 1.0], (5, 1)), atol=1e-15)
    assert_allclose(last, [[0.0, 1.0]])
    mirrored, total = posteriors(
        np.array([1e-300, 1 - 1e-300]), trans, table[:, ::-1], codes[:4], [0, 4]
    )
    assert_allclose(total, 0)
    assert_allclose(mirrored[:, 1], 1)


def test_backward_rounding_is_repaired():
    """Filtering prefers state 0 by 1e300; only later symbols, one by one, favour state 1."""
    trans, start = np.eye(2), np.array([1.0, 1e-300])
    table = np.array([[1e-80, 1.0]])
    codes = np.zeros(5, dtype=int)
    gamma, total = posteriors(start, trans, table, codes, [0, 5])
    assert_allclose(total[0], np.log(1e-300), rtol=1e-12)
    assert_allclose(gamma, np.tile([0.0, 1.0], (5, 1)), atol=1e-90)


def test_read_only_memory_maps_do_not_compile_again(tmp_path):
    from spectral_nn.models.chains import exact

    path = tmp_path / "codes.npy"
    np.save(path, np.array([0, 1, 2], dtype=np.int32))
    codes = np.load(path, mmap_mode="r")
    table = emission_table(WEATHER[2])
    expected = filtered(*WEATHER[:2], table, np.array([0, 1, 2]), [0, 3])[1]
    before = len(exact.forward.signatures)
    table.setflags(write=False)
    found = filtered(*WEATHER[:2], table, codes, [0, 3])[1]
    assert_array_equal(found, expected)
    assert len(exact.forward.signatures) == before == 1
