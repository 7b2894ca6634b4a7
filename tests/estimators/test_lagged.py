"""`Lagged`: what its rows hold, what they cost, and where a network takes them."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from spectral_estimators import Lagged, MLPRegressor


def frames_of(n=50, d=3, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((n, d)).astype(dtype)


@pytest.mark.parametrize("n_lags", [1, 4, 60])
def test_a_row_holds_the_frames_before_it(n_lags):
    frames = frames_of()
    found = Lagged(n_lags, fill_value=7.0).fit_transform(frames)
    for t, row in enumerate(found.reshape(50, n_lags, 3)):
        for lag in range(n_lags):
            expected = frames[t - lag] if t >= lag else 7.0
            assert (row[n_lags - 1 - lag] == expected).all()


def test_rows_share_memory_and_cannot_be_written():
    frames = frames_of(1000, 20, np.float32)
    lagged = Lagged(30).fit(frames)
    tracemalloc.start()
    found = lagged.transform(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.dtype == np.float32
    assert found.shape == (1000, 600)
    assert peak < 4 * frames.nbytes < found.nbytes / 7
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1.0


@pytest.mark.parametrize("cuts", [[25], [1, 2, 3, 9, 30], list(range(1, 50))])
def test_chunks_give_the_rows_of_the_whole(cuts):
    frames, y = frames_of(), np.arange(50)
    lagged = Lagged(6, fill_value=-1.0).fit(frames)
    whole = lagged.transform(frames)
    chunks = list(zip(np.split(frames, cuts), np.split(y, cuts), strict=True))
    walk = lagged.transform_chunks(chunks)
    for _ in range(2):
        found = list(walk)
        np.testing.assert_array_equal(np.concatenate([X for X, _ in found]), whole)
        np.testing.assert_array_equal(np.concatenate([y for _, y in found]), y)
    at = cuts[-1]
    np.testing.assert_array_equal(lagged.transform(frames[at:], frames[:at]), whole[at:])


def test_a_network_fits_chunks_and_trials_as_it_fits_the_whole():
    frames = frames_of(2000)
    lagged = Lagged(2).fit(frames)
    X = lagged.transform(frames)
    y = np.maximum(X[:, 0] + X[:, 4], 0)
    net = MLPRegressor(hidden_layer_sizes=(1,), random_state=0)
    expected = net.fit(X, y).coefs_[0]
    chunks = lagged.transform_chunks([(frames[:700], y[:700]), (frames[700:], y[700:])])
    np.testing.assert_allclose(net.fit(chunks).coefs_[0], expected, rtol=1e-8)
    trials = [(lagged.transform(part), lagged.transform(part)[:, 4]) for part in (frames, -frames)]
    assert net.fit(trials).score(*trials[1]) > 0.99


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_keeps_the_view():
    frames = frames_of(100_000, 5)
    y = np.maximum(frames[:, 0] + np.roll(frames[:, 1], 5), 0)
    pipe = make_pipeline(Lagged(20), MLPRegressor(hidden_layer_sizes=(1,), max_iter=3, tol=1))
    tracemalloc.start()
    pipe.fit(frames, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * 20 * frames.nbytes  # of which .2 is for 20,000 rows drawn


def test_names():
    lagged = Lagged(2).fit(frames_of())
    names = ["x0_lag1", "x1_lag1", "x2_lag1", "x0_lag0", "x1_lag0", "x2_lag0"]
    assert lagged.get_feature_names_out().tolist() == names
    assert lagged.get_feature_names_out(["a", "b", "c"])[-1] == "c_lag0"


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (np.zeros((3, 2)), "before has 2 columns, and X has 3"),
        (np.full((3, 3), np.nan), "before contains NaN"),
    ],
)
def test_bad_rows_before(before, words):
    frames = frames_of()
    with pytest.raises(ValueError, match=words):
        Lagged(3).fit(frames).transform(frames, before)


def test_a_fit_that_fails_leaves_the_last_one():
    lagged = Lagged(2).fit(pd.DataFrame(frames_of(), columns=list("abc")))
    with pytest.raises(ValueError, match="X contains NaN"):
        lagged.fit(pd.DataFrame({"d": [1.0, np.nan]}))
    assert lagged.feature_names_in_.tolist() == list("abc")
    assert lagged.n_features_in_ == 3
