"""Compiled filters: the predictive state of a sequence, moved on symbol by symbol."""

from __future__ import annotations

import numpy as np

from spectral_nn.compiled import Compiled, compiled_part

__all__ = ["draw", "run"]

_ROUNDING = 1e-9
_FURTHEST = 0.1  # of the way to the average state, that a state is moved at a time


@compiled_part
def _predict(state, average, functionals, usual, share, p, n_clipped):
    """Probabilities `p` of what comes next, and the state moved to where they are so.

    Values below `share` of the usual ones are raised to these, and all are normalised.  The state
    goes towards the average one until no probability is negative, but not far.
    """
    k, n = functionals.shape
    p[:] = 0.0
    for i in range(k):
        weight = state[i]
        for x in range(n):
            p[x] += weight * functionals[i, x]
    total, way = 0.0, 0.0
    for x in range(n):
        value = p[x]
        if not np.isfinite(value) or value < -_ROUNDING or value > 1 + _ROUNDING:
            n_clipped[0] += 1
        if value < 0:
            way = max(way, value / (value - usual[x]))
        p[x] = max(value, share * usual[x]) if value < np.inf else usual[x]
        total += p[x]
    n_clipped[1] += n
    for x in range(n):
        p[x] /= total
    if way > 0:
        way = min(way, _FURTHEST)
        for i in range(k):
            state[i] += way * (average[i] - state[i])


@compiled_part
def _advance(state, ahead, average, operator, one, least):
    """Move the state over a symbol, from anywhere if it is next to impossible there."""
    k = state.size
    for _ in range(2):
        ahead[:] = 0.0
        norm = 0.0
        for i in range(k):
            weight = state[i]
            for j in range(k):
                ahead[j] += weight * operator[i, j]
        for j in range(k):
            norm += ahead[j] * one[j]
        if norm > least:
            break
        state[:] = average
    if norm > 0:
        for j in range(k):
            state[j] = ahead[j] / norm


@Compiled
def run(
    codes, offsets, start, average, operators, one, functionals, usual, share, ends,
    log_likelihood, following, n_clipped,
):  # fmt: skip
    """Filter m sequences; 2 K (K + n) flops a symbol.

    Parameters
    ----------
    codes, offsets : symbols 0 .. d - 1, d where missing; a sequence may be empty.
    start, average : (K,) states at the beginning of a sequence, and anywhere.
    operators : (d + 1, K, K), transposed; the last is their sum, for a missing symbol.
    one : (K,) the functional that is one at every state.
    functionals : (K, n) probabilities of what comes next; n = d + 1 where sequences end.
    usual : (n,) the same at the average state, positive.
    share : of the usual probabilities, the least that there are.
    ends : whether a sequence is scored with its end.
    log_likelihood, following : (m,), and (m, n) probabilities after each sequence, are filled.
    n_clipped : (2,) gets how many probabilities were clipped, and how many there were.
    """
    k, n = functionals.shape
    d = operators.shape[0] - 1
    state, ahead, p = np.empty(k), np.empty(k), np.empty(n)
    for s in range(offsets.size - 1):
        state[:] = start
        total = 0.0
        for t in range(offsets[s], offsets[s + 1]):
            _predict(state, average, functionals, usual, share, p, n_clipped)
            x = codes[t]
            least = 0.0
            if x < d:
                total += np.log(p[x])
                least = share * usual[x]
            elif ends:
                total += np.log(1 - p[d])
            _advance(state, ahead, average, operators[x], one, least)
        _predict(state, average, functionals, usual, share, p, n_clipped)
        following[s] = p
        if ends:
            total += np.log(p[d])
        log_likelihood[s] = total


@Compiled
def draw(
    uniform, codes, start, average, operators, one, functionals, usual, share, symbols, length
):  # fmt: skip
    """Draw what follows some symbols, until the end or until there are no uniform numbers left.

    Parameters
    ----------
    uniform : (n,) numbers between 0 and 1.
    codes : symbols that come first.
    start, average, operators, one, functionals, usual, share : as in `run`.
    symbols : (n,) is filled.
    length : (1,) gets how many were drawn, before the end.
    """
    k, n = functionals.shape
    d = operators.shape[0] - 1
    ahead, p, n_clipped = np.empty(k), np.empty(n), np.zeros(2, dtype=np.int64)
    state = start.copy()
    length[0] = 0
    for t in range(codes.size + uniform.size):
        _predict(state, average, functionals, usual, share, p, n_clipped)
        if t < codes.size:
            x = codes[t]
        else:
            x, below = 0, p[0]
            while x < n - 1 and uniform[t - codes.size] >= below:
                x += 1
                below += p[x]
            if x == d:
                break
            symbols[length[0]] = x
            length[0] += 1
        least = share * usual[x] if x < d else 0.0
        _advance(state, ahead, average, operators[x], one, least)
