"""How much memory a rule needs, measured."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, get_namespace
from spectral_nn.trainers.base import LayeredProblem
from spectral_nn.trainers.rules.base import Rule, views

__all__ = ["peak_memory"]


def peak_memory(
    rule: Rule, problem: LayeredProblem, x: Array, rows: slice | NDArray[np.intp]
) -> int:
    """Return the most bytes that a rule holds while it makes the direction of one batch.

    Parameters, batch, what the rule keeps between batches, and the direction itself are there
    before and do not count: what is measured is what has to be kept on the way.  The least of three
    times counts, as what other threads allocate is seen, too.

    Parameters
    ----------
    rule : Rule
    problem : LayeredProblem
        Of NumPy's arrays: those of other libraries are not seen by `tracemalloc`.
    x : array (p,)
        Parameters.
    rows : slice or array of int
        The batch.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.models.network.dense import flatten, random_network
    >>> from spectral_nn.models.network.objective import Objective
    >>> from spectral_nn.trainers.rules.backprop import Backprop
    >>> from spectral_nn.trainers.rules.layer_wise import LayerWise
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((1000, 50)), np.eye(2)[rng.integers(0, 2, 1000)]
    >>> network = random_network((50, *[50] * 40, 2), "relu", "softmax", rng)
    >>> problem, x = Objective(X, Y, network), flatten(network)
    >>> backprop = peak_memory(Backprop(), problem, x, slice(0, 1000))
    >>> peak_memory(LayerWise(), problem, x, slice(0, 1000)) < 0.25 * backprop
    True
    """
    rng = np.random.default_rng(0)
    layers, batch = problem.layers(x), problem.batch(rows)
    memory = rule.init(layers, int(layers[-1].intercept.shape[0]), rng)
    xp = get_namespace(x)
    into = views(problem.layers(xp.zeros_like(x)))
    into_learned = [xp.zeros_like(part) for part in memory.learned]
    how: dict[str, Any] = {"memory": memory, "into_learned": into_learned, "rng": rng, "stage": 0}
    rule.write(layers, batch, into, **how)  # compiles
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    peaks = []
    try:
        for _ in range(3):  # other threads may allocate meanwhile
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            rule.write(layers, batch, into, **how)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        return min(peaks)
    finally:
        if ours:
            tracemalloc.stop()
