"""Pseudo-residuals of estimators: in the form of X, and what they are refused for."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from spectral_estimators import GaussianHMM, MultinomialHMM, PoissonHMM, Sequences


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    states = np.cumsum(rng.random(3000) < 0.03) % 2
    return rng.normal(np.array([0.0, 2.0])[states], np.array([1.0, 3.0])[states])[:, None]


def test_enough_states_make_them_standard_normal(X):
    right, wrong = (
        GaussianHMM(k, random_state=0).fit(X).pseudo_residuals(X).ravel() for k in (2, 1)
    )
    assert stats.kstest(right, "norm").pvalue > 0.1
    assert stats.kstest(wrong, "norm").pvalue < 1e-6


def test_they_have_the_form_of_X(X):
    model = GaussianHMM(2, n_iter=5, random_state=0).fit(X)
    table = model.pseudo_residuals(X, lengths=[1000, 2000])
    cut = model.pseudo_residuals([X[:1000], X[1000:]])
    assert isinstance(cut, Sequences)
    assert_array_equal(cut.values, table)
    gaps = np.where(np.arange(3000)[:, None] % 7 == 0, np.nan, X)
    model.missing = np.nan
    assert_array_equal(np.isnan(model.pseudo_residuals(gaps)), np.isnan(gaps))


def test_counts_are_centred(X):
    counts = np.random.default_rng(1).poisson(0.4, size=3000)
    found = PoissonHMM(1, random_state=0).fit(counts).pseudo_residuals(counts)
    # Of a Poisson law of rate 0.4, the middle of the step at zero is at 0.335.
    assert abs(found[counts == 0].mean() - stats.norm.ppf(0.335)) < 0.03


def test_a_multinomial_needs_its_trials():
    counts = np.random.default_rng(0).multinomial(8, [0.5, 0.3, 0.2], size=400)
    model = MultinomialHMM(1, random_state=0).fit(counts)
    with pytest.raises(ValueError, match="n_trials as one number, got None"):
        model.pseudo_residuals(counts)
    model.n_trials = 8
    found = model.pseudo_residuals(counts)
    assert (np.abs(found.mean(axis=0)) < 0.1).all()
    assert ((found.std(axis=0) > 0.85) & (found.std(axis=0) < 1.02)).all()  # steps hide a little
