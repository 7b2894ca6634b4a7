"""`CategoricalHMM` of large alphabets: anchors, their arguments, and what a fit keeps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from spectral_estimators import CategoricalHMM, RankWarning
from spectral_nn.models.chains.options import unseen_weight

D = 1200


@pytest.fixture(scope="module")
def classes():
    """Sequences of 1,200 symbols, each of one of three classes that follow each other."""
    rng = np.random.default_rng(0)
    trans = np.array([[0.05, 0.9, 0.05], [0.1, 0.05, 0.85], [0.8, 0.15, 0.05]])
    states = [0]
    for _ in range(29_999):
        states.append(rng.choice(3, p=trans[states[-1]]))
    states = np.array(states)
    rank = np.minimum(rng.geometric(0.02, states.size) - 1, D // 3 - 1)
    return (3 * rank + states).reshape(-1, 10), states.reshape(-1, 10)


def agreement(found, truth):
    table = np.zeros((3, 3))
    np.add.at(table, (found, truth), 1)
    return table.max(axis=1).sum() / table.sum()


@pytest.mark.parametrize("init", ["tensor", "anchor"])
def test_classes_of_many_symbols_are_found(classes, init):
    X, states = classes
    model = CategoricalHMM(3, n_features=D, init=init, random_state=0).fit(list(X))
    assert model.report_.winner == "anchor"
    assert agreement(np.concatenate(list(model.predict(list(X)))), states.ravel()) > 0.98
    frequent = np.bincount(X.ravel(), minlength=D) > 20
    assert model.support_.shape == (3, D)
    assert model.support_[:, frequent].mean() < 0.9
    assert model.support_.any(axis=0).all()  # also of symbols that X does not have
    assert np.isfinite(model.score(list(X[:, ::-1])))  # against the stream: hardly ever, not never


def test_instalments_have_anchors_too(classes):
    X, states = classes
    model = CategoricalHMM(3, n_features=D, init="anchor", random_state=0)
    for part in np.split(X, 3):
        model.partial_fit(list(part))
    assert model.report_.winner == "anchor"
    assert agreement(np.concatenate(list(model.predict(list(X)))), states.ravel()) > 0.95


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_anchors_do_not_depend_on_workers(classes, n_jobs):
    X = list(classes[0][:1500])
    one, many = (
        CategoricalHMM(3, init="anchor", n_iter=3, random_state=0, n_jobs=n).fit(X)
        for n in (None, n_jobs)
    )
    assert_allclose(many.emissionprob_, one.emissionprob_, rtol=1e-9, atol=1e-15)


def test_features_in_any_form(classes):
    X = list(classes[0][:500])
    d = int(np.max(X)) + 1
    features = np.eye(3)[np.arange(d) % 3]
    fits = [
        CategoricalHMM(3, init="anchor", n_iter=2, symbol_features=form, random_state=0).fit(X)
        for form in (features, features.tolist(), sparse.csr_matrix(features))
    ]
    for other in fits[1:]:
        assert_array_equal(other.emissionprob_, fits[0].emissionprob_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context_lags": (0, 1)}, "context_lags holds 0, but neighbours of n_features=4 symbols"),
        ({"context_lags": (1, 5)}, "context_lags holds 5, .* 1 to 4 positions away"),
        ({"context_lags": (1.5,)}, "context_lags holds 1.5"),
        ({"context_lags": ()}, "context_lags is empty"),
        ({"context_lags": (1, 1)}, "context_lags=.* names a position twice"),
        ({"symbol_features": np.ones((5, 2))}, "a row for each of the 4 symbols; got shape"),
        ({"symbol_features": np.ones(4)}, "a row for each of the 4 symbols"),
        ({"symbol_features": np.full((4, 1), np.nan)}, "symbol_features must hold finite"),
        ({"symbol_features": [["a"]] * 4}, "symbol_features must hold numbers"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_arguments_are_named(arguments, message, method):
    model = CategoricalHMM(2, init="anchor", **arguments)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)([0, 1, 2, 3] * 10)
    assert not hasattr(model, "emissionprob_")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("X", [[[0], [1], [2]], [[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]]])
def test_too_few_anchors_are_told(X, method):
    model = CategoricalHMM(3, init="anchor", random_state=0)
    with pytest.warns(RankWarning, match="X has no anchors for n_components=3.*Random starts"):
        getattr(model, method)([np.array(x) for x in X])
    assert model.report_.winner == "random"


def test_the_default_prior_grows_with_the_alphabet():
    assert unseen_weight(10) == unseen_weight(30) == 1
    assert_allclose(unseen_weight(3000), 100)
    X = np.arange(3000)
    model = CategoricalHMM(1, random_state=0).fit(np.append(X, np.zeros(3000, int)))
    assert_allclose(model.emissionprob_[0, 0], (3001 + 100 / 3) / 6100, rtol=1e-2)


def test_priors_that_want_zeros_do_not_end_em():
    """With alpha < 1 a probability that reaches zero makes the density larger, not smaller."""
    x = np.random.default_rng(0).integers(0, 12, 800) // np.tile([1, 3], 400)
    model = CategoricalHMM(3, emissionprob_prior=0.5, init="random", n_iter=200, random_state=0)
    history = model.fit(x).monitor_.history
    assert (model.emissionprob_ == 0).any()
    assert len(history) > 15
    assert np.diff(history).min() > -1e-3
