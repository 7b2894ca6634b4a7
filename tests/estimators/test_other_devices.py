"""Ways of a fit that other tests take with NumPy, with arrays that NumPy may not touch."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context

from spectral_estimators import MLPClassifier, MLPRegressor
from spectral_nn.arrays import is_foreign, to_numpy

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning"),
]


def there(x):
    """On a device that is not the host's: an implicit conversion raises."""
    return array_api_strict.asarray(x, device=array_api_strict.Device("device1"))


def table(rng, n, d, k, uniform=False):
    X = rng.uniform(-1, 1, (n, d)) if uniform else rng.standard_normal((n, d))
    W = np.linalg.qr(rng.standard_normal((d, k)))[0]
    y = np.maximum(X @ W + 0.5 * rng.standard_normal(k), 0) @ rng.standard_normal(k)
    return X, y + 0.05 * rng.standard_normal(n)


CASES = {
    "repair": ((800, 20, 6), {"max_iter": 200}),
    "uniform inputs": ((3000, 6, 3, True), {"max_iter": 5}),
    "a mixture": ((3000, 6, 3), {"max_iter": 5, "input_model": "mixture"}),
    "nn-lift": ((3000, 6, 3), {"max_iter": 5, "init": "nn-lift"}),
    "nn-lift, a mixture": (
        (3000, 6, 3),
        {"max_iter": 5, "init": "nn-lift", "input_model": "mixture"},
    ),
    "early stopping": ((3000, 6, 3), {"max_iter": 5, "early_stopping": True}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_arrays_stay_on_their_device(rng, case):
    shape, settings = CASES[case]
    X, y = table(rng, *shape)
    model = MLPRegressor(hidden_layer_sizes=(shape[2],), random_state=0, **settings)
    expected = model.fit(X, y).predict(X[:50])
    with config_context(array_api_dispatch=True):
        model.fit(there(X), there(y))
        found = model.predict(there(X[:50]))
    assert bool(model.report_.repair) == (case == "repair")
    assert is_foreign(found)
    assert is_foreign(model.coefs_[0])
    # Two hundred steps amplify rounding. So do decompositions, which stop at a tolerance: chunks of
    # other libraries are taken whole, NumPy's by blocks.
    rtol = 0.02 if case == "repair" else 1e-3
    assert_allclose(to_numpy(found), expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    assert model.report_.unit_angles.shape == (shape[2],)


def test_classes_stay_on_their_device(rng):
    X, y = table(rng, 3000, 6, 3)
    labels = (y > np.median(y)).astype(int)
    model = MLPClassifier((3,), init="nn-lift", max_iter=5, random_state=0)
    expected = model.fit(X, labels).predict_proba(X[:50])
    with config_context(array_api_dispatch=True):
        found = model.fit(there(X), there(labels)).predict_proba(there(X[:50]))
    assert_allclose(to_numpy(found), expected, rtol=1e-6, atol=1e-6)
