"""EM of many mixtures at once, for the race of starts: their components are one law's states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.additive import Additive
from spectral_nn.data.rows import Rows, by_blocks
from spectral_nn.emissions import RowEmission
from spectral_nn.emissions.simplex import maximise_rows
from spectral_nn.models.base import Start
from spectral_nn.models.fit import best_first
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters
from spectral_nn.runners.base import Runner

__all__ = ["Sums", "advance_together", "expect_together", "join", "posteriors", "split"]


@dataclass(frozen=True, eq=False)
class Sums(Additive):
    """Statistics of S mixtures of K components.

    Attributes
    ----------
    counts : ndarray of shape (K, S)
    sums : Any
        What their common law gathered.
    log_likelihood : ndarray of shape (S,)
        Nats.
    """

    counts: NDArray[np.float64]
    sums: Any
    log_likelihood: NDArray[np.float64]


def advance_together(
    model: MixtureModel,
    starts: Sequence[Start[MixtureParameters]],
    chunks: Any,
    *,
    n_iter: int,
    run: Runner,
    tol: float = 0.0,
) -> list[tuple[Start[MixtureParameters], float, float]]:
    """Plain EM steps from every start on the same rows, in one product of matrices a step.

    Parameters
    ----------
    model : MixtureModel
        Its prior is the same for every component.
    starts : sequence of Start
        Of equally many components, of laws whose states share no parameters.
    chunks : iterable of Rows
    n_iter : int
        Steps, at least 1.
    run : Runner
        Who computes.
    tol : float
        Stop when no start gains as much in a step, nats.

    Returns
    -------
    list of (Start, objective, gain)
        The objective before the last step, and what the last step but one gained times `n_iter`;
        best first, as `spectral_nn.models.fit.advance` says.

    Raises
    ------
    DegenerateError
        If a start collapses, where the model says so.

    Notes
    -----
    In the precision of the model, indicators in their own: single precision will do for a race, and
    is the faster.
    """
    weights, law = join([start.parameters for start in starts])
    pseudo = model.concentration - 1.0
    reached = before = np.full(len(starts), -np.inf)
    for _ in range(n_iter):
        expect = partial(expect_together, weights=weights, law=law, dtype=model.dtype)
        found = run.total(expect, chunks)
        # A law's log prior is a sum over its states, of which each start wants its own.
        before, reached = reached, found.log_likelihood
        if model.emission_prior is not None or pseudo:
            reached = reached + _log_priors(model, weights, law)
        weights = maximise_rows(found.counts.T, pseudo, weights.T).T
        law = model.maximise_law(found.sums, found.counts.ravel(), law)
        if (_gains(reached, before) < tol).all():
            break
    gains = n_iter * np.maximum(_gains(reached, before), 0.0)
    moved = [
        (replace(start, parameters=parameters, likelihood=float(value)), float(value), float(gain))
        for start, parameters, value, gain in zip(
            starts, split(weights, law), reached, gains, strict=True
        )
    ]
    return best_first(moved)


def join(several: Sequence[MixtureParameters]) -> tuple[NDArray[np.float64], RowEmission]:
    """Weights (K, S) of S mixtures, and one law of their K S components, the first ones first."""
    laws: list[Any] = [one.emission for one in several]
    arrays = [f.name for f in fields(laws[0]) if isinstance(getattr(laws[0], f.name), np.ndarray)]
    joined = {
        name: np.stack([getattr(law, name) for law in laws], axis=1).reshape(
            -1, *getattr(laws[0], name).shape[1:]
        )
        for name in arrays
    }
    return np.stack([one.weights for one in several], axis=1), replace(laws[0], **joined)


def split(weights: NDArray[np.float64], law: Any) -> list[MixtureParameters]:
    """The mixtures that `join` has joined."""
    n = weights.shape[1]
    arrays = [f.name for f in fields(law) if isinstance(getattr(law, f.name), np.ndarray)]
    return [
        MixtureParameters(
            weights[:, i].copy(),
            replace(law, **{name: getattr(law, name)[i::n].copy() for name in arrays}),
        )
        for i in range(n)
    ]


@by_blocks
def expect_together(
    rows: Rows, weights: NDArray[np.float64], law: RowEmission, dtype: DTypeLike = np.float64
) -> Sums:
    """E-step of S mixtures: weights (K, S), and a law as `join` makes it.

    In a precision that will do, or that of indicators, which may be a CSR matrix.
    """
    K, S = weights.shape
    joint, largest, total = _joint(rows.X, weights, law, dtype)
    counted = rows.weight > 0
    with np.errstate(divide="ignore"):
        found = (np.log(total) + largest)[:, counted] @ rows.weight[counted]
    joint *= (rows.weight / np.where(total > 0, total, 1)).astype(joint.dtype)
    sums = law.gather(rows.X, joint.reshape(K * S, -1).T)
    return Sums(joint.sum(axis=2, dtype=np.float64), sums, found)


def posteriors(
    parameters: MixtureParameters, rows: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posteriors (n, K) of the components of rows, and log-likelihoods (n,), nats.

    Of a row that is impossible they are the weights of the components.
    """
    weights = parameters.weights[:, None]
    joint, largest, total = _joint(rows.X, weights, parameters.emission)
    possible = total > 0
    shares = np.where(possible, joint / np.where(possible, total, 1.0), weights[:, :, None])
    with np.errstate(divide="ignore"):
        return shares[:, 0].T, (np.log(total) + largest)[0]


def _joint(
    x: Any, weights: NDArray[np.float64], law: RowEmission, dtype: DTypeLike = np.float64
) -> tuple[Any, Any, Any]:
    """Joint probabilities (K, S, n) over the largest of a row and mixture, its log, and sums."""
    with np.errstate(divide="ignore"):
        logs = np.log(weights)
    found = law.log_likelihoods(x, dtype)
    joint = np.ascontiguousarray(found.T).reshape(*weights.shape, -1)
    joint += logs[:, :, None].astype(found.dtype)
    largest = joint.max(axis=0)
    joint -= np.where(largest > -np.inf, largest, 0)
    np.exp(joint, out=joint)
    return joint, largest, joint.sum(axis=0)


def _gains(reached: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a step has gained; nothing where rows are impossible, as priors below 1 make them."""
    possible = reached > -np.inf
    return np.where(possible, reached, 0.0) - np.where(possible, before, 0.0)


def _log_priors(model: MixtureModel, weights: NDArray[np.float64], law: Any) -> NDArray[np.float64]:
    """Log prior of each mixture."""
    return np.array([model.log_prior(one) for one in split(weights, law)])
