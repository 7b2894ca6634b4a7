"""What a fit of a hidden Markov model found out."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from spectral_nn.models.report import FitReport, fact

__all__ = ["ChainReport", "OrderEvidence"]


@dataclass(frozen=True)
class OrderEvidence:
    """What speaks for one number of states.

    Attributes
    ----------
    n_components : int
        K.
    held_out : float
        Mean log-likelihood of a held-out symbol, nats.
    gain : float
        That over the one of the best smaller K, nats.
    standard_error : float
        Of the gain.

    See Also
    --------
    ChainReport : Has one for each number tried.

    Examples
    --------
    >>> OrderEvidence(n_components=2, held_out=-1.5, gain=0.1, standard_error=0.01).gain
    0.1
    """

    n_components: int
    held_out: float
    gain: float
    standard_error: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ChainReport(FitReport):
    """What a fit of a hidden Markov model found out.

    Attributes
    ----------
    winner : str or None
        Kind of the start that won. Of symbols: "tensor" (moments of three in a row),
        "wide-windows" (moments of far apart ones), "anchor" (moments of words around),
        "histories" (clusters of what precedes), "sticky", "random". Of rows: "tensor" (moments of
        past, present and future), "variates" (canonical variates of past and future, clustered),
        "smoothed", "segments", "positions", "kmeans" (clusters of rows smoothed in time, of
        stretches, of places in a sequence, of rows as they are), "random". "labels" or "given".
    starts : tuple of StartReport
        All starts, the winner first.
    n_iter : int or None
        EM steps on all data.
    converged : bool or None
        Whether the last step gained less than `tol`.
    singular_values : ndarray of shape (n,) or None
        Of the moments that were decomposed, largest first.
    sigma_ratio : float or None
        The K-th singular value over the first; near 0 moments do not carry K states.
    window : int or None
        Symbols in a wide window, where moments of those were decomposed.
    support : ndarray of bool of shape (K, D) or None
        Symbols that a state may have, where anchors said so.
    lane_error : float or None
        Nats a row by which E-steps in lanes were off at most.
    burn_in : int or None
        Rows that a lane reads before those that count.
    exact : bool or None
        Whether E-steps on all data went from end to end, without lanes.
    evidence : tuple of OrderEvidence or None
        For each number of states tried, where ``n_components="auto"``.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> from spectral_estimators import CategoricalHMM
    >>> model = CategoricalHMM(2, random_state=0).fit(list("aabbaabbab" * 30))
    >>> model.report_.winner == model.report_.starts[0].kind
    True
    """

    singular_values: NDArray | None = fact("singular values of the moments")
    sigma_ratio: float | None = fact("the K-th over the first")
    window: int | None = fact("symbols in a wide window")
    support: NDArray | None = fact()
    lane_error: float | None = fact()
    burn_in: int | None = fact()
    exact: bool | None = fact()
