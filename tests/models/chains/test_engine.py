"""The engine: the same statistics whatever the chunks, and lanes that know when not to be used."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data import LazySequences, Sequences, SequenceStream
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains import engine as module
from spectral_nn.models.chains.engine import EXACT_ROWS, LaneEngine
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.kernels import LANES
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.runners.base import SerialRunner

DOUBLE = ChainModel(Priors(), dtype=np.float64)


def engine_of(source, n_rows, d, dtype=np.float64, seed=0):
    model = ChainModel(Priors(), dtype=dtype)
    return LaneEngine(source, model, n_rows=n_rows, pad=d, run=SerialRunner(), seed=seed)


def assert_close(found, expected, rtol):
    for name in ("start", "trans", "emission", "log_likelihood"):
        b = np.asarray(getattr(expected, name))
        atol = rtol * np.abs(b).max()
        assert_allclose(getattr(found, name), b, rtol=rtol, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def mixing():
    rng = np.random.default_rng(8)
    parameters = planted_hmm(3, 6, concentration=0.8, rng=rng)
    lengths = np.concatenate([[15_000], rng.integers(1, 400, 50), [4000]])
    codes = sample_hmm(parameters, int(lengths.sum()), rng)[0][0]
    sequences = Sequences.from_lengths(codes, lengths)
    return parameters, sequences, expect_exact(parameters, sequences)


def cycle(noise, rng, n=20_000):
    """Six states in turn, which slip now and then and can hardly be told apart."""
    trans = (1 - noise) * np.roll(np.eye(6), 1, axis=1) + noise / 6
    emission = np.full((6, 6), 0.15) + 0.1 * np.eye(6)
    parameters = HMMParameters.categorical(np.full(6, 1 / 6), trans, emission)
    return parameters, Sequences.from_lengths(sample_hmm(parameters, n, rng)[0][0])


def test_small_data_are_exact(rng):
    parameters, _ = cycle(0.0, rng, 10)
    sequences = Sequences.from_lengths(sample_hmm(parameters, EXACT_ROWS, rng)[0][0])
    engine = engine_of(sequences, EXACT_ROWS, 6, np.float32)
    found = engine.expect(parameters)
    assert engine.exact
    assert_close(found, expect_exact(parameters, sequences), 1e-12)
    assert engine.lane_error == 0


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 2e-5)])
def test_chains_that_mix_go_in_lanes(mixing, dtype, rtol):
    parameters, sequences, exact = mixing
    engine = engine_of(sequences, sequences.values.size, 6, dtype)
    burn_in = engine.burn_in
    found = engine.expect(parameters)
    assert not engine.exact
    assert engine.burn_in == burn_in
    assert found.n_cuts > 100
    assert engine.lane_error == found.lane_error < {4: 1e-4, 8: 1e-10}[np.dtype(dtype).itemsize]
    assert_close(found, exact, rtol)


def test_slower_chains_widen_the_burn_in(rng):
    parameters, sequences = cycle(0.2, rng)
    engine = engine_of(sequences, 20_000, 6)
    before = engine.burn_in
    found = engine.expect(parameters)
    assert not engine.exact
    assert engine.burn_in == 2 * before
    assert engine.lane_error <= 1e-10
    assert_close(found, expect_exact(parameters, sequences), 1e-9)


@pytest.mark.parametrize(("dtype", "noise"), [(np.float64, 1e-3), (np.float32, 1e-4)])
def test_chains_that_remember_go_exact(rng, dtype, noise):
    parameters, sequences = cycle(noise, rng)
    engine = engine_of(sequences, 20_000, 6, dtype)
    found = engine.expect(parameters)
    assert engine.exact
    assert_close(found, expect_exact(parameters, sequences), 1e-12)
    assert engine.expect(parameters).log_likelihood == found.log_likelihood  # and stay there
    assert engine.exact


@pytest.mark.parametrize("steps", [1, 500, 10**6])
def test_statistics_do_not_depend_on_the_chunks(mixing, monkeypatch, steps):
    parameters, sequences, _ = mixing
    expected = engine_of(sequences, sequences.values.size, 6).expect(parameters)
    monkeypatch.setattr(SerialRunner, "chunk_tokens", LANES * steps)
    engine = engine_of(sequences, sequences.values.size, 6)
    assert_close(engine.expect(parameters), expected, 1e-12)


def test_exact_statistics_do_not_depend_on_the_chunks(mixing, monkeypatch):
    parameters, sequences, exact = mixing
    monkeypatch.setattr(SerialRunner, "chunk_tokens", LANES * 10)
    engine = engine_of(sequences, EXACT_ROWS, 6)
    assert engine.exact
    assert len(list(engine._parts())) > 5
    assert_close(engine.expect(parameters), exact, 1e-12)


@pytest.mark.parametrize("chunk_tokens", [1, 3000, 10**6])
def test_streams_are_the_same_as_data_in_memory(mixing, chunk_tokens):
    parameters, sequences, _ = mixing
    n = sequences.values.size
    expected = engine_of(sequences, n, 6).expect(parameters)
    stream = SequenceStream(list(sequences), chunk_tokens=chunk_tokens)
    engine = engine_of(stream, n, 6)
    found = engine.expect(parameters)
    assert not engine.exact
    assert_close(found, expected, 1e-12)
    assert engine.expect(parameters).log_likelihood == found.log_likelihood  # walked twice


SOURCES = {
    "memory": lambda s: s,
    "stream": lambda s: SequenceStream(list(s), chunk_tokens=3000),
    "file": lambda s: LazySequences(s.values, s.lengths),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("window", [2**9, 2**20])
def test_a_sample_does_not_depend_on_how_the_data_come(mixing, monkeypatch, kind, window):
    _, sequences, _ = mixing
    n = sequences.values.size
    (expected,) = engine_of(sequences, n, 6).sample(5000)
    monkeypatch.setattr(module, "_WINDOW", window)
    (found,) = engine_of(SOURCES[kind](sequences), n, 6).sample(5000)
    for name in ("symbols", "offsets", "own", "weight"):
        assert_array_equal(getattr(found, name), getattr(expected, name))
    assert 3000 < found.n_rows < 7000  # three standard deviations: lanes are chosen at random
    (other,) = engine_of(sequences, n, 6, seed=1).sample(5000)
    assert other.symbols.size != found.symbols.size or (other.symbols != found.symbols).any()


@pytest.mark.parametrize("kind", SOURCES)
def test_a_sample_of_as_much_as_there_is_is_everything(mixing, kind):
    parameters, sequences, exact = mixing
    n = sequences.values.size
    engine = engine_of(SOURCES[kind](sequences), n, 6)
    (everything,) = engine.sample(n)
    assert everything.n_rows == n
    assert_close(DOUBLE.statistic(parameters, everything), exact, 1e-9)


@pytest.mark.parametrize("kind", SOURCES)
def test_exact_samples_are_the_first_rows(mixing, kind):
    """A sequence that goes on is cut off: one long sequence would be all of the data."""
    _, sequences, _ = mixing
    engine = engine_of(SOURCES[kind](sequences), sequences.values.size, 6)
    engine._lanes_fail = True
    (first,) = engine.sample(15_100)
    assert first.lengths.tolist() == [15_000, 100]
    assert_array_equal(first.values, sequences.values[: first.offsets[-1]])


@pytest.mark.parametrize("kind", SOURCES)
def test_statistics_do_not_depend_on_how_the_data_come(mixing, monkeypatch, kind):
    parameters, sequences, _ = mixing
    n = sequences.values.size
    expected = engine_of(sequences, n, 6).expect(parameters)
    monkeypatch.setattr(module, "_WINDOW", 2**11)
    engine = engine_of(SOURCES[kind](sequences), n, 6)
    found = engine.expect(parameters)
    assert_close(found, expected, 1e-12)
    assert engine.expect(parameters).log_likelihood == found.log_likelihood  # walked twice


def test_statistics_of_a_sample_speak_for_the_whole(mixing):
    parameters, sequences, exact = mixing
    engine = engine_of(sequences, sequences.values.size, 6)
    (sample,) = engine.sample(8000)
    per_row = DOUBLE.statistic(parameters, sample).log_likelihood / sample.n_rows
    assert_allclose(per_row, exact.log_likelihood / sequences.values.size, rtol=0.03)
