"""Exact recursions over sequences: likelihood, posteriors, counts, Viterbi, filtering, sampling.

All are float64, sequential in time, compiled once and released from the GIL.  The forward
pass is scaled (Rabiner, Proc. IEEE 77(2), 1989, section V.A): every filtering
distribution is normalised and the logarithms of the normalisers add up to the log-likelihood.
Scaling alone loses what is 1e-308 times less likely than the best state, which matters only
if the observations then rule the better states out.  That shows as a normaliser below
1e-200, and such a sequence is done again with logarithms, so that no possible sequence is called
impossible and no impossible one gives NaN.

Arguments shared by all functions:

startprob : array, shape (K,)
transmat : array, shape (K, K), ``transmat[i, j] = P(h' = j | h = i)``
table : array, shape (D, K), likelihood of every row under every state
    (`spectral_nn.models.chains.observations`).
codes : array of int, shape (n,), the row of each position.
offsets : array of int64, shape (m + 1,), the ends of the m sequences in ``codes``.
log_table : array, shape (D, K), optional, logarithms of all of the table, tiny entries included.
"""

from typing import Any

import numpy as np

from spectral_nn.emissions import CategoricalEmission
from spectral_nn.models.chains import exact
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = ["expected_counts", "filtered", "left_out", "posteriors", "sample", "viterbi"]


def filtered(
    startprob: Any,
    transmat: Any,
    table: Any,
    codes: Any,
    offsets: Any,
    log_table: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of the last state of every sequence given all of it.

    Returns
    -------
    distribution : array, shape (m, K)
        ``P(h_T = k | x_1 .. x_T)``; uniform where the sequence is impossible.
    log_likelihood : array, shape (m,), nats
        -inf where it is impossible.

    Notes
    -----
    2 n K^2 flops, memory O(K).

    Examples
    --------
    Two states that alternate for certain, and a sequence that they cannot emit:

    >>> swap, table = np.array([[0., 1.], [1., 0.]]), np.array([[1., 0.], [0., 1.]])
    >>> filtered([.5, .5], swap, table, [0, 1, 0, 0, 0], [0, 3, 5])[1].round(4).tolist()
    [-0.6931, -inf]
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    m, n_components = offsets.size - 1, startprob.size
    last, log_likelihood = np.empty((m, n_components)), np.empty(m)
    exact.forward(startprob, transmat, table, codes, offsets, False, last, log_likelihood)
    for i in np.flatnonzero(np.isnan(log_likelihood)):
        part = slice(offsets[i], offsets[i + 1])
        forward, _ = _by_logarithms(startprob, transmat, table, codes[part], log_table)
        last[i], log_likelihood[i] = _normalised(forward[-1])
    return last, log_likelihood


def posteriors(
    startprob: Any,
    transmat: Any,
    table: Any,
    codes: Any,
    offsets: Any,
    log_table: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of every state given its whole sequence (smoothing).

    Returns
    -------
    posterior : array, shape (n, K)
        ``P(h_t = k | x_1 .. x_T)``; uniform in sequences that are impossible.
    log_likelihood : array, shape (m,), nats

    Notes
    -----
    8 n K^2 flops, memory n K float64 (the result itself).
    """
    _, posterior, log_likelihood = expected_counts(
        startprob, transmat, table, codes, offsets, log_table
    )
    posterior[np.repeat(np.isneginf(log_likelihood), np.diff(offsets))] = 1 / len(startprob)
    return posterior, log_likelihood


def expected_counts(
    startprob: Any,
    transmat: Any,
    table: Any,
    codes: Any,
    offsets: Any,
    log_table: Any = None,
    part: Any = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions and states that are expected given all observations.

    Parameters
    ----------
    part : array of int, shape (n,), optional
        Number of the part of the data that each position is in; from 0, never falling.

    Returns
    -------
    trans : array, shape (K, K)
        Expected number of transitions, of all sequences together; of each part, (B, K, K), where
        parts are given. A transition is in the part that it ends in.
    posterior : array, shape (n, K)
        ``P(h_t = k | x_1 .. x_T)``; zeros in sequences that are impossible.
    log_likelihood : array, shape (m,), nats

    Notes
    -----
    8 n K^2 flops, memory n K float64, and B K^2 for parts.
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    posterior = np.empty((codes.size, startprob.size))
    log_likelihood = np.empty(offsets.size - 1)
    parts = np.zeros(codes.size, np.int64) if part is None else np.asarray(part, dtype=np.int64)
    trans = np.zeros((parts[-1] + 1, *transmat.shape))
    exact.forward(startprob, transmat, table, codes, offsets, True, posterior, log_likelihood)
    redo = np.isnan(log_likelihood)
    exact.smooth(transmat, offsets, redo, parts, posterior, trans)
    for i in np.flatnonzero(redo):
        rows = slice(offsets[i], offsets[i + 1])
        posterior[rows], log_likelihood[i] = _by_logarithms(
            startprob, transmat, table, codes[rows], log_table, parts[rows], trans
        )
    return trans[0] if part is None else trans, posterior, log_likelihood


def left_out(
    startprob: Any,
    transmat: Any,
    table: Any,
    codes: Any,
    offsets: Any,
    log_table: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of every state given all positions of its sequence but its own.

    Returns
    -------
    distribution : array, shape (n, K)
        ``P(h_t = k | x_1 .. x_t-1, x_t+1 .. x_T)``; uniform where these are impossible.
    log_likelihood : array, shape (m,), nats

    Notes
    -----
    n K^2 exponentials in either direction, memory n K float64 (the result itself).  It is not the
    posterior divided by the likelihood of the position: that loses the states in which a position
    is 1e-308 times less likely than in the best.
    """
    startprob, transmat, table, codes, offsets = _arrays(startprob, transmat, table, codes, offsets)
    found, log_likelihood = np.empty((codes.size, startprob.size)), np.empty(offsets.size - 1)
    logs = _logs(startprob, transmat, table, log_table)
    exact.leave_out(*logs, codes, offsets, found, log_likelihood)
    return found, log_likelihood


def viterbi(
    startprob: Any,
    transmat: Any,
    table: Any,
    codes: Any,
    offsets: Any,
    log_table: Any = None,
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
    logs = _logs(startprob, transmat, table, log_table)
    exact.best_paths(*logs, codes, offsets, back, states, log_probability)
    return states, log_probability


def sample(
    parameters: HMMParameters, n: int, rng: Any, first_state: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one sequence from the model.

    Parameters
    ----------
    parameters : HMMParameters
    n : int, number of steps
    rng : numpy Generator
        Or a `numpy.random.RandomState`.  For symbols, uniforms are used in hmmlearn's order (state,
        symbol, state, symbol, ...), so one RandomState gives the same draws in both.
    first_state : int, optional
        The first state; drawn from ``startprob`` if None.

    Returns
    -------
    observations, states : arrays, shape (n,) or (n, p), and of int64, shape (n,)

    Notes
    -----
    O(n log(K d)) for d symbols.
    """
    emission = parameters.emission
    skip = 0 if first_state is None else 1
    each = 1 if emission.rows else 2
    uniforms = np.empty(each * n)
    uniforms[skip:] = rng.random(uniforms.size - skip)
    states = np.empty(n, dtype=np.int64)
    given = -1 if first_state is None else int(first_state)
    start, transitions = _cumulative(parameters.startprob), _cumulative(parameters.transmat)
    exact.draw_path(start, transitions, np.ascontiguousarray(uniforms[::each]), given, states)
    if isinstance(emission, CategoricalEmission):
        return emission.invert(states, uniforms[1::2]), states
    return emission.sample(states, rng), states


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


def _logs(
    startprob: np.ndarray, transmat: np.ndarray, table: np.ndarray, log_table: np.ndarray | None
) -> list[np.ndarray]:
    """Logarithms in which zero is -inf, silently; those of the table may be known already."""
    with np.errstate(divide="ignore"):
        log_table = np.log(table) if log_table is None else np.ascontiguousarray(log_table)
        return [np.log(startprob), np.log(transmat), log_table]


def _normalised(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """``(softmax, logsumexp)`` of a vector; uniform if every entry is -inf."""
    top = log_weights.max()
    if top == -np.inf:
        return np.full(log_weights.size, 1 / log_weights.size), -np.inf
    weights = np.exp(log_weights - top)
    return weights / weights.sum(), float(top + np.log(weights.sum()))


def _by_logarithms(
    startprob: np.ndarray,
    transmat: np.ndarray,
    table: np.ndarray,
    codes: np.ndarray,
    log_table: np.ndarray | None,
    part: np.ndarray | None = None,
    trans: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """One sequence with logarithms: log forward probabilities; its log-likelihood.

    Given `part` and `trans`, posteriors (zeros where it is impossible), and transitions are added
    there.
    """
    log_start, log_trans, log_table = _logs(startprob, transmat, table, log_table)
    lattice = np.empty((codes.size, startprob.size))
    exact.log_forward(log_start, np.ascontiguousarray(log_trans.T), log_table, codes, lattice)
    _, log_likelihood = _normalised(lattice[-1])
    if trans is not None and log_likelihood == -np.inf:
        lattice[:] = 0
    elif trans is not None:
        exact.log_backward(log_trans, log_table, codes, part, lattice, log_likelihood, trans)
    return lattice, log_likelihood
