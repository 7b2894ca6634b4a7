"""Simulated portfolios and oscillators: what is learned, and what it is compared with."""

import numpy as np
import pytest

from bench.simulations import oscillator, portfolio


def test_pay_offs_are_values_and_noise():
    data = portfolio(0, 4000)
    assert data.X.shape == (4000, 40)
    assert data.y.var() == pytest.approx(data.true.var() + 4, rel=0.1)
    assert data.y.mean() == pytest.approx(data.true.mean(), abs=0.15)


def test_the_oscillator_follows_its_recursion():
    data = oscillator(0, 5)
    first, second = 2 * np.exp(-0.03) * np.cos(0.3), np.exp(-0.06)
    peaks = []
    for row in data.X:
        one = two = peak = 0.0
        for push in row:
            one, two = push + first * one - second * two, one
            peak = max(peak, abs(one))
        peaks.append(peak)
    assert data.y / data.y[0] == pytest.approx(np.array(peaks) / peaks[0])
