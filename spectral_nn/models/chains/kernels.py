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
    exponentiate,
    look_up,
    normalise,
    padded,
    scatter,
)

__all__ = ["LANES", "expect_batches", "padded", "weigh_terms"]

# Time steps whose tables stay in the second-level cache between `advance` and `count`.
_BLOCK = 32


@compiled_part
def _forward(entry, matrix, table, symbols, symbols_at, n_steps, own, filtered, emitted, log_p):
    """Filter a batch; `filtered` and `emitted` (steps, size, LANES) keep what going back needs.

    Without a table, likelihoods are in `emitted`.
    """
    step = entry.size
    size = step // LANES
    total = np.empty(LANES, dtype=filtered.dtype)
    product = np.ones(LANES)
    filtered[:step] = entry
    for t in range(n_steps):
        at = t * step
        if t:
            advance(filtered, at, matrix, filtered, at - step, size, size)
        if table.size:
            look_up(emitted, at, table, symbols, symbols_at + t * LANES, size)
        normalise(filtered, emitted, at, total, size)
        least = 1.0
        for lane in range(LANES):
            inside = own[0, lane] <= t < own[1, lane]
            product[lane] *= total[lane] if inside else 1
            least = min(least, product[lane])
        if least < 1e-200 or t == n_steps - 1:  # a logarithm costs as much as many products
            for lane in range(LANES):
                log_p[lane] += np.log(product[lane])
                product[lane] = 1


@compiled_part
def _weigh(t, own, weight, filtered, emitted, at, size, smoothed, kept_at, onward, backward, share):
    """Posterior of step `t`, weighted, and the two sides of the transition into it."""
    for lane in range(LANES):
        inside = own[0, lane] <= t < own[1, lane]
        share[lane] = weight[lane] if inside else 0
    for k in range(size):
        row = k * LANES
        for lane in range(LANES):
            here = np.uint64(row + lane)
            there = np.uint64(at + row + lane)
            kept = np.uint64(kept_at + row + lane)
            smoothed[kept] = filtered[there] * backward[here] * share[lane]
            onward[here] = emitted[there] * backward[here]
            emitted[there] = onward[here] * share[lane]


@compiled_part
def _backward(
    back, terms, symbols, symbols_at, n_steps, own, weight, filtered, emitted, work, smoothed,
    start, xi, emit, totals,
):  # fmt: skip
    """Smooth a batch and add its expected counts to `start`, `xi`, and `emit` or `totals`."""
    step = work.shape[1]
    size = step // LANES
    onward, backward = work[0], work[1]
    share = np.empty(LANES, dtype=filtered.dtype)
    backward[:] = 1
    n_terms = totals.size // size
    counted = gathered = n_steps
    for t in range(n_steps - 1, -1, -1):
        at = t * step
        # A block of posteriors is filled from its end; of symbols each is used at once.
        kept_at = (_BLOCK - gathered + t) * step if terms.size else 0
        _weigh(
            t, own, weight, filtered, emitted, at, size, smoothed, kept_at, onward, backward, share
        )
        if not terms.size:
            scatter(emit, smoothed, symbols, symbols_at + t * LANES, size)
        elif gathered - t == _BLOCK or t == 0:
            count(
                totals, smoothed, kept_at, terms, t * n_terms * LANES, gathered - t, size, n_terms
            )
            gathered = t
        if t == 0:
            for k in range(size):
                for lane in range(LANES):
                    here = k * LANES + lane
                    start[here] += smoothed[kept_at + here] * own[2, lane]
        else:
            advance(backward, 0, back, onward, 0, size, size)
        if t and (counted - t == _BLOCK or t == 1):
            count(xi, filtered, at - step, emitted, at, counted - t, size, size)
            counted = t


@Compiled
def expect_batches(
    entries, matrix, table, terms, symbols, offsets, own, weight, passes, boundary, start, xi, emit,
    totals,
):  # fmt: skip
    """Add expected counts of batches of lanes to `start`, `xi`, and `emit` or `totals`.

    Equations 18-27 and 40 of Rabiner (1989), lane by lane.

    Parameters
    ----------
    entries : (2, size * LANES) probabilities before the first symbol: of a lane that enters in the
        middle of a sequence, and of one that starts it.
    matrix : (2, size * size) transition matrix and its transpose.
    table : (D * size,) emission probability of every code; nothing where ``passes[1]`` has those
        of all steps of the batches.
    terms : (steps * q * LANES,) in that case, what each state gathers of every observation, q a
        multiple of 4.
    symbols : (sum of steps * LANES,) int32 codes, step after step, lanes innermost.
    offsets : (n_batches + 1,) int64, steps before each batch.
    own : (n_batches, 3, LANES) int32, first and last own step (half open), and whether the lane
        starts its sequence.
    weight : (n_batches, LANES) multiplicity of each lane.
    passes : (2, steps of the longest batch * size * LANES) to work in, of the dtype of `matrix`;
        without a table, of all batches.
        The caller's, as NumPy asks for huge pages: with a page fault for every 4 KiB of the 7 MB,
        an E-step of 30 states took 1.3 times as long.
    boundary : (n_batches, 2, size * LANES) receives the filter before and at the end of the own
        steps, or has no rows where nobody wants it.
    start : (size,) float64, to be added to, as are
    xi : (size * size,) float64, without the factor `matrix`, and
    emit : (D * size,) float64, or of the precision of `table`, and
    totals : (size * q,) float64, of terms.

    Returns
    -------
    log_likelihood : float, nats.

    Notes
    -----
    6 size^2 flops a token in `advance` and `count`.
    """
    step = entries.shape[1]
    size = step // LANES
    n_terms = totals.size // size
    work = np.empty((2, step), dtype=matrix.dtype)
    smoothed = np.empty((_BLOCK if terms.size else 1) * step, dtype=matrix.dtype)
    entry = np.empty(step, dtype=matrix.dtype)
    starting = np.zeros(step)
    log_likelihood = 0.0
    for b in range(offsets.size - 1):
        n_steps = offsets[b + 1] - offsets[b]
        at = offsets[b] * LANES
        before = offsets[b] - offsets[0] if terms.size else 0
        filtered, emitted = passes[0][before * step :], passes[1][before * step :]
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
            matrix[1], terms[before * n_terms * LANES :], symbols, at, n_steps, own[b], weight[b],
            filtered, emitted, work, smoothed, starting, xi, emit, totals,
        )  # fmt: skip
        for lane in range(LANES):
            if weight[b, lane] > 0:
                log_likelihood += weight[b, lane] * log_p[lane]
    for k in range(size):
        for lane in range(LANES):
            start[k] += starting[k * LANES + lane]
    return log_likelihood


@Compiled
def weigh_terms(terms, n_terms, weights, n_components, offsets, own, weight, emitted):
    """Likelihoods of some batches, over the largest of each observation.

    Parameters
    ----------
    terms : (steps * q * LANES,) of `expect_batches`.
    n_terms : q.
    weights : (q * size,) of each term in the log-likelihood of each state.
    n_components : K, of the `size` states.
    offsets, own, weight : of `expect_batches`.
    emitted : (steps * size * LANES,) to be filled; 0 where a state is padding.

    Returns
    -------
    total : float, nats that were taken off the log-likelihood of the batches.

    Notes
    -----
    2 q size flops an observation.
    """
    step = weights.size // n_terms * LANES
    largest = np.empty(LANES, dtype=emitted.dtype)
    total = 0.0
    for b in range(offsets.size - 1):
        totals = np.zeros(LANES)
        for t in range(offsets[b + 1] - offsets[b]):
            place = offsets[b] - offsets[0] + t
            at = place * step
            advance(emitted, at, weights, terms, place * n_terms * LANES, n_terms, step // LANES)
            largest[:] = -np.inf
            for k in range(n_components):
                for lane in range(LANES):
                    value = emitted[np.uint64(at + k * LANES + lane)]
                    largest[lane] = value if value > largest[lane] else largest[lane]
            for lane in range(LANES):
                if largest[lane] == -np.inf:
                    largest[lane] = 0
                inside = own[b, 0, lane] <= t < own[b, 1, lane]
                totals[lane] += largest[lane] if inside else 0
            exponentiate(emitted, at, largest, n_components)
            emitted[at + n_components * LANES : at + step] = 0
        total += np.sum(totals * weight[b])
    return total


@compiled_part
def _keep_boundary(boundary, filtered, own, size):
    step = size * LANES
    for side in range(2):
        for lane in range(LANES):
            t = own[side, lane] - 1
            for k in range(size):
                at = t * step + k * LANES + lane
                boundary[side, k * LANES + lane] = filtered[at] if t >= 0 else 0
