"""Real-valued series: recovery of planted models, hmmlearn's steps, and its own tests."""

import importlib
import logging
import pickle
import warnings
from functools import partial

import joblib
import numpy as np
import pytest
from hmmlearn import hmm as rivals
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from spectral_estimators import GaussianHMM, RankWarning, Sequences, SequenceStream

TYPES = ["spherical", "diag", "tied", "full"]


def chain(K, stay, n, rng):
    """States of a chain that stays with some probability and moves anywhere else."""
    states = np.cumsum(rng.integers(1, K, size=n) * (rng.random(n) > stay)) % K
    return states.astype(int)


def equal_means(n=6000, seed=0):
    """States that differ in their variances alone; rows of two columns."""
    rng = np.random.default_rng(seed)
    states = chain(3, 0.95, n, rng)
    return rng.standard_normal((n, 2)) * np.array([0.5, 1.0, 2.0])[states][:, None], states


def settings(kind, p, **more):
    """Of hmmlearn and ours, with the same prior."""
    theirs = 1e-2 * np.eye(p) if kind in ("tied", "full") else 1e-2
    return {"covars_prior": theirs, **more}, {"covars_prior": 1e-2, "min_covar": 0, **more}


def start_at(model, kind, K, p, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((K, p, p))
    full = roots @ roots.transpose(0, 2, 1) + np.eye(p)
    model.startprob_ = rng.dirichlet(np.ones(K))
    model.transmat_ = rng.dirichlet(np.ones(K), K)
    model.means_ = rng.standard_normal((K, p))
    covars = {
        "spherical": full[:, 0, 0],
        "diag": full.diagonal(axis1=1, axis2=2),
        "tied": full[0],
        "full": full,
    }
    model.covars_ = np.array(covars[kind])
    return model


@pytest.fixture(scope="module")
def fitted():
    X, states = equal_means()
    return X, states, GaussianHMM(3, random_state=0).fit(X)


# -- the fit ---------------------------------------------------------------------------------------


def test_states_of_equal_means_are_found(fitted):
    """k-means on rows cannot tell them apart; past and future can."""
    X, states, model = fitted
    order = np.argsort(model.covars_[:, 0, 0])
    spread = np.sqrt(model.covars_.diagonal(axis1=1, axis2=2)[order])
    assert_allclose(spread, np.array([[0.5], [1.0], [2.0]]) * np.ones(2), rtol=0.06)
    assert np.mean(np.argsort(order)[model.predict(X)] == states) > 0.9
    assert_allclose(model.transmat_.diagonal(), 0.95, atol=0.02)


def test_every_seed_ends_at_the_same_optimum():
    X, _ = equal_means(3000, 1)
    reached = [GaussianHMM(3, random_state=seed).fit(X).monitor_.history[-1] for seed in range(4)]
    assert np.ptp(reached) < 0.1


@pytest.mark.parametrize("kind", TYPES)
def test_an_em_step_is_hmmlearns(kind, rng):
    X, lengths, p = rng.standard_normal((200, 3)), [120, 80], 3
    theirs, ours = settings(kind, p, means_prior=0.3, means_weight=0.7, covars_weight=6.0)
    rival = rivals.GaussianHMM(3, kind, n_iter=1, init_params="", **theirs)
    model = GaussianHMM(3, kind, n_iter=1, init_params="", dtype="float64", **ours)
    for one in (rival, model):
        start_at(one, kind, 3, p)
    assert_allclose(model.score(X, lengths), rival.score(X, lengths), rtol=1e-12)
    assert_allclose(model.predict_proba(X, lengths), rival.predict_proba(X, lengths), atol=1e-11)
    assert_array_equal(model.predict(X, lengths), rival.predict(X, lengths))
    rival.fit(X, lengths)
    model.fit(X, lengths=lengths)
    for name in ("startprob_", "transmat_", "means_"):
        assert_allclose(getattr(model, name), getattr(rival, name), rtol=1e-11, atol=1e-12)
    wanted = rival._covars_[:, 0] if kind == "spherical" else rival._covars_
    assert_allclose(model._covars_, wanted, rtol=1e-11, atol=1e-12)
    assert_allclose(model.aic(X, lengths), rival.aic(X, lengths), rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_a_prior_may_be_one_number_a_state(p, rng):
    X = rng.standard_normal((60, p))
    settings = {"covariance_type": "spherical", "n_iter": 3, "n_init": 2, "random_state": 0}
    priors = {name: np.array([1.0, 2.0, 3.0]) for name in ("means_prior", "covars_prior")}
    one = GaussianHMM(3, **settings, **priors, means_weight=[1.0, 2.0, 3.0]).fit(X)
    wide = {name: np.tile(array[:, None], p) for name, array in priors.items()}
    weights = np.tile([[1.0], [2.0], [3.0]], p)
    two = GaussianHMM(3, **settings, **wide, means_weight=weights).fit(X)
    assert_allclose(one.means_, two.means_)
    assert_allclose(one._covars_, two._covars_)


def test_priors_of_other_shapes_are_refused(rng):
    X = rng.standard_normal((30, 3))
    for kind, shape in (("diag", (2,)), ("full", (2,)), ("tied", (2, 3, 3))):
        model = GaussianHMM(2, kind, covars_prior=np.ones(shape))
        with pytest.raises(ValueError, match="covars_prior must be a number, or an array"):
            model.fit(X)
    with pytest.raises(ValueError, match=r"covars_prior holds 1e\+300"):
        GaussianHMM(2, covars_prior=1e300).fit(X)


@pytest.mark.parametrize("kind", TYPES)
def test_moments_alone_and_rounds_of_the_race(kind):
    X, _ = equal_means(3000, 2)
    model = GaussianHMM(3, kind, n_iter=0, random_state=0).fit(X)
    assert [s.kind for s in model.report_.starts] == ["tensor"]
    full = GaussianHMM(3, kind, random_state=0).fit(X)
    assert len(full.report_.starts) == 16
    if kind != "tied":
        alone = GaussianHMM(1, kind).fit(X).score(X)
        assert full.score(X) > alone + 300
        assert model.score(X) - alone > 0.7 * (full.score(X) - alone)


def test_the_unit_of_the_data_plays_no_role(fitted):
    X, _, model = fitted
    scale, shift = np.array([1e-4, 1e5]), np.array([3.0, -1e7])
    again = clone(model).fit(X * scale + shift)
    assert_allclose(
        again.score(X * scale + shift) + len(X) * np.log(scale).sum(), model.score(X), atol=1.0
    )
    found = np.sort(again.covars_.diagonal(axis1=1, axis2=2) / scale**2, axis=0)
    assert_allclose(found, np.sort(model.covars_.diagonal(axis1=1, axis2=2), axis=0), rtol=1e-2)


def test_missing_entries(fitted):
    X = fitted[0][:3000]
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    for kind in ("diag", "full"):
        model = GaussianHMM(3, kind, n_init=6, missing=np.nan, random_state=0)
        found = model.fit(np.where(holes, np.nan, X))
        spread = np.sort(found.covars_[:, 0, 0]) ** 0.5
        assert_allclose(spread, [0.5, 1.0, 2.0], rtol=0.08)
    masked = clone(found).set_params(missing=None).fit(np.ma.masked_array(X, holes))
    assert_allclose(masked.means_, found.means_, rtol=1e-10)


def test_rows_of_which_each_lacks_something():
    """No row is complete, and the fit goes on all the same."""
    X, _ = equal_means(3000, 3)
    X[np.arange(3000), np.arange(3000) % 2] = np.nan
    model = GaussianHMM(3, missing=np.nan, random_state=0).fit(X)
    assert_allclose(np.sort(model.covars_[:, 0, 0]) ** 0.5, [0.5, 1.0, 2.0], rtol=0.12)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(fitted, backend):
    X, _, model = fitted
    with joblib.parallel_config(backend, n_jobs=2):
        again = clone(model).fit(X)
    assert_array_equal(again.means_, model.means_)
    assert_array_equal(again.covars_, model.covars_)


def test_all_forms_of_the_same_data(fitted):
    X, _, model = fitted
    lists = [X[:3000], X[3000:]]
    few = clone(model).set_params(n_init=4, n_iter=5)
    base = clone(few).fit(X, [3000, 3000])
    for form in (lists, Sequences.from_list(lists), np.stack(lists), SequenceStream(lists)):
        again = clone(few).fit(form)
        assert_allclose(again.means_, base.means_, rtol=1e-8, atol=1e-10)
        assert_allclose(again.score(form), base.score(X, [3000, 3000]), rtol=1e-10)


@pytest.mark.parametrize("kind", TYPES)
def test_rows_far_beyond_those_of_fit(kind, rng):
    model = GaussianHMM(2, kind, random_state=0).fit(1e-9 * rng.standard_normal((90, 2)))
    far = np.array([[1e150, -1e150], [0.0, 1e120], [0.0, 0.0]])
    assert np.isfinite(model.predict_proba(far)).all()
    assert model.predict(far).shape == (3,)
    assert model.score(far) < -1e100


def test_more_parameters_than_numbers_are_counted_once():
    X = np.random.default_rng(0).standard_normal((203, 1))
    with pytest.warns(UserWarning, match="model of 3719 free parameters to 203 numbers"):
        GaussianHMM(60, n_iter=1, n_init=1, random_state=0).fit(X)
    with (
        pytest.warns(RankWarning, match="n_components=205 states are more than the 203"),
        pytest.warns(UserWarning, match="parameters to 203 numbers"),
    ):
        GaussianHMM(205, n_iter=1, n_init=1, init="random", random_state=0).fit(X)


def test_number_of_states_is_found():
    X, _ = equal_means(3000, 4)
    model = GaussianHMM("auto", n_init=4, random_state=0).fit(X)
    assert model.n_components_ == 3


def test_number_of_states_is_no_matter_of_the_seed():
    """One fold alone chose two states from the second of these seeds."""
    rng = np.random.default_rng(0)
    states = [0]
    for _ in range(499):
        states.append(rng.choice(3, p=0.05 + 0.85 * np.eye(3)[states[-1]]))
    noise = rng.standard_normal((500, 1)) * np.array([0.5, 1.0, 2.0])[states][:, None]
    X = np.array([-2.0, 0.0, 2.0])[states][:, None] + noise
    chosen = [GaussianHMM("auto", random_state=s).fit(X).n_components_ for s in range(2)]
    assert chosen == [3, 3]


def test_labels_name_the_states():
    X, states = equal_means(4000, 5)
    y = np.where(np.arange(4000) % 5 == 0, states, -1)
    model = GaussianHMM(3, random_state=0).fit(X, y)
    assert_allclose(model.covars_[:, 0, 0] ** 0.5, [0.5, 1.0, 2.0], rtol=0.08)


def test_predict_next_and_samples(fitted):
    X, _, model = fitted
    assert_allclose(
        model.predict_next(X), model.predict_proba(X)[-1] @ model.transmat_ @ model.means_
    )
    drawn, states = model.sample(60_000, random_state=0)
    for k in range(3):
        found = np.cov(drawn[states == k], rowvar=False)
        assert_allclose(found, model.covars_[k], rtol=0.1, atol=0.02)


def test_pickles_and_clones(fitted):
    X, _, model = fitted
    again = pickle.loads(pickle.dumps(model))
    assert again.score(X) == model.score(X)
    assert clone(model).get_params() == model.get_params()


# -- parts that are kept ---------------------------------------------------------------------------


def test_means_that_are_given_stay():
    """A copy-number caller: levels are known, everything else is learned."""
    rng = np.random.default_rng(0)
    levels = np.array([[-1.0], [0.0], [0.58], [1.0]])
    states = chain(4, 0.98, 8000, rng)
    X = levels[states] + 0.3 * rng.standard_normal((8000, 1))
    model = GaussianHMM(4, params="stc", init_params="stc", random_state=0)
    model.means_ = levels
    model.fit(X, [2000] * 4)
    assert_array_equal(model.means_, levels)
    assert_allclose(model.covars_.ravel() ** 0.5, 0.3, rtol=0.1)
    assert np.mean(model.predict(X, [2000] * 4) == states) > 0.93


def test_left_to_right_chains_keep_their_zeros():
    """States in the order of time, in many short sequences."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(20, 40, size=60)
    rows = []
    for n in lengths:
        at = np.minimum(np.arange(n) * 4 // n, 3)
        rows.append(
            np.array([0.0, 2.0, 0.0, -2.0])[at][:, None] + 0.5 * rng.standard_normal((n, 1))
        )
    transmat = np.triu(np.tril(np.full((4, 4), 0.5), 1))
    transmat[3, 3] = 1.0
    model = GaussianHMM(4, init_params="mc", random_state=0)
    model.startprob_, model.transmat_ = np.eye(4)[0], transmat
    model.fit(np.concatenate(rows), lengths)
    assert_array_equal(model.transmat_ == 0, transmat == 0)
    assert_allclose(model.means_.ravel(), [0, 2, 0, -2], atol=0.15)


def test_covars_are_set_by_type_and_read_as_matrices():
    for kind, value in [
        ("spherical", [1.0, 2.0]),
        ("diag", [[1.0, 1.0], [2.0, 2.0]]),
        ("full", [np.eye(2), 2 * np.eye(2)]),
    ]:
        model = GaussianHMM(2, kind)
        model.means_ = np.zeros((2, 2))
        model.covars_ = value
        assert_array_equal(model.covars_, [np.eye(2), 2 * np.eye(2)])
    model = GaussianHMM(2, "tied")
    model.means_, model.covars_ = np.zeros((2, 2)), np.eye(2)
    assert_array_equal(model.covars_, [np.eye(2), np.eye(2)])


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "covars", "words"),
    [
        ("diag", [[1.0, -1.0], [1.0, 1.0]], "covars_ must be positive"),
        (
            "full",
            [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]],
            r"covars_\[1\] must be symmetric, positive",
        ),
        ("full", [np.eye(2), [[1.0, 0.5], [0.0, 1.0]]], r"covars_\[1\] must be symmetric"),
        ("tied", np.ones((2, 2)), "covars_ must be symmetric, positive-definite"),
        ("diag", np.eye(3), "covars_ must have shape"),
        ("spherical", [np.nan, 1.0], "covars_ must hold finite"),
    ],
)
def test_bad_covariances(kind, covars, words):
    model = start_at(GaussianHMM(2, kind), kind, 2, 2)
    model.covars_ = covars
    with pytest.raises(ValueError, match=words):
        model.score(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1.0], [np.nan]], r"NaN.*declare it with missing=np\.nan\."),
        ([[1.0], [-np.inf]], r"infinity.*set it to NaN and declare that with missing=np\.nan\."),
        ([["a"]], "numbers"),
        (np.zeros((3, 0)), "0 feature"),
        (np.full((4, 2), np.nan), "NaN"),
        ([[1.0], [1e200], [2.0]], r"X\[1\] is 1e\+200 in column 0.*up to 1e152 in size"),
    ],
)
def test_bad_rows(X, words):
    model = GaussianHMM(1)
    with pytest.raises(ValueError, match=words):
        model.fit(X)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "X",
    [
        np.ones((50, 2)),
        np.column_stack([np.arange(50.0), np.full(50, 3.0)]),
        np.tile(np.arange(2.0), (30, 1)).T.reshape(-1, 1) * [1.0, 2.0],
        np.outer(np.arange(40.0), [1.0, 1.0]),
        np.zeros((1, 2)),
        np.random.default_rng(0).standard_normal((5, 2)),
        1e150 * np.random.default_rng(0).standard_normal((60, 2)),
        1e-150 * np.random.default_rng(0).standard_normal((60, 2)),
    ],
    ids=[
        "constant",
        "one constant",
        "two points",
        "a line",
        "one row",
        "five rows",
        "huge",
        "tiny",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_degenerate_rows(kind, X):
    model = GaussianHMM(3, kind, random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.means_).all()
    for covariance in model.covars_:
        np.linalg.cholesky(covariance)


# -- hmmlearn's own file, with our class in the place of theirs ------------------------------------


class Ours(GaussianHMM):
    """With the two private methods that their tests call, and warnings in the log, as theirs."""

    def fit(self, X, lengths=None):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            super().fit(X, lengths=lengths)
        for warning in found:
            logging.getLogger("hmmlearn").warning(str(warning.message))
        return self

    def _check(self):
        self._parameters()

    def _init(self, X, lengths=None):
        n_iter = self.n_iter
        self.set_params(n_iter=0).fit(X, lengths if np.ndim(lengths) else None)
        self.set_params(n_iter=n_iter)


with np.errstate():  # the import sets NumPy's for good
    THEIRS = importlib.import_module("hmmlearn.tests.test_gaussian_hmm")


class InItsPlace:
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        monkeypatch.setattr(THEIRS.hmm, "GaussianHMM", Ours)

    def test_criterion(self, monkeypatch):
        """Asks for numbers, not for the best optimum."""
        monkeypatch.setattr(THEIRS.hmm, "GaussianHMM", partial(Ours, n_init=2, tol=1.0))
        super().test_criterion("scaling")


class TestSpherical(InItsPlace, THEIRS.TestGaussianHMMWithSphericalCovars):
    def test_underflow_from_scaling(self):
        """Theirs asks for an error with implementation="scaling"; ours cannot underflow."""
        with pytest.raises(pytest.fail.Exception):
            super().test_underflow_from_scaling("scaling")
        super().test_underflow_from_scaling("log")


class TestDiagonal(InItsPlace, THEIRS.TestGaussianHMMWithDiagonalCovars):
    pass


class TestTied(InItsPlace, THEIRS.TestGaussianHMMWithTiedCovars):
    pass


class TestFull(InItsPlace, THEIRS.TestGaussianHMMWithFullCovars):
    pass


@pytest.mark.parametrize("kind", ["diag", "spherical", "tied", "full"])
def test_columns_that_do_not_vary_are_said(kind):
    """And a state that is left without observations keeps a variance like that of the data."""
    words = r"No column of X varies: the 50 rows .* \(1, 3\).* n_components=2"
    with pytest.warns(UserWarning, match=words) as said:
        model = GaussianHMM(2, kind, random_state=0).fit(np.tile([1.0, 3.0], (50, 1)))
    assert said[0].filename == __file__
    assert model.covars_.max() < 20  # a column that does not vary is taken for one of variance 1
    assert_allclose(model.means_, [[1, 3], [1, 3]])
    GaussianHMM(1, kind).fit(np.ones((50, 1)))


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_a_state_that_the_data_leave_keeps_a_variance_like_theirs(rng, kind):
    X = rng.standard_normal((50, 2))
    X[:, 1] = 1.0
    model = GaussianHMM(2, kind, random_state=0).fit(X)
    assert model.predict_proba(X).sum(axis=0).min() < 0.01
    assert model.covars_.max() < 20


def test_numbers_whose_squares_vanish_are_refused(rng):
    with pytest.raises(ValueError, match="A column of X has the variance"):
        GaussianHMM(2).fit(1e-160 * rng.normal(size=(50, 2)))


def test_more_parameters_than_numbers_are_said_where_fit_is_called(rng):
    with pytest.warns(UserWarning, match="Fitting a model of 35 free parameters to 18 num") as said:
        GaussianHMM(3, "full", n_iter=1, n_init=1, random_state=0).fit(rng.normal(size=(6, 3)))
    assert said[0].filename == __file__
