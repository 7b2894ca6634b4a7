"""Counts of n-grams: by hand, whatever the chunks, and as a commutative sum."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from spectral_nn.data import Sequences
from spectral_nn.moments import ngrams
from spectral_nn.moments.ngrams import (
    NgramCounts,
    count_ngrams,
    ngram_chunk,
    ngram_cut,
    window_order,
)


def coded(lists):
    return Sequences.from_list([np.array(s, dtype=np.int32) for s in lists])


def count(lists, order, d, length=2**20):
    chunks = coded(lists).parts(ngram_cut(order, length), ngram_chunk)
    parts = [count_ngrams(chunk, order, d) for chunk in chunks]
    return sum(parts[1:], parts[0])


def by_hand(lists, order, d):
    """Every position with three symbols from there on, and the first, filled up with d."""
    found = Counter()
    for s in lists:
        for i in range(len(s)):
            if i == 0 or i + 3 <= len(s):
                window = s[i : i + order]
                found[tuple(window + [d] * (order - len(window)))] += 1
    return found


def as_counter(counts):
    return Counter(dict(zip(map(tuple, counts.windows().tolist()), counts.counts, strict=True)))


def assert_same(a, b):
    assert (a.order, a.n_symbols, a.n_sequences, a.n_rows) == (
        b.order,
        b.n_symbols,
        b.n_sequences,
        b.n_rows,
    )
    for name in ("codes", "counts", "symbols"):
        assert_array_equal(getattr(a, name), getattr(b, name))


@st.composite
def data(draw):
    d = draw(st.integers(1, 9))
    symbol = st.integers(0, d)  # d is missing
    lists = draw(st.lists(st.lists(symbol, min_size=1, max_size=12), min_size=1, max_size=5))
    return d, draw(st.sampled_from([3, 4, 5])), lists


@settings(max_examples=150, deadline=None)
@given(data(), st.integers(1, 15))
def test_counts_are_those_by_hand_whatever_the_chunks(case, length):
    d, order, lists = case
    counts = count(lists, order, d, length)
    assert as_counter(counts) == by_hand(lists, order, d)
    flat = np.concatenate([np.array(s) for s in lists])
    assert_array_equal(counts.symbols, np.bincount(flat, minlength=d + 1)[:d])
    assert counts.n_tokens == (flat < d).sum()
    assert (counts.n_rows, counts.n_sequences) == (flat.size, len(lists))
    assert (np.diff(counts.codes) > 0).all()
    assert_same(counts, count(lists, order, d))


def test_large_data_in_chunks_are_one_shot(rng):
    lists = [rng.integers(0, 5, n).tolist() for n in (1, 2, 3, 4000, 7, 900, 1, 1)]
    whole = count(lists, 5, 4)
    for length in (1, 2, 3, 10, 97, 1000, 4000):
        assert len(coded(lists).parts(ngram_cut(5, length), ngram_chunk)) > 1
        assert_same(count(lists, 5, 4, length), whole)


def test_end_of_a_sequence_is_filled_up():
    assert as_counter(count([[0, 1, 2, 0]], 5, 3)) == {(0, 1, 2, 0, 3): 1, (1, 2, 0, 3, 3): 1}
    assert as_counter(count([[2], [0, 1]], 3, 3)) == {(2, 3, 3): 1, (0, 1, 3): 1}
    assert as_counter(count([[3, 1, 3]], 3, 3)) == {(3, 1, 3): 1}


def test_labels_are_left_out_of_account(rng):
    d, symbols = 3, rng.integers(0, 4, 40)
    labels = rng.integers(-1, 5, 40)
    labelled = symbols + (d + 1) * (labels + 1)
    assert_same(count([labelled.tolist()], 5, d), count([symbols.tolist()], 5, d))


@settings(max_examples=60, deadline=None)
@given(data(), st.data())
def test_shortened_counts_the_first_symbols(case, more):
    d, order, lists = case
    counts = count(lists, order, d)
    shorter = more.draw(st.integers(1, order))
    expected = Counter()
    for window, n in by_hand(lists, order, d).items():
        expected[window[:shorter]] += n
    short = counts.shortened(shorter)
    assert as_counter(short) == expected
    assert short.counts.sum() == counts.counts.sum()
    assert short.n_rows == counts.n_rows
    assert_array_equal(short.symbols, counts.symbols)


def test_first_three_symbols_of_longer_windows_are_the_trigrams(rng):
    lists = [rng.integers(0, 4, n).tolist() for n in (1, 2, 3, 4, 60)]
    assert_same(count(lists, 5, 3).shortened(3), count(lists, 3, 3))


@settings(max_examples=60, deadline=None)
@given(data(), st.data())
def test_addition_is_associative_and_commutative(case, more):
    d, order, lists = case
    sequence = st.lists(st.integers(0, d), min_size=1, max_size=8)
    others = more.draw(st.lists(sequence, min_size=2, max_size=2))
    a, b, c = count(lists, order, d), count(others[:1], order, d), count(others[1:], order, d)
    assert_same((a + b) + c, a + (b + c))
    assert_same(a + b, b + a)
    assert_same(a + b + c, count(lists + others, order, d))


def test_addition_of_different_kinds_is_an_error():
    with pytest.raises(ValueError, match="3-grams of 4 symbols cannot be added to 5-grams of 4"):
        count([[0, 1, 2]], 3, 4) + count([[0, 1, 2]], 5, 4)
    with pytest.raises(ValueError, match="symbols cannot be added"):
        count([[0, 1, 2]], 3, 4) + count([[0, 1, 2]], 3, 3)


def test_windows_and_codes_are_the_same_thing(rng):
    d, order = 6000, 5  # near the largest codes that an int64 can hold
    windows = np.unique(rng.integers(0, d + 1, (500, order)), axis=0)
    windows[-1] = d
    codes = windows.astype(object) @ np.array([(d + 1) ** j for j in range(order - 1, -1, -1)])
    counts = NgramCounts(
        order, d, codes.astype(np.int64), np.ones(500, int), *[np.zeros(d, int)] * 2, 1, 1
    )
    assert_array_equal(counts.windows(), windows)
    assert_same(count(windows.tolist(), order, d).shortened(1), counts_of_first(windows, d))


def counts_of_first(windows, d):
    """Unigrams of the windows that sequences of length five have."""
    starts = np.concatenate([windows[:, 0], windows[:, 1], windows[:, 2]])
    codes, counts = np.unique(starts, return_counts=True)
    symbols = np.bincount(windows.ravel(), minlength=d + 1)[:d]
    return NgramCounts(1, d, codes, counts, symbols, 0 * symbols, len(windows), windows.size)


@pytest.mark.parametrize(("d", "order"), [(1, 5), (36, 5), (6000, 5), (7000, 3), (10**6, 3)])
def test_window_order_fits_an_int64(d, order):
    assert window_order(d) == order
    assert (d + 1) ** order < 2**63


def test_an_alphabet_whose_trigrams_do_not_fit_is_an_error():
    with pytest.raises(ValueError, match="2097152"):
        window_order(2**21)


def test_resampled_keeps_the_expected_counts(rng):
    counts = count([rng.integers(0, 3, 3000).tolist()], 3, 3)
    draws = [counts.resampled(rng) for _ in range(200)]
    totals = np.array([draw.counts.sum() for draw in draws])
    n = counts.counts.sum()
    assert abs(totals.mean() - n) < 5 * np.sqrt(n / 200)
    assert 0.8 < totals.var() / n < 1.25  # Poisson
    assert all((draw.counts > 0).all() for draw in draws)
    one = np.array([draw.counts[draw.codes == counts.codes[4]].sum() for draw in draws])
    assert abs(one.mean() - counts.counts[4]) < 5 * np.sqrt(counts.counts[4] / 200)
    assert (draws[0].order, draws[0].n_symbols) == (counts.order, counts.n_symbols)


def test_resampled_drops_windows_that_were_not_drawn(rng):
    counts = count([list(range(200))], 3, 200)
    again = counts.resampled(rng)
    assert 0.5 * counts.codes.size < again.codes.size < 0.75 * counts.codes.size  # 1 - 1/e
    assert np.isin(again.codes, counts.codes).all()


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_thinned_samples_positions(rng, share):
    """Frequent and rare windows keep the same share; the rest is still known."""
    values = np.minimum(rng.zipf(1.3, 60_000), 40) - 1
    counts = count([values.tolist()], 3, 40)
    thin = counts.thinned(share)
    kept = np.zeros_like(counts.counts)
    kept[np.searchsorted(counts.codes, thin.codes)] = thin.counts
    assert (kept <= counts.counts).all()
    assert (thin.counts > 0).all()
    for low, high in ((1, 1), (2, 5), (6, 50), (51, 10**6)):
        group = (counts.counts >= low) & (counts.counts <= high)
        n = counts.counts[group].sum()
        assert abs(kept[group].sum() - share * n) < 5 * np.sqrt(n * share * (1 - share))
    assert (thin.share, thin.n_rows) == (share, 60_000)
    assert_array_equal(thin.symbols, counts.symbols)
    assert_same(thin, counts.thinned(share))  # the data decide the draw
    assert counts.thinned(1.0) is counts


def test_thinned_sums_do_not_depend_on_the_order_of_the_two(rng, monkeypatch):
    monkeypatch.setattr(ngrams, "_MOST_WINDOWS", 2000)
    parts = [count([rng.integers(0, 30, n).tolist()], 3, 30) for n in (1500, 1400, 1300)]
    a, b = parts[0] + parts[1], parts[2]
    assert a.share < 1
    assert_same(a + b, b + a)
    assert (a + b).share <= a.share
