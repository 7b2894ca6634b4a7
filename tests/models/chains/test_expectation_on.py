"""The array-API E-step: equal to the compiled one on every namespace and device."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from spectral_nn.arrays import from_numpy
from spectral_nn.data import Sequences
from spectral_nn.data.symbols import encode
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains.expectation import expect_exact, expect_lanes
from spectral_nn.models.chains.expectation_on import expect_on
from spectral_nn.models.chains.lanes import lane_batches
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.runners.device import runner_like


@pytest.fixture(params=["numpy", "torch", "array_api_strict", "array_api_strict device1"])
def like(request):
    """An array of each library, and of one that forbids silent transfers to the host."""
    library, _, device = request.param.partition(" ")
    xp = pytest.importorskip(library, reason=f"{library} is not installed")
    if device:
        return xp.zeros(1, device=xp.Device(device))
    return xp.zeros(1)


def _case(rng, labelled, n_symbols=5):
    parameters = planted_hmm(3, n_symbols, rng=rng)
    codes, states = (x[0] for x in sample_hmm(parameters, 700, rng))
    labels = np.where(rng.random(700) < 0.3, states, -1) if labelled else None
    codes = np.where(rng.random(700) < 0.1, -1, codes)
    coded = encode(codes, n_symbols, -1, labels, 3)
    return parameters, Sequences(coded, np.array([0, 400, 401, 460, 700]))


def _there(batches, like):
    return replace(batches, symbols=from_numpy(batches.symbols, like=like))


def _assert_equal(a, b, rtol):
    for name in ("start", "trans", "emission", "log_likelihood", "disagreement", "n_cuts"):
        x, y = getattr(a, name), getattr(b, name)
        assert isinstance(x, np.ndarray) or np.ndim(x) == 0
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * max(1, np.max(np.abs(y))))


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("n_symbols", [5, 300])  # counted by products, and by additions
def test_equals_the_compiled_lanes(like, rng, labelled, n_symbols):
    parameters, sequences = _case(rng, labelled, n_symbols)
    weight = rng.integers(1, 4, len(sequences))
    batches = lane_batches(sequences, 60, 5, n_symbols, weight=weight)
    ours = expect_on(parameters, _there(batches, like), dtype=np.float64, labelled=labelled)
    compiled = expect_lanes(parameters, batches, dtype=np.float64, labelled=labelled)
    assert ours.disagreement > 0
    _assert_equal(ours, compiled, 1e-12)


def test_single_precision_sums_are_accurate(like, rng):
    parameters, sequences = _case(rng, labelled=False)
    batches = lane_batches(sequences, 60, 5, 5)
    ours = expect_on(parameters, _there(batches, like))
    double = expect_lanes(parameters, batches, dtype=np.float64)
    _assert_equal(ours, double, 1e-5)
    assert abs(ours.log_likelihood / double.log_likelihood - 1) > 1e-14
    assert {x.dtype for x in (ours.start, ours.trans, ours.emission)} == {np.dtype(np.float64)}


def test_uncut_lanes_of_any_lengths_are_exact(like, rng):
    parameters = planted_hmm(3, 5, rng=rng)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 40, 100))])
    sequences = Sequences(rng.integers(0, 6, offsets[-1]).astype(np.int32), offsets)
    batches = lane_batches(sequences, 1000, 0, 5)
    assert np.unique(np.diff(batches.offsets)).size == 4
    shuffled = batches.select(np.array([2, 0, 3, 1]))  # the longest first is no condition
    for lanes in (batches, shuffled):
        ours = expect_on(parameters, _there(lanes, like), dtype=np.float64)
        _assert_equal(ours, expect_exact(parameters, sequences), 1e-12)


def test_lanes_without_burn_in_disagree_with_nothing(like, rng):
    parameters, sequences = _case(rng, labelled=False)
    batches = lane_batches(sequences, 60, 0, 5)
    ours = expect_on(parameters, _there(batches, like), dtype=np.float64)
    _assert_equal(ours, expect_lanes(parameters, batches, dtype=np.float64), 1e-12)


def test_no_lanes_count_nothing(like, rng):
    parameters, sequences = _case(rng, labelled=True)
    none = lane_batches(sequences, 60, 5, 5).select(np.arange(0))
    ours = expect_on(parameters, _there(none, like), dtype=np.float64, labelled=True)
    _assert_equal(ours, expect_lanes(parameters, none, dtype=np.float64, labelled=True), 0)


def test_an_impossible_lane_is_minus_infinity(like, rng):
    parameters, sequences = _case(rng, labelled=False)
    emission = parameters.emission.probs.copy()
    emission[:, 2] = 0
    impossible = HMMParameters.categorical(parameters.startprob, parameters.transmat, emission)
    batches = lane_batches(sequences, 60, 5, 5)
    ours = expect_on(impossible, _there(batches, like), dtype=np.float64)
    assert ours.log_likelihood == -np.inf
    assert np.isfinite(ours.emission).all()
    _assert_equal(ours, expect_lanes(impossible, batches, dtype=np.float64), 1e-12)


def test_all_arrays_may_be_on_the_device(like, rng):
    parameters, sequences = _case(rng, labelled=False)
    batches = lane_batches(sequences, 60, 5, 5)
    statistic = partial(expect_on, parameters, dtype=np.float64)
    compiled = expect_lanes(parameters, batches, dtype=np.float64)
    _assert_equal(runner_like(like).total(statistic, [batches]), compiled, 1e-12)
