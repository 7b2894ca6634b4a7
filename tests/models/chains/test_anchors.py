"""Starts from anchors: projection, choice, convex weights, and models read off them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize

from spectral_nn.data import Sequences
from spectral_nn.datasets import sample_hmm
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains.anchors import (
    anchor_start,
    choose_anchors,
    convex_weights,
    default_lags,
    embed_contexts,
    find_candidates,
)
from spectral_nn.models.chains.fit import count, fit_hmm
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
from spectral_nn.models.chains.parameters import HMMParameters, stationary
from spectral_nn.moments.contexts import contexts_of_ngrams
from spectral_nn.runners.base import SerialRunner

K, D = 3, 60


def anchored_model(rng):
    """Nine anchors, three a state; every other symbol belongs to one or two states."""
    trans = np.array([[0.1, 0.7, 0.2], [0.2, 0.1, 0.7], [0.6, 0.3, 0.1]])
    emission = np.zeros((K, D))
    for k in range(K):
        emission[k, 3 * k : 3 * k + 3] = 0.1
    for v in range(9, D):  # rare, as most words are
        states = rng.permutation(K)[: 1 + v % 2]
        emission[states, v] = rng.uniform(0.5, 1.0, states.size) / D
    emission /= emission.sum(axis=1, keepdims=True)
    return HMMParameters.categorical(stationary(trans), trans, emission)


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    truth = anchored_model(rng)
    values = sample_hmm(truth, 200_000, rng)[0].ravel().astype(np.int32)
    data = Sequences(values, np.arange(0, 200_001, 20))
    return truth, data, count(data, D, SerialRunner())


def test_anchors_are_symbols_of_one_state_each(planted, rng):
    truth, _, counts = planted
    embedding = embed_contexts(contexts_of_ngrams(counts, (1,)).table((-1, 1)), K, rng)
    assert_allclose(np.linalg.norm(embedding, axis=1), 1)
    anchors = choose_anchors(embedding, find_candidates(counts.symbols, K), counts.symbols, K)
    owners = truth.emission.probs[:, anchors] > 0
    assert_array_equal(owners.sum(axis=0), np.ones(K))  # of one state alone
    assert_array_equal(owners.sum(axis=1), np.ones(K))  # and each of another


def test_models_are_read_off_anchors(planted, rng):
    truth, _, counts = planted
    embedding = embed_contexts(contexts_of_ngrams(counts, (1,)).table((-1, 1)), K, rng)
    found = anchor_start(embedding, K, counts)
    errors = parameter_errors(found, truth)
    assert errors["emissionprob"] < 0.15
    assert errors["transmat"] < 0.1
    assert np.mean(found.emission.probs == 0) > 0.2  # most symbols have states they never have


def test_weights_are_the_nearest_convex_combinations(rng):
    embedding = rng.standard_normal((40, 5))
    anchors = np.array([3, 9, 20, 31])
    found = convex_weights(embedding, anchors)
    assert (found >= 0).all()
    assert_allclose(found.sum(axis=1), 1)
    assert_allclose(found[anchors], np.eye(4))
    A = embedding[anchors]
    for y, a in zip(embedding, found, strict=True):
        best = minimize(
            lambda w, y=y: np.sum((y - w @ A) ** 2),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        )
        assert np.sum((y - a @ A) ** 2) <= best.fun + 1e-5


def test_features_tell_apart_what_contexts_do_not(rng):
    """Without contexts that differ, features alone make rows differ."""
    contexts = sparse.csr_array(np.tile(rng.integers(1, 9, 12), (8, 1)))
    kinds = sparse.csr_array(np.eye(2)[np.arange(8) % 2])
    plain, told = (embed_contexts(contexts, 2, rng, features) for features in (None, kinds))
    assert abs(plain[0] @ plain[1]) > 0.999
    assert abs(told[0] @ told[2]) > 0.999 > 0.9 > abs(told[0] @ told[1])


def test_symbols_that_do_not_occur_belong_to_all_states(planted, rng):
    _, data, _ = planted
    counts = count(data, D + 2, SerialRunner())
    table = contexts_of_ngrams(counts, (1,)).table((-1, 1))
    found = anchor_start(embed_contexts(table, K, rng), K, counts)
    assert (found.emission.probs[:, D:] > 0).all()


def test_too_few_anchors_are_an_error(planted, rng):
    _, _, counts = planted
    table = contexts_of_ngrams(counts, (1,)).table((-1, 1))
    with pytest.raises(ValueError, match="there are 60"):
        anchor_start(embed_contexts(table, 70, rng), 70, counts)


def test_lags_grow_with_the_data():
    assert default_lags(10**5) == (-1, 1)
    assert default_lags(10**6) == (-2, -1, 1, 2)


def test_em_keeps_the_support(planted):
    """Zeros of a start stay zero whatever the prior, and what remains recovers the model."""
    truth, data, _ = planted
    start = fit_hmm(data, HMMOptions(K, D, init="anchor", n_iter=0), rng=np.random.default_rng(1))
    options = HMMOptions(K, D, init="anchor", n_init=1, emission_prior=2.0)
    fit = fit_hmm(data, options, rng=np.random.default_rng(1))
    zero = start.parameters.emission.probs == 0
    assert zero.any()
    assert not fit.report.support[zero].any()
    assert (fit.parameters.emission.probs > 0).all()  # what EM may not, the model may
    assert fit.parameters.emission.probs[zero].max() < 0.01
    assert parameter_errors(fit.parameters, truth)["transmat"] < 0.05


def test_the_race_is_judged_by_what_it_holds_out(planted):
    _, data, _ = planted
    fit = fit_hmm(data, HMMOptions(K, D, init="anchor"), rng=np.random.default_rng(1))
    held_out = [start.held_out for start in fit.report.starts]
    assert np.isfinite(held_out).all()
    assert held_out[0] >= held_out[1]  # the others left in an earlier round
    tokens = 0.1 * data.values.size
    assert -np.log(D) * 1.3 * tokens < held_out[0] < 0


def test_a_symbol_without_contexts_is_no_anchor_and_belongs_to_all(rng):
    """Symbol 0 is frequent, but what is around it is always missing."""
    truth = anchored_model(rng)
    values = sample_hmm(truth, 20_000, rng)[0].ravel() + 1
    values = np.column_stack([values.reshape(-1, 10), np.tile([D + 1, 0, D + 1], (2000, 1))])
    data = Sequences(values.astype(np.int32).ravel(), [0, values.size])
    counts = count(data, D + 1, SerialRunner())
    embedding = embed_contexts(contexts_of_ngrams(counts, (1,)).table((-1, 1)), K, rng)
    assert not embedding[0].any()
    assert (anchor_start(embedding, K, counts).emission.probs[:, 0] > 0).all()


def test_many_anchors_are_found_without_sweeps(rng):
    embedding = np.vstack([np.eye(120), rng.dirichlet(np.ones(120), 200)])
    found = choose_anchors(embedding, np.arange(320), np.ones(320, int), 120)
    assert_array_equal(np.sort(found), np.arange(120))


@pytest.mark.parametrize(
    "options", [{"labelled": True}, {"fixed": {"startprob": np.ones(3) / 3}}, {"n_components": 1}]
)
def test_what_the_user_gives_leaves_no_place_for_anchors(options):
    assert wants_anchors(HMMOptions(n_components=3, n_symbols=2000))
    assert not wants_anchors(HMMOptions(**{"n_components": 3, "n_symbols": 2000, **options}))
