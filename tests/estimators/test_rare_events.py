"""What a sample of the data lacks stays possible in a model of all data, on flat priors."""

import numpy as np
import pytest

from spectral_estimators import BernoulliHMM, CategoricalHMM, MultinomialHMM, PoissonHMM
from spectral_nn.emissions.simplex import restore_rows

N, N_RARE = 60_000, 12
QUICK = {"n_components": 2, "n_init": 2, "n_iter": 5, "random_state": 0}


def states():
    """Half of the time here, half there."""
    return (np.arange(N) // 50) % 2


def rare(X, rng):
    """Each of the last columns has one event."""
    X[rng.choice(N, N_RARE, replace=False), np.arange(X.shape[1] - N_RARE, X.shape[1])] = 1
    return X


def symbols(rng):
    X = np.where(rng.random(N) < 0.8, states(), 1 - states())
    X[rng.choice(N, N_RARE, replace=False)] = np.arange(2, 2 + N_RARE)
    return CategoricalHMM(emissionprob_prior=1.0, **QUICK), X[:, None]


def marks(rng):
    X = np.zeros((N, 1 + N_RARE), dtype=int)
    X[:, 0] = rng.random(N) < np.array([0.2, 0.7])[states()]
    return BernoulliHMM(emissionprob_prior=1.0, **QUICK), rare(X, rng)


def trials(rng):
    X = np.zeros((N, 2 + N_RARE), dtype=int)
    X[:, 0] = rng.binomial(5, np.array([0.2, 0.7])[states()])
    X[:, 1] = 5 - X[:, 0]
    return MultinomialHMM(**QUICK), rare(X, rng)


def counts(rng):
    X = np.zeros((N, 1 + N_RARE), dtype=int)
    X[:, 0] = rng.poisson(np.array([2.0, 5.0])[states()])
    return PoissonHMM(**QUICK), rare(X, rng)


@pytest.mark.parametrize("family", [symbols, marks, trials, counts])
def test_events_that_no_sample_has(family, rng):
    model, X = family(rng)
    assert np.isfinite(model.fit(X).score(X))


def test_zeros_of_old_stay_and_others_come_back():
    old = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [1e-12, 1.0, 0.0]])
    new = np.array([[1.0, 0.0, 0.0], [0.3, 0.3, 0.4], [0.0, 1.0, 0.0]])
    found = restore_rows(old, new)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found == 0, old == 0)
    np.testing.assert_array_equal(found[1], new[1])
    np.testing.assert_allclose(found[[0, 2], [1, 0]], [1e-8, 1e-12], rtol=1e-6)
