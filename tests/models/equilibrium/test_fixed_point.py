"""Fixed points: each row stops by itself, and says how far it came."""

import numpy as np
import pytest

from spectral_nn.arrays import to_numpy
from spectral_nn.models.equilibrium.fixed_point import Iteration, answer_rows


def halve(states):
    return [(state + 1) / 2 for state in states]


def test_finds_the_fixed_point_in_every_library(xp):
    start = [xp.zeros((3, 2), dtype=xp.float64), xp.ones((3, 1), dtype=xp.float64)]
    found = Iteration(1e-12, 100).run(halve, start)
    np.testing.assert_allclose(to_numpy(found.states[0]), 1, atol=1e-11)
    assert found.converged
    assert found.residual <= 1e-12


def test_a_row_does_not_depend_on_its_neighbours():
    factors = np.array([0.1, 0.5, 0.9])

    def run(rows):
        return Iteration(1e-6, 500).run(
            lambda states: [factors[rows, None] * states[0] + 1], [np.zeros((len(rows), 1))], []
        )

    together, n_steps = run([0, 1, 2]).states[0], run([0, 1, 2]).n_steps
    alone = [run([row]) for row in range(3)]
    assert [one.n_iter - 1 for one in alone] == n_steps.tolist()
    np.testing.assert_array_equal(together[:, 0], [one.states[0][0, 0] for one in alone])


def test_the_residual_is_of_the_last_step():
    found = Iteration(0.0, 3).run(halve, [np.zeros((1, 1))])
    assert found.states[0][0, 0] == 0.875
    assert found.residual == pytest.approx((0.875 - 0.75) / 0.875)
    assert (found.n_iter, found.converged) == (3, False)


def test_tolerances_below_rounding_end():
    found = Iteration(0.0, 1000).run(halve, [np.zeros((1, 1), np.float32)])
    assert found.converged
    assert found.n_iter < 30


def test_numbers_that_are_not_finite_never_stand_still():
    def spoil(states):
        return [np.where(np.arange(2)[:, None] == 0, np.nan, 0.0)]

    found = Iteration(1e-3, 5).run(spoil, [np.ones((2, 1))])
    assert not found.converged
    assert np.isnan(found.residual)
    assert np.isnan(found.states[0][0, 0])


def test_zero_is_a_fixed_point():
    found = Iteration(1e-3, 5).run(lambda states: [0 * states[0]], [np.zeros((2, 2))])
    assert (found.converged, found.residual, found.n_iter) == (True, 0.0, 1)


def test_answers_are_those_of_all_chunks():
    X = np.linspace(0, 1, 20_000)[:, None]

    def find(rows):
        found = Iteration(1e-9, 100).run(lambda s: [0.5 * s[0] + rows], [np.zeros_like(rows)])
        return found.states[0], found

    answers = answer_rows(find, X)
    np.testing.assert_allclose(answers.outputs, 2 * X, atol=1e-8)
    assert answers.converged
