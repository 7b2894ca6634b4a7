"""Networks with arrays of another precision, or library, than they were fitted with."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from spectral_estimators import MLPClassifier, MLPRegressor, TensorFeatures
from spectral_nn.arrays import to_numpy, where_it_lives

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning"),
]

rng = np.random.default_rng(0)
X = rng.standard_normal((400, 4))
y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2], 0)
MODELS = {
    "regressor": MLPRegressor(hidden_layer_sizes=(2,), init="random", max_iter=10, random_state=0),
    "classifier": MLPClassifier((2,), init="random", max_iter=10, random_state=0),
    "features": TensorFeatures(2, random_state=0),
}
METHODS = {
    "regressor": ["predict"],
    "classifier": ["predict", "predict_proba", "predict_log_proba"],
    "features": ["transform"],
}
FORMS = {
    "single": X.astype(np.float32),
    "double": X,
    "half": X.astype(np.float16),
    "integers": np.rint(3 * X).astype(np.int64),
    "booleans": X > 0,
}


def as_torch(x):
    return pytest.importorskip("torch").asarray(x)


def target(name):
    return y > 0 if name == "classifier" else y


def fitted(model):
    return model.components_ if isinstance(model, TensorFeatures) else model.coefs_[0]


@pytest.mark.parametrize("then", list(FORMS))
@pytest.mark.parametrize("first", ["single", "double", "integers", "booleans"])
@pytest.mark.parametrize("name", list(MODELS))
def test_results_have_the_precision_that_numpy_gives(name, first, then):
    goal = target(name)
    plain = clone(MODELS[name]).fit(FORMS[first], goal)
    there = clone(MODELS[name]).fit(as_torch(FORMS[first]), as_torch(goal))
    rtol = 0.02 if first == "single" else 1e-8  # ten steps amplify rounding
    for method in METHODS[name]:
        expected = getattr(plain, method)(FORMS[then])
        found = getattr(there, method)(as_torch(FORMS[then]))
        assert where_it_lives(found) == "torch on cpu"
        found = to_numpy(found)
        assert found.dtype == expected.dtype
        if found.dtype.kind == "b":
            assert np.mean(found != expected) < 0.01
        else:
            assert_allclose(found, expected, rtol=rtol, atol=rtol)
    if name != "features":
        score = there.score(as_torch(FORMS[then]), as_torch(goal))
        assert score == pytest.approx(plain.score(FORMS[then], goal), abs=0.01)


def test_a_library_that_promotes_nothing_by_itself():
    there = array_api_strict.asarray
    model = clone(MODELS["regressor"]).fit(there(FORMS["single"]), there(FORMS["single"][:, 0]))
    found = model.predict(there(X))
    assert found.dtype == array_api_strict.float64
    assert_allclose(to_numpy(found), to_numpy(model.predict(there(FORMS["single"]))), rtol=1e-4)


@pytest.mark.parametrize("put", [np.asarray, as_torch])
@pytest.mark.parametrize("then", ["single", "double", "booleans"])
@pytest.mark.parametrize("name", list(MODELS))
def test_a_fit_goes_on_in_the_precision_of_its_last_rows(name, then, put):
    goal = put(target(name))
    classes = {"classes": [False, True]} if name == "classifier" else {}
    for first in ("single", "double"):
        model = clone(MODELS[name]).partial_fit(put(FORMS[first]), goal, **classes)
        model.partial_fit(put(FORMS[then]), goal)
        wanted = np.float32 if then == "single" else np.float64
        assert to_numpy(fitted(model)).dtype == wanted
        if name != "features":
            model.set_params(warm_start=True).fit(put(FORMS[first]), goal)
            assert to_numpy(fitted(model)).dtype == FORMS[first].dtype


@pytest.mark.parametrize("form", ["half", "integers", "booleans"])
def test_targets_and_weights_of_other_types(form):
    goal, weight = FORMS[form][:, 0], np.arange(1, 401, dtype=np.int32)
    expected = clone(MODELS["regressor"]).fit(X, goal, weight)
    found = clone(MODELS["regressor"]).fit(*map(as_torch, (X, goal, weight)))
    assert_allclose(to_numpy(fitted(found)), fitted(expected), rtol=1e-8)


def test_a_precision_that_numpy_does_not_have():
    torch = pytest.importorskip("torch")
    goal, weight = torch.asarray(y).bfloat16(), torch.ones(400).bfloat16()
    model = clone(MODELS["regressor"]).fit(torch.asarray(X).bfloat16(), goal, weight)
    assert model.predict(torch.asarray(X).bfloat16()).dtype == torch.float64
    features = clone(MODELS["features"]).fit(torch.asarray(X), goal)
    assert features.components_.dtype == torch.float64


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, sparse.csr_array])
@pytest.mark.parametrize("name", list(MODELS))
def test_results_for_another_library_are_refused(name, form):
    torch, goal = pytest.importorskip("torch"), target(name)
    model = clone(MODELS[name]).fit(torch.asarray(X), goal)
    for method in METHODS[name]:
        with pytest.raises(ValueError, match="is an array of torch on cpu, but X of numpy on cpu"):
            getattr(model, method)(form(X))
    model = clone(MODELS[name]).fit(X, goal)
    for method in METHODS[name]:
        with pytest.raises(ValueError, match="is an array of numpy on cpu, but X of torch on cpu"):
            getattr(model, method)(torch.asarray(X))


@pytest.mark.parametrize("name", list(MODELS))
def test_batches_may_come_from_several_libraries(name):
    torch, goal = pytest.importorskip("torch"), target(name)
    first = {"classes": [False, True]} if name == "classifier" else {}
    model = clone(MODELS[name]).partial_fit(torch.asarray(X), torch.asarray(goal), **first)
    expected = clone(MODELS[name]).partial_fit(X, goal, **first).partial_fit(X, goal)
    assert_allclose(fitted(model.partial_fit(X, goal)), fitted(expected), rtol=1e-6)
