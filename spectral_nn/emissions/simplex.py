"""Rows of probabilities under Dirichlet priors: mode, density, over-relaxation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "log_dirichlet",
    "maximise_rows",
    "pseudo_counts",
    "relax_rows",
    "restore",
    "restore_rows",
    "score_rows",
]

_TINY = 1e-300
_LEAST = 1e-8


def pseudo_counts(
    alpha: NDArray[np.float64] | float, known: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """``alpha - 1`` of a Dirichlet prior; 0 where a user has set the probability to zero.

    Such a zero is structure, which no prior fills.

    Parameters
    ----------
    alpha : float or ndarray that broadcasts to (..., d)
        Parameters of the prior.
    known : ndarray of shape (..., d), optional
        Probabilities that a fit starts from.

    Returns
    -------
    ndarray that broadcasts to (..., d)
    """
    pseudo = np.asarray(alpha, dtype=np.float64) - 1.0
    return pseudo if known is None else np.where(known == 0, 0.0, pseudo)


def maximise_rows(
    counts: NDArray[np.float64],
    pseudo: NDArray[np.float64] | float,
    otherwise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Posterior mode of rows: proportional to ``max(pseudo + count, 0)``.

    Parameters
    ----------
    counts : ndarray of shape (..., d)
    pseudo : float or ndarray that broadcasts to it
        Pseudo-counts, ``alpha - 1``.
    otherwise : ndarray of shape (..., d)
        Takes the place of a row without any count.

    Returns
    -------
    ndarray of shape (..., d)
    """
    counts = np.maximum(pseudo + counts, 0.0)
    total = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, counts / total, otherwise)


def log_dirichlet(p: NDArray[np.float64], pseudo: NDArray[np.float64] | float) -> float:
    """Logarithm of the prior density up to a constant: ``sum (alpha - 1) log p``.

    With alpha < 1 the density is infinite where p = 0; it is taken at p = 1e-300 there.

    Parameters
    ----------
    p : ndarray of shape (..., d)
    pseudo : float or ndarray that broadcasts to it
        ``alpha - 1``.

    Returns
    -------
    float
        Nats; -inf where p = 0 and alpha > 1.
    """
    if not np.any(pseudo):
        return 0.0
    if np.min(pseudo) <= 0:
        pseudo = np.broadcast_to(pseudo, p.shape)
        used = pseudo != 0
        p, pseudo = np.where(pseudo < 0, np.maximum(p, _TINY), p)[used], pseudo[used]
    with np.errstate(divide="ignore"):
        return float(np.sum(pseudo * np.log(p)))


def score_rows(counts: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative of ``sum counts log p`` by the logits of p: ``counts - p sum(counts)``.

    Parameters
    ----------
    counts, p : ndarray of shape (..., d)
        Rows of p sum to one.

    Returns
    -------
    ndarray of shape (..., d)
        Rows sum to zero.
    """
    return counts - p * counts.sum(axis=-1, keepdims=True)


def relax_rows(
    old: NDArray[np.float64], new: NDArray[np.float64], power: float
) -> NDArray[np.float64]:
    """Reach beyond an M-step: ``old * (new / old)^power``, renormalised; `new` at power 1.

    Zeros of `new` stay zero, and a row that would not be finite is that of `new`. Over-relaxation
    after Salakhutdinov, Roweis 2003, see `spectral_nn.trainers.em.em`.

    Parameters
    ----------
    old, new : ndarray of shape (..., d)
    power : float
        At least 1.

    Returns
    -------
    ndarray of shape (..., d)
    """
    if new is old:  # what is not re-estimated stays as it is, to the last bit
        return old
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reached = np.where(new > 0, new * (new / old) ** (power - 1), 0.0)
    usable = np.isfinite(reached).all(axis=-1, keepdims=True)
    reached = np.where(usable, reached, new)
    return reached / reached.sum(axis=-1, keepdims=True)


def restore(old: NDArray[np.float64] | None, new: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive numbers in the place of zeros: those of `old`, 1e-8 at the most.

    Parameters
    ----------
    old : ndarray of the shape of `new`, 0 or more, or None
        Its own zeros stay; None: none does.
    new : ndarray of shape (..., d), 0 or more
    """
    least = _LEAST if old is None else np.minimum(old, _LEAST)
    return np.where(new == 0, least, new)


def restore_rows(old: NDArray[np.float64] | None, new: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of rows (..., d) of probabilities, which sum to one again."""
    found = restore(old, new)
    # Where nothing was lost, rows stay as they are to the last bit.
    total = np.where((found != new).any(axis=-1), found.sum(axis=-1), 1.0)
    return found / total[..., None]
