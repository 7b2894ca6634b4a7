"""The protocol: the table, what is missing, and a trainer with a backward pass of its own."""

from dataclasses import dataclass, fields
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers import TRAINERS
from spectral_nn.trainers.base import check_needs
from spectral_nn.trainers.sgd import SGD


@pytest.mark.parametrize("name", TRAINERS)
def test_what_every_trainer_has(name):
    trainer = TRAINERS[name]()
    assert trainer.name == name
    assert {"max_iter", "tol"} <= {setting.name for setting in fields(trainer)}
    check_needs(trainer, frozenset({"rows"}))
    if trainer.needs:
        with pytest.raises(ValueError, match=f"solver='{name}' takes rows one by one"):
            check_needs(trainer, frozenset())


class Through:
    """A problem whose errors go back through weights of its own."""

    def __init__(self, problem, feedback):
        self.n_rows = problem.n_rows
        self.on_rows = partial(problem.on_rows, feedback=feedback)


@dataclass(frozen=True)
class FeedbackAlignment(SGD):
    """Lillicrap et al., Nature Communications 7 (2016): errors return through random weights."""

    name: ClassVar[str] = "feedback"

    def train(self, problem, start, *, rng, **how):
        feedback = np.random.default_rng(1).standard_normal(start.size)
        return super().train(Through(problem, feedback), start, rng=rng, **how)


def test_feedback_alignment_is_a_trainer(rng):
    X = rng.standard_normal((500, 5))
    Y = np.tanh(X[:, :1] + X[:, 1:2]) - np.tanh(X[:, 2:3])
    start = random_network((5, 30, 1), "tanh", "identity", rng)
    objective = Objective(X, Y, start)
    before = objective.value(flatten(start))
    trainer = FeedbackAlignment(learning_rate_init=0.02, max_iter=100)
    found = trainer.train(objective, flatten(start), rng=rng)
    assert objective.value(found.x) < 0.1 * before
    exact = SGD(learning_rate_init=0.02, max_iter=100).train(objective, flatten(start), rng=rng)
    assert not np.allclose(found.x, exact.x, atol=0.1)
