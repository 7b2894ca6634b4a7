"""CategoricalHMM: what a user gets."""

import copy
import os
import pickle
import signal
from concurrent.futures import BrokenExecutor

import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM as Rival
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from spectral_estimators import CategoricalHMM, PerSequence, Sequences, SequenceStream
from spectral_estimators import hmm as shell

START = np.array([0.6, 0.3, 0.1])
TRANS = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
EMIT = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.05, 0.05, 0.2, 0.7]])
QUICK = {"n_components": 3, "n_iter": 5, "n_init": 2, "random_state": 0}
FITTED = ("startprob_", "transmat_", "emissionprob_")


def by_hand(model=None):
    model = CategoricalHMM(3) if model is None else model
    model.startprob_, model.transmat_, model.emissionprob_ = START, TRANS, EMIT
    return model


@pytest.fixture(scope="module")
def data():
    """Forty sequences of unequal length, with the states behind them."""
    true = by_hand()
    lengths = np.random.default_rng(0).integers(5, 80, size=40)
    pairs = [true.sample(int(n), random_state=i) for i, n in enumerate(lengths)]
    return [x[:, 0] for x, _ in pairs], [z for _, z in pairs]


@pytest.fixture(scope="module")
def fitted(data):
    return CategoricalHMM(**QUICK).fit(data[0])


def same_model(a, b, **tolerance):
    for name in FITTED:
        assert_allclose(getattr(a, name), getattr(b, name), **tolerance)


def test_every_form_of_input_gives_the_same_model(data, fitted):
    X, lengths = np.concatenate(data[0])[:, None], [len(x) for x in data[0]]
    for arguments in (
        ((X,), {"lengths": lengths}),
        ((X, lengths), {}),
        ((X, None, lengths), {}),
        ((X[:, 0].astype(float),), {"lengths": np.array(lengths)}),
        ((Sequences.from_list(data[0]),), {}),
        (([x[:, None] for x in data[0]],), {}),
        ((iter(data[0]),), {}),
    ):
        same_model(CategoricalHMM(**QUICK).fit(*arguments[0], **arguments[1]), fitted, rtol=0)
    streamed = CategoricalHMM(**QUICK).fit(SequenceStream(data[0]))
    same_model(streamed, fitted, rtol=1e-12)
    pieces = CategoricalHMM(**QUICK).fit(SequenceStream(data[0], chunk_tokens=100))
    same_model(pieces, fitted, rtol=1e-10)


def test_totals_do_not_depend_on_the_form(data, fitted):
    X, lengths = np.concatenate(data[0])[:, None], [len(x) for x in data[0]]
    total = fitted.score(X, lengths=lengths)
    rival = Rival(3)
    for name in FITTED:
        setattr(rival, name, getattr(fitted, name))
    assert_allclose(total, rival.score(X, lengths), rtol=1e-12)
    assert_allclose(fitted.score(X, lengths), total, rtol=1e-12)
    assert_allclose(fitted.score(data[0]), total, rtol=1e-12)
    assert_allclose(fitted.score(x for x in data[0]), total, rtol=1e-12)
    assert_allclose(sum(fitted.score(x) for x in data[0]), total, rtol=1e-12)
    rival.n_features = 4
    assert_allclose(fitted.aic(X, lengths), rival.aic(X, lengths))
    assert_allclose(fitted.bic(data[0]), rival.bic(X, lengths))


def test_answers_have_as_many_samples_as_the_question(data, fitted):
    X, lengths = np.concatenate(data[0])[:, None], [len(x) for x in data[0]]
    flat, cut = fitted.predict(X, lengths), fitted.predict(data[0])
    assert isinstance(cut, Sequences)
    assert len(cut) == len(data[0])
    assert flat.shape == (len(X),)
    assert_array_equal(np.concatenate(list(cut)), flat)
    for algorithm in ("viterbi", "map"):
        assert_array_equal(
            fitted.decode(data[0], algorithm=algorithm)[1].values,
            fitted.decode(X, lengths, algorithm)[1],
        )
    proba = fitted.predict_proba(data[0])
    assert_allclose(proba[3], fitted.predict_proba(data[0][3]), atol=1e-12)
    assert_allclose(proba.values.sum(axis=1), 1)
    assert_array_equal(fitted.predict(np.stack([data[0][0][:4]] * 2)[:, :, None]).lengths, [4, 4])


def test_the_model_is_learned(data):
    model = CategoricalHMM(3, random_state=0).fit(data[0])
    assert model.score(data[0]) > by_hand().score(data[0])
    assert model.monitor_.converged
    assert model.monitor_.iter == len(model.monitor_.history) > 1
    assert np.all(np.diff(model.monitor_.history) >= 0)
    assert model.n_features == 4
    assert model.n_components_ == 3
    assert model.report_.sigma_ratio > 0
    assert model.report_.winner in {"tensor", "wide-windows", "sticky", "random"}
    for name in FITTED:
        assert getattr(model, name).dtype == np.float64
        assert_allclose(getattr(model, name).sum(axis=-1), 1)


@pytest.mark.parametrize("init", ["tensor", "random", "anchor"])
def test_starts_and_seeds(data, init):
    models = [CategoricalHMM(**QUICK | {"init": init}).fit(data[0]) for _ in range(2)]
    same_model(*models, rtol=0)
    assert models[0].score(data[0]) > -np.inf


def test_pure_moments_take_no_step(data):
    model = CategoricalHMM(3, n_iter=0, random_state=0).fit(data[0])
    assert model.monitor_.history == []
    assert not model.monitor_.converged
    assert model.score(data[0]) > -np.inf


def test_one_step_is_hmmlearns(data):
    X, lengths = np.concatenate(data[0])[:, None], [len(x) for x in data[0]]
    rival = by_hand(Rival(3, n_iter=1, init_params="", startprob_prior=2.0, transmat_prior=1.5))
    rival.fit(X, lengths)
    ours = CategoricalHMM(
        3, 2.0, 1.5, emissionprob_prior=1.0, n_iter=1, init_params="", dtype="float64"
    )
    same_model(by_hand(ours).fit(X, lengths), rival, rtol=0, atol=5e-15)


def test_params_choose_what_moves(data):
    model = CategoricalHMM(3, params="t", init_params="", n_iter=3)
    by_hand(model).fit(data[0])
    assert_allclose(model.startprob_, START, rtol=1e-14)
    assert_allclose(model.emissionprob_, EMIT, rtol=1e-14)
    assert not np.allclose(model.transmat_, TRANS)
    forbidden = CategoricalHMM(3, init_params="se", random_state=0)
    forbidden.transmat_ = np.array([[0.9, 0.1, 0], [0, 0.9, 0.1], [0.1, 0, 0.9]])
    assert_array_equal(forbidden.fit(data[0]).transmat_ == 0, forbidden.transmat_ == 0)
    assert forbidden.transmat_[0, 2] == 0


def test_n_features(data):
    model = CategoricalHMM(**QUICK, n_features=6).fit(data[0])
    assert model.emissionprob_.shape == (3, 6)
    assert model.emissionprob_[:, 4:].min() > 0
    assert model.score([5, 4, 0]) > -np.inf
    found = CategoricalHMM(**QUICK)
    assert found.n_features is None
    found.fit(data[0])
    assert found.n_features == 4
    assert found.get_params()["n_features"] is None
    assert clone(found).n_features is None
    assert found.fit([np.array([0, 7, 1] * 20)]).n_features == 8
    assert found.set_params(n_features=9).n_features == 9


def test_hand_set_parameters_need_no_fit():
    model = by_hand()
    assert_allclose(np.exp(model.score([0])), START @ EMIT[:, 0])
    assert model.n_features == 4
    auto = by_hand(CategoricalHMM("auto"))
    assert auto.score([0, 1]) == model.score([0, 1])
    assert_allclose(
        model.get_stationary_distribution() @ TRANS, model.get_stationary_distribution()
    )
    model.startprob_ = START.tolist()
    assert model.score([0, 1]) == auto.score([0, 1])


def test_before_fit():
    model = CategoricalHMM()
    for use in (
        lambda: model.score([0]),
        lambda: model.predict([0]),
        lambda: model.decode([0]),
        lambda: model.predict_proba([0]),
        lambda: model.sample(3),
        lambda: model.predict_next([0]),
        lambda: model.aic([0]),
        model.get_stationary_distribution,
    ):
        with pytest.raises(NotFittedError, match="startprob_"):
            use()
    model.startprob_ = [1.0]
    with pytest.raises(NotFittedError, match="transmat_, emissionprob_ must"):
        model.score([0])


def test_missing_observations(data):
    model = by_hand(CategoricalHMM(3, missing=-1))
    expected = np.log(sum(np.exp(by_hand().score([0, v, 2])) for v in range(4)))
    assert_allclose(model.score([0, -1, 2]), expected)
    assert_allclose(by_hand().score(np.ma.array([0, 3, 2], mask=[0, 1, 0])), expected)
    nan = by_hand(CategoricalHMM(3, missing=np.nan))
    assert_allclose(nan.score([0, np.nan, 2]), expected)
    assert_allclose(model.bic([0, -1, 2]), -2 * expected + 17 * np.log(2))

    rng = np.random.default_rng(0)
    holes = [np.where(rng.random(x.size) < 0.2, -1, x) for x in data[0]]
    marked = CategoricalHMM(**QUICK, missing=-1).fit(holes)
    masked = CategoricalHMM(**QUICK).fit([np.ma.masked_equal(x, -1) for x in holes])
    same_model(marked, masked, rtol=0)
    assert marked.n_features == 4
    assert marked.score(data[0]) > CategoricalHMM(1).fit(data[0]).score(data[0])


def test_labels_name_the_states(data):
    X, states = data
    full = CategoricalHMM(3, random_state=0, n_iter=20).fit(X, states)
    assert_allclose(full.emissionprob_, EMIT, atol=0.1)
    assert_allclose(full.transmat_, TRANS, atol=0.1)
    rng = np.random.default_rng(0)
    some = [np.where(rng.random(z.size) < 0.8, -1, z) for z in states]
    part = CategoricalHMM(3, random_state=0, n_iter=20).fit(Sequences.from_list(X), some)
    assert_allclose(part.emissionprob_, EMIT, atol=0.12)
    table = CategoricalHMM(3, random_state=0, n_iter=20)
    table.fit(np.concatenate(X), np.concatenate(states), [len(x) for x in X])
    same_model(table, full, rtol=0)


def test_partial_fit_is_a_function_of_the_sum(data):
    whole = CategoricalHMM(**QUICK).partial_fit(data[0])
    parts = CategoricalHMM(**QUICK, n_features=4)
    for begin in range(0, 40, 7):
        parts.partial_fit(data[0][begin : begin + 7])
    same_model(parts, whole, rtol=0)
    assert whole.score(data[0]) > CategoricalHMM(1).fit(data[0]).score(data[0])
    generated = CategoricalHMM(**QUICK).partial_fit(x for x in data[0])
    same_model(generated, whole, rtol=0)
    again = pickle.loads(pickle.dumps(parts)).partial_fit(data[0])
    assert again.score(data[0]) > -np.inf
    with pytest.raises(ValueError, match="below n_features=4"):
        whole.partial_fit([4, 0, 1])
    same_model(parts, whole, rtol=0)


def test_long_generators_are_counted_in_one_pass(data, monkeypatch):
    monkeypatch.setattr(SequenceStream.__init__, "__defaults__", (None, 100))
    counted = CategoricalHMM(**QUICK).fit(x for x in data[0])
    same_model(counted, CategoricalHMM(**QUICK).partial_fit(data[0]), rtol=0)


def test_refitting_forgets(data, fitted):
    model = CategoricalHMM(**QUICK).partial_fit(data[0][:20]).fit(data[0])
    same_model(model, fitted, rtol=0)
    model.partial_fit(data[0])
    same_model(model, CategoricalHMM(**QUICK).partial_fit(data[0]), rtol=0)


def test_few_bits_for_the_number_of_states(data):
    found = [CategoricalHMM(k, random_state=0).fit(data[0]) for k in (np.int8(3), 3)]
    same_model(*found, rtol=0)


@pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning")
def test_auto_keeps_its_evidence(data):
    true = by_hand()
    X = [true.sample(60, random_state=i)[0][:, 0] for i in range(80)]  # twice the same would leak
    model = CategoricalHMM("auto", random_state=0, n_init=4).fit(X)
    evidence = model.report_.evidence
    assert model.n_components == "auto"
    assert 2 <= model.n_components_ <= 6
    assert model.transmat_.shape == (model.n_components_,) * 2
    assert model.n_components_ in [e.n_components for e in evidence]
    assert model.score(data[0]) > CategoricalHMM(1, random_state=0).fit(data[0]).score(data[0])
    assert len(model.predict(data[0])) == len(data[0])


def test_predict_next(data, fitted):
    model = by_hand()
    prefix = [0, 1, 3]
    joint = np.array([np.exp(model.score([*prefix, v])) for v in range(4)])
    assert_allclose(model.predict_next(prefix), joint / joint.sum())
    assert_allclose(model.predict_next(np.array(prefix)[:, None]), joint / joint.sum())
    assert_allclose(model.predict_next([]), START @ EMIT)
    many = model.predict_next([np.array(prefix), np.array([2])])
    assert many.shape == (2, 4)
    assert_allclose(many[0], joint / joint.sum())
    assert_allclose(model.predict_next([*prefix, 2], lengths=[3, 1]), many)


def test_samples():
    model = by_hand()
    X, states = model.sample(500, random_state=5)
    expected, path = by_hand(Rival(3)).sample(500, random_state=5)
    assert_array_equal(X, expected)
    assert_array_equal(states, path)
    assert model.sample(10, random_state=0, currstate=2)[1][0] == 2
    firsts = [model.sample(1, random_state=i, prefix=[3, 3, 3])[1][0] for i in range(300)]
    expected = model.predict_proba([3, 3, 3])[-1] @ TRANS
    assert_allclose(np.bincount(firsts, minlength=3) / 300, expected, atol=0.09)
    assert model.sample(2, prefix=np.array([], dtype=int))[0].shape == (2, 1)
    seeded = by_hand(CategoricalHMM(3, random_state=1))
    assert_array_equal(seeded.sample(5)[0], seeded.sample(5)[0])


def test_a_million_steps_score_finitely():
    model = by_hand()
    X = model.sample(1_000_000, random_state=0)[0]
    total = model.score(X)
    assert np.isfinite(total)
    assert_allclose(total, -1e6, rtol=0.5)


def test_impossible_sequences_are_minus_infinity_not_nan():
    model = CategoricalHMM(2)
    model.startprob_, model.transmat_, model.emissionprob_ = [1, 0], np.eye(2), np.eye(2)
    assert model.score([0, 1]) == -np.inf
    assert_allclose(model.predict_proba([0, 1]), 0.5)
    assert model.decode([0, 1])[0] == -np.inf
    with pytest.raises(ValueError, match="Prefix 0 has probability zero"):
        model.predict_next([0, 1])


def test_cross_validation_and_grid_search(data):
    X = Sequences.from_list(data[0])
    model = CategoricalHMM(**QUICK)
    scores = cross_val_score(model, X, cv=KFold(3))
    train, test = next(KFold(3).split(X))
    assert_allclose(scores[0], clone(model).fit(X[train]).score(X[test]))
    assert_allclose(cross_val_score(model, data[0], cv=KFold(3)), scores)
    search = GridSearchCV(
        model, {"init": ["tensor", "random"], "n_components": [1, 3]}, cv=2, n_jobs=2
    ).fit(X)
    assert search.best_params_["n_components"] == 3
    assert len(search.predict(X)) == 40
    labels = Sequences.from_list(data[1])
    assert np.isfinite(cross_val_score(model, X, labels, cv=2)).all()


def test_behind_a_transformer_of_rows(data):
    words = np.array(["apple", "fig", "kiwi", "plum"])
    X = [words[x][:, None] for x in data[0]]
    pipeline = make_pipeline(PerSequence(OrdinalEncoder(dtype=np.int64)), CategoricalHMM(**QUICK))
    pipeline.fit(X)
    same_model(pipeline[-1], CategoricalHMM(**QUICK).fit(data[0]), rtol=0)
    assert pipeline.score(X) == pipeline[-1].score(data[0])


def test_clone_pickle_copy(data, fitted):
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "transmat_")
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        same_model(twin, fitted, rtol=0)
        assert twin.n_features == 4
        assert twin.monitor_ == fitted.monitor_


def test_workers_do_not_change_the_numbers(data, fitted):
    with parallel_config(backend="threading"):
        same_model(CategoricalHMM(**QUICK, n_jobs=2).fit(data[0]), fitted, rtol=1e-12)


def test_verbose_may_be_a_function(data):
    told = []
    model = CategoricalHMM(**QUICK, verbose=lambda *step: told.append(step)).fit(data[0])
    objectives = [value for stage, _, value in told if stage == "EM"]
    assert objectives == model.monitor_.history


def test_verbose_reports(data, capsys):
    CategoricalHMM(**QUICK, verbose=True).fit(data[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "EM" in err
    assert "tensor start" in err


def test_a_worker_that_is_killed_leaves_nothing(data, monkeypatch):
    parent = os.getpid()

    def dies(*_, **__):
        assert os.getpid() != parent, "the work was meant for a worker"
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("spectral_nn.models.chains.fit.count_symbols", dies)
    model = CategoricalHMM(**QUICK)
    before = dict(vars(model))
    with parallel_config("loky", n_jobs=2), pytest.raises(BrokenExecutor):
        model.fit(data[0])
    assert vars(model) == before
    assert not model.__sklearn_is_fitted__()


def test_docstring_lists_all_parameters():
    for name in CategoricalHMM().get_params():
        assert name in (shell.CategoricalHMM.__doc__ or "")


STRUCTURE = {
    "startprob_": np.array([1.0, 0.0, 0.0]),
    "transmat_": np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]),
    "emissionprob_": np.array([[0.8, 0.1, 0.1], [0.1, 0.9, 0.0], [0.1, 0.0, 0.9]]),
}


def left_to_right(n_sequences=200, n_steps=15):
    """Sequences that begin in state 0 and go on to states 1 and 2, and the parameters."""
    rng = np.random.default_rng(0)
    truth = {
        "startprob_": np.array([1.0, 0.0, 0.0]),
        "transmat_": np.array([[0.8, 0.2, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]]),
        "emissionprob_": np.array([[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], [0.1, 0.0, 0.9]]),
    }
    model = CategoricalHMM(3)
    for name, value in truth.items():
        setattr(model, name, value)
    return [model.sample(n_steps, rng.integers(2**31))[0] for _ in range(n_sequences)], truth


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("given", ["startprob_", "transmat_", "emissionprob_", "all"])
@pytest.mark.parametrize("alpha", [0.5, 2.0, None])
def test_zeros_that_are_given_stay_whatever_the_prior(how, given, alpha):
    X, _ = left_to_right(40)
    parts = STRUCTURE if given == "all" else {given: STRUCTURE[given]}
    priors = {} if alpha is None else {f"{name}prior": alpha for name in STRUCTURE}
    letters = "".join(name[0] for name in STRUCTURE if name not in parts)
    model = CategoricalHMM(3, init_params=letters, random_state=0, n_iter=20, **priors)
    for name, value in parts.items():
        setattr(model, name, value)
    getattr(model, how)(X)
    for name, value in parts.items():
        fitted = getattr(model, name)
        np.testing.assert_array_equal(fitted[value == 0], 0)
        assert np.abs(fitted - value).max() > 0.01 or name == "startprob_"
        np.testing.assert_allclose(fitted.sum(axis=-1), 1)
    assert np.isfinite(model.monitor_.history).all()


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_left_to_right_model_is_found(how):
    """The zeros of the start hold for first states only, not for those before every n-gram."""
    X, truth = left_to_right()
    model = CategoricalHMM(3, init_params="e", random_state=0)
    model.startprob_, model.transmat_ = STRUCTURE["startprob_"], STRUCTURE["transmat_"]
    getattr(model, how)(X)
    for name in ("transmat_", "emissionprob_"):
        np.testing.assert_allclose(getattr(model, name), truth[name], atol=0.06)


@pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning")
@pytest.mark.parametrize("n", [200, 300, 1000, 5000])
@pytest.mark.parametrize("period", [1, 2, 3])
def test_auto_takes_as_many_states_as_a_cycle_has(period, n):
    """Constant sequences have one: what more states seem to gain there is rounding."""
    model = CategoricalHMM("auto", random_state=0, n_init=4, n_iter=30).fit(np.arange(n) % period)
    assert model.n_components_ == period
