"""dynamax's hidden Markov models: JAX on the CPU, in float32, its default, compiled before timing.

dynamax works on a batch of sequences of one length, and the more of them the faster; its priors
stay at their default of 1.1, since its M-step is undefined at 1.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model import CategoricalHMM
from numpy.typing import NDArray

from spectral_nn.models.chains.parameters import HMMParameters


def prepare_e_step(
    parameters: HMMParameters, codes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> Callable[[], float]:
    """E-step of this rival, ready to run (see :mod:`bench.rivals`)."""
    model = CategoricalHMM(parameters.n_components, 1, parameters.emission.n_symbols)
    state, _ = _initial(model, parameters)
    return compiled_e_step(model, state, batch(codes[:, None], np.diff(offsets)))


def compiled_e_step(model: Any, state: Any, sequences: jax.Array) -> Callable[[], float]:
    """E-step of any model of dynamax over a batch of sequences, compiled and warm."""

    @jax.jit
    def statistics(state: Any, sequences: Any) -> Any:
        each = jax.vmap(lambda sequence: model.e_step(state, sequence))(sequences)
        return jax.tree_util.tree_map(lambda leaf: leaf.sum(axis=0), each)

    jax.block_until_ready(statistics(state, sequences))

    def e_step() -> float:
        return float(jax.block_until_ready(statistics(state, sequences))[1])

    return e_step


def batch(rows: NDArray[Any], lengths: NDArray[np.int64]) -> jax.Array:
    """Sequences as the array of shape (m, t, p) that dynamax takes, from their rows (n, p)."""
    if np.any(lengths != lengths[0]):
        raise ValueError(
            f"dynamax needs sequences of one length; got lengths from {lengths.min()} to "
            f"{lengths.max()}. Cut the data evenly."
        )
    return jnp.asarray(rows.reshape(len(lengths), -1, rows.shape[1]))


def fit(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    n_components: int,
    n_symbols: int,
    *,
    n_init: int,
    n_iter: int,
    seed: int,
    start: HMMParameters | None = None,
) -> tuple[HMMParameters, float, list[float]]:
    """``fit_em`` from ``n_init`` draws of dynamax's prior (see :mod:`bench.rivals`).

    ``fit_em`` compiles its step on every call, and that is part of its time. A restart is ranked by
    the log probability that it reported last.
    """
    model = CategoricalHMM(n_components, 1, n_symbols)
    sequences = batch(codes[:, None], np.diff(offsets))
    found, scores = [], []
    begin = time.perf_counter()
    for restart in range(1 if start is not None else n_init):
        state, properties = _initial(model, start, seed + restart)
        state, history = model.fit_em(state, properties, sequences, num_iters=n_iter, verbose=False)
        found.append(state)
        scores.append(float(history[-1]))
    best = found[int(np.argmax(scores))]
    parameters = HMMParameters.categorical(
        np.asarray(best.initial.probs),
        np.asarray(best.transitions.transition_matrix),
        np.asarray(best.emissions.probs)[:, 0],
    )
    return parameters, time.perf_counter() - begin, scores


def _initial(model: CategoricalHMM, start: HMMParameters | None, seed: int = 0) -> tuple[Any, Any]:
    """State and properties of a dynamax model: given, or drawn from its prior."""
    key = jax.random.PRNGKey(seed)
    if start is None:
        return model.initialize(key)
    return model.initialize(
        key,
        initial_probs=jnp.asarray(start.startprob, dtype=jnp.float32),
        transition_matrix=jnp.asarray(start.transmat, dtype=jnp.float32),
        emission_probs=jnp.asarray(start.emission.probs, dtype=jnp.float32)[:, None],
    )
