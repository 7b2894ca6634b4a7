"""One BLAS thread while anything of ours computes, however computations overlap."""

import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits

from spectral_estimators import CategoricalHMM, GaussianHMM, MLPRegressor, TensorFeatures
from spectral_nn.blas import one_blas_thread, one_openmp_thread
from spectral_nn.runners.base import runner
from spectral_nn.runners.parts import evaluate

AMBIENT = 2


def blas_threads(_=None):
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def set_threads(n):
    """Set the number that blocks find, from a thread that ends and leaves nobody in charge."""
    thread = threading.Thread(target=threadpool_limits, args=(n, "blas"))
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def ambient():
    """Two threads outside, as on a machine with two cores and nothing set."""
    before = max(blas_threads())
    set_threads(AMBIENT)
    assert blas_threads() == {AMBIENT}
    yield
    set_threads(before)


def test_a_block_has_one_thread_and_gives_the_others_back():
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {AMBIENT}


def test_a_limit_of_the_caller_is_lowered_and_comes_back():
    with threadpool_limits(AMBIENT + 1, user_api="blas"):
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {AMBIENT + 1}
    assert blas_threads() == {AMBIENT}


def test_an_error_gives_the_threads_back():
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert blas_threads() == {AMBIENT}


@pytest.mark.parametrize("first_to_close", [0, 1])
def test_blocks_that_overlap_in_threads(first_to_close):
    """Whoever closes first, the other one keeps its limit, and the last one lifts it."""
    opened = [threading.Event(), threading.Event()]
    close = [threading.Event(), threading.Event()]

    def hold(i):
        with one_blas_thread():
            opened[i].set()
            assert close[i].wait(30)
            return blas_threads()

    with ThreadPoolExecutor(2) as pool:
        held = []
        for i in range(2):
            held.append(pool.submit(hold, i))
            assert opened[i].wait(30)
        for i in (first_to_close, 1 - first_to_close):
            close[i].set()
            assert held[i].result() == {1}
            assert blas_threads() == ({1} if i == first_to_close else {AMBIENT})


def test_overlapping_fits_leave_the_threads_as_they_were():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))

    def fit(seed):
        MLPRegressor(
            hidden_layer_sizes=(2,), init="random", n_jobs=2, max_iter=5, tol=1.0, random_state=seed
        ).fit(X, X[:, 0])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(12)))
    assert blas_threads() == {AMBIENT}


@pytest.mark.parametrize("how", ["serial", "threads", "loky", "multiprocessing"])
def test_every_runner_computes_on_one_thread(how):
    """The coordinator does, and every worker."""
    backend = {"serial": "threading", "threads": "threading"}.get(how, how)
    with joblib.parallel_config(backend), runner(1 if how == "serial" else 2) as run:
        assert blas_threads() == {1}
        assert list(run.map(blas_threads, range(3))) == [{1}] * 3
    assert blas_threads() == {AMBIENT}


def test_a_worker_with_threads_of_its_own_computes_on_one():
    assert evaluate(blas_threads, None) == {1}
    assert blas_threads() == {AMBIENT}


# Products whose bits depend on the number of BLAS threads, with one kernel or another.
rng = np.random.default_rng(0)
X = rng.standard_normal((3000, 21))
y = np.maximum(X[:, :4], 0).sum(axis=1)
SYMBOLS = rng.integers(0, 7, 6000)
FITS = {
    "TensorFeatures": lambda: TensorFeatures(4, random_state=0).fit(X, y).components_,
    "MLPRegressor": lambda: (
        MLPRegressor(hidden_layer_sizes=(6,), max_iter=20, tol=1.0, random_state=0)
        .fit(X, y)
        .coefs_[0]
    ),
    "CategoricalHMM": lambda: (
        CategoricalHMM(4, n_iter=0, random_state=0).fit(SYMBOLS).emissionprob_
    ),
    "partial_fit": lambda: TensorFeatures(4, random_state=0).partial_fit(X, y).components_,
}


@pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning")
@pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITS)
def test_fits_have_the_same_bits_whatever_the_ambient_threads(name):
    found = []
    for n_threads in (1, 2):
        set_threads(n_threads)
        found.append(FITS[name]())
    np.testing.assert_array_equal(found[0], found[1])


def openmp_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}


def test_k_means_has_one_openmp_thread_and_gives_the_others_back(monkeypatch):
    seen = set()

    def fit_predict(self, X, sample_weight=None):
        seen.update(openmp_threads())
        return np.arange(len(X)) % self.n_clusters

    monkeypatch.setattr(KMeans, "fit_predict", fit_predict)
    X = np.random.default_rng(0).standard_normal((300, 2))
    with threadpool_limits(AMBIENT, user_api="openmp"):
        GaussianHMM(2, init="kmeans", random_state=0).fit(X)
        assert openmp_threads() == {AMBIENT}
    assert seen == {1}


def test_an_error_gives_the_openmp_threads_back():
    with threadpool_limits(AMBIENT, user_api="openmp"):
        with pytest.raises(ZeroDivisionError), one_openmp_thread():
            raise ZeroDivisionError
        assert openmp_threads() == {AMBIENT}
