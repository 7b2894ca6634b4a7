"""Spiking networks as users call them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from spectral_estimators import EquilibriumMLPClassifier, SpikingClassifier
from spectral_nn.arrays import to_numpy

QUICK = {"hidden_layer_sizes": (16,), "n_steps": 8, "learning_rate_init": 0.02, "random_state": 0}
few_epochs = pytest.mark.filterwarnings("ignore:The fit by solver")


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def quick(**settings):
    return SpikingClassifier(**(QUICK | settings))


@pytest.mark.parametrize("sizes", [(100,), (64, 64)])
def test_digits_are_read(sizes):
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    net = SpikingClassifier(
        sizes, batch_size=64, learning_rate="cosine", max_iter=20, random_state=0
    )
    assert net.fit(X_train, y_train).score(X_test, y_test) >= 0.96


@few_epochs
def test_labels_of_every_kind(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    settings = {"max_iter": 30, "batch_size": 32}
    three = quick(**settings).fit(X, names)
    two = quick(**settings).fit(X, y == 0)
    table = np.stack([y == 0, y == 2], axis=1).astype(int)
    both = quick(**settings).fit(X, table)
    one = quick(max_iter=3).fit(X, np.ones(len(X)))
    assert three.score(X, names) > 0.9
    assert three.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert_allclose(three.predict_proba(X).sum(axis=1), 1)
    assert_array_equal(three.classes_[three.predict_proba(X).argmax(axis=1)], three.predict(X))
    assert two.score(X, y == 0) > 0.95
    assert two.predict_proba(X).shape == (len(X), 2)
    assert (both.predict(X) == table).mean() > 0.9
    assert one.predict(X).tolist() == [1] * len(X)


@few_epochs
def test_spikes_are_counted(iris):
    X, y = iris
    weight = np.where(y == 1, 0.0, 2.0)
    net = quick(max_iter=5).fit(X, y, sample_weight=weight)
    counts = net.spikes_per_sample(X)
    assert counts.shape == (len(X),)
    assert_array_equal(counts, np.round(counts))
    assert (counts <= 16 * 8).all()
    assert net.n_spikes_ == pytest.approx(np.average(counts, weights=weight))
    longer = net.set_params(n_steps=80).spikes_per_sample(X)
    assert 9 < longer.sum() / counts.sum() < 13  # the first steps wait for potentials to rise


@few_epochs
def test_attributes_and_copies(iris):
    X, y = iris
    told = []
    net = quick(max_iter=4, verbose=lambda *line: told.append(line)).fit(X, y)
    assert (net.n_iter_, len(net.loss_curve_)) == (4, 4)
    assert net.loss_ == net.loss_curve_[-1]
    assert [(stage, step) for stage, step, _ in told] == [("adam", i) for i in (1, 2, 3, 4)]
    assert [coef.shape for coef in net.coefs_] == [(4, 16), (16, 3)]
    assert net.n_features_in_ == 4
    again = clone(net).set_params(verbose=False).fit(X, y)
    assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(again)).predict(X), net.predict(X))


@few_epochs
def test_rows_of_weight_zero_are_not_there(iris):
    X, y = iris
    weight = np.where(np.arange(len(X)) % 3 == 0, 0.0, np.linspace(0.5, 2, len(X)))
    net = quick(max_iter=3, batch_size=20).fit(X, y, sample_weight=weight)
    some = weight > 0
    expected = clone(net).fit(X[some], y[some], sample_weight=weight[some])
    assert_array_equal(net.coefs_[0], expected.coefs_[0])
    assert (net.coefs_[0] != clone(net).fit(X[some], y[some]).coefs_[0]).any()


@few_epochs
def test_arrays_stay_where_they_are(iris, xp):
    X, y = iris
    here = quick(max_iter=3).fit(X, y)
    there = quick(max_iter=3).fit(xp.asarray(X), y)
    for name in ("predict_proba", "spikes_per_sample", "predict"):
        found = getattr(there, name)(xp.asarray(X))
        assert type(found) is type(xp.asarray(X))
        assert_allclose(to_numpy(found), getattr(here, name)(X), rtol=1e-8)
    assert type(there.coefs_[0]) is type(xp.asarray(X))


@few_epochs
def test_single_precision_stays(iris):
    X, y = iris
    net = quick(max_iter=3).fit(X.astype(np.float32), y)
    assert net.coefs_[0].dtype == np.float32
    assert net.predict_proba(X.astype(np.float32)).dtype == np.float32


@few_epochs
def test_sparse_rows_are_as_good(iris):
    X, y = iris
    X = np.where(X > 0, X, 0)
    dense, thin = (quick(max_iter=5).fit(table, y) for table in (X, sparse.csr_array(X)))
    assert_allclose(thin.predict_proba(sparse.csr_array(X)), dense.predict_proba(X), rtol=1e-6)


def test_too_few_epochs_are_told(iris):
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        quick(max_iter=2).fit(*iris)


def test_no_epochs_leave_the_start(iris):
    X, y = iris
    net = quick(max_iter=0).fit(X, y)
    assert net.n_iter_ == 0
    assert net.predict_proba(X).shape == (len(X), 3)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes"),
        ({"n_steps": 0}, "n_steps"),
        ({"decay": 1.1}, "decay"),
        ({"surrogate_slope": 0}, "surrogate_slope"),
        ({"solver": "lbfgs"}, "solver"),
    ],
)
def test_bad_settings_are_named(iris, settings, word):
    with pytest.raises(ValueError, match=word):
        quick(**settings).fit(*iris)


def test_chunks_are_refused(iris):
    X, y = iris
    with pytest.raises(ValueError, match="Give X as an array in memory"):
        quick().fit([(X, y), (X, y)], None)


def test_a_loss_that_is_no_number_leaves_nothing_behind(iris):
    net = quick(solver="sgd", learning_rate_init=1e308)
    with pytest.raises(ValueError, match="loss is not finite"):
        net.fit(*iris)
    with pytest.raises(NotFittedError):
        net.predict(iris[0])


def test_weights_whose_sum_is_no_number():
    X, y = np.eye(6), np.arange(6) % 2
    for kind in (SpikingClassifier, EquilibriumMLPClassifier):
        with pytest.raises(ValueError, match="sample_weight must lie between"):
            kind(max_iter=1).fit(X, y, np.full(6, 1e308))
