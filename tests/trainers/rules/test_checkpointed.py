"""Checkpointing: the bits of backpropagation in less memory."""

import numpy as np
import pytest
from scipy import sparse

from spectral_estimators import MLPClassifier
from spectral_estimators.trainers import Backprop, Checkpointed
from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.objective import Objective
from tests.trainers.rules.conftest import make_small
from tests.trainers.rules.memory import peak_of


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("segments", [None, 1, 2, 3, 5])
def test_the_bits_of_backprop(segments, residual):
    small = make_small(sizes=(5, 6, 6, 6, 6, 3), residual=residual)
    value, direction, _ = small.write(Checkpointed(segments=segments))
    exact_value, exact, _ = small.write(Backprop())
    assert value == exact_value
    np.testing.assert_array_equal(direction, exact)


def test_arrays_of_any_library(xp):
    small = make_small("relu", like=xp.empty(0, dtype=xp.float64))
    value, direction, _ = small.write(Checkpointed())
    exact_value, exact = small.exact()
    assert value == exact_value
    np.testing.assert_array_equal(to_numpy(direction), to_numpy(exact))


def test_sparse_rows():
    small = make_small()
    X = np.where(np.random.default_rng(0).random((30, 5)) < 0.5, 0.0, small.batch.X)
    small.objective = Objective(sparse.csr_array(X), small.batch.targets, small.network)
    np.testing.assert_array_equal(small.write(Checkpointed())[1], small.exact()[1])


def test_memory_of_the_root_of_the_depth():
    shares = [peak_of(Checkpointed(), depth) / peak_of(Backprop(), depth) for depth in (16, 64)]
    assert shares[0] < 0.6
    assert shares[1] < 0.33


def test_a_network_of_one_layer(rng):
    X = rng.standard_normal((40, 3))
    how = {"init": "random", "max_iter": 3, "learning_rate": "cosine", "random_state": 0}
    net = MLPClassifier((), solver=Checkpointed("sgd"), **how).fit(X, X[:, 0] > 0)
    same = MLPClassifier((), solver="sgd", **how).fit(X, X[:, 0] > 0)
    np.testing.assert_array_equal(net.predict_proba(X), same.predict_proba(X))


@pytest.mark.parametrize(
    ("segments", "says"), [(0, "segments=0: give one"), (9, "segments=9: the network has 4 layers")]
)
def test_bad_segments(segments, says):
    with pytest.raises(ValueError, match=says):
        make_small().write(Checkpointed(segments=segments))
