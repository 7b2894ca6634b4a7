"""`LabelPropagation` and `LabelSpreading`: labels of a few rows, spread over a graph of all."""

from numbers import Real
from typing import Any, ClassVar

from spectral_estimators._label_base import LabelBase
from spectral_estimators._sklearn_compat import Interval

__all__ = ["LabelPropagation", "LabelSpreading"]


class LabelPropagation(LabelBase):
    r"""Labels spread over a graph from rows whose own labels stay as they are.

    The distribution of a row without a label is the mean of those of its neighbours, weighed by the
    edges: the harmonic function whose values at labelled rows are given [1]_.

    .. math:: (D_{uu} - W_{uu}) F_u = W_{ul} Y_l

    It can stand in for ``sklearn.semi_supervised.LabelPropagation``, and solves this system by
    conjugate gradients instead of following the flow to its end.

    Parameters
    ----------
    kernel : {"knn", "rbf", "precomputed"} or callable, default="rbf"
        Where the weights W come from. "rbf": ``exp(-gamma ||x - y||^2)``. "knn": 1 for the
        ``n_neighbors`` nearest rows. "precomputed": X is W, sparse or dense. A function of
        ``(X, X)`` that returns W, sparse or dense.
    gamma : float, default=20
        Of "rbf".
    n_neighbors : int, default=7
        Of "knn"; the row itself is one of them.
    max_iter : int, default=1000
        Most products with the graph.
    tol : float, default=1e-3
        The solver stops when one more step of power iteration would change the distributions by
        less, summed over all entries, and no row by more than a tenth; in single precision
        possibly earlier, at what rounding leaves.
    n_jobs : int, optional
        Workers, as joblib means it, for neighbours and for products with the graph.
    solver : {"cg", "power", "eigen"}, default="cg"
        "cg": conjugate gradients. "power": the flow, scikit-learn's iteration. "eigen": the leading
        eigenvectors of the graph. "cg" and "eigen" take ``(W + W.T) / 2`` for a W that is not
        symmetric.
    n_eigenvectors : int, optional
        Of "eigen". None: all, for small graphs, as they take memory for n^2 numbers.

    Attributes
    ----------
    X_ : array or csr_array of shape (n, d)
        Rows of `fit`.
    classes_ : array (n_classes,)
    label_distributions_ : array (n, n_classes)
        Distribution of the label of each row, in the precision of X.
    transduction_ : array (n,)
        Most probable label of each row.
    n_iter_ : int
        Products with the graph.
    residual_ : float
        What one more step of power iteration would change, summed over all entries.
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    LabelSpreading : Labels that may be overruled by their neighbours.

    Notes
    -----
    Rows without a path to a label get the shares of the known labels, with a warning.

    **Different from scikit-learn.** The graph of ``kernel="knn"`` has directions, since a neighbour
    need not be mutual; "cg" averages them, "power" follows them and gives scikit-learn's result.

    **Cost.** O(n_classes) for each edge and step. The n x n weights of "rbf" are never in memory
    where they take more than 64 MiB: each step makes them anew, n^2 exponentials and
    n^2 (2 d + 2 n_classes) flops. Where that is too slow, take "knn", which keeps the edges that
    matter.

    References
    ----------
    .. [1] Zhu, Ghahramani, Lafferty, "Semi-supervised learning using Gaussian fields and harmonic
       functions", ICML 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> known = np.where(np.arange(len(y)) < 100, y, -1)
    >>> model = LabelPropagation(kernel="knn", n_neighbors=10).fit(X, known)
    >>> bool((model.transduction_ == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        kernel: Any = "rbf",
        *,
        gamma: float = 20,
        n_neighbors: int = 7,
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        solver: str = "cg",
        n_eigenvectors: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.solver = solver
        self.n_eigenvectors = n_eigenvectors


class LabelSpreading(LabelBase):
    r"""Labels spread over a graph, each row pulled to its neighbours and to its own label.

    .. math:: (I - \alpha S) F = (1 - \alpha) Y, \qquad S = D^{-1/2} W D^{-1/2}

    (Zhou et al. [1]_). Wrong labels can be overruled. It can stand in for
    ``sklearn.semi_supervised.LabelSpreading``, and solves the system by conjugate gradients, which
    for alpha = .99 needs about a tenth of the steps.

    Parameters
    ----------
    kernel : {"knn", "rbf", "precomputed"} or callable, default="rbf"
        Where the weights W come from. "rbf": ``exp(-gamma ||x - y||^2)``. "knn": 1 for the
        ``n_neighbors`` nearest rows. "precomputed": X is W, sparse or dense. A function of
        ``(X, X)`` that returns W, sparse or dense.
    gamma : float, default=20
        Of "rbf".
    n_neighbors : int, default=7
        Of "knn"; the row itself is one of them.
    alpha : float, default=0.2
        Share of the neighbours against the row's own label, between 0 and 1. Near 1, labels reach
        far.
    max_iter : int, default=1000
        Most products with the graph (scikit-learn: 30).
    tol : float, default=1e-3
        The solver stops when one more step of power iteration would change the distributions by
        less, summed over all entries, and no row by more than a tenth; in single precision
        possibly earlier, at what rounding leaves.
    n_jobs : int, optional
        Workers, as joblib means it, for neighbours and for products with the graph.
    solver : {"cg", "power", "eigen"}, default="cg"
        "cg": conjugate gradients. "power": the flow, scikit-learn's iteration. "eigen": the leading
        eigenvectors of the graph. "cg" and "eigen" take ``(W + W.T) / 2`` for a W that is not
        symmetric.
    n_eigenvectors : int, optional
        Of "eigen". None: all, for small graphs, as they take memory for n^2 numbers.

    Attributes
    ----------
    X_ : array or csr_array of shape (n, d)
        Rows of `fit`.
    classes_ : array (n_classes,)
    label_distributions_ : array (n, n_classes)
        Distribution of the label of each row, in the precision of X.
    transduction_ : array (n,)
        Most probable label of each row.
    n_iter_ : int
        Products with the graph.
    residual_ : float
        What one more step of power iteration would change, summed over all entries before rows are
        divided by their sums.
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    LabelPropagation : Labels that stay as they are.

    Notes
    -----
    What differs from scikit-learn, and the cost, are as for `LabelPropagation`.

    References
    ----------
    .. [1] Zhou, Bousquet, Lal, Weston, Schoelkopf, "Learning with local and global consistency",
       NIPS 2003.

    Examples
    --------
    Of the last row both labels are as likely, before its neighbours have a say.

    >>> import numpy as np
    >>> X = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> y = np.array([[1, 0], [0, 0], [0, 0], [0, 1], [0, 0], [0.5, 0.5]])
    >>> model = LabelSpreading(alpha=0.9).fit(X, y)
    >>> model.transduction_.tolist()
    [0, 0, 0, 1, 1, 1]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LabelBase._parameter_constraints,
        "alpha": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        kernel: Any = "rbf",
        *,
        gamma: float = 20,
        n_neighbors: int = 7,
        alpha: float = 0.2,
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        solver: str = "cg",
        n_eigenvectors: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.solver = solver
        self.n_eigenvectors = n_eigenvectors

    def _alpha(self) -> float:
        return self.alpha
