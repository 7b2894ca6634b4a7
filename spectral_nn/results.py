"""Results that floors above hand to each other, and the warnings that users see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DegenerateError", "Factors", "RankError", "RankWarning", "RecoveryWarning"]


class DegenerateError(ValueError):
    """A law has collapsed: a covariance is not positive definite."""


class RankWarning(UserWarning):
    """A moment has a lower numerical rank than the number of components asked for.

    The message gives the singular values (or eigenvalues) that say so, and the fallback taken.
    """


class RankError(ValueError):
    """A moment has a lower rank than the number of components, and nothing but moments was asked.

    The message gives the eigenvalues that say so, and the largest number that would work.
    """


class RecoveryWarning(UserWarning):
    """Hidden weights cannot be expected to be those of the network that made the data.

    The fit goes on: from moments all the same, or from a random start where they can give none.
    The message gives the figures.
    """


@dataclass(frozen=True, eq=False)
class Factors:
    r"""A tensor as a sum of K rank-one terms.

    .. math:: T \approx \sum_{k=1}^{K} w_k\, a^{(1)}_k \otimes \dots \otimes a^{(M)}_k

    Attributes
    ----------
    weights : array (K,)
    vectors : tuple of M arrays, the m-th of shape (n_m, K)
        Components are columns, of unit Euclidean norm.
    residual : float
        ``||T - sum|| / ||T||`` in the Frobenius norm; 0 for a tensor of zeros.
    """

    weights: Any
    vectors: tuple[Any, ...]
    residual: float
