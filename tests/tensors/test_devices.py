"""Everything that is matrix work stays on the device of its input."""

import numpy as np
import pytest

from spectral_nn.tensors import (
    compose,
    cp_als,
    jennrich,
    multilinear,
    project_simplex,
    tensor_power,
    whiten,
    whiten_cross,
)

CALLS = {
    "compose": lambda M, T, rng: compose(M[0, :], (M, M)),
    "multilinear": lambda M, T, rng: multilinear(T, M, M, M),
    "whiten": lambda M, T, rng: whiten(M, 2).whitener,
    "whiten_cross": lambda M, T, rng: whiten_cross(M, M[0, :], M)[0],
    "cp_als": lambda M, T, rng: cp_als(T, 2, rng=rng).vectors[2],
    "jennrich": lambda M, T, rng: jennrich(T, rng=rng).basis,
    "tensor_power": lambda M, T, rng: tensor_power(T, rng=rng).vectors[0],
    "project_simplex": lambda M, T, rng: project_simplex(T),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_result_is_on_the_device_of_the_input(rng, call):
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    M = strict.asarray(np.diag([3.0, 2.0, 1.0]), device=device)
    T = strict.asarray(compose(np.array([3.0, 2.0, 1.0]), (np.eye(3),) * 3), device=device)
    assert call(M, T, rng).device == device
