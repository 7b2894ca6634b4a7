"""The lane E-step as array-API matrix products, for any namespace and device.

`spectral_nn.models.hmm.expectation.expect_lanes` is the compiled twin for NumPy and a CPU.  Here
all lanes of one length advance together, so that a time step is the product of an (S, K) table
with the transition matrix: what a GPU wants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.models.hmm.coding import emission_table
from spectral_nn.models.hmm.kernels import LANES
from spectral_nn.models.hmm.lanes import LaneBatches
from spectral_nn.models.hmm.parameters import HMMParameters, stationary
from spectral_nn.models.hmm.statistics import HMMStatistics


def expect_on(
    like: Array, parameters: HMMParameters, batches: LaneBatches, *, labelled: bool = False
) -> HMMStatistics:
    """Expected counts of lanes under a model, computed where `like` lives.

    Parameters
    ----------
    like : an array whose namespace, device and floating-point precision are used.
    parameters : K states, d symbols.
    batches : the lanes, of codes below d + 1 (or (d + 1)(K + 1) with labels).
    labelled : whether the codes carry labels.

    Returns
    -------
    HMMStatistics, as NumPy arrays on the host; equal to those of `expect_lanes` to rounding.

    Notes
    -----
    6 K^2 + 2 D K flops a token in products of (S, K) tables, S lanes of one length; memory
    2 S K numbers a time step of the longest lane.
    """
    table = emission_table(parameters.emissionprob, labelled)
    model = [
        from_numpy(x, like=like)
        for x in (
            np.stack([stationary(parameters.transmat), parameters.startprob]),
            parameters.transmat,
            table,
        )
    ]
    steps = np.diff(batches.offsets)
    # The total of nothing, so that the sum below has the right shapes whatever the data.
    K, D = parameters.n_components, table.shape[0]
    summed = HMMStatistics(np.zeros(K), np.zeros((K, K)), np.zeros((D, K)), 0.0)
    filters = np.zeros((batches.own.shape[0], 2, LANES, K))
    for n_steps in np.unique(steps):
        chosen = np.flatnonzero(steps == n_steps)
        group = batches.select(chosen)
        statistics, boundary = _expect_group(like, model, group, int(n_steps))
        summed = summed + statistics
        filters[chosen] = boundary
    return summed + _cuts(filters, batches, K, D)


def _expect_group(
    like: Array, model: list[Array], group: LaneBatches, n_steps: int
) -> tuple[HMMStatistics, np.ndarray]:
    """Statistics of lanes of one length, and their filters before and at the end of their own."""
    xp = get_namespace(like)
    entries, transmat, table = model
    n_lanes = group.own.shape[0] * LANES
    by_step = group.symbols.reshape(-1, n_steps, LANES).transpose(1, 0, 2).reshape(n_steps, n_lanes)
    first, stop, fresh = (group.own[:, i].ravel() for i in range(3))
    t = np.arange(n_steps)[:, None]
    weight = np.where((t >= first) & (t < stop), group.weight.ravel(), 0.0)
    symbols = from_numpy(by_step.astype(np.int64), like=like)
    share = from_numpy(weight, like=like)
    entry = xp.take(entries, from_numpy(fresh.astype(np.int64), like=like), axis=0)
    filtered, emitted, log_likelihood = _forward(xp, entry, transmat, table, symbols, share)
    start, xi, emit = _backward(xp, transmat, table, symbols, share, filtered, emitted)
    flat = xp.reshape(xp.stack(filtered), (n_steps * n_lanes, -1))
    lanes = np.arange(n_lanes)
    boundary = [
        np.where(
            at[:, None] >= 0,
            to_numpy(
                xp.take(flat, from_numpy(np.maximum(at, 0) * n_lanes + lanes, like=like), axis=0)
            ),
            0.0,
        ).reshape(-1, LANES, transmat.shape[0])
        for at in (first.astype(np.int64) - 1, stop.astype(np.int64) - 1)
    ]
    started = xp.sum(start * from_numpy(fresh.astype(np.float64), like=like)[:, None], axis=0)
    start_, trans, emit_ = (to_numpy(x).astype(np.float64) for x in (started, xi * transmat, emit))
    statistics = HMMStatistics(start_, trans, emit_, log_likelihood)
    return statistics, np.stack(boundary, axis=1)


def _forward(
    xp: Any, entry: Array, transmat: Array, table: Array, symbols: Array, share: Array
) -> tuple[list[Array], list[Array], float]:
    """Filters and scaled emissions of every step (Rabiner 1989, section V.A)."""
    filtered: list[Array] = []
    emitted: list[Array] = []
    log_p = xp.zeros_like(share[0, :])
    impossible = log_p > 0
    for t in range(symbols.shape[0]):
        predicted = filtered[-1] @ transmat if t else entry
        emission = xp.take(table, symbols[t, :], axis=0)
        total = xp.sum(predicted * emission, axis=1)
        possible = total > 0
        scale = xp.where(possible, total, xp.ones_like(total))
        inverse = xp.where(possible, 1 / scale, xp.zeros_like(total))[:, None]
        emission = emission * inverse
        filtered.append(predicted * emission)
        emitted.append(emission)
        log_p = log_p + share[t, :] * xp.log(scale)
        impossible = impossible | ((share[t, :] > 0) & ~possible)
    if bool(xp.any(impossible)):
        return filtered, emitted, -np.inf
    return filtered, emitted, float(to_numpy(log_p).sum(dtype=np.float64))


def _backward(
    xp: Any,
    transmat: Array,
    table: Array,
    symbols: Array,
    share: Array,
    filtered: list[Array],
    emitted: list[Array],
) -> tuple[Array, Array, Array]:
    """Posterior of the first step by lane, transition sums without `transmat`, emission counts."""
    codes = xp.arange(table.shape[0], dtype=symbols.dtype, device=symbols.device)[:, None]
    backward = xp.ones_like(filtered[0])
    xi, emit = xp.zeros_like(transmat), xp.zeros_like(table)
    for t in range(len(filtered) - 1, -1, -1):
        smoothed = filtered[t] * backward * share[t, :][:, None]
        shown = xp.astype(symbols[t, :][None, :] == codes, table.dtype)
        emit = emit + shown @ smoothed
        if t == 0:
            return smoothed, xi, emit
        onward = emitted[t] * backward
        xi = xi + filtered[t - 1].T @ (onward * share[t, :][:, None])
        backward = onward @ transmat.T
    raise ValueError("a lane needs at least one step.")


def _cuts(filters: np.ndarray, batches: LaneBatches, K: int, D: int) -> HMMStatistics:
    """What neighbouring lanes disagree about, as statistics of no data."""
    flat = filters.transpose(1, 0, 2, 3).reshape(2, -1, K)
    leaving, entering = flat[1, batches.joined[:, 0]], flat[0, batches.joined[:, 1]]
    return HMMStatistics(
        np.zeros(K),
        np.zeros((K, K)),
        np.zeros((D, K)),
        0.0,
        float(np.abs(leaving - entering).sum()),
        batches.joined.shape[0],
    )
