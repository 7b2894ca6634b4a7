"""Counts of contexts: by hand, whatever the chunks."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_nn.data import Sequences
from spectral_nn.moments.surroundings import (
    count_surroundings,
    reach,
    surroundings_chunk,
    surroundings_cut,
)
from spectral_nn.runners.base import SerialRunner


def count(lists, far, d, ends, length=2**20):
    source = Sequences.from_list([np.array(s, dtype=np.int32) for s in lists])
    statistic = partial(count_surroundings, reach=far, n_symbols=d, ends=ends)
    return SerialRunner().total(
        statistic, source.parts(surroundings_cut(far, length), surroundings_chunk)
    )


def by_hand(lists, far, d, ends):
    found = Counter()
    for s in lists:
        padded = [d + 1] * far + s + [d + 1] * (far + 1)
        for t in range(len(s) + ends):
            found[tuple(padded[t : t + 2 * far + 1])] += 1
    return found


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=5),
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 7),
)
def test_counts_are_those_by_hand_whatever_the_chunks(lists, far, ends, length):
    counts = count(lists, far, 3, ends, length)  # symbol 3 is a missing one
    windows = map(tuple, counts.windows().tolist())
    assert Counter(dict(zip(windows, counts.counts, strict=True))) == by_hand(lists, far, 3, ends)
    assert counts.n_sequences == len(lists)
    assert counts.n_rows == sum(map(len, lists))


def test_the_reach_is_what_64_bits_hold():
    assert reach(5, 3) == 3
    assert 5 ** (2 * reach(3, 99) + 1) < 2**63 <= 5 ** (2 * reach(3, 99) + 3)
    assert reach(2_000_000, 3) == 1
    with pytest.raises(ValueError, match="n_features=3000000 symbols are too many"):
        reach(3_000_000, 1)
