"""Saved models: skops loads what it dumped, to the last bit; other versions are warned of."""

import pickle
from copy import deepcopy
from dataclasses import is_dataclass
from functools import cache

import dask.base
import joblib
import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import spectral_estimators
from spectral_estimators import (
    GMMHMM,
    TRUSTED_TYPES,
    BernoulliHMM,
    CategoricalHMM,
    DawidSkene,
    GaussianHMM,
    GaussianMixture,
    GaussianMixtureScore,
    GaussianScore,
    HMMClassifier,
    LabelPropagation,
    LabelSpreading,
    LatentDirichletAllocation,
    MLPClassifier,
    MLPRegressor,
    ModelVersionWarning,
    MultinomialHMM,
    MultiViewMixture,
    ObservableOperatorModel,
    PerSequence,
    PMIEmbedding,
    PoissonHMM,
    TensorFeatures,
    __version__,
    trainers,
)
from spectral_estimators._base import SpectralEstimator
from spectral_estimators._progress import ConvergenceMonitor
from spectral_estimators.hmm._base import BaseHMM
from spectral_estimators.pmi_embedding import WordsSeen
from spectral_estimators.reports import RepairRound
from spectral_nn.models.operators.solve import Operators
from spectral_nn.moments.cooccurrences import CoOccurrences
from spectral_nn.moments.documents import DocumentMoments
from tests.estimators.test_check_estimator import ESTIMATORS

pytestmark = [
    pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Fitting a model of:UserWarning"),
]

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((120, 3)) + np.repeat([0, 3], 60)[:, None]
LABELS = np.repeat([0, 1], 60)
COUNTS = RNG.poisson(2, (60, 8))
MARKS = RNG.integers(0, 2, (100, 6))
SYMBOLS = RNG.integers(0, 3, (200, 1))
SEQUENCES = [ROWS[begin : begin + 20] for begin in range(0, 120, 20)]
TEXTS = ["the cat eats fish", "the dog eats meat", "a cat drinks", "a dog drinks"]
DOCUMENTS = [text.split() for text in TEXTS]

OTHERS = [  # than those that scikit-learn checks
    HMMClassifier(GaussianHMM(2, n_iter=2, random_state=0)),
    PMIEmbedding(2, window=2, min_count=1, random_state=0),
]
ONE_OF_EACH = {type(model).__name__: model for model in [*ESTIMATORS, *OTHERS]}


def data_of(model):
    """Arguments for fit, and what to ask the model about."""
    if isinstance(model, (CategoricalHMM, ObservableOperatorModel)):
        return (SYMBOLS,), SYMBOLS
    if isinstance(model, (BernoulliHMM, DawidSkene, MultiViewMixture)):
        return (MARKS,), MARKS
    if isinstance(model, (LatentDirichletAllocation, MultinomialHMM, PoissonHMM)):
        return (COUNTS,), COUNTS
    if isinstance(model, HMMClassifier):
        return (SEQUENCES, np.repeat(["low", "high"], 3)), SEQUENCES
    if isinstance(model, PerSequence):
        return (SEQUENCES,), SEQUENCES
    if isinstance(model, PMIEmbedding):
        return (DOCUMENTS,), ["cat", "dog"]
    if isinstance(model, (LabelPropagation, LabelSpreading)):
        return (ROWS, np.where(np.arange(120) % 10 == 0, LABELS, -1)), ROWS
    if is_classifier(model):
        return (ROWS, LABELS), ROWS
    if is_regressor(model) or isinstance(model, TensorFeatures):
        return (ROWS, ROWS @ [1.0, -2.0, 0.5]), ROWS
    return (ROWS,), ROWS


def through_skops(model):
    """The model that skops loads, and the types that it had to be told to trust."""
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    return skops.io.loads(data, trusted=TRUSTED_TYPES), set(types)


def names(types):
    return {f"{kind.__module__}.{kind.__name__}" for kind in types}


def assert_same(one, other, path="model"):
    """Equal to the last bit, whatever it is made of."""
    assert type(one) is type(other), path
    if isinstance(one, np.ndarray | np.generic):
        np.testing.assert_array_equal(one, other, err_msg=path, strict=True)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for at, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{path}[{at}]")
    elif isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            assert_same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, np.random.Generator):
        assert_same(one.bit_generator.state, other.bit_generator.state, path)
    elif isinstance(one, np.random.RandomState):
        assert_same(one.get_state(legacy=False), other.get_state(legacy=False), path)
    elif hasattr(one, "__dict__"):
        assert_same(vars(one), vars(other), path)
    else:
        assert one == other or (one != one and other != other), path


def answers(model, asked):
    """What the model says of data: predictions, chances, scores, features."""
    methods = ("predict", "predict_proba", "decision_function", "transform", "score_samples")
    found = {name: getattr(model, name)(asked) for name in methods if hasattr(model, name)}
    if isinstance(model, (BaseHMM, GaussianMixture, LatentDirichletAllocation, MultiViewMixture)):
        found["score"] = model.score(asked)
    assert found
    return found


def types_of(report):
    """Types of a report and of the records in it."""
    facts = vars(report).values()
    records = [one for fact in facts for one in (fact if isinstance(fact, tuple) else [fact])]
    return {type(one) for one in [report, *records] if is_dataclass(one)}


def kept_besides(model):
    """Types in a file of a model fitted to all data at once, besides its own."""
    reported = types_of(model.report_) if hasattr(model, "report_") else set()
    return reported | kept_besides_reports(model)


def kept_besides_reports(model):
    if isinstance(model, BaseHMM):
        return {ConvergenceMonitor}
    if isinstance(model, HMMClassifier):
        return {GaussianHMM}.union(*map(kept_besides, model.estimators_))
    if isinstance(model, LatentDirichletAllocation):
        return {DocumentMoments}
    if isinstance(model, ObservableOperatorModel):
        return {Operators}
    if isinstance(model, PMIEmbedding):
        return {CoOccurrences, WordsSeen, sparse.csr_array}
    return set()


@cache
def fitted(name):
    """An estimator of each class, fitted to all of its data."""
    model = clone(ONE_OF_EACH[name])
    return model.fit(*data_of(model)[0])


def test_every_estimator_is_saved():
    public = {name for name in spectral_estimators.__all__ if is_estimator(name)}
    assert public == set(ONE_OF_EACH)


def is_estimator(name):
    kind = getattr(spectral_estimators, name)
    return isinstance(kind, type) and issubclass(kind, BaseEstimator)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_skops_round_trip(name):
    model = fitted(name)
    loaded, types = through_skops(model)
    assert types == names({type(model)} | kept_besides(model))
    assert_same(loaded, model)
    asked = data_of(model)[1]
    assert_same(answers(loaded, asked), answers(model, asked))


def half_of(kind, *given, **settings):
    """A model that has seen half of the data, and the other half."""
    half = len(given[0]) // 2
    model = kind(random_state=0, **settings)
    how = {"classes": [0, 1]} if isinstance(model, MLPClassifier) else {}
    model.partial_fit(*(part[:half] for part in given), **how)
    return model, tuple(part[half:] for part in given)


QUICK = {"n_components": 2, "n_iter": 2}
NET = {"hidden_layer_sizes": (4, 4), "init": "random"}
IN_PARTS = {
    "BernoulliHMM": lambda: half_of(BernoulliHMM, MARKS, **QUICK),
    "CategoricalHMM": lambda: half_of(CategoricalHMM, SYMBOLS, **QUICK),
    **{
        f"GaussianHMM-{shape}": lambda shape=shape: half_of(
            GaussianHMM, ROWS, covariance_type=shape, **QUICK
        )
        for shape in ("spherical", "diag", "full", "tied")
    },
    "GMMHMM": lambda: half_of(GMMHMM, ROWS, covariance_type="tied", n_mix=2, **QUICK),
    "MultinomialHMM": lambda: half_of(MultinomialHMM, COUNTS, **QUICK),
    "PoissonHMM": lambda: half_of(PoissonHMM, COUNTS, **QUICK),
    "ObservableOperatorModel": lambda: half_of(ObservableOperatorModel, SYMBOLS, n_components=2),
    "LatentDirichletAllocation": lambda: half_of(LatentDirichletAllocation, COUNTS),
    "PMIEmbedding": lambda: half_of(PMIEmbedding, DOCUMENTS, n_components=2, min_count=1),
    "TensorFeatures": lambda: half_of(TensorFeatures, ROWS, ROWS[:, 0], n_components=2),
    "MLPRegressor-tensor": lambda: half_of(MLPRegressor, ROWS, ROWS[:, 0], solver="adam"),
    "MLPClassifier-sgd": lambda: half_of(MLPClassifier, ROWS, LABELS[::-1], solver="sgd", **NET),
    **{
        name: lambda name=name: half_of(
            MLPClassifier, ROWS, np.tile([0, 1], 60), solver=getattr(trainers, name)(), **NET
        )
        for name in trainers.__all__
    },
}


@cache
def begun(name):
    return IN_PARTS[name]()


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_loaded_model_goes_on(name):
    model, more = begun(name)
    loaded, _ = through_skops(model)
    assert_same(loaded, model)
    expected = deepcopy(model).partial_fit(*more)
    loaded.partial_fit(*more)
    if hasattr(loaded, "loss_times_"):  # seconds
        loaded.loss_times_ = expected.loss_times_
    assert_same(loaded, expected)


def test_trusted_types_are_those_in_files():
    """None is missing, and none is superfluous."""
    mixture = GaussianMixtureScore(np.ones(1), np.zeros((1, 3)), np.eye(3)[None])
    gaussian = GaussianScore(np.zeros(3), np.eye(3))
    models = [
        *map(fitted, ONE_OF_EACH),
        *(begun(name)[0] for name in IN_PARTS),
        CategoricalHMM("auto", n_iter=2, random_state=0).fit(SYMBOLS),
        LatentDirichletAllocation("auto", random_state=0).fit(COUNTS),
        ObservableOperatorModel("auto", random_state=0).fit(SYMBOLS),
        TensorFeatures(1, input_model=gaussian).fit(ROWS, ROWS[:, 0]),
        TensorFeatures(1, input_model=mixture).fit(ROWS, ROWS[:, 0]),
    ]
    found = set().union(*(through_skops(model)[1] for model in models))
    rare = names({RepairRound})  # where residuals show units, which rounding may tell
    assert found | rare == names(TRUSTED_TYPES)


def test_what_a_user_put_in_is_not_trusted():
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1, verbose=print_nothing)
    data = skops.io.dumps(model.fit(ROWS, ROWS[:, 0]))
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match="print_nothing"):
        skops.io.loads(data, trusted=TRUSTED_TYPES)


def print_nothing(stage, step, loss):
    pass


def test_a_search_tree_is_made_anew():
    """Its pointers are nothing that a file should hold; neighbours are those of the fit."""
    model = clone(ONE_OF_EACH["LabelPropagation"]).set_params(n_neighbors=3)
    rows, labels = data_of(model)[0]
    model.fit(rows, labels).set_params(n_neighbors=50)
    loaded, types = through_skops(model)
    assert not any(name.startswith("sklearn") for name in types)
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    rows = sparse.csr_array(rows)
    loaded, types = through_skops(model.fit(rows, labels))
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))


def test_models_of_other_libraries_are_saved_from_the_host():
    torch = pytest.importorskip("torch")
    X, y = torch.asarray(ROWS), torch.asarray(LABELS)
    network = MLPClassifier((4,), init="random", random_state=0, solver=trainers.LayerWise())
    network.partial_fit(X, y, classes=[0, 1])
    series = GaussianHMM(2, n_iter=2, random_state=0).fit(X)
    topics = LatentDirichletAllocation(2, random_state=0).fit(torch.asarray(COUNTS))
    for model, asked in ((network, ROWS), (series, ROWS), (topics, COUNTS)):
        if model is not topics:
            model.move_to_host()
        loaded, _ = through_skops(model)
        assert_same(loaded, model)
        assert_same(answers(loaded, asked), answers(model, asked))


def load_skops(data):
    return skops.io.loads(data, trusted=TRUSTED_TYPES)


WAYS = pytest.mark.parametrize(
    ("dump", "load"), [(pickle.dumps, pickle.loads), (skops.io.dumps, load_skops)]
)


@pytest.fixture
def model():
    return LabelPropagation().fit(*data_of(LabelPropagation())[0])


@WAYS
def test_the_same_version_says_nothing(model, dump, load):
    loaded = load(dump(model))  # a warning would be an error
    assert_same(loaded, model)
    assert list(vars(loaded)) == list(vars(model))  # the version is no attribute


@WAYS
def test_another_version_is_named(model, dump, load, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("spectral_estimators._base.__version__", "0.0.9")
        data = dump(make_pipeline(StandardScaler(), model))
    with pytest.warns(ModelVersionWarning) as said:
        loaded = load(data)
    assert len(said) == 1
    words = str(said[0].message)
    assert words.startswith("This LabelPropagation was saved by spectral-nn 0.0.9, and spectral-nn")
    assert f"Fit it again with spectral-nn {__version__}, or load it with" in words
    assert_same(loaded[-1], model)


@WAYS
def test_a_version_that_was_not_noted_is_unknown(model, dump, load, monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(SpectralEstimator, "__getstate__")
        data = dump(model)
    with pytest.warns(ModelVersionWarning, match="saved by an unknown version of spectral-nn"):
        load(data)


def test_a_settings_object_is_versioned_too(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("spectral_estimators._base.__version__", "0.0.9")
        data = pickle.dumps(GaussianHMM(3))
    with pytest.warns(ModelVersionWarning, match="This GaussianHMM"):
        assert pickle.loads(data).n_components == 3


def test_every_estimator_notes_its_version():
    for model in ONE_OF_EACH.values():
        assert isinstance(model, SpectralEstimator)
        assert model.__getstate__()["_spectral_nn_version"] == __version__


def test_the_version_is_in_nobodys_way(model):
    """Of clones, parameters, and hashes."""
    assert clone(model).get_params() == model.get_params() == deepcopy(model).get_params()
    loaded = pickle.loads(pickle.dumps(model))
    assert joblib.hash(loaded) == joblib.hash(model)
    assert dask.base.tokenize(loaded) == dask.base.tokenize(model)
