"""E-steps: all paths by brute force, hmmlearn, lanes against the exact recursion, merging."""

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM as Rival
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.data.symbols import encode
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains import exact as compiled
from spectral_nn.models.chains.expectation import expect_exact, expect_lanes, expect_parts
from spectral_nn.models.chains.kernels import expect_batches
from spectral_nn.models.chains.lanes import lane_batches
from spectral_nn.models.chains.observations import gather
from spectral_nn.models.chains.parameters import HMMParameters, stationary
from spectral_nn.models.chains.statistics import HMMStatistics, Priors, maximise
from tests.oracles import all_paths, emission_table, expected_by_enumeration, random_hmm

COUNTS = ("start", "trans", "emission", "log_likelihood")


def assert_close(found, expected, rtol, names=COUNTS):
    for name in names:
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        scale = max(np.abs(b).max(), 1.0) if np.isfinite(b).all() else 1.0
        assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=name)


def by_enumeration(startprob, transmat, table, codes, first=0, stop=None):
    """Expected counts of the positions first .. stop - 1 in the light of all codes.

    A transition counts where it arrives; the log-likelihood is that of the codes first .. stop - 1
    given the earlier ones; impossible codes have no counts.
    """
    n_components, stop = len(startprob), len(codes) if stop is None else stop
    paths, p = all_paths(startprob, transmat, table, codes)
    start, trans = np.zeros(n_components), np.zeros((n_components, n_components))
    emit = np.zeros(table.shape)

    def log_probability(n):
        with np.errstate(divide="ignore"):
            return np.log(all_paths(startprob, transmat, table, codes[:n])[1].sum()) if n else 0.0

    if p.sum() == 0:
        return HMMStatistics(start, trans, emit, -np.inf)
    p = p / p.sum()
    for t in range(first, stop):
        np.add.at(emit[codes[t]], paths[:, t], p)
        if t:
            np.add.at(trans, (paths[:, t - 1], paths[:, t]), p)
        else:
            np.add.at(start, paths[:, 0], p)
    return HMMStatistics(start, trans, emit, log_probability(stop) - log_probability(first))


def of_symbols(counted, parameters, labelled=False):
    """The same statistics with counts of symbols in the place of those of codes."""
    return replace(counted, emission=gather(parameters.emission, None, counted.emission, labelled))


def tiny_problem(seed, n_components, n_symbols, sparse, labelled):
    """A random model, three short sequences with gaps (and labels), and integer weights."""
    rng = np.random.default_rng(seed)
    parameters = HMMParameters.categorical(*random_hmm(n_components, n_symbols, rng, sparse))
    lengths = rng.integers(1, 6, 3)
    symbols = rng.integers(-1, n_symbols, lengths.sum())
    labels = rng.integers(-1, n_components, lengths.sum()) if labelled else None
    codes = encode(symbols, n_symbols, -1, labels, n_components)
    return parameters, Sequences.from_lengths(codes, lengths), rng.integers(1, 4, 3)


def reference(parameters, sequences, weight, labelled):
    table = emission_table(parameters.emission.probs, labelled)
    parts = [
        by_enumeration(parameters.startprob, parameters.transmat, table, codes)
        for codes, w in zip(sequences, weight, strict=True)
        for _ in range(int(w))
    ]
    return of_symbols(sum(parts[1:], parts[0]), parameters, labelled)


TINY = given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=80, deadline=None)
@TINY
def test_exact_is_the_sum_over_all_paths(seed, n_components, n_symbols, sparse, labelled):
    parameters, sequences, _ = tiny_problem(seed, n_components, n_symbols, sparse, labelled)
    found = expect_exact(parameters, sequences, labelled=labelled)
    expected = reference(parameters, sequences, np.ones(3), labelled)
    assert_close(found, expected, 1e-12)
    assert (found.lane_error, found.n_cuts) == (0.0, 0)


@pytest.mark.parametrize("factor", [1.0, 1e-210])
def test_parts_count_the_transitions_that_end_in_them(rng, factor):
    """Cut anywhere; also where likelihoods are so small that logarithms are needed."""
    start, trans, _ = random_hmm(2, 3, rng)
    lift = np.array([[1 - factor * 0.4, factor * 0.1, factor * 0.3]] * 2)
    lift[1, 1:] = lift[1, :0:-1]
    parameters = HMMParameters.categorical(start, trans, lift)
    codes = np.array([1, 2, 1, 1, 2, 2, 1, 2, 1, 0, 2, 2], dtype=np.int32)
    sequences = Sequences(codes, np.array([0, 10, 12]))
    ends = np.array([0, 3, 4, 11, 12])
    parts = list(expect_parts(parameters, sequences, ends))
    table = lift.T / [[1.0], [factor], [factor]]
    paths, p = all_paths(start, trans, table, codes[:10])
    other, q = all_paths(start, trans, table, codes[10:])
    for (a, b), part in zip(pairwise(ends), parts, strict=True):
        moves = np.zeros((2, 2))
        for states, weight, first in ((paths, p / p.sum(), 0), (other, q / q.sum(), 10)):
            for t in range(max(a, first + 1), min(b, first + states.shape[1])):
                np.add.at(moves, (states[:, t - 1 - first], states[:, t - first]), weight)
        assert_allclose(part.trans, moves, rtol=1e-10, atol=1e-12)
    _, posterior, _ = expected_by_enumeration(start, trans, table[codes], sequences.offsets)
    for (a, b), part in zip(pairwise(ends), parts, strict=True):
        seen = codes[a:b, None] == np.arange(3)
        assert_allclose(part.emission, posterior[a:b].T @ seen, rtol=1e-10, atol=1e-12)
    assert_allclose(parts[2].start, posterior[10], rtol=1e-10)
    assert_allclose(parts[1].start + parts[3].start, 0)
    assert_close(sum(parts[1:], parts[0]), expect_exact(parameters, sequences), 1e-12)


@settings(max_examples=80, deadline=None)
@TINY
def test_uncut_lanes_are_the_sum_over_all_paths(seed, n_components, n_symbols, sparse, labelled):
    parameters, sequences, weight = tiny_problem(seed, n_components, n_symbols, sparse, labelled)
    batches = lane_batches(sequences, 10, 5, n_symbols, weight=weight)
    found = expect_lanes(parameters, batches, dtype=np.float64, labelled=labelled)
    expected = reference(parameters, sequences, weight, labelled)
    assert_close(found, expected, 1e-12)
    assert (found.lane_error, found.n_cuts) == (0.0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_cut_lanes_are_their_windows_sums_over_all_paths(seed, n_components, length, burn_in):
    """Each lane for itself: entered in the stationary distribution unless it starts a sequence."""
    rng = np.random.default_rng(seed)
    parameters = HMMParameters.categorical(*random_hmm(n_components, 3, rng))
    codes, offsets = rng.integers(0, 4, 12).astype(np.int32), np.array([0, 1, 7, 12])
    batches = lane_batches(Sequences(codes, offsets), length, burn_in, 3)
    found = expect_lanes(parameters, batches, dtype=np.float64)
    table, expected = emission_table(parameters.emission.probs), None
    for begin, end in pairwise(offsets):
        edges = (end - begin) * np.arange(-(-(end - begin) // length) + 1)
        edges = begin + edges // (len(edges) - 1)
        for first, stop in pairwise(edges):
            low, high = max(first - burn_in, begin), min(stop + burn_in, end)
            part = by_enumeration(
                parameters.startprob if low == begin else stationary(parameters.transmat),
                parameters.transmat, table, codes[low:high], first - low, stop - low,
            )  # fmt: skip
            if low != begin and first == low:  # without burn-in the entry is no start
                part = HMMStatistics(0 * part.start, part.trans, part.emission, part.log_likelihood)
            expected = part if expected is None else expected + part
    assert_close(found, of_symbols(expected, parameters), 1e-11)


@pytest.mark.parametrize("n_components", [1, 2, 3, 4, 5, 7, 8, 9, 13, 31])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 3e-5)])
def test_any_number_of_states(rng, n_components, dtype, rtol):
    """States are padded to whole register tiles; what is added must not count."""
    parameters = HMMParameters.categorical(*random_hmm(n_components, 6, rng))
    lengths = rng.integers(1, 60, 45)
    sequences = Sequences.from_lengths(rng.integers(0, 7, lengths.sum()).astype(np.int32), lengths)
    found = expect_lanes(parameters, lane_batches(sequences, 60, 0, 6), dtype=dtype)
    assert_close(found, expect_exact(parameters, sequences), rtol)
    assert found.start.dtype == found.trans.dtype == found.emission.dtype == np.float64


def test_statistics_that_have_travelled_have_the_same_bits(rng):
    """From a worker they come back in the layout of a pickle, in which rows are summed again."""
    parameters = planted_hmm(6, 20, rng=rng)
    sequences = Sequences.from_lengths(sample_hmm(parameters, 3000, rng)[0][0])
    lanes = expect_lanes(parameters, lane_batches(sequences, 100, 20, 20), dtype=np.float64)
    for found in (lanes, expect_exact(parameters, sequences)):
        assert found.emission.flags.c_contiguous
        here, there = (
            maximise(x, parameters, Priors()) for x in (found, pickle.loads(pickle.dumps(found)))
        )
        assert np.array_equal(here.emission.probs, there.emission.probs)
        assert np.array_equal(here.transmat, there.transmat)


def test_single_precision_is_single(rng):
    parameters = planted_hmm(5, 8, rng=rng)
    sequences = Sequences.from_lengths(sample_hmm(parameters, 2000, rng)[0][0])
    batches = lane_batches(sequences, 2000, 0, 8)
    exact = expect_exact(parameters, sequences)
    single = expect_lanes(parameters, batches, dtype=np.float32)
    double = expect_lanes(parameters, batches, dtype=np.float64)
    assert abs(double.log_likelihood / exact.log_likelihood - 1) < 1e-13
    assert 1e-12 < np.abs(single.trans - exact.trans).max() / 2000 < 1e-6


def test_integer_weights_are_repetitions(rng):
    parameters = planted_hmm(3, 5, rng=rng)
    arrays = [rng.integers(0, 6, n).astype(np.int32) for n in (1, 9, 40, 2)]
    weight = np.array([3, 1, 2, 5])
    weighted = lane_batches(Sequences.from_list(arrays), 64, 0, 5, weight=weight)
    repeated = Sequences.from_list(
        [a for a, w in zip(arrays, weight, strict=True) for _ in range(w)]
    )
    found = expect_lanes(parameters, weighted, dtype=np.float64)
    assert_close(found, expect_exact(parameters, repeated), 1e-12)
    assert_allclose(found.start.sum(), 11)


def test_labels_fix_the_states(rng):
    parameters = planted_hmm(3, 4, concentration=1.0, rng=rng)
    symbols, states = (x[0] for x in sample_hmm(parameters, 300, rng))
    codes = encode(symbols, 4, labels=states, n_components=3)
    sequences = Sequences.from_lengths(codes, [100, 200])
    expected = np.zeros((3, 3))
    pairs = np.ones(299, dtype=bool)
    pairs[99] = False  # no transition from one sequence into the next
    np.add.at(expected, (states[:-1][pairs], states[1:][pairs]), 1)
    for found in (
        expect_exact(parameters, sequences, labelled=True),
        expect_lanes(parameters, lane_batches(sequences, 300, 0, 4), labelled=True),
    ):
        assert_allclose(found.trans, expected, atol=1e-4)
        assert_allclose(found.start, np.bincount(states[[0, 100]], minlength=3), atol=1e-4)


def impossible_problem():
    """State 0 emits symbol 0 and state 1 symbol 1, in turns."""
    swap = HMMParameters.categorical(
        [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    )
    lists = [[0, 1, 0], [0, 0], [2], [1, 3, 1]]  # possible, impossible, impossible, possible
    return swap, Sequences.from_list([np.array(s, dtype=np.int32) for s in lists])


def test_impossible_sequences_are_minus_infinity_without_nan():
    swap, sequences = impossible_problem()
    possible = expect_exact(swap, sequences[[0, 3]])
    assert_allclose(possible.log_likelihood, 2 * np.log(0.5))
    exact = expect_exact(swap, sequences)
    assert exact.log_likelihood == -np.inf
    assert_close(exact, possible, 1e-15, ("start", "trans", "emission"))
    for dtype in (np.float32, np.float64):
        found = expect_lanes(swap, lane_batches(sequences, 5, 0, 3), dtype=dtype)
        assert found.log_likelihood == -np.inf
        for name in ("start", "trans", "emission"):
            assert np.isfinite(getattr(found, name)).all()
        one = expect_lanes(swap, lane_batches(sequences[[0, 3]], 5, 0, 3), dtype=dtype)
        assert_close(one, possible, 1e-6)


def test_what_is_very_unlikely_is_not_impossible():
    """Factors of 1e-50 in a row: their product leaves the range of doubles."""
    rare = HMMParameters.categorical(
        [0.5, 0.5], np.full((2, 2), 0.5), np.tile([1 - 1e-50, 1e-50], (2, 1))
    )
    sequences = Sequences.from_lengths(np.repeat([0, 1, 0], [3, 40, 3]).astype(np.int32))
    expected = 40 * np.log(1e-50)
    assert_allclose(expect_exact(rare, sequences).log_likelihood, expected, rtol=1e-12)
    found = expect_lanes(rare, lane_batches(sequences, 100, 0, 2), dtype=np.float64)
    assert_allclose(found.log_likelihood, expected, rtol=1e-12)


@pytest.mark.parametrize("smooth", [False, True])
def test_one_step_equals_hmmlearns(rng, smooth):
    truth = planted_hmm(4, 7, concentration=1.0, rng=rng)
    lengths = [1, 2, 997, 500]
    X = sample_hmm(truth, 1500, rng)[0].reshape(-1, 1)
    start, trans, emission = random_hmm(4, 7, rng)
    alphas = {"startprob_prior": 1.7, "transmat_prior": 1.2, "emissionprob_prior": 2.5}
    alphas = alphas if smooth else {}
    rival = Rival(4, n_iter=1, init_params="", implementation="scaling", **alphas)
    rival.startprob_, rival.transmat_, rival.emissionprob_ = start, trans, emission
    rival.fit(X, lengths)
    parameters = HMMParameters.categorical(start, trans, emission)
    sequences = Sequences.from_lengths(X[:, 0].astype(np.int32), lengths)
    statistics = expect_exact(parameters, sequences)
    found = maximise(statistics, parameters, Priors(*(a - 1 for a in alphas.values())))
    assert_allclose(found.startprob, rival.startprob_, rtol=0, atol=5e-15)
    assert_allclose(found.transmat, rival.transmat_, rtol=0, atol=5e-15)
    assert_allclose(found.emission.probs, rival.emissionprob_, rtol=0, atol=5e-15)
    assert_allclose(statistics.log_likelihood, rival.monitor_.history[0], rtol=1e-14)


@pytest.fixture(scope="module")
def long_problem():
    rng = np.random.default_rng(5)
    parameters = planted_hmm(3, 6, concentration=0.8, rng=rng)
    codes, _ = sample_hmm(parameters, 12_000, rng)
    codes = np.where(rng.random(12_000) < 0.05, 6, codes[0]).astype(np.int32)
    sequences = Sequences.from_lengths(codes, [9000, 1, 500, 2499])
    return parameters, sequences, expect_exact(parameters, sequences)


def test_burn_in_makes_cut_lanes_exact(long_problem, rng):
    parameters, sequences, exact = long_problem
    batches = lane_batches(sequences, 100, 64, 6)
    found = expect_lanes(parameters, batches, dtype=np.float64)
    assert_close(found, exact, 1e-9)
    assert found.n_cuts == 89 + 4 + 24
    assert found.lane_error < 1e-9


def test_lane_error_measures_what_burn_in_leaves(long_problem, rng):
    parameters, sequences, exact = long_problem
    errors, misfits = [], []
    for burn_in in (1, 4, 16):
        batches = lane_batches(sequences, 100, burn_in, 6)
        found = expect_lanes(parameters, batches, dtype=np.float64)
        errors.append(found.lane_error)
        misfits.append(np.abs(found.trans - exact.trans).max())
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0
    assert misfits[0] > 3 * misfits[1] > 9 * misfits[2]


def test_lane_error_is_large_where_chains_remember(rng):
    """A nearly deterministic cycle seen through noise: 64 tokens do not tell its phase."""
    trans = 0.999 * np.roll(np.eye(6), 1, axis=1) + 0.001 / 6
    emission = np.full((6, 6), 0.15) + 0.1 * np.eye(6)
    cycle = HMMParameters.categorical(np.full(6, 1 / 6), trans, emission)
    sequences = Sequences.from_lengths(sample_hmm(cycle, 8000, rng)[0][0])
    found = expect_lanes(cycle, lane_batches(sequences, 128, 64, 6), dtype=np.float64)
    assert 0.05 < found.lane_error <= 2


@pytest.mark.parametrize("steps", [1, 230, 500, 700])
def test_chunks_of_lanes_add_up(long_problem, rng, steps):
    parameters, sequences, _ = long_problem
    batches = lane_batches(sequences, 100, 64, 6)
    whole = expect_lanes(parameters, batches, dtype=np.float64)
    parts = [expect_lanes(parameters, c, dtype=np.float64) for c in batches.chunks(steps)]
    assert len(parts) > 1
    assert_close(sum(parts[1:], parts[0]), whole, 1e-12)


def test_a_chunk_without_any_neighbours_counts_as_well(rng):
    """A chunk may hold no two lanes that follow each other."""
    parameters = planted_hmm(2, 4, rng=rng)
    codes = sample_hmm(parameters, 20_000, rng)[0][0]
    sequences = Sequences.from_lengths(codes, [10_000] + [5] * 2000)
    batches = lane_batches(sequences, 10, 8, 4)
    chunks = batches.chunks(1)
    assert any(chunk.joined.size == 0 for chunk in chunks)
    parts = [expect_lanes(parameters, chunk, dtype=np.float64) for chunk in chunks]
    whole = expect_lanes(parameters, batches, dtype=np.float64)
    assert_close(sum(parts[1:], parts[0]), whole, 1e-12)


def test_exact_statistics_add_up_over_sequences(long_problem):
    parameters, sequences, exact = long_problem
    parts = [expect_exact(parameters, sequences[[i]]) for i in range(4)]
    assert_close(sum(parts[1:], parts[0]), exact, 1e-12)


def test_totals(long_problem, rng):
    """Every position is emitted once, every neighbouring pair is one transition."""
    parameters, sequences, exact = long_problem
    lanes = lane_batches(sequences, 100, 30, 6)
    for found in (exact, expect_lanes(parameters, lanes, dtype=np.float64)):
        symbols = np.bincount(sequences.values, minlength=7)[:-1]
        assert_allclose(found.emission.sum(axis=0), symbols, rtol=1e-9)
        assert_allclose(found.trans.sum(), 12_000 - 4, rtol=1e-9)
        assert_allclose(found.start.sum(), 4, rtol=1e-9)


def test_read_only_sequences_do_not_compile_again(rng):
    """Workers see large arrays as read-only memory maps."""
    parameters = planted_hmm(2, 4, rng=rng)
    sequences = Sequences.from_lengths(rng.integers(0, 4, 200).astype(np.int32))
    expected = expect_exact(parameters, sequences)
    before = len(compiled.smooth.signatures)
    for array in (sequences.values, sequences.offsets):
        array.setflags(write=False)
    assert_close(expect_exact(parameters, sequences), expected, 0)
    assert len(compiled.smooth.signatures) == before


def test_read_only_lanes_do_not_compile_again(rng):
    parameters = planted_hmm(2, 4, rng=rng)
    sequences = Sequences.from_lengths(rng.integers(0, 4, 200).astype(np.int32))
    batches = lane_batches(sequences, 50, 10, 4)
    expected = expect_lanes(parameters, batches)
    before = len(expect_batches.signatures)
    for array in (batches.symbols, batches.offsets, batches.own, batches.weight, batches.joined):
        array.setflags(write=False)
    assert_close(expect_lanes(parameters, batches), expected, 0)
    assert len(expect_batches.signatures) == before
