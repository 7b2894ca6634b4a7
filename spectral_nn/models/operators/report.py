"""What a fit of observable operators found out."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from spectral_nn.models.report import FitReport, fact

__all__ = ["OperatorReport", "RankEvidence"]


@dataclass(frozen=True)
class RankEvidence:
    """What speaks for one rank.

    Attributes
    ----------
    n_components : int
        The rank.
    held_out : float
        Mean log-likelihood of a held-out symbol, nats.

    See Also
    --------
    OperatorReport : Has one for each rank tried.

    Examples
    --------
    >>> RankEvidence(n_components=2, held_out=-1.5).held_out
    -1.5
    """

    n_components: int
    held_out: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class OperatorReport(FitReport):
    """What a fit of observable operators found out.

    Attributes
    ----------
    winner : str or None
        "moments": there is no other way.
    starts : tuple of StartReport
        Empty: there is no race.
    n_iter, converged : None
        Nothing is iterated on the data.
    singular_values : ndarray of shape (n,) or None
        Of the matrix of substrings, largest first.
    sigma_ratio : float or None
        The K-th over the first.
    n_substrings : tuple of two int, or None
        Of the past and of the future.
    max_length : int or None
        Of a substring.
    evidence : tuple of RankEvidence or None
        For each rank tried, where ``n_components="auto"``.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> from spectral_estimators import ObservableOperatorModel
    >>> ObservableOperatorModel(2).fit([list("abab")] * 9).report_.n_substrings
    (4, 3)
    """

    singular_values: NDArray | None = fact("singular values of the moments")
    sigma_ratio: float | None = fact("the K-th over the first")
    n_substrings: tuple[int, int] | None = fact("substrings of past and future")
    max_length: int | None = fact("length of a substring")
