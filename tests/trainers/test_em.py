"""EM with over-relaxation on problems of one number, every call written down."""

import math

import numpy as np
import pytest

from spectral_nn.trainers.em import em


class Climb:
    """Climb -(x - 3)^2 by M-steps that go `rate` of the way."""

    def __init__(self, rate=0.1, objective=lambda x: -((x - 3.0) ** 2)):
        self.rate, self.f = rate, objective
        self.expected, self.relaxed = [], []

    def expect(self, x):
        self.expected.append(x)
        return ("statistics of", x)

    def objective(self, statistics, x):
        assert statistics == ("statistics of", x)
        return self.f(x)

    def maximise(self, statistics, x):
        assert statistics == ("statistics of", x)
        return x + self.rate * (3.0 - x)

    def relax(self, old, new, power):
        assert new == self.maximise(("statistics of", old), old)
        self.relaxed.append(power)
        return old + power * (new - old)

    def run(self, start=0.0, n_iter=100, tol=1e-9, **more):
        return em(
            start,
            expect=self.expect,
            objective=self.objective,
            maximise=self.maximise,
            relax=self.relax,
            n_iter=n_iter,
            tol=tol,
            **more,
        )


def test_no_step_changes_nothing():
    problem = Climb()
    result = problem.run(n_iter=0)
    assert (result.parameters, result.history, result.converged) == (0.0, [], False)
    assert not problem.expected


def test_one_step_is_a_plain_one():
    problem = Climb()
    result = problem.run(n_iter=1)
    assert result.parameters == pytest.approx(0.3)
    assert (result.history, result.converged) == ([-9.0], False)
    assert problem.expected == [0.0]
    assert not problem.relaxed


def test_history_holds_the_objective_before_each_step():
    problem = Climb()
    result = problem.run(n_iter=5)
    assert len(result.history) == 5
    assert not result.converged
    assert result.history == [problem.f(x) for x in problem.expected]
    assert result.parameters == problem.maximise(
        ("statistics of", problem.expected[-1]), problem.expected[-1]
    )


def test_relaxation_grows_by_a_fifth_up_to_three():
    problem = Climb(rate=0.01)
    problem.run(n_iter=12)
    expected = [min(1.2**k, 3.0) for k in range(1, 11)]
    assert problem.relaxed == pytest.approx(expected)


def test_relaxation_saves_steps():
    problem, plain = Climb(), Climb()
    plain.relax = lambda old, new, power: new
    fast, slow = problem.run(tol=1e-6), plain.run(tol=1e-6)
    assert fast.converged
    assert slow.converged
    assert len(problem.expected) < 0.7 * len(plain.expected)
    assert fast.history[-1] > slow.history[-1]


def test_convergence_is_flagged_and_followed_by_a_plain_step():
    problem = Climb(rate=0.5)
    result = problem.run(tol=1e-4)
    assert result.converged
    assert len(result.history) < 100
    gains = np.diff(result.history)
    assert gains[-1] < 1e-4
    assert (gains[:-1] >= 1e-4).all()
    last = problem.expected[-1]
    assert result.parameters == problem.maximise(("statistics of", last), last)


def test_overshooting_returns_to_the_plain_step():
    """Steps of .8 fall once relaxed beyond 2 / .8."""
    problem = Climb(rate=0.8)
    result = problem.run(start=-40.0, tol=-1.0, n_iter=12)
    assert max(problem.relaxed) > 2.5
    assert (np.diff(result.history) >= 0).all()
    assert len(problem.expected) > len(result.history)  # steps taken back
    back = problem.relaxed.index(max(problem.relaxed))
    assert problem.relaxed[back + 1] == pytest.approx(1.2)  # after the plain step, from 1 again


def test_a_fall_is_repeated_from_the_last_good_parameters():
    """Every relaxed step falls: each is followed by the plain one from the same place."""
    visited = []

    class Narrow(Climb):
        def relax(self, old, new, power):
            visited.append((old, new))
            return -100.0

    problem = Narrow()
    result = problem.run(n_iter=6)
    expected = [0.0]
    for _ in range(5):
        expected.append(expected[-1] + 0.1 * (3 - expected[-1]))
    assert result.history == [problem.f(x) for x in expected]
    good = [x for x in problem.expected if x != -100.0]
    assert good == expected
    assert -100.0 in problem.expected
    # after a fall the power is 1.2 again, so that every second step and later ones are tried
    assert all(new == pytest.approx(old + 0.1 * (3 - old)) for old, new in visited)


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_what_is_no_number_counts_as_a_fall(bad):
    class Breaking(Climb):
        def relax(self, old, new, power):
            return 1000.0

    problem = Breaking(objective=lambda x: bad if x > 100 else -((x - 3.0) ** 2))
    result = problem.run(n_iter=8)
    assert np.isfinite(result.history).all()
    assert (np.diff(result.history) > 0).all()
    assert result.parameters < 3


def test_a_plain_step_that_falls_ends_at_the_best():
    problem = Climb(objective=lambda x: -((x - 3.0) ** 2) if x < 1 else -99.0)
    problem.relax = lambda old, new, power: new
    result = problem.run()
    assert result.converged
    assert (np.diff(result.history) >= 0).all()
    assert problem.f(result.parameters) == result.history[-1] == max(result.history)


def test_a_start_of_no_likelihood_ends_at_once():
    problem = Climb(objective=lambda x: -math.inf)
    result = problem.run(n_iter=50)
    assert (result.parameters, result.history, result.converged) == (0.0, [-math.inf], False)
    assert len(problem.expected) == 1


def test_each_step_that_counts_is_told():
    problem, told = Climb(), []
    result = problem.run(n_iter=7, on_step=lambda step, value: told.append((step, value)))
    assert told == list(zip(range(1, 8), result.history, strict=True))
