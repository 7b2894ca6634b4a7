"""Mixtures of Gaussians in each state: hmmlearn's steps and inference, recovery, its own tests."""

import importlib
from functools import partial

import joblib
import numpy as np
import pytest
from hmmlearn import hmm as rivals
from hmmlearn.base import ConvergenceMonitor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from spectral_estimators import GMMHMM, GaussianHMM, Sequences, SequenceStream
from spectral_estimators._sklearn_compat import check_constraints

TYPES = ("spherical", "diag", "tied", "full")
PARTS = ("startprob_", "transmat_", "weights_", "means_", "covars_")


def truth_of(kind, K, M, p, spread, seed, stay=0.9):
    """hmmlearn's model with random means, of standard deviation `spread`."""
    rng = np.random.default_rng(seed)
    roots = 0.5 * rng.standard_normal((K, M, p, p))
    full = roots @ roots.swapaxes(2, 3) + 0.5 * np.eye(p)
    model = rivals.GMMHMM(K, M, covariance_type=kind)
    model.startprob_ = np.full(K, 1 / K)
    model.transmat_ = stay * np.eye(K) + (1 - stay) / K
    model.weights_ = rng.dirichlet(np.full(M, 5.0), K)
    model.means_ = spread * rng.standard_normal((K, M, p))
    model.covars_ = {
        "spherical": full[:, :, 0, 0],
        "diag": full.diagonal(axis1=2, axis2=3),
        "tied": full[:, 0],
        "full": full,
    }[kind]
    return model


def planted(kind="diag", n=3000, K=2, M=2, p=2, spread=4.0, seed=0):
    truth = truth_of(kind, K, M, p, spread, seed)
    return *truth.sample(n, random_state=seed), truth


def give(model, other):
    for name in PARTS:
        setattr(model, name, np.array(getattr(other, name)))
    return model


def assert_matched(found, truth, atol):
    """Means of all Gaussians, whatever their order."""
    p = truth.shape[-1]
    found, truth = found.reshape(-1, p), truth.reshape(-1, p)
    distance = np.abs(found[:, None] - truth).max(axis=2)
    assert sorted(distance.argmin(axis=0)) == list(range(len(truth)))
    assert distance.min(axis=0).max() < atol


@pytest.fixture(scope="module")
def fitted():
    X, states, truth = planted()
    return X, states, truth, GMMHMM(2, 2, random_state=0).fit(X)


# -- against hmmlearn ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_inference_is_hmmlearns(kind):
    X, _, truth = planted(kind, 500, K=3, M=2, p=3, spread=1.0)
    model = give(GMMHMM(3, 2, covariance_type=kind), truth)
    lengths = [200, 300]
    expected, gamma = truth.score_samples(X, lengths)
    found, posterior = model.score_samples(X, lengths)
    assert_allclose(found, expected, rtol=1e-12)
    assert_allclose(posterior, gamma, atol=1e-9)
    assert_array_equal(model.predict(X, lengths), truth.predict(X, lengths))
    assert_allclose(model.aic(X, lengths), truth.aic(X, lengths), rtol=1e-12)
    assert_allclose(model.bic(X, lengths), truth.bic(X, lengths), rtol=1e-12)


PRIORS = {
    "spherical": {"covars_prior": [1.5, 2.0], "covars_weight": [[0.3, 0.4]] * 3},
    "diag": {"covars_prior": 0.7, "covars_weight": [0.3, 0.4, 0.5]},
    "tied": {"covars_prior": np.eye(3) + 0.3, "covars_weight": [2.0, 3.0, 4.0]},
    "full": {"covars_prior": np.eye(3) + 0.3, "covars_weight": [2.0, 3.0]},
}


@pytest.mark.parametrize("kept", ["m", "c"])
@pytest.mark.parametrize("kind", TYPES)
def test_em_steps_are_hmmlearns(kind, kept):
    """Of weights and means, and of covariances about means that stay.

    Where both move, hmmlearn centres scatter at the old means, which is no mode.
    """
    X, _, truth = planted(kind, 400, K=3, M=2, p=3, spread=1.0)
    settings = {
        "covariance_type": kind,
        "init_params": "",
        "params": "stmcw".replace(kept, ""),
        "n_iter": 1,
        "startprob_prior": 2.0,
        "transmat_prior": 1.5,
        "weights_prior": [2.0, 3.0],
        "means_prior": np.arange(6.0).reshape(2, 3),
        "means_weight": [[2.0, 0.5]] * 3,
        **PRIORS[kind],
    }
    ours = give(GMMHMM(3, 2, dtype="float64", min_covar=0.0, **settings), truth)
    theirs = give(rivals.GMMHMM(3, 2, tol=-np.inf, **settings), truth)
    for model in (ours, theirs):
        model.means_ = model.means_ + 0.3
    for _ in range(3):
        ours.fit(X, [150, 250])
        theirs.fit(X, [150, 250])
    for name in PARTS:
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", TYPES)
def test_hmmlearns_steps_end_where_ours_do(kind):
    X, _, truth = planted(kind, 800, spread=2.0)
    weight = {"spherical": 1.0, "diag": 1.0, "tied": 3.0, "full": 3.0}[kind]
    settings = {"covars_prior": weight, "covars_weight": weight, "covariance_type": kind}
    if kind in ("tied", "full"):
        settings["covars_prior"] = np.eye(2)
    ours = give(GMMHMM(2, 2, n_iter=2000, tol=1e-11, init_params="", **settings), truth)
    ours.fit(X)
    theirs = rivals.GMMHMM(2, 2, n_iter=3, tol=-np.inf, init_params="", **settings)
    give(theirs, ours).fit(X)
    for name in PARTS[1:]:
        assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-3, atol=1e-4)


# -- the fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "M", "p", "spread"), [(2, 2, 1, 6.0), (3, 2, 2, 2.0)])
def test_planted_likelihoods_are_reached(K, M, p, spread):
    """In four of five, well apart in one column and overlapping in two."""
    reached = 0
    for seed in range(5):
        X, _, truth = planted("diag", 600, K, M, p, spread, seed)
        model = GMMHMM(K, M, random_state=seed).fit(X)
        reached += model.score(X) >= truth.score(X)
    assert reached >= 4


@pytest.mark.parametrize("kind", TYPES)
def test_planted_parameters_are_found(kind):
    X, states, truth = planted(kind, 4000, spread=5.0, seed=3)
    model = GMMHMM(2, 2, covariance_type=kind, random_state=0).fit(X)
    assert model.score(X) >= truth.score(X)
    assert model.covars_.shape == truth.covars_.shape
    assert_matched(model.means_, truth.means_, 0.2)
    agree = np.mean(model.predict(X) == states)
    assert max(agree, 1 - agree) > 0.97
    assert_allclose(np.sort(model.weights_.ravel()), np.sort(truth.weights_.ravel()), atol=0.04)


def test_states_of_equal_clusters_are_told_apart_by_time():
    """Clusters of rows are not states: near ones belong to different states, far ones to one."""
    truth = truth_of("spherical", 2, 2, 1, 1.0, 0, stay=0.95)
    truth.means_ = np.array([[[0.0], [20.0]], [[3.0], [23.0]]])
    truth.covars_ = np.full((2, 2), 0.5)
    X, states = truth.sample(3000, random_state=0)
    model = GMMHMM(2, 2, covariance_type="spherical", random_state=0).fit(X)
    agree = np.mean(model.predict(X) == states)
    assert max(agree, 1 - agree) > 0.98
    assert_matched(model.means_, truth.means_, 0.2)


def test_one_state_is_a_mixture():
    X, _, truth = planted(K=1, M=3, n=2000, spread=4.0)
    model = GMMHMM(1, 3, random_state=0).fit(X)
    assert model.score(X) >= truth.score(X)
    assert_matched(model.means_, truth.means_, 0.3)


def test_one_part_is_a_gaussian_model():
    X, _, _ = planted(M=1)
    prior = {"random_state": 0, "n_iter": 1000, "tol": 1e-7}
    model = GMMHMM(2, 1, covars_prior=-1.5, covars_weight=0.0, **prior).fit(X)
    gaussian = GaussianHMM(2, covars_prior=0.0, **prior).fit(X)
    assert_allclose(model.score(X), gaussian.score(X), rtol=1e-8)


def test_forecasts_have_the_quantiles_of_draws(fitted):
    X, _, _, model = fitted
    found = model.forecast(X[:50], 1, quantiles=(0.1, 0.5, 0.9)).quantiles[0]
    follow = [model.sample(1, seed, prefix=X[:50])[0][0] for seed in range(1000)]
    for level, quantile in zip((0.1, 0.5, 0.9), found.T, strict=True):
        assert_allclose((follow <= quantile).mean(axis=0), level, atol=0.04)


def test_predict_next_and_sample(fitted):
    X, _, _, model = fitted
    means = (model.weights_[:, :, None] * model.means_).sum(axis=1)
    expected = model.predict_proba(X[:50])[-1] @ model.transmat_ @ means
    assert_allclose(model.predict_next(X[:50]), expected)
    drawn, states = model.sample(20_000, random_state=0)
    for k in range(2):
        assert_allclose(drawn[states == k].mean(axis=0), means[k], atol=0.15)


def test_all_forms_of_the_same_data(fitted):
    X, _, _, model = fitted
    lists = [X[:1500], X[1500:]]
    few = clone(model).set_params(n_init=4, n_iter=5)
    base = clone(few).fit(X, [1500, 1500])
    for form in (lists, Sequences.from_list(lists), np.stack(lists), SequenceStream(lists)):
        assert_allclose(clone(few).fit(form).means_, base.means_, rtol=1e-10)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(fitted, backend):
    X, _, _, model = fitted
    with joblib.parallel_config(backend, n_jobs=2):
        again = clone(model).fit(X)
    for name in PARTS:
        assert_array_equal(getattr(again, name), getattr(model, name))


def test_labels_name_the_states():
    X, states, truth = planted(n=2000, spread=5.0, seed=3)
    y = np.where(np.arange(2000) % 4 == 0, states, -1)
    model = GMMHMM(2, 2, random_state=0).fit(X, y)
    for k in range(2):
        assert_matched(model.means_[k], truth.means_[k], 0.3)
    none = GMMHMM(2, 2, random_state=0, n_iter=3).fit(X, np.full(2000, -1))
    assert np.isfinite(none.score(X))


@pytest.mark.parametrize("kind", TYPES)
def test_missing_entries_and_rows(kind):
    X, _, truth = planted(kind, 1500, spread=5.0, seed=3)
    holes = np.random.default_rng(0).random(X.shape) < 0.2
    settings = {"covariance_type": kind, "n_init": 6, "random_state": 0}
    model = GMMHMM(2, 2, missing=np.nan, **settings).fit(np.where(holes, np.nan, X))
    assert_matched(model.means_, truth.means_, 0.3)
    masked = GMMHMM(2, 2, **settings).fit(np.ma.masked_array(X, holes))
    assert_allclose(masked.means_, model.means_)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("kept", ["m", "c", "w", "mc", "mw", "cw", "mcw"])
def test_kept_parts_stay(kind, kept):
    X, _, truth = planted(kind, 300, seed=1)
    letters = "".join(set("stmcw") - set(kept))
    model = GMMHMM(2, 2, covariance_type=kind, init_params=letters, params=letters, n_iter=3)
    names = {"m": "means_", "c": "covars_", "w": "weights_"}
    for letter in kept:
        setattr(model, names[letter], getattr(truth, names[letter]))
    model.fit(X)
    for letter in kept:
        assert_allclose(getattr(model, names[letter]), getattr(truth, names[letter]), rtol=1e-10)
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("init", ["tensor", "kmeans", "random"])
@pytest.mark.parametrize("n_iter", [0, 5])
def test_starts(init, n_iter):
    X, _, _ = planted(n=500)
    model = GMMHMM(2, 3, init=init, n_iter=n_iter, random_state=0).fit(X)
    assert bool(model.monitor_.history) == (n_iter > 0)
    assert len(np.unique(model.means_, axis=1)[0]) == 3  # parts differ from the start
    assert_allclose(model.weights_.sum(axis=1), 1)


def test_number_of_states_is_found():
    X, _, _ = planted(n=1500, spread=6.0, seed=3)
    model = GMMHMM("auto", 2, random_state=0, n_init=4, n_iter=20, covars_weight=0.1).fit(X)
    assert model.n_components_ in (2, 3)  # a gain of one standard error may be chance


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    "X",
    [
        np.zeros((1, 2)),
        np.random.default_rng(0).standard_normal((4, 2)),
        np.ones((40, 2)),
        np.tile(np.arange(2.0), (30, 1)).T.reshape(-1, 1) * [1.0, 2.0],
        1e100 * np.random.default_rng(0).standard_normal((60, 2)),
        1e-100 * np.random.default_rng(0).standard_normal((60, 2)),
    ],
    ids=["one row", "four rows", "constant", "two points", "huge", "tiny"],
)
@pytest.mark.filterwarnings("ignore")
def test_more_parts_than_rows(kind, flat, X):
    prior = {"covars_prior": 0.0, "covars_weight": -10.0}
    if kind in ("spherical", "diag"):
        prior = {"covars_prior": -10.0, "covars_weight": 0.0}
    model = GMMHMM(2, 5, covariance_type=kind, random_state=0, n_iter=30)
    model.set_params(**(prior if flat else {})).fit(X)
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.means_).all()
    assert_allclose(model.weights_.sum(axis=1), 1)
    assert np.isfinite(model.covars_).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_mix": 0}, "n_mix"),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"weights_prior": 0.0}, "weights_prior"),
        ({"weights_prior": [1.0, 2.0, 3.0]}, "weights_prior must be .* shape \\(2, 2\\)"),
        ({"means_prior": [1.0, 2.0, 3.0]}, "means_prior must be .* \\(2, 2, 2\\)"),
        ({"covars_prior": np.inf}, "covars_prior"),
        ({"means_weight": {}}, "means_weight must be a number or an array of numbers"),
        ({"covariance_type": "tied", "covars_weight": [1.0] * 3}, "covars_weight .* \\(2,\\)"),
        ({"params": "ste"}, "params may contain 's' \\(startprob\\)"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        GMMHMM(2, **{"n_mix": 2} | settings).fit(np.eye(6)[:, :2])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weights_", np.full((2, 2), 0.4), "row 0 of weights_ must sum to 1"),
        ("weights_", np.full((2, 3), 1 / 3), "weights_ must have shape \\(2, 2\\)"),
        ("means_", np.zeros((2, 2)), "means_ must have shape \\(2, 2, n_features\\)"),
        ("means_", np.full((2, 2, 2), np.nan), "means_ must hold finite"),
        ("covars_", np.ones((2, 2)), "covars_ must have shape \\(2, 2, 2, 2\\)"),
        ("covars_", -np.ones((2, 2, 1, 1)) * np.eye(2), "covars_\\[0, 0\\] must be symmetric"),
    ],
)
def test_bad_attributes(name, value, words):
    X, _, truth = planted("full", 50)
    model = give(GMMHMM(2, 2, covariance_type="full", init_params=""), truth)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=words):
        model.score(X)
    with pytest.raises(ValueError, match=words):
        model.fit(X)


# -- hmmlearn's own files, with our class in the place of theirs -----------------------------------


class Ours(GMMHMM):
    """With the private methods that their tests call, and a monitor before the fit."""

    monitor_ = ConvergenceMonitor(1e-2, 100, False)

    def _check(self):
        check_constraints(self)
        self._parameters()

    def _init(self, X, lengths=None):
        n_iter = self.n_iter
        self.set_params(n_iter=0).fit(X, lengths=lengths)
        self.set_params(n_iter=n_iter)


with np.errstate():  # the import sets NumPy's for good
    NEW = importlib.import_module("hmmlearn.tests.test_gmm_hmm_new")
    MULTI = importlib.import_module("hmmlearn.tests.test_gmm_hmm_multisequence")


@pytest.mark.filterwarnings("ignore:Even though the")  # hmmlearn has these in its log
@pytest.mark.filterwarnings("ignore:Fitting a model of")
class InItsPlace:
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        monkeypatch.setattr(NEW, "GMMHMM", partial(Ours, n_init=4))  # for speed

    def test_fit_zero_variance(self):
        """Which hmmlearn expects to fail."""
        super().test_fit_zero_variance("scaling")

    def test_criterion(self, monkeypatch):
        """Asks for numbers, not for converged ones."""
        monkeypatch.setattr(NEW, "GMMHMM", partial(Ours, init="kmeans", n_iter=5))
        super().test_criterion("scaling")


class TestSpherical(InItsPlace, NEW.TestGMMHMMWithSphericalCovars):
    pass


class TestDiagonal(InItsPlace, NEW.TestGMMHMMWithDiagCovars):
    pass


class TestTied(InItsPlace, NEW.TestGMMHMMWithTiedCovars):
    pass


class TestFull(InItsPlace, NEW.TestGMMHMMWithFullCovars):
    pass


class TestStarts(NEW.TestGMMHMM_KmeansInit):
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        monkeypatch.setattr(NEW, "GMMHMM", Ours)


class TestChunks(NEW.TestGMMHMM_MultiSequence):
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        """Starts of a race see where sequences end; those by clusters do not, as in hmmlearn.

        Two parts of a state fit one Gaussian of the data: where EM is on the ridge between them
        depends on the number of its steps, which is hmmlearn's. Left out: "spherical", where ten
        steps of ours go further along the ridge than the test allows for.
        """
        monkeypatch.setattr(NEW, "GMMHMM", partial(Ours, init="kmeans", n_iter=10, tol=1e-2))

    @pytest.mark.parametrize("covtype", ["diag", "tied", "full"])
    def test_chunked(self, covtype):
        super().test_chunked(covtype)


class TestSequences:
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        """150 rows have many maxima, which 16 starts reach by chance."""
        monkeypatch.setattr(MULTI.hmm, "GMMHMM", partial(Ours, n_init=48))

    def test_order(self):
        """Once for both implementations, which are one here; the type plays no role."""
        MULTI.test_gmmhmm_multi_sequence_fit_invariant_to_sequence_ordering("diag", "log")
