"""The mixture as a latent-variable model."""

import numpy as np
import pytest
from scipy.stats import norm

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.models.fit import maximise_likelihood
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters
from spectral_nn.models.tables import TableData
from spectral_nn.runners.base import SerialRunner


@pytest.fixture
def two():
    law = DiagonalGaussian(np.array([[0.0, 1.0], [4.0, -1.0]]), np.array([[1.0, 2.0], [0.5, 1.0]]))
    return MixtureParameters(np.array([0.3, 0.7]), law)


def _densities(parameters, x):
    law = parameters.emission
    each = norm.pdf(x[:, None], law.means, np.sqrt(law.variances)).prod(axis=2)
    return each * parameters.weights


def test_the_e_step_is_bayes_rule_with_weights_of_rows(two):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((50, 2)), rng.uniform(0, 2, 50)
    found = MixtureModel().statistic(two, Rows.of(x, weight=weight))
    joint = _densities(two, x)
    assert found.log_likelihood == pytest.approx(weight @ np.log(joint.sum(axis=1)))
    posterior = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.counts, weight @ posterior)


def test_statistics_of_chunks_add_up(two):
    x = np.random.default_rng(1).standard_normal((40, 2))
    model = MixtureModel()
    whole = model.statistic(two, Rows.of(x))
    halves = model.statistic(two, Rows.of(x[:15])) + model.statistic(two, Rows.of(x[15:]))
    np.testing.assert_allclose(halves.counts, whole.counts, rtol=1e-12)
    assert halves.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_missing_entries_are_integrated_out(two):
    x = np.array([[0.5, np.nan]])
    law = two.emission
    marginal = two.weights @ norm.pdf(0.5, law.means[:, 0], np.sqrt(law.variances[:, 0]))
    found = MixtureModel().statistic(two, Rows.of(x))
    assert found.log_likelihood == pytest.approx(np.log(marginal))


def test_em_never_lowers_the_objective_and_finds_planted_components(two):
    rng = np.random.default_rng(2)
    states = rng.choice(2, 4000, p=two.weights)
    rows = Rows.of(two.emission.sample(states, rng))
    model = MixtureModel(concentration=1.5)
    start = MixtureParameters(
        np.array([0.5, 0.5]), DiagonalGaussian(np.array([[1.0, 0], [3, 0]]), np.ones((2, 2)))
    )
    data = TableData(model, rows, SerialRunner())
    found = maximise_likelihood(model, start, data.expect, n_iter=200, tol=1e-8)
    assert (np.diff(found.history) >= -1e-9 * abs(found.history[-1])).all()
    np.testing.assert_allclose(found.parameters.weights, two.weights, atol=0.05)
    np.testing.assert_allclose(found.parameters.emission.means, two.emission.means, atol=0.15)
