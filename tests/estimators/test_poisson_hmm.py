"""Counts: the law by brute force, the fit by recovery, and hmmlearn's own tests of its class."""

import importlib
from functools import partial
from itertools import pairwise

import joblib
import numpy as np
import pytest
from hmmlearn import hmm as rivals
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import poisson
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from spectral_estimators import MultinomialHMM, PoissonHMM, Sequences, SequenceStream
from spectral_nn.data import Sequences as Rows
from spectral_nn.emissions.poisson import GammaPrior, PoissonEmission
from spectral_nn.models.chains.expectation import expect_exact, expect_lanes
from spectral_nn.models.chains.lanes import window_lanes
from spectral_nn.models.chains.parameters import HMMParameters
from tests.oracles import hmm_by_enumeration, random_hmm

RATES = np.array([[1.0, 4.0], [3.0, 0.5], [9.0, 2.0]])


def planted(n, seed=0, rates=RATES, stay=0.9):
    """Rows, states, and hmmlearn's model that they were drawn from."""
    K = len(rates)
    model = rivals.PoissonHMM(K)
    model.startprob_ = np.full(K, 1 / K)
    model.transmat_ = stay * np.eye(K) + (1 - stay) / K
    model.lambdas_ = rates
    return *model.sample(n, random_state=seed), model


@pytest.fixture(scope="module")
def fitted():
    X, states, truth = planted(6000)
    return X, states, truth, PoissonHMM(3, random_state=0).fit(X)


def order_of(model):
    return np.argsort(model.lambdas_[:, 0])


# -- the law ---------------------------------------------------------------------------------------


def test_likelihoods_are_scipys(rng):
    x = rng.poisson(4.0, (50, 2)).astype(float)
    expected = poisson.logpmf(x[:, None, :], RATES).sum(axis=2)
    assert_allclose(PoissonEmission(RATES).log_likelihoods(x), expected, rtol=1e-12)


def test_what_is_missing_is_left_out(rng):
    x = np.array([[2.0, np.nan], [np.nan, np.nan], [0.0, 7.0]])
    found = PoissonEmission(RATES).log_likelihoods(x)
    assert_allclose(found[0], poisson.logpmf(2, RATES[:, 0]), rtol=1e-12)
    assert_allclose(found[1], 0, atol=1e-15)


def test_a_rate_of_zero_makes_counts_impossible():
    law = PoissonEmission(np.array([[0.0], [2.0]]))
    likelihood = np.exp(law.log_likelihoods(np.array([[0.0], [1.0]])))
    assert_allclose(likelihood, poisson.pmf([[0], [1]], [[0.0, 2.0]]), rtol=1e-12)
    alone = PoissonEmission(np.zeros((1, 1))).log_likelihoods(np.array([[1.0]]))
    assert alone[0, 0] == -np.inf


def test_m_step_is_the_mode(rng):
    """Of expected log-likelihood and prior: nudging any rate lowers it."""
    x = rng.poisson(3.0, (40, 2)).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    mass = rng.dirichlet(np.ones(3), 40)
    prior = GammaPrior(np.array([[0.5], [1.0], [2.0]]), 0.7)
    law = PoissonEmission(RATES)

    def value(law):
        each = poisson.logpmf(np.nan_to_num(x)[:, None, :], law.rates)
        return np.sum(mass[:, :, None] * each * ~np.isnan(x)[:, None, :]) + law.log_prior(prior)

    best = law.maximise(law.gather(x, mass), prior)
    for k in range(3):
        for j in range(2):
            for factor in (0.99, 1.01):
                nudged = best.rates.copy()
                nudged[k, j] *= factor
                assert value(PoissonEmission(nudged)) < value(best)


def test_a_state_without_mass_keeps_its_rates():
    law = PoissonEmission(RATES)
    mass = np.array([[1.0, 0.0, 0.0]])
    found = law.maximise(law.gather(np.array([[5.0, np.nan]]), mass))
    assert_allclose(found.rates, [[5.0, 4.0], *RATES[1:]])


@pytest.mark.parametrize("labelled", [False, True])
def test_e_steps_are_sums_over_all_paths(rng, labelled):
    start, trans, _ = random_hmm(3, 2, rng)
    x = rng.poisson(3.0, (9, 2)).astype(float)
    x[2, 1] = np.nan
    offsets = np.array([0, 4, 9])
    labels = np.array([-1, 2, -1, -1, 0, -1, -1, 1, -1])
    values = np.column_stack([x, labels]) if labelled else x
    parameters = HMMParameters(start, trans, PoissonEmission(RATES))
    mask = np.where(labels[:, None] < 0, 1, labels[:, None] == np.arange(3)) if labelled else 1
    table = np.exp(np.nansum(poisson.logpmf(x[:, None, :], RATES), axis=2)) * mask
    exact = expect_exact(parameters, Rows(values, offsets), labelled=labelled)
    truths = [
        hmm_by_enumeration(start, trans, table[a:b], np.arange(b - a)) for a, b in pairwise(offsets)
    ]
    gamma = np.concatenate([truth["posterior"] for truth in truths])
    assert_allclose(exact.log_likelihood, sum(np.log(t["likelihood"]) for t in truths), rtol=1e-12)
    assert_allclose(exact.start, gamma[offsets[:-1]].sum(axis=0), rtol=1e-10)
    assert_allclose(exact.emission.events, gamma.T @ np.nan_to_num(x), rtol=1e-10)
    assert_allclose(exact.emission.exposure, gamma.T @ ~np.isnan(x), rtol=1e-10)
    batches = window_lanes(values, window_of(offsets), None)
    lanes = expect_lanes(parameters, batches, dtype=np.float64, labelled=labelled)
    for name in ("start", "trans", "log_likelihood"):
        assert_allclose(getattr(lanes, name), getattr(exact, name), rtol=1e-10)
    assert_allclose(lanes.emission.events, exact.emission.events, rtol=1e-10)


def window_of(offsets):
    from spectral_nn.data.cuts import Cut, frames

    (frame,) = frames(offsets, Cut(2**40, window=2**40))
    return frame.window()


def test_chosen_lanes_carry_their_rows(rng):
    """Statistics of parts of the batches add up to those of all."""
    X, _, _ = planted(9000)
    from spectral_nn.data.cuts import Cut, frames

    offsets = np.array([0, 5000, 9000])
    (frame,) = frames(offsets, Cut(60, (20, 20), 2**20))
    whole = window_lanes(X.astype(float), frame.window(), None)
    parameters = HMMParameters(np.full(3, 1 / 3), np.full((3, 3), 1 / 3), PoissonEmission(RATES))
    assert whole.times[:-1].tolist() == [1] * 9000
    parts = whole.chunks(100)
    assert len(parts) > 2
    assert max(part.values.shape[0] for part in parts) < 6000
    found = [expect_lanes(parameters, part, dtype=np.float64) for part in parts]
    expected = expect_lanes(parameters, whole, dtype=np.float64)
    assert_allclose(sum(one.log_likelihood for one in found), expected.log_likelihood, rtol=1e-12)
    assert_allclose(sum(one.emission.events for one in found), expected.emission.events, rtol=1e-12)


def test_far_apart_rates_fall_back_on_the_exact_recursion():
    """A state that leaves nothing of the other in any precision, and is then ruled out."""
    rates = np.array([[1.0], [4000.0]])
    X = np.tile([[1], [4000]], (3000, 1))
    X[3001] = 2  # by the other state, for certain
    model = PoissonHMM(2, init_params="", n_iter=2)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    model.lambdas_ = rates
    expected = poisson.logpmf(X, np.tile(rates, (3000, 1))).sum()
    assert_allclose(model.score(X), expected, rtol=1e-12)
    assert_array_equal(model.predict(X), np.tile([0, 1], 3000))
    model.fit(X)
    assert_allclose(model.monitor_.history[0], expected, rtol=1e-12)
    assert model.report_.exact


# -- the fit ---------------------------------------------------------------------------------------


def test_planted_rates_and_states_are_found(fitted):
    X, states, truth, model = fitted
    order = order_of(model)
    assert_allclose(model.lambdas_[order], RATES, rtol=0.08, atol=0.05)
    assert_allclose(model.transmat_[np.ix_(order, order)], truth.transmat_, atol=0.04)
    assert np.mean(np.argsort(order)[model.predict(X)] == states) > 0.93
    assert model.score(X) >= truth.score(X)
    assert model.report_.lane_error < 1e-4


def test_inference_is_hmmlearns(fitted):
    X, _, truth, model = fitted
    truth.startprob_, truth.transmat_ = model.startprob_, model.transmat_
    truth.lambdas_ = model.lambdas_
    lengths = [1000, 5000]
    expected, gamma = truth.score_samples(X, lengths)
    found, posterior = model.score_samples(X, lengths)
    assert_allclose(found, expected, rtol=1e-12)
    assert_allclose(posterior, gamma, atol=1e-9)
    best, path = truth.decode(X, lengths)
    assert_allclose(model.decode(X, lengths)[0], best, rtol=1e-12)
    assert_array_equal(model.predict(X, lengths), path)
    assert_allclose(model.aic(X, lengths), truth.aic(X, lengths), rtol=1e-12)
    assert_allclose(model.bic(X, lengths), truth.bic(X, lengths), rtol=1e-12)


def test_em_steps_are_hmmlearns():
    X, _, truth = planted(2000, 1)
    ours, theirs = PoissonHMM(3, init_params="", n_iter=3), rivals.PoissonHMM(3, init_params="")
    theirs.n_iter, theirs.tol = 3, -np.inf
    for model in (ours, theirs):
        model.startprob_, model.transmat_ = truth.startprob_, truth.transmat_
        model.lambdas_ = RATES * [1.3, 0.8]
    ours.set_params(n_iter=1)
    for _ in range(3):
        ours.fit(X)
    theirs.fit(X)
    assert_allclose(ours.lambdas_, theirs.lambdas_, rtol=1e-9)
    assert_allclose(ours.transmat_, theirs.transmat_, rtol=1e-9)


def test_moments_alone_are_close():
    X, _, _ = planted(20_000, 2)
    model = PoissonHMM(3, n_iter=0, random_state=0).fit(X)
    assert model.monitor_.history == []
    assert_allclose(model.lambdas_[order_of(model)], RATES, rtol=0.25, atol=0.2)


def test_predict_next_and_sample(fitted):
    X, _, _, model = fitted
    expected = model.predict_proba(X[:50])[-1] @ model.transmat_ @ model.lambdas_
    assert_allclose(model.predict_next(X[:50]), expected)
    drawn, states = model.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, 2)
    for k in range(3):
        assert_allclose(drawn[states == k].mean(axis=0), model.lambdas_[k], rtol=0.06)
    assert model.sample(5, prefix=X[:10])[0].shape == (5, 2)


def test_all_forms_of_the_same_data(fitted):
    X, _, _, model = fitted
    lists = [X[:3000], X[3000:]]
    few = clone(model).set_params(n_init=4, n_iter=5)
    base = clone(few).fit(X, [3000, 3000])
    for form in (lists, Sequences.from_list(lists), np.stack(lists), SequenceStream(lists)):
        again = clone(few).fit(form)
        assert_allclose(again.lambdas_, base.lambdas_, rtol=1e-10)
        assert_allclose(again.score(form), base.score(X, [3000, 3000]), rtol=1e-10)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(fitted, backend):
    X, _, _, model = fitted
    with joblib.parallel_config(backend, n_jobs=2):
        again = clone(model).fit(X)
    assert_array_equal(again.lambdas_, model.lambdas_)
    assert again.monitor_.history == model.monitor_.history


def test_labels_name_the_states():
    X, states, _ = planted(2000, 3)
    y = np.where(np.arange(2000) % 4 == 0, states, -1)
    model = PoissonHMM(3, random_state=0).fit(X, y)
    assert_allclose(model.lambdas_, RATES, rtol=0.15, atol=0.1)


def test_missing_entries_and_rows(fitted):
    X, _, _, _ = fitted
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    model = PoissonHMM(3, random_state=0, missing=-1).fit(np.where(holes, -1, X))
    order = order_of(model)
    assert_allclose(model.lambdas_[order], RATES, rtol=0.12, atol=0.08)
    masked = PoissonHMM(3, random_state=0).fit(np.ma.masked_array(X, holes))
    assert_allclose(masked.lambdas_, model.lambdas_)
    nan = PoissonHMM(3, random_state=0, missing=np.nan).fit(np.where(holes, np.nan, X))
    assert_allclose(nan.lambdas_, model.lambdas_)


def test_priors_pull():
    X, _, _ = planted(300, 4)
    free = PoissonHMM(1).fit(X)
    assert_allclose(free.lambdas_[0], X.mean(axis=0))
    pulled = PoissonHMM(1, lambdas_prior=50.0, lambdas_weight=100.0).fit(X)
    assert_allclose(pulled.lambdas_[0], (50 + X.sum(axis=0)) / (100 + 300))


def test_number_of_states_is_found():
    X, _, _ = planted(6000, 5)
    model = PoissonHMM("auto", n_init=4, random_state=0, n_iter=30).fit(X)
    assert model.n_components_ in (3, 4)  # a gain of one standard error may be chance


def test_kept_parts_stay():
    X, _, truth = planted(1500, 6)
    model = PoissonHMM(3, init_params="st", params="st", random_state=0)
    model.lambdas_ = RATES
    model.fit(X)
    assert_array_equal(model.lambdas_, RATES)
    assert_allclose(model.transmat_, truth.transmat_, atol=0.08)


def test_cross_validation_of_sequences():
    X, _, _ = planted(1200, 7)
    scores = cross_val_score(
        PoissonHMM(2, random_state=0), Sequences.from_list(np.split(X, 6)), cv=3
    )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1], [-2]], "X\\[1\\] is -2.0"),
        ([[1.0], [0.5]], "X\\[1\\] is 0.5"),
        ([[1.0], [np.nan]], "NaN"),
        ([[1.0], [np.inf]], "infinity"),
        ([["a"]], "numbers"),
        (np.zeros((3, 0)), "0 feature"),
        ([[1j]], "[Cc]omplex"),
    ],
)
def test_bad_counts(X, words):
    model = PoissonHMM(1)
    with pytest.raises(ValueError, match=words):
        model.fit(X)
    assert not hasattr(model, "lambdas_")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lambdas_prior": -1.0}, "lambdas_prior"),
        ({"lambdas_weight": {}}, "lambdas_weight must be a number or an array of numbers"),
        ({"lambdas_prior": [1.0, 2.0, 3.0]}, "lambdas_prior"),
        ({"params": "ste"}, "params may contain 's' \\(startprob\\)"),
        ({"init": "spectral-clustering"}, "init"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        PoissonHMM(2, **settings).fit([[1], [2], [1], [3]])


def test_other_columns_are_refused(fitted):
    _, _, _, model = fitted
    with pytest.raises(ValueError, match="3 features, but PoissonHMM is expecting 2"):
        model.score(np.zeros((4, 3)))


def test_a_generator_is_refused():
    with pytest.raises(ValueError, match="generator"):
        PoissonHMM(1).fit(np.ones((5, 1)) for _ in range(3))


# -- hmmlearn's own file, with our class in the place of theirs ------------------------------------


class Ours(PoissonHMM):
    """With the two private methods that their tests call."""

    def _check(self):
        self._parameters()

    def _init(self, X, lengths=None):
        self.set_params(n_iter=0).fit(X, lengths)


with np.errstate():  # the import sets NumPy's for good
    THEIRS = importlib.import_module("hmmlearn.tests.test_poisson_hmm")


class TestTheirs(THEIRS.TestPoissonHMM):
    @pytest.fixture(autouse=True)
    def in_its_place(self, monkeypatch):
        monkeypatch.setattr(THEIRS.hmm, "PoissonHMM", Ours)

    def test_criterion(self, monkeypatch):
        """Asks for numbers, not for the best optimum."""
        monkeypatch.setattr(THEIRS.hmm, "PoissonHMM", partial(Ours, n_init=2, tol=1.0))
        super().test_criterion("scaling")


@pytest.mark.parametrize("model", [PoissonHMM(2), MultinomialHMM(2)])
def test_counts_beyond_whole_numbers_of_double_precision_are_refused(model):
    X = np.ones((6, 2))
    X[3, 1] = 2.0**54
    with pytest.raises(ValueError, match=r"X\[3\] is 1.8.* in column 1, .* from 0 to 2\*\*53"):
        model.fit(X)
