"""Pictures of what networks look at: what is drawn is what the fits hold."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from spectral_estimators import (
    ActiveSubspaceDisplay,
    MLPClassifier,
    MLPRegressor,
    ReceptiveFieldDisplay,
    TensorFeatures,
)

D = 6


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = 1 + rng.standard_normal((6000, D)) * [1, 2, 1, 1, 1, 1]
    return X, np.maximum(X[:, 0] + X[:, 1] - 1, 0) - np.maximum(X[:, 2] - 1, 0)


@pytest.fixture(scope="module")
def net(rows):
    return MLPRegressor(hidden_layer_sizes=(2,), tol=1e-3, random_state=0).fit(*rows)


@pytest.fixture(scope="module")
def features(rows):
    return TensorFeatures(2, random_state=0).fit(*rows)


def draw(display):
    display.figure_.canvas.draw()
    return display


def test_one_active_direction(rows, net):
    X, y = rows
    display = draw(ActiveSubspaceDisplay.from_estimator(net, X, y))
    found = net.active_subspace(X.mean(axis=0), np.cov(X.T))
    expected = (X - X.mean(axis=0)) / found.deviation @ found.directions[0][:, :1]
    assert_allclose(display.positions, expected)
    assert_array_equal(display.y, y)
    assert_allclose(display.shares, found.eigenvalues[0][:1] / found.eigenvalues[0].sum())
    means = display.means()
    assert means.shape == (40, 2)
    assert_allclose(means[:, 1].mean(), y.mean())
    (line,) = display.ax_.lines
    assert_array_equal(line.get_xydata(), means)
    (dots,) = display.ax_.collections
    assert len(dots.get_offsets()) == 5000  # of 6,000
    assert f"{100 * display.shares[0]:.0f} %" in display.ax_.get_xlabel()


def test_two_active_directions(rows, net):
    X, y = rows
    _, ax = plt.subplots()
    display = ActiveSubspaceDisplay.from_estimator(
        net, sparse.csr_array(X[:500]), y[:500], n_directions=2, ax=ax
    )
    assert draw(display).ax_ is ax
    (dots,) = ax.collections
    assert_allclose(dots.get_offsets(), display.positions)
    assert_array_equal(dots.get_array(), y[:500])
    assert display.shares.sum() == pytest.approx(1)  # of two units
    # y depends on both directions only, so neighbours in the plane have the same y
    by_hand = ActiveSubspaceDisplay(display.positions, display.y).plot()
    assert by_hand.ax_.get_ylabel() == "second active direction"


def test_classes_and_outputs(rows):
    X, y = rows
    names = np.where(y > 0, "up", "down")
    settings = {"hidden_layer_sizes": (2,), "init": "random", "tol": 1e-2, "random_state": 0}
    two = MLPClassifier(**settings).fit(X, names)
    assert_array_equal(ActiveSubspaceDisplay.from_estimator(two, X, names).y, y > 0)
    three = np.digitize(y, [-0.5, 0.5])
    net = MLPClassifier(**settings).fit(X, three)
    assert_array_equal(ActiveSubspaceDisplay.from_estimator(net, X, three, output=2).y, three == 2)
    Y = np.column_stack([y, X[:, 3]])
    net = MLPRegressor(**settings).fit(X, Y)
    display = ActiveSubspaceDisplay.from_estimator(net, X, Y, output=1)
    assert_array_equal(display.y, Y[:, 1])
    assert abs(np.corrcoef(display.positions[:, 0], X[:, 3])[0, 1]) > 0.9


def test_bad_subspaces_are_named(rows, net, features):
    X, y = rows
    draw = ActiveSubspaceDisplay.from_estimator
    with pytest.raises(ValueError, match="TensorFeatures has no active_subspace"):
        draw(features, X, y)
    for n_directions in (0, 3):
        with pytest.raises(ValueError, match="n_directions must be 1 or 2"):
            draw(net, X, y, n_directions=n_directions)
    with pytest.raises(ValueError, match=r"output must be one of 0 \.\. 0; got 1"):
        draw(net, X, y, output=1)
    with pytest.raises(ValueError, match="y has shape"):
        draw(net, X, y[:10])
    with pytest.raises(ValueError, match="one or two columns"):
        ActiveSubspaceDisplay(np.zeros((5, 3)), np.zeros(5))


def images(display):
    return [np.asarray(image.get_array()) for image in display.ax_.images]


def test_fields_are_the_weights_and_their_errors(rows, net, features):
    errors = features.standard_errors(*rows)
    display = draw(ReceptiveFieldDisplay.from_estimator(features, (2, 3), errors=errors))
    expected = features.components_.reshape(-1, 2, 3)
    assert_allclose(display.fields, expected)
    assert_allclose(display.errors, errors.errors.reshape(-1, 2, 3))
    pairs = [(expected[i], display.errors[i]) for i in range(2)]
    assert_allclose(images(display), [one for pair in pairs for one in pair])
    limits = {image.get_clim() for image in display.ax_.images}
    assert limits == {(-np.abs(expected).max(), np.abs(expected).max())}
    texts = [text.get_text() for text in display.ax_.texts]
    assert {"weights", "errors", "0", "1"} == set(texts)
    alone = draw(ReceptiveFieldDisplay.from_estimator(net, (3, 2), which=[1]))
    assert_allclose(images(alone), net.coefs_[0].T[1:].reshape(-1, 3, 2))
    assert [text.get_text() for text in alone.ax_.texts] == ["1"]


def test_images_do_not_overlap():
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((5, 2, 4))
    _, ax = plt.subplots()
    display = ReceptiveFieldDisplay(fields, errors=np.abs(fields)).plot(n_columns=2, ax=ax)
    assert draw(display).ax_ is ax
    boxes = [image.get_window_extent() for image in ax.images]
    assert len(boxes) == 10
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_bad_fields_are_named(net, features):
    draw = ReceptiveFieldDisplay.from_estimator
    with pytest.raises(ValueError, match=r"shape=\(2, 2\) is not.*6 columns"):
        draw(net, (2, 2))
    with pytest.raises(ValueError, match=r"units 0 \.\. 1; got \[2\]"):
        draw(net, (2, 3), which=[2])
    with pytest.raises(ValueError, match=r"errors has shape \(6,\); give \(2, 6\)"):
        draw(features, (2, 3), errors=np.ones(D))
    with pytest.raises(ValueError, match="neither coefs_ nor components_"):
        draw(MLPRegressor(), (2, 3))
    with pytest.raises(ValueError, match="fields has shape"):
        ReceptiveFieldDisplay(np.ones((2, 3)))
    with pytest.raises(ValueError, match="errors has shape"):
        ReceptiveFieldDisplay(np.ones((2, 3, 3)), errors=np.ones((2, 3, 2)))
    with pytest.raises(ValueError, match="names needs 2 names"):
        ReceptiveFieldDisplay(np.ones((2, 3, 3)), names=["one"])
