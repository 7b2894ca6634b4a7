"""Counts: rates that are a softplus or an exponential of the network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance, r2_score

from spectral_estimators import MLPRegressor
from spectral_nn.arrays import to_numpy
from spectral_nn.metrics import direction_angles

TRUE = np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0]]).T
unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rates():
    """Inputs, and rates of .5 on average that are sums of two units."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 5))
    rate = np.maximum(X @ TRUE - 0.3, 0).sum(axis=1)
    return X, 0.5 * rate / rate.mean()


@pytest.fixture(scope="module")
def counts(rates):
    X, rate = rates
    return X, np.random.default_rng(1).poisson(rate)


def network(**settings):
    settings = {"hidden_layer_sizes": (2,), "link": "softplus", "random_state": 0} | settings
    return MLPRegressor("poisson", **settings)


def softplus_of(net, X):
    """Predictions by hand."""
    hidden = np.maximum(X @ net.coefs_[0] + net.intercepts_[0], 0)
    f = hidden @ net.coefs_[1] + net.intercepts_[1]
    return net.output_scale_ * np.logaddexp(0, f[:, 0])


@unfinished
@pytest.mark.parametrize(("size", "scale"), [(1, 2**-3), (100, 2**3), (1e-2, 2**-10)])
def test_units_of_a_sum_are_found(rates, counts, size, scale):
    X, rate = rates
    y = np.random.default_rng(1).poisson(size * rate) if size > 1 else size * counts[1]
    net = network().fit(X, y)
    assert (net.init_, net.out_activation_, net.output_scale_) == ("tensor", "softplus", scale)
    assert r2_score(size * rate, net.predict(X)) > 0.95
    assert direction_angles(net.coefs_[0], TRUE).max() < 12
    assert_allclose(net.predict(X), softplus_of(net, X), rtol=1e-10)


@unfinished
def test_moments_alone_have_an_output_layer_of_that_loss(counts):
    X, y = counts
    net = network(max_iter=0).fit(X, y)
    assert (net.predict(X) > 0).all()
    constant = mean_poisson_deviance(y, np.full(len(y), y.mean()))
    assert mean_poisson_deviance(y, net.predict(X)) < 0.8 * constant


@unfinished
@pytest.mark.parametrize("alpha", [1e-4, 10.0])
def test_the_loss_is_the_deviance_of_the_rates(counts, alpha):
    X, y = counts
    net = network(max_iter=20, alpha=alpha, init="random").fit(X, y)
    penalty = alpha * sum((coef**2).sum() for coef in net.coefs_) / len(y)
    deviance = mean_poisson_deviance(y, net.predict(X))
    assert net.loss_ == pytest.approx((deviance + penalty) / 2, rel=1e-9)
    assert net.loss_curve_[-1] == pytest.approx(net.loss_)


@unfinished
def test_log_is_the_default(counts):
    X, y = counts
    nets = [network(link=link, max_iter=5).fit(X, y) for link in (None, "log")]
    assert_array_equal(*(net.predict(X) for net in nets))
    assert {(net.out_activation_, net.output_scale_) for net in nets} == {("exp", 1.0)}


@unfinished
def test_rows_in_chunks_and_weights_give_the_same(counts):
    X, y = counts
    expected = network(max_iter=10).fit(X, y).predict(X)
    chunks = [(X[i : i + 1000], y[i : i + 1000]) for i in range(0, len(y), 1000)]
    assert_allclose(network(max_iter=10).fit(chunks).predict(X), expected, rtol=1e-5)
    weighted = network(max_iter=10).fit(X, y, sample_weight=np.full(len(y), 3.0))
    assert weighted.output_scale_ == 2**-3


@unfinished
def test_arrays_of_other_libraries_and_single_precision(counts, xp):
    X, y = counts
    expected = network(max_iter=5).fit(X, y)
    there = network(max_iter=5).fit(xp.asarray(X), xp.asarray(y))
    assert_allclose(to_numpy(there.predict(xp.asarray(X))), expected.predict(X), rtol=1e-6)
    single = network(max_iter=5).fit(X.astype(np.float32), y)
    assert single.predict(X.astype(np.float32)).dtype == np.float32
    assert_allclose(single.predict(X.astype(np.float32)), expected.predict(X), rtol=0.05)


@unfinished
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_going_on_keeps_the_scale(counts, solver):
    """The weights mean what they meant, however large the new counts are."""
    X, y = counts
    settings = {"solver": solver, "max_iter": 3, "learning_rate_init": 1e-9, "warm_start": True}
    net = network(**settings, init="random").fit(X, y)
    before = net.predict(X)
    net.partial_fit(X, 64 * y)
    assert net.output_scale_ == 2**-3
    assert_allclose(net.predict(X), before, rtol=1e-3)
    net.set_params(max_iter=0).fit(X, 64 * y)
    assert net.output_scale_ == 2**-3
    assert_allclose(net.predict(X), before, rtol=1e-3)


@unfinished
def test_early_stopping_and_several_outputs(counts):
    X, y = counts
    net = network(early_stopping=True, max_iter=30).fit(X, np.stack([y, 4 * y], axis=1))
    assert net.predict(X).shape == (len(y), 2)
    assert net.best_validation_score_ == max(net.validation_scores_) > 0.1


class TestErrors:
    @pytest.mark.parametrize("link", ["log", "softplus"])
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda y: y - 1, "y holds negative numbers, such as -1, and loss='poisson' is for"),
            (lambda y: 0 * y, "y holds nothing but zeros: .* Give rows with counts above zero"),
        ],
    )
    def test_counts(self, counts, link, change, words):
        X, y = counts
        net = network(link=link)
        with pytest.raises(ValueError, match=words):
            net.fit(X, change(y))
        assert not hasattr(net, "coefs_")

    def test_names(self, counts):
        with pytest.raises(ValueError, match=r"'link' parameter .* must be .*'softplus'"):
            network(link="logit").fit(*counts)

    @pytest.mark.parametrize("call", ["fit", "partial_fit"])
    def test_squared_error_has_no_link(self, counts, call):
        net = MLPRegressor(link="log")
        words = "link='log' is for counts, and loss='squared_error' has none"
        with pytest.raises(ValueError, match=words):
            getattr(net, call)(*counts)
        assert not hasattr(net, "coefs_")


@unfinished
def test_the_score_of_counts_is_the_explained_deviance(counts):
    X, y = counts
    net = MLPRegressor("poisson", (3,), link="softplus", max_iter=20, random_state=0).fit(X, y)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    expected = d2_tweedie_score(y, net.predict(X), sample_weight=weight, power=1)
    assert net.score(X, y, weight) == pytest.approx(expected, rel=1e-6)
    twice = np.stack([y, y], axis=1)
    both = MLPRegressor("poisson", (3,), max_iter=5, random_state=0).fit(X, twice)
    halves = [d2_tweedie_score(y, rate, power=1) for rate in both.predict(X).T]
    assert both.score(X, twice) == pytest.approx(np.mean(halves), rel=1e-6)
