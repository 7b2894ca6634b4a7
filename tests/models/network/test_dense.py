"""Dense networks: scikit-learn's own numbers, finite differences, blocks, libraries."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import label_binarize

from spectral_nn.arrays import to_numpy
from spectral_nn.models.network import passes
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network, flatten, random_network, unflatten
from spectral_nn.models.network.objective import Objective, row_losses
from spectral_nn.models.network.outputs import OUTPUTS

N_OUTPUTS = {"identity": 1, "exp": 2, "softplus": 2, "logistic": 1, "softmax": 3}
THEIR_OUTPUTS = ("identity", "exp", "logistic", "softmax")
THEIRS = ("identity", "logistic", "tanh", "relu")
RTOL = 1e-12


def problem(output, rng, n=60, d=4, n_outputs=None, dtype=np.float64):
    """Rows, targets and weights of rows."""
    q = n_outputs or N_OUTPUTS[output]
    X = rng.standard_normal((n, d)).astype(dtype)
    if output == "identity":
        Y = rng.standard_normal((n, q))
    elif output in ("exp", "softplus"):
        Y = rng.poisson(2.0, (n, q))
    elif output == "logistic":
        Y = rng.integers(0, 2, (n, q))
    else:
        Y = np.eye(q)[rng.integers(0, q, n)]
    return X, Y.astype(dtype), rng.uniform(0.2, 2.0, n).astype(dtype)


def mean_loss(network, X, Y):
    return Objective(X, Y, network).value(flatten(network))


def draw(sizes, activation, output, rng, like=None):
    network = random_network(sizes, activation, output, rng, like=like)
    vector = flatten(network)
    return unflatten(
        vector + (0.3 * rng.standard_normal(vector.shape)).astype(vector.dtype), network
    )


def small_blocks(monkeypatch):
    monkeypatch.setattr(passes, "MIN_ROWS", 7)
    monkeypatch.setattr(passes, "MAX_ROWS", 7)
    monkeypatch.setattr(passes.LibraryPasses, "rows_a_block", 7)


def backprop(network, X, Y, alpha, sample_weight):
    """Value and gradient by scikit-learn's own loss and backpropagation, at given weights."""
    losses = {"identity": "squared_error", "exp": "poisson"}
    if network.output in losses:
        model = MLPRegressor(losses[network.output], activation=network.activation, alpha=alpha)
    else:
        model = MLPClassifier(activation=network.activation, alpha=alpha)
        model.loss = "log_loss"
    model.coefs_ = [coef.copy() for coef in network.coefs]
    model.intercepts_ = [intercept.copy() for intercept in network.intercepts]
    model.n_layers_, model.out_activation_ = len(network.sizes), network.output
    n_layers = len(network.coefs)
    value, coefs, intercepts = model._backprop(
        X,
        Y,
        sample_weight,
        [X] + [None] * n_layers,
        [None] * n_layers,
        [None] * n_layers,
        [None] * n_layers,
    )
    return value, np.concatenate([part.ravel() for part in (*coefs, *intercepts)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [(5,), (6, 3), ()])
@pytest.mark.parametrize("output", THEIR_OUTPUTS)
@pytest.mark.parametrize("activation", THEIRS)
def test_value_and_gradient_are_those_of_scikit_learn(
    activation, output, hidden, weighted, rng, monkeypatch
):
    small_blocks(monkeypatch)
    X, Y, weight = problem(output, rng)
    weight = weight if weighted else None
    network = draw((4, *hidden, Y.shape[1]), activation, output, rng)
    value, gradient = Objective(X, Y, network, 0.3, weight)(flatten(network))
    expected_value, expected = backprop(network, X, Y, 0.3, weight)
    assert value == pytest.approx(expected_value, rel=RTOL)
    np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=RTOL)


def test_several_binary_outputs_are_those_of_scikit_learn(rng):
    X, Y, weight = problem("logistic", rng, n_outputs=3)
    network = draw((4, 5, 3), "tanh", "logistic", rng)
    value, gradient = Objective(X, Y, network, 0.3, weight)(flatten(network))
    expected_value, expected = backprop(network, X, Y, 0.3, weight)
    assert value == pytest.approx(expected_value, rel=RTOL)
    np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=RTOL)


def test_squared_error_of_several_outputs_has_its_own_gradient(rng):
    """scikit-learn's is that of the sum over outputs, its value the mean (issue 8349 there)."""
    X, Y, weight = problem("identity", rng, n_outputs=3)
    network = draw((4, 5, 3), "tanh", "identity", rng)
    value, gradient = Objective(X, Y, network, 0.0, weight)(flatten(network))
    expected_value, expected = backprop(network, X, Y, 0.0, weight)
    assert value == pytest.approx(expected_value, rel=RTOL)
    np.testing.assert_allclose(3 * gradient, expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("output", ["logistic", "softmax"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_of_saturated_probabilities_go_on(output, dtype, rng):
    """scikit-learn's end at the logarithm of a rounding error, where its gradient goes on."""
    X, Y, _ = problem(output, rng, dtype=dtype)
    network = draw((4, 5, Y.shape[1]), "tanh", output, rng, like=X)
    network = unflatten(300 * flatten(network), network)
    Z = network.decision(X).astype(np.float64)
    if output == "logistic":
        exact = np.logaddexp(0, np.where(Y > 0.5, -Z, Z)).sum(axis=1)
    else:
        exact = np.logaddexp.reduce(Z, axis=1) - (Y * Z).sum(axis=1)
    assert exact.max() > 40  # beyond -log(2e-16), and -log(1e-7) of float32
    value, gradient = Objective(X, Y, network)(flatten(network).astype(np.float64))
    rounding = 1e-10 if dtype == np.float64 else 1e-4
    assert value == pytest.approx(exact.mean(), rel=rounding)
    np.testing.assert_allclose(row_losses(network, X, Y), exact, rtol=rounding, atol=rounding)
    if dtype == np.float64:
        _, expected = backprop(network, X, Y, 0.0, None)
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=RTOL)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rates_that_vanish_and_rates_that_are_large(dtype, xp):
    """A softplus far below zero is the exponential, far above it is its argument."""
    Z = np.array([-700.0, -100.0, -37.0, -1.0, 0.0, 5.0, 3e4])
    targets = np.array([3.0, 0.0, 2.0, 1.0, 0.0, 4.0, 29_000.0])
    exact = np.logaddexp(0, Z)
    logs = np.where(Z < -30, Z, np.log(np.maximum(exact, 1e-300)))
    own = np.log(np.maximum(targets, 1))
    there = [xp.asarray(part[:, None].astype(dtype)) for part in (Z, targets)]
    losses, slopes = (to_numpy(part)[:, 0] for part in OUTPUTS["softplus"].losses(*there, axis=1))
    rtol = 1e-12 if dtype == np.float64 else 1e-6
    expected = targets * (own - logs) - targets + exact
    size = targets * (np.abs(own) + np.abs(logs)) + targets + exact  # what was subtracted
    assert np.all(np.abs(losses - expected) <= rtol * size + 1e-15)
    np.testing.assert_allclose(slopes[:2], [-3, 0], rtol=rtol, atol=1e-15)
    ratio = 1 / (1 + np.exp(-Z[2:])) / exact[2:]
    np.testing.assert_allclose(slopes[2:], ratio * (exact - targets)[2:], rtol=10 * rtol)
    values = to_numpy(OUTPUTS["softplus"].value(there[0], axis=1))[:, 0]
    np.testing.assert_allclose(values, exact, rtol=rtol, atol=1e-40)


@pytest.mark.parametrize("hidden", [(5,), (4, 3)])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_gradient_against_differences(activation, output, hidden, rng):
    X, Y, weight = problem(output, rng, n=12, n_outputs=3)
    network = draw((4, *hidden, 3), activation, output, rng)
    network = unflatten(0.5 * flatten(network), network)  # powers of powers stay in the open
    objective = Objective(X, Y, network, 0.2, weight)
    vector, step = flatten(network), 1e-6
    _, gradient = objective(vector)
    differences = [
        (objective.value(vector + step * unit) - objective.value(vector - step * unit)) / (2 * step)
        for unit in np.eye(vector.size)
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_libraries_agree(activation, output, xp, rng, monkeypatch):
    X, Y, weight = problem(output, rng)
    network = draw((4, 5, 3, Y.shape[1]), activation, output, rng)
    expected_value, expected = Objective(X, Y, network, 0.2, weight)(flatten(network))
    small_blocks(monkeypatch)
    there = Network(
        tuple(xp.asarray(part) for part in network.coefs),
        tuple(xp.asarray(part) for part in network.intercepts),
        activation,
        output,
    )
    objective = Objective(xp.asarray(X), xp.asarray(Y), there, 0.2, xp.asarray(weight))
    for vector in (flatten(there), flatten(network)):
        value, gradient = objective(vector)
        assert type(gradient) is type(vector)
        assert value == pytest.approx(expected_value, rel=RTOL)
        np.testing.assert_allclose(to_numpy(gradient), expected, rtol=RTOL, atol=RTOL)
    for name in ("hidden", "decision", "predict"):
        np.testing.assert_allclose(
            to_numpy(getattr(there, name)(xp.asarray(X))),
            getattr(network, name)(X),
            rtol=RTOL,
            atol=RTOL,
        )
    assert mean_loss(there, xp.asarray(X), xp.asarray(Y)) == pytest.approx(
        mean_loss(network, X, Y), rel=RTOL
    )


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows(container, rng, monkeypatch):
    small_blocks(monkeypatch)
    X, Y, weight = problem("identity", rng)
    X[rng.uniform(size=X.shape) < 0.6] = 0
    network = draw((4, 5, 1), "relu", "identity", rng)
    expected_value, expected = Objective(X, Y, network, 0.2, weight)(flatten(network))
    value, gradient = Objective(container(X), Y, network, 0.2, weight)(flatten(network))
    assert value == pytest.approx(expected_value, rel=RTOL)
    np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(
        network.predict(container(X)), network.predict(X), rtol=RTOL, atol=RTOL
    )


@pytest.mark.parametrize("output", OUTPUTS)
def test_single_precision(output, rng):
    X, Y, weight = problem(output, rng, n=3000, dtype=np.float32)
    network = draw((4, 5, Y.shape[1]), "softplus", output, rng, like=X)
    assert {part.dtype for part in (*network.coefs, *network.intercepts)} == {np.dtype("float32")}
    assert network.predict(X).dtype == np.float32
    exact = Network(
        tuple(part.astype(np.float64) for part in network.coefs),
        tuple(part.astype(np.float64) for part in network.intercepts),
        "softplus",
        output,
    )
    double = Objective(*(part.astype(np.float64) for part in (X, Y)), exact, 0.2, weight)
    value, gradient = Objective(X, Y, network, 0.2, weight)(flatten(exact))
    expected_value, expected = double(flatten(exact))
    assert gradient.dtype == np.float64
    assert value == pytest.approx(expected_value, rel=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_same_numbers_whatever_the_blocks(rng, monkeypatch):
    X, Y, weight = problem("identity", rng, n=500)
    network = draw((4, 5, 1), "relu", "identity", rng)
    whole = Objective(X, Y, network, 0.2, weight)(flatten(network))
    small_blocks(monkeypatch)
    parts = Objective(X, Y, network, 0.2, weight)(flatten(network))
    assert parts[0] == pytest.approx(whole[0], rel=RTOL)
    np.testing.assert_allclose(parts[1], whole[1], rtol=RTOL, atol=1e-14)


def test_calls_leave_no_trace(rng):
    X, Y, weight = problem("identity", rng)
    before = X.copy(), Y.copy(), weight.copy()
    network = draw((4, 5, 1), "squared_relu", "identity", rng)
    objective, vector = Objective(X, Y, network, 0.2, weight), flatten(network)
    value, gradient = objective(vector)
    kept = gradient.copy()
    assert objective.value(vector) == value
    objective(2 * vector)
    objective.on_rows(vector, slice(0, 3))
    np.testing.assert_array_equal(gradient, kept)
    np.testing.assert_array_equal(objective(vector)[1], kept)
    for now, then in zip((X, Y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_read_only_data(rng):
    X, Y, weight = problem("identity", rng)
    network = draw((4, 5, 1), "relu", "identity", rng)
    expected = Objective(X, Y, network, 0.2, weight)(flatten(network))
    vector = flatten(network)
    for array in (X, Y, weight, vector):
        array.flags.writeable = False
    value, gradient = Objective(X, Y, network, 0.2, weight)(vector)
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_fortran_order(rng):
    X, Y, _ = problem("identity", rng, n_outputs=2)
    network = draw((4, 5, 2), "relu", "identity", rng)
    expected = Objective(X, Y, network)(flatten(network))
    value, gradient = Objective(np.asfortranarray(X), np.asfortranarray(Y), network)(
        flatten(network)
    )
    assert value == pytest.approx(expected[0], rel=RTOL)
    np.testing.assert_allclose(gradient, expected[1], rtol=RTOL, atol=1e-14)


def test_some_rows_are_an_objective_of_their_own(xp, rng):
    X, Y, weight = problem("identity", rng)
    network = draw((4, 5, 1), "tanh", "identity", rng)
    there = unflatten(
        flatten(network), random_network((4, 5, 1), "tanh", "identity", rng, like=xp.asarray(X))
    )
    objective = Objective(xp.asarray(X), xp.asarray(Y), there, 0.2, xp.asarray(weight))
    chosen = np.array([3, 1, 40, 41])
    for rows, theirs in ((chosen, xp.asarray(chosen)), (slice(5, 20), slice(5, 20))):
        expected = Objective(X[rows], Y[rows], network, 0.2, weight[rows])(flatten(network))
        value, gradient = objective.on_rows(flatten(there), theirs)
        assert value == pytest.approx(expected[0], rel=RTOL)
        np.testing.assert_allclose(to_numpy(gradient), expected[1], rtol=RTOL, atol=1e-14)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_loss_that_is_not_finite_is_returned_silently(output, rng):
    X, Y, _ = problem(output, rng)
    network = draw((4, 5, Y.shape[1]), "relu", output, rng)
    assert np.isnan(Objective(X, Y, network)(np.nan * flatten(network))[0])
    if output == "identity":
        assert Objective(X, Y, network)(1e100 * flatten(network))[0] == np.inf


def test_predictions_are_those_of_scikit_learn(rng):
    X = rng.standard_normal((50, 4))
    classes = rng.integers(0, 3, 50)
    three = MLPClassifier(hidden_layer_sizes=(6, 5), solver="sgd", max_iter=1, random_state=0)
    two = MLPClassifier(hidden_layer_sizes=(6,), solver="sgd", max_iter=1, random_state=0)
    numbers = MLPRegressor(hidden_layer_sizes=(6,), solver="sgd", max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        three.fit(X, classes)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        two.fit(X, classes > 0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        numbers.fit(X, classes.astype(float))
    for model in (three, two, numbers):
        network = Network(
            tuple(model.coefs_), tuple(model.intercepts_), "relu", model.out_activation_
        )
        expected = model.predict(X) if model is numbers else model.predict_proba(X)
        predicted = network.predict(X)
        np.testing.assert_allclose(
            predicted if predicted.shape[1] == 3 else predicted[:, 0],
            expected if model is not two else expected[:, 1],
            rtol=RTOL,
        )
    targets = label_binarize(classes, classes=[0, 1, 2])
    assert three.loss_ >= mean_loss(
        Network(tuple(three.coefs_), tuple(three.intercepts_), "relu", "softmax"), X, targets
    )


def test_predictions_pass_in_blocks(rng, monkeypatch):
    from spectral_nn.models.network import dense

    X, _, _ = problem("softmax", rng)
    network = draw((4, 5, 3), "relu", "softmax", rng)
    whole = network.predict(X), network.hidden(X)
    monkeypatch.setattr(dense, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(network.predict(X), whole[0], rtol=RTOL)
    np.testing.assert_allclose(network.hidden(X), whole[1], rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("activation", THEIRS)
def test_random_start_is_that_of_scikit_learn(activation):
    random_state = np.random.RandomState(3)
    X = random_state.standard_normal((20, 4))
    model = MLPRegressor(
        hidden_layer_sizes=(6, 5),
        activation=activation,
        solver="sgd",
        learning_rate_init=1e-300,
        max_iter=1,
        random_state=7,
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, X[:, 0])
    network = random_network(
        (4, 6, 5, 1),
        activation,
        "identity",
        np.random.RandomState(7),
    )
    for mine, theirs in zip(network.coefs, model.coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(network.intercepts, model.intercepts_, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_flatten_and_back(xp, rng):
    network = random_network((4, 6, 5, 2), "erf", "softmax", rng, like=xp.asarray([1.0]))
    vector = flatten(network)
    assert vector.shape == (4 * 6 + 6 * 5 + 5 * 2 + 6 + 5 + 2,)
    again = unflatten(vector, network)
    assert (again.activation, again.output, again.sizes) == ("erf", "softmax", (4, 6, 5, 2))
    for mine, theirs in zip(network.coefs, again.coefs, strict=True):
        np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs))
    for mine, theirs in zip(network.intercepts, again.intercepts, strict=True):
        np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs))
    vector[...] = 0.0
    assert float(xp.sum(xp.abs(again.coefs[0]))) > 0


def test_errors_name_what_is_wrong(rng):
    network = random_network((4, 5, 1), "relu", "identity", rng)
    X, Y = np.zeros((3, 4)), np.zeros((3, 1))
    with pytest.raises(ValueError, match="activation='sine' is unknown"):
        Network(network.coefs, network.intercepts, "sine", "identity")
    with pytest.raises(ValueError, match="output='sine' is unknown"):
        Network(network.coefs, network.intercepts, "relu", "sine")
    with pytest.raises(ValueError, match="each layer must take the last one's"):
        Network(network.coefs[::-1], network.intercepts, "relu", "identity")
    with pytest.raises(ValueError, match="one intercept an output"):
        Network(network.coefs, network.intercepts[::-1], "relu", "identity")
    for bad_X, bad_Y in ((X[:, :3], Y), (X, Y[:, 0]), (X[:2], Y)):
        with pytest.raises(ValueError, match=r"needs \(n, 4\) and \(n, 1\)"):
            Objective(bad_X, bad_Y, network)
    with pytest.raises(ValueError, match=r"one number a row: \(3,\)"):
        Objective(X, Y, network, sample_weight=np.ones(2))
    with pytest.raises(ValueError, match="has 31 parameters"):
        Objective(X, Y, network)(np.zeros(30))
