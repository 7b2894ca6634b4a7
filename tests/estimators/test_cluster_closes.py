"""Fits whose cluster closes: one error, and an estimator that is as it was."""

import threading
import time

import joblib
import numpy as np
import pytest

from spectral_estimators import CategoricalHMM, MLPRegressor
from spectral_nn.runners.cluster import ClusterError

dask = pytest.importorskip("dask", reason="dask is not installed")
pytest.importorskip("distributed", reason="dask is not installed")

# What is closed while it computes complains on its way out.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

from dask import array, bag  # noqa: E402


def sequences_of(i):
    return [np.random.default_rng(i).integers(0, 9, size=200) for _ in range(50)]


@pytest.mark.parametrize("given", ["bag", "memory", "array"])
@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_a_cluster_that_closes_during_a_fit(closing_client, given, seconds):
    """Whenever it does: one error, soon, and an estimator that is not fitted."""
    model = CategoricalHMM(4, n_init=2, n_iter=10**6, tol=0, random_state=0)
    if given == "bag":
        data = (bag.from_delayed([dask.delayed(sequences_of)(i) for i in range(6)]),)
    elif given == "memory":
        data = (sequences_of(0),)
    else:
        table = array.random.default_rng(0).standard_normal((40_000, 5), chunks=(8000, 5))
        model = MLPRegressor(
            hidden_layer_sizes=4, activation="tanh", max_iter=10**6, tol=0, random_state=0
        )
        data = (table, array.tanh(table).sum(axis=1))
    before = vars(model).copy()
    closing = threading.Timer(seconds, closing_client.cluster.close)
    with closing_client.as_current(), joblib.parallel_config("dask"):
        closing.start()
        begin = time.monotonic()
        with pytest.raises(ClusterError, match="repeat the fit"):
            model.fit(*data)
    assert time.monotonic() - begin < 60
    closing.join()
    assert vars(model) == before
