"""What a fit of topics found out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.report import FitReport, fact

__all__ = ["TopicEvidence", "TopicReport"]


@dataclass(frozen=True, eq=False)
class TopicEvidence:
    """What held-out documents say of each number of topics.

    Attributes
    ----------
    numbers : ndarray of int, shape (n,)
        Of topics.
    perplexity : ndarray of shape (n,)
        Of half of each held-out document, told by the other half.
    behind : ndarray of shape (n,)
        Mean log-likelihood of a document that is lost against the best number, nats.
    errors : ndarray of shape (n,)
        Standard errors of that.
    chosen : int
        The smallest number that is not behind by more than its standard error.

    See Also
    --------
    TopicReport : Has one, where ``n_components="auto"``.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import LatentDirichletAllocation
    >>> X = np.random.default_rng(0).poisson(1.0, (100, 12))
    >>> LatentDirichletAllocation("auto", random_state=0).fit(X).report_.evidence.chosen
    1
    """

    numbers: NDArray[np.int64]
    perplexity: NDArray[np.float64]
    behind: NDArray[np.float64]
    errors: NDArray[np.float64]
    chosen: int


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TopicReport(FitReport):
    """What a fit of topics found out.

    Attributes
    ----------
    winner : str or None
        Where topics started from: "tensor", "random" or "given".
    starts : tuple of StartReport
        Empty: there is no race.
    n_iter : int or None
        Passes over the documents.
    converged : bool or None
        Whether the last pass gained less than `tol`.
    method : str or None
        Refinement: "collapsed", "batch" or "online".
    n_short_documents : float or None
        Documents of fewer than three tokens, which moments leave out.
    workable : int or None
        Topics that moments can tell apart.
    eigenvalues : ndarray of shape (n,) or None
        Of the second moment, largest first.
    residual : float or None
        Share of the third moment that the topics leave unexplained.
    evidence : TopicEvidence or None
        What held-out documents say of each number of topics, where ``n_components="auto"``.

    See Also
    --------
    FitReport : What all models report.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import LatentDirichletAllocation
    >>> X = np.random.default_rng(0).poisson(1.0, (50, 8))
    >>> LatentDirichletAllocation(2, init="random", random_state=0).fit(X).report_.winner
    'random'
    """

    method: str | None = fact("refinement")
    n_short_documents: float | None = fact("documents left out of the moments")
    workable: int | None = fact("topics that moments can tell apart")
    eigenvalues: NDArray | None = fact("eigenvalues of the second moment")
    residual: float | None = fact("third moment left unexplained, share")
