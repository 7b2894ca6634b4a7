"""Parameters of a model: shapes, stationary distribution, degrees of freedom."""

import numpy as np
import pytest

from spectral_nn.models.chains.parameters import HMMParameters, n_parameters, stationary


@pytest.mark.parametrize(
    "shapes",
    [
        ((2,), (2, 3), (2, 4)),
        ((3,), (2, 2), (2, 4)),
        ((2,), (2, 2), (3, 4)),
        ((2,), (2, 2), (2,)),
        ((2, 1), (2, 2), (2, 4)),
        ((0,), (0, 0), (0, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match=r"the shapes|the shape \(K, d\)"):
        HMMParameters.categorical(*map(np.ones, shapes))


def test_parameters_are_frozen_float64():
    model = HMMParameters.categorical([1], [[1]], [[1, 0]])
    assert model.startprob.dtype == model.transmat.dtype == model.emission.probs.dtype == np.float64
    with pytest.raises(AttributeError):
        model.startprob = np.ones(1)


@pytest.mark.parametrize("stay", [0.1, 0.999, 1 - 1e-9])
def test_stationary_of_sticky_chains(stay):
    rng = np.random.default_rng(0)
    transmat = stay * np.eye(5) + (1 - stay) * rng.dirichlet(np.ones(5), size=5)
    p = stationary(transmat)
    assert p.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(p @ transmat, p, atol=1e-14)


def test_stationary_of_a_chain_with_an_end():
    np.testing.assert_allclose(stationary([[0.5, 0.5], [0.0, 1.0]]), [0.0, 1.0], atol=1e-14)


def test_stationary_where_every_state_stays_for_ever():
    np.testing.assert_allclose(stationary(np.eye(4)), 0.25)


def test_stationary_of_a_cycle():
    np.testing.assert_allclose(stationary(np.roll(np.eye(3), 1, axis=1)), 1 / 3)


def test_degrees_of_freedom():
    model = HMMParameters.categorical(
        np.ones(3) / 3, np.full((3, 3), 1 / 3), np.full((3, 7), 1 / 7)
    )
    assert n_parameters(model) == 2 + 3 * 2 + 3 * 6
