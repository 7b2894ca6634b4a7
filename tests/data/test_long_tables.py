"""Long tables: sequences of data frames, whichever library they are of."""

import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from spectral_estimators import CategoricalHMM, GaussianHMM
from spectral_nn.data import Sequences, sequences_of_table

WHO = ["b", "a", "b", "a", "c", "b"]
DAY = [3, 2, 1, 1, 7, 2]
X = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
Y = [0, 1, 2, 3, 4, 5]
WORDS = ["no", "yes", "yes", "no", "yes", "no"]
DATES = [datetime.date(2026, 1, day) for day in DAY]
COLUMNS = {"who": WHO, "day": DAY, "x": X, "y": Y, "word": WORDS, "date": DATES}


@pytest.fixture(params=["pandas", "polars", "pyarrow"])
def frame_of(request):
    """What makes a data frame of a dict of lists, None where an entry is missing."""
    library = pytest.importorskip(request.param)
    return library.table if request.param == "pyarrow" else library.DataFrame


def test_rows_are_grouped_as_ids_appear_and_sorted_within(frame_of):
    table = frame_of(COLUMNS)
    sequences, ids, rows = sequences_of_table(table, by="who", order="day", columns=["x", "y"])
    assert isinstance(sequences, Sequences)
    assert ids.tolist() == ["b", "a", "c"]
    assert_array_equal(sequences.lengths, [3, 2, 1])
    assert_array_equal(rows, [2, 5, 0, 3, 1, 4])
    assert_array_equal(sequences.values, np.column_stack([X, Y])[rows])
    assert sequences.values.dtype == np.float64


def test_rows_stay_as_they_are_where_no_order_is_given_or_it_has_ties(frame_of):
    table = frame_of({"who": [2, 1, 2, 1], "hour": [0, 1, 0, 0], "x": X[:4]})
    sequences, ids, rows = sequences_of_table(table, by="who", columns="x")
    assert ids.tolist() == [2, 1]
    assert_array_equal(rows, [0, 2, 1, 3])
    assert_array_equal(sequences[1], [[1.0], [3.0]])
    assert_array_equal(sequences_of_table(table, by="who", order="hour").rows, [0, 2, 3, 1])


def test_all_but_the_keys_is_observed_unless_columns_are_named(frame_of):
    table = frame_of({name: COLUMNS[name] for name in ("x", "who", "y", "day")})
    sequences, _, rows = sequences_of_table(table, by="who", order="day")
    assert_array_equal(sequences.values, np.column_stack([X, Y])[rows])
    sequences, _, rows = sequences_of_table(table, by="who", order="day", columns=["day"])
    assert_array_equal(sequences.values[:, 0], np.array(DAY)[rows])


@pytest.mark.parametrize("dates", [DATES, [datetime.datetime(2026, 1, day) for day in DAY]])
def test_dates_are_an_order(frame_of, dates):
    table = frame_of(COLUMNS | {"date": dates})
    rows = sequences_of_table(table, by="who", order="date", columns="x").rows
    assert_array_equal(rows, [2, 5, 0, 3, 1, 4])


def test_one_column_may_hold_symbols(frame_of):
    table = frame_of(COLUMNS)
    numbers = sequences_of_table(table, by="who", columns="y").sequences.values
    assert numbers.shape == (6, 1)
    assert numbers.dtype.kind == "i"
    words = sequences_of_table(table, by="who", columns="word")
    assert words.sequences.values[:, 0].tolist() == [WORDS[row] for row in words.rows]
    with pytest.raises(ValueError, match=r"Column 'word' of table holds String, not numbers"):
        sequences_of_table(table, by="who", columns=["y", "word"])


def test_categories_are_strings():
    table = pd.DataFrame(COLUMNS).astype({"who": "category", "word": "category"})
    sequences, ids, rows = sequences_of_table(table, by="who", columns="word")
    assert ids.tolist() == ["b", "a", "c"]
    assert sequences.values[:, 0].tolist() == [WORDS[row] for row in rows]
    assert sequences.values.dtype.kind == "U"


def test_what_is_missing_is_nan_or_masked(frame_of):
    table = frame_of(
        {
            "who": ["a", "a", "b"],
            "x": [1.0, None, 3.0],
            "n": [0, 1, None],
            "word": ["up", None, "down"],
        }
    )
    both = sequences_of_table(table, by="who", columns=["x", "n"]).sequences.values
    assert_array_equal(both, [[1, 0], [np.nan, 1], [3, np.nan]])
    counts = sequences_of_table(table, by="who", columns=["n"]).sequences.values
    assert_array_equal(counts, [[0], [1], [np.nan]])
    words = sequences_of_table(table, by="who", columns=["word"]).sequences.values
    assert words[:, 0].tolist() == ["up", None, "down"]
    model = CategoricalHMM(1, init="random", n_iter=1, random_state=0).fit(words)
    assert model.symbols_.tolist() == ["down", "up"]


def test_nullable_columns_of_pandas():
    table = pd.DataFrame({"who": [1, 1, 2], "n": pd.array([0, None, 2], dtype="Int64")})
    assert_array_equal(sequences_of_table(table, by="who")[0].values, [[0], [np.nan], [2]])
    whole = sequences_of_table(table.dropna(), by="who").sequences.values
    assert whole.dtype.kind == "i"


def test_columns_of_a_pandas_frame_may_be_numbers():
    table = pd.DataFrame(np.arange(8.0).reshape(4, 2)).assign(id=[5, 5, 6, 5])
    sequences, ids, rows = sequences_of_table(table.iloc[::-1], by="id")
    assert ids.tolist() == [5, 6]
    assert_array_equal(rows, [0, 2, 3, 1])  # counted from 0, whatever the index says
    assert_array_equal(sequences[1], [[4.0, 5.0]])


def test_estimators_take_the_sequences_and_rows_lead_back(frame_of):
    rng = np.random.default_rng(0)
    days, who = np.tile(np.arange(60), 5), np.repeat(np.arange(5), 60)
    high = (days // 15) % 2
    x = 6.0 * high + rng.standard_normal(300)
    mixed = rng.permutation(300)
    table = frame_of({"who": who[mixed], "day": days[mixed], "x": x[mixed]})
    sequences, ids, rows = sequences_of_table(table, by="who", order="day")
    for one, sequence in zip(ids, sequences, strict=True):
        assert_array_equal(sequence[:, 0], x[who == one])
    model = GaussianHMM(2, init="random", n_init=2, random_state=0).fit(sequences)
    states = np.empty(300, dtype=int)
    states[rows] = model.predict(sequences).values
    assert_array_equal(states, high[mixed] == model.means_.argmax())


def test_unknown_columns_are_named_beside_those_there_are(frame_of):
    table = frame_of({"who": WHO, "day": DAY, "x": X})
    has = r"but table has the columns \['who', 'day', 'x'\]"
    with pytest.raises(ValueError, match=f"by names 'id', {has}"):
        sequences_of_table(table, by="id")
    with pytest.raises(ValueError, match=f"order names 'time', {has}"):
        sequences_of_table(table, by="who", order="time")
    with pytest.raises(ValueError, match=f"columns names 'z', {has}"):
        sequences_of_table(table, by="who", columns=["x", "z"])


def test_some_column_must_be_left(frame_of):
    table = frame_of({"who": WHO, "day": DAY})
    for columns in (None, []):
        with pytest.raises(ValueError, match=r"No column is left to observe: table has \['who'"):
            sequences_of_table(table, by="who", order="day", columns=columns)


def test_observations_must_be_numbers(frame_of):
    with pytest.raises(ValueError, match=r"Column 'date' of table holds .*Convert it, or leave"):
        sequences_of_table(frame_of(COLUMNS), by="who", order="day", columns=["x", "date"])


@pytest.mark.parametrize("who", [["a", None, "b", None], [1.0, None, 2.0, float("nan")]])
def test_keys_must_not_be_missing(frame_of, who):
    table = frame_of({"who": who, "day": [1, 2, None, 4], "x": X[:4]})
    with pytest.raises(ValueError, match=r"by='who' is missing in 2 of 4 rows, first in row 1"):
        sequences_of_table(table, by="who")
    with pytest.raises(ValueError, match=r"order='day' is missing in 1 of 4 rows, first in row 2"):
        sequences_of_table(table, by="x", order="day", columns="x")


def test_a_table_is_a_data_frame_in_memory_with_rows(frame_of):
    with pytest.raises(ValueError, match="table has no rows"):
        sequences_of_table(frame_of({"who": [], "x": []}), by="who")
    with pytest.raises(TypeError, match="table is of type ndarray; give a data frame in memory"):
        sequences_of_table(np.zeros((3, 2)), by="who")


def test_lazy_frames_have_to_be_collected():
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"LazyFrame; .*Collect a lazy one first"):
        sequences_of_table(polars.LazyFrame(COLUMNS), by="who")
