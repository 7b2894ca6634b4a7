"""Networks on numbers far from one: what can be carried is fitted, and the rest is an error."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from spectral_estimators import MLPClassifier, MLPRegressor, TensorFeatures
from spectral_nn.moments.scores import GaussianScore

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::spectral_nn.results.RecoveryWarning"),
]

Z = np.random.default_rng(0).standard_normal((300, 3))
y = np.maximum(Z[:, 0], 0)
LABELS = y > 0.3
MOST = {"float32": 38, "float64": 300}  # powers of ten
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])
INITS = pytest.mark.parametrize("init", ["tensor", "random"])


def r2(found, scale=1.0):
    """R² of predictions of scale * y."""
    return 1 - np.mean((np.float64(found) / scale - y) ** 2) / y.var()


def regressor(**settings):
    return MLPRegressor(hidden_layer_sizes=(4,), random_state=0, **settings)


class TestTargets:
    @INITS
    @pytest.mark.parametrize(
        ("dtype", "scale"),
        [
            *[("float32", scale) for scale in (1e7, 1e9, 1e20, 1e37)],
            *[("float64", scale) for scale in (1e7, 1e9, 1e20, 1e100, 1e150)],
        ],
    )
    def test_large_ones_are_learned(self, dtype, scale, init):
        X, target = Z.astype(dtype), (scale * y).astype(dtype)
        net = regressor(init=init).fit(X, target)
        assert r2(net.predict(X), scale) > 0.999
        assert net.coefs_[1].dtype == dtype
        assert net.loss_ <= 1.001 * min(net.loss_curve_)
        assert 0 < net.loss_ < 1e-3 * scale**2

    @pytest.mark.parametrize("solver", ["lbfgs", "adam"])
    @pytest.mark.parametrize("scale", [1e9, 1e20])
    def test_of_several_outputs(self, scale, solver):
        Y = scale * np.column_stack([y, np.abs(Z[:, 1]) - 3])
        net = MLPRegressor(
            hidden_layer_sizes=(8,), solver=solver, learning_rate_init=0.02, random_state=0
        )
        assert net.set_params(init="random").fit(Z, Y).score(Z, Y) > 0.95

    @BOTH
    def test_far_from_zero(self, dtype):
        X, target = Z.astype(dtype), (1e9 * (y + 10)).astype(dtype)
        net = regressor(init="random").fit(X, target)
        assert r2(net.predict(X) - np.float64(1e10), 1e9) > 0.99
        constant = regressor(init="random").fit(X, np.full(300, 1e9, dtype))
        assert_allclose(constant.predict(X), 1e9, rtol=1e-6)

    @INITS
    @pytest.mark.parametrize("scale", [1e-9, 1e-20, 1e-100])
    def test_small_ones_are_learned_without_a_penalty(self, scale, init):
        net = regressor(init=init, alpha=0).fit(Z, scale * y)
        assert r2(net.predict(Z), scale) > 0.999

    @pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
    def test_small_ones_beside_a_penalty_are_told(self):
        with pytest.warns(UserWarning, match=r"deviation of 5\.\d+e-21, .*alpha=0\.0001: .*lower"):
            net = regressor(init="random").fit(Z, 1e-20 * y)
        assert np.isfinite(net.predict(Z)).all()

    def test_losses_are_those_of_the_formula(self):
        told, alpha, target = [], 1000.0, 1e9 * y
        net = regressor(
            init="tensor", alpha=alpha, verbose=lambda *step: told.append(step), max_iter=300
        )
        net.fit(Z, target, sample_weight=np.full(300, 2.0))
        squares = sum(np.sum(coef**2) for coef in net.coefs_)
        residual = target - net.predict(Z)
        loss = 0.5 * np.mean(residual**2) + alpha / 2 / 600 * squares
        assert alpha / 2 / 600 * squares > 0.01 * loss
        assert net.loss_ == pytest.approx(loss, rel=1e-9)
        assert told[-1][2] == pytest.approx(loss, rel=1e-9)
        assert min(start.loss for start in net.report_.starts) > 1e11

    def test_the_minimum_is_that_of_the_formula(self):
        """Where the units are ordinary, the same function has the same minimum."""
        factor, alpha = 2.0**25, 30.0
        how = {"hidden_layer_sizes": (), "init": "random", "alpha": alpha, "tol": 1e-10}
        plain, large, columns = (MLPRegressor(**how, max_iter=500, random_state=0) for _ in "123")
        plain.fit(Z, y)
        large.fit(Z, factor * y)
        assert_allclose(large.coefs_[0], factor * plain.coefs_[0], rtol=1e-3)
        assert_allclose(large.intercepts_[0], factor * plain.intercepts_[0], rtol=1e-3)
        columns.fit(Z * [2.0**40, 1, 1], y)  # the penalty of the first vanishes
        centred = Z - Z.mean(axis=0)
        penalty = np.diag([0, alpha, alpha])
        ridge = np.linalg.solve(centred.T @ centred + penalty, centred.T @ y)
        assert_allclose(columns.coefs_[0][:, 0] * [2.0**40, 1, 1], ridge, rtol=1e-3)

    @pytest.mark.parametrize("solver", ["lbfgs", "adam"])
    def test_going_on_keeps_the_units(self, solver):
        X, target = Z.astype("float32"), (1e9 * y).astype("float32")
        net = regressor(solver=solver, init="tensor", warm_start=True).fit(X, target)
        before = net.loss_
        net.set_params(learning_rate_init=1e-5).partial_fit(X, target).partial_fit(X, target)
        assert r2(net.predict(X), 1e9) > 0.99
        assert net.set_params(solver="lbfgs").fit(X, target).loss_ <= 1.1 * before

    def test_what_cannot_be_carried(self):
        net = regressor(init="random")
        with pytest.raises(ValueError, match=r"loss is not finite .*scale them"):
            net.fit(Z, 1e200 * y)
        assert not hasattr(net, "coefs_")


class TestInputs:
    @INITS
    @pytest.mark.parametrize("solver", ["lbfgs", "adam"])
    @pytest.mark.parametrize(
        ("dtype", "scale"),
        [("float32", 1e20), ("float32", 1e37), ("float64", 1e150), ("float64", 1e300)],
    )
    def test_large_ones_are_learned_from(self, dtype, scale, solver, init):
        X, target = (scale * Z).astype(dtype), y.astype(dtype)
        settings = {"solver": solver, "init": init, "learning_rate_init": 0.02}
        net = MLPRegressor(hidden_layer_sizes=(8,), random_state=0, **settings)
        assert net.fit(X, target).score(X, target) > 0.95
        net = MLPClassifier((8,), random_state=0, **settings).fit(X, LABELS)
        assert net.score(X, LABELS) > 0.95
        assert np.isfinite(net.predict_log_proba(X)).all()

    def test_columns_of_all_sizes(self):
        X = Z * [1e50, 1.0, 1e12]
        net = regressor(init="random").fit(X, 1e30 * y)
        assert r2(net.predict(X), 1e30) > 0.999
        rows = sparse.csr_array(X)
        there = regressor(init="random").fit(rows, 1e30 * y)
        assert_allclose(there.predict(rows), net.predict(X), rtol=1e-4, atol=1e25)
        torch = pytest.importorskip("torch")
        there = regressor(init="random").fit(torch.asarray(X), torch.asarray(1e30 * y))
        assert_allclose(there.predict(torch.asarray(X)), net.predict(X), rtol=1e-4, atol=1e25)
        chunks = [(X[i : i + 70], 1e30 * y[i : i + 70]) for i in range(0, 300, 70)]
        walked = regressor(init="random").fit(chunks)
        assert_allclose(walked.predict(X), net.predict(X), rtol=1e-4, atol=1e25)

    def test_a_score_of_the_user_sees_them_as_they_are(self):
        seen = []

        def score(X, theta):
            seen.append(np.abs(X).max())
            return GaussianScore(np.zeros(3), 1e24 * np.eye(3))(X, theta)

        regressor(input_model=score).fit(1e12 * Z, y)
        assert set(seen) == {np.abs(1e12 * Z).max()}

    @BOTH
    @pytest.mark.parametrize("power", [-30, 20, 37])
    def test_directions_do_not_depend_on_their_scale(self, dtype, power):
        scale = np.float64(2.0) ** int(power * np.log2(10))
        plain = TensorFeatures(2, random_state=0).fit(Z.astype(dtype), y.astype(dtype))
        X, target = (scale * Z).astype(dtype), (scale * y).astype(dtype)
        weight = np.full(300, scale, dtype)
        for found in (
            TensorFeatures(2, random_state=0).fit(X, target, weight),
            TensorFeatures(2, random_state=0).fit(X, y.astype(dtype)),
        ):
            assert_allclose(found.components_, plain.components_, rtol=1e-3, atol=1e-3)
            assert_allclose(found.mean_ / np.float64(scale), plain.mean_, rtol=1e-3)

    def test_what_is_too_large_to_be_projected(self):
        with pytest.raises(ValueError, match=r"X holds values up to .* too large for float64"):
            TensorFeatures(2).fit(1e308 * (1 + np.tanh(Z) / 2), y)
        with pytest.raises(ValueError, match=r"y holds values up to .* too large for float64"):
            TensorFeatures(2).fit(Z, 1e308 * (1 + np.tanh(Z[:, 0]) / 2))


class TestWeights:
    @pytest.mark.parametrize("scale", [2.0**-900, 2.0**500, 2.0**900])
    @INITS
    def test_only_their_ratios_count(self, scale, init):
        weight = np.random.default_rng(1).uniform(0.5, 2, 300)
        plain = regressor(init=init, alpha=1e-3).fit(Z, y, weight)
        with np.errstate(over="ignore"):
            scaled = regressor(init=init, alpha=1e-3 * scale).fit(Z, y, scale * weight)
        assert_allclose(scaled.predict(Z), plain.predict(Z), rtol=1e-6, atol=1e-6)
        assert scaled.loss_ == pytest.approx(plain.loss_, rel=1e-6)


def columns(draw, dtype, n):
    """Scales of n columns, some of them ordinary."""
    power = st.one_of(st.just(0.0), st.floats(-MOST[dtype], MOST[dtype]))
    return 10.0 ** np.array(draw(st.lists(power, min_size=n, max_size=n)))


@st.composite
def tables(draw):
    """X, y, weights of any scale and with any offset."""
    dtype = draw(st.sampled_from(list(MOST)))
    shape = np.random.default_rng(draw(st.integers(0, 9))).uniform(-1, 1, (60, 4))
    offset = draw(st.sampled_from([0.0, 1.0, 1e5]))
    with np.errstate(over="ignore", under="ignore"):
        X = shape[:, :3] * columns(draw, dtype, 3) + offset * columns(draw, dtype, 1)
        target = np.maximum(shape[:, 0], 0) - shape[:, 3] ** 2
        target = target * columns(draw, dtype, 1) + offset * columns(draw, dtype, 1)
        weight = (shape[:, 3] + 1.5) * columns(draw, dtype, 1)
        most = np.finfo(dtype).max
        return [np.clip(x, -most, most).astype(dtype) for x in (X, target, weight)]


MODELS = st.sampled_from(
    [
        *[
            Network((2,), init=init, solver=solver, max_iter=4, random_state=0)
            for Network in (MLPRegressor, MLPClassifier)
            for init in ("tensor", "random", "nn-lift")
            for solver in ("lbfgs", "adam")
        ],
        TensorFeatures(2, random_state=0),
    ]
)


def assert_finite(model, X):
    for name, value in vars(model).items():
        if name.endswith("_") and name != "report_":
            for part in value if isinstance(value, list) else [value]:
                if np.asarray(part).dtype.kind == "f":
                    assert np.isfinite(part).all(), name
    for method in ("predict", "predict_proba", "predict_log_proba", "transform"):
        if hasattr(model, method):
            found = getattr(model, method)(X)
            assert found.dtype.kind != "f" or np.isfinite(found).all(), method


@settings(max_examples=100, deadline=None)
@given(table=tables(), again=tables(), model=MODELS, weighted=st.booleans(), batch=st.booleans())
def test_any_table_gives_numbers_or_an_error_in_words(table, again, model, weighted, batch):
    model = type(model)(**model.get_params())
    fit = model.partial_fit if batch else model.fit
    classes = {"classes": [False, True]} if batch and isinstance(model, MLPClassifier) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for X, target, weight in (table, again):
            if isinstance(model, MLPClassifier):
                target = np.arange(60) % 3 > 0
            before = dict(vars(model))
            try:
                fit(X, target, weight if weighted and weight.any() else None, **classes)
            except np.linalg.LinAlgError:  # a kind of ValueError
                raise
            except ValueError:
                assert vars(model).keys() == before.keys()
                assert all(vars(model)[name] is value for name, value in before.items())
                return
            assert_finite(model, X)
