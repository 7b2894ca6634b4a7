"""Weights of sequences: what they are worth, in every family and step, and what is refused."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from spectral_estimators import (
    GMMHMM,
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
    Sequences,
)
from spectral_nn.data import Cut
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.runners.base import SerialRunner

HOW = {"n_init": 3, "n_iter": 10, "random_state": 0, "dtype": "float64"}
FAMILIES = {
    "symbols": CategoricalHMM(2, n_features=3, **HOW),
    "normal": GaussianHMM(2, **HOW),
    "correlated": GaussianHMM(2, covariance_type="full", **HOW),
    "mixture": GMMHMM(2, 2, **HOW),
    "counts": PoissonHMM(2, **HOW),
    "shares": MultinomialHMM(2, n_trials=8, **HOW),
    "marks": BernoulliHMM(2, **HOW),
}
WEIGHTS = np.array([2, 1, 0, 3, 1, 0, 1, 2])
LENGTHS = [60, 41, 30, 25, 77, 12, 1, 50]


def draw(name, seed=0, lengths=LENGTHS):
    """A list of sequences of two sticky states, and the states."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    states = np.cumsum(rng.random(n) < 0.1) % 2
    if name == "symbols":
        X = np.where(rng.random(n) < 0.8, 2 * states, rng.integers(0, 3, n))
    elif name == "counts":
        X = rng.poisson(np.array([[1.0, 6.0], [5.0, 2.0]])[states])
    elif name == "shares":
        first = rng.binomial(8, np.array([0.2, 0.8])[states])
        X = np.column_stack([first, 8 - first])
    elif name == "marks":
        X = (rng.random((n, 2)) < np.array([[0.1, 0.7], [0.8, 0.3]])[states]).astype(int)
    else:
        X = 2.0 * states[:, None] + rng.standard_normal((n, 2))
    ends = np.cumsum(lengths)[:-1]
    return np.split(X, ends), np.split(states, ends)


def repeated(X, weights=WEIGHTS):
    return [X[i] for i in np.repeat(np.arange(len(X)), weights)]


def assert_same(one, other, rtol=1e-7):
    for name in one._parts.values():
        assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=1e-9)
    assert_allclose(one.monitor_.history[-1:], other.monitor_.history[-1:], rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("settings", [{}, {"n_iter": 0}, {"init": "random", "n_init": 2}])
def test_a_sequence_of_weight_two_is_two_of_them(name, settings):
    X, _ = draw(name)
    model = clone(FAMILIES[name]).set_params(**settings)
    assert_same(clone(model).fit(X, sample_weight=WEIGHTS), model.fit(repeated(X)))


@pytest.mark.parametrize("name", ["symbols", "normal", "mixture"])
def test_labels_are_weighted_too(name):
    X, states = draw(name)
    some = [np.where(np.arange(z.size) % 3, z, -1) for z in states]
    model = clone(FAMILIES[name])
    weighted = clone(model).fit(X, some, sample_weight=WEIGHTS)
    assert_same(weighted, model.fit(repeated(X), repeated(some)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_objective_is_the_weighted_log_likelihood(scale):
    X, _ = draw("symbols")
    weights = scale * np.random.default_rng(1).uniform(0.1, 2.0, len(X))
    model = clone(FAMILIES["symbols"]).set_params(emissionprob_prior=1.0).fit(X)
    each = [model.score([x]) for x in X]
    model.set_params(init_params="", n_iter=300, tol=1e-9 * scale).fit(X, sample_weight=weights)
    assert_allclose(model.monitor_.history[0], weights @ each, rtol=1e-10)
    reached = weights @ [model.score([x]) for x in X]
    assert_allclose(model.monitor_.history[-1], reached, rtol=1e-8)
    assert reached > weights @ each + 1e-3 * scale


def test_with_flat_priors_the_scale_of_weights_does_not_matter():
    X, _ = draw("symbols")
    weights = np.random.default_rng(1).uniform(0.5, 1.5, len(X))
    one, other = (
        clone(FAMILIES["symbols"])
        .set_params(emissionprob_prior=1.0, n_iter=1000)
        .fit(X, sample_weight=scale * weights)
        for scale in (1.0, 1e-4)
    )
    assert_allclose(other.monitor_.history[-1], 1e-4 * one.monitor_.history[-1], rtol=1e-5)


@pytest.mark.parametrize("lengths", [[900] * 8, [3000, 2000, 40, 5, 1]])
def test_lanes_are_weighted(lengths):
    """Cut or not, in pieces or at once: the sums of all sequences, each times its weight."""
    rng = np.random.default_rng(1)
    parameters = planted_hmm(3, 6, rng=rng)
    codes, _ = sample_hmm(parameters, sum(lengths), rng)
    data = Sequences.from_lengths(codes[0], lengths)
    weight = np.random.default_rng(3).uniform(0.0, 2.0, len(data))
    weighted = Sequences(data.values, data.offsets, weight=weight)
    model = ChainModel(Priors(), dtype=np.float64)
    how = {"n_rows": sum(lengths), "pad": 6, "run": SerialRunner(), "seed": 0}
    engine = LaneEngine(weighted, model, **how)
    assert not engine.exact
    parts = [expect_exact(parameters, data[[i]]) for i in range(len(data))]
    exact, lanes = expect_exact(parameters, weighted), engine.expect(parameters)
    for name in ("start", "trans", "emission", "log_likelihood"):
        expected = sum(w * getattr(part, name) for w, part in zip(weight, parts, strict=True))
        assert_allclose(getattr(exact, name), expected, rtol=1e-12, atol=1e-12)
        assert_allclose(getattr(lanes, name), expected, rtol=1e-8, atol=1e-8)
    windows = weighted.parts(Cut(7, window=500), lambda values, window: window)
    sequence = np.repeat(np.arange(len(data)), [-(-n // 7) for n in lengths])
    assert_array_equal(np.concatenate([w.weight for w in windows]), weight[sequence])


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 1e7])
def test_copies_are_in_proportion(scale):
    rng = np.random.default_rng(0)
    weight = scale * rng.uniform(0.0, 2.0, 400)
    data = Sequences(np.arange(800) // 2, 2 * np.arange(401), weight=weight)
    copied = data.in_copies()
    assert 700 <= copied.values.size <= 900
    assert copied.weight is None
    times = np.bincount(copied.values[::2], minlength=400)
    assert np.abs(times - weight * times.sum() / weight.sum()).max() <= 1


def test_weights_go_with_the_tools_of_scikit_learn():
    X, _ = draw("counts")
    model = clone(FAMILIES["counts"])
    found = cross_val_score(model, X, cv=2, params={"sample_weight": np.ones(len(X))})
    assert_allclose(found, cross_val_score(model, X, cv=2), rtol=1e-9)
    table = clone(model).fit(np.concatenate(X), lengths=LENGTHS, sample_weight=WEIGHTS)
    assert_same(table, model.fit(X, sample_weight=WEIGHTS))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(7), "sample_weight must hold one number for each of the 8 sequences"),
        (np.ones((8, 1)), "sample_weight must hold one number"),
        ([1, 1, 1, -2, 1, 1, 1, 1], "sample_weight must be finite .* entry 3 is -2"),
        ([1, np.nan, 1, 1, 1, 1, 1, 1], "sample_weight must be finite .* entry 1 is nan"),
        (np.zeros(8), "sample_weight is 0 for every sequence"),
        (["a"] * 8, "sample_weight must hold numbers"),
    ],
)
def test_weights_that_are_refused(weights, message):
    X, _ = draw("normal")
    model = clone(FAMILIES["normal"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            model.fit(X, sample_weight=weights)
    assert not hasattr(model, "means_")


def test_weights_need_sequences_in_memory_and_a_number_of_states():
    X, _ = draw("symbols")
    for given in ((x for x in X), type("Again", (), {"__iter__": lambda self: iter(X)})()):
        with pytest.raises(ValueError, match="sample_weight needs sequences in memory"):
            CategoricalHMM(2).fit(given, sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="sample_weight needs n_components as a number"):
        CategoricalHMM("auto").fit(X, sample_weight=WEIGHTS)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 1e31], "must lie between"),
        ([1e-320, 1.0], "must lie between"),
    ],
)
def test_weights_beyond_single_precision_are_refused(weight, message, rng):
    X = [rng.standard_normal((9, 1)) for _ in weight]
    with pytest.raises(ValueError, match=message):
        GaussianHMM(1).fit(X, sample_weight=weight)


@pytest.mark.parametrize("weight", [[1.0], [1.0, -1.0], [np.nan, 1.0]])
def test_weights_of_sequences_are_checked(weight, rng):
    with pytest.raises(ValueError, match="weight must"):
        Sequences(rng.standard_normal((9, 1)), [0, 4, 9], weight=weight)
