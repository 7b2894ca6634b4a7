"""Bounded memory of n-gram counts: uniform samples of positions, decided by the data alone."""

import numpy as np

from spectral_nn.data import Sequences
from spectral_nn.moments import ngrams
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut


def _counted(rng, n, d=6):
    (chunk,) = Sequences.from_lengths(rng.integers(0, d, n).astype(np.int32)).parts(
        ngram_cut(5), ngram_chunk
    )
    return count_ngrams(chunk, 5, d)


def test_sums_stay_below_the_bound_and_totals_stay_whole(rng, monkeypatch):
    monkeypatch.setattr(ngrams, "_MOST_WINDOWS", 500)
    parts = [_counted(rng, 1000) for _ in range(6)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
        assert total.codes.size <= 500
    assert total.n_rows == 6000
    assert total.n_tokens == 6000
    assert total.share < 0.25
    assert abs(total.counts.sum() / (6000 * total.share) - 1) < 0.15


def test_thinning_keeps_proportions_and_draws_the_same_again(rng):
    counts = _counted(rng, 200_000, d=2)
    thin = counts.thinned(0.25)
    again = counts.thinned(0.25)
    np.testing.assert_array_equal(thin.counts, again.counts)
    expected = counts.counts[np.isin(counts.codes, thin.codes)] / 4
    assert expected.sum() > 0.999 * 200_000 / 4
    assert (np.abs(thin.counts - expected) < 5 * np.sqrt(expected) + 1).all()
    assert counts.thinned(1.0) is counts


def test_shares_are_levelled_before_adding(rng):
    whole, thin = _counted(rng, 50_000, d=2), _counted(rng, 50_000, d=2).thinned(0.5)
    both = whole + thin
    assert both.share == 0.5
    assert abs(both.counts.sum() / 50_000 - 1) < 0.02
