"""scikit-learn's ``LabelPropagation`` and ``LabelSpreading`` on a graph that is given."""

import time
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelPropagation, LabelSpreading


def fit(
    graph: sparse.csr_array, y: NDArray[np.int64], alpha: float | None, max_iter: int
) -> tuple[NDArray[np.int64], float, int]:
    """Power iteration; the graph is what a callable kernel returns, as there is no other way.

    Parameters
    ----------
    graph : (n, n), float64
    y : labels, -1 where unknown
    alpha : None for ``LabelPropagation``
    max_iter : most steps

    Returns
    -------
    transduction, seconds of the processor, steps
    """

    def kernel(X: NDArray, Y: NDArray) -> sparse.csr_array:
        return graph.copy()  # LabelPropagation writes to what it gets

    if alpha is None:
        model = LabelPropagation(kernel, max_iter=max_iter)
    else:
        model = LabelSpreading(kernel, alpha=alpha, max_iter=max_iter)
    rows = np.zeros((len(y), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.process_time()
        model.fit(rows, y)
        seconds = time.process_time() - begin
    return model.transduction_, seconds, model.n_iter_
