"""Bits a symbol, and errors of parameters whose states have no names."""

import math

import numpy as np
import pytest

from spectral_nn.datasets import planted_hmm
from spectral_nn.metrics import bits_per_symbol, parameter_errors, smooth
from spectral_nn.models.hmm.parameters import HMMParameters


def test_bits_of_a_fair_die():
    assert bits_per_symbol(-10 * math.log(6), 10) == pytest.approx(math.log2(6))


def test_no_symbols():
    with pytest.raises(ValueError, match="n_symbols must be at least 1"):
        bits_per_symbol(0.0, 0)


def test_names_of_states_do_not_matter():
    rng = np.random.default_rng(0)
    true = planted_hmm(6, 15, rng=rng)
    order = rng.permutation(6)
    renamed = HMMParameters(
        true.startprob[order], true.transmat[np.ix_(order, order)], true.emissionprob[order]
    )
    assert parameter_errors(renamed, true) == {"emissionprob": 0.0, "transmat": 0.0}


def test_errors_are_mean_distances_of_rows():
    true = HMMParameters([0.5, 0.5], np.eye(2), [[1.0, 0.0], [0.0, 1.0]])
    off = HMMParameters([0.5, 0.5], [[0.9, 0.1], [0.0, 1.0]], [[0.8, 0.2], [0.0, 1.0]])
    errors = parameter_errors(off, true)
    assert errors["emissionprob"] == pytest.approx(0.2)
    assert errors["transmat"] == pytest.approx(0.1)


def test_models_of_different_size_are_not_compared():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"\(3, 5\) and \(2, 5\)"):
        parameter_errors(planted_hmm(3, 5, rng=rng), planted_hmm(2, 5, rng=rng))


def test_smoothed_rows_are_distributions_without_zeros():
    certain = HMMParameters([1.0, 0.0], np.eye(2), np.eye(2, 5))
    model = smooth(certain, 0.1)
    for rows in (model.startprob, model.transmat, model.emissionprob):
        np.testing.assert_allclose(rows.sum(axis=-1), 1.0)
        assert rows.min() == pytest.approx(0.1 / rows.shape[-1])
    np.testing.assert_array_equal(smooth(certain, 0.0).emissionprob, certain.emissionprob)
