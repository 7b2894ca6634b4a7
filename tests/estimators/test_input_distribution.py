"""``input_distribution=``: what telling the inputs' law is worth, and what is refused."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from spectral_estimators import MLPClassifier, MLPRegressor, RecoveryWarning, TensorFeatures
from spectral_nn.datasets import planted_network
from spectral_nn.metrics import direction_angles

UNIFORM = stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))
STUDENT = stats.t(5, scale=np.sqrt(3 / 5))


def planted(law, activation="relu", n=20_000, seed=0, d=10, k=5):
    rng = np.random.default_rng(seed)
    teacher = planted_network(d, k, activation=activation, rng=rng)
    X = law.rvs((n, d), random_state=rng)
    y = teacher.predict(X)[:, 0]
    return X, y + 0.05 * y.std() * rng.standard_normal(n), teacher.coefs[0]


def cosine(weights, true):
    return np.cos(np.radians(direction_angles(weights, true))).mean()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("law", [UNIFORM, STUDENT], ids=["uniform", "student"])
def test_directions_of_planted_networks(law, activation):
    X, y, true = planted(law, activation)
    told = TensorFeatures(5, input_distribution=law, random_state=0).fit(X, y)
    assert cosine(told.components_.T, true) > 0.97


@pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning")
def test_laws_find_what_the_gaussian_model_misses():
    X, y, true = planted(UNIFORM, "tanh")
    gaussian = TensorFeatures(5, input_model="gaussian", random_state=0).fit(X, y)
    told = TensorFeatures(5, input_distribution=UNIFORM, random_state=0).fit(X, y)
    assert cosine(told.components_.T, true) > cosine(gaussian.components_.T, true) + 0.03


def test_a_law_for_each_column_in_the_units_of_x():
    X, y, true = planted(stats.norm(), n=20_000, d=4, k=2)
    scale, shift = np.array([1.0, 100.0, 0.01, 1.0]), np.array([0.0, 7.0, 0.0, -3.0])
    laws = [stats.norm(mean, sd) for mean, sd in zip(shift, scale, strict=True)]
    told = TensorFeatures(2, input_distribution=laws, random_state=0).fit(scale * X + shift, y)
    assert cosine(told.components_.T * scale[:, None], true) > 0.99


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_the_scores_race(kind):
    X, y, _ = planted(UNIFORM, n=3000, d=4, k=2)
    y = y > np.median(y) if kind is MLPClassifier else y
    net = kind(hidden_layer_sizes=(2,), max_iter=30, input_distribution=UNIFORM, random_state=0)
    kinds = [start.kind for start in clone(net).fit(X, y).report_.starts]
    assert {"gaussian", "score", "random"} <= set(kinds)
    net.set_params(init="random", input_distribution=[stats.norm()])  # which takes no moments
    assert net.fit(X, y).init_ == "random"


def test_weights_of_a_network_from_moments_alone():
    X, y, true = planted(UNIFORM, n=5000, d=4, k=2)
    net = MLPRegressor(hidden_layer_sizes=(2,), max_iter=0, random_state=0)
    told = net.set_params(input_distribution=UNIFORM).fit(X, y)
    assert cosine(told.coefs_[0], true) > 0.98
    assert told.score(X, y) > 0.95
    textbook = net.set_params(init="nn-lift").fit(X, y)
    assert textbook.report_.winner == "nn-lift"


def test_heavy_tails_that_are_known_are_no_doubt():
    law = stats.t(4)
    X, y, _ = planted(law, d=4, k=2)
    TensorFeatures(2, input_distribution=law, random_state=0).fit(X, y)
    with pytest.warns(RecoveryWarning, match="heavy tails"):
        TensorFeatures(2, random_state=0).fit(X, y)


@pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning")
def test_chunks_give_what_the_whole_gives():
    X, y, _ = planted(UNIFORM, d=3, k=2)
    told = TensorFeatures(2, input_distribution=UNIFORM, random_state=0)
    whole = told.fit(X, y).components_
    chunks = [(X[:7000], y[:7000]), (X[7000:], y[7000:])]
    np.testing.assert_allclose(told.fit(chunks).components_, whole, atol=1e-8)


@pytest.mark.parametrize(
    ("laws", "words"),
    [
        ([UNIFORM] * 2, "holds 2 laws, and X has 3 columns"),
        (stats.uniform, r"for column 0 of X, is a family of laws.*scipy.stats.uniform\(\.\.\.\)"),
        ([UNIFORM, UNIFORM, stats.binom(3, 0.5)], "for column 2 of X, is a discrete law"),
        (stats.t(2), "for column 0 of X, has the standard deviation inf"),
        ([UNIFORM, 3, UNIFORM], "for column 1 of X, is a int without cdf"),
        (
            [UNIFORM, stats.uniform(-2, 3), UNIFORM],
            r"column 1 of X a law on \[-2, 1\], and row 17000 holds 1.5",
        ),
        (3, "'input_distribution' parameter of TensorFeatures must be"),
    ],
)
def test_laws_that_are_refused(laws, words):
    X = np.clip(UNIFORM.rvs((20_000, 3), random_state=0), -1, 1)
    X[17_000, 1] = 1.5
    for given in ((X, X[:, 0]), ([(X[:15_000], X[:15_000, 0]), (X[15_000:], X[15_000:, 0])],)):
        with pytest.raises(ValueError, match=words):
            TensorFeatures(2, input_distribution=laws).fit(*given)


def test_a_model_and_laws_at_once_are_refused():
    X, y, _ = planted(UNIFORM, n=100)
    with pytest.raises(ValueError, match="input_model='cubic' and input_distribution were both"):
        MLPRegressor(input_model="cubic", input_distribution=UNIFORM).fit(X, y)


def test_columns_that_do_not_follow_their_laws_are_named():
    X, y, _ = planted(UNIFORM, d=3, k=2)
    laws = [UNIFORM, stats.norm(), UNIFORM]
    told = TensorFeatures(2, input_distribution=laws, random_state=0)
    with pytest.warns(RecoveryWarning, match=r"column 1 is 0\.0\d+ from its law .*20000 rows"):
        told.fit(X, y)
    with (
        pytest.warns(RecoveryWarning, match="covariance of X is singular"),
        pytest.warns(RecoveryWarning, match=r"columns 1 and 2 have the correlation 1\.000"),
    ):
        told.set_params(n_components=1, input_distribution=UNIFORM).fit(X[:, [0, 2, 2]], y)
