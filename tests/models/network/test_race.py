"""The race between starts of a network: who takes part, who wins, and why."""

from dataclasses import replace

import numpy as np
import pytest

from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.models.base import silent
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.models.network.race import Start, race, random_starts
from spectral_nn.trainers import LBFGS

OPTIONS = NetworkOptions((3,))
AS_THEY_ARE = replace(OPTIONS, trainer=LBFGS(max_iter=0))


@pytest.fixture
def planted(rng):
    """300 rows more of noise than of signal, and the network that made them."""
    teacher = planted_network(20, 3, rng=rng)
    X, y = sample_network(teacher, 300, noise=2.0, rng=rng)
    return Rows.of(X, y[:, None]), teacher


def test_steps_that_overfit_are_taken_back(planted, rng):
    """The start is the truth, and few rows spoil it."""
    rows, teacher = planted
    starts = [*random_starts(rows, 3, OPTIONS, rng), Start("gaussian", teacher)]
    (first, *others), reason = race(rows, starts, OPTIONS, rng, silent)
    assert (first.kind, first.n_iter) == ("gaussian", 0)
    assert first.network is teacher
    assert {other.n_iter for other in others} == {15}
    assert reason.startswith("gaussian moments are ")
    assert reason.endswith(" standard errors ahead of the best random start")


def test_steps_that_help_are_kept(rng):
    teacher = planted_network(8, 3, rng=rng)
    X, y = sample_network(teacher, 3000, noise=0.05, rng=rng)
    near = replace(teacher, intercepts=tuple(part + 0.3 for part in teacher.intercepts))
    rows = Rows.of(X, y[:, None])
    starts = [Start("gaussian", near), *random_starts(rows, 3, OPTIONS, rng)]
    (first, *_), _ = race(rows, starts, OPTIONS, rng, silent)
    assert (first.kind, first.n_iter) == ("gaussian", 15)


@pytest.mark.parametrize("trusted", [True, False])
def test_ties_go_to_moments_that_are_trusted(planted, rng, trusted):
    rows, teacher = planted
    starts = [Start("random", teacher), Start("gaussian", teacher, trusted=trusted)]
    ranked, reason = race(rows, starts, AS_THEY_ARE, rng, silent)
    assert [start.kind for start in ranked][:1] == ["gaussian" if trusted else "random"]
    assert "are 0 standard errors ahead of the best random start: a tie" in reason


def test_a_random_start_that_is_clearly_better_wins(planted, rng):
    rows, teacher = planted
    worse = random_starts(rows, 3, OPTIONS, rng)[0].network
    starts = [Start("gaussian", worse, trusted=True), Start("random", teacher)]
    ranked, reason = race(rows, starts, AS_THEY_ARE, rng, silent)
    assert ranked[0].network is not worse
    assert ranked[0].kind == "random"
    assert reason.endswith(" standard errors behind the best random start")


@pytest.mark.parametrize("lost", ["gaussian", "random"])
def test_what_is_not_finite_loses(planted, rng, lost):
    rows, teacher = planted
    nothing = replace(teacher, intercepts=tuple(np.nan * part for part in teacher.intercepts))
    starts = [Start(kind, nothing if kind == lost else teacher) for kind in ("gaussian", "random")]
    ranked, reason = race(rows, starts, OPTIONS, rng, silent)
    assert ranked[1].kind == lost
    assert "no finite loss" in reason


@pytest.mark.parametrize(("d", "n_rows"), [(8, 2**14), (300, 24_186)])
def test_rows_that_race_grow_with_the_parameters(d, n_rows, rng, monkeypatch):
    """Twenty a parameter, and a third as many that judge."""
    zeros = np.broadcast_to(0.0, (40_000, d))
    rows = Rows.of(zeros, zeros[:, :1])
    starts = random_starts(rows, 3, OPTIONS, rng)
    starts[0] = replace(starts[0], kind="gaussian")
    taken, few = [], rows.take(np.arange(20))
    monkeypatch.setattr(Rows, "take", lambda self, at: taken.append(at.size) or few)
    race(rows, starts, AS_THEY_ARE, rng, silent)
    assert sum(taken) == n_rows
    assert taken[0] == pytest.approx(3 * taken[1], abs=3)
