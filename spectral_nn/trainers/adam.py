"""Minimisation by mini-batch Adam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, to_numpy

__all__ = ["AdamMinimum", "AdamState", "adam"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AdamState:
    """What Adam remembers between steps.

    Attributes
    ----------
    m, v : arrays (p,), decayed means of the gradient and of its square.
    t : steps done.
    """

    m: Vector
    v: Vector
    t: int


@dataclass(frozen=True, eq=False)
class AdamMinimum:
    """Outcome of `adam`.

    Attributes
    ----------
    x : array (p,), where it ended.
    value : mean of the objective over the batches of the last epoch, NaN if there was none.
    history : the same after each epoch.
    n_iter : epochs done.
    converged : whether it ended because the objective no longer fell.
    message : why it ended.
    state : to go on from.
    """

    x: Vector
    value: float
    history: list[float]
    n_iter: int
    converged: bool
    message: str
    state: AdamState


def adam(
    gradient_of_batch: Callable[[Vector, slice | NDArray[np.intp]], tuple[float, Vector]],
    start: Array,
    *,
    n_rows: int,
    batch_size: int,
    learning_rate: float = 1e-3,
    max_iter: int,
    tol: float,
    n_iter_no_change: int,
    rng: np.random.Generator,
    shuffle: bool = True,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    on_step: Callable[[int, float, Vector], bool | None] | None = None,
    state: AdamState | None = None,
) -> AdamMinimum:
    """Minimise a sum over rows by Adam, the steps and stopping rule of scikit-learn's perceptrons.

    Kingma, Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1 in the form
    that ends its section 2.

    Parameters
    ----------
    gradient_of_batch : (x (p,), rows) -> (value, gradient (p,)) of the mean over these rows, which
        are a slice, or integers (batch_size,) where rows are shuffled
    start : array (p,) of any library
    n_rows : rows there are
    batch_size : rows of a step; the last batch of an epoch may have fewer
    learning_rate : size of a step
    max_iter : most epochs
    tol, n_iter_no_change : stop when more than so many epochs in a row have not lowered the least
        value by more than `tol`
    rng : Generator
        Orders the rows.
    shuffle : whether rows are put into a new order before each epoch
    beta_1, beta_2 : decay of the means of the gradient and of its square
    epsilon : added to the root of the latter
    on_step : told (epoch, value, x) after each; true stops. `x` is a copy.
    state : of an earlier call, to go on from; `n_iter_no_change` counts afresh

    Returns
    -------
    AdamMinimum

    Raises
    ------
    ValueError
        If `state` is of another number of parameters.

    Notes
    -----
    10 p operations a step besides the gradient. An epoch whose value is not finite is the last.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.trainers.adam import adam
    >>> rows = np.arange(10.0)
    >>> found = adam(
    ...     lambda x, rows_: (0.5 * np.mean((x - rows[rows_]) ** 2), x - np.mean(rows[rows_])),
    ...     np.zeros(1), n_rows=10, batch_size=5, learning_rate=0.1, max_iter=200, tol=0.0,
    ...     n_iter_no_change=200, rng=np.random.default_rng(0),
    ... )
    >>> bool(abs(found.x[0] - 4.5) < 0.5)
    True
    """
    x = np.array(to_numpy(start), dtype=np.float64)
    if state is None:
        m, v, t = np.zeros_like(x), np.zeros_like(x), 0
    elif state.m.shape != x.shape:
        raise ValueError(
            f"state is of {state.m.shape[0]} parameters, start of {x.shape[0]}; go on with a state "
            "of the same problem"
        )
    else:
        m, v, t = state.m.copy(), state.v.copy(), state.t
    history: list[float] = []
    least, misses = np.inf, 0
    converged, message = False, "max_iter is reached"
    for epoch in range(1, max_iter + 1):
        order = rng.permutation(n_rows) if shuffle else None
        total = 0.0
        for begin in range(0, n_rows, batch_size):
            rows = slice(begin, min(begin + batch_size, n_rows))
            value, gradient = gradient_of_batch(x, rows if order is None else order[rows])
            total += value * (rows.stop - rows.start)
            t += 1
            m += (1 - beta_1) * (gradient - m)
            v += (1 - beta_2) * (gradient * gradient - v)
            rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            x -= rate * m / (np.sqrt(v) + epsilon)
        history.append(total / n_rows)
        misses = misses + 1 if history[-1] > least - tol else 0
        least = min(least, history[-1])
        if on_step is not None and on_step(epoch, history[-1], x.copy()):
            message = "on_step asked to stop"
            break
        if not np.isfinite(history[-1]):
            message = "the value is not finite"
            break
        if misses > n_iter_no_change:
            converged, message = True, f"no gain above tol for {misses} epochs"
            break
    value = history[-1] if history else np.nan
    return AdamMinimum(x, value, history, len(history), converged, message, AdamState(m, v, t))
