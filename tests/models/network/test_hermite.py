"""Hermite coefficients against closed forms and quadrature; units read off them."""

from itertools import pairwise
from math import factorial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats
from scipy.integrate import quad

from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.hermite import (
    ORDERS,
    hermite_coefficients,
    read_units,
    unit_grid,
)

POINTS = [(1.0, 0.0), (1.0, 0.7), (2.5, -1.2), (0.3, 2.0)]
KINKED = {"relu", "squared_relu"}


def polynomial(m, t):
    return special.eval_hermitenorm(m, t) / np.sqrt(factorial(m))


def by_quadrature(activation, s, b):
    """The integral itself, cut at the kink."""
    value = ACTIVATIONS[activation].value

    def integrand(t, m):
        return float(value(np.array(s * t + b))) * polynomial(m, t) * stats.norm.pdf(t)

    edges = [-12.0, min(max(-b / s, -12.0), 12.0), 12.0]
    return [
        sum(
            quad(integrand, low, high, args=(m,), epsabs=1e-12, limit=200)[0]
            for low, high in pairwise(edges)
        )
        for m in range(1, ORDERS + 1)
    ]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("s", "b"), POINTS)
def test_coefficients_are_the_integrals(activation, s, b):
    found = hermite_coefficients(activation, np.array([s]), np.array([b]))
    tolerance = 2e-5 * s if activation in KINKED else 1e-9
    assert_allclose(found[0], by_quadrature(activation, s, b), atol=tolerance)


@pytest.mark.parametrize(("s", "b"), POINTS)
def test_relu_in_closed_form(s, b):
    """s Phi(c), then s He_(m-2)(-c) phi(c), with c = b / s."""
    c = b / s
    expected = [s * stats.norm.cdf(c)] + [
        s * special.eval_hermitenorm(m - 2, -c) * stats.norm.pdf(c) / np.sqrt(factorial(m))
        for m in (2, 3, 4)
    ]
    found = hermite_coefficients("relu", np.array([s]), np.array([b]))[0]
    assert_allclose(found, expected, atol=2e-5 * s)


@pytest.mark.parametrize(("s", "b"), POINTS)
def test_erf_in_closed_form(s, b):
    """Gaussian smoothing of erf is erf again, and its derivatives are Hermite functions."""
    spread = np.sqrt(1 + 2 * s**2)
    c = b / spread
    expected = [
        2 / np.sqrt(np.pi) * (s / spread) ** m
        * (-1) ** (m - 1) * special.eval_hermite(m - 1, c) * np.exp(-(c**2))
        / np.sqrt(factorial(m))
        for m in range(1, 5)
    ]  # fmt: skip
    found = hermite_coefficients("erf", np.array([s]), np.array([b]))[0]
    assert_allclose(found, expected, atol=1e-10)


def test_polynomials_in_closed_form():
    s, b = np.array([0.5, 2.0]), np.array([1.0, -0.3])
    zero = np.zeros(2)
    square = np.stack([2 * s * b, np.sqrt(2) * s**2, zero, zero], axis=1)
    assert_allclose(hermite_coefficients("square", s, b), square, atol=1e-10)
    identity = np.stack([s, zero, zero, zero], axis=1)
    assert_allclose(hermite_coefficients("identity", s, b), identity, atol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "softplus", "erf"])
def test_stein(activation):
    """c_1 is s times the mean slope, and c_2 its derivative by the bias."""
    s, b, h = np.array([1.3]), np.array([0.4]), 1e-4
    value, t = ACTIVATIONS[activation].value, np.linspace(-10, 10, 4001)
    slope = (value(s * t + b + h) - value(s * t + b - h)) / (2 * h)
    mean = np.sum(slope * stats.norm.pdf(t)) * (t[1] - t[0])
    c = hermite_coefficients(activation, s, b)[0]
    assert c[0] == pytest.approx(s[0] * mean, abs=1e-7)
    up, down = (hermite_coefficients(activation, s, b + e)[0] for e in (h, -h))
    factor = s[0] / np.sqrt(np.arange(2, 5))
    assert_allclose(c[1:], factor * (up - down)[:3] / (2 * h), atol=1e-6)


def test_moments_of_a_planted_network_by_a_grid_of_quadrature(rng):
    """d = 2: the Hermite moments are sums over units of a_j c_m u_j^(x)m."""
    nodes, weights = special.roots_hermitenorm(80)
    weights = weights / weights.sum()
    x = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    w = np.outer(weights, weights).ravel()
    U = rng.standard_normal((2, 3))
    s, b, a = np.linalg.norm(U, axis=0), rng.uniform(-0.5, 0.5, 3), np.array([1.0, -1.5, 0.7])
    y = np.tanh(x @ U + b) @ a
    U = U / s
    c = hermite_coefficients("tanh", s, b) * a[:, None]
    eye = np.eye(2)
    third = np.einsum("n,ni,nj,nk->ijk", w * y, x, x, x)
    mean = w * y @ x
    third -= sum(
        np.einsum(f"{i},{j}{k}->ijk", mean, eye)
        for i, j, k in (("i", "j", "k"), ("j", "i", "k"), ("k", "i", "j"))
    )
    assert_allclose(mean, U @ c[:, 0], atol=1e-4)
    second = np.einsum("n,ni,nj->ij", w * y, x, x) - (w @ y) * eye
    assert_allclose(second / np.sqrt(2), U * c[:, 1] @ U.T, atol=1e-4)
    expected = np.einsum("ij,kj,lj,j->ikl", U, U, U, c[:, 2])
    assert_allclose(third / np.sqrt(6), expected, atol=1e-4)


def weights_of(activation, sign, scale, bias, above):
    """What the moments' weights are, exactly: (k, S) an order."""
    c = hermite_coefficients(activation, scale, bias)
    return [(c[:, m] * sign ** (m + 1))[:, None] * above for m in range(ORDERS)]


@pytest.mark.parametrize("activation", ["relu", "squared_relu", "tanh", "logistic", "softplus"])
@pytest.mark.parametrize("S", [1, 3])
def test_units_on_the_grid_are_read_exactly(activation, S, rng):
    scales, biases = unit_grid(activation)
    # Where a unit bends within the data: elsewhere it is a line, and lines are all alike.
    inside = np.flatnonzero((scales > 0.5) & (scales < 4) & (np.abs(biases) < 1.2 * scales))
    at = rng.choice(inside, 12, replace=False)
    scale, bias = scales[at], biases[at]
    sign = rng.choice([-1.0, 1.0], 12)
    above = rng.choice([-1.0, 1.0], (12, S)) * rng.uniform(0.5, 2, (12, S))
    weights = weights_of(activation, sign, scale, bias, above)
    found = read_units(weights, np.full((4, 12), 1e-4), activation)
    if activation in ("tanh", "logistic"):  # odd up to a constant: -(s, b) is the same unit
        bias, sign = bias * sign * found[0], found[0]
    for ours, theirs in zip(found, (sign, scale, bias), strict=True):
        assert_allclose(ours, theirs, atol=1e-9)


def test_units_beside_the_grid_are_read_to_its_steps(rng):
    scale, bias = rng.uniform(0.6, 3, 20), rng.uniform(-0.5, 0.5, 20)
    weights = weights_of("tanh", np.ones(20), scale, bias, np.ones((20, 1)))
    sign, found, offset = read_units(weights, np.ones((4, 20)), "tanh")
    assert_allclose(np.log(found / scale), 0, atol=0.15)
    assert_allclose(offset * sign, bias, atol=0.15)


def test_scale_of_the_weights_does_not_matter(rng):
    weights = weights_of("relu", np.ones(3), np.ones(3), np.array([-0.5, 0, 0.8]), np.ones((3, 2)))
    first = read_units(weights, np.ones((4, 3)), "relu")
    other = read_units([-1e-7 * weight for weight in weights], 1e-3 * np.ones((4, 3)), "relu")
    for a, b in zip(first, other, strict=True):
        assert_allclose(a, b)
    assert_allclose(first[2], [-0.5, 0, 0.8], atol=0.04)


def test_orders_without_slices_are_passed_over(rng):
    bias = np.array([-0.6, 0.3])
    sign = np.array([1.0, -1.0])
    weights = weights_of("relu", sign, np.ones(2), bias, np.ones((2, 1)))
    weights[3] = np.empty((2, 0))
    found = read_units(weights, np.ones((4, 2)), "relu")
    assert_allclose(found[0], sign)
    assert_allclose(found[2], bias, atol=0.04)


def test_uncertain_orders_count_less():
    """The second order is wrong by far, and known to be so."""
    weights = weights_of("relu", np.ones(1), np.ones(1), np.array([0.5]), np.ones((1, 1)))
    weights[1] = -3 * weights[1]
    _, _, fooled = read_units(weights, np.ones((4, 1)), "relu")
    _, _, bias = read_units(weights, np.array([[1.0], [1e6], [1.0], [1.0]]), "relu")
    assert bias[0] == pytest.approx(0.5, abs=0.05)
    assert abs(fooled[0] - 0.5) > 0.2
