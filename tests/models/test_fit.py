"""Fits of a model whose parameters are numbers, and their likelihoods those numbers."""

import math
from itertools import permutations
from types import SimpleNamespace

from spectral_nn.models.base import Start
from spectral_nn.models.fit import advance
from spectral_nn.runners.base import SerialRunner


class Constant:
    """A model that no step changes."""

    def statistic(self, parameters, chunk):
        return SimpleNamespace(log_likelihood=parameters)

    def maximise(self, statistics, parameters):
        return parameters

    def log_prior(self, parameters):
        return 0.0

    def relax(self, old, new, power):
        return new

    def restore(self, old, new):
        return new


def order(*likelihoods):
    starts = [Start(str(i), value) for i, value in enumerate(likelihoods)]
    moved = advance(
        Constant(), starts, [None], n_iter=2, tol=0.0, run=SerialRunner(), figure="likelihood"
    )
    assert [start.likelihood for start, _, _ in moved] == [value for _, value, _ in moved]
    return [int(start.kind) for start, _, _ in moved]


def test_starts_come_back_best_first():
    values = (-30.0, -10.0, -math.inf, -20.0)
    for some in permutations(values):
        assert [some[i] for i in order(*some)] == sorted(values, reverse=True)
    assert order(-math.inf, -math.inf) == [0, 1]
    assert order(0.0, -1.0, 0.0) == [0, 2, 1]


def test_rounding_does_not_choose():
    assert order(-95142.51254, -95142.51002, -95140.0) == [2, 0, 1]
    assert order(-95142.51254, -95142.51002) == [0, 1]
