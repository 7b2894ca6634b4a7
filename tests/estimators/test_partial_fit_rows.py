"""Rows of numbers that come in instalments: the steps by brute force, recovery, what is refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from spectral_estimators import (
    GMMHMM,
    BernoulliHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
    SequenceStream,
)
from spectral_nn.data import Sequences
from spectral_nn.emissions import FramedEmission
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.row_fit import settled
from spectral_nn.models.chains.statistics import maximise

HOW = {"n_init": 3, "n_iter": 20, "random_state": 0, "dtype": "float64"}
FAMILIES = {
    "spherical": GaussianHMM(2, covariance_type="spherical", **HOW),
    "diag": GaussianHMM(2, **HOW),
    "tied": GaussianHMM(2, covariance_type="tied", **HOW),
    "full": GaussianHMM(2, covariance_type="full", **HOW),
    "mixture": GMMHMM(2, 2, **HOW),
    "tied mixture": GMMHMM(2, 2, covariance_type="tied", **HOW),
    "counts": PoissonHMM(2, **HOW),
    "shares": MultinomialHMM(2, n_trials=20, **HOW),
    "marks": BernoulliHMM(2, **HOW),
}


def draw(name, n, seed):
    """Rows (n, 2) of two sticky states."""
    rng = np.random.default_rng(seed)
    states = np.cumsum(rng.random(n) < 0.05) % 2
    if name == "counts":
        return rng.poisson(np.array([[1.0, 6.0], [5.0, 2.0]])[states])
    if name == "shares":
        first = rng.binomial(20, np.array([0.3, 0.8])[states])
        return np.column_stack([first, 20 - first])
    if name == "marks":
        return (rng.random((n, 2)) < np.array([[0.1, 0.7], [0.8, 0.3]])[states]).astype(int)
    spread = np.array([[0.7, 1.0], [1.5, 0.5]])[states]
    return np.array([[0.0, 3.0], [2.0, -1.0]])[states] + spread * rng.standard_normal((n, 2))


def parts(model):
    return [np.array(getattr(model, name)) for name in model._parts.values()]


def assert_same(one, other, **tolerance):
    for a, b in zip(parts(one), parts(other), strict=True):
        assert_allclose(a, b, **tolerance or {"rtol": 0})


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_instalment_is_a_fit_and_each_other_a_step(name):
    """The M-step is of the sums that every instalment had under the model that met it."""
    chunks = [draw(name, 200, seed) for seed in range(3)]
    model = clone(FAMILIES[name]).partial_fit(chunks[0])
    assert_same(model, clone(FAMILIES[name]).fit(chunks[0]))
    met = [model._parameters()]
    for chunk in chunks[1:]:
        met.append(model._parameters())
        model.partial_fit(chunk)
    last, steps = met[-1], []
    for parameters, chunk in zip(met, chunks, strict=True):
        rows = Sequences(np.asarray(chunk, dtype=float), np.array([0, len(chunk)]))
        found, law = expect_exact(parameters, rows), parameters.emission
        if isinstance(law, FramedEmission):
            found = replace(found, emission=law.reframe(found.emission, last.emission))
        steps.append(found)
    options = settled(model._row_options(2, None), model._seen.pooled)
    expected = maximise(steps[0] + steps[1] + steps[2], last, options.priors(), options.update)
    assert_allclose(model.startprob_, expected.startprob, rtol=1e-9, atol=1e-12)
    assert_allclose(model.transmat_, expected.transmat, rtol=1e-9)
    assert_allclose(model._parameters().emission.mean(), expected.emission.mean(), rtol=1e-8)
    objective = steps[-1].log_likelihood + options.priors().log_density(last)
    assert_allclose(model.monitor_.history, [objective], rtol=1e-9)


@pytest.mark.parametrize("name", ["diag", "full", "mixture", "counts", "marks"])
def test_instalments_come_near_a_fit_of_all(name):
    X = draw(name, 6000, 5)
    whole, parted = clone(FAMILIES[name]).fit(X), clone(FAMILIES[name])
    for begin in range(0, 6000, 500):
        parted.partial_fit(X[begin : begin + 500])
    begun = clone(FAMILIES[name]).partial_fit(X[:500])
    lost = whole.score(X) - parted.score(X)
    assert lost < 0.3 * (whole.score(X) - begun.score(X)) + 1.0
    assert lost < 12.0


def test_missing_entries_and_labels():
    X = draw("full", 600, 2)
    states = (X[:, 1] < 1).astype(int)
    X[::7, 0] = np.nan
    model = clone(FAMILIES["full"]).set_params(missing=np.nan)
    model.partial_fit(X[:300], states[:300]).partial_fit(X[300:], states[300:])
    assert np.mean(model.predict(X) == states) > 0.97
    assert_allclose(model.means_, [[0.0, 3.0], [2.0, -1.0]], atol=0.4)
    later = clone(model).partial_fit(X[:300], states[:300]).partial_fit(X[300:])
    assert np.mean(later.predict(X) == states) > 0.97


def test_the_form_and_the_workers_do_not_matter():
    X = [draw("counts", n, n) for n in (300, 40, 1)]
    table, lengths = np.concatenate(X), [300, 40, 1]
    one = clone(FAMILIES["counts"]).partial_fit(X).partial_fit(X)
    for form, more in (((table, lengths), {}), ((SequenceStream(X),), {"n_jobs": 2})):
        other = clone(FAMILIES["counts"]).set_params(**more)
        assert_same(one, other.partial_fit(*form).partial_fit(*form), rtol=1e-10)


def test_going_on():
    """From a pickle it goes on; a fit, and the first instalment after it, begin anew."""
    X, more = draw("diag", 300, 0), draw("diag", 300, 1)
    model = clone(FAMILIES["diag"]).partial_fit(X)
    again = pickle.loads(pickle.dumps(model)).partial_fit(more)
    assert_same(again, model.partial_fit(more))
    begun = clone(FAMILIES["diag"]).partial_fit(more)
    assert_same(clone(FAMILIES["diag"]).fit(X).partial_fit(more), begun)
    assert np.abs(begun.means_ - again.means_).max() > 1e-3


def test_what_params_leave_out_stays():
    model = clone(FAMILIES["diag"]).set_params(params="stc").partial_fit(draw("diag", 300, 0))
    means, covars = model.means_, model.covars_
    model.partial_fit(draw("diag", 300, 1))
    assert_array_equal(model.means_, means)
    assert np.abs(model.covars_ - covars).max() > 1e-4


def test_what_is_refused():
    X = draw("diag", 100, 0)
    model = clone(FAMILIES["diag"]).partial_fit(X)
    before = [*parts(model), model._seen.statistics.trans]
    for bad, message in (
        (np.ones((4, 3)), "X has 3 features, but GaussianHMM is expecting 2"),
        (np.full((4, 2), np.inf), "NaN or infinity in data"),
        ((x for x in [X, X]), "X is a generator"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(bad)
    for a, b in zip(before, [*parts(model), model._seen.statistics.trans], strict=True):
        assert_array_equal(a, b)
    with pytest.raises(ValueError, match="holds out data"):
        GaussianHMM("auto").partial_fit(X)


@pytest.mark.parametrize("changed", [{"covariance_type": "diag"}, {"n_components": 3}])
def test_a_model_of_another_shape_is_not_gone_on_with(changed, rng):
    X = rng.standard_normal((80, 2))
    model = GaussianHMM(2, "tied", n_init=1, random_state=0).partial_fit(X)
    before = model.score(X)
    model.set_params(**changed)
    with pytest.raises(ValueError, match=f"{next(iter(changed))} is .* now. Set it back"):
        model.partial_fit(X)
    assert model.set_params(n_components=2, covariance_type="tied").score(X) == before
    model.partial_fit(X)
