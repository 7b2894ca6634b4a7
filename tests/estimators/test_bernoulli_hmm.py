"""Several binary marks at once: the law by brute force, the fit by recovery."""

from itertools import product

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import bernoulli
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from spectral_estimators import BernoulliHMM, CategoricalHMM, Sequences, SequenceStream
from spectral_nn.data import Sequences as Rows
from spectral_nn.emissions.bernoulli import BernoulliEmission
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.parameters import HMMParameters
from tests.oracles import expected_by_enumeration, random_hmm

PROBS = np.array([[0.9, 0.1, 0.1, 0.5], [0.1, 0.8, 0.2, 0.5], [0.1, 0.3, 0.9, 0.1]])


def planted_model():
    model = BernoulliHMM(3)
    model.startprob_ = np.full(3, 1 / 3)
    model.transmat_ = 0.9 * np.eye(3) + 0.1 / 3
    model.emissionprob_ = PROBS
    return model


def planted(n, seed=0):
    """Rows, states, and the model that they were drawn from."""
    model = planted_model()
    return *model.sample(n, random_state=seed), model


@pytest.fixture(scope="module")
def fitted():
    X, states, truth = planted(6000)
    return X, states, truth, BernoulliHMM(3, random_state=0).fit(X)


def order_of(model):
    """Places of the planted states."""
    return model.emissionprob_[:, :3].argmax(axis=0)


def pmf(x, probs=PROBS):
    """Likelihoods (n, K) by SciPy; of what is not missing."""
    each = bernoulli.pmf(np.nan_to_num(x)[:, None, :], probs)
    return np.where(np.isnan(x)[:, None, :], 1, each).prod(axis=2)


def likelihoods(law, x):
    return np.exp(law.log_likelihoods(x))


# -- the law ---------------------------------------------------------------------------------------


def test_likelihoods_are_scipys_and_sum_to_one():
    x = np.array(list(product([0.0, 1.0], repeat=4)))
    found = likelihoods(BernoulliEmission(PROBS), x)
    assert_allclose(found, pmf(x), rtol=1e-12)
    assert_allclose(found.sum(axis=0), 1)


def test_what_is_missing_is_summed_over():
    """The marginal likelihood is the sum over both values of each missing entry."""
    law = BernoulliEmission(PROBS)
    x = np.array([[1, np.nan, 0, 1], [np.nan, np.nan, 1, np.nan], [np.nan] * 4])
    for row, found in zip(x, likelihoods(law, x), strict=True):
        values = [[0.0, 1.0] if np.isnan(v) else [v] for v in row]
        assert_allclose(found, pmf(np.array(list(product(*values)))).sum(axis=0), rtol=1e-12)


def test_probabilities_of_zero_and_one():
    probs = np.array([[0.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
    x = np.array([[0.0, 1], [1, 0], [1, 1], [np.nan, 1]])
    law = BernoulliEmission(probs)
    assert_allclose(likelihoods(law, x), [[1, 0, 0], [0, 0.5, 0], [0, 0.5, 0], [1, 0.5, 0]])
    assert law.log_prior() == 0


def test_m_step_is_the_mode(rng):
    """Of expected log-likelihood and prior: nudging any probability lowers it."""
    x = (rng.random((40, 4)) < 0.4).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    mass = rng.dirichlet(np.ones(3), 40)
    pseudo = np.array([0.5, 2.0])
    law = BernoulliEmission(PROBS)

    def value(law):
        return np.sum(mass * np.log(likelihoods(law, x))) + law.log_prior(pseudo)

    best = law.maximise(law.gather(x, mass), pseudo)
    for k, j in product(range(3), range(4)):
        for step in (-0.01, 0.01):
            nudged = best.probs.copy()
            nudged[k, j] += step
            assert value(BernoulliEmission(nudged)) < value(best)


def test_a_state_without_mass_keeps_its_probabilities():
    law = BernoulliEmission(PROBS)
    found = law.maximise(law.gather(np.array([[1, np.nan, 0, 1]]), np.array([[1.0, 0, 0]])))
    assert_allclose(found.probs, [[1, 0.1, 0, 1], *PROBS[1:]])


def test_relaxation_goes_further_and_stays_a_probability():
    old, new = BernoulliEmission(PROBS), BernoulliEmission(0.5 * PROBS + 0.25)
    assert_allclose(old.relax(new, 1.0).probs, new.probs)
    further = old.relax(new, 2.0).probs
    assert (abs(further - PROBS) >= abs(new.probs - PROBS)).all()
    assert ((further > 0) & (further < 1)).all()


@pytest.mark.parametrize("labelled", [False, True])
def test_e_and_m_steps_are_sums_over_all_paths(rng, labelled):
    start, trans, _ = random_hmm(3, 2, rng)
    x = (rng.random((9, 4)) < 0.5).astype(float)
    x[2, 1], x[5, 1:], x[7] = np.nan, np.nan, np.nan
    offsets = np.array([0, 4, 9])
    labels = np.array([-1, 2, -1, -1, 0, -1, -1, 1, -1])
    mask = (labels[:, None] < 0) | (labels[:, None] == np.arange(3)) if labelled else 1
    log_likelihood, gamma, xi = expected_by_enumeration(start, trans, pmf(x) * mask, offsets)
    law = BernoulliEmission(PROBS)
    rows = Rows(np.column_stack([x, labels]) if labelled else x, offsets)
    found = expect_exact(HMMParameters(start, trans, law), rows, labelled=labelled)
    ones, zeros = gamma.T @ (x == 1), gamma.T @ (x == 0)
    assert_allclose(found.log_likelihood, log_likelihood, rtol=1e-12)
    assert_allclose(found.trans, xi, rtol=1e-10)
    assert_allclose(found.emission, np.stack([ones, zeros], axis=-1), rtol=1e-10)

    model = BernoulliHMM(3, init_params="", n_iter=1, missing=np.nan, dtype="float64")
    model.startprob_, model.transmat_, model.emissionprob_ = start, trans, PROBS
    model.fit(x, y=labels if labelled else None, lengths=[4, 5])
    assert_allclose(model.startprob_, gamma[offsets[:-1]].mean(axis=0), rtol=1e-10)
    assert_allclose(model.transmat_, xi / xi.sum(axis=1, keepdims=True), rtol=1e-10)
    assert_allclose(model.emissionprob_, ones / (ones + zeros), rtol=1e-10)


def test_one_column_is_a_model_of_two_symbols():
    X, _, _ = planted(500, 1)
    marks, symbols = planted_model(), CategoricalHMM(3, emissionprob_prior=1.0)
    for model in (marks, symbols):
        model.set_params(init_params="", n_iter=3, tol=-np.inf)
        model.startprob_, model.transmat_ = marks.startprob_, marks.transmat_
    p = PROBS[:, :1]
    marks.emissionprob_, symbols.emissionprob_ = p, np.append(1 - p, p, axis=1)
    marks.fit(X[:, 0])
    symbols.fit(X[:, 0])
    assert_allclose(marks.monitor_.history, symbols.monitor_.history, rtol=1e-10)
    assert_allclose(marks.emissionprob_[:, 0], symbols.emissionprob_[:, 1], rtol=1e-8)


# -- the fit ---------------------------------------------------------------------------------------


def test_planted_probabilities_and_states_are_found(fitted):
    X, states, truth, model = fitted
    order = order_of(model)
    assert_allclose(model.emissionprob_[order], PROBS, atol=0.04)
    assert_allclose(model.transmat_[np.ix_(order, order)], truth.transmat_, atol=0.03)
    assert np.mean(np.argsort(order)[model.predict(X)] == states) > 0.9
    assert model.score(X) >= truth.score(X)
    assert model.n_features == model.n_features_in_ == 4


@pytest.mark.parametrize("init", ["kmeans", "random"])
def test_single_starts_are_not_caught_in_zeros(fitted, init):
    """Clusters of rows have columns without a one; the probability must be able to leave zero."""
    X, _, _, model = fitted
    one = BernoulliHMM(3, init=init, random_state=0, n_iter=300).fit(X)
    assert one.score(X) > model.score(X) - 1


def test_marks_that_are_always_or_never_there():
    X, _, _ = planted(2000, 2)
    X = np.column_stack([X, np.zeros(2000, int), np.ones(2000, int)])
    model = BernoulliHMM(3, random_state=0).fit(X)
    assert_array_equal(model.emissionprob_[:, 4:], np.tile([0, 1], (3, 1)))
    assert_allclose(model.emissionprob_[order_of(model), :4], PROBS, atol=0.08)
    assert np.isfinite(model.score(X))
    X[7, 4] = 1
    assert np.isneginf(model.score(X))


def test_moments_alone_are_close():
    X, _, _ = planted(20_000, 3)
    model = BernoulliHMM(3, n_iter=0, random_state=0).fit(X)
    assert model.monitor_.history == []
    assert_allclose(model.emissionprob_[order_of(model)], PROBS, atol=0.12)


def test_booleans_and_floats_are_numbers(fitted):
    X, _, _, model = fitted
    for form in (X.astype(bool), X.astype(float), [list(map(list, X.tolist()))]):
        assert model.score(form) == model.score(X)


def test_what_comes_next_and_draws(fitted):
    X, _, _, model = fitted
    state = model.predict_proba(X[:50])[-1] @ model.transmat_
    assert_allclose(model.predict_next(X[:50]), state @ model.emissionprob_)
    drawn, states = model.sample(20_000, random_state=0)
    assert set(np.unique(drawn)) == {0, 1}
    for k in range(3):
        assert_allclose(drawn[states == k].mean(axis=0), model.emissionprob_[k], atol=0.03)
    assert model.sample(5, prefix=X[:10])[0].shape == (5, 4)


def test_all_forms_of_the_same_data(fitted):
    X, _, _, model = fitted
    lists = [X[:3000], X[3000:]]
    few = clone(model).set_params(n_init=4, n_iter=5)
    base = clone(few).fit(X, [3000, 3000])
    for form in (lists, Sequences.from_list(lists), np.stack(lists), SequenceStream(lists)):
        again = clone(few).fit(form)
        assert_allclose(again.emissionprob_, base.emissionprob_, rtol=1e-9)
        assert_allclose(again.score(form), base.score(X, [3000, 3000]), rtol=1e-10)


def test_workers_change_no_bit(fitted):
    X, _, _, model = fitted
    with joblib.parallel_config("loky", n_jobs=2):
        again = clone(model).fit(X)
    assert_array_equal(again.emissionprob_, model.emissionprob_)
    assert again.monitor_.history == model.monitor_.history


def test_labels_name_the_states():
    X, states, _ = planted(3000, 4)
    y = np.where(np.arange(3000) % 4 == 0, states, -1)
    model = BernoulliHMM(3, random_state=0).fit(X, y)
    assert_allclose(model.emissionprob_, PROBS, atol=0.06)


def test_missing_entries_and_rows(fitted):
    X, _, _, _ = fitted
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    model = BernoulliHMM(3, random_state=0, missing=-1).fit(np.where(holes, -1, X))
    assert_allclose(model.emissionprob_[order_of(model)], PROBS, atol=0.06)
    masked = BernoulliHMM(3, random_state=0).fit(np.ma.masked_array(X, holes))
    assert_allclose(masked.emissionprob_, model.emissionprob_)
    nan = BernoulliHMM(3, random_state=0, missing=np.nan).fit(np.where(holes, np.nan, X))
    assert_allclose(nan.emissionprob_, model.emissionprob_)


def test_priors_pull_and_leave_given_zeros_and_ones():
    X = np.array([[1, 0], [1, 0], [0, 0]])
    assert_allclose(BernoulliHMM(1).fit(X).emissionprob_, [[2 / 3, 0]])
    both = BernoulliHMM(1, emissionprob_prior=2.0).fit(X)
    assert_allclose(both.emissionprob_, [[3 / 5, 1 / 5]])
    pair = BernoulliHMM(1, emissionprob_prior=(2.0, 5.0)).fit(X)
    assert_allclose(pair.emissionprob_, [[3 / 8, 1 / 8]])
    kept = BernoulliHMM(1, emissionprob_prior=(2.0, 5.0), init_params="st")
    kept.emissionprob_ = [[0.5, 0.0]]
    assert_allclose(kept.fit(X).emissionprob_, [[3 / 8, 0]])
    kept.emissionprob_ = [[0.5, 1.0]]
    kept.fit(1 - X)
    assert_allclose(kept.emissionprob_, [[2 / 8, 1]])
    assert np.isfinite(kept.monitor_.history).all()


def test_a_prior_of_what_stays_is_not_in_the_objective():
    X, _, _ = planted(300, 5)
    model = planted_model().set_params(
        init_params="", params="st", emissionprob_prior=3.0, n_iter=1
    )
    expected = model.score(X)
    model.fit(X)
    assert_allclose(model.monitor_.history[0], expected, rtol=1e-9)
    assert_array_equal(model.emissionprob_, PROBS)


def test_number_of_states_is_found():
    X, _, _ = planted(6000, 6)
    settings = {"emissionprob_prior": (1.5, 1.5), "n_init": 4, "n_iter": 30}
    model = BernoulliHMM("auto", random_state=0, **settings).fit(X)
    assert model.n_components_ in (3, 4)  # a gain of one standard error may be chance


def test_parameters_are_counted(fitted):
    X, _, _, model = fitted
    assert_allclose(model.aic(X), -2 * model.score(X) + 2 * (2 + 6 + 12), rtol=1e-12)


def test_cross_validation_of_sequences():
    X, _, _ = planted(1200, 7)
    sequences = Sequences.from_list(np.split(X, 6))
    assert np.isfinite(cross_val_score(BernoulliHMM(2, random_state=0), sequences, cv=3)).all()


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.array([[1, 0], [0, 2]]), "X\\[1\\] is 2.0 in column 1, but marks are 0 or 1"),
        (np.array([[1, 0], [0.5, 0]]), "X\\[1\\] is 0.5 in column 0"),
        (np.array([[1, 0], [0, -1]]), "Negative values in data: X\\[1\\] is -1.0"),
        (np.array([[1, np.nan]]), "NaN"),
        (np.ma.masked_all((4, 2), dtype=int), "Every one of the 4 observations in X is missing"),
        (np.zeros((3, 0)), "0 feature"),
        (np.array([["a", "b"]]), "numbers"),
    ],
)
def test_bad_marks(X, words):
    model = BernoulliHMM(1)
    with pytest.raises(ValueError, match=words):
        model.fit(X)
    assert not hasattr(model, "emissionprob_")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"emissionprob_prior": 0.0}, "emissionprob_prior"),
        ({"emissionprob_prior": (1.0, -1.0)}, "emissionprob_prior holds -1.0"),
        ({"emissionprob_prior": (1.0, 2.0, 3.0)}, "emissionprob_prior must be a number or"),
        ({"params": "stl"}, "params may contain 's' \\(startprob\\)"),
        ({"init": "spectral-clustering"}, "init"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        BernoulliHMM(2, **settings).fit(np.array([[1, 0], [0, 1], [1, 1]]))


@pytest.mark.parametrize(
    ("probs", "words"),
    [
        ([[0.5, 1.5]] * 3, "from 0 to 1"),
        ([[0.5, np.nan]] * 3, "from 0 to 1"),
        ([[0.5, 0.5]] * 2, "emissionprob_ must have shape \\(3, n_features\\)"),
        ([0.5, 0.5, 0.5], "emissionprob_ must have shape"),
    ],
)
def test_bad_probabilities(probs, words):
    model = planted_model()
    model.emissionprob_ = probs
    with pytest.raises(ValueError, match=words):
        model.score(np.array([[1, 0]]))


def test_other_columns_are_refused(fitted):
    _, _, _, model = fitted
    with pytest.raises(ValueError, match="3 features, but BernoulliHMM is expecting 4"):
        model.score(np.zeros((4, 3)))
    kept = BernoulliHMM(3, init_params="st")
    kept.emissionprob_ = PROBS
    with pytest.raises(ValueError, match=r"X has 3 features, .* init_params='st' .* of 4"):
        kept.fit(np.zeros((4, 3)))
