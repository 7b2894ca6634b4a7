"""Exact recursions over sequences of codes: likelihood, posteriors, Viterbi, filtering, sampling.

All are float64, sequential in time, compiled once and released from the GIL.  The forward and
backward passes are scaled (Rabiner, Proc. IEEE 77(2), 1989, section V.A): every filtering
distribution is normalised and the logarithms of the normalisers add up to the log-likelihood.
Scaling alone loses what is 1e-308 times less likely than the best state, which matters only
if the observations then rule the better states out.  That shows as a normaliser below
`_TINY`, and such a sequence is done again with logarithms, so that no possible sequence is called
impossible and no impossible one gives NaN.

Arguments shared by all functions:

startprob : array, shape (K,)
transmat : array, shape (K, K), ``transmat[i, j] = P(h' = j | h = i)``
table : array, shape (D, K), likelihood of every code under every state
    (`spectral_nn.models.chains.coding.emission_table`).
codes : array of int, shape (n,)
offsets : array of int64, shape (m + 1,), the ends of the m sequences in ``codes``.
"""

from typing import Any

import numpy as np

from spectral_nn.compiled import Compiled, compiled_part

__all__ = ["filtered", "log_likelihoods", "posteriors", "sample", "viterbi"]

_TINY = 1e-200  # below it, states that rounding lost could carry the likelihood


def log_likelihoods(
    startprob: Any, transmat: Any, table: Any, codes: Any, offsets: Any
) -> np.ndarray:
    """Log-likelihood of every sequence in nats, -inf for impossible ones.

    Returns
    -------
    array, shape (m,)

    Notes
    -----
    2 n K^2 flops, memory O(K).

    Examples
    --------
    Two states that alternate for certain, and a sequence that they cannot emit:

    >>> swap, table = np.array([[0., 1.], [1., 0.]]), np.array([[1., 0.], [0., 1.]])
    >>> log_likelihoods([.5, .5], swap, table, [0, 1, 0, 0, 0], [0, 3, 5]).round(4).tolist()
    [-0.6931, -inf]
    """
    return filtered(startprob, transmat, table, codes, offsets)[1]


def filtered(
    startprob: Any, transmat: Any, table: Any, codes: Any, offsets: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of the last state of every sequence given all of it.

    Returns
    -------
    distribution : array, shape (m, K)
        ``P(h_T = k | x_1 .. x_T)``; uniform where the sequence is impossible.
    log_likelihood : array, shape (m,), nats
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    m, n_components = offsets.size - 1, startprob.size
    last, log_likelihood = np.empty((m, n_components)), np.empty(m)
    _forward(startprob, transmat, table, codes, offsets, False, last, log_likelihood)
    for i in np.flatnonzero(np.isnan(log_likelihood)):
        forward, _ = _by_logarithms(
            startprob, transmat, table, codes[offsets[i] : offsets[i + 1]], smooth=False
        )
        last[i], log_likelihood[i] = _normalised(forward[-1])
    return last, log_likelihood


def posteriors(
    startprob: Any, transmat: Any, table: Any, codes: Any, offsets: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of every state given its whole sequence (smoothing).

    Returns
    -------
    posterior : array, shape (n, K)
        ``P(h_t = k | x_1 .. x_T)``; uniform in sequences that are impossible.
    log_likelihood : array, shape (m,), nats

    Notes
    -----
    4 n K^2 flops, memory n K float64 (the result itself).
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    posterior = np.empty((codes.size, startprob.size))
    log_likelihood = np.empty(offsets.size - 1)
    _forward(startprob, transmat, table, codes, offsets, True, posterior, log_likelihood)
    redo = np.isnan(log_likelihood)
    _backward(np.ascontiguousarray(transmat.T), table, codes, offsets, posterior, redo)
    for i in np.flatnonzero(redo):
        part = slice(offsets[i], offsets[i + 1])
        posterior[part], log_likelihood[i] = _by_logarithms(
            startprob, transmat, table, codes[part], smooth=True
        )
    return posterior, log_likelihood


def viterbi(
    startprob: Any, transmat: Any, table: Any, codes: Any, offsets: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Most likely path of states of every sequence.

    Ties are resolved as hmmlearn resolves them: the lowest last state, and then, going back,
    the highest of the equally good predecessors.

    Returns
    -------
    states : array of int64, shape (n,)
    log_probability : array, shape (m,)
        ``log P(path, observations)`` in nats; -inf where no path is possible.

    Notes
    -----
    n K^2 additions and comparisons; memory 2 K bytes a step of the longest sequence.
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    states, log_probability = np.empty(codes.size, dtype=np.int64), np.empty(offsets.size - 1)
    longest = int(np.diff(offsets).max(initial=0))
    back = np.empty((longest, startprob.size), dtype=np.uint16)
    logs = _logarithms(startprob, transmat, table)
    _best_paths(*logs, codes, offsets, back, states, log_probability)
    return states, log_probability


def sample(
    startprob: Any,
    transmat: Any,
    emissionprob: Any,
    n: int,
    rng: np.random.Generator,
    first_state: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one sequence from the model.

    Parameters
    ----------
    emissionprob : array, shape (K, d)
    n : int, number of steps
    rng : numpy Generator
        Anything with ``random(size)``.  Uniforms are used in hmmlearn's order (state, symbol,
        state, symbol, ...), so one `numpy.random.RandomState` gives the same draws in both.
    first_state : int, optional
        The first state; drawn from ``startprob`` if None.

    Returns
    -------
    symbols, states : arrays of int64, shape (n,)

    Notes
    -----
    O(n log(K d)).
    """
    uniforms = np.empty(2 * n)
    skip = 0 if first_state is None else 1
    uniforms[skip:] = rng.random(2 * n - skip)
    start, transitions, emissions = map(_cumulative, (startprob, transmat, emissionprob))
    symbols, states = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    given = -1 if first_state is None else int(first_state)
    _draw_path(start, transitions, emissions, uniforms, given, states, symbols)
    return symbols, states


def _arrays(*arguments: Any) -> list[np.ndarray]:
    """The one layout that the compiled functions know: C-ordered, writeable, fixed dtypes.

    A read-only array (a memory map in a worker process) would make numba compile again.
    """
    kinds = (np.float64, np.float64, np.float64, np.int32, np.int64)
    return [
        np.require(a, dtype=kind, requirements=["C", "W"])
        for a, kind in zip(arguments, kinds, strict=True)
    ]


def _cumulative(probabilities: Any) -> np.ndarray:
    """Cumulative probabilities along the last axis, ending in exactly 1."""
    sums = np.cumsum(np.asarray(probabilities, dtype=np.float64), axis=-1)
    return np.asarray(sums / sums[..., -1:])


def _logarithms(*probabilities: np.ndarray) -> list[np.ndarray]:
    """Logarithms in which zero is -inf, silently."""
    with np.errstate(divide="ignore"):
        return [np.log(p) for p in probabilities]


def _normalised(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """``(softmax, logsumexp)`` of a vector; uniform if every entry is -inf."""
    top = log_weights.max()
    if top == -np.inf:
        return np.full(log_weights.size, 1 / log_weights.size), -np.inf
    weights = np.exp(log_weights - top)
    return weights / weights.sum(), float(top + np.log(weights.sum()))


def _by_logarithms(
    startprob: np.ndarray, transmat: np.ndarray, table: np.ndarray, codes: np.ndarray, smooth: bool
) -> tuple[np.ndarray, float]:
    """One sequence with logarithms: log forward probabilities, or posteriors; log-likelihood."""
    log_start, log_trans, log_table = _logarithms(startprob, transmat, table)
    lattice = np.empty((codes.size, startprob.size))
    _log_forward(log_start, np.ascontiguousarray(log_trans.T), log_table, codes, lattice)
    _, log_likelihood = _normalised(lattice[-1])
    if smooth and log_likelihood == -np.inf:
        lattice[:] = 1 / startprob.size
    elif smooth:
        _log_backward(log_trans, log_table, codes, lattice, log_likelihood)
    return lattice, log_likelihood


@Compiled
def _forward(startprob, transmat, table, codes, offsets, keep, out, log_likelihood):
    """Scaled forward pass; `out` gets all filtering distributions or (keep=False) the last.

    The log-likelihood is NaN where a normaliser fell below `_TINY`.
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
            if norm < _TINY:
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
def _backward(transposed, table, codes, offsets, posterior, redo):
    """Turn filtering distributions into posteriors in place; `redo` marks what rounding spoils."""
    n_components = transposed.shape[0]
    beta, weighted = np.empty(n_components), np.empty(n_components)
    for s in range(offsets.size - 1):
        if redo[s]:
            continue
        beta[:] = 1.0
        for t in range(offsets[s + 1] - 2, offsets[s] - 1, -1):
            row = table[codes[t + 1]]
            top = 0.0
            for j in range(n_components):
                weighted[j] = row[j] * beta[j]
            beta[:] = 0.0
            for j in range(n_components):
                weight = weighted[j]
                if weight > 0.0:
                    for i in range(n_components):
                        beta[i] += weight * transposed[j, i]
            for i in range(n_components):
                top = max(top, beta[i])
            norm = 0.0
            for i in range(n_components):
                beta[i] /= top
                posterior[t, i] *= beta[i]
                norm += posterior[t, i]
            if not norm >= _TINY:
                redo[s] = True
                break
            for i in range(n_components):
                posterior[t, i] /= norm


@Compiled
def _best_paths(log_start, log_trans, log_table, codes, offsets, back, states, log_probability):
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
def _log_forward(log_start, log_transposed, log_table, codes, lattice):
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
def _log_backward(log_trans, log_table, codes, lattice, log_likelihood):
    """Backward pass of one possible sequence in logarithms: lattice becomes posteriors."""
    n_components = log_trans.shape[0]
    beta, ahead = np.zeros(n_components), np.empty(n_components)
    for t in range(codes.size - 1, -1, -1):
        if t < codes.size - 1:
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
                    beta[i] = top + np.log(total)
        norm = 0.0
        for i in range(n_components):
            lattice[t, i] = np.exp(lattice[t, i] + beta[i] - log_likelihood)
            norm += lattice[t, i]
        for i in range(n_components):
            lattice[t, i] /= norm


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
def _draw_path(start, transitions, emissions, uniforms, given, states, symbols):
    """Walk the chain; `given` is the first state or -1."""
    state = given
    for t in range(states.size):
        if t > 0:
            state = _draw(transitions[state], uniforms[2 * t])
        elif given < 0:
            state = _draw(start, uniforms[0])
        states[t] = state
        symbols[t] = _draw(emissions[state], uniforms[2 * t + 1])
