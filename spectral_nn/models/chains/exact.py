"""The exact E-step: the forward-backward recursion in float64, one sequence after another.

Slower than lanes and without their assumption: for short data, for chains that mix too slowly to
be cut, and as the yardstick of every other E-step.
"""

from __future__ import annotations

import numpy as np

from spectral_nn.compiled import Compiled, compiled_part


@Compiled
def expect_sequences(startprob, transmat, table, codes, offsets, start, trans, emit):
    """Add expected counts of whole sequences to `start`, `trans` and `emit`.

    Scaled recursion (Rabiner 1989, section V.A): forward probabilities are divided by their sum
    ``c_t``, backward ones by ``c_{t+1}``; the log-likelihood is ``sum_t log c_t``.

    Parameters
    ----------
    startprob, transmat : (K,), (K, K) float64.
    table : (D, K) emission probability of every code.
    codes, offsets : (n,) int32 and (m + 1,) int64.
    start, trans, emit : (K,), (K, K), (D, K), to be added to.

    Returns
    -------
    log_likelihood : float, nats; -inf where a sequence is impossible (it adds no counts).

    Notes
    -----
    8 K^2 flops a token; memory 8 K bytes a token of the longest sequence.
    """
    n_components = startprob.size
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    filtered = np.empty((longest, n_components))
    scale = np.empty(longest)
    backward = np.empty(n_components)
    onward = np.empty(n_components)
    log_likelihood = 0.0
    for s in range(offsets.size - 1):
        own = codes[offsets[s] : offsets[s + 1]]
        total = _filter(startprob, transmat, table, own, filtered, scale)
        log_likelihood += total
        if total == -np.inf:
            continue
        backward[:] = 1
        for t in range(own.size - 1, -1, -1):
            emission = table[own[t]]
            counted = emit[own[t]]
            for k in range(n_components):
                counted[k] += filtered[t, k] * backward[k]
                onward[k] = emission[k] * backward[k] / scale[t]
            if t == 0:
                start += filtered[0] * backward
                continue
            for i in range(n_components):
                arriving = 0.0
                for j in range(n_components):
                    through = transmat[i, j] * onward[j]
                    trans[i, j] += filtered[t - 1, i] * through
                    arriving += through
                backward[i] = arriving
    return log_likelihood


@compiled_part
def _filter(startprob, transmat, table, codes, filtered, scale):
    n_components = startprob.size
    log_likelihood = 0.0
    for t in range(codes.size):
        now = filtered[t]
        if t == 0:
            now[:] = startprob
        else:
            now[:] = 0
            for i in range(n_components):
                before = filtered[t - 1, i]
                for j in range(n_components):
                    now[j] += before * transmat[i, j]
        now *= table[codes[t]]
        scale[t] = now.sum()
        if not scale[t] > 0:
            return -np.inf
        now /= scale[t]
        log_likelihood += np.log(scale[t])
    return log_likelihood
