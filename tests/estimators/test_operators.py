"""`ObservableOperatorModel`: recovery, sums, input, and errors."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_score

from spectral_estimators import (
    ObservableOperatorModel,
    RankWarning,
    Sequences,
    SequenceStream,
)
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains.inference import log_likelihoods

GOOD = np.array([0, 1, 2, 0, 1, 1, 2, 0, 2, 1])


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(3)
    true = planted_hmm(3, 6, stay=0.7, concentration=0.2, rng=rng)
    codes, _ = sample_hmm(true, 300, rng, n_sequences=100)
    test, _ = sample_hmm(true, 40, rng, n_sequences=200)
    return true, list(codes), list(test)


@pytest.mark.parametrize("hankel", ["factors", "symbols"])
def test_it_scores_nearly_as_the_truth(planted, hankel):
    true, train, test = planted
    model = ObservableOperatorModel(3, hankel=hankel, random_state=0).fit(train)
    best = log_likelihoods(true, Sequences.from_list(test))
    found = model.score_samples(test)
    assert found.shape == (200,)
    assert_allclose(model.score(test), found.sum())
    assert -0.02 * best.size * 40 < found.sum() - best.sum() < 0.002 * best.size * 40
    assert model.rank_ == 3
    assert 0 <= model.negative_fraction_ < 0.2


def test_the_rank_is_chosen_by_held_out_likelihood(planted):
    _, train, _ = planted
    model = ObservableOperatorModel(random_state=0).fit(train)
    evidence = model.report_.evidence
    assert 2 <= model.rank_ <= 5
    best = max(evidence, key=lambda one: one.held_out)
    assert best.n_components == model.rank_
    assert [one.n_components for one in evidence][:3] == [1, 2, 3]


def test_calls_of_partial_fit_add_up(planted):
    _, train, test = planted
    whole = ObservableOperatorModel(3, random_state=0).fit(train)
    parts = ObservableOperatorModel(3, n_features=6, random_state=0)
    for some in (train[:30], train[30:31], train[31:]):
        parts.partial_fit(some)
    assert_array_equal(parts.model_.operators, whole.model_.operators)
    assert parts.negative_fraction_ == whole.negative_fraction_
    assert_array_equal(parts.score_samples(test), whole.score_samples(test))
    again = parts.fit(train[:30]).partial_fit(train[:30])  # begins anew
    assert again.score(test) == parts.fit(train[:30]).score(test)


@pytest.mark.parametrize("form", [SequenceStream, iter, lambda x: np.stack(x)[:, :, None]])
def test_all_forms_of_input_give_the_same_model(planted, form):
    _, train, test = planted
    expected = ObservableOperatorModel(3, random_state=0).fit(train).score_samples(test)
    found = ObservableOperatorModel(3, random_state=0, n_jobs=2).fit(form(train))
    assert_allclose(found.score_samples(test), expected, rtol=1e-10)


def test_jobs_change_no_bit(planted, monkeypatch):
    monkeypatch.setattr("spectral_nn.moments.surroundings.surroundings_cut.__defaults__", (1000,))
    _, train, test = planted
    one, two = (ObservableOperatorModel(3, random_state=0, n_jobs=n).fit(train) for n in (1, 2))
    assert_array_equal(one.model_.operators, two.model_.operators)
    assert_array_equal(one.score_samples(test), two.score_samples(test))


def test_dask(planted):
    bag = pytest.importorskip("dask.bag")
    _, train, test = planted
    expected = ObservableOperatorModel(random_state=0).fit(train)
    found = ObservableOperatorModel(random_state=0).fit(bag.from_sequence(train, npartitions=3))
    assert_allclose(found.score_samples(test), expected.score_samples(test), rtol=1e-9)


WORDS = [list("ab"), list("aab"), list("aaab"), list("c")] * 100


@pytest.mark.parametrize("hankel", ["factors", "strings"])
def test_whole_strings(hankel):
    model = ObservableOperatorModel(5, hankel=hankel, ends=True, max_length=5, random_state=0)
    model.fit(WORDS)
    assert model.symbols_.tolist() == ["a", "b", "c"]
    p = np.exp(model.score_samples([*WORDS[:4], list("ba")]))
    assert_allclose(p[:4], 0.25, atol=0.05)
    assert p[4] < 0.01
    following = model.predict_next([list("aab"), list("c")])
    assert following.shape == (2, 4)
    assert_allclose(following.sum(axis=1), 1)
    assert (following[:, 3] > 0.9).all()  # the end
    drawn = ["".join(x) for x in model.sample(400, random_state=1)]
    assert 70 < drawn.count("aab") < 130


def test_short_strings_and_long_ones_make_a_distribution():
    model = ObservableOperatorModel(2, ends=True, n_features=2, random_state=0)
    model.fit([[0], [0, 1], [1, 1, 0], [1]] * 20)
    words = [[]] + [list(map(int, f"{i:b}"[1:])) for i in range(2, 2**11)]
    p = np.exp(model.score_samples(words[1:]))
    empty = model.predict_next([])[2]
    assert 0.99 < p.sum() + empty < 1 + 1e-9


def test_samples_follow_the_law(planted):
    _, train, _ = planted
    model = ObservableOperatorModel(3, random_state=0).fit(train)
    drawn = model.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, 1)
    share = np.bincount(np.concatenate(train), minlength=6) / 30_000
    assert_allclose(np.bincount(drawn[:, 0], minlength=6) / 20_000, share, atol=0.03)
    assert_array_equal(model.sample(5, random_state=2), model.sample(5, random_state=2))
    continued = [model.sample(1, random_state=i, prefix=train[0])[0, 0] for i in range(2000)]
    shares = np.bincount(continued, minlength=6) / 2000
    assert_allclose(shares, model.predict_next(train[0]), atol=0.05)


def test_predictions():
    model = ObservableOperatorModel(2, random_state=0).fit(np.tile(GOOD, 30))
    assert model.predict_next([]).shape == model.predict_next([0, 1]).shape == (3,)
    assert_allclose(model.predict_next([[0, 1], [2]]).sum(axis=1), 1)
    assert model.predict_next(GOOD[:, None], lengths=[4, 6]).shape == (2, 3)
    assert_allclose(np.exp([model.score([[x]]) for x in range(3)]).sum(), 1)


def test_missing_symbols_break_a_sequence():
    rng = np.random.default_rng(0)
    X = np.tile([0, 1, 2], 400)
    holes = np.where(rng.random(1200) < 0.05, -1, X)
    model = ObservableOperatorModel(3, missing=-1, random_state=0).fit(holes)
    assert model.predict_next([0, 1])[2] > 0.9
    assert model.predict_next([0, -1])[2] > 0.8
    assert np.isfinite(model.score(holes))


def test_it_works_in_scikit_learn(planted):
    _, train, _ = planted
    model = ObservableOperatorModel(3, random_state=0)
    assert cross_val_score(model, Sequences.from_list(train), cv=3).shape == (3,)
    model.fit(train)
    assert pickle.loads(pickle.dumps(model)).score(train) == model.score(train)


BAD = {
    "rank above the alphabet": (
        {"n_components": 4, "hankel": "symbols"},
        [GOOD] * 9,
        "there are 3",
    ),
    "rank above the substrings": ({"n_components": 99}, [GOOD], "n_components=99 needs as many"),
    "few substrings": ({"n_components": 5, "n_substrings": 4}, [GOOD] * 9, "raise n_substrings"),
    "single symbols": ({"n_components": 1}, [[0], [1], [2]], "no two consecutive symbols"),
    "lists of one": ({"n_components": 1}, [np.array([0]), np.array([1])], "no two consecutive"),
    "empty": ({"n_components": 1}, [], "X is empty"),
    "empty sequence": ({"n_components": 1}, [GOOD, []], "Sequence 1 of X is empty"),
    "negative": ({"n_components": 1}, [0, -1, 1], r"X\[1\] is -1"),
    "too little for auto": ({}, GOOD, "n_components='auto' needs data to hold out"),
    "strings that go on": ({"hankel": "strings"}, [GOOD], "needs ends=True"),
    "small alphabet": ({"n_components": 1, "n_features": 2}, GOOD, r"X\[2\] is 2"),
    "kind": ({"hankel": "words"}, GOOD, "'hankel'"),
    "length": ({"max_length": 0}, GOOD, "'max_length'"),
    "rank": ({"n_components": 0}, GOOD, "'n_components'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_leaves_nothing(case):
    settings, X, message = BAD[case]
    model = ObservableOperatorModel(**settings)
    before = dict(vars(model))
    if case == "single symbols":
        X = Sequences.from_lengths(np.array([0, 1, 2]), [1, 1, 1])
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert vars(model) == before


def test_what_keeps_only_sums_holds_nothing_out():
    for call in (lambda m: m.partial_fit(GOOD), lambda m: m.fit(iter([GOOD]))):
        with pytest.raises(ValueError, match="n_components='auto' holds out data"):
            call(ObservableOperatorModel())
    model = ObservableOperatorModel(2).partial_fit([GOOD] * 3)
    with pytest.raises(ValueError, match="ends, max_length or n_features have changed"):
        model.set_params(ends=True).partial_fit([GOOD])


def test_symbols_that_the_model_does_not_know():
    model = ObservableOperatorModel(1).fit([GOOD] * 3)
    for use in (model.score, model.predict_next, model.score_samples):
        with pytest.raises(ValueError, match=r"X\[1\] is 3, but symbols must be below"):
            use([0, 3, 1])
    with pytest.raises(ValueError, match="prefix must be one sequence"):
        model.sample(prefix=[[0], [1, 1]])
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(0)


def test_more_components_than_the_data_carry_warn():
    X = np.tile([0, 1], 200)
    with pytest.warns(RankWarning, match="n_components=5, but the data carry fewer"):
        model = ObservableOperatorModel(5, random_state=0).fit(X)
    assert model.predict_next([0])[1] > 0.9
