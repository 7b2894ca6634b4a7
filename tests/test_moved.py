"""Old names warn and work."""

import importlib

import numpy as np
import pytest

from spectral_nn.models.chains.parameters import HMMParameters

MOVED = [
    ("spectral_nn.sequences", "Sequences", "spectral_nn.data"),
    ("spectral_nn.execute.cluster", "ClusterError", "spectral_nn.runners.cluster"),
    ("spectral_nn.models.hmm.parameters", "HMMParameters", "spectral_nn.models.chains.parameters"),
]


@pytest.mark.parametrize(("old", "name", "new"), MOVED)
def test_modules_that_moved(old, name, new):
    module = importlib.import_module(old)
    with pytest.warns(FutureWarning, match=f"{old} is {new} now"):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(new), name)
    with pytest.raises(AttributeError):
        module.nothing  # noqa: B018


def test_parameters_of_an_array():
    with pytest.warns(FutureWarning, match=r"HMMParameters\.categorical"):
        parameters = HMMParameters([0.5, 0.5], np.eye(2), np.eye(2, 3))
    with pytest.warns(FutureWarning, match=r"emission\.probs"):
        assert parameters.emissionprob.shape == (2, 3)
