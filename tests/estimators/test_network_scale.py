"""Networks from a laptop to a cluster: the same fit whoever computes and wherever the rows are."""

import os
import signal
import tracemalloc

import array_api_strict
import dask
import dask.array as da
import h5py
import joblib
import numpy as np
import pytest
import zarr
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from spectral_estimators import MLPClassifier, MLPRegressor, TensorFeatures
from spectral_estimators import _tables as tables
from spectral_estimators._reading import read_rows
from spectral_nn.arrays import to_numpy
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.moments.frame import column_moments, extent_of, moments_of
from spectral_nn.runners.base import SerialRunner, runner
from spectral_nn.runners.cluster import ClusterError
from spectral_nn.runners.parts import Walk

N = 40_000  # three chunks of 16,384 rows, the last one shorter
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    teacher = planted_network(6, 3, activation="relu", rng=rng)
    X, y = sample_network(teacher, N, noise=0.05, rng=rng)
    return X, y


MODELS = {
    "regressor": MLPRegressor(hidden_layer_sizes=(3,), random_state=0, max_iter=30),
    # far from converged, L-BFGS would make much of the last digits where classes overlap
    "classifier": MLPClassifier((2,), init="random", random_state=0, max_iter=8),
    "features": TensorFeatures(3, random_state=0),
}


def targets(model, y):
    """Numbers, or noisy labels."""
    if not isinstance(model, MLPClassifier):
        return y
    rng = np.random.default_rng(1)
    return np.where(y + rng.logistic(scale=0.5, size=N) > 0.3, "up", "down")


@pytest.fixture(scope="module", params=list(MODELS))
def case(request, data):
    """A model, its data, and what one thread finds."""
    model = MODELS[request.param]
    X, y = data[0], targets(model, data[1])
    return model, X, y, parameters(clone(model).fit(X, y))


def parameters(model):
    if isinstance(model, TensorFeatures):
        return [model.components_, model.mean_]
    return [*model.coefs_, *model.intercepts_]


def assert_bits(model, expected):
    for found, wanted in zip(parameters(model), expected, strict=True):
        assert_array_equal(found, wanted)


class Chunks:
    """Pairs of some rows and their targets, walked afresh each time."""

    def __init__(self, X, y, size):
        self.arrays, self.size = (X, y), size

    def __iter__(self):
        X, y = self.arrays
        for begin in range(0, len(X), self.size):
            yield X[begin : begin + self.size], y[begin : begin + self.size]


class TestTheSameFitToTheLastBit:
    def test_in_threads_and_processes(self, case):
        model, X, y, expected = case
        assert_bits(clone(model).set_params(n_jobs=2).fit(X, y), expected)
        with joblib.parallel_config("loky", n_jobs=2):
            assert_bits(clone(model).fit(X, y), expected)

    @pytest.mark.parametrize("size", [999, 16_384, 30_000])
    def test_in_chunks_of_any_size(self, case, size):
        model, X, y, expected = case
        assert_bits(clone(model).fit(Chunks(X, y, size)), expected)
        assert_bits(clone(model).set_params(n_jobs=2).fit(list(Chunks(X, y, size))), expected)

    def test_on_disk(self, case, tmp_path, monkeypatch):
        model, X, y, expected = case
        codes = y if y.dtype.kind == "f" else (y == "up").astype(int)
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        monkeypatch.setattr(tables, "_LARGE", 0)
        assert tables.is_chunked(mapped)
        assert_bits(clone(model).fit(mapped, y), expected)
        stored = zarr.create_array(tmp_path / "z.zarr", data=X, chunks=(1000, 4))
        assert_bits(clone(model).fit(stored, y), expected)
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["X"], file["y"] = X, codes
            found = clone(model).fit(file["X"], file["y"])
        assert_bits(found, expected)

    def test_of_dask(self, case):
        model, X, y, expected = case
        x = da.from_array(X, chunks=(7000, 4))
        assert_bits(clone(model).fit(x, da.from_array(y, chunks=9001)), expected)
        assert_bits(clone(model).fit(x, y), expected)
        delayed = [dask.delayed(chunk) for chunk in Chunks(X, y, 9000)]
        assert_bits(clone(model).fit(delayed), expected)
        columns = zip(*Chunks(X, y, 9000), strict=True)
        both = [[dask.delayed(part) for part in parts] for parts in columns]
        assert_bits(clone(model).fit(*both), expected)

    def test_on_a_cluster(self, case, client):
        model, X, y, expected = case
        with client.as_current():
            x, t = da.from_array(X, chunks=(7000, 4)), da.from_array(y, chunks=9001)
            assert_bits(clone(model).fit(x.persist(), t.persist()), expected)
            with joblib.parallel_config(backend="dask"):
                assert_bits(clone(model).fit(X, y), expected)

    def test_with_weights(self, case):
        model, X, y, _ = case
        weight = np.random.default_rng(2).integers(0, 3, N).astype(float)
        expected = parameters(clone(model).fit(X, y, weight))
        kept = weight > 0
        chunks = [(*chunk, weight[i * 9000 :][:9000]) for i, chunk in enumerate(Chunks(X, y, 9000))]
        assert kept.sum() < N
        assert_bits(clone(model).fit(chunks), expected)
        x = da.from_array(X, chunks=(8000, -1))
        assert_bits(clone(model).fit(x, y, da.from_array(weight, chunks=7000)), expected)


class TestArraysOfOtherLibraries:
    """Their arithmetic is their own, so the last digits are, too; nothing moves in silence."""

    def near(self, case, array, rtol):
        model, X, y, expected = case
        classes = isinstance(model, MLPClassifier)
        found = clone(model).fit(array(X), y if classes else array(y))
        largest = max(np.abs(wanted).max() for wanted in expected)
        for part, wanted in zip(parameters(found), expected, strict=True):
            assert type(part) is type(array(X))
            assert part.device == array(X).device
            assert_allclose(to_numpy(part), wanted, rtol=rtol, atol=rtol * largest)
        return found

    def test_torch(self, case):
        torch = pytest.importorskip("torch")
        model = self.near(case, torch.asarray, 1e-10)
        X = torch.asarray(case[1][:50])
        if isinstance(model, TensorFeatures):
            assert type(model.transform(X)) is torch.Tensor
        elif isinstance(model, MLPRegressor):
            assert type(model.predict(X)) is torch.Tensor

    def test_another_device(self, case):
        device = array_api_strict.Device("device1")
        self.near(case, lambda x: array_api_strict.asarray(x, device=device), 1e-10)

    def test_mixed_devices_are_refused(self, data):
        torch = pytest.importorskip("torch")
        X, y = data
        there = array_api_strict.asarray(y, device=array_api_strict.Device("device1"))
        with pytest.raises(ValueError, match=r"X is an array of torch on cpu, but y of array_api"):
            MLPRegressor(hidden_layer_sizes=(2,)).fit(torch.asarray(X), there)
        fitted = MLPRegressor(hidden_layer_sizes=(2,), init="random", max_iter=3).fit(
            torch.asarray(X), y
        )
        with pytest.raises(ValueError, match=r"coefs_ is an array of torch.*X of array_api_strict"):
            fitted.predict(array_api_strict.asarray(X, device=array_api_strict.Device("device1")))
        with pytest.raises(ValueError, match="device='cuda' goes with NumPy arrays"):
            MLPRegressor(hidden_layer_sizes=(2,), device="cuda").fit(torch.asarray(X), y)


class TestPredictions:
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
    def test_of_what_is_not_in_memory(self, case, method, tmp_path):
        model, X, y, _ = case
        if not hasattr(model, method):
            pytest.skip(f"{type(model).__name__} has no {method}")
        fitted = clone(model).fit(X, y)
        expected = getattr(fitted, method)(X)
        lazy = getattr(fitted, method)(da.from_array(X, chunks=(7000, 4)))
        assert isinstance(lazy, da.Array)
        assert_array_equal(lazy.compute(), expected)
        stored = zarr.create_array(tmp_path / "z.zarr", data=X, chunks=(1000, 4))
        assert_array_equal(getattr(fitted, method)(stored), expected)
        with pytest.raises(ValueError, match="one chunk at a time"):
            getattr(fitted, method)(Chunks(X, y, 1000))


class Deadly:
    """Rows on disk whose reading ends a process that is not this one."""

    shape, dtype = (N, 6), np.dtype(np.float64)

    def __init__(self):
        self.parent = os.getpid()

    def __getitem__(self, rows):
        if os.getpid() != self.parent:
            os._exit(1)
        return np.zeros((rows.stop - rows.start, 6))


class TestFaults:
    MODEL = MLPRegressor(hidden_layer_sizes=(2,), init="random", max_iter=5, random_state=0)

    def refused(self, X, y=None, *, match, model=MODEL, error=ValueError):
        model = clone(model)
        with pytest.raises(error, match=match):
            model.fit(X, y)
        assert not hasattr(model, "coefs_")

    def spoilt(self, data, number, change):
        return [
            change(*chunk) if i == number else chunk
            for i, chunk in enumerate(Chunks(data[0], data[1], 1000))
        ]

    def test_nan_names_chunk_and_row(self, data):
        def change(X, y):
            X = X.copy()
            X[12, 3] = np.nan
            return X, y

        chunks = self.spoilt(data, 37, change)
        pattern = "chunk 37 of X: Input X contains NaN.*row 12 of the chunk, in X"
        self.refused(chunks, match=f"(?s){pattern}")
        self.refused([dask.delayed(chunk) for chunk in chunks], match=f"(?s){pattern}")
        self.refused(chunks, match=f"(?s){pattern}", model=clone(self.MODEL).set_params(n_jobs=2))

    def test_infinity_in_y(self, data):
        chunks = self.spoilt(data, 3, lambda X, y: (X, np.where(np.arange(len(y)) == 5, np.inf, y)))
        self.refused(chunks, match="(?s)chunk 3 of X: Input y contains infinity.*row 5 .*in y")

    def test_other_columns(self, data):
        chunks = self.spoilt(data, 5, lambda X, y: (X[:, :4], y))
        self.refused(chunks, match="chunk 5 of X has 4 columns, chunk 0 has 6")
        chunks = self.spoilt(data, 5, lambda X, y: (X, np.stack([y, y], axis=1)))
        self.refused(chunks, match="chunk 5 of X has 2 targets, chunk 0 has 1")

    def test_other_lengths(self, data):
        chunks = self.spoilt(data, 5, lambda X, y: (X, y[:-1]))
        self.refused(chunks, match="chunk 5 of X: .*inconsistent numbers of samples")
        x = da.from_array(data[0], chunks=(7000, -1))
        self.refused(x, data[1][1:], match="X has 40000 rows, y has 39999")
        self.refused(x, da.from_array(data[1][1:]), match="X has 40000 rows, y has 39999")

    def test_other_dtypes_are_brought_together(self, data):
        X, y = data
        single = [(a.astype(np.float32), b) for a, b in Chunks(X, y, 10_000)]
        found = clone(self.MODEL).fit(single)
        assert found.coefs_[0].dtype == np.float32
        assert_array_equal(found.coefs_[0], clone(self.MODEL).fit(np.float32(X), y).coefs_[0])
        whole = [(np.rint(a).astype(int), b) for a, b in Chunks(X, y, 10_000)]
        assert clone(self.MODEL).fit(whole).coefs_[0].dtype == np.float64
        mixed = clone(self.MODEL).fit([single[0], *list(Chunks(X, y, 10_000))[1:]])
        assert mixed.coefs_[0].dtype == np.float64
        words = self.spoilt(data, 2, lambda X, y: (np.full(X.shape, "a"), y))
        self.refused(words, match="chunk 2 of X: ")

    def test_empty_chunks_add_nothing(self, data):
        X, y = data
        expected = clone(self.MODEL).fit(X, y).coefs_[0]
        chunks = list(Chunks(X, y, 10_000))
        chunks.insert(1, (X[:0], y[:0]))
        assert_array_equal(clone(self.MODEL).fit(chunks).coefs_[0], expected)
        delayed = [dask.delayed(chunk) for chunk in chunks]
        assert_array_equal(clone(self.MODEL).fit(delayed).coefs_[0], expected)
        self.refused([(X[:0], y[:0])], match="hold no row")

    def test_a_generator_is_refused_before_it_is_read(self, data):
        read = []

        def generator():
            for chunk in Chunks(*data, 10_000):
                read.append(1)
                yield chunk

        self.refused(generator(), match="can be walked once, and a fit takes several passes")
        assert not read

    def test_an_iterable_that_does_not_start_again_is_told(self, data):
        class Spent:
            def __init__(self):
                self.chunks = iter(Chunks(*data, 10_000))

            def __iter__(self):
                yield from self.chunks

        self.refused(Spent(), match="X yielded 4 chunks in the first walk and 0 in a later one")

    def test_what_is_no_chunk_is_told(self, data):
        class Alone:
            def __iter__(self):
                yield data[0]

        self.refused(Alone(), match=r"must be a tuple \(X, y\)")
        self.refused(Chunks(*data, 10_000), data[1], match="leave y out")

    @pytest.mark.parametrize(
        "settings", [{"solver": "adam"}, {"solver": "sgd"}, {"early_stopping": True}]
    )
    def test_rows_one_by_one_need_memory(self, data, settings):
        model = clone(self.MODEL).set_params(**settings)
        self.refused(Chunks(*data, 10_000), match="takes rows one by one", model=model)

    def test_partial_fit_takes_one_batch(self, data):
        with pytest.raises(ValueError, match="one batch in memory"):
            clone(self.MODEL).partial_fit(Chunks(*data, 10_000), None)

    def test_new_labels_in_a_chunk_belong_to_all(self, data):
        X = data[0]
        labels = np.where(np.arange(N) < 39_000, "a", "b")
        expected = MLPClassifier((2,), init="random", max_iter=3).fit(X, labels)
        found = MLPClassifier((2,), init="random", max_iter=3).fit(Chunks(X, labels, 10_000))
        assert found.classes_.tolist() == expected.classes_.tolist() == ["a", "b"]

    def test_no_gpu_is_said(self, data):
        with pytest.raises((ImportError, RuntimeError), match=r"cuda|device"):
            MLPRegressor(hidden_layer_sizes=(2,), device="cuda").fit(*data)
        with pytest.raises(ValueError, match="device"):
            MLPRegressor(hidden_layer_sizes=(2,), device="abacus").fit(*data)

    def test_a_killed_process_leaves_the_estimator_unfitted(self, data):
        with joblib.parallel_config("loky", n_jobs=2):
            self.refused(Deadly(), data[1], match="terminated", error=TerminatedWorkerError)
            again = clone(self.MODEL).fit(*data)  # and the next fit has workers again
        assert_array_equal(again.coefs_[0], clone(self.MODEL).fit(*data).coefs_[0])

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_worker_killed_in_the_middle_of_a_fit(self, data, breakable_client):
        """Of data that were sent there; `test_cluster` has those that were made there, too."""
        X, y = data
        expected = parameters(clone(self.MODEL).fit(X, y))
        victim = next(iter(breakable_client.run(os.getpid).values()))
        steps = []

        def kill(stage, step, loss):
            steps.append(step)
            if len(steps) == 2:
                os.kill(victim, signal.SIGKILL)

        model = clone(self.MODEL).set_params(verbose=kill)
        with breakable_client.as_current(), joblib.parallel_config(backend="dask"):
            model.fit(X, y)
        assert len(steps) > 2
        assert victim not in breakable_client.run(os.getpid).values()
        assert_bits(model, expected)

    def test_a_cluster_that_is_gone(self, data, closing_client):
        with closing_client.as_current(), joblib.parallel_config(backend="dask"):
            closing_client.close()
            self.refused(*data, match="the dask cluster failed", error=ClusterError)


class Counted:
    """Chunks that know how often they were walked."""

    def __init__(self, chunks):
        self.chunks, self.n_walks = list(chunks), 0

    def __iter__(self):
        self.n_walks += 1
        return iter(self.chunks)


def test_two_walks_come_before_the_first_step(data):
    """One that checks, and one that sums columns up; then one for each pass of moments or loss."""
    passes = []

    class Spy(SerialRunner):
        def total(self, statistic, chunks):
            passes.append(statistic)
            return super().total(statistic, chunks)

    X, y = data
    chunks = Counted(Chunks(X, y, 9000))
    given = read_rows(
        MLPRegressor(),
        chunks,
        None,
        None,
        Spy(),
        resume=False,
        numeric=True,
        targets=lambda y: (lambda y, dtype: y.astype(dtype)[:, None], {}),
    )
    extent_of(given.rows, given.rows.run)
    moments_of(given.rows, given.rows.run)
    assert (chunks.n_walks, len(passes)) == (2, 1)
    walks = Counted(Chunks(X, y, 9000))
    MLPRegressor(hidden_layer_sizes=(3,), init="random", max_iter=0).fit(walks)
    assert walks.n_walks <= 4  # its loss and the check of its outputs are walks, too


@pytest.mark.parametrize("given", ["memory", "chunks"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_sparse_rows_stay_sparse(given, n_jobs):
    """A dense chunk of 4,096 rows would take 1.6 GB."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((12_000, 50_000), density=1e-4, rng=rng, format="csr")
    y = rng.standard_normal(12_000)
    chunks = [(X[i : i + 4096], y[i : i + 4096]) for i in range(0, 12_000, 4096)]
    model = MLPRegressor(
        hidden_layer_sizes=(2,), init="random", max_iter=2, random_state=0, n_jobs=n_jobs
    )
    tracemalloc.start()
    try:
        model.fit(*((X, y) if given == "memory" else (chunks,))).predict(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize("form", ["array", "sparse", "walk", "delayed", "dask", "zarr"])
def test_tables_without_targets(data, form, tmp_path):
    """What models without targets will read: no column of Y, whatever X comes in."""
    X = data[0]
    pieces = np.split(X, 8)
    given = {
        "array": lambda: X,
        "sparse": lambda: sparse.csr_array(X),
        "walk": lambda: Walk(lambda: iter(pieces)),
        "delayed": lambda: [dask.delayed(piece) for piece in pieces],
        "dask": lambda: da.from_array(X, chunks=(7000, 4)),
        "zarr": lambda: zarr.create_array(tmp_path / "z.zarr", data=X, chunks=(1000, 4)),
    }[form]()
    with runner(remote=form in ("delayed", "dask")) as run:
        how = {"resume": False, "numeric": True, "targets": None}
        rows = read_rows(TensorFeatures(), given, None, None, run, **how).rows
        assert (rows.n_rows, rows.n_features, rows.n_outputs) == (*X.shape, 0)
        found = run.total(column_moments, rows.chunks())
    assert_allclose(found.mean, X.mean(axis=0), rtol=1e-10, atol=1e-12)
