"""The teacher of the protocol of Zhong et al."""

import numpy as np
import pytest

from bench.network_zhong import draw_teacher
from spectral_nn.datasets import sample_network


def test_teacher_has_the_condition_number_and_the_values_of_its_formula():
    rng = np.random.default_rng(0)
    network = draw_teacher(8, 3, 4.0, rng)
    W, A = network.coefs
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False), [4.0, 2.5, 1.0])
    assert set(np.abs(A).ravel()) == {1.0}
    X, y = sample_network(network, 50, noise=0.0, rng=rng)
    np.testing.assert_allclose(y, np.maximum(X @ W, 0.0) ** 2 @ A[:, 0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"n_components=5 .* n_features=4"):
        draw_teacher(4, 5, 2.0, rng)
