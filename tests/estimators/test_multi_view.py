"""Latent-class analysis as users call it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

from spectral_estimators import MultiViewMixture, RankError, RecoveryWarning

YES = np.array([[0.9, 0.8, 0.7, 0.9, 0.1, 0.8], [0.2, 0.1, 0.3, 0.1, 0.6, 0.2]])


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    classes = rng.choice(2, 800, p=[0.7, 0.3])
    return np.where(rng.random((800, 6)) < YES[classes], "yes", "no"), classes


def by_loop(model, X):
    """Joint probabilities (n, K) of rows, item by item."""
    found = np.tile(model.weights_, (len(X), 1))
    for i, row in enumerate(X):
        for j, answer in enumerate(row):
            if answer is not None and answer == answer:
                place = model.categories_[j].tolist().index(answer)
                found[i] *= model.item_probs_[j][:, place]
    return found


def test_planted_classes_come_back(answers):
    X, classes = answers
    model = MultiViewMixture(2, random_state=0).fit(X)
    assert [cats.tolist() for cats in model.categories_] == [["no", "yes"]] * 6
    found = np.stack([probs[:, 1] for probs in model.item_probs_], axis=1)
    assert_allclose(found, YES, atol=0.1)
    assert_allclose(model.weights_, [0.7, 0.3], atol=0.05)
    assert (model.predict(X) == classes).mean() > 0.93
    assert model.converged_
    assert model.init_ in ("tensor", "random")
    assert len(model.report_.moments) == 6
    assert model.report_.n_distinct_rows == len(np.unique(X, axis=0))


def test_posteriors_are_bayes_rule_and_missing_answers_integrate_out(answers):
    X, _ = answers
    model = MultiViewMixture(2, random_state=0).fit(X)
    some = X[:20].astype(object)
    some[0, :3] = None
    some[1, 2] = np.nan
    some[2] = None
    joint = by_loop(model, some)
    assert_allclose(model.predict_proba(some), joint / joint.sum(axis=1, keepdims=True))
    assert_allclose(model.score_samples(some), np.log(joint.sum(axis=1)), atol=1e-12)
    assert_allclose(model.predict_proba(some)[2], model.weights_)
    # the likelihood of what was seen is the sum over all answers to what was not
    pair = np.tile(some[1], (2, 1))
    pair[:, 2] = ["no", "yes"]
    assert_allclose(np.exp(model.score_samples(some[1:2])), np.exp(model.score_samples(pair)).sum())


def test_criteria_count_parameters(answers):
    X, _ = answers
    model = MultiViewMixture(2, random_state=0).fit(X)
    total = model.score_samples(X).sum()
    assert model.score(X) == pytest.approx(total / 800)
    assert model.lower_bound_ == pytest.approx(total / 800, abs=1e-6)
    assert model.aic(X) == pytest.approx(2 * 13 - 2 * total)
    assert model.bic(X) == pytest.approx(13 * np.log(800) - 2 * total)


def test_frames_of_several_kinds():
    rng = np.random.default_rng(1)
    classes = rng.choice(2, 500)

    def pick(values, shares):
        return np.where(rng.random(500) < np.array(shares)[classes], *values)

    X = pd.DataFrame(
        {
            "smokes": pick((True, False), [0.9, 0.1]),
            "town": pick(("Bath", "York"), [0.2, 0.8]),
            "children": rng.poisson(np.array([0.5, 2.0])[classes]).clip(0, 3),
            "score": pick((1.5, 2.5), [0.7, 0.2]),
        }
    )
    X.loc[::7, "town"] = None
    X["children"] = X["children"].astype("Int64")
    X.loc[::9, "children"] = pd.NA
    model = MultiViewMixture(2, random_state=0).fit(X)
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert model.categories_[0].tolist() == [False, True]
    assert model.categories_[2].tolist() == [0, 1, 2, 3]
    agree = (model.predict(X) == classes).mean()
    assert max(agree, 1 - agree) > 0.8
    drawn, labels = model.sample(50)
    assert drawn.shape == (50, 4)
    assert set(drawn[:, 1]) <= {"Bath", "York"}
    assert labels.shape == (50,)


def test_samples_have_the_law_of_the_model(answers):
    model = MultiViewMixture(2, random_state=0).fit(answers[0])
    drawn, classes = model.sample(20_000)
    assert drawn.dtype.kind == "U"
    for k in (0, 1):
        shares = (drawn[classes == k] == "yes").mean(axis=0)
        assert_allclose(shares, [probs[k, 1] for probs in model.item_probs_], atol=0.02)


@pytest.mark.parametrize("init", ["tensor", "random"])
def test_equal_seeds_equal_classes_on_any_number_of_workers(answers, init):
    X, _ = answers
    first = MultiViewMixture(3, init=init, random_state=5).fit(X)
    again = clone(first).set_params(n_jobs=2).fit(X[::-1])
    assert_array_equal(first.weights_, again.weights_)


def test_weights_are_repetitions(answers):
    X = answers[0][:200]
    times = np.random.default_rng(2).integers(0, 3, 200)
    weighed = MultiViewMixture(2, random_state=0).fit(X, sample_weight=times)
    repeated = MultiViewMixture(2, random_state=0).fit(np.repeat(X, times, axis=0))
    assert_allclose(weighed.weights_, repeated.weights_, rtol=1e-8)
    assert weighed.lower_bound_ == pytest.approx(repeated.lower_bound_)


def test_more_starts_are_no_worse_than_one(answers):
    X = np.random.default_rng(3).integers(0, 3, (300, 8))
    one = MultiViewMixture(4, init="random", random_state=0).fit(X)
    race = MultiViewMixture(4, random_state=0).fit(X)
    assert race.score(X) > one.score(X) - 1e-6


def test_moments_alone(answers):
    model = MultiViewMixture(2, max_iter=0, random_state=0).fit(answers[0])
    assert model.init_ == "tensor"
    assert model.n_iter_ == 0
    found = np.stack([probs[:, 1] for probs in model.item_probs_], axis=1)
    assert_allclose(found, YES, atol=0.25)
    with pytest.raises(RankError, match="n_components=9"):
        MultiViewMixture(9, max_iter=0, random_state=0).fit(answers[0])


def test_one_class_is_the_shares_of_the_answers(answers):
    X, _ = answers
    model = MultiViewMixture(1).fit(X)
    assert model.init_ == "given"
    assert_allclose([p[0, 1] for p in model.item_probs_], (X == "yes").mean(axis=0))


def test_constant_items_and_empty_rows(answers):
    X = np.column_stack([answers[0].astype(object), np.full(800, "same")])
    X[:3] = None
    model = MultiViewMixture(2, random_state=0).fit(X)
    assert_allclose(model.item_probs_[6], 1)
    assert_allclose(model.predict_proba(X[:1]), model.weights_[None])


def test_a_prior_leaves_nothing_impossible():
    X = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    model = MultiViewMixture(2, item_probs_prior=2.0, weights_prior=2.0, random_state=0).fit(X)
    assert min(probs.min() for probs in model.item_probs_) > 0.05
    plain = MultiViewMixture(2, random_state=0).fit(X)
    assert_allclose(plain.score(X), np.log(0.5), atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning")
def test_a_prior_below_one_may_make_rows_impossible_on_the_way():
    X = np.array([[1, 3], [0, 2], [3, 3], [0, 1], [3, 3]])
    how = {"item_probs_prior": 1e-300, "max_iter": 5, "n_init": 3, "random_state": 0}
    assert np.isfinite(MultiViewMixture(2, **how).fit(X).score(X))


def test_categories_that_the_data_lack():
    X = np.array([[0, 1], [1, 0], [0, 0], [1, 1]])
    given = [[0, 1, 2], [0, 1]]
    model = MultiViewMixture(1, categories=given, item_probs_prior=2.0).fit(X)
    assert_allclose(model.item_probs_[0], [[3 / 7, 3 / 7, 1 / 7]])
    assert np.isfinite(model.score_samples([[2, np.nan]])).all()


def test_cross_validation(answers):
    scores = cross_val_score(MultiViewMixture(2, random_state=0), answers[0])
    assert np.isfinite(scores).all()


def test_infinity_is_no_answer(answers):
    X = np.array([[0.0, 1.0], [np.inf, 0.0], [1.0, 1.0]], dtype=object)
    with pytest.raises(ValueError, match="column 0 of X holds infinity"):
        MultiViewMixture(2).fit(X)


def test_few_bits_for_the_number_of_classes(answers):
    X, _ = answers
    small = MultiViewMixture(np.int8(2), random_state=0).fit(X)
    plain = MultiViewMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(small.weights_, plain.weights_)


def test_bad_input(answers):
    X, _ = answers
    model = MultiViewMixture(2, random_state=0).fit(X)
    odd = X[:5].copy()
    odd[3, 2] = "so"
    with pytest.raises(ValueError, match=r"column 2 of X holds 'so', .*\('no', 'yes'\).*NaN"):
        model.predict(odd)
    with pytest.raises(ValueError, match="column 2 of X holds 1"):
        model.predict(np.array([["no", "no", 1, "no", "no", "no"]], dtype=object))
    empty = X.astype(object)
    empty[:, 4] = None
    with pytest.raises(ValueError, match="column 4 of X has no answers"):
        MultiViewMixture(2).fit(empty)
    mixed = X.astype(object)
    mixed[0, 1] = 3
    with pytest.raises(ValueError, match="column 1 of X holds answers of several kinds: int, str"):
        MultiViewMixture(2).fit(mixed)
    with pytest.raises(ValueError, match="n_components = 5, n_samples = 3"):
        MultiViewMixture(5).fit(X[:3])
    with pytest.raises(ValueError, match="infinity"):
        MultiViewMixture(1).fit([[1.0, np.inf]])
    with pytest.raises(ValueError, match="categories has 1 entries, but X has 6"):
        MultiViewMixture(2, categories=[["no", "yes"]]).fit(X)
    with pytest.raises(ValueError, match=r"categories\[0\] must be a list of distinct values"):
        MultiViewMixture(2, categories=[["no", "no"]] * 6).fit(X)
    with pytest.raises(ValueError, match="sample_weight is zero"):
        MultiViewMixture(2).fit(X, sample_weight=np.zeros(800))
    with pytest.raises(ValueError, match="n_samples=0"):
        model.sample(0)


def test_a_fit_that_fails_leaves_the_last_one(answers):
    model = MultiViewMixture(2, random_state=0).fit(answers[0])
    before = model.weights_
    with pytest.raises(RankError):
        model.set_params(n_components=9, max_iter=0).fit(answers[0])
    assert model.weights_ is before
    assert len(model.categories_) == 6


def test_a_first_fit_that_fails_leaves_nothing(answers):
    model = MultiViewMixture(2, categories=[["no", "yes"]])
    with pytest.raises(ValueError, match="categories has 1 entries"):
        model.fit(answers[0])
    assert not hasattr(model, "n_features_in_")
    frame = pd.DataFrame(answers[0], columns=list("abcdef"))
    model.set_params(categories="auto").fit(frame)
    assert model.feature_names_in_.tolist() == list("abcdef")


def test_too_few_steps_are_said(answers):
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        MultiViewMixture(3, max_iter=1, tol=0, random_state=0).fit(answers[0])


def test_labels_of_planted_classes_in_order(answers):
    """Classes come by size; which is which is a matter of matching."""
    X, _ = answers
    model = MultiViewMixture(3, random_state=1).fit(X)
    assert (np.diff(model.weights_) <= 0).all()
    other = MultiViewMixture(3, random_state=2).fit(X)
    mine, others = (np.concatenate(one.item_probs_, axis=1) for one in (model, other))
    cost = ((mine[:, None] - others[None]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    assert cost[rows, columns].max() < 1e-2


def test_a_column_of_numbers_or_ids_is_named(answers):
    X, _ = answers
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 60, len(X)).round(1)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = MultiViewMixture(2, n_init=1, init="random", random_state=0)
    words = rf"column 'age' of X has {np.unique(ages).size} categories in 800 answers: .*Gaussian"
    with pytest.warns(UserWarning, match=words) as said:
        model.fit(frame.assign(age=ages))
    assert said[0].filename == __file__
    with pytest.warns(UserWarning, match=r"column 0 of X, the first of 2 .*, has 800 .* ids"):
        model.fit(np.column_stack([np.arange(800), ages, X]))
    model.fit(frame.assign(age=ages.round(-1)))
    model.fit(frame.assign(town=rng.integers(0, 60, 800)))  # 13 rows each


@pytest.mark.parametrize("columns", [[0], [0, 1], [0, 1, 1]])
def test_fewer_than_three_items_do_not_tell_classes(answers, columns):
    X = answers[0][:, columns]
    X[:, 2:] = "no"  # a column of one answer is no item
    words = rf"X has {min(len(columns), 2)} columns of two .* n_components=3"
    with pytest.warns(RecoveryWarning, match=words) as said:
        MultiViewMixture(3, random_state=0).fit(X)
    assert said[0].filename == __file__
    MultiViewMixture(1).fit(X)
