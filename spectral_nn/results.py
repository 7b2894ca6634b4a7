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

    See Also
    --------
    RankError : Where there is no fallback.
    SpectrumDisplay : Draws these values.

    Examples
    --------
    To fail instead of taking the fallback:

    >>> import warnings
    >>> import numpy as np
    >>> from spectral_estimators import CategoricalHMM, RankWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", RankWarning)
    ...     try:
    ...         CategoricalHMM(3, random_state=0).fit(np.arange(50) % 2)
    ...     except RankWarning as found:
    ...         print(str(found)[:66])
    the moments of past and future barely carry n_components=3: sigma_
    """


class RankError(ValueError):
    """A moment has a lower rank than the number of components, and nothing but moments was asked.

    The message gives the eigenvalues that say so, and the largest number that would work.

    See Also
    --------
    RankWarning : Where there is a fallback.
    moments_init : Raises it for mixtures.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import RankError, moments_init
    >>> noise = np.random.default_rng(0).standard_normal((500, 3))
    >>> try:
    ...     moments_init(noise, 3)
    ... except RankError as found:
    ...     print(str(found)[:57])
    The means of n_components=3 components span 2 directions,
    """


class RecoveryWarning(UserWarning):
    """Hidden weights or classes cannot be expected to be those that made the data.

    The fit goes on: from moments all the same, or from a random start where they can give none.
    The message gives the figures.

    See Also
    --------
    MLPRegressor : How far to trust a start.
    RankWarning : Moments that carry fewer components than were asked for.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from spectral_estimators import MLPRegressor, RecoveryWarning
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> net = MLPRegressor(hidden_layer_sizes=(4, 4), random_state=0)
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     net = net.fit(X, X[:, 0])
    >>> [w.category.__name__ for w in found if w.category is RecoveryWarning], net.init_
    (['RecoveryWarning'], 'random')
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
