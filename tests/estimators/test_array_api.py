"""Every declaration of `tests.array_api_support`, run with the arrays it speaks of."""

import os
import subprocess
import sys
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from spectral_estimators import (
    CategoricalHMM,
    EquilibriumMLPClassifier,
    EquilibriumMLPRegressor,
    EquilibriumPropagationClassifier,
    MLPClassifier,
    MLPRegressor,
    ObservableOperatorModel,
    TensorFeatures,
)
from spectral_nn.arrays import is_foreign, to_numpy, where_it_lives
from tests.array_api_support import DECLARED, HOST, NUMPY, THERE, page

rng = np.random.default_rng(0)
X = rng.standard_normal((400, 4))
y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2], 0) + 0.01 * rng.standard_normal(400)
SYMBOLS = rng.integers(0, 3, 500)
ESTIMATORS = {
    "CategoricalHMM": CategoricalHMM(2, n_init=2, n_iter=5, dtype="float64", random_state=0),
    "MLPRegressor": MLPRegressor(
        hidden_layer_sizes=(2,), init="random", max_iter=10, random_state=0
    ),
    "MLPClassifier": MLPClassifier((2,), init="random", max_iter=10, random_state=0),
    "EquilibriumMLPRegressor": EquilibriumMLPRegressor(8, max_iter=5, random_state=0),
    "EquilibriumMLPClassifier": EquilibriumMLPClassifier(8, max_iter=5, random_state=0),
    "EquilibriumPropagationClassifier": EquilibriumPropagationClassifier(
        (8,), max_iter=5, fixed_point_tol=1e-3, random_state=0
    ),
    "ObservableOperatorModel": ObservableOperatorModel(2, random_state=0),
    "TensorFeatures": TensorFeatures(2, random_state=0),
}
FITTED = {"CategoricalHMM": "transmat_", "TensorFeatures": "components_"}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning"),
]


def as_torch(x):
    return pytest.importorskip("torch").asarray(x)


def as_strict(x):
    return array_api_strict.asarray(x, device=array_api_strict.Device("device1"))


def run(name, operation, there):
    """What an operation gives for arrays made by `there`."""
    estimator = clone(ESTIMATORS[name])
    if name in ("CategoricalHMM", "ObservableOperatorModel"):
        arguments = (there(SYMBOLS),)
    elif name.endswith("Classifier"):
        arguments = (there(X), there((y > 0).astype(int)))
    else:
        arguments = (there(X), there(y))
    if operation == "partial_fit":
        fitted = estimator.partial_fit(*arguments)
    else:
        fitted = estimator.fit(*arguments)
    if operation in ("fit", "partial_fit"):
        return getattr(fitted, FITTED[name]) if name in FITTED else fitted.coefs_[0]
    return getattr(fitted, operation)(arguments[0])


@pytest.mark.parametrize("there", [as_torch, as_strict])
@pytest.mark.parametrize("declared", DECLARED, ids=lambda d: f"{d.estimator}.{d.operation}")
def test_a_declaration_holds(declared, there):
    expected = run(declared.estimator, declared.operation, np.asarray)
    found = run(declared.estimator, declared.operation, there)
    if declared.how in (THERE, HOST):
        assert where_it_lives(found) == where_it_lives(there(X))
        found = to_numpy(found)
    else:
        assert declared.how == NUMPY
        assert not is_foreign(found)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_the_page_is_that_of_the_declarations():
    written = Path(__file__).parents[2] / "docs" / "array_api.md"
    assert written.read_text() == page(), "run python -m tests.array_api_support"


def test_an_import_loads_none_of_the_libraries():
    heavy = "{'cupy', 'dask', 'distributed', 'matplotlib', 'torch'}"
    script = f"import sys, spectral_estimators; print(sorted({heavy} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "estimators")])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert done.stdout == "[]\n"
