"""Standard errors of the estimators: names and shapes, forms of X, coverage of intervals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_estimators import (
    GMMHMM,
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
)

TRANSMAT = np.array([[0.9, 0.1], [0.2, 0.8]])
PROBS = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
MEANS, COVARS = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([[1.0, 0.5], [0.7, 1.5]])
FLAT = {"n_iter": 2000, "tol": 1e-7, "dtype": "float64", "init_params": ""}


def walk(n, rng):
    """States of the chain."""
    states, uniforms = np.zeros(n, dtype=int), rng.random(n)
    for t in range(1, n):
        states[t] = uniforms[t] > TRANSMAT[states[t - 1], 0]
    return states


def gaussian(n, seed):
    rng = np.random.default_rng(seed)
    states = walk(n, rng)
    X = MEANS[states] + np.sqrt(COVARS[states]) * rng.standard_normal((n, 2))
    model = GaussianHMM(2, covars_prior=0.0, **FLAT)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), TRANSMAT
    model.means_, model.covars_ = MEANS, COVARS
    return X, model.fit(X)


def symbols(n, seed):
    rng = np.random.default_rng(seed)
    states = walk(n, rng)
    X = (rng.random((n, 1)) > PROBS.cumsum(axis=1)[states]).sum(axis=1)
    model = CategoricalHMM(2, emissionprob_prior=1.0, **FLAT)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), TRANSMAT
    model.emissionprob_ = PROBS
    return X, model.fit(X)


def test_intervals_cover_the_truth():
    """60 draws of each of two models; the margin is four standard errors of chance."""
    diagonal = np.eye(2, dtype=bool)
    hits = {}
    for seed in range(60):
        (X, model), (text, other) = gaussian(1000, seed), symbols(1500, seed)
        for kind in ("robust", "hessian", "opg"):
            ends = model.standard_errors(X, kind=kind).intervals()
            ends["covars_"] = ends["covars_"][:, :, diagonal]
            ends["emissionprob_"] = other.standard_errors(text, kind=kind).intervals()[
                "emissionprob_"
            ]
            truths = {"transmat_": TRANSMAT, "means_": MEANS, "covars_": COVARS}
            for name, truth in (truths | {"emissionprob_": PROBS}).items():
                low, high = ends[name]
                hits.setdefault((kind, name), []).append((low < truth) & (truth < high))
    for which, covered in hits.items():
        assert 0.88 < np.mean(covered) < 0.995, which


def families(rng):
    """One fitted model of each family, with its data and the name of what it emits."""
    states = walk(400, rng)
    lights = rng.random((400, 2)) < np.array([[0.2, 0.7], [0.8, 0.4]])[states]
    trials = np.array([rng.multinomial(9, PROBS[state]) for state in states])
    counts = rng.poisson(np.array([[1.0, 4.0], [6.0, 2.0]])[states])
    yield PoissonHMM(2, random_state=0).fit(counts), counts, "lambdas_"
    yield MultinomialHMM(2, n_trials=9, random_state=0).fit(trials), trials, "emissionprob_"
    yield BernoulliHMM(2, random_state=0).fit(lights), lights, "emissionprob_"
    words = np.array(["a", "b", "c"])[symbols(2500, 0)[0]]
    flat = CategoricalHMM(2, emissionprob_prior=1.0, tol=1e-5, random_state=0)
    yield flat.fit(words), words, "emissionprob_"


def test_all_families_name_their_attributes(rng):
    for model, X, name in families(rng):
        found = model.standard_errors(X, kind="hessian")
        assert list(found.errors) == ["startprob_", "transmat_", name]
        low, high = found.intervals()[name]
        values = getattr(model, name)
        assert found[name].shape == values.shape
        assert (found[name] > 0).all()
        assert ((low < values) & (values < high)).all()
        assert np.isnan(found["startprob_"]).all()
        assert np.isfinite(found["transmat_"]).all()


@pytest.mark.parametrize("covariance_type", ["spherical", "diag", "tied", "full"])
def test_covariances_are_matrices_as_the_attribute_is(covariance_type):
    X, _ = gaussian(600, 0)
    model = GaussianHMM(2, covariance_type, random_state=0).fit(X)
    found = model.standard_errors(X, kind="hessian")
    assert list(found.errors) == ["startprob_", "transmat_", "means_", "covars_"]
    assert found["covars_"].shape == model.covars_.shape == (2, 2, 2)
    low, high = found.intervals()["covars_"]
    assert ((low <= model.covars_) & (model.covars_ <= high)).all()
    off = found["covars_"][:, 0, 1]
    if covariance_type in ("spherical", "diag"):
        assert_allclose(off, 0)  # entries that the model has not
    else:
        assert (off > 0).all()
    diagonal = found["covars_"][:, [0, 1], [0, 1]]
    assert (diagonal > 0).all()
    same = np.array_equal(diagonal[0], diagonal[1])
    assert same == (covariance_type == "tied")


def test_forms_of_the_same_data():
    X, model = gaussian(600, 1)
    lengths = [200, 400]
    base = model.standard_errors(X, lengths, kind="hessian")
    forms = ((X, {"lengths": lengths}), ([X[:200], X[200:]], {}))
    for form, more in forms:
        again = model.standard_errors(form, kind="hessian", **more)
        assert_allclose(again["means_"], base["means_"], rtol=1e-12)
    whole = model.standard_errors(X, kind="hessian")
    assert not np.array_equal(whole["transmat_"], base["transmat_"])


def test_missing_entries_make_less_certain():
    X, model = gaussian(600, 2)
    holes = np.random.default_rng(0).random(X.shape) < 0.4
    again = GaussianHMM(2, covars_prior=0.0, missing=np.nan, **FLAT)
    again.startprob_, again.transmat_ = model.startprob_, model.transmat_
    again.means_, again.covars_ = MEANS, COVARS
    thinned = np.where(holes, np.nan, X)
    found = again.fit(thinned).standard_errors(thinned, kind="hessian")
    whole = model.standard_errors(X, kind="hessian")
    assert (found["means_"] > 1.1 * whole["means_"]).all()
    assert (found["transmat_"] > whole["transmat_"]).all()


def test_bad_settings():
    X, model = gaussian(300, 3)
    for block in (0, 2.5):
        with pytest.raises(ValueError, match="block must be a whole number"):
            model.standard_errors(X, block=block)
    with pytest.raises(ValueError, match="kind must be one of"):
        model.standard_errors(X, kind="bootstrap")
    with pytest.raises(ValueError, match="3 features, but GaussianHMM is expecting 2"):
        model.standard_errors(np.zeros((9, 3)))
    with pytest.warns(UserWarning, match="standard errors from a maximum"):
        model.standard_errors(X + 0.1, kind="hessian")


@pytest.mark.parametrize("covariance_type", ["spherical", "diag", "tied", "full"])
def test_mixtures_have_those_of_their_parts(covariance_type):
    """Parts that are far apart are Gaussians of their own: errors of means are s / sqrt(n)."""
    rng = np.random.default_rng(5)
    part = rng.integers(0, 3, 3000)
    X = np.array([[0, 0], [20, 0], [0, 30]])[part] + rng.standard_normal((3000, 2))
    model = GMMHMM(1, 3, covariance_type=covariance_type, random_state=0).fit(X)
    found = model.standard_errors(X, kind="hessian")
    shapes = {name: getattr(model, name).shape for name in ("weights_", "means_", "covars_")}
    assert {name: found[name].shape for name in shapes} == shapes
    expected = 1 / np.sqrt(3000 * model.weights_)[0][:, None] * np.ones((3, 2))
    assert_allclose(found["means_"][0], expected, rtol=0.1)
    assert_allclose(found["weights_"][0], np.sqrt(2 / 9 / 3000), rtol=0.1)
    low, high = found.intervals()["covars_"]
    assert (low < high).all()
