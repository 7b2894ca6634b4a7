"""Data frames of pandas and polars: numbers as of arrays, and columns whose names are checked."""

from inspect import signature

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from spectral_estimators import (
    BernoulliHMM,
    CategoricalHMM,
    DawidSkene,
    GaussianHMM,
    GaussianMixture,
    HMMClassifier,
    Lagged,
    LatentDirichletAllocation,
    MLPRegressor,
    MultinomialHMM,
    MultiViewMixture,
    ObservableOperatorModel,
    PerSequence,
    PMIEmbedding,
    PoissonHMM,
    Sequences,
    TensorFeatures,
    sequences_of_table,
)
from spectral_estimators.hmm._base import BaseHMM
from tests.estimators.test_check_estimator import ESTIMATORS

pytestmark = [
    pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
SERIES = {"pandas": pd.Series, "polars": pl.Series}
METHODS = (
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "score_samples",
    "pseudo_residuals",
)
SYMBOLS = (CategoricalHMM, ObservableOperatorModel)  # a sequence of symbols has no columns
WITH_COLUMNS = [estimator for estimator in ESTIMATORS if not isinstance(estimator, SYMBOLS)]
NAMES = ["red", "green", "blue"]


def is_of_sequences(estimator):
    return isinstance(estimator, (BaseHMM, ObservableOperatorModel))


def table_for(estimator):
    """Columns (n,) that an estimator takes, of several types where it can."""
    rng = np.random.default_rng(7)
    states = np.repeat(rng.integers(0, 3, 20), 4)
    means = np.array([[0.0, 5.0, 1.0], [4.0, 0.0, 2.0], [8.0, 3.0, 3.0]])[states]
    if isinstance(estimator, (*SYMBOLS,)):
        return [rng.integers(0, 4, states.size)]
    if isinstance(estimator, (PoissonHMM, MultinomialHMM, LatentDirichletAllocation)):
        counts = rng.poisson(means + 3)
        return [counts[:, 0], counts[:, 1].astype(np.int32), counts[:, 2].astype(float)]
    if isinstance(estimator, BernoulliHMM):
        marks = rng.random(means.shape) < means / 9
        return [marks[:, 0], marks[:, 1].astype(np.int64), marks[:, 2].astype(float)]
    if get_tags(estimator).input_tags.string:
        said = np.where(rng.random(means.shape) < 0.8, states[:, None] % 2, 1)
        return list(np.array(["no", "yes"], dtype=object)[said].T)
    rows = means + rng.standard_normal(means.shape)
    return [rows[:, 0], np.round(rows[:, 1]).astype(np.int64), rows[:, 2].astype(np.float32)]


def seeded(estimator):
    """A clone that draws the same numbers every time."""
    one = clone(estimator)
    return one.set_params(random_state=0) if "random_state" in one.get_params() else one


def data_for(estimator):
    """Columns by their names, the same as an array, and what else `fit` takes."""
    table = table_for(estimator)
    n = len(table[0])
    rng = np.random.default_rng(8)
    named = dict(zip(NAMES, table, strict=False))
    more = {}
    if is_classifier(estimator):
        more["y"] = np.array(["dry", "wet"])[(table[0] > 3).astype(int)]
    elif is_regressor(estimator) or isinstance(estimator, TensorFeatures):
        more["y"] = np.maximum(table[0], 2) + rng.standard_normal(n)
    elif isinstance(estimator, BaseHMM) and estimator.n_components > 1:
        more["y"] = np.where(rng.random(n) < 0.1, rng.integers(0, 2, n), -1)
    if is_of_sequences(estimator):
        more["lengths"] = np.array([n // 2 - 3, n // 2 + 3])
    return named, np.column_stack(table), more


def weights_for(estimator, more, n):
    if isinstance(estimator, BaseHMM):
        return np.array([1.0, 2.0])[: len(more["lengths"])]
    return np.random.default_rng(9).choice([0.5, 1.0, 2.0], n)


def takes_weights(estimator):
    return "sample_weight" in signature(estimator.fit).parameters


def answers(model, X, lengths=None):
    """What a fitted model says of X."""
    how = {} if lengths is None else {"lengths": lengths}
    methods = [*methods_of(model), *(["predict_next"] if is_of_sequences(model) else [])]
    return {name: getattr(model, name)(X, **how) for name in methods}


def methods_of(model):
    """Methods that say something of rows."""
    counts = isinstance(model, MultinomialHMM)  # which needs n_trials for residuals
    return [m for m in METHODS if hasattr(model, m) and not (counts and m == "pseudo_residuals")]


def assert_same(found, wanted, name):
    """Equal to the last bit, whatever holds the numbers."""
    if isinstance(wanted, tuple):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other, name)
    else:
        assert_array_equal(found, wanted, err_msg=name)


def fitted(model):
    """Arrays that a fit has left."""
    values = {k: v for k, v in vars(model).items() if k.endswith("_") and not k.startswith("_")}
    arrays = {}
    for name, value in values.items():
        for i, one in enumerate(value if isinstance(value, (list, tuple)) else [value]):
            if isinstance(one, np.ndarray) and "time" not in name:
                arrays[f"{name}[{i}]"] = one
    for names in ("feature_names_in_[0]", "workers_[0]"):
        arrays.pop(names, None)
    return arrays


def assert_same_fit(model, wanted):
    """Equal arrays, to the last bit."""
    found = fitted(model)
    for name, value in fitted(wanted).items():
        assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_frames_are_arrays_with_names(estimator, library):
    named, X, more = data_for(estimator)
    frame, series = FRAMES[library](named), SERIES[library]
    if takes_weights(estimator):
        more["sample_weight"] = weights_for(estimator, more, len(X))
    given = {key: series(value) for key, value in more.items()}
    lengths = more.get("lengths")
    if isinstance(estimator, PerSequence):
        X = np.asfortranarray(
            X
        )  # scikit-learn's scaler rounds otherwise where rows are in one piece
    plain = seeded(estimator).fit(X, **more)
    model = seeded(estimator).fit(frame, **given)
    assert_same_fit(model, plain)
    found = answers(model, frame, lengths)
    for name, value in answers(plain, X, lengths).items():
        assert_same(found[name], value, name)
    if hasattr(model, "score"):
        known = [key for key in ("y", "lengths") if key in more]
        found = model.score(frame, **{key: given[key] for key in known})
        assert found == plain.score(X, **{key: more[key] for key in known})
    if isinstance(estimator, SYMBOLS):
        assert not hasattr(model, "feature_names_in_")
    else:
        assert model.feature_names_in_.tolist() == list(named)
        assert not hasattr(plain, "feature_names_in_")
        assert not hasattr(model.fit(X, **more), "feature_names_in_")


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("estimator", WITH_COLUMNS, ids=repr)
def test_other_columns_are_refused(estimator, library):
    named, X, more = data_for(estimator)
    frame = FRAMES[library](named)
    model = clone(estimator).fit(frame, **more)
    other = FRAMES[library]({f"{name}er": values for name, values in named.items()})
    turned = frame[NAMES[::-1]]
    lengths = {k: more[k] for k in ("lengths",) if k in more}
    for name in methods_of(model):
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(model, name)(turned, **lengths)
        with pytest.raises(ValueError, match="unseen at fit time"):
            getattr(model, name)(other, **lengths)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            getattr(model, name)(X, **lengths)


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize(
    "estimator", [e for e in WITH_COLUMNS if hasattr(e, "partial_fit")], ids=repr
)
def test_later_frames_have_the_columns_of_the_first(estimator, library):
    named, _, more = data_for(estimator)
    frame = FRAMES[library](named)
    first = {"classes": np.unique(more["y"])} if is_classifier(estimator) else {}
    model = clone(estimator).partial_fit(frame, **more, **first)
    before = {name: value.copy() for name, value in fitted(model).items()}
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame[NAMES[::-1]], **more)
    assert model.feature_names_in_.tolist() == NAMES
    for name, value in fitted(model).items():
        assert_array_equal(value, before[name])


@pytest.mark.parametrize("library", FRAMES)
def test_outputs_are_frames_where_they_are_wanted(library):
    named, _, more = data_for(TensorFeatures())
    frame = FRAMES[library](named)
    if library == "pandas":
        frame.index += 100
    names = {
        TensorFeatures(2): ["tensorfeatures0", "tensorfeatures1"],
        LatentDirichletAllocation(2): ["latentdirichletallocation0", "latentdirichletallocation1"],
        Lagged(2): ["red_lag1", "green_lag1", "blue_lag1", "red_lag0", "green_lag0", "blue_lag0"],
        PerSequence(StandardScaler()): NAMES,
    }
    for transformer, wanted in names.items():
        X = frame * frame // 1 if isinstance(transformer, LatentDirichletAllocation) else frame
        plain = seeded(transformer).fit(X, more["y"]).transform(X)
        model = seeded(transformer).set_output(transform=library)
        for found in (model.fit_transform(X, more["y"]), model.fit(X, more["y"]).transform(X)):
            assert type(found) is FRAMES[library]
            assert list(found.columns) == wanted == model.get_feature_names_out().tolist()
            assert_array_equal(found.to_numpy(), plain)
            if library == "pandas":
                assert found.index.equals(frame.index)


@pytest.mark.parametrize("library", FRAMES)
def test_labels_of_tasks_as_a_frame(library):
    """In the long layout a row of what comes out is a task, not a row of X."""
    task, worker = np.repeat(["s", "r", "t"], 3), np.tile(["ann", "bob", "cy"], 3)
    label = np.array([1, 1, 0, 0, 0, 0, 1, 1, 1])
    table = FRAMES[library]({"when": task, "label": label, "worker": worker, "task": task})
    plain = DawidSkene().fit(table)
    model = DawidSkene().set_output(transform=library).fit(table)
    shares = model.transform(table)
    assert_array_equal(shares.to_numpy(), plain.transform(table))
    if library == "pandas":
        assert shares.index.tolist() == ["r", "s", "t"]
    assert_array_equal(model.predict(table), plain.predict(table))
    assert_array_equal(model.predict_proba(table), shares.to_numpy())


@pytest.mark.parametrize("library", FRAMES)
def test_sequences_that_are_frames(library):
    rng = np.random.default_rng(3)
    X = [rng.normal(size=(n, 2)) + np.repeat([[0, 0], [3, 1]], n // 2, axis=0) for n in (8, 12, 10)]
    frames = [FRAMES[library]({"a": x[:, 0], "b": x[:, 1]}) for x in X]
    turned = [frames[0], frames[1][["b", "a"]], frames[2]]
    model = GaussianHMM(2, random_state=0)
    plain, found = clone(model).fit(X), clone(model).fit(frames)
    assert_array_equal(found.means_, plain.means_)
    assert_array_equal(found.predict(frames).values, plain.predict(X).values)
    assert found.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="sequence 1 of X has columns"):
        clone(model).fit(turned)
    with pytest.raises(ValueError, match="sequence 1 of X has columns"):
        found.predict(turned)
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict([frame[["b", "a"]] for frame in frames])
    scaled = PerSequence(make_column_transformer((StandardScaler(), ["a"]), ("passthrough", ["b"])))
    values = scaled.fit_transform(frames).values
    assert_array_equal(values[:, 1], np.concatenate(X)[:, 1])
    assert values[:, 0].std() == pytest.approx(1)
    assert scaled.feature_names_in_.tolist() == ["a", "b"]
    classes = HMMClassifier(model).fit(frames, [0, 1, 0])
    assert_array_equal(
        classes.predict_proba(frames), HMMClassifier(model).fit(X, [0, 1, 0]).predict_proba(X)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        classes.predict([frame[["b", "a"]] for frame in frames])
    assert isinstance(found.predict(frames), Sequences)


def nullable(columns):
    """Frames that say what is missing in their own ways."""
    arrow = pd.DataFrame(columns, dtype=object).convert_dtypes()
    return [arrow, pl.DataFrame(columns), pd.DataFrame(columns)]


def test_missing_numbers_of_frames():
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(size=60), rng.integers(0, 5, 60)])
    X[5, 0], X[7, 1] = np.nan, np.nan
    columns = {
        "a": [None if np.isnan(x) else x for x in X[:, 0]],
        "b": [None if np.isnan(x) else int(x) for x in X[:, 1]],
    }
    for model in (
        GaussianHMM(2, missing=np.nan, random_state=0),
        GaussianMixture(2, random_state=0),
    ):
        plain = clone(model).fit(X)
        for frame in nullable(columns):
            assert_array_equal(clone(model).fit(frame).means_, plain.means_)


def test_words_and_answers_of_frames():
    words = np.array(list("aababbaabcc" * 4), dtype=object)
    plain = CategoricalHMM(2, random_state=0).fit(words[:, None])
    frames = [pd.DataFrame({"w": words}), pl.DataFrame({"w": words})]
    frames += [frames[0].astype("category"), frames[1].cast(pl.Categorical), pl.Series(words)]
    for frame in frames:
        model = CategoricalHMM(2, random_state=0).fit(frame)
        assert_array_equal(model.emissionprob_, plain.emissionprob_)
        assert model.symbols_.tolist() == ["a", "b", "c"]
    gone = words.copy()
    gone[3] = None
    masked = np.ma.masked_array(words.astype(str), gone == None)  # noqa: E711
    plain = CategoricalHMM(2, random_state=0).fit(masked[:, None])
    for frame in (pd.DataFrame({"w": gone}), pl.DataFrame({"w": gone})):
        model = CategoricalHMM(2, random_state=0).fit(frame)
        assert_array_equal(model.emissionprob_, plain.emissionprob_)
    answers = {"p": gone, "q": words[::-1], "r": words}
    plain = MultiViewMixture(2, n_init=2, random_state=0).fit(np.column_stack([*answers.values()]))
    frames = [pd.DataFrame(answers), pl.DataFrame(answers)]
    for frame in [*frames, frames[0].astype("category"), frames[1].cast(pl.Categorical)]:
        model = MultiViewMixture(2, n_init=2, random_state=0).fit(frame)
        assert_array_equal(model.item_probs_[0], plain.item_probs_[0])
        assert model.categories_[0].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("library", FRAMES)
def test_chunks_that_are_frames(library):
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    frames = [FRAMES[library]({"a": x[:, 0], "b": x[:, 1]}) for x in np.split(X, 3)]
    labels = list(map(SERIES[library], np.split(y, 3)))
    net = MLPRegressor(hidden_layer_sizes=3, random_state=0, max_iter=20)
    plain = clone(net).fit(list(zip(np.split(X, 3), np.split(y, 3), strict=True)))
    found = clone(net).fit(list(zip(frames, labels, strict=True)))
    assert_array_equal(found.coefs_[0], plain.coefs_[0])
    assert found.feature_names_in_.tolist() == ["a", "b"]
    turned = [frames[0], frames[1][["b", "a"]], frames[2]]
    with pytest.raises(ValueError, match="chunk 1 of X has columns called"):
        clone(net).fit(list(zip(turned, labels, strict=True)))


@pytest.mark.parametrize("n_lags", [1, 2, 3])
def test_lags_of_a_frame(n_lags):
    """Its columns are in one piece each; with one row before X, lags were once those of others."""
    X = np.arange(12.0).reshape(4, 3)
    wanted = Lagged(n_lags).fit_transform(X)
    for frame in (np.asfortranarray(X), pd.DataFrame(X), pl.DataFrame(X)):
        lagged = Lagged(n_lags).fit(frame)
        assert_array_equal(lagged.transform(frame), wanted)
        assert_array_equal(lagged.transform(frame[2:], before=frame[:2]), wanted[2:])


@pytest.mark.parametrize("library", FRAMES)
def test_tables_of_counts_of_words(library):
    counts = np.random.default_rng(6).poisson(2, (8, 5))
    frame = FRAMES[library]({f"c{j}": column for j, column in enumerate(counts.T)})
    model = PMIEmbedding(2, random_state=0)
    assert_array_equal(clone(model).fit(frame).embedding_, clone(model).fit(counts).embedding_)


@pytest.mark.parametrize("library", FRAMES)
def test_several_targets(library):
    rng = np.random.default_rng(10)
    X, Y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    frame = FRAMES[library]({"u": Y[:, 0], "v": Y[:, 1]})
    for model in (
        MLPRegressor(hidden_layer_sizes=3, max_iter=20, random_state=0),
        TensorFeatures(2, random_state=0),
    ):
        name = "coefs_" if isinstance(model, MLPRegressor) else "components_"
        wanted = getattr(clone(model).fit(X, Y), name)
        assert_array_equal(getattr(clone(model).fit(X, frame), name)[0], wanted[0])


@pytest.mark.parametrize("library", FRAMES)
def test_long_tables(library):
    table = FRAMES[library](
        {"who": ["b", "a", "b", "a"], "x": [1.0, 2.0, 3.0, 4.0], "y": [1, 2, 3, 4]}
    )
    sequences, ids, _ = sequences_of_table(table, by="who")
    assert ids.tolist() == ["b", "a"]
    assert sequences[0].flags.c_contiguous
    assert sequences[0].tolist() == [[1.0, 1.0], [3.0, 3.0]]
