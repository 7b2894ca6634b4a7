"""The transformer that projects on directions found by moments."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spectral_estimators import TensorFeatures
from spectral_nn.data.rows import Rows
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.jackknife import direction_errors
from spectral_nn.runners.base import SerialRunner

N, D = 20_000, 6


@pytest.fixture(scope="module")
def planted():
    """Rows, two directions that matter, and the targets of a network with these two units."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D)) + 2
    U = np.linalg.qr(rng.standard_normal((D, 2)))[0].T
    Z = (X - 2) @ U.T
    y = np.maximum(Z[:, 0] - 0.3, 0) - np.maximum(Z[:, 1] + 0.2, 0)
    return X, U, y


@pytest.fixture(scope="module")
def features(planted):
    X, _, y = planted
    return TensorFeatures(n_components=2, random_state=0).fit(X, y)


def worst_angle(found, planted):
    """Largest angle of a planted direction to the nearest found one, degrees."""
    cosines = np.abs(planted @ found.T).max(axis=1)
    return np.degrees(np.arccos(np.minimum(cosines, 1))).max()


def worst_angle_to_span(found, planted):
    """Largest angle of a planted direction to the span of those found, degrees."""
    basis = np.linalg.qr(found.T)[0]
    return np.degrees(np.arccos(np.minimum(np.linalg.norm(planted @ basis, axis=1), 1))).max()


def test_planted_directions(planted, features):
    assert features.components_.shape == (2, D)
    assert_allclose(np.linalg.norm(features.components_, axis=1), 1)
    assert worst_angle(features.components_, planted[1]) < 5
    assert features.n_components_ == 2
    assert len(features.singular_values_) >= 2


def test_projections(planted, features):
    X = planted[0]
    expected = (X - features.mean_) @ features.components_.T
    assert_allclose(features.transform(X), expected, atol=1e-10)
    assert_allclose(features.mean_, X.mean(axis=0), atol=1e-8)
    assert_array_equal(features.get_feature_names_out(), ["tensorfeatures0", "tensorfeatures1"])


def test_labels(planted):
    X, U, y = planted
    names = np.where(y > 0, "up", "down")
    strings = TensorFeatures(2, random_state=0).fit(X, names)
    assert worst_angle_to_span(strings.components_, U) < 10
    for labels in (y > 0, (y > 0).astype(int)):
        same = TensorFeatures(2, random_state=0).fit(X, labels)
        assert_allclose(same.components_, strings.components_)
    three = TensorFeatures(2, random_state=0).fit(X, np.digitize(y, [-0.3, 0.3]))
    assert worst_angle_to_span(three.components_, U) < 10


def test_what_counts_as_labels(planted):
    X, _, y = planted
    whole = np.round(y).astype(int)  # some ten values
    as_classes = TensorFeatures(2, random_state=0).fit(X, whole)
    as_numbers = TensorFeatures(2, random_state=0, target="numbers").fit(X, whole)
    floats = TensorFeatures(2, random_state=0).fit(X, whole.astype(float))
    assert_allclose(as_numbers.components_, floats.components_)
    assert not np.allclose(as_classes.components_, floats.components_)


def test_several_targets(planted):
    X, U, y = planted
    Y = np.column_stack([y, np.maximum((X - 2) @ U[0], 0)])
    assert worst_angle(TensorFeatures(2, random_state=0).fit(X, Y).components_, U) < 5


def test_sparse_rows_are_dense_rows(planted):
    X, _, y = planted
    X = np.where(X > 2, X, 0.0)
    dense = TensorFeatures(2, random_state=0).fit(X, y)
    other = TensorFeatures(2, random_state=0).fit(sparse.csr_array(X), y)
    assert_allclose(other.transform(sparse.csr_array(X)), dense.transform(X), atol=1e-6)


def test_single_precision(planted, features):
    X, _, y = planted
    single = TensorFeatures(2, random_state=0).fit(X.astype(np.float32), y)
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    assert worst_angle(single.components_, features.components_) < 1


def test_clone_and_pickle(planted, features):
    X, _, y = planted
    assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), features.transform(X))
    assert_array_equal(clone(features).fit(X, y).components_, features.components_)


def test_in_a_pipeline(planted):
    X, _, y = planted
    model = make_pipeline(TensorFeatures(2, random_state=0), LogisticRegression())
    assert model.fit(X, y > 0).score(X, y > 0) > 0.9
    pytest.importorskip("pandas")
    frame = model[0].set_output(transform="pandas").transform(X[:3])
    assert list(frame.columns) == ["tensorfeatures0", "tensorfeatures1"]


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"n_components": 0}, "n_components"), ({"target": "ranks"}, "target")],
)
def test_settings_are_named(planted, settings, name):
    X, _, y = planted
    with pytest.raises(ValueError, match=name):
        TensorFeatures(**settings).fit(X, y)


def test_bad_targets(planted):
    X, _, y = planted
    features = TensorFeatures(2)
    with pytest.raises(ValueError, match="requires y"):
        features.fit(X, None)
    with pytest.raises(ValueError, match="one class only"):
        features.fit(X, np.full(N, "a"))
    with pytest.raises(ValueError, match="y must hold numbers"):
        TensorFeatures(2, target="numbers").fit(X, np.where(y > 0, "up", "down"))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        features.fit(X, np.where(y > 0, y, np.nan))
    with pytest.raises(NotFittedError):
        features.transform(X)
    assert not hasattr(features, "n_features_in_")


class TestInstalments:
    def sample(self, n=12_000, d=6):
        rng = np.random.default_rng(3)
        X = rng.standard_normal((n, d))
        y = np.maximum(X[:, 0] + X[:, 1] - 0.5, 0) - np.maximum(X[:, 2], 0)
        return X, y + 0.05 * rng.standard_normal(n)

    def test_parts_do_not_matter_after_the_first(self):
        X, y = self.sample()
        first = slice(0, 4000)
        one = TensorFeatures(2, random_state=0).partial_fit(X[first], y[first])
        two = TensorFeatures(2, random_state=0).partial_fit(X[first], y[first])
        one.partial_fit(X[4000:], y[4000:])
        for begin in range(4000, 12_000, 1000):
            two.partial_fit(X[begin : begin + 1000], y[begin : begin + 1000])
        assert_allclose(np.abs(one.components_ @ two.components_.T), np.eye(2), atol=0.05)
        assert_allclose(np.abs(np.sum(one.components_ * two.components_, axis=1)), 1, atol=1e-8)
        assert one.report_.n_effective == pytest.approx(12_000)

    def test_more_rows_sharpen(self):
        X, y = self.sample(40_000)
        truth = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]).T
        features = TensorFeatures(2, random_state=0).partial_fit(X[:1000], y[:1000])
        before = direction_angles(features.components_.T, truth).max()
        features.partial_fit(X[1000:], y[1000:])
        after = direction_angles(features.components_.T, truth).max()
        assert after < 3 < before

    def test_a_failed_fit_forgets_nothing(self):
        X, y = self.sample()
        features = TensorFeatures(2, random_state=0).partial_fit(X[:2000], y[:2000])
        with pytest.raises(ValueError, match="no column that varies"):
            features.fit(np.ones_like(X), y)
        features.partial_fit(X[2000:4000], y[2000:4000])
        assert features.report_.n_effective == pytest.approx(4000)
        assert_allclose(features.mean_, X[:4000].mean(axis=0), atol=1e-12)

    def test_other_outputs_than_before(self):
        X, y = self.sample()
        features = TensorFeatures(2, random_state=0).partial_fit(X[:2000], y[:2000])
        with pytest.raises(ValueError, match="y has 2 columns, but that of the first"):
            features.partial_fit(X[2000:4000], np.stack([y, y], axis=1)[2000:4000])
        assert features.report_.n_effective == pytest.approx(2000)

    def test_fit_forgets(self):
        X, y = self.sample()
        features = TensorFeatures(2, random_state=0).partial_fit(X[:2000], y[:2000])
        features.fit(X, y)
        fresh = TensorFeatures(2, random_state=0).partial_fit(X[:3000], y[:3000])
        features.partial_fit(X[:3000], y[:3000])
        assert_allclose(features.components_, fresh.components_)

    @pytest.mark.filterwarnings("ignore:The decomposition is in doubt")
    def test_labels_of_the_first_call_are_all(self):
        X, y = self.sample()
        labels = np.where(y > 1, "high", "low")
        features = TensorFeatures(2, random_state=0)
        features.partial_fit(X[:3000], labels[:3000], classes=["high", "low", "middle"])
        features.partial_fit(X[3000:], np.where(y[3000:] > 0.3, "middle", "low"))
        before = features.components_.copy()
        with pytest.raises(ValueError, match="none"):
            features.partial_fit(X[:100], np.repeat("none", 100))
        assert_allclose(features.components_, before)


class TestStandardErrors:
    def test_errors_are_those_of_the_core(self, planted, features):
        X, U, y = planted
        found = features.standard_errors(X, y)
        rows = Rows.of(X, y[:, None])
        core = direction_errors(rows, features.components_, n_groups=20, run=SerialRunner())
        assert_array_equal(found.errors, core.errors)
        assert found.replicates.shape == (20, 2, D)
        assert (found.angles > 0.2).all()
        assert (found.angles < 5).all()
        low, high = found.intervals(0.9999)
        order = np.abs(features.components_ @ U.T).argmax(axis=1)
        true = U[order] * np.sign(np.sum(U[order] * features.components_, axis=1))[:, None]
        assert ((low < true) & (true < high)).all()

    def test_labels_sparse_rows_and_workers(self, planted):
        X, _, y = planted
        names = np.where(y > 0, "up", "down")
        features = TensorFeatures(2, random_state=0).fit(X, names)
        plain = features.standard_errors(X, names)
        sparse_rows = features.standard_errors(sparse.csr_array(X), names)
        assert_allclose(sparse_rows.errors, plain.errors, rtol=1e-6)
        threads = clone(features).set_params(n_jobs=2).fit(X, names)
        assert_array_equal(threads.standard_errors(X, names).errors, plain.errors)

    def test_chunks_and_weights(self, planted):
        X, _, y = planted
        features = TensorFeatures(2, random_state=0).fit(X, y)
        chunks = [(X[:16_384], y[:16_384]), (X[16_384:], y[16_384:])]
        whole = features.standard_errors(X, y).errors
        assert_allclose(features.standard_errors(chunks).errors, whole, rtol=1e-6)
        half = features.standard_errors(X, y, np.full(N, 0.5)).errors
        assert_allclose(half, whole, rtol=1e-6)

    def test_single_precision(self, planted, features):
        X, _, y = planted
        single = TensorFeatures(2, random_state=0).fit(X.astype(np.float32), y)
        errors = single.standard_errors(X.astype(np.float32), y).errors
        assert_allclose(errors, features.standard_errors(X, y).errors, rtol=0.05, atol=1e-4)

    def test_other_data_are_noticed(self, planted, features):
        X = planted[0]
        other = np.maximum(X[:, 0] - 2, 0) + np.maximum(X[:, 1] - X[:, 2], 0)
        with pytest.warns(UserWarning, match="standard errors from the one that the moments"):
            features.standard_errors(X, other)

    def test_bad_arguments_are_named(self, planted, features):
        X, _, y = planted
        with pytest.raises(NotFittedError):
            TensorFeatures(2).standard_errors(X, y)
        for n_groups in (1, 2.5):
            with pytest.raises(ValueError, match=f"n_groups must be.*got {n_groups}"):
                features.standard_errors(X, y, n_groups=n_groups)
        with pytest.raises(ValueError, match="X has 12 rows, fewer than n_groups=20"):
            features.standard_errors(X[:12], y[:12])
        with pytest.raises(ValueError, match="X has 5 features"):
            features.standard_errors(X[:, :5], y)
        cubic = TensorFeatures(2, input_model="cubic", random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="input_model='cubic' has no standard errors"):
            cubic.standard_errors(X, y)

    @pytest.mark.filterwarnings("ignore")  # more directions than columns are in doubt
    def test_too_many_directions_are_named(self, planted):
        X, _, y = planted
        many = TensorFeatures(13, random_state=0).fit(X[:2000], y[:2000])
        with pytest.raises(ValueError, match="n_components=13 directions are too many"):
            many.standard_errors(X, y)
