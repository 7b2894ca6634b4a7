"""What `LabelPropagation` and `LabelSpreading` have in common."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import runner_at
from spectral_estimators._graph_input import (
    check_exponents,
    check_weights,
    neighbor_graph,
    read_labels,
    weighted_graph,
)
from spectral_estimators._network_input import DTYPES, check_magnitude, row_major
from spectral_estimators._sklearn_compat import (
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_nn.models.graphs.affinity import (
    Graph,
    make_graph,
    predict_rbf,
    rbf_graph,
    symmetrise,
)
from spectral_nn.models.graphs.labels import LabelOptions, Labels, label
from spectral_nn.runners.base import Runner
from spectral_nn.warn import warn

__all__ = ["LabelBase"]

_MAX_EIGENVECTORS = 1 << 15  # all of a graph: 8 GiB in double precision
_MAX_NEIGHBORS = 1 << 21  # whose labels are averaged at a time


class LabelBase(ClassifierMixin, SpectralEstimator):
    """Checks, graph, fit and prediction; a subclass says whether labels are clamped."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "kernel": [StrOptions({"knn", "rbf", "precomputed"}), callable],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [None, Integral],
        "solver": [StrOptions({"cg", "power", "eigen"})],
        "n_eigenvectors": [Interval(Integral, 1, None, closed="left"), None],
    }

    kernel: Any
    gamma: float
    n_neighbors: int
    max_iter: int
    tol: float
    n_jobs: int | None
    solver: str
    n_eigenvectors: int | None

    def fit(self, X: Any, y: Any) -> Self:
        """Spread the labels that are known to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, d), or (n, n)
            Rows, labelled and unlabelled; with ``kernel="precomputed"`` the weights of the graph,
            of which zeros of a sparse matrix are no edges.
        y : array-like of shape (n,) or (n, n_classes)
            Labels, -1 where unknown, or None in an array of objects. Or distributions of labels,
            for rows of which something is known: rows of y sum to one, or are zeros or NaN where
            nothing is; ``classes_`` are then the columns, or their names.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault: NaN in X, negative weights, no label in y. The estimator
            is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` iterations were too few.
        UserWarning
            If rows have no path to a label, or if directions of edges are averaged away.
        """
        check_constraints(self)
        rows = check_array(
            X, accept_sparse=["csr", "csc"], dtype=DTYPES, estimator=self, input_name="X"
        )
        classes, given = read_labels(self, y, rows.dtype)
        check_consistent_length(rows, given)
        rows = sparse.csr_array(rows) if sparse.issparse(rows) else row_major(rows)
        if self.kernel == "rbf":
            check_exponents(rows, float(self.gamma))
        elif callable(self.kernel):
            check_magnitude(rows)
        options, finder = self._options(len(given)), None
        if self.kernel == "knn":
            finder = self._find_neighbors(rows, self.n_neighbors)
        with runner_at(None, self.n_jobs, None, False) as run:
            graph = self._make_graph(rows, finder, run)
            given = given.astype(graph.degrees.dtype)
            rng = np.random.default_rng(0)  # for the vector that eigenvectors are sought from
            found = label(graph, given, options, rng=rng, run=run)
        self._warn(graph, given, found)
        validate_data(self, X, skip_check_array=True)
        self.X_ = rows
        self.classes_ = classes
        self._neighbors: Any = finder
        self._prior = given.sum(axis=0) / given.sum()
        self.label_distributions_ = found.distributions
        self.transduction_ = classes[found.distributions.argmax(axis=1)]
        self.n_iter_ = found.n_iter
        self.residual_ = found.residual
        return self

    def predict(self, X: Any) -> NDArray:
        """Return the most probable label of new rows; see `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, d), or (m, n)

        Returns
        -------
        ndarray of shape (m,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> NDArray:
        """Return means of the distributions of all rows of `fit`, weighed by the kernel.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, d), or (m, n)
            New rows; with ``kernel="precomputed"`` their weights to the rows of `fit`.

        Returns
        -------
        ndarray of shape (m, n_classes)
            With ``kernel="rbf"`` rows far from all others follow the nearest. Rows all of whose
            weights are zero have the mean of the labels that `fit` was given.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, accept_sparse=["csr", "csc"], dtype=DTYPES)
        rows = sparse.csr_array(rows) if sparse.issparse(rows) else row_major(rows)
        shares = self.label_distributions_
        if self.kernel == "knn":
            return self._average_neighbors(rows)
        if self.kernel == "rbf":
            check_exponents(rows, float(self.gamma))
            with runner_at(None, self.n_jobs, None, False) as run:
                return predict_rbf(self.X_, self.gamma, shares, rows, run)
        if callable(self.kernel):
            check_magnitude(rows)
            weights, name = self.kernel(self.X_, rows).T, "the transposed result of kernel"
        else:
            weights, name = rows, "X"
        weights = check_weights(weights, name, (rows.shape[0], len(shares)))
        means = weights @ shares
        totals = means.sum(axis=1, keepdims=True)
        return np.where(totals > 0, means / np.where(totals > 0, totals, 1), self._prior)

    def _find_neighbors(self, rows: Any, n_neighbors: int) -> NearestNeighbors:
        return NearestNeighbors(n_neighbors=n_neighbors, n_jobs=self.n_jobs).fit(rows)

    def _average_neighbors(self, rows: Any) -> NDArray:
        """Mean distribution of the nearest neighbours of each row, some rows at a time."""
        shares = self.label_distributions_
        size = max(1, _MAX_NEIGHBORS // (self.n_neighbors * shares.shape[1]))
        means = np.empty((rows.shape[0], shares.shape[1]), shares.dtype)
        for begin in range(0, len(means), size):
            chunk = slice(begin, begin + size)
            nearest = self._neighbors.kneighbors(rows[chunk], return_distance=False)
            means[chunk] = shares[nearest].mean(axis=1)
        return means / means.sum(axis=1, keepdims=True)

    def _make_graph(self, rows: Any, finder: NearestNeighbors | None, run: Runner) -> Graph:
        """The graph that the kernel makes, symmetric where the solver needs that."""
        if self.kernel == "rbf":
            return rbf_graph(rows, self.gamma, run)
        if finder is not None:
            graph = make_graph(neighbor_graph(rows, finder))
            return graph if self.solver == "power" else symmetrise(graph)
        n = rows.shape[0]
        if self.kernel == "precomputed":
            return weighted_graph(check_weights(rows, "X", (n, n)), "X", self.solver)
        weights = check_weights(self.kernel(rows, rows), "the result of kernel", (n, n))
        return weighted_graph(weights, "the result of kernel", self.solver)

    def _options(self, n: int) -> LabelOptions:
        n_eigenvectors = n if self.n_eigenvectors is None else self.n_eigenvectors
        if self.solver == "eigen" and min(n, n_eigenvectors) > _MAX_EIGENVECTORS:
            raise ValueError(
                f"n_eigenvectors={self.n_eigenvectors}: {min(n, n_eigenvectors)} eigenvectors of a "
                f"graph of {n} rows are too many, the most are {_MAX_EIGENVECTORS}. Ask for some "
                "hundreds, or take solver='cg', which is exact."
            )
        return LabelOptions(self._alpha(), self.solver, self.tol, self.max_iter, n_eigenvectors)

    def _alpha(self) -> float | None:
        """None where labels are clamped."""
        return None

    def _warn(self, graph: Graph, given: NDArray, found: Labels) -> None:
        """Say of what the fit was not sure."""
        if not found.converged:
            advice = "max_iter or n_eigenvectors" if self.solver == "eigen" else "max_iter or tol"
            warn(
                f"max_iter={self.max_iter} was reached without convergence: one more step of power "
                f"iteration would change label_distributions_ by {found.residual:.2g} in total, "
                f"tol={self.tol:g}, or is still to reach rows far from all labels. Raise {advice}.",
                ConvergenceWarning,
            )
        if not found.reached.all():
            n_lost = int((~found.reached).sum())
            n_lonely = int((~found.reached & (graph.degrees == 0)).sum())
            shares = (given.sum(axis=0) / given.sum()).round(3).tolist()[:10]
            warn(
                f"{n_lost} of {len(given)} rows have no path to a label in the graph, {n_lonely} of"
                f" them no neighbour at all. They get the shares of the known labels, {shares}. "
                "Connect them (a lower gamma, more n_neighbors), or label a row of each component.",
                UserWarning,
            )

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: of the search tree its number of neighbours."""
        state = super().__getstate__()
        if state.get("_neighbors") is not None:
            state["_neighbors"] = state["_neighbors"].n_neighbors
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was saved, and make the search tree anew."""
        super().__setstate__(state)
        n_neighbors = state.get("_neighbors")
        if n_neighbors is not None:
            self._neighbors = self._find_neighbors(self.X_, n_neighbors)

    def __sklearn_tags__(self) -> Any:
        tags = with_input_tags(super().__sklearn_tags__(), sparse=True)
        return with_input_tags(tags, pairwise=self.kernel == "precomputed")
