"""What a fit of a mixture, or of latent classes, found out."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from spectral_nn.models.report import FitReport, fact

__all__ = ["ClassesReport", "MixtureReport", "ViewsEvidence"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MixtureReport(FitReport):
    """What a fit of a Gaussian mixture found out.

    Attributes
    ----------
    winner : str or None
        Kind of the start that won: "tensor", "kmeans", "quick", "scaled", "random", "given", ...
    starts : tuple of StartReport
        All starts, the winner first.
    n_iter : int or None
        EM steps on all data.
    converged : bool or None
        Whether the last step gained less than `tol`.
    eigenvalues : ndarray of shape (n,) or None
        Of the covariance over the noise of its columns, largest first.
    edge : float or None
        Largest eigenvalue that noise alone would show.
    canonical_correlations : ndarray of shape (n,) or None
        Between views, largest first.
    noise_floor : float or None
        Largest correlation that chance would show.
    rank : int or None
        Components that the views show.
    residual : float or None
        Share of the third moment of views that the components leave unexplained.
    fault : str or None
        Why moments made no start, or one that is not trusted; empty where they did.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import GaussianMixture
    >>> X = np.random.default_rng(0).normal(size=(200, 3)) + 8 * (np.arange(200) % 2)[:, None]
    >>> report = GaussianMixture(2, random_state=0).fit(X).report_
    >>> bool((report.eigenvalues[:1] > report.edge).all())
    True
    """

    eigenvalues: NDArray | None = fact("eigenvalues of the moments")
    edge: float | None = fact("the same, of noise alone")
    canonical_correlations: NDArray | None = fact("canonical correlations of the views")
    noise_floor: float | None = fact("the same, of chance alone")
    rank: int | None = fact("components that the views show")
    residual: float | None = fact("third moment left unexplained, share")
    fault: str | None = fact("fault of the moments")


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewsEvidence:
    """What moments of one division of the items into three views had to say.

    Attributes
    ----------
    canonical_correlations : ndarray of shape (n,)
        Between views, largest first.
    noise_floor : float
        Largest correlation that chance would show.
    rank : int
        Classes that the views show.
    n_shown : int
        Classes that were read off the moments.
    residual : float
        Share of the third moment that they leave unexplained.

    See Also
    --------
    ClassesReport : Has one for each division.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import MultiViewMixture
    >>> X = np.random.default_rng(0).integers(0, 2, (300, 1)).repeat(6, axis=1)
    >>> MultiViewMixture(2, random_state=0).fit(X).report_.moments[0].rank
    2
    """

    canonical_correlations: NDArray
    noise_floor: float
    rank: int
    n_shown: int
    residual: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ClassesReport(FitReport):
    """What a fit of latent classes, or of labels by a crowd, found out.

    Attributes
    ----------
    winner : str or None
        Kind of the start that won: "tensor", "random", "majority", or "given".
    starts : tuple of StartReport
        All starts, the winner first.
    n_iter : int or None
        EM steps on all data.
    converged : bool or None
        Whether the last step gained less than `tol`.
    n_distinct_rows : int or None
        Rows that differ; equal ones are computed once.
    moments : tuple of ViewsEvidence
        For each division of the items into views that was decomposed.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import MultiViewMixture
    >>> X = np.random.default_rng(0).integers(0, 2, (300, 1)).repeat(6, axis=1)
    >>> MultiViewMixture(2, random_state=0).fit(X).report_.n_distinct_rows
    2
    """

    n_distinct_rows: int | None = fact("rows that differ")
    moments: tuple[ViewsEvidence, ...] = fact("moments of views")
