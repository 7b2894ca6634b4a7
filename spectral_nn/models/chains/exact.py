"""Compiled recursions, float64, one sequence after another; `recursions` calls them."""

from __future__ import annotations

import numpy as np

from spectral_nn.compiled import Compiled, compiled_part

__all__ = [
    "best_paths",
    "draw_path",
    "forward",
    "leave_out",
    "log_backward",
    "log_forward",
    "smooth",
]

TINY = 1e-200  # below it, states that rounding lost could carry the likelihood
LOST = 1e-30  # share of a posterior that is nothing


@Compiled
def forward(startprob, transmat, table, codes, offsets, keep, out, log_likelihood):
    """Scaled forward pass; `out` gets all filtering distributions or (keep=False) the last.

    The log-likelihood is NaN where a normaliser fell below `TINY`.
    """
    n_components = startprob.size
    now, ahead = np.empty(n_components), np.empty(n_components)
    for s in range(offsets.size - 1):
        total = 0.0
        for t in range(offsets[s], offsets[s + 1]):
            if t == offsets[s]:
                ahead[:] = startprob
            else:
                ahead[:] = 0.0
                for i in range(n_components):
                    weight = now[i]
                    if weight > 0.0:
                        for j in range(n_components):
                            ahead[j] += weight * transmat[i, j]
            norm = 0.0
            row = table[codes[t]]
            for j in range(n_components):
                ahead[j] *= row[j]
                norm += ahead[j]
            if norm < TINY:
                total = np.nan
                break
            total += np.log(norm)
            for j in range(n_components):
                now[j] = ahead[j] / norm
            if keep:
                out[t] = now
        if not keep:
            out[s] = now
        log_likelihood[s] = total


@Compiled
def smooth(transmat, offsets, redo, part, posterior, trans):
    """Turn filtering distributions into posteriors in place, and add transitions to `trans`.

    ``P(h_t = i, h_t+1 = j | x) = f_t(i) T_ij p_t+1(j) / sum_i f_t(i) T_ij`` of filters f and
    posteriors p, summed over j for the posterior before; every one sums to one as it is. A
    transition to t + 1 is added to ``trans[part[t + 1]]``. Sequences marked by `redo` are left out,
    and what rounding spoils is marked. 6 K^2 flops a token.
    """
    n_components = transmat.shape[0]
    predicted = np.empty(n_components)
    for s in range(offsets.size - 1):
        if redo[s]:
            continue
        first, last = part[offsets[s]], part[offsets[s + 1] - 1]
        sums = np.zeros((last - first + 1, n_components, n_components))
        for t in range(offsets[s + 1] - 2, offsets[s] - 1, -1):
            own = sums[part[t + 1] - first]
            predicted[:] = 0.0
            for i in range(n_components):
                weight = posterior[t, i]
                if weight > 0.0:
                    for j in range(n_components):
                        predicted[j] += weight * transmat[i, j]
            for j in range(n_components):
                if predicted[j] > 0.0:
                    redo[s] |= predicted[j] < TINY and posterior[t + 1, j] > LOST
                    predicted[j] = posterior[t + 1, j] / predicted[j]
            if redo[s]:
                break
            for i in range(n_components):
                weight = posterior[t, i]
                total = 0.0
                if weight > 0.0:
                    for j in range(n_components):
                        moved = weight * transmat[i, j] * predicted[j]
                        own[i, j] += moved
                        total += moved
                posterior[t, i] = total
        if not redo[s]:
            trans[first : last + 1] += sums


@Compiled
def best_paths(log_start, log_trans, log_table, codes, offsets, back, states, log_probability):
    """Viterbi's recursion with back pointers for every sequence."""
    n_components = log_start.size
    now, ahead = np.empty(n_components), np.empty(n_components)
    for s in range(offsets.size - 1):
        begin, end = offsets[s], offsets[s + 1]
        for j in range(n_components):
            now[j] = log_start[j] + log_table[codes[begin], j]
        for t in range(begin + 1, end):
            pointer = back[t - begin]
            ahead[:] = -np.inf
            for i in range(n_components):
                for j in range(n_components):
                    value = now[i] + log_trans[i, j]
                    if value >= ahead[j]:
                        ahead[j] = value
                        pointer[j] = i
            for j in range(n_components):
                now[j] = ahead[j] + log_table[codes[t], j]
        best = 0
        for j in range(1, n_components):
            if now[j] > now[best]:
                best = j
        log_probability[s] = now[best]
        states[end - 1] = best
        for t in range(end - 1, begin, -1):
            best = back[t - begin, best]
            states[t - 1] = best


@Compiled
def log_forward(log_start, log_transposed, log_table, codes, lattice):
    """Forward pass of one sequence in logarithms."""
    n_components = log_start.size
    for t in range(codes.size):
        for j in range(n_components):
            if t == 0:
                value = log_start[j]
            else:
                top = -np.inf
                for i in range(n_components):
                    top = max(top, lattice[t - 1, i] + log_transposed[j, i])
                value = top
                if top > -np.inf:
                    total = 0.0
                    for i in range(n_components):
                        total += np.exp(lattice[t - 1, i] + log_transposed[j, i] - top)
                    value = top + np.log(total)
            lattice[t, j] = value + log_table[codes[t], j]


@Compiled
def log_backward(log_trans, log_table, codes, part, lattice, log_likelihood, trans):
    """Backward pass of one possible sequence in logarithms: lattice becomes posteriors.

    Adds transitions to `trans`, as `smooth` does.
    """
    n_components = log_trans.shape[0]
    beta, ahead = np.zeros(n_components), np.empty(n_components)
    for t in range(codes.size - 1, -1, -1):
        if t < codes.size - 1:
            own = trans[part[t + 1]]
            for j in range(n_components):
                ahead[j] = beta[j] + log_table[codes[t + 1], j]
            for i in range(n_components):
                top = -np.inf
                for j in range(n_components):
                    top = max(top, log_trans[i, j] + ahead[j])
                beta[i] = top
                if top > -np.inf:
                    total = 0.0
                    for j in range(n_components):
                        total += np.exp(log_trans[i, j] + ahead[j] - top)
                        at = lattice[t, i] + log_trans[i, j] + ahead[j]
                        own[i, j] += np.exp(at - log_likelihood)
                    beta[i] = top + np.log(total)
        norm = 0.0
        for i in range(n_components):
            lattice[t, i] = np.exp(lattice[t, i] + beta[i] - log_likelihood)
            norm += lattice[t, i]
        for i in range(n_components):
            lattice[t, i] /= norm


@compiled_part
def _log_sum(logs):
    """Logarithm of the sum of what some logarithms stand for."""
    top = logs.max()
    return top if top == -np.inf else top + np.log(np.exp(logs - top).sum())


@compiled_part
def _shift_to_zero(logs):
    """Take off the largest of some logarithms, so that they stay small; return it."""
    top = logs.max()
    if top > -np.inf:
        logs -= top
    return top


@Compiled
def leave_out(log_start, log_trans, log_table, codes, offsets, out, log_likelihood):
    """Distribution of every state given all positions but its own, in logarithms.

    It is the product of what comes from the left, ``P(h_t | x_1 .. x_t-1)``, and from the right,
    ``P(x_t+1 .. x_T | h_t)``; uniform where the other positions are impossible.
    """
    K = log_start.size
    now, ahead = np.empty(K), np.empty(K)
    for s in range(offsets.size - 1):
        ahead[:] = log_start
        total = 0.0
        for t in range(offsets[s], offsets[s + 1]):
            total += _shift_to_zero(ahead)
            out[t] = ahead
            now[:] = ahead + log_table[codes[t]]
            for j in range(K):
                ahead[j] = _log_sum(now + log_trans[:, j])
        log_likelihood[s] = total + _log_sum(now)
        ahead[:] = 0.0
        for t in range(offsets[s + 1] - 1, offsets[s] - 1, -1):
            out[t] += ahead
            norm = _log_sum(out[t])
            for k in range(K):
                out[t, k] = np.exp(out[t, k] - norm) if norm > -np.inf else 1 / K
            now[:] = ahead + log_table[codes[t]]
            for i in range(K):
                ahead[i] = _log_sum(log_trans[i] + now)
            _shift_to_zero(ahead)


@compiled_part
def _draw(cumulative, uniform):
    """First index whose cumulative probability exceeds the uniform (by bisection)."""
    low, high = 0, cumulative.size - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > uniform:
            high = middle
        else:
            low = middle + 1
    return low


@Compiled
def draw_path(start, transitions, uniforms, given, states):
    """Walk the chain; `given` is the first state or -1."""
    state = given
    for t in range(states.size):
        if t > 0:
            state = _draw(transitions[state], uniforms[t])
        elif given < 0:
            state = _draw(start, uniforms[0])
        states[t] = state
