"""The array-API E-step: equal to the compiled one on every namespace."""

import numpy as np
import pytest

from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.hmm.coding import encode
from spectral_nn.models.hmm.expectation import expect_exact, expect_lanes
from spectral_nn.models.hmm.expectation_on import expect_on
from spectral_nn.models.hmm.lanes import lane_batches
from spectral_nn.sequences import Sequences


def _case(rng, labelled):
    parameters = planted_hmm(3, 5, rng=rng)
    codes, states = (x[0] for x in sample_hmm(parameters, 700, rng))
    labels = np.where(rng.random(700) < 0.3, states, -1) if labelled else None
    codes = np.where(rng.random(700) < 0.1, -1, codes)
    coded = encode(codes, 5, -1, labels, 3)
    return parameters, Sequences(coded, np.array([0, 400, 401, 460, 700]))


def _assert_equal(a, b, rtol):
    for name in ("start", "trans", "emit", "log_likelihood", "disagreement", "n_cuts"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("labelled", [False, True])
def test_equals_the_compiled_lanes(xp, rng, labelled):
    parameters, sequences = _case(rng, labelled)
    weight = rng.integers(1, 4, len(sequences))
    batches = lane_batches(sequences, 60, 5, 5, weight=weight, rng=rng)
    like = xp.zeros(1, dtype=xp.float64)
    ours = expect_on(like, parameters, batches, labelled=labelled)
    compiled = expect_lanes(parameters, batches, dtype=np.float64, labelled=labelled)
    assert ours.disagreement > 0
    _assert_equal(ours, compiled, 1e-11)


def test_uncut_lanes_are_exact(xp, rng):
    parameters, sequences = _case(rng, labelled=False)
    batches = lane_batches(sequences, 1000, 0, 5)
    ours = expect_on(xp.zeros(1, dtype=xp.float64), parameters, batches)
    _assert_equal(ours, expect_exact(parameters, sequences), 1e-11)


def test_precision_is_that_of_the_example(xp, rng):
    parameters, sequences = _case(rng, labelled=False)
    batches = lane_batches(sequences, 1000, 0, 5)
    ours = expect_on(xp.zeros(1, dtype=xp.float32), parameters, batches)
    exact = expect_exact(parameters, sequences)
    error = abs(ours.log_likelihood / exact.log_likelihood - 1)
    assert 1e-12 < error < 1e-5


def test_an_impossible_lane_is_minus_infinity(xp, rng):
    parameters, sequences = _case(rng, labelled=False)
    emission = parameters.emissionprob.copy()
    emission[:, 2] = 0
    impossible = type(parameters)(parameters.startprob, parameters.transmat, emission)
    batches = lane_batches(sequences, 1000, 0, 5)
    ours = expect_on(xp.zeros(1, dtype=xp.float64), impossible, batches)
    assert ours.log_likelihood == -np.inf
    assert np.isfinite(ours.emit).all()
