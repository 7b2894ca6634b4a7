"""CategoricalHMM: the same fit wherever the data are and whoever computes it."""

import tracemalloc
from functools import partial

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import CategoricalHMM, Sequences, SequenceStream
from spectral_nn.arrays import to_numpy, where_it_lives
from spectral_nn.data import lazy
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains import engine, plan, row_fit
from spectral_nn.models.chains import fit as recipe
from spectral_nn.moments.ngrams import ngram_cut
from spectral_nn.runners.base import SerialRunner
from spectral_nn.runners.cluster import DaskRunner

FITTED = ("startprob_", "transmat_", "emissionprob_")


class Data:
    """Tokens of a planted model: as an array with lengths, and as a list of sequences."""

    def __init__(self, n, n_sequences):
        rng = np.random.default_rng(5)
        truth = planted_hmm(3, 6, concentration=0.5, rng=rng)
        cuts = np.sort(rng.choice(np.arange(1, n), n_sequences - 1, replace=False))
        self.lengths = np.diff(cuts, prepend=0, append=n)
        self.tokens = sample_hmm(truth, n, rng)[0][0].astype(np.uint8)
        self.sequences = np.split(self.tokens, cuts)


@pytest.fixture(scope="module")
def data():
    return Data(30_000, 20)


@pytest.fixture(params=["all race", "a sample races"])
def small_scale(request, monkeypatch):
    """Windows and chunks that small data fill; and, or not, more data than the race looks at."""
    monkeypatch.setattr(engine, "_WINDOW", 2**12)
    for kind in (SerialRunner, DaskRunner):
        monkeypatch.setattr(kind, "chunk_tokens", 2**11)
    monkeypatch.setattr(lazy, "WINDOW", 2**12)
    if request.param == "a sample races":
        for module in (engine, plan, row_fit):
            monkeypatch.setattr(module, "RACE_ROWS", 2**12)
    return request.param


def model(**changes):
    settings = {"n_init": 4, "n_iter": 6, "dtype": "float64", "random_state": 0}
    return CategoricalHMM(3, **settings | changes)


_in_memory = {}


@pytest.fixture
def expected(data, small_scale):
    """The fit in memory, in this process."""
    if small_scale not in _in_memory:
        _in_memory[small_scale] = model().fit(data.sequences)
    return _in_memory[small_scale]


def assert_same(found, expected, rtol=1e-10):
    for name in FITTED:
        assert_allclose(
            to_numpy(getattr(found, name)), getattr(expected, name), rtol=rtol, atol=1e-14
        )
    assert found.report_.winner == expected.report_.winner
    assert len(found.monitor_.history) == len(expected.monitor_.history)


# workers


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(data, expected, backend):
    with joblib.parallel_config(backend, n_jobs=2):
        assert_same(model().fit(data.sequences), expected, rtol=0)


def test_jobs_change_no_bit(data, expected):
    assert_same(model(n_jobs=2).fit(data.sequences), expected, rtol=0)
    assert not expected.report_.exact


# pieces


@pytest.mark.parametrize("chunk_tokens", [1, 4000, 10**6])
def test_streams(data, expected, chunk_tokens):
    assert_same(model().fit(SequenceStream(data.sequences, chunk_tokens=chunk_tokens)), expected)


def memmap(tokens, folder):
    path = folder / "tokens.raw"
    tokens.tofile(path)
    return np.memmap(path, tokens.dtype, "r", shape=tokens.shape)


def zarr(tokens, folder):
    module = pytest.importorskip("zarr")
    chunks = (len(tokens) // 13, *tokens.shape[1:])
    array = module.create_array(
        str(folder / "zarr"), shape=tokens.shape, dtype=tokens.dtype, chunks=chunks
    )
    array[...] = tokens
    return array


def h5py(tokens, folder):
    module = pytest.importorskip("h5py")
    path = folder / "tokens.h5"
    with module.File(path, "w") as file:
        file.create_dataset("tokens", data=tokens)
    return module.File(path, "r")["tokens"]


def dask_array(tokens, folder):
    module = pytest.importorskip("dask.array")
    return module.from_array(tokens, chunks=(777,) + tokens.shape[1:])


ARRAYS = [memmap, zarr, h5py, dask_array]


@pytest.mark.parametrize("stored", ARRAYS)
def test_arrays_that_are_not_in_memory(data, expected, stored, tmp_path, monkeypatch):
    X = stored(data.tokens, tmp_path)
    assert_same(model().fit(X, lengths=data.lengths), expected)
    (tmp_path / "column").mkdir()
    column = stored(data.tokens[:, None], tmp_path / "column")
    assert_same(model(n_features=6).fit(column, lengths=data.lengths), expected)


@pytest.mark.parametrize("stored", [memmap, zarr, h5py])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_arrays_on_disk_with_workers(data, small_scale, stored, backend, tmp_path):
    """One long sequence."""
    alone = model(n_iter=3).fit(data.tokens)
    with joblib.parallel_config(backend, n_jobs=2):
        assert_same(model(n_iter=3).fit(stored(data.tokens, tmp_path)), alone)


@pytest.mark.parametrize("stored", [memmap, zarr, h5py])
def test_labels_of_arrays_on_disk(data, stored, tmp_path):
    y = np.where(data.tokens < 2, data.tokens.astype(int), -1)
    X = stored(data.tokens, tmp_path)
    assert_same(model(n_iter=2).fit(X, y), model(n_iter=2).fit(data.tokens, y), rtol=0)
    fitted = model(n_iter=2).fit(data.tokens)
    assert fitted.score(X, lengths=data.lengths) == fitted.score(data.sequences)
    assert_array_equal(fitted.predict(X), fitted.predict(data.tokens))


@pytest.mark.parametrize("stored", ARRAYS)
def test_three_dimensions(data, small_scale, stored, tmp_path):
    cube = data.tokens.reshape(20, 1500, 1)
    assert_same(model(n_iter=3).fit(stored(cube, tmp_path)), model(n_iter=3).fit(cube))


# dask


@pytest.fixture
def current_client(client):
    with client.as_current():
        yield client


def test_bags(data, expected):
    bag = pytest.importorskip("dask.bag").from_sequence(data.sequences, npartitions=7)
    assert_same(model().fit(bag), expected)
    assert_same(model().fit(bag.map(np.asarray).repartition(3)), expected)


def test_restarts_on_dask(data, small_scale):
    bag = pytest.importorskip("dask.bag").from_sequence(data.sequences, npartitions=3)
    settings = {"init": "random", "n_init": 2, "n_iter": 3}
    assert_same(model(**settings).fit(bag), model(**settings).fit(data.sequences))


def test_lists_of_delayed(data, expected):
    delayed = pytest.importorskip("dask").delayed
    parts = [
        delayed(data.sequences[0]),
        delayed([]),
        delayed(data.sequences[1:5]),
        delayed(Sequences.from_list(data.sequences[5:9])),
        delayed([x[:, None] for x in data.sequences[9:]]),
    ]
    assert_same(model().fit(parts), expected)
    assert_same(model(n_features=6).fit(parts), expected)


def test_on_a_cluster(data, expected, current_client):
    bag = pytest.importorskip("dask.bag").from_sequence(data.sequences, npartitions=5)
    assert_same(model().fit(bag), expected)
    array = dask_array(data.tokens, None)
    assert_same(model().fit(array, lengths=data.lengths), expected)


def test_data_in_memory_on_a_cluster(data, expected, current_client):
    with joblib.parallel_config("dask"):
        assert_same(model().fit(data.sequences), expected)
        restarts = model(init="random", n_init=2, n_iter=3)
        assert_same(
            restarts.fit(data.sequences),
            CategoricalHMM(**restarts.get_params()).fit(data.sequences),
        )


def test_how_many_states_on_dask(data):
    bag = pytest.importorskip("dask.bag").from_sequence(data.sequences, npartitions=3)
    settings = {"n_components": "auto", "n_init": 2, "n_iter": 3}
    here = model().set_params(**settings).fit(data.sequences)
    assert_same(model().set_params(**settings).fit(bag), here)


# array libraries


def on_strict(x):
    xp = pytest.importorskip("array_api_strict")
    return xp.asarray(x, device=xp.Device("device1"))


def on_torch(x):
    return pytest.importorskip("torch").asarray(x)


@pytest.mark.parametrize("put", [on_torch, on_strict])
def test_array_libraries(small_scale, put):
    data = Data(9000, 5)
    quick = {"n_init": 2, "n_iter": 2}
    found = model(**quick).fit(put(data.tokens), lengths=data.lengths)
    assert_same(found, model(**quick).fit(data.sequences))
    home = where_it_lives(put(data.tokens[:1]))
    assert {where_it_lives(getattr(found, name)) for name in FITTED} == {home}


def test_lists_of_other_libraries(data):
    found = model(n_iter=2).fit([on_torch(x) for x in data.sequences])
    assert where_it_lives(found.transmat_) == "torch on cpu"
    assert_same(model(n_iter=2).fit(data.sequences), found.move_to_host(), rtol=0)


@pytest.mark.parametrize("put", [on_torch, on_strict])
def test_answers_live_where_the_question_does(data, put):
    fitted = model(n_iter=3).fit(data.sequences)
    X, lengths = data.tokens[:500], [200, 300]
    there = CategoricalHMM(3)
    for name in FITTED:
        setattr(there, name, getattr(fitted, name))
    there.move_to_device(put(X))
    assert where_it_lives(there.transmat_) == where_it_lives(put(X))
    assert there.score(put(X), lengths=lengths) == fitted.score(X, lengths=lengths)
    for method in ("predict", "predict_proba", "predict_next"):
        for estimator in (there, fitted):
            answer = getattr(estimator, method)(put(X), lengths)
            assert where_it_lives(answer) == where_it_lives(put(X))
            assert_array_equal(to_numpy(answer), getattr(fitted, method)(X, lengths))
        assert isinstance(getattr(there, method)(X, lengths), np.ndarray)
    states = there.decode([put(X[:50]), put(X[50:])], algorithm="map")[1]
    assert where_it_lives(states.values) == where_it_lives(put(X))
    assert there.move_to_host() is there
    assert isinstance(there.startprob_, np.ndarray)


def test_labels_of_another_library(data):
    torch = pytest.importorskip("torch")
    y = np.zeros(data.tokens.size, dtype=int)
    found = model(n_iter=2).fit(torch.asarray(data.tokens), y)
    assert_same(
        model(n_iter=2).fit(torch.asarray(data.tokens), torch.asarray(y)), found.move_to_host()
    )
    with pytest.raises(ValueError, match=r"X is an array of numpy on cpu, but y of torch on cpu"):
        model().fit(data.tokens, torch.asarray(y))


def test_devices_do_not_mix(data):
    torch, strict = on_torch(data.tokens), on_strict(data.tokens)
    with pytest.raises(ValueError, match=r"torch on cpu, but .* of array_api_strict on device1"):
        model().fit([torch, strict])
    with pytest.raises(
        ValueError, match=r"device='cuda' goes with NumPy arrays, but X is of torch"
    ):
        model(device="cuda").fit(torch)
    assert_same(model(device="cpu").fit(data.sequences), model().fit(data.sequences), rtol=0)


# memory


class Endless:
    """As many sequences as one likes, none of which is kept."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        rng = np.random.default_rng(0)
        runs = (rng.integers(0, 3, 100).astype(np.uint8) for _ in range(self.n // 500))
        return (np.repeat(run, 5) for run in runs)


def peak(X, **arguments):
    """Most memory that a fit takes at once, bytes."""
    tracemalloc.start()
    try:
        model(n_iter=2, n_init=2).fit(X, **arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["stream", "file", "file with lengths"])
def test_memory_does_not_grow_with_the_data(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_WINDOW", 2**13)
    monkeypatch.setattr(lazy, "WINDOW", 2**13)
    for module in (engine, plan, row_fit):
        monkeypatch.setattr(module, "RACE_ROWS", 2**13)
    monkeypatch.setattr(recipe, "ngram_cut", partial(ngram_cut, length=2**13))

    def fitted(n):
        if kind == "stream":
            return peak(SequenceStream(Endless(n), chunk_tokens=2**13))
        X = memmap(np.concatenate(list(Endless(n))), tmp_path)
        return peak(X, lengths=[n // 4] * 4 if kind == "file with lengths" else None)

    fitted(200_000)  # what is imported at the first use
    small, large = fitted(200_000), fitted(1_000_000)  # lanes have their full length at both
    assert large < 1.2 * small + 100_000
    assert large < 8_000_000
