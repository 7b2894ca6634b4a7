"""The published Fourier method for biases, which the benchmark of NN-LIFT compares with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.fourier_biases import _frequencies, fourier_biases
from spectral_nn.data.rows import Rows
from spectral_nn.moments.scores import GaussianScore
from spectral_nn.runners.base import SerialRunner


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.3])
def test_the_published_fourier_method_reads_shifts(rng, offset):
    """A bump of known transform in the place of y: its phase at half a turn is -pi offset."""
    d = 3
    w = np.array([0.6, 0.0, 0.8])
    X = rng.standard_normal((100_000, d))
    y = np.exp(-np.sum((X - offset * w) ** 2, axis=1))  # y / p is bounded
    rows = Rows(X, y[:, None], np.ones(len(y)))
    (bias,) = fourier_biases(
        rows,
        w[:, None],
        np.ones((1, 1)),
        "tanh",
        score=GaussianScore(np.zeros(d), np.eye(d)),
        run=SerialRunner(),
        rng=rng,
        cap=0.1,
    )
    assert_allclose(bias, 0.5 - offset, atol=0.02)


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_frequencies_are_uniform_on_the_cap(d):
    W = np.arange(1.0, d + 1)[:, None]
    W /= np.linalg.norm(W)
    drawn = _frequencies(W=W, radius=0.5, cap=0.8, seed=0, index=0, unit=0, n=20_000)
    assert_allclose(np.linalg.norm(drawn, axis=1), 0.5)
    cosines = drawn @ W[:, 0] / 0.5
    assert cosines.min() > 1 - 0.8**2 / 2 - 1e-12
    if d > 1:  # the angle has a density in proportion to sin^(d - 2)
        angles = np.linspace(0, np.arccos(1 - 0.8**2 / 2), 10_001)[1:]
        expected = np.average(np.cos(angles), weights=np.sin(angles) ** (d - 2))
        assert_allclose(cosines.mean(), expected, atol=3e-3)
