"""Displays of rows of numbers: they draw what the model says, gaps and sequences told apart."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import (
    CategoricalHMM,
    DensityDisplay,
    DurationDisplay,
    EmissionDisplay,
    GaussianHMM,
    PoissonHMM,
    ResidualDisplay,
    SeriesDisplay,
)
from spectral_estimators.displays._style import colour_of, dashes_of, hatch_of
from spectral_estimators.displays.series import stays


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def gaussian(means, variances, stay):
    """A model set by hand."""
    means, variances = np.asarray(means, dtype=float), np.asarray(variances, dtype=float)
    k = len(means)
    model = GaussianHMM(k, "diag" if variances.ndim == 2 else "full", missing=np.nan)
    model.startprob_ = np.full(k, 1 / k)
    model.transmat_ = np.full((k, k), (1 - stay) / (k - 1))
    np.fill_diagonal(model.transmat_, stay)
    model.means_, model.covars_ = means, variances
    return model


MODEL = gaussian([[0.0, 1.0], [5.0, -1.0], [10.0, 1.0]], np.full((3, 2), 0.25), 0.95)
ONE = gaussian([[0.0], [6.0]], [[1.0], [4.0]], 0.9)


def draw(display):
    display.figure_.canvas.draw()
    return display


def spans(collection):
    """Left and right ends of the bands of a state."""
    return [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in collection.get_paths()
    ]


def test_stays_end_with_sequences():
    first, duration, whole = stays([0, 0, 1, 1, 1, 1, 0, 2, 0], [0, 4, 9])
    assert first.tolist() == [0, 2, 4, 6, 7, 8]
    assert duration.tolist() == [2, 2, 2, 1, 1, 1]
    assert whole.tolist() == [False, False, False, True, True, False]


def test_series_bands_are_the_most_likely_states():
    X, states = MODEL.sample(300, random_state=0)
    X[100:103, 0] = np.nan
    display = draw(SeriesDisplay.from_estimator(MODEL, X, columns=["a", "b"]))
    assert_array_equal(display.states, states)  # far apart, so the path is the true one
    assert [ax.get_ylabel() for ax in display.axes_] == ["a", "b"]
    for j, ax in enumerate(display.axes_):
        assert_array_equal(ax.lines[0].get_ydata(), X[:, j])
        bands = ax.collections
        assert len(bands) == 3
        covered = np.full(300, -1)
        for k, band in enumerate(bands):
            for left, right in spans(band):
                covered[int(np.ceil(left)) : int(np.floor(right)) + 1] = k
            assert_allclose(band.get_facecolor()[0][:3], mpl.colors.to_rgb(colour_of(k)))
        assert_array_equal(covered, states)
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts == [f"{k}: {MODEL.means_[k, j]:.3g} ± 0.5" for k in range(3)]
    assert display.axes_[0].get_xlim() == (-0.5, 299.5)


def test_series_over_dates_and_several_sequences():
    X, _ = ONE.sample(50, random_state=1)
    days = np.datetime64("2020-01-01") + np.arange(50)
    display = draw(SeriesDisplay.from_estimator(ONE, X, index=days, lengths=[20, 30]))
    (ax,) = display.axes_
    begin = mpl.dates.date2num(days[20]) - 0.5
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [begin]
    assert mpl.dates.num2date(ax.get_xlim()[0]).year == 2019
    edges = [edge for band in ax.collections for span in spans(band) for edge in span]
    assert begin in edges  # a stay ends where its sequence ends
    _, given = plt.subplots()
    assert SeriesDisplay.from_estimator(ONE, X, ax=given).axes_ == [given]
    with pytest.raises(ValueError, match="one entry for each of 50 rows"):
        SeriesDisplay.from_estimator(ONE, X, index=days[:-1])


def test_series_dots_stand_for_entries_between_gaps():
    display = SeriesDisplay([1.0, np.nan, 2.0, np.nan, 3.0, 4.0], [0] * 6).plot()
    assert_array_equal(display.axes_[0].lines[1].get_xdata(), [0, 2])
    assert_allclose(display.means, [[2.5]])


def test_series_takes_frames_counts_and_axes():
    pandas = pytest.importorskip("pandas")
    X, _ = MODEL.sample(40, random_state=0)
    frame = pandas.DataFrame(X, columns=["up", "down"], index=np.arange(100, 140))
    _, axes = plt.subplots(2, 1)
    display = draw(SeriesDisplay.from_estimator(MODEL, frame, ax=axes))
    assert display.axes_ == list(axes)
    assert display.columns == ["up", "down"]
    assert display.axes_[0].get_xlim() == (99.5, 139.5)
    with pytest.raises(ValueError, match="ax must be 2 axes"):
        display.plot(ax=axes[0])
    with pytest.raises(ValueError, match="columns needs 2 names"):
        SeriesDisplay.from_estimator(MODEL, X, columns=["a"])
    counts = np.random.default_rng(0).poisson(np.repeat([1, 9], 50))
    shown = draw(SeriesDisplay.from_estimator(PoissonHMM(2, random_state=0).fit(counts), counts))
    assert "±" not in shown.axes_[0].get_legend().get_texts()[0].get_text()


def test_colours_repeat_with_hatching_and_dashes():
    looks = [(colour_of(k), hatch_of(k)) for k in range(24)]
    assert len(set(looks)) == 24
    assert len({(colour_of(k), dashes_of(k)) for k in range(24)}) == 24
    assert len({colour_of(k) for k in range(24)}) <= 10
    display = draw(SeriesDisplay(np.arange(14.0), np.arange(14)).plot())
    hatches = [band.get_hatch() for band in display.axes_[0].collections]
    assert hatches == [None] * 6 + ["////"] * 6 + ["...."] * 2


def test_durations_are_of_whole_stays():
    states = [0] * 3 + [1] * 4 + [0] * 2 + [1] * 7 + [0] * 2 + [1]
    X = np.array([[0.0], [6.0]])[states]
    display = draw(DurationDisplay.from_estimator(ONE, X))
    assert [each.tolist() for each in display.durations] == [[2, 2], [4, 7]]
    assert_allclose(display.law(1, [1, 2, 3]), [0.1, 0.09, 0.081])
    shares, edges, _ = display.axes_[1].patches[0].get_data()
    assert_allclose((shares * np.diff(edges)).sum(), 1)
    law = next(line for line in display.axes_[0].lines if "geometric" in line.get_label())
    assert_allclose(law.get_ydata(), display.law(0, law.get_xdata()))
    cut = DurationDisplay.from_estimator(ONE, X, lengths=[8, 11])
    assert [each.tolist() for each in cut.durations] == [[2], [4, 7]]


def test_durations_where_a_state_is_never_left():
    display = DurationDisplay([[], [3, 1]], [1.0, 0.5]).plot()
    draw(display)
    assert "none is whole" in display.axes_[0].get_legend().get_texts()[0].get_text()
    _, axes = plt.subplots(1, 4)
    assert DurationDisplay([[1]] * 4, [0.5] * 4).plot(ax=axes).axes_ == list(axes)
    assert len(draw(DurationDisplay([[1, 2]] * 4, [0.5] * 4).plot()).axes_) == 4


def test_durations_follow_the_law_of_a_planted_chain():
    X, _ = ONE.sample(20_000, random_state=0)
    display = DurationDisplay.from_estimator(ONE, X)
    for each in display.durations:
        assert abs(each.mean() - 10) < 1


@pytest.fixture(scope="module")
def residuals():
    X, _ = ONE.sample(4000, random_state=0)
    X[200:210] = np.nan
    display = ResidualDisplay.from_estimator(ONE, X, n_lags=15)
    plt.close("all")
    return X, display


def share_outside(ax):
    """Share of the points of a quantile plot outside the band."""
    outline = ax.collections[0].get_paths()[0].vertices
    x, y = next(line for line in ax.lines if line.get_marker() == ".").get_data()
    n = len(x)
    low, high = outline[1 : n + 1, 1], outline[n + 2 : 2 * n + 2, 1][::-1]
    return np.mean((y < np.minimum(low, high)) | (y > np.maximum(low, high)))


def test_residuals_of_the_true_model_lie_in_the_bands(residuals):
    X, display = residuals
    assert_array_equal(display.residuals, ONE.pseudo_residuals(X))
    assert share_outside(display.axes_[0]) < 0.1
    away = np.abs(display.correlations - display.expected)[:, 1:]
    assert (away < 3 / np.sqrt(4000)).all()
    bars = display.axes_[1].collections[-1].get_segments()
    assert_allclose([bar[1, 1] for bar in bars], display.correlations[0, 1:, 0])


def test_residuals_of_a_wrong_model_do_not(residuals):
    X, _ = residuals
    narrow = gaussian(ONE.means_, [[1.0], [1.0]], 0.9)
    assert share_outside(ResidualDisplay.from_estimator(narrow, X).axes_[0]) > 0.3
    forgetful = gaussian(ONE.means_, [[1.0], [4.0]], 0.5)
    display = ResidualDisplay.from_estimator(forgetful, X)
    assert (display.correlations - display.expected)[0, 1, 0] > 0.3


def test_residuals_take_axes_and_expect_nothing_by_default():
    _, axes = plt.subplots(2, 3)
    rng = np.random.default_rng(0)
    display = ResidualDisplay(rng.standard_normal((60, 2)), offsets=[0, 6, 60], n_lags=5)
    draw(display.plot(ax=axes))
    assert display.axes_ == list(axes.ravel())
    assert not display.expected.any()


def test_densities_add_up_to_that_of_the_rows():
    X, _ = ONE.sample(4000, random_state=0)
    display = draw(DensityDisplay.from_estimator(ONE, X, columns=["x"]))
    heights, edges, _ = display.ax_.patches[0].get_data()
    *states, total = display.ax_.lines
    assert [line.get_color() for line in states] == [colour_of(0), colour_of(1)]
    assert_allclose(sum(line.get_ydata() for line in states), total.get_ydata())
    middle = (edges[1:] + edges[:-1]) / 2
    away = np.interp(middle, *total.get_data()) - heights
    assert np.abs(away).sum() * (edges[1] - edges[0]) < 0.1
    assert display.ax_.get_xlabel() == "x"


def test_ellipses_are_where_the_squared_distance_is_one_and_four():
    covars = np.array([[[2.0, 1.2], [1.2, 1.0]], [[0.5, -0.2], [-0.2, 1.0]]])
    model = gaussian([[0.0, 0.0], [4.0, 1.0]], covars, 0.8)
    X, states = model.sample(500, random_state=0)
    display = draw(DensityDisplay.from_estimator(model, X))
    assert len(display.ax_.patches) == 4
    for i, ellipse in enumerate(display.ax_.patches):
        z = ellipse.get_patch_transform().transform(ellipse.get_path().vertices[:24:3])
        away = z - model.means_[i // 2]
        squared = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covars[i // 2]), away)
        assert_allclose(squared, (1 + i % 2) ** 2, rtol=1e-6)
    assert (display.states == states).mean() > 0.9
    swapped = DensityDisplay.from_estimator(model, X, which=[1, 0])
    assert_allclose(swapped.covars[:, 0, 0], covars[:, 1, 1])
    assert swapped.columns == ["column 1", "column 0"]


def test_what_does_not_fit_a_picture_is_named():
    symbols = CategoricalHMM(2, n_iter=1, random_state=0).fit([0, 1, 0, 0, 1] * 20)
    X, _ = ONE.sample(50, random_state=0)
    with pytest.raises(ValueError, match="CategoricalHMM is of symbols"):
        SeriesDisplay.from_estimator(symbols, [0, 1])
    with pytest.raises(ValueError, match="CategoricalHMM is of symbols"):
        ResidualDisplay.from_estimator(symbols, [0, 1])
    with pytest.raises(ValueError, match="CategoricalHMM has no covars_"):
        DensityDisplay.from_estimator(symbols, [0, 1])
    with pytest.raises(ValueError, match="DensityDisplay draws the states"):
        EmissionDisplay.from_estimator(ONE)
    with pytest.raises(ValueError, match=r"which must be one or two of the columns 0 \.\. 0"):
        DensityDisplay.from_estimator(ONE, X, which=[1])
    draw(DurationDisplay.from_estimator(symbols, [0, 1, 0, 0, 1]))
