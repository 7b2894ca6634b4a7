"""The lane layout: every position owned once, inside its context, whatever the lengths."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from spectral_nn.data import Cut, Sequences
from spectral_nn.models.chains.lanes import LANES, lane_batches, window_lanes

PAD = -7


def sequences_of(lengths):
    """Every position has a code of its own."""
    return Sequences.from_lengths(np.arange(sum(lengths), dtype=np.int32), lengths)


def lanes(batches):
    """(codes with their padding, first own step, last own step, fresh, weight) of each slot."""
    symbols = batches.symbols.reshape(-1, LANES)
    for b, (first, stop) in enumerate(zip(batches.offsets[:-1], batches.offsets[1:], strict=True)):
        for lane in range(LANES):
            yield (symbols[first:stop, lane], *batches.own[b, :, lane], batches.weight[b, lane])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=70),
    st.integers(1, 40),
    st.integers(0, 20),
)
def test_layout(lengths, length, burn_in):
    sequences = sequences_of(lengths)
    weight = np.arange(1.0, len(lengths) + 1)
    batches = lane_batches(sequences, length, burn_in, PAD, weight=weight)
    owned, last_of = [], {}
    for slot, (codes, first, stop, fresh, share) in enumerate(lanes(batches)):
        real = codes[codes != PAD]
        assert_array_equal(codes[: real.size], real)  # padding comes last
        if stop == first:
            assert share == 0
            assert real.size == 0
            continue
        assert_array_equal(np.diff(real), 1)  # a stretch of the data
        sequence = np.searchsorted(sequences.offsets, real[0], side="right") - 1
        begin, end = sequences.offsets[sequence : sequence + 2]
        own = real[first:stop]
        assert own.size <= length
        assert begin <= real[0]
        assert real[-1] < end
        assert first == min(burn_in, own[0] - begin)
        assert real.size - stop == min(burn_in, end - 1 - own[-1])
        assert fresh == (real[0] == begin)
        assert share == weight[sequence]
        owned.extend(own.tolist())
        last_of[own[-1]] = (slot, sequence)
    assert sorted(owned) == list(range(sum(lengths)))
    assert batches.n_rows == sum(lengths)
    _check_joints(batches, sequences, last_of)


def _check_joints(batches, sequences, last_of):
    """Joints link the lane that owns position p to the lane that owns p + 1."""
    slots = list(lanes(batches))
    joined = {tuple(pair) for pair in batches.joined.tolist()}
    inner = {p: s for p, (s, i) in last_of.items() if p + 1 < sequences.offsets[i + 1]}
    assert len(joined) == len(inner) == batches.joined.shape[0]
    for before, after in joined:
        codes, first, *_ = slots[after]
        assert inner[codes[first] - 1] == before


def test_padding_is_small_when_lengths_are_mixed(rng):
    lengths = rng.integers(1, 300, 2000)
    batches = lane_batches(sequences_of(lengths), 1000, 0, PAD)
    assert (batches.symbols == PAD).mean() < 0.05


def test_windows_are_laid_out_like_the_whole():
    sequences = sequences_of([700, 3, 1, 250, 90, 2000])
    whole = lane_batches(sequences, 13, 4, PAD)
    cut = Cut(13, (4, 4), window=100)
    parts = sequences.parts(cut, partial(window_lanes, pad=PAD))
    assert len(parts) > 20
    found, expected = (
        {tuple(np.r_[lane]) for batches in some for lane in lanes(batches) if lane[2]}
        for some in (parts, [whole])
    )
    shortest = {tuple(x for x in lane if x != PAD) for lane in found}
    assert shortest == {tuple(x for x in lane if x != PAD) for lane in expected}
    assert sum(part.n_rows for part in parts) == whole.n_rows


def test_halves_are_the_batches():
    batches = _cut()
    one, other = batches.halves()
    assert_array_equal(np.concatenate([one.symbols, other.symbols]), batches.symbols)
    assert one.n_rows + other.n_rows == batches.n_rows
    assert min(one.n_rows, other.n_rows) > 0


def _cut():
    return lane_batches(sequences_of([700, 3, 1, 250, 90, 2000]), 13, 4, PAD)


def test_select_keeps_what_it_chooses():
    batches = _cut()
    chosen = np.array([4, 0, 6])
    some = batches.select(chosen)
    whole = list(lanes(batches))
    for i, (codes, *rest) in enumerate(lanes(some)):
        expected, *others = whole[chosen[i // LANES] * LANES + i % LANES]
        assert_array_equal(codes, expected)
        assert rest == others
    slot = {b * LANES + lane: i * LANES + lane for i, b in enumerate(chosen) for lane in range(32)}
    expected = [[slot[a], slot[b]] for a, b in batches.joined if a in slot and b in slot]
    assert some.joined.tolist() == expected
    assert 0 < len(expected) < len(batches.joined)


@pytest.mark.parametrize("steps", [1, 30, 64, 10**6])
def test_chunks_are_all_batches_once(steps):
    batches = _cut()
    parts = batches.chunks(steps)
    assert len(parts) == {1: 8, 10**6: 1}.get(steps, len(parts))
    assert_array_equal(np.concatenate([part.symbols for part in parts]), batches.symbols)
    assert_array_equal(np.concatenate([part.own for part in parts]), batches.own)
    assert_array_equal(np.concatenate([part.weight for part in parts]), batches.weight)
    assert sum(part.n_rows for part in parts) == batches.n_rows
    longest = np.diff(batches.offsets).max()
    assert all(part.offsets[-1] <= steps + longest for part in parts)
