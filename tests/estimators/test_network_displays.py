"""Displays of networks: what is drawn is what the fits hold."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPRegressor as ScikitMLPRegressor

from spectral_estimators import (
    LossDisplay,
    MLPRegressor,
    RecoveryDisplay,
    SpectrumDisplay,
    TensorFeatures,
)
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    network = planted_network(6, 3, rng=rng)
    X, y = sample_network(network, 4000, rng=rng)
    return network, X, y


@pytest.fixture(scope="module")
def fits(planted):
    _, X, y = planted
    return {
        "tensor": MLPRegressor(hidden_layer_sizes=(3,), tol=1e-3, random_state=0).fit(X, y),
        "random": MLPRegressor(
            hidden_layer_sizes=(3,), init="random", tol=1e-3, random_state=0
        ).fit(X, y),
    }


def draw(display):
    display.figure_.canvas.draw()
    return display


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def drawn(display, points):
    """Whether a line with these points (m, 2) is among those drawn."""
    return any(
        len(line.get_xydata()) == len(points) and np.allclose(line.get_xydata(), points)
        for line in display.ax_.lines
    )


def test_spectrum_of_a_network(fits):
    report = fits["tensor"].report_
    display = draw(SpectrumDisplay.from_estimator(fits["tensor"]))
    values = display.singular_values
    assert_array_equal(values, report.singular_values)
    assert (display.null_level, display.n_supported) == (report.null_level, report.n_supported)
    assert drawn(display, np.column_stack([[1, 2, 3], values[:3]]))
    assert drawn(display, np.column_stack([[4, 5, 6], values[3:]]))
    level = [line for line in display.ax_.lines if set(line.get_ydata()) == {display.null_level}]
    assert len(level) == 1
    low, high = display.ax_.get_ylim()
    assert low < min(values.min(), display.null_level) < values.max() < high
    assert "noise alone reaches this" in texts(display)
    label = next(text for text in texts(display) if "in use" in text)
    assert "3 in use" in label
    assert f"{report.n_supported} above the noise" in label
    with pytest.raises(ValueError, match="init='tensor'"):
        SpectrumDisplay.from_estimator(fits["random"])


def test_spectrum_counts_what_is_above_the_noise():
    assert SpectrumDisplay([3.0, 1.0, 0.4], null_level=0.5).n_supported == 2
    display = draw(SpectrumDisplay([0.3, 0.2], n_components=2, null_level=0.5).plot())
    assert display.ax_.get_ylim()[1] > 0.5


def test_spectrum_of_features(planted):
    _, X, y = planted
    features = TensorFeatures(3, random_state=0).fit(X, y)
    display = draw(SpectrumDisplay.from_estimator(features))
    assert display.n_components == 3
    assert_array_equal(display.singular_values, features.singular_values_)


def test_recovery_draws_the_matched_angles(planted, fits):
    true = planted[0].coefs[0]
    display = draw(RecoveryDisplay.from_estimators(fits, true))
    assert list(display.angles) == ["tensor", "random"]
    for row, (name, fit) in enumerate(fits.items()):
        angles = direction_angles(fit.coefs_[0], true)
        assert_allclose(display.angles[name], angles)
        assert drawn(display, np.column_stack([angles, np.full(3, row)]))
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == ["tensor", "random"]
    assert "a guess " in texts(display)
    assert 20 < display.guess < 90  # of three lines in six dimensions
    assert display.ax_.get_xscale() == "log"


def test_recovery_takes_whatever_has_directions(planted):
    network, X, y = planted
    features = TensorFeatures(3, random_state=0).fit(X, y)
    theirs = ScikitMLPRegressor(hidden_layer_sizes=(3,), max_iter=20, random_state=0)
    theirs.set_params(solver="adam", tol=10.0, n_iter_no_change=1).fit(X, y)
    true = np.asarray(network.coefs[0])
    _, ax = plt.subplots()
    display = draw(RecoveryDisplay.from_estimator(features, true, name="features", ax=ax))
    assert display.ax_ is ax
    assert_allclose(display.angles["features"], direction_angles(features.components_.T, true))
    display = RecoveryDisplay.from_estimator(theirs, true)
    assert_allclose(display.angles[""], direction_angles(theirs.coefs_[0], true))
    with pytest.raises(ValueError, match=r"MLPRegressor has neither coefs_ nor components_"):
        RecoveryDisplay.from_estimator(MLPRegressor(), true)


def test_recovery_writes_the_largest_angle():
    display = draw(RecoveryDisplay({"one": [0.0, 0.123], "two": [3.0, 71.4]}).plot())
    assert texts(display) == ["0.12°", "71°"]
    assert drawn(display, [[0.01, 0], [0.123, 0]])  # a zero has no place on the scale
    assert draw(RecoveryDisplay([1.0, 2.0]).plot()).angles.keys() == {""}


def test_loss_draws_the_curves_of_fits(fits):
    display = draw(LossDisplay.from_estimators(fits))
    for name, fit in fits.items():
        (curve,) = display.curves[name]
        assert_array_equal(curve, np.column_stack([fit.loss_times_, fit.loss_curve_]))
        assert drawn(display, curve)
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    assert [text.split(", ")[0] for text in texts(display)] == ["tensor", "random"]
    linear = draw(LossDisplay.from_estimator(fits["random"], name="one", time_scale="linear"))
    assert linear.ax_.get_xscale() == "linear"
    assert linear.ax_.get_xlim()[0] == 0


def test_restarts_run_one_after_another(fits):
    one = fits["random"]
    display = draw(LossDisplay.from_estimators({"twice": [one, one]}))
    first, second = display.curves["twice"]
    assert_allclose(second[:, 0] - first[:, 0], one.loss_times_[-1])
    assert_array_equal(second[:, 1], first[:, 1])
    assert drawn(display, first)
    assert drawn(display, second)


def test_best_of_restarts_goes_down_in_stairs():
    restarts = [([1.0, 2.0], [9.0, 5.0]), ([1.0, 3.0], [8.0, 4.0])]
    _, ax = plt.subplots()
    display = draw(LossDisplay({"best of 2": restarts}).plot(time_scale="linear", ax=ax))
    assert display.ax_ is ax
    assert drawn(display, [[1, 9], [2, 9], [2, 5], [5, 5], [5, 4]])
    assert texts(display) == ["best of 2, 5 s"]


def test_points_alone_can_be_a_curve():
    display = draw(LossDisplay({"ends": [([2.0], [0.5]), ([2.0], [0.7])]}).plot())
    assert drawn(display, [[2, 0.5], [4, 0.5], [4, 0.5]])


def test_names_that_would_meet_are_moved_apart():
    curves = {name: ([1.0, 2.0], [1.0, 0.5]) for name in ("first", "second", "third")}
    display = draw(LossDisplay(curves).plot())
    renderer = display.figure_.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in display.ax_.texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_loss_needs_a_curve_with_times(planted):
    _, X, y = planted
    start = MLPRegressor(hidden_layer_sizes=(2,), init="random", max_iter=0, random_state=0).fit(
        X, y
    )
    with pytest.raises(ValueError, match="start has no loss_curve_"):
        LossDisplay.from_estimators({"start": start})
    theirs = ScikitMLPRegressor(hidden_layer_sizes=(2,), solver="adam", tol=10.0, random_state=0)
    theirs.set_params(n_iter_no_change=1, max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="no loss_times_"):
        LossDisplay.from_estimator(theirs)
    with pytest.raises(ValueError, match="holds no point"):
        LossDisplay({"none": ([], [])})
