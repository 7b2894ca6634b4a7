"""Labels by a crowd."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from spectral_estimators import DawidSkene


def crowd(seed, n_tasks=600, n_workers=12, n_labels=3, asked=0.5, skill=(0.35, 0.95)):
    """True labels, those given (NaN where a worker was not asked), and matrices of confusion."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(n_labels, n_tasks, p=rng.dirichlet(np.full(n_labels, 8.0)))
    right = rng.uniform(*skill, n_workers)
    confusion = np.stack(
        [r * np.eye(n_labels) + (1 - r) * rng.dirichlet(np.ones(n_labels), n_labels) for r in right]
    )
    X = np.full((n_tasks, n_workers), np.nan)
    for w in range(n_workers):
        seen = np.flatnonzero(rng.random(n_tasks) < asked)
        sums = confusion[w].cumsum(axis=1)[truth[seen]]
        X[seen, w] = (rng.random((seen.size, 1)) >= sums[:, :-1]).sum(axis=1)
    return truth, X, confusion


def majority(X):
    return np.array([np.bincount(row[row >= 0].astype(int), minlength=3).argmax() for row in X])


def test_planted_confusion_comes_back():
    truth, X, confusion = crowd(0, n_tasks=3000)
    model = DawidSkene().fit(X)
    assert model.classes_.tolist() == [0.0, 1.0, 2.0]
    assert_allclose(model.confusion_matrices_, confusion, atol=0.12)
    assert_allclose(model.class_prior_, np.bincount(truth) / 3000, atol=0.03)
    assert (model.labels_ == truth).mean() > (majority(X) == truth).mean() + 0.02
    assert model.converged_
    assert model.report_.winner == "majority"


@pytest.mark.parametrize("skill", [(0.35, 0.95), (0.1, 0.7)])
def test_moments_end_where_majority_does(skill):
    _, X, _ = crowd(2, n_tasks=2000, n_workers=15, skill=skill)
    votes = DawidSkene().fit(X)
    moments = DawidSkene(init="tensor", random_state=0).fit(X)
    assert moments.report_.winner == "tensor"
    assert moments.lower_bound_ == pytest.approx(votes.lower_bound_, abs=1e-4)
    assert_array_equal(moments.labels_, votes.labels_)


def test_posteriors_are_bayes_rule():
    _, X, _ = crowd(2)
    model = DawidSkene(confusion_prior=1.5).fit(X)
    shares = model.transform(X[:10])
    for row, share in zip(X[:10], shares, strict=True):
        joint = model.class_prior_.copy()
        for w, label in enumerate(row):
            if label >= 0:
                joint *= model.confusion_matrices_[w, :, int(label)]
        assert_allclose(share, joint / joint.sum(), rtol=1e-9)
    assert_array_equal(model.predict(X), model.labels_)
    assert_array_equal(model.predict_proba(X[:3]), shares[:3])


def test_one_step_by_hand():
    """From the majority vote to the matrices of its shares."""
    X = np.array([["a", "a", "b"], ["b", "b", "b"], ["a", "b", "b"]])
    model = DawidSkene(max_iter=1, tol=10.0)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model.fit(X)
    start = DawidSkene(max_iter=0).fit(X)
    shares = np.array([[2, 1], [0, 3], [1, 2]]) / 3
    prior = shares.mean(axis=0)
    confusion = np.zeros((3, 2, 2))
    for (t, w), k in product(np.ndindex(3, 3), (0, 1)):
        confusion[w, k, "ab".index(X[t, w])] += shares[t, k]
    confusion /= confusion.sum(axis=2, keepdims=True)
    assert_allclose(start.confusion_matrices_, confusion)
    assert_allclose(start.class_prior_, prior)
    joint = np.tile(prior, (3, 1))
    for t, w in np.ndindex(3, 3):
        joint[t] *= confusion[w, :, "ab".index(X[t, w])]
    assert_allclose(model.class_prior_, (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0))
    assert model.lower_bound_ == pytest.approx(np.log(joint.sum(axis=1)).mean())


def test_long_and_wide_are_the_same():
    _, X, _ = crowd(3, n_tasks=200)
    task, worker = np.nonzero(X >= 0)
    long = pd.DataFrame({"task": task, "worker": worker, "label": X[task, worker].astype(int)})
    long = long.sample(frac=1, random_state=0)
    wide, tall = DawidSkene().fit(X), DawidSkene().fit(long)
    assert_allclose(tall.confusion_matrices_, wide.confusion_matrices_, rtol=1e-6, atol=1e-9)
    assert_array_equal(tall.labels_, wide.labels_[np.unique(task)])
    numbers = DawidSkene(layout="long").fit(long.to_numpy())
    assert_allclose(numbers.confusion_matrices_, tall.confusion_matrices_)


def test_names_of_tasks_and_workers():
    long = pd.DataFrame(
        {
            "worker": ["ann", "bob", "cat", "ann", "bob", "cat", "ann", "bob"],
            "task": ["t2", "t2", "t2", "t1", "t1", "t1", "t3", "t3"],
            "label": [True, True, False, False, False, False, True, True],
            "seconds": np.arange(8.0),
        }
    )
    model = DawidSkene().fit(long)
    assert model.tasks_.tolist() == ["t1", "t2", "t3"]
    assert model.workers_.tolist() == ["ann", "bob", "cat"]
    assert model.labels_.tolist() == [False, True, True]
    new = pd.DataFrame({"task": ["x", "x", "y"], "worker": ["bob", "dan", "dan"], "label": True})
    shares = model.transform(new)
    assert model.predict(new[:2]).tolist() == [True]
    assert_allclose(shares[1], model.class_prior_)  # nothing is known of dan
    assert model.get_feature_names_out().tolist() == ["dawidskene0", "dawidskene1"]


def test_many_tasks_and_workers_fit_in_sparse_matrices():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 5000)
    task = np.repeat(np.arange(5000), 5)
    worker = rng.integers(0, 800, task.size)
    wrong = rng.random(task.size) < 0.3
    label = np.where(wrong, rng.integers(0, 4, task.size), truth[task])
    model = DawidSkene(layout="long", confusion_prior=1.2).fit(np.stack([task, worker, label], 1))
    assert model.confusion_matrices_.shape == (800, 4, 4)
    assert (model.labels_ == truth).mean() > 0.93


def test_all_workers_agree():
    model = DawidSkene().fit([[0, 0], [1, 1], [1, 1]])
    assert_allclose(model.confusion_matrices_, np.tile(np.eye(2), (2, 1, 1)), atol=1e-12)
    assert DawidSkene().fit([[7, 7], [7, 7]]).labels_.tolist() == [7, 7]


def test_bad_input():
    _, X, _ = crowd(5, n_tasks=50)
    model = DawidSkene().fit(X)
    with pytest.raises(ValueError, match=r"X holds 9.0, which is none of its 3 categories"):
        model.predict(np.full((1, 12), 9.0))
    with pytest.raises(ValueError, match="X has no labels"):
        DawidSkene().fit(np.full((4, 3), np.nan))
    with pytest.raises(ValueError, match="X has 12 columns: layout='long' takes three"):
        DawidSkene(layout="long").fit(X)
    long = pd.DataFrame({"task": [0, 0], "worker": [1, 2], "label": ["a", None]})
    with pytest.raises(ValueError, match="row 1 of X has no label"):
        DawidSkene().fit(long)
    untouched = DawidSkene(layout="long")
    with pytest.raises(ValueError, match="layout='long' takes three"):
        untouched.fit(pd.DataFrame(X))
    assert not hasattr(untouched, "n_features_in_")
    mixed = np.array([["a", 1], ["a", "a"]], dtype=object)
    with pytest.raises(ValueError, match="answers of several kinds"):
        DawidSkene().fit(mixed)


PICTURES = pd.DataFrame({"picture": list("ppqq"), "who": list("abab"), "answer": list("xxyx")})


def test_a_long_table_under_other_names_is_not_read_as_wide_in_silence():
    words = r"no label occurs in two of its 3 columns: .* 6 labels .* layout=\"long\""
    with pytest.warns(UserWarning, match=words) as said:
        DawidSkene().fit(PICTURES)
    assert said[0].filename == __file__
    named = DawidSkene(layout="long").fit(PICTURES)
    assert named.classes_.tolist() == ["x", "y"]
    assert named.workers_.tolist() == ["a", "b"]
    DawidSkene(layout="wide").fit(PICTURES)  # the user says so
    DawidSkene().fit([["x", "x", None], ["y", None, "x"]])


def test_numbers_of_tasks_beside_strings_are_a_hint_of_the_long_layout():
    numbered = PICTURES.assign(picture=[0, 0, 1, 1])
    words = r"several kinds: int, str. .* columns task, worker and label .*layout=\"long\""
    with pytest.raises(ValueError, match=words):
        DawidSkene().fit(numbered)
    with pytest.raises(ValueError, match=r"all as numbers\.$"):
        DawidSkene(layout="wide").fit(numbered)


def test_workers_of_a_wide_frame_are_its_columns():
    _, X, _ = crowd(3, n_tasks=200, n_workers=4)
    X[:, 1] = np.nan
    frame = pd.DataFrame(X, columns=["zoe", "ann", "cat", "bob"])
    named, plain = DawidSkene().fit(frame), DawidSkene().fit(X)
    assert named.workers_.tolist() == ["zoe", "cat", "bob"]
    assert plain.workers_.tolist() == [0, 2, 3]
    assert_array_equal(named.confusion_matrices_, plain.confusion_matrices_)
    shares = plain.predict_proba(X)
    assert_array_equal(named.predict_proba(frame), shares)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_array_equal(named.predict_proba(X), shares)
    with pytest.warns(UserWarning, match="has feature names"):
        assert_array_equal(plain.predict_proba(frame), shares)
