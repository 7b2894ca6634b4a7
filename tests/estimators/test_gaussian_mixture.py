"""`GaussianMixture` beside scikit-learn's, of weights, holes and chunks, and of bad input."""

import dask.array as da
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs

from spectral_estimators import GaussianMixture, RankError, moments_init

TYPES = ("full", "tied", "diag", "spherical")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def blobs(rng):
    means = np.array([[0.0, 0, 0, 0], [4, 0, 0, 1], [0, 4, 1, 0]])
    labels = rng.choice(3, 600, p=[0.5, 0.3, 0.2])
    return means[labels] + rng.standard_normal((600, 4)) * [1.0, 0.5, 1, 2]


class Chunks:
    """An iterable of chunks that starts again."""

    def __init__(self, *chunks):
        self.chunks = chunks

    def __iter__(self):
        return iter(self.chunks)


def same(one, other, rtol=1e-9):
    order, turned = np.argsort(one.means_[:, 1]), np.argsort(other.means_[:, 1])
    for name in ("weights_", "means_"):
        np.testing.assert_allclose(
            getattr(one, name)[order], getattr(other, name)[turned], rtol=rtol, atol=1e-9
        )


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_starts_of_scikit_learn_are_its_own(blobs, kind, init):
    if kind == "tied" and init in ("k-means++", "random_from_data"):
        pytest.skip("theirs divides what all rows vary by the number of those that are chosen")
    settings = {"covariance_type": kind, "init_params": init, "random_state": 3}
    ours = GaussianMixture(3, max_iter=1, **settings).fit(blobs)
    theirs = Theirs(3, max_iter=1, **settings).fit(blobs)
    for name in ("means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_a_fit_is_no_worse_than_scikit_learns(blobs, kind):
    ours = GaussianMixture(3, covariance_type=kind, random_state=0).fit(blobs)
    theirs = Theirs(3, covariance_type=kind, random_state=0).fit(blobs)
    assert ours.score(blobs) > theirs.score(blobs) - 1e-3
    assert ours.converged_
    assert ours.n_iter_ == len(ours.lower_bounds_)
    assert ours.lower_bound_ == ours.lower_bounds_[-1]
    assert ours.aic(blobs) < theirs.aic(blobs) + 2
    assert ours.bic(blobs) < theirs.bic(blobs) + 2


@pytest.mark.parametrize("kind", TYPES)
def test_parameters_given_say_what_scikit_learn_says(blobs, kind):
    theirs = Theirs(3, covariance_type=kind, random_state=0).fit(blobs)
    given = {f"{name}_init": getattr(theirs, f"{name}_") for name in ("weights", "means")}
    given["precisions_init"] = theirs.precisions_
    ours = GaussianMixture(3, covariance_type=kind, max_iter=0, **given).fit(blobs)
    assert ours.init_ == "given"
    np.testing.assert_allclose(ours.score_samples(blobs), theirs.score_samples(blobs))
    np.testing.assert_allclose(ours.predict_proba(blobs), theirs.predict_proba(blobs), atol=1e-9)
    np.testing.assert_array_equal(ours.predict(blobs), theirs.predict(blobs))
    assert ours.bic(blobs) == pytest.approx(theirs.bic(blobs))


def test_means_alone_are_a_start(blobs):
    means = [[0, 0, 0, 0], [4, 0, 0, 1], [0, 4, 1, 0]]
    model = GaussianMixture(3, means_init=means, random_state=0).fit(blobs)
    assert model.init_ == "given"
    np.testing.assert_allclose(model.means_, means, atol=0.4)


def test_moments_start_scikit_learns_class(rng):
    means = 3 * rng.standard_normal((5, 12))
    X = means[rng.integers(5, size=8000)] + rng.standard_normal((8000, 12))
    for kind in TYPES:
        start = moments_init(X, 5, kind)
        model = Theirs(5, covariance_type=kind, **start).fit(X)
        gap = np.sqrt(((model.means_[:, None] - means) ** 2).sum(axis=2).min(axis=0))
        assert gap.max() < 0.3
        assert model.n_iter_ < 10


def test_weights_are_repeated_rows(blobs, rng):
    weight = rng.integers(0, 4, size=len(blobs))
    how = {"means_init": blobs[:3], "weights_init": np.full(3, 1 / 3)}
    how["precisions_init"] = np.tile(np.eye(4), (3, 1, 1))
    weighted = GaussianMixture(3, **how).fit(blobs, sample_weight=weight)
    repeated = GaussianMixture(3, **how).fit(np.repeat(blobs, weight, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-6, atol=1e-6)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_)
    scores = weighted.score_samples(blobs)
    assert weighted.score(blobs, sample_weight=weight) == pytest.approx(
        scores @ weight / weight.sum()
    )


@pytest.mark.parametrize("kind", TYPES)
def test_missing_entries_are_integrated_out(blobs, rng, kind):
    holes = blobs.copy()
    holes[rng.random(blobs.shape) < 0.2] = np.nan
    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(holes)
    whole = GaussianMixture(3, covariance_type=kind, random_state=0).fit(blobs)
    assert model.score(blobs) > whole.score(blobs) - 0.05
    row = np.array([[0.3, np.nan, np.nan, 1.0]])
    full = {
        "full": lambda: model.covariances_,
        "tied": lambda: [model.covariances_] * 3,
        "diag": lambda: [np.diag(v) for v in model.covariances_],
        "spherical": lambda: [v * np.eye(4) for v in model.covariances_],
    }[kind]()
    seen = [0, 3]
    density = sum(
        w * multivariate_normal.pdf(row[0, seen], m[seen], np.asarray(c)[np.ix_(seen, seen)])
        for w, m, c in zip(model.weights_, model.means_, full, strict=True)
    )
    assert model.score_samples(row)[0] == pytest.approx(np.log(density))


def test_weights_holes_and_chunks_go_together(blobs, rng, tmp_path):
    X = np.tile(blobs, (60, 1)) + 0.1 * rng.standard_normal((36_000, 4))
    X[rng.random(X.shape) < 0.05] = np.nan
    weight = rng.uniform(0.5, 2, len(X))
    how = {"means_init": [[0, 0, 0, 0], [4, 0, 0, 1], [0, 4, 1, 0]], "covariance_type": "diag"}
    expected = GaussianMixture(3, **how).fit(X, sample_weight=weight)
    cut = [slice(0, 9000), slice(9000, 9500), slice(9500, 36_000)]
    chunks = Chunks(*((X[part], None, weight[part]) for part in cut))
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", shape=X.shape)
    mapped[:] = X
    for given, weights in (
        (chunks, None),
        (da.from_array(X, chunks=(7000, 4)), weight),
        (mapped, weight),
    ):
        found = GaussianMixture(3, **how).fit(given, sample_weight=weights)
        same(found, expected)
        assert found.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-10)
    assert expected.score(chunks) == pytest.approx(expected.score(X, sample_weight=weight))
    lazy = expected.predict(da.from_array(X, chunks=(7000, 4)))
    np.testing.assert_array_equal(lazy.compute(), expected.predict(X))


def test_the_race_runs_on_chunks(blobs):
    X = np.tile(blobs, (40, 1))
    found = GaussianMixture(3, random_state=0).fit(Chunks(*np.array_split(X, 5)))
    whole = GaussianMixture(3, random_state=0).fit(X)
    assert found.score(X) == pytest.approx(whole.score(X), abs=2e-3)


def test_workers_change_no_bit(blobs):
    X = np.tile(blobs, (60, 1))
    one, two = (GaussianMixture(3, random_state=0, n_jobs=n).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.means_, two.means_)


def test_single_precision_stays(blobs):
    model = GaussianMixture(3, random_state=0).fit(blobs.astype(np.float32))
    assert model.means_.dtype == model.covariances_.dtype == np.float32
    assert model.score_samples(blobs.astype(np.float32)).dtype == np.float32


def test_progress_is_told(blobs, capsys):
    told = []
    GaussianMixture(3, random_state=0, verbose=lambda *step: told.append(step)).fit(blobs)
    assert {stage for stage, _, _ in told} >= {"EM", "race, tensor start"}
    GaussianMixture(3, random_state=0, verbose=1, verbose_interval=1).fit(blobs)
    assert "EM, step 1: log-likelihood" in capsys.readouterr().out


def test_warm_starts_go_on(blobs):
    model = GaussianMixture(3, init_params="random", random_state=0, warm_start=True, max_iter=3)
    first = model.fit(blobs).lower_bound_
    assert model.fit(blobs).lower_bound_ >= first
    assert model.init_ == "warm"
    with pytest.raises(ValueError, match="features"):
        model.fit(blobs[:, :2])


@pytest.mark.parametrize("kind", TYPES)
def test_the_unit_of_the_columns_is_no_matter(blobs, kind):
    how = {"covariance_type": kind, "random_state": 0, "reg_covar": 0.0}
    one = GaussianMixture(3, **how).fit(blobs)
    for unit in (2.0**-400, 2.0**200):
        two = GaussianMixture(3, **how).fit(blobs * unit)
        np.testing.assert_allclose(two.means_ / unit, one.means_, rtol=1e-3, atol=1e-3)
        assert two.init_ == one.init_
    with pytest.raises(ValueError, match="Scale the columns of X"):
        GaussianMixture(3, **how).fit(blobs * 2.0**-530)


def test_covariances_that_single_precision_rounds_to_none(blobs):
    rows = blobs @ np.diag([1e5, 1e5, 1e5, 1.0]) @ np.linalg.qr(np.vander(np.arange(4.0)))[0]
    model = GaussianMixture(3, random_state=0).fit(rows.astype(np.float32))
    assert np.linalg.eigvalsh(model.covariances_.astype(np.float64)).min() < 0
    assert np.isfinite(model.score_samples(rows)).all()
    assert model.score(rows) == pytest.approx(model.lower_bound_, abs=0.1)


def test_samples_look_like_the_rows(blobs):
    model = GaussianMixture(3, random_state=0).fit(blobs)
    X, y = model.sample(20_000)
    np.testing.assert_allclose(X.mean(axis=0), blobs.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.bincount(y) / y.size, model.weights_, atol=0.02)


def test_few_steps_warn(blobs):
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        GaussianMixture(3, init_params="random", max_iter=2, random_state=0).fit(blobs)


# Bad input.


def test_few_columns_leave_moments_out_of_the_race(blobs):
    model = GaussianMixture(5, random_state=0).fit(blobs[:, :2])
    assert "more than the 2 columns" in model.report_.fault
    assert {start.kind for start in model.report_.starts} == {
        "kmeans", "quick", "scaled",
    }  # fmt: skip
    with pytest.raises(RankError, match="init_params='kmeans', or n_components=2"):
        GaussianMixture(5, max_iter=0).fit(blobs[:, :2])


def test_collinear_means_raise_where_moments_are_asked_for(rng):
    X = np.outer(rng.integers(4, size=5000) * 4.0, np.ones(8)) + rng.standard_normal((5000, 8))
    with pytest.raises(RankError, match="eigenvalues of its covariance"):
        moments_init(X, 4)
    model = GaussianMixture(4, covariance_type="spherical", random_state=0).fit(X)
    truth = np.outer(np.arange(4) * 4.0, np.ones(8))
    np.testing.assert_allclose(model.means_[np.argsort(model.means_[:, 0])], truth, atol=0.3)
    assert "only 1 stand out" in model.report_.fault


@pytest.mark.parametrize("kind", TYPES)
def test_duplicate_points_are_fitted(rng, kind):
    X = np.repeat(rng.standard_normal((3, 2)), 20, axis=0)
    model = GaussianMixture(5, covariance_type=kind, random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        GaussianMixture(5, covariance_type=kind, reg_covar=0, random_state=0).fit(X)


def test_a_constant_column_is_fitted(blobs):
    X = np.append(blobs, np.full((len(blobs), 1), 7.0), axis=1)
    for kind in TYPES:
        model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
        np.testing.assert_allclose(model.means_[:, -1], 7)


def test_far_from_zero_and_in_small_units_is_the_same(blobs):
    settings = {"reg_covar": 0, "random_state": 0, "covariance_type": "full"}
    one = GaussianMixture(3, **settings).fit(blobs)
    other = GaussianMixture(3, **settings).fit(blobs * 1e-3 + 50)
    np.testing.assert_allclose(np.sort(one.weights_), np.sort(other.weights_), atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.where(X > 2, np.inf, X), "infinity"),
        (lambda X: X[:2], "n_samples >= n_components but got n_components = 3, n_samples = 2"),
        (lambda X: X[:1], "minimum of 2"),
        (lambda X: np.where(np.arange(4) == 1, np.nan, X), "Column 1 of X is missing"),
        (lambda X: X[0], "2D array"),
        (lambda X: [[1.0], [1.0, 2.0]], "inhomogeneous"),
        (lambda X: 1e120 * X, r"X holds numbers up to .*e\+12\d in size.*Scale the columns"),
        (lambda X: np.float32(1e17) * X.astype(np.float32), "no finite numbers in float32"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_kept(blobs, change, message):
    model = GaussianMixture(3)
    with pytest.raises(ValueError, match=message):
        model.fit(change(blobs))
    assert not hasattr(model, "means_")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(600), "zero for every row"),
        (-np.ones(600), "negative"),
        (np.ones(5), "samples"),
        (np.full(600, 1e-200), "between 1e-30 and 1e.30, or be 0; got 1e-200 to 1e-200"),
        (np.full(600, 1e200), "between 1e-30 and 1e.30, or be 0; got 1e.200 to 1e.200"),
    ],
)
def test_bad_weights_are_refused(blobs, weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3).fit(blobs, sample_weight=weight)


def test_a_generator_is_refused(blobs):
    with pytest.raises(ValueError, match="walked once"):
        GaussianMixture(3).fit(part for part in np.array_split(blobs, 2))
    with pytest.raises(TypeError, match="Sparse"):
        GaussianMixture(3).fit(csr_array(blobs))


def test_a_ridge_too_little_to_divide_by_is_refused(rng):
    with pytest.raises(ValueError, match="reg_covar=1e-300 is too little"):
        GaussianMixture(2, reg_covar=1e-300).fit(rng.normal(size=(20, 2)))


def test_equal_columns_leave_no_noise_to_compare_with(rng):
    X = rng.normal(size=(13, 1)).repeat(2, axis=1)
    assert np.isfinite(GaussianMixture(2, random_state=0).fit(X).score(X))
