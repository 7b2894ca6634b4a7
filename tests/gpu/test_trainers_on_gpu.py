"""Every learning rule on arrays of a GPU against itself on the host."""

import numpy as np
import pytest

from spectral_estimators import MLPRegressor, trainers
from spectral_nn.arrays import to_numpy


@pytest.mark.parametrize("name", trainers.__all__)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_batches_stay_there(name, optimizer, cupy, rng):
    """Values, errors, heads and steps are the GPU's; random numbers are the host's."""
    X, y = rng.standard_normal((200, 5)), rng.standard_normal(200)

    def network():
        return MLPRegressor(
            hidden_layer_sizes=(12, 9),
            solver=getattr(trainers, name)(optimizer),
            init="random",
            learning_rate="cosine",
            learning_rate_init=0.01,
            max_iter=3,
            batch_size=64,
            random_state=0,
        )

    here = network().fit(X, y)
    there = network().fit(cupy.asarray(X), cupy.asarray(y))
    assert isinstance(there.coefs_[0], cupy.ndarray)
    np.testing.assert_allclose(
        to_numpy(there.predict(cupy.asarray(X))), here.predict(X), rtol=1e-6, atol=1e-8
    )
