"""What the network estimators say to bad input, and that nothing half-fitted is left behind."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError

from spectral_estimators import MLPClassifier, MLPRegressor, RecoveryWarning

N, D = 60, 3
X = np.random.default_rng(0).standard_normal((N, D))
y = X[:, 0] - np.maximum(X[:, 1], 0)
LABELS = np.where(y > 0, "up", "down")
BOTH = pytest.mark.parametrize("Network", [MLPRegressor, MLPClassifier])


def fitted(Network, **settings):
    return make(Network, **settings).fit(X, target(Network))


def make(Network, **settings):
    return Network(**({"hidden_layer_sizes": (4,), "init": "random", "tol": 0.1} | settings))


def target(Network):
    return LABELS if Network is MLPClassifier else y


def spoilt(array, value, at=(7, 1)):
    array = np.array(array, dtype=float)
    array[at] = value
    return array


@BOTH
class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("activation", "sine"),
            ("solver", "newton"),
            ("learning_rate", "halving"),
            ("power_t", -0.5),
            ("momentum", 1.5),
            ("nesterovs_momentum", "yes"),
            ("init", "kaiming"),
            ("input_model", "uniform"),
            ("alpha", -1e-3),
            ("batch_size", 0),
            ("learning_rate_init", 0.0),
            ("max_iter", -1),
            ("max_iter", 1.5),
            ("max_fun", 0),
            ("tol", -1.0),
            ("validation_fraction", 1.0),
            ("beta_1", 1.0),
            ("beta_2", -0.1),
            ("epsilon", 0.0),
            ("n_iter_no_change", 0),
            ("hidden_layer_sizes", "wide"),
            ("hidden_layer_sizes", 0),
            ("hidden_layer_sizes", (4, -1)),
            ("hidden_layer_sizes", (4.5,)),
            ("hidden_layer_sizes", [[4]]),
            ("n_jobs", "all"),
        ],
    )
    def test_are_named(self, Network, name, value):
        net = make(Network, **{name: value})
        with pytest.raises(ValueError, match=name):
            net.fit(X, target(Network))
        assert not [attribute for attribute in vars(net) if attribute.endswith("_")]

    @pytest.mark.parametrize("sizes", [(4, 3), ()])
    def test_moments_find_one_layer(self, Network, sizes):
        net = make(Network, init="nn-lift", hidden_layer_sizes=sizes)
        with pytest.raises(ValueError, match=rf"{len(sizes)} hidden layers.*Use init='random'"):
            net.fit(X, target(Network))
        assert not hasattr(net, "coefs_")

    def test_an_automatic_width_needs_moments(self, Network):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes='auto'.*init='tensor'"):
            make(Network, hidden_layer_sizes="auto").fit(X, target(Network))

    def test_too_few_rows_to_validate(self, Network):
        with pytest.raises(ValueError, match="validation set is too small"):
            make(Network, early_stopping=True).fit(X[:9], target(Network)[:9])

    def test_stopping_short_is_said(self, Network):
        with pytest.warns(ConvergenceWarning, match=r"ITERATIONS REACHED .*Raise max_iter=2,"):
            make(Network, max_iter=2, tol=0).fit(X, target(Network))
        with pytest.warns(ConvergenceWarning, match=r"'adam'.*max_iter is reached.*max_iter=2 or"):
            make(Network, solver="adam", max_iter=2, tol=0).fit(X, target(Network))
        with pytest.warns(ConvergenceWarning, match="EVALUATIONS EXCEEDS .*max_fun=6 or tol"):
            net = make(Network, max_fun=6, tol=0).fit(X, target(Network))
        assert 1 < net.n_iter_ <= 6


@BOTH
class TestRows:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_not_finite(self, Network, value, form):
        net = make(Network)
        with pytest.raises(ValueError, match="Input X contains"):
            net.fit(form(spoilt(X, value)), target(Network))
        assert not hasattr(net, "n_features_in_")
        net.fit(X, target(Network))
        with pytest.raises(ValueError, match="Input X contains"):
            net.predict(form(spoilt(X, value)))

    def test_shapes(self, Network):
        net = make(Network)
        for wrong in (X[:, 0], X[None], X[:0]):
            with pytest.raises(ValueError, match=r"[Ff]ound|Expected 2D"):
                net.fit(wrong, target(Network))
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            net.fit(X, target(Network)[:-1])
        net.fit(X, target(Network))
        with pytest.raises(ValueError, match="X has 2 features, but"):
            net.predict(X[:, :2])

    def test_before_fit(self, Network):
        net = make(Network)
        for method in ("predict", "predict_proba", "predict_log_proba"):
            if hasattr(net, method):
                with pytest.raises(NotFittedError):
                    getattr(net, method)(X)

    @pytest.mark.parametrize(
        ("weight", "said"),
        [
            (spoilt(np.ones(N), -1, 3), r"sample_weight\[3\] is -1"),
            (spoilt(np.ones(N), np.nan, 3), "sample_weight contains NaN"),
            (np.ones((N, 1)), "Sample weights must be 1D"),
            (np.ones(N - 1), "inconsistent numbers"),
            (np.zeros(N), "sample_weight is zero for every row"),
        ],
    )
    def test_weights(self, Network, weight, said):
        net = make(Network)
        with pytest.raises(ValueError, match=said):
            net.fit(X, target(Network), sample_weight=weight)
        assert not hasattr(net, "coefs_")

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning")
    def test_a_loss_that_is_not_finite(self, Network):
        net = make(Network, init="tensor", max_iter=0)
        with pytest.raises(ValueError, match=r"loss is not finite .*scale them"):
            net.fit(1e-300 * X, target(Network))  # by weights whose squares overflow
        assert not hasattr(net, "coefs_")

    def test_a_column_of_targets_is_flattened(self, Network):
        with pytest.warns(DataConversionWarning):
            net = make(Network).fit(X, target(Network)[:, None])
        assert net.predict(X).shape == (N,)


class TestRegressor:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_targets_that_are_not_finite(self, value):
        with pytest.raises(ValueError, match="Input y contains"):
            make(MLPRegressor).fit(X, spoilt(y, value, 3))

    def test_rows_far_beyond_those_of_fit(self):
        net = make(MLPRegressor).fit(X, y)
        net.coefs_[0][:] = 2.0
        with pytest.raises(ValueError, match="network gives for X is beyond float64"):
            net.predict(np.full((2, X.shape[1]), 1.7e308))

    def test_targets_beyond_the_precision_of_the_rows(self):
        with pytest.raises(ValueError, match="y holds numbers beyond float32, the precision of X"):
            make(MLPRegressor).fit(X.astype(np.float32), 1e200 * y)

    def test_targets_that_are_no_numbers(self):
        with pytest.raises(ValueError, match="could not convert string to float"):
            make(MLPRegressor).fit(X, LABELS.astype(object))
        with pytest.raises(ValueError, match="y must hold numbers: could not convert string"):
            make(MLPRegressor).fit(X, LABELS)

    def test_a_step_that_diverges(self):
        net = make(
            MLPRegressor, solver="adam", activation="square", learning_rate_init=1e200, tol=0
        )
        with pytest.raises(ValueError, match=r"at step \d+ of solver='adam'.*learning_rate_init"):
            net.fit(X, y)


class TestClassifier:
    def test_numbers_are_no_labels(self):
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            make(MLPClassifier).fit(X, y)

    def test_tables_of_classes(self):
        with pytest.raises(ValueError, match="Multioutput target data is not supported"):
            make(MLPClassifier).fit(X, np.arange(2 * N).reshape(N, 2) % 3)


class TestGoingOn:
    @BOTH
    def test_with_another_width(self, Network):
        net = fitted(Network).set_params(warm_start=True, hidden_layer_sizes=(5,))
        before = net.coefs_
        with pytest.raises(ValueError, match=re.escape("hidden_layer_sizes=(5,)")):
            net.fit(X, target(Network))
        with pytest.raises(ValueError, match="has \\(4,\\)"):
            net.partial_fit(X, target(Network))
        assert net.coefs_ is before

    @BOTH
    def test_with_other_columns(self, Network):
        net = fitted(Network, warm_start=True)
        with pytest.raises(ValueError, match="X has 2 features"):
            net.fit(X[:, :2], target(Network))
        with pytest.raises(ValueError, match="X has 2 features"):
            net.partial_fit(X[:, :2], target(Network))

    @BOTH
    def test_batches_hold_nothing_out(self, Network):
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            fitted(Network).set_params(early_stopping=True).partial_fit(X, target(Network))

    def test_with_more_outputs(self):
        with pytest.raises(ValueError, match="y has 2 columns of targets"):
            fitted(MLPRegressor).partial_fit(X, np.column_stack([y, y]))

    def test_with_other_classes(self):
        net = fitted(MLPClassifier)
        with pytest.raises(ValueError, match=r"y has classes .*: \['sideways'\]"):
            net.partial_fit(X, np.full(N, "sideways"))
        net.set_params(warm_start=True)
        with pytest.raises(ValueError, match=r"Previously got \['down' 'up'\], `y` has \['up'\]"):
            net.fit(X, np.full(N, "up"))
        with pytest.raises(ValueError, match="is not what earlier calls were given"):
            net.partial_fit(X, LABELS, classes=["up", "down", "sideways"])
        with pytest.raises(ValueError, match="multilabel-indicator"):
            net.partial_fit(X, np.eye(2, dtype=int)[np.arange(N) % 2])

    def test_batches_need_all_classes_first(self):
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            make(MLPClassifier).partial_fit(X, LABELS)
        for classes in (["up"], ["up", "sideways"]):
            with pytest.raises(ValueError, match="not among those"):
                make(MLPClassifier).partial_fit(X, LABELS, classes=classes)

    def test_other_columns_of_labels(self):
        Y = np.random.default_rng(0).integers(2, size=(N, 3))
        net = make(MLPClassifier, max_iter=1000).fit(X, Y)
        with pytest.raises(ValueError, match="y has 2 columns of labels"):
            net.partial_fit(X, Y[:, :2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestMoments:
    """What ``init="tensor"`` says out loud, and goes on; or does not."""

    def setup_method(self):
        self.rng = np.random.default_rng(0)
        self.X = self.rng.standard_normal((1000, 4))

    def fit(self, X, **settings):
        y = np.maximum(X[:, 0], 0) - np.maximum(X[:, 1] + 0.3, 0)
        settings = {"hidden_layer_sizes": (2,), "random_state": 0, "max_iter": 20} | settings
        return MLPRegressor(**settings).fit(X, y)

    def assert_warns(self, said, X, **settings):
        with pytest.warns(RecoveryWarning, match=said):
            net = self.fit(X, **settings)
        assert np.isfinite(net.predict(X)).all()
        return net

    def test_a_constant_column(self):
        X = np.insert(self.X, 2, 7.0, axis=1)
        with pytest.warns(UserWarning, match=r"1 constant columns of X \(2\)"):
            net = self.fit(X)
        assert net.coefs_[0].shape == (5, 2)

    @pytest.mark.parametrize(
        ("settings", "at", "said"),
        [
            ({"hidden_layer_sizes": (3, 2)}, slice(None), r"\(3, 2\) asks for 2 hidden layers"),
            ({"hidden_layer_sizes": ()}, slice(None), "0 hidden layers"),
            ({"activation": "square"}, slice(None), "'square'.*span"),
            ({"activation": "identity"}, slice(None), "'identity'.*span"),
            ({}, [0] * 50, "X has no column that varies"),
            ({}, [0], "X has n_samples=1"),
        ],
    )
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_nothing_to_start_from(self, settings, at, said, method):
        X, y = self.X[at], self.X[at, 0]
        settings = {"hidden_layer_sizes": (2,), "random_state": 0, "max_iter": 5} | settings
        with pytest.warns(RecoveryWarning, match=f"The start is random: .*{said}"):
            net = getattr(MLPRegressor(**settings), method)(X, y)
        assert net.init_ == "random"
        assert net.report_.winner == "random"
        assert np.isfinite(net.predict(self.X)).all()
        net = MLPRegressor(**settings | {"init": "nn-lift"})
        with pytest.raises(ValueError, match=said):
            getattr(net, method)(X, y)
        assert not hasattr(net, "coefs_")

    @pytest.mark.parametrize(
        ("settings", "at"), [({"activation": "identity"}, slice(None)), ({}, [0])]
    )
    def test_nothing_to_read_a_width_off(self, settings, at):
        with pytest.raises(ValueError, match=r"span|n_samples=1"):
            self.fit(self.X[at], hidden_layer_sizes="auto", **settings)

    def test_a_column_twice(self):
        self.assert_warns("covariance of X is singular", np.hstack([self.X, self.X[:, :1]]))

    def test_too_few_rows(self):
        self.assert_warns(r"n=60 rows .*5 d k\^2 = 80", self.X[:60])

    def test_more_units_than_dimensions(self):
        self.assert_warns("k=6 units in 4 dimensions", self.X, hidden_layer_sizes=(6,))

    def test_more_units_than_rows(self):
        self.assert_warns("n=20 rows", self.X[:20], hidden_layer_sizes=(30,))

    def test_heavy_tails(self):
        self.assert_warns("heavy tails", self.rng.standard_t(2, size=(1000, 4)))

    def test_columns_of_two_values(self):
        self.assert_warns("few values", np.hstack([self.X, np.sign(self.X)]))

    def test_a_constant_target(self):
        net = MLPRegressor(hidden_layer_sizes=(2,)).fit(self.X, np.ones(1000))
        np.testing.assert_allclose(net.predict(self.X), 1, atol=0.1)
