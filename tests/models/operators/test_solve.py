"""Observable operators from exact moments give exact probabilities."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.models.chains.parameters import stationary
from spectral_nn.models.operators.hankel import hankel
from spectral_nn.models.operators.solve import draw, filtered, solve
from spectral_nn.moments.ngrams import NgramCounts
from tests.oracles import random_hmm

D, K = 3, 2
OUTSIDE = D + 1


def exact_counts(startprob, transmat, emissionprob, far, exit_=None):
    """Expected numbers of windows, of endless sequences or of strings.

    With the probability `exit_` (K,) that a string ends after a symbol of a state.
    """
    ends = exit_ is not None
    stay = 1 - exit_ if ends else np.ones(K)
    steps = [np.diag(emissionprob[:, x]) @ (stay[:, None] * transmat) for x in range(D)]
    last = [emissionprob[:, x] * exit_ for x in range(D)] if ends else []
    visits = startprob @ np.linalg.inv(np.eye(K) - sum(steps)) if ends else startprob
    windows = {}
    for window in product([*range(D), OUTSIDE], repeat=2 * far + 1):
        inside = [i for i, x in enumerate(window) if x != OUTSIDE]
        if not inside or inside[-1] - inside[0] + 1 != len(inside):
            continue
        first, final = inside[0], inside[-1]
        if first > far or final < far - 1 or (final < 2 * far and not ends):
            continue
        if final == far - 1 and not ends:
            continue
        state = startprob if first > 0 else visits
        for i in inside[:-1]:
            state = state @ steps[window[i]]
        if final < 2 * far:
            mass = state @ last[window[final]]
        else:
            mass = state @ emissionprob[:, window[final]]
        if not ends and first > 0:
            mass *= 0.1  # sequences that begin; any share of the windows will do
        windows[window] = mass
    codes = np.array([sum(x * (D + 2) ** i for i, x in enumerate(w[::-1])) for w in windows])
    order = np.argsort(codes)
    mass = np.array(list(windows.values()))[order] * 1e9
    nothing = np.zeros(D + 1, dtype=np.int64)
    return NgramCounts(2 * far + 1, D + 1, codes[order], mass, nothing, nothing, 1, 1)


@pytest.fixture
def chain(rng):
    _, transmat, emissionprob = random_hmm(K, D, rng)
    return stationary(transmat), transmat, emissionprob


@pytest.mark.parametrize(("kind", "far"), [("symbols", 1), ("factors", 1), ("factors", 2)])
def test_endless_sequences(chain, kind, far, rng):
    startprob, transmat, emissionprob = chain
    counts = exact_counts(*chain, far)
    matrix = hankel(counts, False, kind, 1000)
    model = solve(matrix, K, ends=False, rng=rng)
    assert model.singular_values[K] < 1e-9 * model.singular_values[0]
    words = np.array(list(product(range(D), repeat=4)))
    true = []
    for word in words:
        state = startprob * emissionprob[:, word[0]]
        for x in word[1:]:
            state = (state @ transmat) * emissionprob[:, x]
        true.append(state.sum())
    offsets = np.arange(len(words) + 1) * 4
    found = filtered(model, words.ravel(), offsets)
    assert_allclose(np.exp(found.log_likelihoods), true, rtol=1e-6)
    assert found.negative_fraction == 0
    assert_allclose(found.following.sum(axis=1), 1)


@pytest.mark.parametrize(("kind", "far"), [("symbols", 1), ("factors", 2), ("strings", 2)])
def test_strings_with_an_end(chain, kind, far, rng):
    startprob, transmat, emissionprob = np.array([0.9, 0.1]), *chain[1:]
    exit_ = np.array([0.3, 0.6])
    counts = exact_counts(startprob, transmat, emissionprob, far, exit_)
    # One more than the chain has states: no string ends where it begins.
    model = solve(hankel(counts, True, kind, 1000), K + 1, ends=True, rng=rng)
    model = replace(model, share=0.0)
    words = [w for t in (1, 2, 3, 4) for w in product(range(D), repeat=t)]
    true = []
    for word in words:
        state = startprob * emissionprob[:, word[0]]
        for x in word[1:]:
            state = ((state * (1 - exit_)) @ transmat) * emissionprob[:, x]
        true.append(state @ exit_)
    offsets = np.append(0, np.cumsum([len(w) for w in words]))
    found = filtered(model, np.concatenate(words), offsets)
    assert_allclose(np.exp(found.log_likelihoods), true, rtol=1e-5, atol=1e-9)
    none = filtered(model, np.empty(0), np.array([0, 0]))
    assert none.following[0, D] < 1e-6


def test_draws_follow_the_law_and_continue_a_prefix(chain, rng):
    exit_ = np.array([0.3, 0.6])
    counts = exact_counts(*chain, 2, exit_)
    model = solve(hankel(counts, True, "factors", 1000), K + 1, ends=True, rng=rng)
    prefix = np.array([0, 2])
    following = filtered(model, prefix, np.array([0, 2])).following[0]
    drawn = [draw(model, rng.random(200), prefix) for _ in range(4000)]
    first = np.bincount([x[0] if x.size else D for x in drawn], minlength=D + 1) / len(drawn)
    assert_allclose(first, following, atol=4 * np.sqrt(0.25 / len(drawn)))


def test_a_missing_symbol_is_summed_out(chain, rng):
    model = solve(hankel(exact_counts(*chain, 2), False, "factors", 1000), K, ends=False, rng=rng)
    words = np.array([[0, x, 2] for x in range(D)])
    whole = np.exp(filtered(model, words.ravel(), np.array([0, 3, 6, 9])).log_likelihoods).sum()
    missing = filtered(model, np.array([0, D, 2]), np.array([0, 3])).log_likelihoods
    assert_allclose(np.exp(missing), whole, rtol=1e-6)
