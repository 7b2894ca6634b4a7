"""Every estimator on a GPU against itself on the host."""

from functools import partial

import numpy as np
import pytest
from sklearn import config_context

from spectral_estimators import (
    CategoricalHMM,
    GaussianHMM,
    MLPClassifier,
    MLPRegressor,
    PoissonHMM,
    TensorFeatures,
)
from spectral_nn.arrays import to_numpy, where_it_lives
from spectral_nn.datasets import planted_hmm, sample_hmm

RTOL = {"float64": 1e-8, "float32": 1e-4}
ALL = -np.inf  # steps, also where rounding alone tells the last ones apart


def text(rng, dtype):
    codes = sample_hmm(planted_hmm(4, 30, rng=rng), 40_000, rng)[0][0]
    return codes[:, None], None


def series(rng, dtype):
    # Rows are double precision on the host whatever the precision of the recursion.
    states = sample_hmm(planted_hmm(3, 30, rng=rng), 20_000, rng)[1][0]
    return 3 * np.eye(3)[states] + rng.standard_normal((20_000, 3)), None


def counts(rng, dtype):
    X, _ = series(rng, dtype)
    return rng.poisson(np.exp(0.5 * X)), None


def table(rng, dtype):
    # Units that differ, and no odd function: their order and signs hang on no rounding error.
    X = rng.standard_normal((20_000, 20)).astype(dtype)
    W = np.linalg.qr(rng.standard_normal((20, 3)))[0]
    y = np.maximum(X @ W + np.array([-0.5, 0, 0.5]), 0) @ np.array([1, 2, -1.5])
    return X, (y + 0.1 * rng.standard_normal(20_000)).astype(dtype)


def classes(rng, dtype):
    X, y = table(rng, dtype)
    return X, np.digitize(y, np.quantile(y, [0.3, 0.7]))


CASES = {
    "CategoricalHMM": (
        lambda dtype, **on: CategoricalHMM(4, n_iter=5, tol=ALL, dtype=dtype, random_state=0, **on),
        text,
        ("startprob_", "transmat_", "emissionprob_"),
    ),
    "GaussianHMM": (
        lambda dtype, **on: GaussianHMM(
            3, "full", n_iter=5, tol=ALL, dtype=dtype, random_state=0, **on
        ),
        series,
        ("startprob_", "transmat_", "means_", "covars_"),
    ),
    "PoissonHMM": (
        lambda dtype, **on: PoissonHMM(3, n_iter=5, tol=ALL, dtype=dtype, random_state=0, **on),
        counts,
        ("startprob_", "transmat_", "lambdas_"),
    ),
    "MLPRegressor": (
        lambda dtype, **on: MLPRegressor(hidden_layer_sizes=(3,), max_iter=5, random_state=0, **on),
        table,
        ("coefs_", "intercepts_"),
    ),
    "MLPClassifier": (
        lambda dtype, **on: MLPClassifier((3,), max_iter=5, random_state=0, **on),
        classes,
        ("coefs_", "intercepts_"),
    ),
    "TensorFeatures": (
        lambda dtype, **on: TensorFeatures(3, random_state=0, **on),
        table,
        ("components_",),
    ),
}


def fitted(estimator, names):
    found = []
    for name in names:
        value = getattr(estimator, name)
        found += value if isinstance(value, list) else [value]
    return found


def assert_close(found, expected, rtol):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is np.ndarray
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize("name", list(CASES))
def test_a_fit_on_the_device_is_that_on_the_host(rng, name, dtype):
    make, data, names = CASES[name]
    X, y = data(rng, dtype)
    host = make(dtype).fit(X, y)
    device = make(dtype, device="cuda").fit(X, y)
    assert_close(fitted(device, names), fitted(host, names), RTOL[dtype])


def on_gpu(library):
    """What puts an array of NumPy on the GPU with CuPy or PyTorch."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    return partial(module.asarray, **({"device": "cuda"} if library == "torch" else {}))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("library", ["cupy", "torch"])
@pytest.mark.parametrize("name", list(CASES))
def test_arrays_of_the_device_stay_there(rng, name, library):
    make, data, names = CASES[name]
    X, y = data(rng, "float64")
    put = on_gpu(library)
    home = where_it_lives(put(X))
    assert home == f"{library} on cuda:0"
    host = make("float64").fit(X, y)
    with config_context(array_api_dispatch=True):
        there = make("float64").fit(put(X), None if y is None else put(y))
        call = "transform" if name == "TensorFeatures" else "predict"
        result = getattr(there, call)(put(X[:100]))
    found = fitted(there, names)
    assert {where_it_lives(x) for x in (result, *found)} == {home}
    assert_close([to_numpy(value) for value in found], fitted(host, names), RTOL["float64"])


@pytest.mark.parametrize("name", ["MLPRegressor", "MLPClassifier", "TensorFeatures"])
def test_arrays_of_two_libraries_are_refused(cupy, rng, name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    make, data, _ = CASES[name]
    X, y = data(rng, "float64")
    with (
        config_context(array_api_dispatch=True),
        pytest.raises(ValueError, match="X is an array of cupy on cuda:0, but y of torch on cpu"),
    ):
        make("float64").fit(cupy.asarray(X), torch.asarray(y))


def test_a_device_beside_arrays_of_another_library_is_refused(cupy, rng):
    X, y = table(rng, "float64")
    with config_context(array_api_dispatch=True), pytest.raises(ValueError, match="device="):
        TensorFeatures(3, device="cuda").fit(cupy.asarray(X), cupy.asarray(y))
