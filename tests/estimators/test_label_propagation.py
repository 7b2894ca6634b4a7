"""`LabelPropagation` and `LabelSpreading` beside scikit-learn's, and what is new in them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import semi_supervised
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import kneighbors_graph

import spectral_estimators
from spectral_estimators import LabelPropagation, LabelSpreading, _label_base

BOTH = ["LabelPropagation", "LabelSpreading"]


@pytest.fixture
def points(rng):
    """Rows of the plane, their labels, and which of these are known: a fifth."""
    X = rng.normal(size=(150, 2))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
    return X, np.where(rng.random(150) < 0.2, y, -1)


def nearby(X, Y):
    """A kernel that is sparse."""
    W = rbf_kernel(X, Y, gamma=1.0)
    return sparse.csr_array(W * (W > 0.3))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kernel", ["rbf", "knn", nearby])
def test_power_iteration_is_scikit_learns(points, name, kernel):
    X, y = points
    settings = {"kernel": kernel, "gamma": 2.0, "n_neighbors": 9, "max_iter": 4000, "tol": 1e-9}
    theirs = getattr(semi_supervised, name)(**settings).fit(X, y)
    ours = getattr(spectral_estimators, name)(**settings, solver="power").fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.label_distributions_, theirs.label_distributions_, atol=1e-12)
    np.testing.assert_array_equal(ours.transduction_, theirs.transduction_)
    new = X[:40] + 0.1
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-12)
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kernel", ["rbf", nearby])
def test_other_solvers_end_where_scikit_learns_flow_does(points, name, kernel):
    X, y = points
    settings = {"kernel": kernel, "gamma": 2.0, "max_iter": 20_000, "tol": 1e-10}
    theirs = getattr(semi_supervised, name)(**settings).fit(X, y)
    for solver in ("cg", "eigen"):
        ours = getattr(spectral_estimators, name)(**settings, solver=solver).fit(X, y)
        np.testing.assert_allclose(
            ours.label_distributions_, theirs.label_distributions_, atol=1e-8
        )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", BOTH)
def test_without_directions_neighbours_serve_better(name):
    """Nearest neighbours need not be mutual; best alpha on both sides, mean of three draws."""
    X, y = load_digits(return_X_y=True)
    settings = [{}] if name == BOTH[0] else [{"alpha": a} for a in (0.2, 0.9)]
    scores = {semi_supervised: [], spectral_estimators: []}
    for seed in range(3):
        known = np.random.default_rng(seed).random(len(y)) < 0.05
        labels = np.where(known, y, -1)
        for package, found in scores.items():
            models = [getattr(package, name)("knn", max_iter=1000, **one) for one in settings]
            hits = [(m.fit(X, labels).transduction_ == y)[~known].mean() for m in models]
            found.append(hits)
    best = {package: np.mean(found, axis=0).max() for package, found in scores.items()}
    assert best[spectral_estimators] > best[semi_supervised] + 0.005


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_a_graph_may_be_given(points, name, kind):
    X, y = points
    make = getattr(spectral_estimators, name)
    W = kind(rbf_kernel(X, gamma=20))
    given = make("precomputed", tol=1e-9).fit(W, y)
    made = make("rbf", tol=1e-9).fit(X, y)
    np.testing.assert_allclose(given.label_distributions_, made.label_distributions_, atol=1e-9)
    new = X[:7] + 0.01
    near = kind(rbf_kernel(new, X, gamma=20))
    np.testing.assert_allclose(given.predict_proba(near), made.predict_proba(new), atol=1e-9)
    assert given.__sklearn_tags__().input_tags.pairwise
    assert not made.__sklearn_tags__().input_tags.pairwise


def test_a_tolerance_beyond_single_precision(points):
    X, y = points
    loose = spectral_estimators.LabelSpreading(tol=1e300).fit(X.astype(np.float32), y)
    assert np.isfinite(loose.label_distributions_).all()


@pytest.mark.parametrize("name", BOTH)
def test_single_precision_is_kept(points, name):
    X, y = points
    make = getattr(spectral_estimators, name)
    for kernel in ("rbf", "knn"):
        single = make(kernel, gamma=2.0).fit(X.astype(np.float32), y)
        double = make(kernel, gamma=2.0).fit(X, y)
        assert single.label_distributions_.dtype == np.float32
        assert single.predict_proba(X[:3].astype(np.float32)).dtype == np.float32
        assert double.label_distributions_.dtype == np.float64
        np.testing.assert_allclose(
            single.label_distributions_, double.label_distributions_, atol=1e-3
        )


@pytest.mark.parametrize("name", BOTH)
def test_known_distributions_may_be_given(points, name):
    X, y = points
    make = getattr(spectral_estimators, name)
    hard = make(gamma=2.0).fit(X, y)
    rows = np.zeros((len(y), 3))
    rows[y >= 0] = np.eye(3)[y[y >= 0]]
    soft = make(gamma=2.0).fit(X, rows)
    np.testing.assert_array_equal(soft.label_distributions_, hard.label_distributions_)
    rows[y < 0] = np.nan
    rows[0] = [0.5, 0.5, 0]
    named = make(gamma=2.0).fit(X, pd.DataFrame(rows, columns=["cat", "dog", "owl"]))
    assert named.classes_.tolist() == ["cat", "dog", "owl"]
    assert set(named.predict(X)) <= {"cat", "dog", "owl"}
    if name == "LabelPropagation":
        np.testing.assert_array_equal(named.label_distributions_[0], rows[0])


def test_labels_may_be_words(points):
    X, y = points
    words = np.array(["cat", "dog", "owl", None], dtype=object)[y]
    model = LabelSpreading(gamma=2.0).fit(X, words)
    assert model.classes_.tolist() == ["cat", "dog", "owl"]
    numbers = LabelSpreading(gamma=2.0).fit(X, y)
    np.testing.assert_array_equal(model.transduction_, model.classes_[numbers.transduction_])


@pytest.mark.parametrize("kernel", ["rbf", "knn"])
def test_workers_change_nothing(points, kernel):
    X, y = points
    one, two = (LabelSpreading(kernel, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.label_distributions_, two.label_distributions_)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.parametrize("name", BOTH)
def test_all_rows_may_be_labelled(points, name):
    X, y = points
    y = np.where(y < 0, 1, y)
    model = getattr(spectral_estimators, name)(gamma=2.0).fit(X, y)
    assert (model.transduction_ == y).mean() > 0.9
    if name == "LabelPropagation":
        np.testing.assert_array_equal(model.transduction_, y)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("solver", ["cg", "power", "eigen"])
def test_rows_that_no_label_reaches_are_told(name, solver):
    X = np.array([[0.0], [0.1], [0.2], [50.0], [50.1], [99.0]])
    y = [0, 1, 1, -1, -1, -1]
    model = getattr(spectral_estimators, name)(solver=solver)
    with pytest.warns(UserWarning, match=r"3 of 6 rows have no path.* 1 of them.*\[0.333, 0.667\]"):
        model.fit(X, y)
    np.testing.assert_allclose(model.label_distributions_[3:], [[1 / 3, 2 / 3]] * 3)
    assert np.isfinite(model.predict_proba([[1e6]])).all()


def test_eigenvectors_of_a_graph_without_edges():
    X = 1e6 * np.arange(20.0)[:, None]
    y = np.where(np.arange(20) < 8, np.arange(20) % 2, -1)
    with pytest.warns(UserWarning, match="12 of 20 rows have no path"):
        model = LabelPropagation(solver="eigen", n_eigenvectors=3).fit(X, y)
    np.testing.assert_allclose(model.label_distributions_[8:], 0.5)


def test_eigenvalues_that_are_one_but_for_rounding():
    """Two rows that hear each other, and of all others next to nothing."""
    W = np.ones((7, 7))
    W[5:, :5] = W[:5, 5:] = 1e-17
    with np.errstate(all="raise"):
        model = LabelPropagation("precomputed", solver="eigen").fit(W, [0, 1, 1, -1, -1, -1, -1])
    np.testing.assert_allclose(model.label_distributions_[3:5], [[1 / 3, 2 / 3]] * 2)
    assert np.isfinite(model.label_distributions_).all()


def test_weights_that_have_no_inverse_are_none():
    W = np.ones((4, 4)) - np.eye(4)
    W[3] = W[:, 3] = 1e-310
    for solver in ("cg", "power", "eigen"):
        with pytest.warns(UserWarning, match="1 of 4 rows have no path"):
            model = LabelPropagation("precomputed", solver=solver).fit(W, [0, 1, -1, -1])
        np.testing.assert_allclose(model.label_distributions_[2:], 0.5)


def test_rows_without_weights_get_the_shares_of_known_labels():
    W = np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    model = LabelPropagation("precomputed").fit(W, [0, -1, 1])
    np.testing.assert_array_equal(model.predict_proba(np.zeros((1, 3))), [[0.5, 0.5]])


@pytest.mark.parametrize("solver", ["cg", "power"])
def test_convergence_is_reported(points, solver):
    X, y = points
    model = LabelSpreading(gamma=2.0, alpha=0.99, max_iter=4, solver=solver)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=4 was reached.* by \d.*tol=0.001"):
        model.fit(X, y)
    assert model.n_iter_ == 4
    assert model.residual_ > 1e-3
    model.set_params(max_iter=2000).fit(X, y)
    assert model.residual_ < 1e-3


def test_directions_that_are_averaged_away_are_told(points):
    X, y = points
    W = kneighbors_graph(X, 5)
    with pytest.warns(UserWarning, match="X is not symmetric: .* by up to 1, .* weight is 1"):
        found = LabelSpreading("precomputed").fit(W, y)
    mean = LabelSpreading("precomputed").fit((W + W.T) / 2, y)
    np.testing.assert_allclose(found.label_distributions_, mean.label_distributions_, atol=1e-14)


def test_eigenvectors_that_do_not_fit_in_memory_are_refused(points, monkeypatch):
    X, y = points
    monkeypatch.setattr(_label_base, "_MAX_EIGENVECTORS", 100)
    with pytest.raises(ValueError, match=r"n_eigenvectors=None: 150 eigenvectors .*, the most are"):
        LabelSpreading(solver="eigen").fit(X, y)
    LabelSpreading(gamma=2.0, solver="eigen", n_eigenvectors=20).fit(X, y)


GOOD = np.array([[0.0], [0.1], [0.2], [0.3]])
KNOWN = [0, 1, -1, -1]
WEIGHTS = np.ones((4, 4))
NEGATIVE = np.where(np.eye(4) > 0, 1, -0.5)
BAD = {
    "NaN in X": ({}, np.array([[0.0], [np.nan], [0.2], [0.3]]), KNOWN, "X contains NaN"),
    "no label": ({}, GOOD, [-1] * 4, "y holds no label: all of its 4 entries are -1"),
    "no distribution": ({}, GOOD, np.zeros((4, 2)), "y holds no label: all of its rows"),
    "no y": ({}, GOOD, None, "requires y"),
    "ragged y": ({}, GOOD, [[0], [1, 1], [-1], [-1]], "y must be a row of labels or a table"),
    "huge": ({}, 1e120 * GOOD, KNOWN, r"X holds numbers up to 3e\+119 in size"),
    "huge gamma": ({"gamma": 1e200}, GOOD, KNOWN, r"squares times gamma=1e\+200 are no finite"),
    "y too short": ({}, GOOD, [0, 1, -1], "inconsistent numbers of samples"),
    "NaN in y": ({}, GOOD, [0, 1, np.nan, -1], "y contains NaN"),
    "fractions": ({}, GOOD, [0.5, 1.2, -1, -1], "Unknown label type"),
    "labels of two kinds": ({}, GOOD, np.array([0, "a", -1, -1], dtype=object), "several kinds"),
    "sums": ({}, GOOD, np.array([[1, 1], [0, 1], [0, 0], [0, 0]]), "row 0 of y sums to 2, and 1"),
    "negative shares": ({}, GOOD, np.array([[2, -1.0]] * 4), r"y\[0, 1\] is -1"),
    "half a row": ({}, GOOD, np.array([[1, np.nan]] * 4), r"y\[0, 1\] is nan"),
    "too few rows": ({"kernel": "knn"}, GOOD, KNOWN, "n_neighbors"),
    "not square": ({"kernel": "precomputed"}, WEIGHTS[:, :3], KNOWN, r"X has shape \(4, 3\)"),
    "negative": ({"kernel": "precomputed"}, NEGATIVE, KNOWN, "X holds 12 negative weights.* -0.5"),
    "negative and sparse": (
        {"kernel": "precomputed"},
        sparse.csr_array(NEGATIVE),
        KNOWN,
        "X holds 12 negative weights",
    ),
    "negative kernel": (
        {"kernel": lambda X, Y: -np.ones((4, 4))},
        GOOD,
        KNOWN,
        "the result of kernel holds 16 negative weights",
    ),
    "NaN of a kernel": (
        {"kernel": lambda X, Y: np.full((4, 4), np.nan)},
        GOOD,
        KNOWN,
        "the result of kernel contains NaN",
    ),
    "shape of a kernel": (
        {"kernel": lambda X, Y: np.ones((4, 2))},
        GOOD,
        KNOWN,
        r"the result of kernel has shape \(4, 2\)",
    ),
    "solver": ({"solver": "lu"}, GOOD, KNOWN, "The 'solver' parameter"),
    "eigenvectors": ({"n_eigenvectors": 0}, GOOD, KNOWN, "The 'n_eigenvectors' parameter"),
}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(name, case):
    settings, X, y, message = BAD[case]
    model = getattr(spectral_estimators, name)(**settings)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_masked_rows_are_kept_as_numbers():
    graph = np.ma.masked_array(1.0 - np.eye(4), mask=np.zeros((4, 4), dtype=bool))
    model = LabelSpreading(kernel="precomputed").fit(graph, [0, 1, -1, -1])
    assert type(model.X_) is np.ndarray
