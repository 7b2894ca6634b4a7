"""dynamax's ``GaussianHMM`` and ``DiagonalGaussianHMM``, in float32, compiled before any timing."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model import DiagonalGaussianHMM, GaussianHMM
from numpy.typing import NDArray

from bench.rivals.dynamax import batch, compiled_e_step
from bench.rivals.hmmlearn_series import covariances


def prepare_e_step(
    covariance: str, fitted: Any, rows: NDArray[np.float64], lengths: NDArray[np.int64]
) -> Callable[[], float]:
    """E-step of this rival, ready to run (see :mod:`bench.rivals`); sequences have one length."""
    found = covariances(covariance, fitted)
    if covariance == "diag":
        new, spread = DiagonalGaussianHMM, {"emission_scale_diags": np.sqrt(found)}
    else:
        new, spread = GaussianHMM, {"emission_covariances": found}
    parameters = {
        "initial_probs": fitted.startprob_,
        "transition_matrix": fitted.transmat_,
        "emission_means": fitted.means_,
        **spread,
    }
    model = new(*fitted.means_.shape)
    state, _ = model.initialize(
        jax.random.PRNGKey(0),
        **{name: jnp.asarray(value, dtype=jnp.float32) for name, value in parameters.items()},
    )
    return compiled_e_step(model, state, batch(rows.astype(np.float32), lengths))
