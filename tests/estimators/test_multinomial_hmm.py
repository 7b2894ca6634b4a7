"""Counts of categories: the law by brute force, the fit by recovery, and hmmlearn's own tests."""

import importlib
from itertools import product

import joblib
import numpy as np
import pytest
from hmmlearn import hmm as rivals
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multinomial
from sklearn.base import clone

from spectral_estimators import MultinomialHMM, Sequences, SequenceStream
from spectral_nn.data import Sequences as Rows
from spectral_nn.emissions.multinomial import MultinomialEmission
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.parameters import HMMParameters
from tests.oracles import expected_by_enumeration, random_hmm

PROBS = np.array([[0.6, 0.2, 0.1, 0.1], [0.1, 0.5, 0.3, 0.1], [0.1, 0.1, 0.2, 0.6]])
N_TRIALS = 6


def planted(n, seed=0, n_trials=N_TRIALS):
    """Rows, states, and hmmlearn's model that they were drawn from."""
    model = rivals.MultinomialHMM(3, n_trials)
    model.startprob_ = np.full(3, 1 / 3)
    model.transmat_ = 0.9 * np.eye(3) + 0.1 / 3
    model.emissionprob_ = PROBS
    return *model.sample(n, random_state=seed), model


@pytest.fixture(scope="module")
def fitted():
    X, states, truth = planted(5000)
    return X, states, truth, MultinomialHMM(3, N_TRIALS, random_state=0).fit(X)


def order_of(model):
    """Places of the planted states."""
    return model.emissionprob_[:, [0, 1, 3]].argmax(axis=0)


def marginal(row, probs, n_trials):
    """Sum over all whole rows that agree with what is there: brute force."""
    total = np.zeros(len(probs))
    for whole in product(range(n_trials + 1), repeat=len(row)):
        agrees = np.isnan(row) | (row == np.array(whole))
        if sum(whole) == n_trials and agrees.all():
            total += multinomial.pmf(whole, n_trials, probs)
    return total


HOLES = np.array(
    [
        [1, np.nan, 2, 0],
        [np.nan, 1, np.nan, 3],
        [np.nan, np.nan, np.nan, 0],
        [np.nan] * 4,
        [4, 1, 1, 0],
        [0, np.nan, np.nan, 0],
    ]
)


# -- the law ---------------------------------------------------------------------------------------


def test_likelihoods_are_scipys(rng):
    n = rng.integers(0, 9, 40)
    x = rng.multinomial(n, [0.3, 0.3, 0.2, 0.2]).astype(float)
    expected = np.stack([multinomial.logpmf(x, n, p) for p in PROBS], axis=1)
    assert_allclose(MultinomialEmission(PROBS).log_likelihoods(x), expected, rtol=1e-12, atol=1e-14)


def test_likelihoods_of_rows_with_holes_are_marginal():
    found = MultinomialEmission(PROBS, N_TRIALS).log_likelihoods(HOLES)
    expected = np.array([marginal(row, PROBS, N_TRIALS) for row in HOLES])
    assert_allclose(np.exp(found), expected, rtol=1e-12)
    assert_allclose(expected[3], 1)


def test_zeros_make_counts_impossible():
    probs = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    x = np.array([[0.0, 2, 0], [1, 0, 1], [1, 1, 0], [np.nan, np.nan, 0], [np.nan, 2, np.nan]])
    law = MultinomialEmission(probs, 2)
    expected = [[1, 0], [0, 0.5], [0, 0], [1, 0.25], [1, 0]]
    assert_allclose(np.exp(law.log_likelihoods(x)), expected)
    mass = np.array([[1.0, 0], [0, 1], [0, 0], [0.8, 0.2], [1, 0]])
    sums = law.gather(x, mass)
    assert_allclose(sums, [[0, 2 + 1.6 + 2, 0], [1 + 0.4, 0, 1]])


def test_m_step_is_the_mode(rng):
    """Of expected log-likelihood and prior: nudging any row of probabilities lowers it."""
    x = rng.multinomial(5, PROBS[0], 30).astype(float)
    mass = rng.dirichlet(np.ones(3), 30)
    pseudo = np.array([0.5, 1.0, 0.0, 2.0])
    law = MultinomialEmission(PROBS)

    def value(law):
        return np.sum(mass * law.log_likelihoods(x)) + law.log_prior(pseudo)

    best = law.maximise(law.gather(x, mass), pseudo)
    for k, j in product(range(3), range(4)):
        for factor in (0.99, 1.01):
            nudged = best.probs.copy()
            nudged[k, j] *= factor
            nudged[k] /= nudged[k].sum()
            assert value(MultinomialEmission(nudged)) < value(best)


def test_a_state_without_mass_keeps_its_probabilities():
    law = MultinomialEmission(PROBS, 5)
    found = law.maximise(law.gather(np.array([[5.0, 0, 0, 0]]), np.array([[1.0, 0, 0]])))
    assert_allclose(found.probs, [[1, 0, 0, 0], *PROBS[1:]])


def test_draws_have_the_moments_of_the_law(rng):
    law = MultinomialEmission(PROBS, 5)
    for generator in (rng, np.random.RandomState(0)):
        drawn = law.sample(np.repeat([0, 2], 20_000), generator).reshape(2, 20_000, 4)
        assert (drawn.sum(axis=2) == 5).all()
        for x, p in zip(drawn, PROBS[[0, 2]], strict=True):
            assert_allclose(x.mean(axis=0), 5 * p, atol=0.05)
            assert_allclose(np.cov(x.T), multinomial.cov(5, p), atol=0.05)


def test_features_are_as_far_apart_as_hellinger_says():
    x = np.array([[4.0, 0, 0, 0], [0, 4, 0, 0], [1, 1, 1, 1]])
    z = MultinomialEmission(PROBS).features(x)
    assert_allclose(((z[:, None] - z) ** 2).sum(axis=2), [[0, 2, 1], [2, 0, 1], [1, 1, 0]])
    assert np.isfinite(MultinomialEmission(PROBS).features(np.zeros((1, 4)))).all()


@pytest.mark.parametrize("n_trials", [None, 3])
def test_e_and_m_steps_are_sums_over_all_paths(rng, n_trials):
    """With holes an M-step counts the expectation of what is missing, itself by enumeration."""
    start, trans, _ = random_hmm(3, 2, rng)
    x = rng.multinomial(3, [0.25] * 4, 9).astype(float)
    x[4] = np.nan
    if n_trials:
        x[2, 1], x[6, :2], x[7, 1:] = np.nan, np.nan, np.nan
    offsets = np.array([0, 4, 9])
    law = MultinomialEmission(PROBS, n_trials)
    whole = np.array([w for w in product(range(4), repeat=4) if sum(w) == 3])
    pmf = np.stack([multinomial.pmf(whole, 3, p) for p in PROBS], axis=1)
    agrees = (np.isnan(x)[:, None] | (x[:, None] == whole)).all(axis=2)
    table = agrees @ pmf
    completed = (agrees[:, :, None] * pmf).transpose(0, 2, 1) @ whole / table[:, :, None]
    completed[4] = 0  # of which nothing is known
    log_likelihood, gamma, xi = expected_by_enumeration(start, trans, table, offsets)
    found = expect_exact(HMMParameters(start, trans, law), Rows(x, offsets))
    sums = np.einsum("nk,nkj->kj", gamma, completed)
    assert_allclose(found.log_likelihood, log_likelihood, rtol=1e-12)
    assert_allclose(found.trans, xi, rtol=1e-10)
    assert_allclose(found.emission, sums, rtol=1e-10)

    model = MultinomialHMM(3, n_trials, init_params="", n_iter=1, missing=np.nan, dtype="float64")
    model.startprob_, model.transmat_, model.emissionprob_ = start, trans, PROBS
    model.fit(x, lengths=[4, 5])
    assert_allclose(model.startprob_, gamma[offsets[:-1]].mean(axis=0), rtol=1e-10)
    assert_allclose(model.transmat_, xi / xi.sum(axis=1, keepdims=True), rtol=1e-10)
    assert_allclose(model.emissionprob_, sums / sums.sum(axis=1, keepdims=True), rtol=1e-10)


# -- the fit ---------------------------------------------------------------------------------------


def test_planted_probabilities_and_states_are_found(fitted):
    X, states, truth, model = fitted
    order = order_of(model)
    assert_allclose(model.emissionprob_[order], PROBS, atol=0.02)
    assert_allclose(model.transmat_[np.ix_(order, order)], truth.transmat_, atol=0.03)
    assert np.mean(np.argsort(order)[model.predict(X)] == states) > 0.93
    assert model.score(X) >= truth.score(X)


def test_inference_is_hmmlearns(fitted):
    X, _, _, model = fitted
    theirs = rivals.MultinomialHMM(3, N_TRIALS)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        setattr(theirs, name, getattr(model, name))
    lengths = [1000, 4000]
    expected, gamma = theirs.score_samples(X, lengths)
    found, posterior = model.score_samples(X, lengths)
    assert_allclose(found, expected, rtol=1e-12)
    assert_allclose(posterior, gamma, atol=1e-9)
    assert_array_equal(model.predict(X, lengths), theirs.predict(X, lengths))
    assert_allclose(model.aic(X, lengths), theirs.aic(X, lengths), rtol=1e-12)
    assert_allclose(model.bic(X, lengths), theirs.bic(X, lengths), rtol=1e-12)


@pytest.mark.parametrize("n_trials", [None, N_TRIALS])
def test_an_em_step_is_hmmlearns(n_trials):
    X, _, truth = planted(800, 1)
    if n_trials is None:
        X[::2] *= 2
    ours = MultinomialHMM(3, n_trials, init_params="", n_iter=1, dtype="float64")
    theirs = rivals.MultinomialHMM(3, n_trials, init_params="", n_iter=1, implementation="scaling")
    for model in (ours, theirs):
        model.startprob_, model.transmat_ = np.array([0.2, 0.3, 0.5]), truth.transmat_
        model.emissionprob_ = 0.7 * PROBS + 0.3 * PROBS[[1, 2, 0]]
        model.fit(X, [300, 500])
    for name in ("startprob_", "transmat_", "emissionprob_"):
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12)


def test_moments_alone_are_close():
    X, _, _ = planted(20_000, 2)
    model = MultinomialHMM(3, n_iter=0, random_state=0).fit(X)
    assert model.monitor_.history == []
    assert_allclose(model.emissionprob_[order_of(model)], PROBS, atol=0.08)


def test_what_comes_next_and_draws(fitted):
    X, _, _, model = fitted
    state = model.predict_proba(X[:50])[-1] @ model.transmat_
    assert_allclose(model.predict_next(X[:50]), N_TRIALS * state @ model.emissionprob_)
    shares = clone(model).set_params(n_trials=None)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        setattr(shares, name, getattr(model, name))
    assert_allclose(shares.predict_next(X[:50]), state @ model.emissionprob_)
    assert model.sample(5, prefix=X[:10])[0].sum(axis=1).tolist() == [N_TRIALS] * 5
    with pytest.raises(ValueError, match="n_trials is not one number"):
        shares.sample(3)


def test_all_forms_of_the_same_data(fitted):
    X, _, _, model = fitted
    lists = [X[:2500], X[2500:]]
    few = clone(model).set_params(n_init=4, n_iter=5)
    base = clone(few).fit(X, [2500, 2500])
    for form in (lists, Sequences.from_list(lists), np.stack(lists), SequenceStream(lists)):
        again = clone(few).fit(form)
        assert_allclose(again.emissionprob_, base.emissionprob_, rtol=1e-9, atol=1e-12)
        assert_allclose(again.score(form), base.score(X, [2500, 2500]), rtol=1e-10)


def test_workers_change_no_bit(fitted):
    X, _, _, model = fitted
    with joblib.parallel_config("loky", n_jobs=2):
        again = clone(model).fit(X)
    assert_array_equal(again.emissionprob_, model.emissionprob_)
    assert again.monitor_.history == model.monitor_.history


def test_labels_name_the_states():
    X, states, _ = planted(2000, 3)
    y = np.where(np.arange(2000) % 4 == 0, states, -1)
    model = MultinomialHMM(3, N_TRIALS, random_state=0).fit(X, y)
    assert_allclose(model.emissionprob_, PROBS, atol=0.03)


def test_missing_entries_are_exact_where_sums_are_known(fitted):
    X, _, _, _ = fitted
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    model = MultinomialHMM(3, N_TRIALS, random_state=0, missing=-1).fit(np.where(holes, -1, X))
    assert_allclose(model.emissionprob_[order_of(model)], PROBS, atol=0.03)
    few = MultinomialHMM(3, N_TRIALS, random_state=0, n_init=2, n_iter=3, missing=-1)
    named, masked = few.fit(np.where(holes, -1, X)), clone(few).set_params(missing=None)
    masked.fit(np.ma.masked_array(X, holes))
    assert_allclose(masked.emissionprob_, named.emissionprob_)


def test_a_row_of_unknown_sum_is_missing_with_any_of_its_entries(fitted):
    X, _, _, model = fitted
    given = clone(model).set_params(n_trials=None, missing=-1)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        setattr(given, name, getattr(model, name))
    holes, gone = X[:200].copy(), X[:200].copy()
    holes[::3, 1], gone[::3] = -1, -1
    assert given.score(holes) == given.score(gone)
    assert given.bic(holes) == given.bic(gone)
    with pytest.raises(ValueError, match="Every one of the 200 observations in X is missing"):
        clone(given).fit(np.where([True, False, False, False], -1, X[:200]))


def test_each_row_may_have_its_own_sum(fitted):
    X = fitted[0].copy()
    X[::2] *= 3
    free = MultinomialHMM(3, random_state=0).fit(X)
    told = MultinomialHMM(3, X.sum(axis=1), random_state=0).fit(X)
    assert_array_equal(told.emissionprob_, free.emissionprob_)
    lists = MultinomialHMM(3, X.sum(axis=1), random_state=0).fit([X[:999], X[999:]])
    found, expected = (np.sort(one.emissionprob_, axis=0) for one in (lists, free))
    assert_allclose(found, expected, atol=1e-3)  # states come in any order
    with pytest.raises(ValueError, match="n_trials is not one number"):
        told.sample(3)


def test_prior_pulls_and_leaves_given_zeros():
    X = np.array([[3, 1, 0], [2, 2, 0]])
    assert_allclose(MultinomialHMM(1).fit(X).emissionprob_, [[5 / 8, 3 / 8, 0]])
    pulled = MultinomialHMM(1, emissionprob_prior=2.0)
    assert_allclose(pulled.fit(X).emissionprob_, [[6 / 11, 4 / 11, 1 / 11]])
    kept = MultinomialHMM(1, emissionprob_prior=2.0, init_params="st")
    kept.emissionprob_ = [[0.5, 0.5, 0.0]]
    assert_allclose(kept.fit(X).emissionprob_, [[6 / 10, 4 / 10, 0]])
    assert np.isfinite(kept.monitor_.history).all()


def test_parameters_are_counted():
    assert MultinomialEmission(PROBS).n_parameters == 9


@pytest.mark.parametrize(
    ("X", "n_trials", "words"),
    [
        (np.array([[1, 2], [-2, 5]]), None, "X\\[1\\] is -2.0 in column 0, but counts are whole"),
        (np.array([[1, 2], [2.5, 0.5]]), None, "X\\[1\\] is 2.5"),
        (np.array([[1, 2], [np.nan, 2]]), None, "NaN"),
        (np.array([[1, 2], [2, 2]]), 3, "X\\[1\\] has 4 trials in all, but n_trials says 3"),
        (np.array([[1, 2], [2, 2]]), [3, 3], "X\\[1\\] has 4 trials in all, but n_trials says 3"),
        (np.array([[1, 2], [2, 2]]), [3, 5], "X\\[1\\] has 4 trials in all, but n_trials says 5"),
        (np.array([[1, 2], [2, 2]]), [3, 4, 5], "n_trials has 3 entries, but X has 2 rows"),
        ([np.array([[1, 2]]), np.array([[2, 2]])], 3, "X\\[1\\]\\[0\\] has 4 trials"),
        (np.ma.masked_array([[1, 2], [4, 0]], [[0, 0], [0, 1]]), 3, "X\\[1\\] has 4 trials"),
        (SequenceStream([np.array([[1, 2], [2, 2]])]), [3, 4], "n_trials is an array"),
        (np.ma.masked_all((2, 2), dtype=int), 3, "Every one of the 2 observations"),
        (np.array([[1, 2]]), 0, "n_trials"),
        (np.array([[1, 2]]), [2.5], "n_trials must be a whole number"),
        (np.array([[1, 2]]), [], "n_trials must be a whole number"),
        (np.zeros((3, 0)), None, "0 feature"),
        (np.array([["a", "b"]]), None, "numbers"),
    ],
)
def test_bad_counts(X, n_trials, words):
    model = MultinomialHMM(1, n_trials)
    with pytest.raises(ValueError, match=words):
        model.fit(X)
    assert not hasattr(model, "emissionprob_")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"emissionprob_prior": 0.0}, "emissionprob_prior"),
        ({"emissionprob_prior": [1.0, 2.0, 3.0]}, "emissionprob_prior"),
        ({"params": "stl"}, "params may contain 's' \\(startprob\\)"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        MultinomialHMM(2, **settings).fit(np.array([[1, 2], [2, 1], [1, 2]]))


def test_other_columns_are_refused(fitted):
    _, _, _, model = fitted
    with pytest.raises(ValueError, match="3 features, but MultinomialHMM is expecting 4"):
        model.predict(np.full((4, 3), 2))
    kept = MultinomialHMM(3, init_params="st")
    kept.emissionprob_ = PROBS
    with pytest.raises(ValueError, match=r"X has 3 features, .* init_params='st' .* of 4"):
        kept.fit(np.full((4, 3), 2))


def test_sums_are_checked_in_new_data(fitted):
    _, _, _, model = fitted
    with pytest.raises(ValueError, match="X\\[1\\] has 7 trials in all, but n_trials says 6"):
        model.score(np.array([[6, 0, 0, 0], [7, 0, 0, 0]]))


def test_a_stored_table_is_checked_by_row(tmp_path):
    X = np.random.default_rng(0).multinomial(4, PROBS[0], 500)
    X[::2] *= 2
    stored = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", X.dtype, X.shape)
    stored[:] = X
    sums = X.sum(axis=1)
    again = MultinomialHMM(2, sums, random_state=0).fit(stored)
    base = MultinomialHMM(2, sums, random_state=0).fit(X)
    assert_allclose(again.emissionprob_, base.emissionprob_, rtol=1e-9)
    sums[499] += 1
    with pytest.raises(ValueError, match="X\\[499\\] has 4 trials in all, but n_trials says 5"):
        MultinomialHMM(2, sums).fit(stored)


# -- hmmlearn's own file, with our class in the place of theirs ------------------------------------


class Ours(MultinomialHMM):
    """With the private methods that their tests call."""

    def _check(self):
        self._parameters()

    def _init(self, X, lengths=None):
        self.set_params(n_iter=0).fit(X, lengths)

    def _check_and_set_n_features(self, X):
        """Theirs also sets ``n_trials``, where ours leaves arguments alone."""
        MultinomialHMM(self.n_components, self.n_trials, n_iter=0).fit(X)
        self.n_trials = X.sum(axis=1)


with np.errstate():  # the import sets NumPy's for good
    THEIRS = importlib.import_module("hmmlearn.tests.test_multinomial_hmm")


@pytest.mark.filterwarnings("ignore:Fitting a model of:UserWarning")
class TestTheirs(THEIRS.TestMultinomialHMM):
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        monkeypatch.setattr(THEIRS.hmm, "MultinomialHMM", Ours)
