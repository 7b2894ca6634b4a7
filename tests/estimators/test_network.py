"""The network estimators as users meet them: in the place of scikit-learn's."""

import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectral_estimators import MLPClassifier, MLPRegressor

EASY = {"init": "random", "random_state": 0, "tol": 1e-2}
BOTH = pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def planted():
    """Rows and targets of a network with two ReLU units."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4))
    y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2] - 0.5, 0)
    return X, y


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def regressor(**settings):
    return MLPRegressor(**({"hidden_layer_sizes": (8,)} | EASY | settings))


def classifier(**settings):
    return MLPClassifier(**({"hidden_layer_sizes": (8,)} | EASY | settings))


class TestInterface:
    @pytest.mark.parametrize(
        ("ours", "theirs"), [(MLPRegressor, TheirRegressor), (MLPClassifier, TheirClassifier)]
    )
    def test_the_same_keywords_with_the_same_defaults(self, ours, theirs):
        ours, theirs = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        assert [name for name in ours if name in theirs] == list(theirs)
        differ = {
            name for name in set(ours) & set(theirs) if ours[name].default != theirs[name].default
        }
        assert differ == {"hidden_layer_sizes", "solver"}
        assert all(ours[name].kind is theirs[name].kind for name in theirs)
        own = ["init", "input_model", "n_jobs", "device", "input_distribution"]
        own += ["link"] if "loss" in theirs else []
        own += ["residual", "stochastic_depth"]
        assert list(ours)[len(theirs) :] == own

    @unfinished
    @BOTH
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_the_same_attributes_after_fit(self, planted, solver, early_stopping):
        settings = {"solver": solver, "early_stopping": early_stopping, "max_iter": 20}
        net = regressor(**settings).fit(*planted)
        other = TheirRegressor(hidden_layer_sizes=(8,), **(settings | {"solver": "adam"})).fit(
            *planted
        )
        public = {n for n in vars(other) if n.endswith("_") and not n.startswith("_")}
        assert public <= set(vars(net))
        for name in public - {"n_iter_", "t_"}:
            value, expected = getattr(net, name), getattr(other, name)
            assert (value is None) == (expected is None), name
            assert isinstance(value, list) == isinstance(expected, list), name
        assert [c.shape for c in net.coefs_] == [(4, 8), (8, 1)]
        assert [b.shape for b in net.intercepts_] == [(8,), (1,)]
        assert len(net.loss_curve_) == len(net.loss_times_) == net.n_iter_ <= 20
        assert np.all(np.diff(net.loss_times_) >= 0)
        assert net.loss_times_[0] > 0
        assert net.init_ == "random"
        assert net.n_components_ == 8

    def test_a_whole_number_of_units(self, planted):
        X, y = planted
        one, other = regressor(hidden_layer_sizes=3), regressor(hidden_layer_sizes=[3])
        assert_array_equal(one.fit(X, y).predict(X), other.fit(X, y).predict(X))

    def test_deeper_networks_from_random_starts(self, planted):
        X, y = planted
        net = regressor(hidden_layer_sizes=(8, 4)).fit(X, y)
        assert net.n_layers_ == 4
        assert net.score(X, y) > 0.95

    def test_equal_seeds_give_equal_networks(self, planted):
        X, y = planted
        one, other = regressor().fit(X, y), regressor().fit(X, y)
        assert_array_equal(one.coefs_[0], other.coefs_[0])
        other = regressor(random_state=1).fit(X, y)
        assert not np.array_equal(one.coefs_[0], other.coefs_[0])

    def test_clone_and_pickle(self, planted):
        X, y = planted
        net = regressor().fit(X, y)
        assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))
        assert_array_equal(clone(net).fit(X, y).predict(X), net.predict(X))
        assert not hasattr(clone(net), "coefs_")

    def test_grid_search_in_a_pipeline(self, iris):
        model = make_pipeline(StandardScaler(), classifier())
        search = GridSearchCV(
            model, {"mlpclassifier__activation": ["relu", "tanh"], "mlpclassifier__alpha": [1, 10]}
        )
        assert search.fit(*iris).best_score_ > 0.9
        assert cross_val_score(search.best_estimator_, *iris).mean() > 0.9

    def test_feature_names(self, planted):
        pd = pytest.importorskip("pandas")
        X, y = planted
        frame = pd.DataFrame(X, columns=list("abcd"))
        net = regressor(early_stopping=True).fit(frame, y)
        assert_array_equal(net.feature_names_in_, list("abcd"))
        with pytest.raises(ValueError, match="feature names"):
            net.predict(frame[list("badc")])

    def test_progress(self, planted, capsys):
        net = regressor(verbose=True).fit(*planted)
        lines = capsys.readouterr().out.splitlines()
        losses = enumerate(net.loss_curve_, 1)
        assert lines == [f"Iteration {step}, loss = {loss:.8f}" for step, loss in losses]
        regressor(init="tensor", hidden_layer_sizes=(2,), verbose=True).fit(*planted)
        starts, steps = capsys.readouterr().out.split("Iteration", 1)
        assert starts.startswith("moments, step 0: ")
        assert "race gaussian, step " in starts
        assert steps.startswith(" 1, loss = ")
        seen = []
        regressor(verbose=lambda *told: seen.append(told)).fit(*planted)
        assert [loss for _, _, loss in seen] == net.loss_curve_

    def test_the_report_prints(self, planted):
        report = regressor(hidden_layer_sizes=(3,)).fit(*planted).report_
        assert report.winner == "random"
        assert report.unit_angles.shape == (3,)
        assert "nearest unit" in str(report)


class TestFit:
    @pytest.mark.parametrize(
        "activation", ["relu", "tanh", "logistic", "softplus", "erf", "square", "identity"]
    )
    def test_every_activation_learns(self, planted, activation):
        X, y = planted
        net = regressor(activation=activation).fit(X, y)
        assert net.score(X, y) > (0.6 if activation == "identity" else 0.8)

    @unfinished
    def test_adam_learns(self, planted):
        X, y = planted
        net = regressor(solver="adam", learning_rate_init=0.01, tol=1e-4).fit(X, y)
        assert net.score(X, y) > 0.9

    @pytest.mark.parametrize("output", ["numbers", "two classes", "classes", "labels"])
    def test_loss_is_that_of_scikit_learn(self, planted, iris, output):
        X, y = {
            "numbers": planted,
            "two classes": (iris[0][:100], iris[1][:100]),
            "classes": iris,
            "labels": make_multilabel_classification(60, 5, random_state=0),
        }[output]
        ours = regressor if output == "numbers" else classifier
        theirs = TheirRegressor if output == "numbers" else TheirClassifier
        net = ours(max_iter=0, alpha=0.3).fit(X, y)
        other = theirs(
            hidden_layer_sizes=(8,),
            alpha=0.3,
            max_iter=1,
            batch_size=len(X),
            learning_rate_init=1e-300,
        )
        with pytest.warns(ConvergenceWarning):
            other.fit(X, y)
        other.coefs_, other.intercepts_ = net.coefs_, net.intercepts_
        assert net.loss_ == pytest.approx(other.partial_fit(X, y).loss_, rel=1e-12)
        assert_array_equal(net.predict(X), other.predict(X))
        if output != "numbers":
            assert_allclose(net.predict_proba(X), other.predict_proba(X), atol=1e-14)
            assert_allclose(net.predict_log_proba(X), other.predict_log_proba(X), atol=1e-12)
        assert net.out_activation_ == other.out_activation_

    def test_no_iteration_leaves_the_start(self, planted):
        net = regressor(max_iter=0).fit(*planted)
        assert (net.n_iter_, net.loss_curve_, net.loss_times_) == (0, [], [])
        assert net.best_loss_ == net.loss_ > 0
        assert np.abs(net.coefs_[0]).max() < np.sqrt(6 / 12)  # the bound of the draw

    def test_several_outputs(self, planted):
        X, y = planted
        Y = np.column_stack([y, X[:, 0], y**2])
        net = regressor(hidden_layer_sizes=(16,), tol=1e-3, max_iter=400).fit(X, Y)
        assert net.predict(X).shape == (400, 3)
        assert net.score(X, Y) > 0.9
        assert net.n_outputs_ == 3

    @BOTH
    @unfinished
    def test_single_precision(self, planted, solver):
        X, y = planted
        net = regressor(solver=solver, max_iter=20).fit(X.astype(np.float32), y)
        assert {part.dtype for part in net.coefs_ + net.intercepts_} == {np.dtype(np.float32)}
        assert net.predict(X.astype(np.float32)).dtype == np.float32
        double = regressor(solver=solver, max_iter=20).fit(X, y)
        assert_allclose(net.predict(X), double.predict(X), atol=1e-2)

    @BOTH
    @unfinished
    @pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array])
    def test_sparse_rows_are_dense_rows(self, planted, solver, make):
        X, y = planted
        X = np.where(X > 0, X, 0.0)
        settings = {"solver": solver, "max_iter": 10, "early_stopping": True}
        dense, other = regressor(**settings).fit(X, y), regressor(**settings).fit(make(X), y)
        assert_allclose(other.predict(make(X)), dense.predict(X), rtol=1e-9)
        assert_allclose(other.predict(X), dense.predict(X), rtol=1e-9)

    @unfinished
    def test_a_weight_of_two_is_a_row_twice(self, planted):
        X, y = planted
        weight = np.arange(len(X)) % 3
        net = regressor(max_iter=10).fit(X, y, sample_weight=weight)
        twice = regressor(max_iter=10).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert_allclose(net.predict(X), twice.predict(X), rtol=1e-8)
        assert_allclose(net.loss_, twice.loss_)

    @BOTH
    @unfinished
    def test_a_weight_of_zero_is_no_row(self, planted, solver):
        X, y = planted
        weight = (np.arange(len(X)) % 4 > 0).astype(float)
        settings = {"solver": solver, "early_stopping": True, "max_iter": 10}
        net = regressor(**settings).fit(X, y, weight)
        fewer = regressor(**settings).fit(X[weight > 0], y[weight > 0], weight[weight > 0])
        assert_allclose(net.predict(X), fewer.predict(X), rtol=1e-12)


class TestCounts:
    @pytest.fixture
    def counts(self, rng):
        X = rng.standard_normal((4000, 4))
        rate = np.exp(np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2] - 0.5, 0))
        return X, rng.poisson(rate), rate

    @unfinished
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.parametrize("outputs", [1, 2])
    def test_the_numbers_are_those_of_scikit_learn(self, counts, solver, outputs):
        X, y, _ = counts
        y = y if outputs == 1 else np.stack([y, 2 * y], axis=1)
        settings = {"loss": "poisson", "solver": solver, "hidden_layer_sizes": (6,), "max_iter": 5}
        settings |= {"alpha": 0.1, "random_state": 0, "early_stopping": True}
        ours = MLPRegressor(init="random", **settings).fit(X, y)
        theirs = TheirRegressor(**settings).fit(X, y)
        assert ours.out_activation_ == theirs.out_activation_ == "exp"
        assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
        assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
        assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-8)

    @unfinished
    @pytest.mark.parametrize("init", ["tensor", "random"])
    def test_rates_are_learned(self, counts, init):
        X, y, rate = counts
        net = MLPRegressor("poisson", (4,), init=init, random_state=0, max_iter=500).fit(X, y)
        assert r2_score(rate, net.predict(X)) > 0.97
        big = MLPRegressor("poisson", (4,), init=init, random_state=0, max_iter=500)
        assert r2_score(1e4 * rate, big.fit(X, 10_000 * y).predict(X)) > 0.9

    @pytest.mark.parametrize("form", [np.asarray, lambda y: y.astype(np.float32)])
    def test_negative_numbers_are_no_counts(self, counts, form):
        X, y, _ = counts
        with pytest.raises(ValueError, match=r"y holds negative numbers, such as -1, .*poisson"):
            MLPRegressor("poisson").fit(X, form(y - 1))


class TestEarlyStopping:
    @BOTH
    def test_the_best_step_is_kept(self, planted, solver):
        X, y = planted
        rng = np.random.default_rng(0)
        y = y + rng.standard_normal(len(y))
        net = regressor(
            hidden_layer_sizes=(50,), solver=solver, early_stopping=True, learning_rate_init=0.05
        ).fit(X, y)
        assert net.best_loss_ is None
        assert len(net.validation_scores_) == net.n_iter_ < 200
        assert net.best_validation_score_ == max(net.validation_scores_)
        best = net.validation_scores_.index(net.best_validation_score_)
        assert net.n_iter_ > best + 1
        assert net.loss_ > net.loss_curve_[-1]

    def test_scores_are_those_of_the_rows_held_out(self, planted):
        X, y = planted
        rows = {"early_stopping": True, "validation_fraction": 0.999, "max_iter": 0}
        net = regressor(**rows).fit(X, y)
        assert net.validation_scores_ == []
        assert net.best_validation_score_ == -np.inf
        net = regressor(validation_fraction=0.995, early_stopping=True, max_iter=1)
        with pytest.warns(ConvergenceWarning):
            net.fit(X, y)
        assert net.validation_scores_[0] == pytest.approx(r2_score(y, net.predict(X)), abs=0.05)

    def test_every_class_is_held_out(self):
        X = np.random.default_rng(0).standard_normal((100, 3))
        y = np.repeat(["a", "b", "c"], [90, 9, 1])
        net = classifier(early_stopping=True, validation_fraction=0.4).fit(X, y)
        assert net.score(X, y) > 0.8


class TestGoingOn:
    @BOTH
    @unfinished
    def test_warm_start(self, planted, solver):
        X, y = planted
        net = regressor(solver=solver, warm_start=True, max_iter=5, tol=0).fit(X, y)
        first = net.loss_
        net.fit(X, y)
        assert net.loss_ < first
        assert net.n_iter_ == 5
        assert len(net.loss_curve_) == len(net.loss_times_) == 10
        assert net.t_ == 10 * len(X)
        assert net.init_ == "random"
        anew = net.set_params(warm_start=False).fit(X, y)
        assert anew.loss_ == pytest.approx(first)

    @BOTH
    def test_batches_teach(self, planted, solver):
        X, y = planted
        net = regressor(solver=solver, learning_rate_init=0.02)
        for _ in range(30):
            for rows in np.array_split(np.arange(len(X)), 4):
                net.partial_fit(X[rows], y[rows])
        assert net.score(X, y) > 0.9
        assert len(net.loss_curve_) == 120
        assert net.n_iter_ == 1

    @unfinished
    def test_batches_of_everything_are_epochs(self, planted):
        X, y = planted
        net = regressor(solver="adam", max_iter=7, tol=0).fit(X, y)
        other = regressor()
        for _ in range(7):
            other.partial_fit(X, y)
        assert_allclose(other.predict(X), net.predict(X), rtol=1e-12)
        assert_allclose(other.loss_curve_, net.loss_curve_, rtol=1e-12)

    @unfinished
    def test_a_pickle_goes_on_where_it_was(self, planted):
        X, y = planted
        net = regressor(solver="adam", max_iter=3).fit(X, y)
        copy = pickle.loads(pickle.dumps(net))
        assert_array_equal(copy.partial_fit(X, y).coefs_[0], net.partial_fit(X, y).coefs_[0])

    def test_batches_that_lack_classes(self, iris):
        X, y = iris
        net = classifier(learning_rate_init=0.05)
        for _ in range(30):
            for label in range(3):
                net.partial_fit(X[y == label], y[y == label], classes=[0, 1, 2])
        assert_array_equal(net.classes_, [0, 1, 2])
        assert net.predict_proba(X).shape == (150, 3)

    def test_fit_after_batches_begins_anew(self, planted):
        X, y = planted
        net = regressor().partial_fit(X[:, :2], y).fit(X, y)
        assert_array_equal(net.predict(X), regressor().fit(X, y).predict(X))


class TestClassifier:
    def test_strings(self, iris):
        X, y = iris
        names = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
        net = classifier().fit(X, names)
        assert net.score(X, names) > 0.95
        assert_array_equal(net.classes_, ["setosa", "versicolor", "virginica"])
        assert_array_equal(net.predict(X), net.classes_[net.predict_proba(X).argmax(axis=1)])
        assert net.out_activation_ == "softmax"

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_probabilities(self, iris, n_classes):
        X, y = iris
        X, y = X[y < n_classes], y[y < n_classes]
        net = classifier().fit(X, y)
        assert net.predict_proba(X).shape == (len(X), n_classes)
        for rows in (X, 1e4 * X):  # where most probabilities would be 0 and 1
            probabilities, logarithms = net.predict_proba(rows), net.predict_log_proba(rows)
            assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)
            assert_array_equal(logarithms, np.log(probabilities))
            assert np.isfinite(logarithms).all()
        assert logarithms.min() < -700
        assert ((logarithms < 0) | (probabilities == 1)).all()

    @pytest.mark.parametrize("n_classes", [2, 10])
    @pytest.mark.parametrize("library", ["numpy", "torch"])
    @unfinished
    def test_probabilities_of_float32(self, library, n_classes):
        xp = pytest.importorskip(library)
        X, y = load_digits(n_class=n_classes, return_X_y=True)
        X = xp.asarray(X, dtype=xp.float32)
        net = classifier(tol=1e-4, max_iter=400).fit(X, y)
        probabilities = net.predict_proba(X)
        assert probabilities.dtype == xp.float32
        rounding = 4 * xp.finfo(xp.float32).eps
        assert_allclose(np.asarray(probabilities).sum(axis=1, dtype=float), 1, rtol=rounding)
        assert_array_equal(net.predict_log_proba(X), xp.log(probabilities))
        assert xp.isfinite(net.predict_log_proba(X)).all()
        if n_classes > 2:
            assert roc_auc_score(y, probabilities, multi_class="ovr") > 0.9

    @pytest.mark.parametrize("label", [3, "a", True])
    @pytest.mark.parametrize("init", ["tensor", "random"])
    @pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning")
    @unfinished
    def test_one_class(self, iris, label, init):
        X, y = iris[0], np.full(len(iris[0]), label)
        net = classifier(init=init).fit(X, y)
        assert_array_equal(net.classes_, [label])
        assert_array_equal(net.predict(X), y)
        assert_array_equal(net.predict_proba(X), np.ones((len(X), 1)))
        assert_array_equal(net.predict_log_proba(X), np.zeros((len(X), 1)))

    @unfinished
    def test_several_labels(self):
        X, Y = make_multilabel_classification(100, 10, n_classes=4, random_state=0)
        X = StandardScaler().fit_transform(X)
        net = classifier(hidden_layer_sizes=(20,)).fit(X, Y)
        assert net.score(X, Y) > 0.9
        assert_array_equal(net.predict(X), net.predict_proba(X) > 0.5)
        assert_allclose(np.exp(net.predict_log_proba(X)), net.predict_proba(X), atol=1e-12)
        assert net.out_activation_ == "logistic"
        assert net.n_outputs_ == 4
        batch = classifier().partial_fit(X, Y).partial_fit(X, Y)
        assert batch.predict(X).shape == Y.shape


@unfinished
class TestMoments:
    """Starts that come from moments, on the planted network."""

    def setup_method(self):
        rng = np.random.default_rng(1)
        self.X = rng.standard_normal((4000, 5))
        self.y = np.maximum(self.X[:, 0] + self.X[:, 1], 0) - np.maximum(self.X[:, 2] - 0.5, 0)

    def net(self, **settings):
        return MLPRegressor(**({"hidden_layer_sizes": (2,), "random_state": 0} | settings))

    def test_the_planted_network_is_found(self):
        net = self.net().fit(self.X, self.y)
        assert net.score(self.X, self.y) > 0.999
        assert net.init_ in ("tensor", "random")
        directions = net.coefs_[0] / np.linalg.norm(net.coefs_[0], axis=0)
        planted = np.zeros((5, 2))
        planted[:2, 0], planted[2, 1] = np.sqrt(0.5), 1
        assert np.abs(planted.T @ directions).max(axis=1).min() > 0.999
        report = net.report_
        assert len(report.singular_values) >= 2
        assert report.n_needed == 5 * 5 * 2**2
        assert (report.n_iter, report.converged) == (net.n_iter_, True)
        lines = str(report).splitlines()
        assert lines[0].split()[-1] == report.winner == report.starts[0].kind
        assert any("random, loss " in line for line in lines)

    def test_pure_moments(self):
        net = self.net(max_iter=0).fit(self.X, self.y)
        assert (net.n_iter_, net.init_) == (0, "tensor")
        assert net.score(self.X, self.y) > 0.9

    def test_the_width_is_found(self):
        net = self.net(hidden_layer_sizes="auto").fit(self.X, self.y)
        assert net.n_components_ == net.coefs_[0].shape[1] == 2

    def test_the_textbook(self):
        net = self.net(init="nn-lift", activation="tanh").fit(self.X, self.y)
        assert net.init_ == "nn-lift"
        assert net.score(self.X, self.y) > 0.5

    @pytest.mark.filterwarnings("ignore:input_model='mixture' does not apply")  # Gaussian inputs
    @pytest.mark.parametrize("input_model", ["gaussian", "mixture", "cubic"])
    def test_models_of_the_inputs(self, input_model):
        net = self.net(input_model=input_model).fit(self.X, self.y)
        assert net.score(self.X, self.y) > 0.99

    def test_workers_change_nothing(self):
        one = self.net(max_iter=0, n_jobs=1).fit(self.X, self.y)
        two = self.net(max_iter=0, n_jobs=2).fit(self.X, self.y)
        assert_allclose(two.predict(self.X), one.predict(self.X), rtol=1e-9, atol=1e-9)

    def test_sparse_rows_are_dense_rows(self):
        dense = self.net(max_iter=0).fit(self.X, self.y)
        other = self.net(max_iter=0).fit(sparse.csr_array(self.X), self.y)
        assert_allclose(other.predict(self.X), dense.predict(self.X), rtol=1e-6, atol=1e-6)

    def test_batches_go_on_from_moments(self):
        net = self.net(learning_rate_init=0.01)
        for _ in range(20):
            net.partial_fit(self.X, self.y)
        assert net.init_ in ("tensor", "random")
        assert net.report_.starts
        assert net.score(self.X, self.y) > 0.9

    def test_classes(self):
        names = np.where(self.y > 0.2, "up", "down")
        net = MLPClassifier((4,), random_state=0, early_stopping=True).fit(self.X, names)
        assert net.score(self.X, names) > 0.95
        three = np.digitize(self.y, [-0.2, 0.2])
        net = MLPClassifier((4,), random_state=0, tol=1e-3).fit(self.X, three)
        assert net.score(self.X, three) > 0.9
