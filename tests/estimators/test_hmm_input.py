"""CategoricalHMM: what the arguments of its methods mean, whatever form they come in."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import KFold, cross_val_score

from spectral_estimators import CategoricalHMM, Sequences, SequenceStream

QUICK = {"n_components": 2, "n_init": 2, "n_iter": 5, "random_state": 0}
LISTS = [[0, 1, 1, 0, 0, 1], [1, 1, 0], [0, 1, 0, 0, 1, 1, 1]]
ARRAYS = [np.array(x) for x in LISTS]
TABLE, LENGTHS = np.concatenate(ARRAYS)[:, None], [6, 3, 7]
FITTED = ("startprob_", "transmat_", "emissionprob_")


def same_model(a, b):
    for name in FITTED:
        assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12)


@pytest.fixture(scope="module")
def cut():
    return CategoricalHMM(**QUICK).fit(TABLE, lengths=LENGTHS)


def test_labels_that_are_all_one_are_labels():
    rng = np.random.default_rng(0)
    z = np.repeat([0, 1, 0, 1], 100)
    X = np.where(rng.random(400) < 0.9, z, 1 - z)[:, None]
    scores = cross_val_score(CategoricalHMM(2, random_state=0), X, z, cv=KFold(4))
    assert_allclose(scores, [-52.6, -48.9, -38.5, -37.7], atol=0.05)
    labelled = CategoricalHMM(2, random_state=0, n_iter=0).fit(X[:80], np.ones(80, int))
    assert labelled.transmat_[1, 1] > 0.98
    assert labelled.report_.winner == "labels"
    same_model(labelled, CategoricalHMM(2, random_state=0, n_iter=0).fit(X[:80], y=[1] * 80))
    assert labelled.score(X[:80], np.ones(80, int)) == labelled.score(X[:80])
    with pytest.raises(ValueError, match="takes no labels"):
        labelled.partial_fit(X[:80], np.ones(80, int))


def test_numbers_of_another_size_are_lengths_in_second_place_and_labels_by_name(cut):
    same_model(CategoricalHMM(**QUICK).fit(TABLE, LENGTHS), cut)
    same_model(CategoricalHMM(**QUICK).fit(TABLE, np.array(LENGTHS, float)), cut)
    assert cut.score(TABLE, LENGTHS) == cut.score(TABLE, lengths=LENGTHS) != cut.score(TABLE)
    counted = CategoricalHMM(**QUICK).partial_fit(TABLE, LENGTHS)
    same_model(counted, CategoricalHMM(**QUICK).partial_fit(ARRAYS))
    with pytest.raises(ValueError, match="y has 3 labels for 16 observations"):
        CategoricalHMM(2).fit(TABLE, y=LENGTHS)
    with pytest.raises(ValueError, match=r"3 numbers that sum to 15.*Pass lengths= or y= by name"):
        CategoricalHMM(2).fit(TABLE, [6, 3, 6])
    with pytest.raises(ValueError, match=r"3 numbers that sum to 15"):
        cut.score(TABLE, [6, 3, 6])


class Series:
    """The part of polars' series of lists that matters: it is no list, and iterates series."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = (len(values),), "List(Int64)"

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)

    def __getitem__(self, i):
        return self.values[i]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("lists of different sizes are no array")

    def __arrow_c_stream__(self):
        raise NotImplementedError


def objects(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


FORMS = {
    "lists": LISTS,
    "tuples": tuple(map(tuple, LISTS)),
    "tuple of arrays": tuple(ARRAYS),
    "series of lists": pd.Series(LISTS, index=[7, 5, 0]),
    "series of arrays": pd.Series(ARRAYS),
    "groups": pd.DataFrame({"u": np.repeat([0, 1, 2], LENGTHS), "s": TABLE[:, 0]})
    .groupby("u")["s"]
    .agg(list),
    "array of lists": objects(LISTS),
    "array of arrays": objects(ARRAYS),
    "another series": Series(ARRAYS),
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_holds_sequences_is_a_list_of_them(form, cut):
    X = FORMS[form]
    same_model(CategoricalHMM(**QUICK).fit(X), cut)
    same_model(CategoricalHMM(**QUICK).fit(X, X), CategoricalHMM(**QUICK).fit(ARRAYS, ARRAYS))
    found = cut.predict(X)
    assert isinstance(found, Sequences)
    assert_array_equal(found.lengths, LENGTHS)
    assert cut.score(X) == cut.score(ARRAYS)
    assert cut.predict_next(X).shape == (3, 2)
    with pytest.raises(ValueError, match="Leave lengths out"):
        cut.score(X, lengths=LENGTHS)


def test_iterables_of_lists(cut):
    same_model(CategoricalHMM(**QUICK).fit(x for x in LISTS), cut)
    same_model(CategoricalHMM(**QUICK).fit(dict(enumerate(LISTS)).values()), cut)
    assert cut.score(x for x in LISTS) == cut.score(ARRAYS)
    column = pd.Series(TABLE[:, 0])
    same_model(CategoricalHMM(**QUICK).fit(column, LENGTHS), cut)


def by_hand(**settings):
    model = CategoricalHMM(**QUICK | settings)
    model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]
    model.emissionprob_ = np.array([[0.9, 0.1], [0.2, 0.8]])
    return model


def test_what_was_set_by_hand_is_not_overwritten_in_silence():
    def told(call):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            call()
        assert all(str(w.message).startswith("Even though the") for w in found)
        assert {w.filename for w in found} <= {__file__}
        return [str(w.message).split("'")[1] for w in found]

    for method in ("fit", "partial_fit"):
        model = by_hand()
        assert told(lambda m=model, method=method: getattr(m, method)(ARRAYS)) == list(FITTED)
        for again in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert told(lambda m=again: m.fit(ARRAYS)) == []
            assert told(lambda m=again: m.partial_fit(ARRAYS)) == []
    assert told(lambda: by_hand(init_params="").fit(ARRAYS)) == []
    assert told(lambda: by_hand(init_params="t").fit(ARRAYS)) == ["transmat_"]
    model.transmat_ = np.eye(2)
    assert told(lambda: model.fit(ARRAYS)) == ["transmat_"]


def test_implementation_has_no_effect(cut):
    same_model(CategoricalHMM(**QUICK, implementation="scaling").fit(ARRAYS), cut)


WORDS = [[["no", "yes"][x] for x in one] for one in LISTS]


@pytest.mark.parametrize(
    "form",
    [
        WORDS,
        tuple(np.array(x) for x in WORDS),
        [np.array(x, dtype=object)[:, None] for x in WORDS],
        pd.Series(WORDS),
        SequenceStream(WORDS),
        SequenceStream([np.array(x) for x in WORDS], chunk_tokens=4),
    ],
)
def test_strings_are_symbols(form, cut):
    model = CategoricalHMM(**QUICK).fit(form)
    same_model(model, cut)
    assert_array_equal(model.symbols_, ["no", "yes"])
    assert model.n_features == 2
    assert_allclose(model.score(form), cut.score(ARRAYS))
    if not isinstance(form, SequenceStream):
        assert_array_equal(model.predict(form).values, cut.predict(ARRAYS).values)
        assert_allclose(model.predict_next(form), cut.predict_next(ARRAYS))


@pytest.mark.parametrize("column", [np.array, pd.Series, list, lambda x: pd.DataFrame({"s": x})])
def test_a_column_of_strings(column, cut):
    words = [word for one in WORDS for word in one]
    model = CategoricalHMM(**QUICK).fit(column(words), lengths=LENGTHS)
    same_model(model, cut)
    assert model.score(column(words), lengths=LENGTHS) == cut.score(ARRAYS)
    assert_array_equal(model.predict(column(words)), cut.predict(TABLE))


def test_samples_are_strings(cut):
    model = CategoricalHMM(**QUICK).fit(WORDS)
    expected, states = cut.sample(20, random_state=3)
    found, same_states = model.sample(20, random_state=3)
    assert_array_equal(found, np.array(["no", "yes"])[expected])
    assert_array_equal(states, same_states)
    assert model.sample(2, prefix=["yes", "no"])[0].shape == (2, 1)
    assert_allclose(model.predict_next([]), cut.predict_next([]))
    twin = pickle.loads(pickle.dumps(model))
    assert twin.score(WORDS) == cut.score(ARRAYS)
    assert_array_equal(twin.move_to_host().symbols_, model.symbols_)


def test_strings_with_labels_and_what_is_missing(cut):
    labelled = CategoricalHMM(**QUICK).fit(WORDS, y=LISTS)
    same_model(labelled, CategoricalHMM(**QUICK).fit(LISTS, y=LISTS))
    gaps = [np.where(x == 1, -1, x) if i == 1 else x for i, x in enumerate(ARRAYS)]
    expected = CategoricalHMM(**QUICK, missing=-1).fit(gaps)
    holes = [["?" if v == -1 else ["no", "yes"][v] for v in x] for x in gaps]
    model = CategoricalHMM(**QUICK, missing="?").fit(holes)
    same_model(model, expected)
    assert_array_equal(model.symbols_, ["no", "yes"])
    assert_allclose(model.score(holes), expected.score(gaps))
    masked = [np.ma.masked_array(x, np.array(x) == "?") for x in holes]
    same_model(CategoricalHMM(**QUICK).fit(masked), expected)
    same_model(CategoricalHMM(**QUICK, missing=0).fit(WORDS), cut)  # the number is no string


def test_strings_that_are_sentences_are_not_taken_for_symbols_in_silence():
    weather = np.random.default_rng(0).choice(["sun", "rain", "fog", "snow"], (100, 6))
    texts = sorted({" ".join(words) for words in weather})
    words = rf"X holds {len(texts)} strings, no two of them equal, such as 'fog .*text\.split\(\)"
    with pytest.warns(UserWarning, match=words) as said:
        CategoricalHMM(**QUICK).fit(texts)
    assert said[0].filename == __file__
    CategoricalHMM(**QUICK).fit([text.split() for text in texts])
    CategoricalHMM(**QUICK).fit([*texts, texts[0]])
    CategoricalHMM(**QUICK).fit(list("abcdefgh"))


def test_the_first_part_fixes_the_symbols(cut):
    model = CategoricalHMM(**QUICK).partial_fit(WORDS[:2]).partial_fit(WORDS[2:])
    same_model(model, CategoricalHMM(**QUICK).partial_fit(ARRAYS))
    assert_array_equal(model.symbols_, ["no", "yes"])
    with pytest.raises(ValueError, match=r"X\[0\]\[1\] is 'maybe', which is none of the 2 symbols"):
        model.partial_fit([["no", "maybe"]])
    model.fit([["a", "b", "c", "a"] * 3])
    assert_array_equal(model.symbols_, ["a", "b", "c"])
    model.set_params(init_params="st").fit([["a", "c", "a"] * 3])  # emissions stay, and so do names
    assert_array_equal(model.symbols_, ["a", "b", "c"])
    model.set_params(init_params="ste").fit(ARRAYS)
    assert not hasattr(model, "symbols_")


def test_names_set_by_hand():
    model = by_hand()
    model.symbols_ = ["no", "yes"]
    assert model.score(WORDS) == by_hand().score(ARRAYS)
    for wrong, message in (
        (["no"], "must hold 2 strings"),
        ([0, 1], "must hold 2 strings"),
        (["yes", "no"], "sorted and distinct"),
        (["no", "no"], "sorted and distinct"),
    ):
        model.symbols_ = wrong
        with pytest.raises(ValueError, match=f"symbols_ must .*{message.removeprefix('must ')}"):
            model.score(WORDS)


def test_strings_that_cannot_be_used_say_why(cut):
    model = CategoricalHMM(**QUICK).fit(WORDS)
    for method in ("score", "predict", "predict_next", "decode"):
        with pytest.raises(ValueError, match=r"X\[1\]\[0\] is 'maybe', .* 2 symbols.*'no', 'yes'"):
            getattr(model, method)([["no"], ["maybe", "yes"]])
        with pytest.raises(ValueError, match="X is of int64, but the model was fitted to strings"):
            getattr(model, method)([0, 1])
        with pytest.raises(ValueError, match="X must hold whole numbers here, but holds strings"):
            getattr(cut, method)(WORDS)
    for X, settings, message in (
        (WORDS, {"n_features": 2}, "without n_features.*OrdinalEncoder"),
        (pd.Series(["a", "b", None, "a"]), {}, r"X\[2\] is nan, but other symbols are strings"),
        (np.array(["a", "b", 3, "a"], dtype=object), {}, r"X\[2\] is 3, but other symbols"),
        (
            np.array([-1, "a", "b"], dtype=object),
            {"missing": -1},
            r"X\[0\] is -1, but other symbols are strings.*missing='\?': a number is none",
        ),
        (
            np.array([None, "a", "b"], dtype=object),
            {},
            r"X\[0\] is None, but other symbols are strings.*missing='\?'",
        ),
        (
            SequenceStream([["a"] * 4, [1] * 4], chunk_tokens=4),
            {},
            "hold strings, and some numbers",
        ),
        (["?", "?"], {"missing": "?"}, "Every one of the 2 observations in X is missing"),
    ):
        fresh = CategoricalHMM(**QUICK | settings)
        with pytest.raises(ValueError, match=message):
            fresh.fit(X)
        assert not hasattr(fresh, "symbols_")
