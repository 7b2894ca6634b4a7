"""Random starts."""

import numpy as np
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.models.chains.symbol_starts import random_start
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut
from tests.populations import population_counts, three_state_model


def counted(values, order, d):
    (chunk,) = Sequences.from_lengths(np.array(values, dtype=np.int32)).parts(
        ngram_cut(order), ngram_chunk
    )
    return count_ngrams(chunk, order, d)


def assert_model(found, n_components, n_symbols):
    assert (found.n_components, found.emission.n_symbols) == (n_components, n_symbols)
    for array in (found.startprob, found.transmat, found.emission.probs):
        assert np.isfinite(array).all()
        assert (array >= 0).all()
        assert_allclose(array.sum(axis=-1), 1)


def test_random_start_draws_emissions_around_the_frequencies(rng):
    counts = counted([0] * 900 + [1] * 90 + [2] * 9, 3, 4)
    starts = [random_start(5, counts, rng) for _ in range(200)]
    for start in starts:
        assert_model(start, 5, 4)
        assert (start.emission.probs > 0).all()  # also of a symbol that was never seen
    mean = np.mean([start.emission.probs for start in starts], axis=(0, 1))
    assert mean[0] > 0.7 > 0.3 > mean[1] > 0.05 > mean[2] > mean[3] > 0
    assert np.std([start.emission.probs[0, 1] for start in starts]) > 0.02
    assert not np.allclose(starts[0].transmat, starts[1].transmat)


def test_starts_follow_their_generator():
    counts = population_counts(three_state_model(), 3, 10**5)
    a, b = (random_start(3, counts, np.random.default_rng(4)) for _ in range(2))
    assert_allclose(a.emission.probs, b.emission.probs, rtol=0, atol=0)
    assert_allclose(a.transmat, b.transmat, rtol=0, atol=0)
