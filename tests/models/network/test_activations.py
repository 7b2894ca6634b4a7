"""Activations: values against SciPy, derivatives against differences, both forms alike."""

import numpy as np
import pytest
from scipy import special

from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS, add_bias, outer

REFERENCE = {
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "tanh": np.tanh,
    "logistic": special.expit,
    "softplus": lambda z: np.logaddexp(0.0, z),
    "erf": special.erf,
    "square": np.square,
    "squared_relu": lambda z: np.where(z > 0, z, 0.0) ** 2,
    "identity": lambda z: z,
}
NAMES = sorted(REFERENCE)


def test_all_are_there_under_their_names():
    assert sorted(ACTIVATIONS) == NAMES
    assert all(name == activation.name for name, activation in ACTIVATIONS.items())
    degrees = {name: ACTIVATIONS[name].degree for name in NAMES}
    assert degrees == dict.fromkeys(NAMES) | {"identity": 1, "square": 2}


@pytest.mark.parametrize("name", NAMES)
def test_value(name, xp, rng):
    Z = rng.standard_normal((5, 7)) * 3
    H = ACTIVATIONS[name].value(xp.asarray(Z))
    np.testing.assert_allclose(to_numpy(H), REFERENCE[name](Z), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_against_differences(name, xp, rng):
    Z, step = rng.standard_normal((5, 7)) * 3, 1e-6
    activation = ACTIVATIONS[name]
    rise = REFERENCE[name](Z + step) - REFERENCE[name](Z - step)
    slope = activation.derivative(xp.asarray(Z), activation.value(xp.asarray(Z)))
    np.testing.assert_allclose(to_numpy(slope), rise / (2 * step), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_in_place_form_is_the_same(name, dtype, rng):
    activation = ACTIVATIONS[name]
    bias = rng.standard_normal(6).astype(dtype)
    Z = (3 * rng.standard_normal((6, 40))).astype(dtype)
    D = rng.standard_normal((6, 40)).astype(dtype)
    shifted = Z + bias[:, None]
    H = activation.value(shifted)
    slopes = activation.derivative(shifted, H)
    out = np.empty_like(Z) if activation.keeps_input else Z
    got = D.copy()
    activation.write(Z, bias, out)
    activation.scale(got, Z, out, np.empty_like(Z))
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, H, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(got, D * slopes, rtol=tolerance, atol=tolerance)
    assert H.dtype == slopes.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tanh", "logistic", "softplus", "erf"])
def test_no_overflow_far_out(name, dtype):
    activation = ACTIVATIONS[name]
    Z = np.array([[-2000.0, -800.0, -90.0, 90.0, 800.0, 2000.0]], dtype=dtype)
    expected = REFERENCE[name](Z.astype(np.float64))
    limits = activation.derivative(Z, activation.value(Z))
    np.testing.assert_allclose(activation.value(Z), expected, rtol=1e-6, atol=1e-38)
    out = np.empty_like(Z) if activation.keeps_input else Z
    D = np.ones_like(Z)
    activation.write(Z, np.zeros(1, dtype), out)
    activation.scale(D, Z, out, np.empty_like(Z))
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(D, limits, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", NAMES)
def test_nan_passes(name):
    activation = ACTIVATIONS[name]
    Z = np.array([[np.nan, 1.0]])
    assert np.isnan(activation.value(Z)).tolist() == [[True, False]]
    out = np.empty_like(Z) if activation.keeps_input else Z
    activation.write(Z, np.zeros(1), out)
    assert np.isnan(out).tolist() == [[True, False]]


@pytest.mark.parametrize("name", ["relu", "tanh", "logistic", "softplus", "erf", "squared_relu"])
def test_infinity_has_the_limits(name):
    activation = ACTIVATIONS[name]
    Z = np.array([[-np.inf, np.inf]])
    expected = REFERENCE[name](Z)
    np.testing.assert_allclose(activation.value(Z), expected)
    out = np.empty_like(Z) if activation.keeps_input else Z
    activation.write(Z, np.zeros(1), out)
    np.testing.assert_allclose(out, expected, atol=1e-300)


def test_derivative_of_relu_at_zero_is_zero():
    activation = ACTIVATIONS["relu"]
    Z = np.zeros((1, 1))
    assert activation.derivative(Z, activation.value(Z)) == 0
    D = np.ones((1, 1))
    activation.scale(D, Z, Z, Z)
    assert D == 0


def test_bias_and_outer(rng):
    Z, bias, row = rng.standard_normal((4, 9)), rng.standard_normal(4), rng.standard_normal(9)
    expected = Z + bias[:, None]
    add_bias(Z, bias)
    np.testing.assert_array_equal(Z, expected)
    outer(bias, row, Z)
    np.testing.assert_array_equal(Z, np.outer(bias, row))
