"""EM on windows: the composite likelihood and how many windows it looks at."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains import composite
from spectral_nn.models.chains.composite import window_batches
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import Priors, maximise
from spectral_nn.moments.ngrams import NgramCounts, count_ngrams, ngram_chunk, ngram_cut
from tests.populations import population_counts, three_state_model, window_probabilities


@pytest.mark.parametrize("order", [2, 3])
def test_statistics_of_windows_are_the_composite_likelihood(rng, order):
    """``sum_w c_w log P(w)``, missing symbols summed out, from windows that were longer."""
    model = three_state_model()
    sequences = Sequences.from_list([rng.integers(0, 7, n).astype(np.int32) for n in (1, 2, 400)])
    (chunk,) = sequences.parts(ngram_cut(5), ngram_chunk)
    counts = count_ngrams(chunk, 5, 6)
    batches = window_batches(counts, order, rng)
    found = expect_lanes(model, batches, dtype=np.float64)
    p = window_probabilities(model, order)
    for axis in range(order):  # symbol d stands for any
        p = np.concatenate([p, p.sum(axis=axis, keepdims=True)], axis=axis)
    short = counts.shortened(order)
    expected = np.sum(short.counts * np.log(p[tuple(short.windows().T)]))
    assert_allclose(found.log_likelihood, expected, rtol=1e-12)
    assert_allclose(found.start.sum(), counts.counts.sum())
    assert_allclose(found.trans.sum(), (order - 1) * counts.counts.sum())
    assert batches.weight.sum() == counts.counts.sum()
    assert found.n_cuts == 0


def test_em_on_population_windows_stays_at_the_truth_and_returns_to_it(rng):
    model = three_state_model()
    batches = window_batches(population_counts(model, 3, 10**7), 3, rng)
    stay = maximise(expect_lanes(model, batches, dtype=np.float64), model, Priors())
    assert_allclose(stay.transmat, model.transmat, atol=1e-5)
    assert_allclose(stay.emission.probs, model.emission.probs, atol=1e-5)
    moved = HMMParameters.categorical(
        np.full(3, 1 / 3), np.full((3, 3), 1 / 3), 0.7 * model.emission.probs + 0.05
    )
    for _ in range(400):
        moved = maximise(expect_lanes(moved, batches, dtype=np.float64), moved, Priors())
    assert parameter_errors(moved, model)["emissionprob"] < 0.02
    assert parameter_errors(moved, model)["transmat"] < 0.02


def _many_windows(rng, n=200_000, d=99):
    codes = np.sort(rng.choice((d + 1) ** 3, n, replace=False))
    counts = np.minimum(rng.zipf(1.5, n), 1000)
    return NgramCounts(
        3, d, codes, counts, np.zeros(d, int), np.zeros(d, int), 1, int(counts.sum())
    )


def test_positions_are_sampled_where_windows_are_too_many(rng):
    counts = _many_windows(rng)
    weight = window_batches(counts, 3, rng).weight
    kept = weight[weight > 0]
    assert kept.size == pytest.approx(composite.MAX_WINDOWS, rel=0.02)
    assert (kept == np.rint(kept)).all()
    assert kept.sum() < counts.counts.sum()


def test_the_sample_is_in_proportion_to_the_counts(rng):
    """Frequent windows keep the same share of their positions as rare ones."""
    counts = _many_windows(rng)
    batches = window_batches(counts, 3, rng)
    base, real = counts.n_symbols + 1, batches.weight.ravel() > 0
    symbols = batches.symbols.reshape(-1, 3, 32).transpose(0, 2, 1).reshape(-1, 3)[real]
    codes = symbols.astype(np.int64) @ base ** np.arange(2, -1, -1)
    weight = np.zeros(counts.codes.size)
    weight[np.searchsorted(counts.codes, codes)] = batches.weight.ravel()[real]
    assert (weight <= counts.counts).all()
    share = weight.sum() / counts.counts.sum()
    for low, high in ((1, 1), (2, 4), (5, 30), (31, 1000)):
        group = (counts.counts >= low) & (counts.counts <= high)
        n = counts.counts[group].sum()
        assert abs(weight[group].sum() - share * n) < 5 * np.sqrt(n * share * (1 - share))


def test_few_windows_are_all_taken(rng):
    counts = population_counts(three_state_model(), 3, 10**6)
    a, b = (window_batches(counts, 3, np.random.default_rng(seed)) for seed in (1, 2))
    assert a.weight.sum() == counts.counts.sum()
    assert_allclose(np.sort(a.weight.ravel()), np.sort(b.weight.ravel()))
