"""The lane E-step as array-API matrix products, for any namespace and device.

`spectral_nn.models.chains.expectation.expect_lanes` is the compiled twin for NumPy and a CPU.  Here
all lanes of a chunk advance together, so that a time step is the product of an (S, K) table with
the transition matrix: what a GPU wants.  The longest lanes come first, and a lane that has ended
drops out of the tables.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.arrays import Array, add_at, from_numpy, get_namespace, to_numpy
from spectral_nn.models.chains.kernels import LANES
from spectral_nn.models.chains.lane_step import filter_rows, smooth_rows
from spectral_nn.models.chains.lanes import LaneBatches
from spectral_nn.models.chains.observations import gather, look_up_rows
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import HMMStatistics

_FEW_CODES = 128  # up to here a product with indicators counts faster than scattered additions


def expect_on(
    parameters: HMMParameters,
    batches: LaneBatches,
    *,
    dtype: DTypeLike = np.float32,
    labelled: bool = False,
) -> HMMStatistics:
    """Expected counts of lanes under a model, computed where the lanes' symbols are.

    Parameters
    ----------
    parameters : K states.
    batches : the lanes, of rows or of codes below d + 1 (or (d + 1)(K + 1) with labels).
        `symbols` decides library and device; the other arrays may be there too, or NumPy's.
    dtype : float32 or float64, the precision of the recursion; sums over time are always float64.
    labelled : whether observations carry labels.

    Returns
    -------
    HMMStatistics, as NumPy arrays on the host; equal to those of `expect_lanes` to rounding.

    Notes
    -----
    6 K^2 flops a token in products of (S, K) tables, S lanes, plus 2 D K for up to 128 codes.
    Memory K numbers a token.  The host waits for the device at the end, not at any time step.
    """
    rows = None if batches.values is None else to_numpy(batches.values)
    table, log_scale, _ = look_up_rows(parameters.emission, rows, labelled)
    if batches.weight.shape[0] == 0:
        K = parameters.n_components
        nothing = gather(parameters.emission, rows, np.zeros_like(table), labelled)
        return HMMStatistics(np.zeros(K), np.zeros((K, K)), nothing, 0.0)
    lanes = _side_by_side(batches, table.shape[0], dtype)
    xp = get_namespace(lanes.codes)
    entry = np.stack([parameters.stationary, parameters.startprob])
    entry, transmat, emission = (
        from_numpy(x.astype(dtype), like=lanes.codes) for x in (entry, parameters.transmat, table)
    )
    filtered, scale = _forward(xp, entry, transmat, emission, lanes)
    log_likelihood = _log_likelihood(xp, scale, lanes)
    disagreement = _disagreement(xp, filtered, lanes)
    start, xi, emit = _backward(xp, transmat, emission, filtered, scale, lanes)
    total = float(log_likelihood)
    if log_scale is not None and batches.times is not None:
        total += float(to_numpy(batches.times) @ log_scale)
    return HMMStatistics(
        to_numpy(start),
        to_numpy(xi) * parameters.transmat,
        gather(parameters.emission, rows, to_numpy(emit), labelled),
        total if np.isfinite(total) else -np.inf,
        float(disagreement),
        batches.joined.shape[0],
    )


class _Lanes(NamedTuple):
    """Lanes side by side, the longest first, and step after step: n positions, S lanes.

    Attributes
    ----------
    codes : (n,)
    counted : (n,) the code where a lane owns the position, else one more than the largest.
    own : (n,) 1 where a lane owns the position, else 0.
    weight : (n,) ``own`` times the multiplicity of the lane.
    multiplicity : (S,)
    fresh : (S,) 1 where a lane starts its sequence.
    steps : positions of each step, of all lanes that have one.
    leaving, entering : (joints, 2) step and lane of two filters that should be the same; on the
        host.  Step -1 stands for zeros.
    """

    codes: Array
    counted: Array
    own: Array
    weight: Array
    multiplicity: Array
    fresh: Array
    steps: list[slice]
    leaving: NDArray[np.int64]
    entering: NDArray[np.int64]


def _side_by_side(batches: LaneBatches, n_codes: int, dtype: DTypeLike) -> _Lanes:
    """Turn lanes laid out batch after batch; positions are a gather of rows of 32."""
    xp = get_namespace(batches.symbols)
    put = partial(from_numpy, like=batches.symbols)
    offsets, own, weight, joined = map(
        to_numpy, (batches.offsets, batches.own, batches.weight, batches.joined)
    )
    sizes = np.diff(offsets)
    order = np.argsort(-sizes, kind="stable")
    t = np.arange(sizes.max())
    active = sizes.size - np.searchsorted(np.sort(sizes), t, side="right")
    ends = np.cumsum(active)
    t = np.repeat(t, active)
    batch = np.arange(ends[-1]) - np.repeat(ends - active, active)

    def each_step(values: NDArray) -> Array:
        return xp.take(put(values[order]), put(batch), axis=0)

    step = put(t.astype(own.dtype))[:, None]
    inside = (step >= each_step(own[:, 0])) & (step < each_step(own[:, 1]))
    rows = put(offsets[:-1][order][batch] + t)
    codes = xp.take(xp.reshape(batches.symbols, (-1, LANES)), rows, axis=0)
    uncounted = put(np.asarray(n_codes, dtype=np.int32))
    mine = xp.astype(inside, getattr(xp, np.dtype(dtype).name))
    weight = weight.astype(dtype)
    lane = (np.argsort(order)[:, None] * LANES + np.arange(LANES)).ravel()
    first, stop = (own[:, side].ravel().astype(np.int64) for side in (0, 1))
    before, after = joined.T
    return _Lanes(
        codes=xp.reshape(codes, (-1,)),
        counted=xp.reshape(xp.where(inside, codes, uncounted), (-1,)),
        own=xp.reshape(mine, (-1,)),
        weight=xp.reshape(mine * each_step(weight), (-1,)),
        multiplicity=put(weight[order].ravel()),
        fresh=put(own[order, 2].ravel()),
        steps=[slice(*pair) for pair in (LANES * np.stack([ends - active, ends], axis=1)).tolist()],
        leaving=np.stack([stop[before] - 1, lane[before]], axis=1),
        entering=np.stack([first[after] - 1, lane[after]], axis=1),
    )


def _forward(
    xp: Any, entries: Array, transmat: Array, emission: Array, lanes: _Lanes
) -> tuple[list[Array], list[Array]]:
    """Filters of every step, and their scales, infinite where the lane is impossible.

    Rabiner 1989, section V.A.
    """
    filtered: list[Array] = []
    scale: list[Array] = []
    for here in lanes.steps:
        if filtered:
            table = filtered[-1][: here.stop - here.start, :] @ transmat
        else:
            table = xp.take(entries, lanes.fresh, axis=0)
        table, total = filter_rows(table, emission, lanes.codes[here])
        filtered.append(table)
        scale.append(total)
    return filtered, scale


def _backward(
    xp: Any,
    transmat: Array,
    emission: Array,
    filtered: list[Array],
    scale: list[Array],
    lanes: _Lanes,
) -> tuple[Array, Array, Array]:
    """Counts of first states, of transitions without the factor `transmat`, and of codes."""
    (n_codes, K), device = emission.shape, emission.device
    xi = xp.zeros((K, K), dtype=xp.float64, device=device)
    emit = xp.zeros((n_codes + 1, K), dtype=xp.float64, device=device)
    indicator = None
    if n_codes <= _FEW_CODES:
        indicator = xp.eye(n_codes + 1, dtype=emission.dtype, device=device)
    backward = emission[:0, :]
    for t in range(len(filtered) - 1, -1, -1):
        here = lanes.steps[t]
        begin, n = backward.shape[0], here.stop - here.start
        if begin < n:  # lanes that end here; their multiplicity travels with them
            multiplicity = lanes.multiplicity[begin:n][:, None]
            backward = xp.concat([backward, xp.broadcast_to(multiplicity, (n - begin, K))])
        smoothed, onward, counted = smooth_rows(
            filtered[t], backward, emission, lanes.codes[here], scale[t], lanes.own[here]
        )
        if indicator is None:
            emit = add_at(emit, lanes.counted[here], smoothed)
        else:
            emit += xp.take(indicator, lanes.counted[here], axis=0).T @ smoothed
        if t > 0:
            xi += filtered[t - 1][:n, :].T @ counted
            backward = onward @ transmat.T
    first = lanes.own[lanes.steps[0]] * xp.astype(lanes.fresh, emission.dtype)
    start = xp.sum(xp.astype(smoothed * first[:, None], xp.float64), axis=0)
    return start, xi, emit[:n_codes, :]


def _log_likelihood(xp: Any, scale: list[Array], lanes: _Lanes) -> Array:
    """Logarithm of the scales, summed; not finite where a lane is impossible."""
    factors = xp.astype(xp.concat(scale), xp.float64)
    logs = xp.where(lanes.weight > 0, xp.log(factors), xp.zeros_like(factors))
    return xp.sum(lanes.weight * logs)


def _disagreement(xp: Any, filtered: list[Array], lanes: _Lanes) -> Array | float:
    """Summed L1 distance between filters that end a lane and their successors' burn-in."""
    if not lanes.leaving.size:
        return 0.0
    leaving, entering = (_filters_at(xp, filtered, at) for at in (lanes.leaving, lanes.entering))
    return xp.sum(xp.astype(xp.abs(leaving - entering), xp.float64))


def _filters_at(xp: Any, filtered: list[Array], places: NDArray[np.int64]) -> Array:
    """Filters (joints, K) of steps and lanes, gathered step by step."""
    put = partial(from_numpy, like=filtered[0])
    order = np.argsort(places[:, 0], kind="stable")
    lane = put(places[order, 1])
    steps, begins = np.unique(places[order, 0], return_index=True)
    found = []
    for t, begin, end in zip(steps, begins, [*begins[1:], order.size], strict=True):
        rows = xp.take(filtered[max(t, 0)], lane[begin:end], axis=0)
        found.append(rows if t >= 0 else xp.zeros_like(rows))
    return xp.take(xp.concat(found), put(np.argsort(order)), axis=0)
