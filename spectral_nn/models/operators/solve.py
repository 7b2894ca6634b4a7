r"""Observable operators from Hankel matrices (Hsu, Kakade, Zhang 2009).

With the singular value decomposition :math:`H = U S V^T`, cut at rank K, and
:math:`W = U S^{-1/2}`, :math:`\bar W = V S^{-1/2}`,

.. math:: b_1 = W^T E[\psi \mid \text{start}], \qquad B_x = (W^T H_x)(W^T H)^+ = W^T H_x \bar W,
          \qquad b_\infty^T = E[\phi]^T \bar W,

so that :math:`P(x_1 \ldots x_t) = b_\infty^T B_{x_t} \cdots B_{x_1} b_1`.  The state after a
prefix, :math:`B_{x_t} \cdots B_{x_1} b_1` up to its norm, is the expectation of the indicators of
the future, in K dimensions.  That a string ends is one more functional of it,
:math:`b_{end}^T = E[\phi\, 1(\text{end})]^T \bar W`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from spectral_nn.models.operators import filter as kernels
from spectral_nn.models.operators.hankel import Hankel
from spectral_nn.results import RankWarning
from spectral_nn.tensors import whiten_cross
from spectral_nn.warn import warn

__all__ = ["Filtered", "Operators", "draw", "filtered", "solve"]

_FLOOR = 1e-6  # singular values are floored at this share of the first
_EXTRA = 10  # singular values found beyond the rank
_SMOOTHING = 5.0
_MOST_SMOOTHING = 0.05


@dataclass(frozen=True, eq=False)
class Operators:
    """A model of sequences without states.

    Attributes
    ----------
    start, average : (K,) predictive states at the beginning of a sequence, and anywhere.
    operators : (d, K, K), ``B_x``.
    one : (K,), ``b_inf``: one at every predictive state.
    end : (K,), ``b_end``, the probability that nothing follows; None where sequences go on.
    share : of its usual probability, the least that a symbol has anywhere.
    singular_values : of the Hankel matrix, K of them or more.
    """

    start: NDArray[np.float64]
    average: NDArray[np.float64]
    operators: NDArray[np.float64]
    one: NDArray[np.float64]
    end: NDArray[np.float64] | None
    share: float
    singular_values: NDArray[np.float64]

    @property
    def rank(self) -> int:
        """K."""
        return self.start.size

    @property
    def n_symbols(self) -> int:
        """Size d of the alphabet."""
        return self.operators.shape[0]

    def truncated(self, rank: int) -> Operators:
        """The model of a lower rank: leading rows and columns of everything."""
        few = slice(rank)
        return replace(
            self,
            start=self.start[few],
            average=self.average[few],
            operators=self.operators[:, few, few],
            one=self.one[few],
            end=None if self.end is None else self.end[few],
        )


def solve(hankel: Hankel, rank: int, *, ends: bool, rng: np.random.Generator) -> Operators:
    """Operators of a rank from Hankel matrices.

    Parameters
    ----------
    hankel : the matrices.
    rank : K.
    ends : whether sequences have an end.
    rng : seeds the randomised SVD.

    Returns
    -------
    Operators
        The state at the beginning is that of the sequences and one more, which begins anywhere.

    Raises
    ------
    ValueError
        If there are fewer than K substrings on either side.

    Warns
    -----
    RankWarning
        If the K-th singular value is below a millionth of the first.

    Notes
    -----
    A randomised SVD (Halko, Martinsson, Tropp 2011), then O(U K^2) time for U windows.
    """
    most = hankel.most
    if rank > most:
        raise ValueError(
            f"n_components={rank} needs as many substrings before and after a position, but there "
            f"are {most}. Lower n_components, raise n_substrings or max_length, or give more data."
        )
    wanted, seed = min(rank + _EXTRA, most), int(rng.integers(2**31))
    u, s, vt = randomized_svd(hankel.cross_moment(), wanted, n_iter=4, random_state=seed)
    if s[rank - 1] < _FLOOR * s[0]:
        warn(
            f"n_components={rank}, but the data carry fewer: singular value {rank} of the Hankel "
            f"matrix is {s[rank - 1]:.2g}, the first {s[0]:.2g}. It is floored. Choose fewer "
            "components.",
            RankWarning,
        )
    left, right = whiten_cross(u[:, :rank], s[:rank], vt[:rank], floor=_FLOOR)
    found = hankel.project(left, right)
    begun = hankel.n_starts
    return Operators(
        (begun * found.start + found.average) / (begun + 1),
        found.average,
        found.operators,
        found.one,
        found.end if ends else None,
        min(_MOST_SMOOTHING, _SMOOTHING / np.sqrt(hankel.total)),
        s,
    )


@dataclass(frozen=True, eq=False)
class Filtered:
    """What a filter finds.

    Attributes
    ----------
    log_likelihoods : (m,) of the sequences, nats, with their ends if they have one.
    following : (m, n) probabilities of what comes after each; the end is the last.
    negative_fraction : share of the probabilities on the way that were below 0 or above 1.
    """

    log_likelihoods: NDArray[np.float64]
    following: NDArray[np.float64]
    negative_fraction: float


def filtered(model: Operators, values: NDArray, offsets: NDArray[np.int64]) -> Filtered:
    """Filter m sequences, which may be empty, of symbols 0 .. d - 1, d where missing."""
    m, ends = offsets.size - 1, model.end is not None
    log_likelihoods, following = np.empty(m), np.empty((m, model.n_symbols + ends))
    n_clipped = np.zeros(2, dtype=np.int64)
    codes = np.ascontiguousarray(values, dtype=np.int32)
    kernels.run(codes, offsets, *_laid_out(model), ends, log_likelihoods, following, n_clipped)
    return Filtered(log_likelihoods, following, float(n_clipped[0] / n_clipped[1]))


def draw(model: Operators, uniform: NDArray[np.float64], prefix: NDArray) -> NDArray[np.int32]:
    """Draw the symbols that follow a prefix: as many as uniform numbers, or up to the end."""
    symbols, length = np.empty(uniform.size, dtype=np.int32), np.zeros(1, dtype=np.int64)
    codes = np.ascontiguousarray(prefix, dtype=np.int32)
    kernels.draw(uniform, codes, *_laid_out(model), symbols, length)
    return symbols[: length[0]]


def _laid_out(model: Operators) -> tuple:
    """Arrays in the order in which the kernels walk through them."""
    transposed = model.operators.transpose(0, 2, 1)
    functionals = np.einsum("i,xij->xj", model.one, model.operators)
    if model.end is not None:
        functionals = np.concatenate([functionals, model.end[None]])
    return (
        model.start,
        model.average,
        np.ascontiguousarray(np.concatenate([transposed, transposed.sum(axis=0)[None]])),
        model.one,
        np.ascontiguousarray(functionals.T),
        np.maximum(functionals @ model.average, 1e-12),
        model.share,
    )
