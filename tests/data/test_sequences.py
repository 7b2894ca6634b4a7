"""Sequences: forms of input, indexing, blocks, streams."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from spectral_nn.data import Cut, LazySequences, Partitions, Sequences, SequenceStream, blocks
from spectral_nn.data.cuts import frames
from spectral_nn.runners.base import SerialRunner
from spectral_nn.runners.cluster import DaskRunner

ARRAYS = [np.array([3, 1, 4]), np.array([1]), np.array([5, 9])]


def lists_of_arrays():
    return st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=8)


def test_every_form_gives_the_same_sequences():
    table, lengths = np.concatenate(ARRAYS)[:, None], [3, 1, 2]
    forms = [
        Sequences.from_list([a[:, None] for a in ARRAYS]),
        Sequences.from_lengths(table, lengths),
        Sequences.from_input(table, lengths),
        Sequences.from_input([a[:, None] for a in ARRAYS]),
        Sequences.from_input(Sequences(table, np.array([0, 3, 4, 6]))),
    ]
    for s in forms:
        assert_array_equal(s.values, table)
        assert_array_equal(s.offsets, [0, 3, 4, 6])
        assert_array_equal(s.lengths, lengths)
        assert s.offsets.dtype == np.int64
    cube = np.arange(12).reshape(2, 3, 2)
    s = Sequences.from_input(cube)
    assert_array_equal(s[1], cube[1])


def test_lists_read_as_numpy_or_as_sequences():
    assert len(Sequences.from_input([[0], [1], [2]])) == 1
    assert len(Sequences.from_input([0, 1, 2])) == 1
    assert len(Sequences.from_input([[0], [1], [2]], [1, 2])) == 2
    assert len(Sequences.from_input([[0, 1], [2]])) == 2
    assert len(Sequences.from_input([[[0], [1]], [[2]]])) == 2
    assert len(Sequences.from_input([np.array([0]), np.array([1])])) == 2
    objects = np.empty(2, dtype=object)
    objects[:] = [np.array([0, 1]), np.array([2])]
    assert len(Sequences.from_input(objects)) == 2


@given(lists_of_arrays(), st.data())
def test_indexing_is_that_of_a_list(lists, data):
    s = Sequences.from_list([np.array(x) for x in lists])
    m = len(lists)
    assert [x.tolist() for x in s] == lists
    i = data.draw(st.integers(-m, m - 1))
    assert s[i].tolist() == lists[i]
    cut = slice(data.draw(st.integers(-m, m)), data.draw(st.integers(-m, m)), 2)
    assert [x.tolist() for x in s[cut]] == lists[cut]
    chosen = data.draw(st.lists(st.integers(-m, m - 1), max_size=6))
    assert [x.tolist() for x in s[chosen]] == [lists[j] for j in chosen]
    assert [x.tolist() for x in s[np.array(chosen, dtype=int), ...]] == [lists[j] for j in chosen]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=m, max_size=m)))
    kept = [x for x, keep in zip(lists, mask, strict=True) if keep]
    assert [x.tolist() for x in s[mask]] == kept
    back = pickle.loads(pickle.dumps(s))
    assert_array_equal(back.values, s.values)
    assert_array_equal(back.offsets, s.offsets)


def test_contiguous_slices_share_memory():
    s = Sequences.from_list(ARRAYS)
    assert np.shares_memory(s[1:].values, s.values)
    assert s.shape == (3,)
    assert next(s.pieces()) is s
    with pytest.raises(IndexError):
        s[3]


def test_masks_survive():
    s = Sequences.from_list([np.ma.array([1, 2], mask=[0, 1]), np.array([3])])
    assert_array_equal(np.ma.getmaskarray(s.values), [False, True, False])
    assert_array_equal(np.ma.getmaskarray(s[[2 - 1, 0]].values), [False, False, True])


@pytest.mark.parametrize(
    ("X", "lengths", "message"),
    [
        ([], None, "0 sample"),
        (np.empty((0, 1)), None, "0 sample"),
        (np.array(3), None, "dimensions"),
        (np.zeros((4, 1)), [2, 3], "sum to 5 but X has 4"),
        (np.zeros((4, 1)), [4, 0], "lengths must be whole numbers of at least 1; entry 1 is 0"),
        (np.zeros((4, 1)), [2.5, 1.5], "entry 0 is 2.5"),
        (np.zeros((4, 1)), [[4]], "1-D"),
        (np.zeros((4, 1)), [np.nan, 4], "entry 0 is nan"),
        (ARRAYS, [3, 1, 2], "Leave lengths out"),
        (Sequences.from_list(ARRAYS), [6], "Leave lengths out"),
        (np.zeros((2, 3, 1)), [6], "3-D"),
        ([np.zeros(2), np.zeros(0)], None, "Sequence 1 of X is empty"),
        ([np.zeros((2, 1)), np.zeros((2, 2))], None, "differ in width"),
    ],
)
def test_bad_input_is_named(X, lengths, message):
    with pytest.raises(ValueError, match=message):
        Sequences.from_input(X, lengths)


def test_bad_offsets():
    with pytest.raises(ValueError, match="offsets must"):
        Sequences(np.zeros(3), np.array([0, 2]))
    with pytest.raises(ValueError, match="offsets must"):
        Sequences(np.zeros(3), np.array([]))
    with pytest.raises(ValueError, match="sequence 1 has 0"):
        Sequences(np.zeros(3), np.array([0, 3, 3]))


@given(lists_of_arrays(), st.integers(1, 12), st.integers(0, 4), st.integers(0, 4))
def test_blocks_partition_the_rows(lists, length, left, right):
    s = Sequences.from_list([np.array(x) for x in lists])
    b = blocks(s, length, halo=(left, right))
    rows = np.concatenate([np.arange(i, j) for i, j in zip(b.start, b.stop, strict=True)])
    assert_array_equal(rows, np.arange(len(s.values)))
    sizes = b.stop - b.start
    assert sizes.max() <= length
    assert_array_equal(np.bincount(b.sequence), -(-s.lengths // length))
    for i in range(len(s)):
        own = sizes[b.sequence == i]
        assert own.max() - own.min() <= 1
    assert_array_equal(b.first, np.maximum(b.start - left, s.offsets[b.sequence]))
    assert_array_equal(b.last, np.minimum(b.stop + right, s.offsets[b.sequence + 1]))


@given(lists_of_arrays(), st.integers(1, 12), st.integers(0, 4), st.integers(1, 20), st.data())
def test_windows_hold_the_blocks_of_the_whole(lists, length, halo, window, data):
    s = Sequences.from_list([np.array(x) for x in lists])
    whole = blocks(s, length, (halo, halo))
    row = data.draw(st.integers(0, 100))
    found = [frame.window() for frame in frames(s.offsets, Cut(length, (halo, halo), window), row)]
    for i in range(1, 5):
        moved = [w.blocks[i] + w.low for w in found]
        assert_array_equal(np.concatenate(moved), whole[i])
    begins = np.concatenate([w.begins for w in found])
    assert_array_equal(begins, whole.first == s.offsets[whole.sequence])
    for w in found:
        assert len({(row + w.low + x) // window for x in w.blocks.start.tolist()}) == 1
        assert (w.blocks.first.min(), w.blocks.last.max()) == (0, w.high - w.low)


@given(lists_of_arrays(), st.integers(1, 12), st.integers(1, 20), st.integers(1, 30))
def test_parts_do_not_depend_on_where_the_data_are(lists, length, window, chunk):
    arrays = [np.array(x) for x in lists]
    memory = Sequences.from_list(arrays)
    chosen = Cut(length, (1, 1), window, chosen=lambda rows: rows % 3 != 1)
    run = SerialRunner()

    def rows(values, window):
        ends = zip(window.blocks.first, window.blocks.last, window.begins, strict=True)
        return [(values[a:b].tolist(), bool(begins)) for a, b, begins in ends]

    def of(source):
        return [x for part in run.map(list, source.parts(chosen, rows)) for x in part]

    expected = of(memory)
    assert of(SequenceStream(arrays, chunk_tokens=chunk)) == expected
    lazy = LazySequences(memory.values, memory.lengths)
    assert of(lazy) == expected
    assert [x.tolist() for piece in lazy.pieces() for x in piece] == lists


def test_a_partition_of_which_nothing_is_chosen():
    """Its window is empty, and what is made of it adds nothing."""
    dask = pytest.importorskip("dask", reason="dask is not installed")
    source = Partitions([dask.delayed([array]) for array in ARRAYS]).measured([3, 1, 2])
    chosen = Cut(1, (0, 0), 4, chosen=lambda rows: rows == 4)
    made = source.parts(chosen, lambda values, window: (values.tolist(), window.begins.tolist()))
    assert list(DaskRunner().map(tuple, made)) == [([], []), ([], []), ([5], [True])]


def test_blocks_need_a_length():
    with pytest.raises(ValueError, match="length"):
        blocks(Sequences.from_list(ARRAYS), 0)


@given(lists_of_arrays(), st.integers(1, 20))
def test_stream_gives_back_its_sequences(lists, chunk):
    stream = SequenceStream([np.array(x) for x in lists], chunk_tokens=chunk)
    for _ in range(2):
        pieces = list(stream.pieces())
        assert [x.tolist() for p in pieces for x in p] == lists
        assert all(len(p.values) >= chunk for p in pieces[:-1])


def test_stream_encodes_pieces_and_refuses_spent_generators():
    stream = SequenceStream(iter(ARRAYS), encode=lambda values, place: values + 1, chunk_tokens=3)
    assert [p.values.tolist() for p in stream.pieces()] == [[4, 2, 5], [2, 6, 10]]
    with pytest.raises(ValueError, match="spent"):
        list(stream.pieces())
