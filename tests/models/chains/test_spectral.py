"""Decompositions: exact on population moments, close on samples, honest about what they lack."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_nn.data import Sequences
from spectral_nn.datasets import sample_hmm
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains.bigrams import fit_transitions
from spectral_nn.models.chains.parameters import HMMParameters, stationary
from spectral_nn.models.chains.spectral import decompose, whitened_moments
from spectral_nn.moments.ngrams import count_ngrams, ngram_chunk, ngram_cut
from tests.populations import population_counts, three_state_model


def counted(sequences, order, d):
    chunks = sequences.parts(ngram_cut(order), ngram_chunk)
    parts = [count_ngrams(chunk, order, d) for chunk in chunks]
    return sum(parts[1:], parts[0])


@pytest.mark.parametrize("order", [3, 5])
def test_whitened_moments_of_the_population(rng, order):
    model = three_state_model()
    moments = whitened_moments(population_counts(model, order), 3, rng)
    assert moments.operators.shape == (6, 3, 3)
    assert_allclose(moments.operators.sum(axis=0), np.eye(3), atol=1e-10)
    for v in range(6):
        found = np.sort(np.linalg.eigvals(moments.operators[v]).real)
        assert_allclose(found, np.sort(model.emission.probs[:, v]), atol=1e-7)
    s = moments.singular_values
    assert 3 < s.size <= 3 + 10
    assert moments.sigma_ratio == s[2] / s[0]
    assert s[3] < 1e-8 * s[0]


@pytest.mark.parametrize("order", [3, 5])
def test_population_moments_give_the_emissions(rng, order):
    model = three_state_model()
    counts = population_counts(model, order)
    found = decompose(whitened_moments(counts, 3, rng), counts, rng)
    assert parameter_errors(found, model)["emissionprob"] < 1e-5
    assert parameter_errors(found, model)["transmat"] < 0.1  # 200 steps from noisy emissions
    for array in (found.startprob, found.transmat, found.emission.probs):
        assert_allclose(array.sum(axis=-1), 1)
        assert (array >= 0).all()
    assert (found.emission.probs > 0).all()


def test_transitions_of_the_population(rng):
    model = three_state_model()
    counts = population_counts(model, 3)
    found = fit_transitions(model.emission.probs, counts, n_iter=3000, tol=0.0)
    assert_allclose(found.transmat, model.transmat, atol=1e-6)
    assert_allclose(found.startprob, model.startprob, atol=1e-6)
    assert_allclose(found.emission.probs, model.emission.probs)
    rough = fit_transitions(model.emission.probs, counts)
    assert_allclose(rough.transmat, model.transmat, atol=5e-3)


def test_fit_of_transitions_never_climbs(rng):
    model, counts = three_state_model(), population_counts(three_state_model(), 3)
    pairs = counts.shortened(2)
    first, second = pairs.windows().T
    share = pairs.counts / pairs.counts.sum()

    def divergence(n_iter):
        found = fit_transitions(model.emission.probs, counts, n_iter=n_iter, tol=0.0)
        joint = found.startprob[:, None] * found.transmat
        predicted = model.emission.probs.T @ joint @ model.emission.probs
        return np.sum(share * np.log(share / predicted[first, second]))

    values = [divergence(n) for n in (0, 1, 2, 5, 20, 100)]
    assert (np.diff(values) < 0).all()
    assert -1e-12 < values[-1] < 1e-4


def test_samples_give_the_model_within_their_noise(rng):
    model, errors = three_state_model(), []
    for n in (20_000, 500_000):
        sequences = Sequences.from_lengths(sample_hmm(model, n, rng)[0][0])
        counts = counted(sequences, 5, 6)
        moments = whitened_moments(counts, 3, rng)
        found = decompose(moments, counts, rng)
        errors.append(parameter_errors(found, model))
        assert 0.02 < moments.sigma_ratio < 1
    assert errors[0]["emissionprob"] < 0.15
    assert errors[1]["emissionprob"] < 0.03
    assert errors[1]["transmat"] < 0.08
    start = fit_transitions(model.emission.probs, counts).startprob
    assert_allclose(start, stationary(model.transmat), atol=0.01)


def test_many_short_sequences_are_as_good_as_a_long_one(rng):
    model = three_state_model()
    codes, _ = sample_hmm(model, 20, rng, n_sequences=10_000)
    counts = counted(Sequences.from_list(list(codes)), 5, 6)
    found = decompose(whitened_moments(counts, 3, rng), counts, rng)
    assert parameter_errors(found, model)["emissionprob"] < 0.05


def test_unseen_symbols_get_next_to_nothing_and_break_nothing(rng):
    model = three_state_model()
    counts = counted(Sequences.from_lengths(2 * sample_hmm(model, 50_000, rng)[0][0]), 5, 12)
    found = decompose(whitened_moments(counts, 3, rng), counts, rng)
    assert found.emission.probs[:, 1::2].max() < 1e-5
    even = HMMParameters.categorical(found.startprob, found.transmat, found.emission.probs[:, ::2])
    assert parameter_errors(even, model)["emissionprob"] < 0.15


def test_too_many_components_for_the_features(rng):
    counts = counted(Sequences.from_lengths(rng.integers(0, 2, 50).astype(np.int32)), 3, 2)
    assert whitened_moments(counts, 2, rng).operators.shape == (2, 2, 2)
    with pytest.raises(ValueError, match=r"n_components=3 needs as many features .* have 2"):
        whitened_moments(counts, 3, rng)


def test_what_the_moments_do_not_carry_shows_in_the_ratio(rng):
    counts = population_counts(three_state_model(), 5)
    moments = whitened_moments(counts, 5, rng)
    assert moments.sigma_ratio < 1e-8
    assert np.isfinite(moments.operators).all()
    found = decompose(moments, counts, rng)  # not to be trusted, but a model
    for array in (found.startprob, found.transmat, found.emission.probs):
        assert np.isfinite(array).all()
        assert_allclose(array.sum(axis=-1), 1)


def test_nothing_to_share_is_an_error(rng):
    counts = counted(Sequences.from_list([np.array([0]), np.array([1])]), 3, 2)
    with pytest.raises(ValueError, match="share nothing"):
        whitened_moments(counts, 1, rng)


def test_transitions_without_any_whole_pair_are_even(rng):
    gaps = Sequences.from_lengths(np.array([0, 2, 1, 2, 0, 2, 1], dtype=np.int32))
    found = fit_transitions(np.array([[0.9, 0.1], [0.2, 0.8]]), counted(gaps, 3, 2))
    assert_allclose(found.transmat, 0.5)
    assert_allclose(found.startprob, 0.5)


def test_different_generators_give_the_same_model_up_to_names(rng):
    counts = population_counts(three_state_model(), 5)
    a, b = (
        decompose(whitened_moments(counts, 3, g), counts, g)
        for g in (np.random.default_rng(1), np.random.default_rng(2))
    )
    assert parameter_errors(a, b)["emissionprob"] < 1e-5
    again = np.random.default_rng(1)
    c = decompose(whitened_moments(counts, 3, again), counts, again)
    assert_allclose(a.emission.probs, c.emission.probs, rtol=0, atol=0)
