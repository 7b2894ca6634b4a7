"""The statements that hmmlearn's own tests make of its categorical model, made of ours.

They follow ``test_categorical_hmm.py`` and ``test_base.py`` of hmmlearn 0.3.3.  Ours is written
for hmmlearn's settings: its flat prior on emissions, steps that start from what is there.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import CategoricalHMM

SQRT_EPS = np.sqrt(np.finfo(float).eps)


def model_of(n_components=2, **settings):
    """Ours with hmmlearn's defaults."""
    settings = {"n_iter": 10, "tol": 1e-2, "emissionprob_prior": 1.0} | settings
    return CategoricalHMM(n_components, **settings)


def weather(**settings):
    """Wikipedia's example; states rainy and sunny, symbols walk, shop and clean."""
    model = model_of(2, **settings)
    model.startprob_ = np.array([0.6, 0.4])
    model.transmat_ = np.array([[0.7, 0.3], [0.4, 0.6]])
    model.emissionprob_ = np.array([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
    return model


def assert_likelihood_rises(model, X, lengths, n_iter):
    model.set_params(n_iter=1, init_params="")
    reached = []
    for _ in range(n_iter):
        model.fit(X, lengths=lengths)
        reached.append(model.score(X, lengths=lengths))
    assert np.diff(reached).max() > SQRT_EPS
    assert np.diff(reached).min() > -SQRT_EPS


class TestAgainstWikipedia:
    X = ((0,), (1,), (2,))

    def test_decode_viterbi(self):
        log_prob, states = weather().decode(list(map(list, self.X)), algorithm="viterbi")
        assert round(np.exp(log_prob), 5) == 0.01344
        assert_array_equal(states, [1, 0, 0])

    def test_decode_map(self):
        _, states = weather().decode(list(map(list, self.X)), algorithm="map")
        assert_array_equal(states, [1, 0, 0])

    def test_predict(self):
        X = list(map(list, self.X))
        assert_array_equal(weather().predict(X), [1, 0, 0])
        expected = [[0.23170303, 0.76829697], [0.62406281, 0.37593719], [0.86397706, 0.13602294]]
        assert_allclose(weather().predict_proba(X), expected, rtol=0, atol=1e-6)

    def test_forward_backward(self):
        """The other example: an umbrella seen on all days but the third."""
        model = model_of(2)
        model.startprob_, model.transmat_ = [0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]]
        model.emissionprob_ = [[0.9, 0.1], [0.2, 0.8]]
        log_prob, posteriors = model.score_samples([[0], [0], [1], [0], [0]])
        assert round(log_prob, 4) == -3.3725
        expected = [0.8673, 0.8204, 0.3075, 0.8204, 0.8673]
        assert_allclose(posteriors[:, 0], expected, atol=1e-4)
        assert_allclose(posteriors.sum(axis=1), 1)
        log_prob, states = model.decode([[0], [0], [1], [0], [0]])
        assert round(log_prob, 4) == -4.4590
        assert_array_equal(states, [0, 0, 1, 0, 0])


class TestCategorical:
    def test_n_features(self):
        sequences, _ = weather().sample(500, random_state=0)
        model = model_of(2, random_state=0)
        model.fit(sequences)
        assert_likelihood_rises(model, sequences, [500], 10)
        assert model.n_features == 3
        model = model_of(2, n_features=5, random_state=0, n_iter=1, init="random")
        model.fit(sequences)
        assert_likelihood_rises(model, sequences, [500], 10)
        assert model.n_features == 5

    @pytest.mark.parametrize("value", [[], np.zeros((0, 3)), np.zeros((2, 3)), np.ones((3, 3)) / 3])
    def test_emissionprob(self, value):
        model = weather()
        model.emissionprob_ = value
        with pytest.raises(ValueError, match="emissionprob_"):
            model.score([[0]])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("startprob_", [1.2, 0.8]),
            ("startprob_", []),
            ("startprob_", np.zeros((2, 2))),
            ("transmat_", np.full((2, 2), 0.8)),
            ("transmat_", []),
            ("transmat_", np.full((1, 2), 0.5)),
        ],
    )
    def test_attributes(self, name, value):
        model = weather()
        setattr(model, name, value)
        with pytest.raises(ValueError, match=name):
            model.score([[0]])

    def test_score_samples(self):
        X = np.random.default_rng(0).integers(3, size=(20, 1))
        log_prob, posteriors = weather().score_samples(X)
        assert posteriors.shape == (20, 2)
        assert_allclose(posteriors.sum(axis=1), 1)
        assert log_prob == weather().score(X)

    def test_sample(self):
        X, states = weather().sample(1000, random_state=0)
        assert X.ndim == 2
        assert len(X) == len(states) == 1000
        assert len(np.unique(X)) == 3

    def test_samples_go_on_from_a_state(self):
        _, before = weather().sample(n_samples=10)
        _, after = weather().sample(n_samples=10, currstate=before[-1])
        assert len(before) == len(after) == 10
        assert after[0] == before[-1]

    @pytest.mark.parametrize("params", ["ste", "e", "t", "s"])
    def test_fit(self, params):
        lengths = np.array([10] * 10)
        X, _ = weather().sample(lengths.sum(), random_state=0)
        rng, model = np.random.default_rng(0), weather(params=params)
        model.startprob_ = rng.dirichlet(np.ones(2))
        model.transmat_ = rng.dirichlet(np.ones(2), 2)
        model.emissionprob_ = rng.dirichlet(np.ones(3), 2)
        assert_likelihood_rises(model, X, lengths, 5)

    def test_fit_with_init(self):
        lengths = [10] * 10
        X, _ = weather().sample(sum(lengths), random_state=0)
        model = model_of(2, init="random", random_state=0, n_iter=1).fit(X, lengths)
        assert_likelihood_rises(model, X, lengths, 5)

    def test_symbols(self):
        model_of(1).fit(np.array([[0, 0, 2, 1, 3, 1, 1]]).T)
        model_of(1).fit(np.array([0, 0, 1, 3, 1], np.uint8))
        with pytest.raises(ValueError, match=r"X\[0\] is 0.5"):
            model_of(1).fit(np.array([[0.5, 2.0, 1.0, 3.0]]).T)
        with pytest.raises(ValueError, match=r"X\[1\] is -2"):
            model_of(1).fit(np.array([[0, -2, 1, 3, 1, 1]]).T)


class TestMixture:
    """With equal rows everywhere the chain says nothing, and states are those of a mixture."""

    def setup_method(self):
        rng = np.random.default_rng(0)
        self.model = model_of(8)
        self.model.startprob_, self.model.transmat_ = np.full(8, 1 / 8), np.full((8, 8), 1 / 8)
        self.model.emissionprob_ = rng.dirichlet(np.ones(5), 8)
        self.X = rng.integers(5, size=10)
        likelihood = self.model.emissionprob_[:, self.X].T
        self.expected = likelihood / likelihood.sum(axis=1, keepdims=True)

    def test_score_samples(self):
        assert_allclose(self.model.score_samples(self.X)[1], self.expected)

    def test_decode(self):
        assert_array_equal(self.model.decode(self.X)[1], self.expected.argmax(axis=1))


def test_stationary_distribution():
    model = model_of(10)
    rng = np.random.default_rng(0)
    model.startprob_, model.transmat_ = np.full(10, 0.1), rng.dirichlet(np.ones(10), 10)
    model.emissionprob_ = rng.dirichlet(np.ones(3), 10)
    stationary = model.get_stationary_distribution()
    assert stationary.dtype == float
    assert_allclose(stationary @ model.transmat_, stationary)
