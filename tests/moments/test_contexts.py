"""Counts of the contexts of symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from spectral_nn.data import Sequences
from spectral_nn.moments.contexts import context_cut, contexts_of_ngrams, count_contexts
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut

D = 4


def counted(sequences, lags, length=None):
    """Counts of all chunks of some sequences, added up."""
    data = Sequences.from_lengths(
        np.concatenate(sequences).astype(np.int32), [len(one) for one in sequences]
    )
    cut = context_cut(lags) if length is None else ngram_cut(1 + max(map(abs, lags)), length)
    parts = [count_contexts(chunk, lags, D) for chunk in data.parts(cut, ngram_chunk)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total, len(parts)


def by_hand(sequences, lag):
    """What is at a lag of every symbol; D is an edge, and what is missing counts for nothing."""
    table = np.zeros((D, D + 1), dtype=int)
    for one in sequences:
        for t, x in enumerate(one):
            y = one[t + lag] if 0 <= t + lag < len(one) else None
            if x < D and y != D:
                table[x, D if y is None else y] += 1
    return table


SEQUENCES = st.lists(st.lists(st.integers(0, D), min_size=1, max_size=9), min_size=1, max_size=5)


@given(SEQUENCES)
def test_tables_count_what_is_at_each_lag(sequences):
    lags = (-2, -1, 1, 3)
    found, _ = counted(sequences, lags)
    wanted = np.hstack([by_hand(sequences, lag) for lag in lags])
    assert_array_equal(found.table(lags).toarray(), wanted)


@pytest.mark.parametrize("length", [3, 5, 8])
def test_chunks_add_up(rng, length):
    sequences = [rng.integers(0, D + 1, n) for n in (1, 2, 40, 7)]
    whole, one = counted(sequences, (-2, 1))
    parts, many = counted(sequences, (-2, 1), length)
    assert many > one
    for m, table in whole.pairs.items():
        assert_array_equal(parts.pairs[m].toarray(), table.toarray())


def test_windows_have_the_same_contexts_but_for_the_ends(rng):
    values = rng.integers(0, D, 500).astype(np.int32)
    data = Sequences.from_lengths(values)
    (chunk,) = data.parts(ngram_cut(3), ngram_chunk)
    found = contexts_of_ngrams(count_ngrams(chunk, 3, D), (-1, 1))
    whole, _ = counted([values], (-1, 1))
    lost = (whole.pairs[1] - found.pairs[1]).toarray()
    assert lost.min() == 0
    assert lost.sum() == 2  # the last pair, and the end
