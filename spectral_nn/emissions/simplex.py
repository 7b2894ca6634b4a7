"""Rows of probabilities under Dirichlet priors: mode, density, over-relaxation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_nn.compiled import Compiled

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
_SAFE = 1e-150  # products of two such numbers do not underflow


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
    *,
    structure: bool = False,
) -> NDArray[np.float64]:
    """Posterior mode of rows: proportional to ``max(pseudo + count, 0)``.

    Parameters
    ----------
    counts : ndarray of shape (..., d)
    pseudo : float or ndarray that broadcasts to it
        Pseudo-counts, ``alpha - 1``.
    otherwise : ndarray that broadcasts to it
        Takes the place of a row without any count.
    structure : bool
        Whether the zeros of ``otherwise`` get no pseudo-counts.

    Returns
    -------
    ndarray of shape (..., d)
    """
    found = np.empty(counts.shape)
    _maximise(
        _as_rows(counts),
        _as_few_rows(pseudo, counts.shape),
        _as_rows(np.broadcast_to(otherwise, counts.shape)),
        structure,
        found.reshape(-1, counts.shape[-1]),
    )
    return found


def log_dirichlet(
    p: NDArray[np.float64], pseudo: NDArray[np.float64] | float, *, structure: bool = False
) -> float:
    """Logarithm of the prior density up to a constant: ``sum (alpha - 1) log p``.

    With alpha < 1 the density is infinite where p = 0; it is taken at p = 1e-300 there.

    Parameters
    ----------
    p : ndarray of shape (..., d)
    pseudo : float or ndarray that broadcasts to it
        ``alpha - 1``.
    structure : bool
        Whether zeros of p are left out where alpha > 1.

    Returns
    -------
    float
        Nats; -inf where p = 0 and alpha > 1, but for structure.
    """
    if not np.any(pseudo):
        return 0.0
    product = np.ones(p.shape[-1])
    return float(_sum_logarithms(_as_rows(p), _as_few_rows(pseudo, p.shape), structure, product))


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
    # How far to reach is free, and single precision several times as fast.
    factor = np.empty(new.shape, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        np.divide(new, old, out=factor, casting="same_kind")
        np.log(factor, out=factor)
        factor *= np.float32(power - 1)
        np.exp(factor, out=factor)
        np.maximum(factor, np.finfo(np.float32).tiny, out=factor)
    d = new.shape[-1]
    reached = np.empty(new.shape)
    _scale(_as_rows(new), factor.reshape(-1, d), reached.reshape(-1, d))
    return reached


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


def _as_rows(array: NDArray[np.floating]) -> NDArray[np.float64]:
    """All rows of an array (..., d), as compiled functions want them: (n, d)."""
    return np.ascontiguousarray(array, dtype=np.float64).reshape(-1, array.shape[-1])


def _as_few_rows(
    pseudo: NDArray[np.float64] | float, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Pseudo-counts of each row (n, d), or those of all (1, d)."""
    pseudo = np.asarray(pseudo, dtype=np.float64)
    if pseudo.ndim == 0 or pseudo.size == pseudo.shape[-1]:
        pseudo, shape = pseudo.reshape(-1), shape[-1:]
    return _as_rows(np.broadcast_to(pseudo, shape))


@Compiled
def _maximise(counts, pseudo, otherwise, structure, out):
    """Fill `out` (n, d) as `maximise_rows` says; `pseudo` (1, d) or (n, d)."""
    n, d = counts.shape
    shared = pseudo.shape[0] == 1
    for i in range(n):
        total = 0.0
        for v in range(d):
            count = counts[i, v]
            if not (structure and otherwise[i, v] == 0):
                count += pseudo[0 if shared else i, v]
            if count < 0:
                count = 0.0
            out[i, v] = count
            total += count
        for v in range(d):
            out[i, v] = out[i, v] / total if total > 0 else otherwise[i, v]


@Compiled
def _scale(rows, factor, out):
    """Fill `out` (n, d) with rows times factors, of sum one; with the row where that is not finite.

    Zeros stay, whatever their factor.
    """
    n, d = rows.shape
    for i in range(n):
        total = 0.0
        for v in range(d):
            x = rows[i, v] * factor[i, v] if rows[i, v] > 0 else 0.0
            out[i, v] = x
            total += x
        usable = np.isfinite(total) and total > 0
        for v in range(d):
            out[i, v] = out[i, v] / total if usable else rows[i, v]


@Compiled
def _sum_logarithms(p, pseudo, structure, product):
    """Sum what `log_dirichlet` says; `pseudo` (1, d) or (n, d), `product` (d,) of ones.

    A logarithm costs as much as twenty products: rows of one weight are multiplied as long as
    they do not underflow.
    """
    n, d = p.shape
    shared = pseudo.shape[0] == 1
    total = 0.0
    for i in range(n):
        for v in range(d):
            weight = pseudo[0 if shared else i, v]
            x = p[i, v]
            if weight == 0 or (x == 0 and weight > 0 and structure):
                continue
            if weight < 0:
                x = max(x, _TINY)
            if not shared or x < _SAFE:
                total += weight * np.log(x)
                continue
            product[v] *= x
            if product[v] < _SAFE:
                total += weight * np.log(product[v])
                product[v] = 1.0
    if shared:
        for v in range(d):
            if pseudo[0, v] != 0:
                total += pseudo[0, v] * np.log(product[v])
    return total
