"""Moments of one pass against those of two, and sums of instalments against one shot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from spectral_nn.data.rows import Rows
from spectral_nn.models.network.moments import network_moments, summarise
from spectral_nn.models.network.stream import stream_moments, tensors_of_stream
from spectral_nn.runners.base import SerialRunner

RUN = SerialRunner()


def table(n=600, d=4, q=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 3
    Y = np.maximum(X @ rng.standard_normal((d, q)), 0) + 0.1 * rng.standard_normal((n, q))
    return Rows(X, Y, rng.uniform(0.5, 2, n))


@pytest.mark.parametrize("d", [1, 4, 13])
def test_one_pass_equals_two(d):
    rows = table(d=d)
    seen = summarise(rows, RUN)
    two = network_moments(rows, seen.frame, seen.columns.n_effective, RUN)
    one = tensors_of_stream(stream_moments(rows, seen.frame, RUN), seen.frame)
    assert len(one.tensors) == (4 if d <= 12 else 3)
    assert_allclose(one.residual, two.residual, rtol=1e-10)
    assert_allclose(one.noise, two.noise, rtol=1e-12)
    for found, expected in zip(one.tensors, two.tensors, strict=False):
        assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 599), max_size=3))
def test_instalments_add_up(cuts):
    rows = table()
    frame = summarise(rows, RUN).frame
    whole = stream_moments(rows, frame, RUN)
    ends = [0, *sorted(set(cuts)), 600]
    parts = [
        stream_moments(rows.take(np.arange(*pair)), frame, RUN)
        for pair in zip(ends[:-1], ends[1:], strict=True)  # noqa: RUF007
    ]
    summed = parts[0]
    for part in parts[1:]:
        summed = summed + part
    for name in ("gram", "mixed", "low", "high", "squares", "weight"):
        expected = getattr(whole, name)
        assert_allclose(getattr(summed, name), expected, atol=1e-12 * np.abs(expected).max())
