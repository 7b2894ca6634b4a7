"""A small problem for rules, and what is asked of all of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spectral_nn.arrays import from_numpy, get_namespace
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.trainers.rules.base import views


@dataclass
class Small:
    """Some rows of three classes, and a network for them."""

    network: Any
    objective: Objective
    x: Any

    @property
    def batch(self):
        return self.objective.batch(slice(0, self.objective.n_rows))

    @property
    def layers(self):
        return self.objective.layers(self.x)

    def exact(self):
        """Loss and gradient (p,) of all rows."""
        return self.objective.on_rows(self.x, slice(0, self.objective.n_rows))

    def write(self, rule, *, seed=0, memory=None, rng=None, stage=0):
        """Loss, direction (p,) and directions of what the rule learns."""
        rng = np.random.default_rng(seed) if rng is None else rng
        if memory is None:
            memory = rule.init(self.layers, self.network.sizes[-1], rng)
        xp = get_namespace(self.x)
        direction = xp.zeros_like(self.x)
        learned = [xp.zeros_like(part) for part in memory.learned]
        value = rule.write(
            self.layers,
            self.batch,
            views(self.objective.layers(direction)),
            memory=memory,
            into_learned=learned,
            rng=rng,
            stage=stage,
        )
        return value, direction, learned


def make_small(
    activation="tanh", sizes=(5, 7, 6, 4, 3), residual=False, seed=0, rows=30, like=None
):
    """Rows and a network, in arrays of the library and precision of `like`."""
    rng = np.random.default_rng(seed)
    like = np.empty(0) if like is None else like
    X = from_numpy(rng.standard_normal((rows, sizes[0])), like=like)
    Y = from_numpy(np.eye(sizes[-1])[rng.integers(0, sizes[-1], rows)], like=like)
    network = random_network(sizes, activation, "softmax", rng, like=like)
    network = replace(network, residual=residual)
    return Small(network, Objective(X, Y, network, 0.0), flatten(network))


@pytest.fixture(params=["tanh", "relu"])
def small(request):
    return make_small(request.param)


def cosine(one, other):
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))
