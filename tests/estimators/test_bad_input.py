"""Bad input: the error names the argument, and nothing half-fitted is left behind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from spectral_estimators import CategoricalHMM, Sequences, SequenceStream

GOOD = np.array([0, 1, 2, 0, 1, 1, 2, 0, 2, 1])
COLUMN = GOOD[:, None]


def assert_refused(message, fit, model):
    """``fit`` raises a ValueError with the message and leaves the model untouched."""
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        fit()
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


DATA = {
    "empty list": (([],), "X is empty"),
    "no rows": ((np.empty((0, 1)),), "X is empty"),
    "empty array": ((np.array([]),), "X is empty"),
    "empty sequence": (([GOOD, np.array([], dtype=int)],), "Sequence 1 of X is empty"),
    "empty stream": ((SequenceStream([]),), "X yielded no sequences"),
    "spent generator": ((iter([]),), "X yielded no sequences"),
    "negative": ((np.array([0, 1, -1, 2]),), r"X\[2\] is -1"),
    "fractional": ((np.array([0, 1.5, 2]),), r"X\[1\] is 1.5. X looks like real numbers"),
    "continuous": ((np.array([-1.34, 0.2, 2]),), r"X\[0\] is -1.34. X looks like real numbers"),
    "in a list": (([GOOD, np.array([0, 1, -1])],), r"Negative values in data: X\[1\]\[2\] is -1"),
    "in three dimensions": ((np.array([[[0], [1]], [[-1], [0]]]),), r"X\[1\]\[0\] is -1"),
    "NaN": ((np.array([0, np.nan, 2]),), r"NaN in data: X\[1\]"),
    "infinite": ((np.array([0, 1, np.inf]),), r"Infinity in data: X\[2\]"),
    "objects": ((np.array([0, {}], dtype=object),), "X must hold whole numbers"),
    "complex": ((np.array([0, 1j]),), "Complex data not supported"),
    "a string": (("abc",), "X is of type str"),
    "a number": ((3,), "X is of type int"),
    "None": ((None,), "X is of type NoneType"),
    "a dict": (({0: GOOD},), "X is of type dict"),
    "two columns": ((np.zeros((9, 2), dtype=int),), "one symbol"),
    "no columns": ((np.zeros((9, 0), dtype=int),), "0 feature"),
    "four dimensions": ((np.zeros((2, 2, 2, 2), dtype=int),), "dimensions"),
    "sparse": ((sparse.csr_array(COLUMN),), "Sparse data"),
    "sparse dictionary": ((sparse.dok_array(COLUMN),), "Sparse data"),
    "widths": (([COLUMN, np.zeros((3, 2))],), "differ in width"),
    "ragged list": (([[0, 1], [2, [3]]],), "sequence 1 of X"),
    "all missing": ((np.ma.masked_all(5, dtype=int),), "of the 5 observations in X is missing"),
    "huge alphabet": ((np.array([0, 1, 2**40]),), "Recode symbols"),
    "lengths too long": ((COLUMN, None, [5, 6]), "lengths sum to 11 but X has 10"),
    "lengths too short": ((COLUMN, None, [5, 4]), "lengths sum to 9 but X has 10"),
    "lengths in second place": ((COLUMN, [5, 4]), "as lengths they must be positive and sum to 10"),
    "zero length": ((COLUMN, None, [10, 0]), "entry 1 is 0"),
    "negative length": ((COLUMN, None, [11, -1]), "entry 1 is -1"),
    "fractional length": ((COLUMN, None, [4.5, 5.5]), "entry 0 is 4.5"),
    "lengths of a list": (([GOOD, GOOD], None, [10, 10]), "Leave lengths out"),
    "lengths of a stream": ((SequenceStream([GOOD]), None, [10]), "lengths goes with a table"),
    "lengths are words": ((COLUMN, None, ["a"]), "lengths must be a 1-D array of integers"),
    "too few labels": ((COLUMN, [0, 0, 1]), "as labels y there must be 10"),
    "labels too large": ((COLUMN, GOOD + 1), r"y\[2\] is 3"),
    "labels too large in a list": (([GOOD, GOOD], [GOOD, GOOD + 1]), r"y\[1\]\[2\] is 3"),
    "no labels for a sequence": (
        ([GOOD, [1]], [GOOD, []]),
        "Sequence 1 of y is empty.*-1 where un",
    ),
    "None for a sequence": (([GOOD, [1]], [GOOD, None]), "sequence 1 of y .*-1 where unknown"),
    "None among labels": (([GOOD, [1]], [GOOD, [None]]), r"y\[1\]\[0\] is nan.*-1 where unknown"),
    "ragged labels": ((COLUMN, [[0, 1], 1]), "sequence 1 of y .*-1 where unknown"),
    "words for labels": ((COLUMN, list("abababacaa")), "y holds strings, but labels are whole"),
    "labels below -1": ((COLUMN, GOOD - 2), r"y\[0\] is -2"),
    "labels of other lengths": (([GOOD, GOOD], [GOOD, GOOD[:9]]), "y has 2 sequences of labels"),
    "labels of a stream": ((SequenceStream([GOOD]), [GOOD]), "y .labels. needs sequences in mem"),
    "labels of a generator": ((iter([GOOD]), [GOOD]), "y .labels. needs sequences in memory"),
}


@pytest.mark.parametrize("case", DATA)
def test_data(case):
    arguments, message = DATA[case]
    model = CategoricalHMM(3)
    assert_refused(message, lambda: model.fit(*arguments), model)


class Pieces:
    """Sequences that can be walked again, in chunks of ten tokens or more."""

    def __new__(cls, *sequences):
        return SequenceStream(list(sequences), chunk_tokens=10)


def bag(*sequences):
    return pytest.importorskip("dask.bag").from_sequence(sequences, npartitions=len(sequences))


BAD = {
    "NaN": ([0, np.nan, 2], "NaN in data", 1),
    "fraction": ([0, 1.5, 2], "Fractional values in data", 1),
    "negative": ([0, 1, -1], "Negative values in data", 2),
    "too large": ([0, 7, 1], "symbols must be below n_features=3", 1),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("form", [Pieces, bag])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_chunk_is_named(form, case, method):
    values, message, at = BAD[case]
    X = form(GOOD, GOOD, np.array([*GOOD, *values]))
    model = CategoricalHMM(2, n_features=3, n_init=1)
    place = rf"X\[{10 + at}\] of chunk 2 \(entry {10 + at} of sequence {2 * (form is Pieces)}\)"
    assert_refused(place, lambda: getattr(model, method)(X), model)
    assert_refused(message, lambda: getattr(model, method)(X), model)
    if case != "too large":
        unknown = CategoricalHMM(2, n_init=1)
        assert_refused(place, lambda: getattr(unknown, method)(X), unknown)


def test_a_bad_window_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("spectral_nn.data.lazy.WINDOW", 4)
    X = np.memmap(tmp_path / "x", np.int8, "w+", shape=(30,))
    X[:] = np.tile(GOOD, 3)
    X[17] = -3
    model = CategoricalHMM(2)
    assert_refused(r"Negative values in data: X\[17\] is -3", lambda: model.fit(X), model)
    model.set_params(n_features=3)
    assert_refused(r"Negative values in data: X\[17\] is -3", lambda: model.fit(X), model)
    with pytest.raises(ValueError, match="lengths sum to 29 but X has 30"):
        model.fit(X, lengths=[29])
    model.set_params(missing=-3).fit(X)


def test_empty_chunks_add_nothing():
    none = np.array([], dtype=int)
    whole = CategoricalHMM(2, random_state=0, n_init=2).fit([GOOD, GOOD])
    for X in (Pieces(none, GOOD, none, GOOD, none), bag(none, GOOD, GOOD, none)):
        found = CategoricalHMM(2, random_state=0, n_init=2).fit(X)
        np.testing.assert_allclose(found.transmat_, whole.transmat_, rtol=1e-10)
    model = CategoricalHMM(2)
    assert_refused("X yielded no sequences", lambda: model.fit(Pieces(none, none)), model)
    assert_refused("its 2 partitions are empty", lambda: model.fit(bag(none, none)), model)


@pytest.mark.parametrize("wrapped", [iter, lambda x: SequenceStream(iter(x))])
def test_what_takes_two_walks_is_refused_before_the_first(wrapped):
    def sequences():
        raise AssertionError("somebody reads")
        yield

    for model, y in ((CategoricalHMM("auto"), None), (CategoricalHMM(2), [GOOD])):
        message = "holds out data" if y is None else "y .labels. needs sequences in memory"
        assert_refused(message, lambda m=model, y=y: m.fit(wrapped(sequences()), y), model)


def test_collections_of_dask():
    array = pytest.importorskip("dask.array").from_array(GOOD, chunks=4)
    unknown = array[array > 0]
    model = CategoricalHMM(2, random_state=0).fit(array)
    for X, y, message in (
        (bag(GOOD), [GOOD], "y .labels. needs sequences in memory; X is a dask collection"),
        (array, GOOD, "y .labels. needs sequences in memory; X is a dask collection"),
        (bag(COLUMN, np.zeros((3, 2), int)), None, r"chunk 1 of X has rows of shape \(2,\)"),
        (unknown, None, "compute_chunk_sizes"),
    ):
        assert_refused(message, lambda X=X, y=y: model.fit(X, y), model)
    for X in (bag(GOOD), array):
        for method in ("score", "predict", "predict_next", "decode", "bic"):
            with pytest.raises(ValueError, match=r"dask collection.*map_partitions"):
                getattr(model, method)(X)
    with pytest.raises(ValueError, match="lengths goes with a table"):
        model.fit(bag(GOOD), lengths=[10])


SETTINGS = {
    "no states": ({"n_components": 0}, "'n_components'"),
    "half a state": ({"n_components": 1.5}, "'n_components'"),
    "word": ({"n_components": "many"}, "'n_components'"),
    "zero prior": ({"startprob_prior": 0.0}, "'startprob_prior'"),
    "negative prior": ({"transmat_prior": -1.0}, "'transmat_prior'"),
    "negative emission prior": ({"emissionprob_prior": -0.5}, "'emissionprob_prior'"),
    "zero in a prior": ({"startprob_prior": [1.0, 0.0, 1.0]}, "startprob_prior holds 0.0 at"),
    "NaN in a prior": ({"startprob_prior": [1.0, np.nan, 1.0]}, "startprob_prior holds nan at"),
    "shape of a prior": ({"transmat_prior": np.ones((2, 2))}, r"transmat_prior .* shape \(3, 3\)"),
    "big prior": ({"startprob_prior": np.ones((2, 3))}, r"startprob_prior .* shape \(3,\)"),
    "emission prior": ({"emissionprob_prior": np.ones((3, 4))}, r"emissionprob_prior .* \(3, 3\)"),
    "prior for auto": (
        {"n_components": "auto", "startprob_prior": np.ones(3)},
        "startprob_prior is an array|n_components='auto' holds out data",
    ),
    "no symbols": ({"n_features": 0}, "'n_features'"),
    "small alphabet": ({"n_features": 2}, r"X\[2\] is 2, .* n_features=2"),
    "algorithm": ({"algorithm": "best"}, "'algorithm'"),
    "steps": ({"n_iter": -1}, "'n_iter'"),
    "tolerance": ({"tol": "small"}, "'tol'"),
    "letters": ({"params": "sx"}, "params may contain"),
    "initial letters": ({"init_params": "q"}, "init_params may contain"),
    "start": ({"init": "luck"}, "'init'"),
    "starts": ({"n_init": 0}, "'n_init'"),
    "device": ({"device": "tpu"}, "'device'"),
    "precision": ({"dtype": "float16"}, "'dtype'"),
    "infinite prior": ({"startprob_prior": [1.0, np.inf, 1.0]}, "startprob_prior holds inf at"),
    "missing": ({"missing": [1]}, "'missing'"),
    "implementation": ({"implementation": "fast"}, "'implementation'"),
    "seed": ({"random_state": "x"}, "'random_state'"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case, method):
    given_, message = SETTINGS[case]
    model = CategoricalHMM(**{"n_components": 3} | given_)
    assert_refused(message, lambda: getattr(model, method)(GOOD), model)


def test_counts_take_no_labels():
    model = CategoricalHMM(3)
    assert_refused("partial_fit takes no labels", lambda: model.partial_fit(GOOD, GOOD), model)


def test_labels_do_not_choose_k():
    model = CategoricalHMM("auto", init_params="st")
    assert_refused("y .labels. needs n_components", lambda: model.fit(GOOD, GOOD), model)
    assert_refused("holds out data", lambda: model.partial_fit(GOOD), model)
    model.startprob_, model.init_params = [0.5, 0.5], "te"
    assert_refused("cannot start from startprob", lambda: model.fit(GOOD), model)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("startprob_", [0.5, 0.6], "startprob_ must sum to 1, got 1.1"),
        ("startprob_", [1.5, -0.5], r"startprob_ must hold probabilities; entry \[1\] is -0.5"),
        ("startprob_", [np.nan, 1], r"startprob_ .* entry \[0\] is nan"),
        ("startprob_", ["a", "b"], "startprob_ must be an array of probabilities"),
        ("transmat_", [[0.9, 0.2], [0.5, 0.5]], "row 0 of transmat_ must sum to 1, got 1.1"),
        ("transmat_", [[1.0]], r"transmat_ must have shape \(2, 2\)"),
        ("emissionprob_", [[0.5, 0.5], [0.5, 0.4]], "row 1 of emissionprob_ must sum to 1"),
        ("emissionprob_", [1.0], r"emissionprob_ must have shape \(2, "),
    ],
)
def test_parameters_set_by_hand(name, value, message):
    model = CategoricalHMM(2, init_params="")
    model.startprob_, model.transmat_ = [0.5, 0.5], np.full((2, 2), 0.5)
    model.emissionprob_ = np.full((2, 3), 1 / 3)
    setattr(model, name, value)
    for use in (lambda: model.score(GOOD), lambda: model.fit(GOOD), lambda: model.sample(2)):
        assert_refused(message, use, model)


def test_alphabet_set_by_hand():
    model = CategoricalHMM(1, n_features=4)
    model.startprob_, model.transmat_, model.emissionprob_ = [1.0], [[1.0]], [[0.5, 0.5]]
    with pytest.raises(ValueError, match=r"emissionprob_ must have shape \(1, 4\)"):
        model.score([0])


@pytest.mark.parametrize("use", ["score", "predict", "decode", "predict_proba", "predict_next"])
def test_symbols_that_the_model_does_not_know(use):
    model = CategoricalHMM(1).fit(GOOD)
    with pytest.raises(ValueError, match=r"X\[1\] is 3, but symbols must be below n_features=3"):
        getattr(model, use)([0, 3, 1])
    with pytest.raises(ValueError, match=r"Negative values in data: X\[1\]\[2\] is -1"):
        getattr(model, use)([GOOD, np.array([0, 1, -1])])


def test_arguments_of_methods():
    model = CategoricalHMM(1).fit(GOOD)
    for call, message in [
        (lambda: model.decode(GOOD, algorithm="best"), "algorithm must be"),
        (lambda: model.sample(0), "n_samples"),
        (lambda: model.sample(1.5), "n_samples"),
        (lambda: model.sample(1, currstate=1), "currstate"),
        (lambda: model.sample(1, currstate=0, prefix=[0]), "currstate or prefix"),
        (lambda: model.sample(1, prefix=[9]), r"X\[0\] is 9"),
        (lambda: model.score(GOOD, lengths=[3]), "lengths sum to 3"),
        (lambda: model.predict([]), "X is empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_failed_fit_keeps_the_earlier_one():
    model = CategoricalHMM(2, random_state=0).fit(GOOD)
    assert_refused("negative|Negative", lambda: model.fit([-1, 0, 1]), model)
    model.set_params(n_features=2)
    assert_refused("n_features", lambda: model.fit(GOOD), model)


def test_an_error_in_the_middle_of_a_fit_leaves_nothing(monkeypatch):
    calls = []

    def fails_late(*_, **__):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of luck")
        return original(*_, **__)

    from spectral_nn.models.chains import model as chain_model

    original = chain_model.maximise
    monkeypatch.setattr(chain_model, "maximise", fails_late)
    model = CategoricalHMM(2, n_init=2)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="out of luck"):
        model.fit([GOOD] * 5)
    assert vars(model) == before


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=3, max_size=30),
    st.one_of(
        st.integers(-(2**31), -1),
        st.integers(5, 2**62),
        st.floats(allow_nan=True, allow_infinity=True).filter(lambda v: v not in range(5)),
    ),
    st.data(),
)
def test_one_bad_symbol_anywhere_is_found(symbols, bad, data):
    at = data.draw(st.integers(0, len(symbols)))
    values = [*symbols[:at], bad, *symbols[at:]]
    model = CategoricalHMM(1, n_features=5, init="random")
    assert_refused(rf"X\[{at}\] is ", lambda: model.fit(np.array(values)), model)
    model.fit(symbols)
    with pytest.raises(ValueError, match=rf"X\[{at}\] is "):
        model.score(np.array(values))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 20), max_size=6))
def test_lengths_fit_or_are_refused(lengths):
    model = CategoricalHMM(1, n_features=3, init="random")
    if lengths and min(lengths) > 0 and sum(lengths) == GOOD.size:
        model.fit(COLUMN, lengths=lengths)
        assert len(Sequences.from_lengths(COLUMN, lengths)) == len(lengths)
    else:
        assert_refused("lengths", lambda: model.fit(COLUMN, lengths=lengths), model)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=6),
    st.sampled_from([1, 2]),
    st.sampled_from(["tensor", "random", "anchor"]),
)
@pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning")
def test_any_valid_data_fit(lists, n_components, init):
    """However little the data carry: a model of probabilities."""
    X = [np.array(x) for x in lists]
    model = CategoricalHMM(n_components, init=init, n_iter=3, n_init=2, random_state=0).fit(X)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        values = getattr(model, name)
        assert np.isfinite(values).all()
        assert values.min() >= 0
        np.testing.assert_allclose(values.sum(axis=-1), 1)
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.predict_proba(X).values).all()
