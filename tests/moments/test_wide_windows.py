"""Moments between wide windows: identities against loops, at tiny size."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.moments.wide_windows import wide_windows

D = 4


def sequences(rng, lengths):
    """Codes with missing ones among them, and offsets."""
    codes = rng.integers(0, D + 1, sum(lengths)).astype(np.int32)
    return codes, np.append(0, np.cumsum(lengths)).astype(np.int64)


def looped(codes, offsets, width):
    """Past, future (n, d) and the symbol in the middle of every position that has all three."""
    one_hot = np.eye(D + 1)[codes][:, :D]
    seen = one_hot.sum(axis=0)
    scaled = one_hot / np.sqrt(seen / seen.sum() + 5 / seen.sum())
    found = [
        (scaled[t - width : t].mean(axis=0), scaled[t + 1 : t + 1 + width].mean(axis=0), codes[t])
        for begin, end in pairwise(offsets)
        for t in range(begin + width, end - width)
        if codes[t] < D
    ]
    past, future, middle = map(np.array, zip(*found, strict=True))
    return past, future, middle


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("lengths", [[40], [15, 1, 11, 0, 30]])
def test_moments_are_means_over_all_positions(rng, width, lengths):
    codes, offsets = sequences(rng, lengths)
    windows = wide_windows(codes, offsets, D, width)
    past, future, middle = looped(codes, offsets, width)
    assert windows.n_kept == middle.size
    assert_allclose(windows.cross_moment(), future.T @ past / middle.size, atol=1e-14)
    left, right = rng.standard_normal((2, D, 3))
    expected = np.zeros((D, 3, 3))
    for p, f, v in zip(past, future, middle, strict=True):
        expected[v] += np.outer(f @ left, p @ right) / middle.size
    assert_allclose(windows.observable_operators(left, right), expected, atol=1e-13)


def test_operators_add_up_to_the_cross_moment(rng):
    windows = wide_windows(*sequences(rng, [200, 300]), D, 10)
    left, right = rng.standard_normal((2, D, 2))
    total = windows.observable_operators(left, right).sum(axis=0)
    assert_allclose(total, left.T @ windows.cross_moment() @ right, atol=1e-13)


def test_windows_stay_in_their_sequence():
    codes = np.repeat([0, 1], 50).astype(np.int32)
    joined = wide_windows(codes, np.array([0, 100]), 2, 3).cross_moment()
    apart = wide_windows(codes, np.array([0, 50, 100]), 2, 3).cross_moment()
    assert joined[1, 0] > 0 == joined[0, 1]
    assert apart[1, 0] == apart[0, 1] == 0


@pytest.mark.parametrize("lengths", [[], [0], [1], [6, 6], [3] * 20])
def test_sequences_too_short_for_any_window_have_no_moments(rng, lengths):
    codes, offsets = sequences(rng, lengths)
    windows = wide_windows(codes, offsets, D, 3)
    assert windows.n_kept == 0
    assert not windows.cross_moment().any()
    assert not windows.observable_operators(np.ones((D, 2)), np.ones((D, 2))).any()
