"""Directions alone: a supervised dimension reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.execute.runner import runner
from spectral_nn.recipes.network_evidence import gather
from spectral_nn.recipes.network_starts import as_rows, find_directions

__all__ = ["Directions", "directions"]


@dataclass(frozen=True, eq=False)
class Directions:
    """What outputs depend on.

    Attributes
    ----------
    components : (k, d) unit rows, in the space of X.
    mean : (d,)
    singular_values : of the moments.
    diagnostics : dict
    """

    components: NDArray
    mean: NDArray
    singular_values: NDArray
    diagnostics: dict[str, Any]


def directions(
    X: Any,
    Y: NDArray,
    n_components: int,
    *,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    input_model: Any = "auto",
    sample_weight: NDArray | None = None,
) -> Directions:
    """Find the directions that a layer of hidden units would look in.

    Parameters
    ----------
    X : array or CSR (n, d)
    Y : array (n, q), 0 and 1 for classes.
    n_components : k.
    rng : draws the starts of the decomposition.
    n_jobs : workers for the passes over the rows.
    input_model : "auto", "gaussian", "mixture", "cubic" or a score.
    sample_weight : (n,), optional

    Returns
    -------
    Directions

    Warns
    -----
    RecoveryWarning
        If the directions cannot be expected to be those of units that made the data.

    Notes
    -----
    Eight passes, O(n d^2 + n d K^2 + n K^4 / 2); nothing is iterated on the data.
    """
    rows = as_rows(X, Y, sample_weight)
    with runner(n_jobs) as run:
        evidence = gather(rows, n_components, rng, run)
        evidence.warn(X.shape[1])
        factors, moments, kind = find_directions(rows, evidence, input_model, rng, run)
    coef, _ = moments.frame.pull_back(factors.directions, X.shape[1])
    # The loudest unit first.
    loudness = sum(np.sum(weight**2, axis=1) for weight in factors.weights)
    coef = coef[:, np.argsort(-loudness)]
    notes = evidence.notes() | {
        "input_model": kind,
        "cp_agreement": factors.agreement,
        "cp_condition": factors.condition,
        "cp_explained": factors.explained,
    }
    return Directions(
        (coef / np.linalg.norm(coef, axis=0)).T,
        evidence.seen.columns.mean[: X.shape[1]],
        evidence.singular_values,
        notes,
    )
