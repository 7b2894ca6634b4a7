"""Groups of histories: a start for more states than symbols."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.datasets import sample_hmm
from spectral_nn.models.chains.fit import HMMOptions, count, fit_counts, fit_hmm
from spectral_nn.models.chains.history_starts import history_start
from spectral_nn.models.chains.inference import log_likelihoods
from spectral_nn.models.chains.parameters import HMMParameters, stationary
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut
from spectral_nn.runners.base import SerialRunner


def counted(sequences, n_symbols):
    return count(Sequences.from_list([np.array(x, np.int32) for x in sequences]), n_symbols, run())


def run():
    return SerialRunner()


def noisy_cycle():
    """Eight states in a circle that write 0 0 0 1 0 1 1 1: which one, two symbols cannot tell."""
    written = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    trans = 0.97 * np.roll(np.eye(8), 1, axis=1) + 0.03 / 8
    emission = 0.98 * np.eye(2)[written] + 0.01
    return HMMParameters.categorical(stationary(trans), trans, emission)


def assert_model(found, n_components, n_symbols):
    assert (found.n_components, found.emission.n_symbols) == (n_components, n_symbols)
    for array in (found.startprob, found.transmat, found.emission.probs):
        assert (array > 0).all()
        assert_allclose(array.sum(axis=-1), 1)


def test_histories_know_where_a_cycle_is(rng):
    truth = noisy_cycle()
    data = Sequences.from_lengths(sample_hmm(truth, 20_000, rng)[0].ravel().astype(np.int32))
    found = history_start(8, count(data, 2, run()), rng)
    assert_model(found, 8, 2)
    best = log_likelihoods(truth, data)[0]
    flat = 20_000 * np.log(0.5)  # what single symbols say
    assert log_likelihoods(found, data)[0] > flat + 0.5 * (best - flat)


@pytest.mark.filterwarnings("ignore::spectral_nn.results.RankWarning")
def test_history_starts_race_where_states_outnumber_symbols(rng):
    truth = noisy_cycle()
    data = Sequences.from_lengths(sample_hmm(truth, 5000, rng)[0].ravel().astype(np.int32))
    kinds = [
        [one.kind for one in fit.report.starts]
        for fit in (
            fit_hmm(data, HMMOptions(8, 2, n_iter=10), rng=rng),
            fit_hmm(data, HMMOptions(2, 2, n_iter=10), rng=rng),
            fit_counts(count(data, 2, run()), HMMOptions(8, 2, n_iter=10), rng=rng),
        )
    ]
    assert ["histories" in one for one in kinds] == [True, False, True]


def test_more_states_than_histories(rng):
    found = history_start(6, counted([[0, 1] * 30], 2), rng)
    assert_model(found, 6, 2)
    assert np.unique(found.emission.probs.round(6), axis=0).shape[0] == 6


def test_a_missing_symbol_takes_its_windows_along(rng):
    gaps = np.array([0, 1, 0, 1, 0, 2, 1, 0, 1, 0, 1])
    apart = history_start(2, counted([gaps[:5], gaps[6:]], 2), np.random.default_rng(0))
    found = history_start(2, counted([gaps], 2), np.random.default_rng(0))
    assert_allclose(found.transmat, apart.transmat)


@pytest.mark.parametrize("values", [[0], [0, 1, 0, 1], [0, 2, 1, 2, 0, 2]])
def test_no_five_symbols_in_a_row(rng, values):
    with pytest.raises(ValueError, match="no five symbols in a row"):
        history_start(4, counted([values, [0]], 2), rng)


def test_trigrams_are_too_short(rng):
    (chunk,) = Sequences.from_lengths(np.array([0, 1, 0, 1], np.int32)).parts(
        ngram_cut(3), ngram_chunk
    )
    with pytest.raises(ValueError, match="windows of 3 symbols"):
        history_start(4, count_ngrams(chunk, 3, 2), rng)
