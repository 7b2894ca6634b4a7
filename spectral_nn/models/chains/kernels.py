"""Compiled lane E-step: many short recursions advance side by side in vector registers.

A *batch* holds 32 lanes.  The forward pass keeps the filters and the scaled emissions of a batch,
the backward pass smooths them and adds up expected counts; both are built from the vector loops of
`spectral_nn.models.chains.registers`.  Arrays are flat and padded to `padded` states;
`spectral_nn.models.chains.lanes` owns the layout.
"""

from __future__ import annotations

import numpy as np

from spectral_nn.compiled import Compiled, compiled_part
from spectral_nn.models.chains.registers import (
    LANES,
    advance,
    count,
    look_up,
    normalise,
    padded,
    scatter,
)

__all__ = ["LANES", "expect_batches", "padded"]

# Time steps whose tables stay in the second-level cache between `advance` and `count`.
_BLOCK = 32


@compiled_part
def _forward(entry, matrix, table, symbols, symbols_at, n_steps, own, filtered, emitted, log_p):
    """Filter a batch; `filtered` and `emitted` (steps, size, LANES) keep what going back needs."""
    step = entry.size
    size = step // LANES
    total = np.empty(LANES, dtype=filtered.dtype)
    product = np.ones(LANES)
    filtered[:step] = entry
    for t in range(n_steps):
        at = t * step
        if t:
            advance(filtered, at, matrix, filtered, at - step, size)
        look_up(emitted, at, table, symbols, symbols_at + t * LANES, size)
        normalise(filtered, emitted, at, total, size)
        for lane in range(LANES):
            if own[0, lane] <= t < own[1, lane]:
                product[lane] *= total[lane]
        last = t % 8 == 7 or t == n_steps - 1
        for lane in range(LANES):  # a logarithm of eight factors, or of those that may underflow
            if last or product[lane] < 1e-200:
                log_p[lane] += np.log(product[lane])
                product[lane] = 1


@compiled_part
def _weigh(t, own, weight, filtered, emitted, at, size, smoothed, onward, backward, share):
    """Posterior of step `t`, weighted, and the two sides of the transition into it."""
    for lane in range(LANES):
        inside = own[0, lane] <= t < own[1, lane]
        share[lane] = weight[lane] if inside else 0
    for k in range(size):
        row = k * LANES
        for lane in range(LANES):
            here = np.uint64(row + lane)
            there = np.uint64(at + row + lane)
            smoothed[here] = filtered[there] * backward[here] * share[lane]
            onward[here] = emitted[there] * backward[here]
            emitted[there] = onward[here] * share[lane]


@compiled_part
def _backward(
    back, symbols, symbols_at, n_steps, own, weight, filtered, emitted, work, start, xi, emit
):
    """Smooth a batch and add its expected counts to `start`, `xi` and `emit`."""
    step = work.shape[1]
    size = step // LANES
    smoothed, onward, backward = work[0], work[1], work[2]
    share = np.empty(LANES, dtype=filtered.dtype)
    backward[:] = 1
    counted = n_steps
    for t in range(n_steps - 1, -1, -1):
        at = t * step
        _weigh(t, own, weight, filtered, emitted, at, size, smoothed, onward, backward, share)
        scatter(emit, smoothed, symbols, symbols_at + t * LANES, size)
        if t == 0:
            for k in range(size):
                for lane in range(LANES):
                    start[k * LANES + lane] += smoothed[k * LANES + lane] * own[2, lane]
        else:
            advance(backward, 0, back, onward, 0, size)
        if t and (counted - t == _BLOCK or t == 1):
            count(xi, filtered, at - step, emitted, at, counted - t, size)
            counted = t


@Compiled
def expect_batches(
    entries, matrix, table, symbols, offsets, own, weight, passes, boundary, start, xi, emit
):
    """Add expected counts of batches of lanes to `start`, `xi` and `emit`.

    Equations 18-27 and 40 of Rabiner (1989), lane by lane.

    Parameters
    ----------
    entries : (2, size * LANES) probabilities before the first symbol: of a lane that enters in the
        middle of a sequence, and of one that starts it.
    matrix : (2, size * size) transition matrix and its transpose.
    table : (D * size,) emission probability of every code.
    symbols : (sum of steps * LANES,) int32 codes, step after step, lanes innermost.
    offsets : (n_batches + 1,) int64, steps before each batch.
    own : (n_batches, 3, LANES) int32, first and last own step (half open), and whether the lane
        starts its sequence.
    weight : (n_batches, LANES) multiplicity of each lane.
    passes : (2, steps of the longest batch * size * LANES) to work in, of the dtype of `matrix`.
        The caller's, as NumPy asks for huge pages: with a page fault for every 4 KiB of the 7 MB,
        an E-step of 30 states took 1.3 times as long.
    boundary : (n_batches, 2, size * LANES) receives the filter before and at the end of the own
        steps, or has no rows where nobody wants it.
    start : (size,) float64, to be added to, as are
    xi : (size * size,) float64, without the factor `matrix`, and
    emit : (D * size,) float64, or of the precision of `table`.

    Returns
    -------
    log_likelihood : float, nats.

    Notes
    -----
    6 size^2 flops a token in `advance` and `count`.
    """
    step = entries.shape[1]
    size = step // LANES
    filtered, emitted = passes[0], passes[1]
    work = np.empty((3, step), dtype=matrix.dtype)
    entry = np.empty(step, dtype=matrix.dtype)
    starting = np.zeros(step)
    log_likelihood = 0.0
    for b in range(offsets.size - 1):
        n_steps = offsets[b + 1] - offsets[b]
        at = offsets[b] * LANES
        log_p = np.zeros(LANES)
        for k in range(size):
            for lane in range(LANES):
                at_lane = k * LANES + lane
                fresh = own[b, 2, lane] != 0
                entry[at_lane] = entries[1, at_lane] if fresh else entries[0, at_lane]
        _forward(entry, matrix[0], table, symbols, at, n_steps, own[b], filtered, emitted, log_p)
        if boundary.shape[0]:
            _keep_boundary(boundary[b], filtered, own[b], size)
        _backward(
            matrix[1], symbols, at, n_steps, own[b], weight[b],
            filtered, emitted, work, starting, xi, emit,
        )  # fmt: skip
        for lane in range(LANES):
            if weight[b, lane] > 0:
                log_likelihood += weight[b, lane] * log_p[lane]
    for k in range(size):
        for lane in range(LANES):
            start[k] += starting[k * LANES + lane]
    return log_likelihood


@compiled_part
def _keep_boundary(boundary, filtered, own, size):
    step = size * LANES
    for side in range(2):
        for lane in range(LANES):
            t = own[side, lane] - 1
            for k in range(size):
                at = t * step + k * LANES + lane
                boundary[side, k * LANES + lane] = filtered[at] if t >= 0 else 0
