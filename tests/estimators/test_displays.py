"""Displays: they draw what the model holds, where they are told to."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import (
    CategoricalHMM,
    EmissionDisplay,
    SpectrumDisplay,
    TransitionDisplay,
)
from spectral_estimators.displays import state_order


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    true = CategoricalHMM(3)
    true.startprob_ = np.full(3, 1 / 3)
    true.transmat_ = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    true.emissionprob_ = np.full((3, 6), 0.05) + 0.35 * np.repeat(np.eye(3), 2, axis=1)
    X = true.sample(2000, random_state=0)[0]
    return CategoricalHMM(3, n_iter=2, random_state=0).fit(X)


def draw(display):
    display.figure_.canvas.draw()
    return display


def test_spectrum(model):
    display = draw(SpectrumDisplay.from_estimator(model))
    assert_array_equal(display.singular_values, model.report_.singular_values)
    assert display.n_components == 3
    assert display.ax_.get_yscale() == "log"
    assert "K = 3" in display.ax_.texts[0].get_text()
    _, ax = plt.subplots()
    assert SpectrumDisplay([3.0, 1.0, 0.0]).plot(ax=ax).ax_ is ax


def test_spectrum_needs_moments():
    with pytest.raises(ValueError, match="init='tensor'"):
        SpectrumDisplay.from_estimator(CategoricalHMM())


def test_transitions(model):
    display = draw(TransitionDisplay.from_estimator(model, labels=["one", "two", "three"]))
    order = display.order
    assert sorted(order) == [0, 1, 2]
    assert_allclose(display.image_.get_array(), model.transmat_[np.ix_(order, order)])
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == [["one", "two", "three"][i] for i in order]
    assert display.ax_.get_xlabel() == "to state"
    fixed = TransitionDisplay.from_estimator(model, order=[2, 0, 1])
    assert_array_equal(fixed.order, [2, 0, 1])
    draw(TransitionDisplay(np.full((30, 30), 1 / 30)).plot())


def test_emissions(model):
    _, ax = plt.subplots()
    display = draw(EmissionDisplay.from_estimator(model, symbols=list(" a$\n_^"), ax=ax))
    assert display.ax_ is ax
    shown = model.emissionprob_[np.ix_(display.order, display.columns_)]
    assert_allclose(display.image_.get_array(), np.sqrt(shown))
    assert sorted(display.columns_) == list(range(6))
    owners = shown.argmax(axis=0)
    assert np.all(np.diff(owners) >= 0)
    few = draw(EmissionDisplay(model.emissionprob_, max_symbols=2).plot())
    assert len(few.columns_) == 2
    assert "2 most frequent" in few.ax_.get_title()
    with pytest.raises(ValueError, match="symbols needs 6 names"):
        EmissionDisplay(model.emissionprob_, symbols=["a"])


def test_order_walks_along_the_strongest_flow():
    chain = np.array([[0.8, 0, 0.2, 0], [0, 0.8, 0, 0.2], [0.1, 0.1, 0.8, 0], [0, 0.2, 0, 0.8]])
    assert state_order(chain, [0.4, 0.2, 0.3, 0.1]).tolist() == [0, 2, 1, 3]
    assert state_order([[1.0]], [1.0]).tolist() == [0]
