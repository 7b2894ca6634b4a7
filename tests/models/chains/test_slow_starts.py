"""Starts of chains whose states last."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains.diagonal import diagonalise
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.fit import HMMOptions, count, fit_counts, fit_hmm
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.slow_starts import sticky_start, wide_moments, wide_start
from spectral_nn.models.chains.spectral import decompose, whitened_moments
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.runners.base import SerialRunner

K, D, N = 5, 40, 20_000


def excerpt_of(data, n_symbols):
    engine = LaneEngine(
        data,
        ChainModel(Priors()),
        n_rows=int(data.offsets[-1]),
        pad=n_symbols,
        run=SerialRunner(),
        seed=0,
    )
    return engine.excerpt()


def faint_model(stay, rng):
    """States whose emissions differ little, so that single symbols say little of them."""
    model = planted_hmm(K, D, stay=stay, rng=rng)
    even = np.full(D, 1 / D)
    faint = 0.35 * model.emission.probs + 0.65 * even
    return HMMParameters.categorical(model.startprob, model.transmat, faint)


def sampled(stay, seed=0, n=N):
    rng = np.random.default_rng(seed)
    truth = faint_model(stay, rng)
    return truth, Sequences.from_lengths(sample_hmm(truth, n, rng)[0].ravel().astype(np.int32))


@pytest.fixture(scope="module")
def slow():
    return sampled(0.99)


def test_wide_windows_recover_what_narrow_ones_do_not(slow, rng):
    truth, data = slow
    counts = count(data, D, SerialRunner())
    narrow = diagonalise(whitened_moments(counts, K, rng).operators, counts, rng)
    wide = wide_moments(excerpt_of(data, D), counts, K, rng)
    assert wide.width == 30
    assert wide.ratio < 0.5 < 0.7 < narrow.joint.ratio
    errors = [
        parameter_errors(model, truth)["emissionprob"]
        for model in (
            wide_start(wide, counts, rng),
            fit_hmm(data, HMMOptions(K, D, n_iter=0), rng=rng).parameters,
            decompose(whitened_moments(counts, K, rng), counts, rng),
        )
    ]
    assert max(errors[:2]) < 0.15 < 0.2 < errors[2]


def test_a_default_fit_ends_as_em_from_the_truth_does(slow):
    truth, data = slow
    parts = {"startprob": truth.startprob, "transmat": truth.transmat, "emission": truth.emission}
    best = fit_hmm(data, HMMOptions(K, D, fixed=parts), rng=np.random.default_rng(0))
    found = fit_hmm(data, HMMOptions(K, D), rng=np.random.default_rng(0))
    assert found.report.window == 30
    assert found.history[-1] > best.history[-1] - 20  # of 70,000 nats
    assert parameter_errors(found.parameters, truth)["transmat"] < 0.1


def test_chains_that_change_fast_are_left_to_narrow_windows(rng):
    model = planted_hmm(4, 20, stay=0.5, rng=rng)
    data = Sequences.from_lengths(sample_hmm(model, 50_000, rng)[0].ravel().astype(np.int32))
    fit = fit_hmm(data, HMMOptions(4, 20, n_iter=0), rng=rng)
    assert fit.report.winner == "tensor"
    assert not fit.report.window


def test_sequences_too_short_for_any_window_have_no_wide_moments(rng):
    model = faint_model(0.9, rng)
    short = Sequences.from_list(list(sample_hmm(model, 6, rng, n_sequences=500)[0]))
    counts = count(short, D, SerialRunner())
    assert wide_moments(excerpt_of(short, D), counts, 3, rng) is None
    kinds = [one.kind for one in fit_hmm(short, HMMOptions(3, D), rng=rng).report.starts]
    assert "wide-windows" not in kinds
    assert {"tensor", "sticky", "random"} == set(kinds)


def test_counts_alone_have_no_wide_windows(slow, rng):
    _, data = slow
    fit = fit_counts(count(data, D, SerialRunner()), HMMOptions(K, D, n_iter=0), rng=rng)
    assert fit.report.winner == "tensor"


def test_sticky_starts_stay_and_emit_around_the_frequencies(rng):
    data = Sequences.from_lengths(np.repeat([0, 1], [900, 100]).astype(np.int32))
    counts = count(data, 3, SerialRunner())
    starts = [sticky_start(4, counts, rng) for _ in range(100)]
    for start in starts:
        assert_allclose(np.diag(start.transmat), 0.97 + 0.03 / 4)
        assert_allclose(start.transmat.sum(axis=1), 1)
        assert_allclose(start.emission.probs.sum(axis=1), 1)
    mean = np.mean([start.emission.probs for start in starts], axis=(0, 1))
    assert mean[0] > 0.7 > 0.3 > mean[1] > mean[2] > 0


def test_blocks_that_adjoin_are_one_stretch(rng):
    data = Sequences.from_list([rng.integers(0, 9, n).astype(np.int32) for n in (5000, 3, 2000)])
    some = excerpt_of(data, 9)
    codes, offsets = some.stretches()
    assert_allclose(codes, data.values)
    assert_allclose(offsets, data.offsets)
    blocks = some.window.blocks
    others = some.choose(lambda rows: np.arange(rows.size) % 3 != 1)  # leaves gaps behind
    codes, offsets = others.stretches()
    kept = np.arange(blocks.start.size) % 3 != 1
    assert codes.size == (blocks.stop - blocks.start)[kept].sum()
    assert offsets.size - 1 > 3
    assert np.diff(offsets).min() > 0
