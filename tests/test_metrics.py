"""Bits a symbol, and errors of parameters whose states or units have no names."""

import math

import numpy as np
import pytest

from spectral_nn.datasets import planted_hmm
from spectral_nn.metrics import bits_per_symbol, direction_angles, parameter_errors, smooth
from spectral_nn.models.chains.parameters import HMMParameters


def test_bits_of_a_fair_die():
    assert bits_per_symbol(-10 * math.log(6), 10) == pytest.approx(math.log2(6))


def test_no_symbols():
    with pytest.raises(ValueError, match="n_symbols must be at least 1"):
        bits_per_symbol(0.0, 0)


def test_names_of_states_do_not_matter():
    rng = np.random.default_rng(0)
    true = planted_hmm(6, 15, rng=rng)
    order = rng.permutation(6)
    renamed = HMMParameters.categorical(
        true.startprob[order],
        true.transmat[np.ix_(order, order)],
        true.emission.probs[order],
    )
    assert parameter_errors(renamed, true) == {"emissionprob": 0.0, "transmat": 0.0}


def test_errors_are_mean_distances_of_rows():
    true = HMMParameters.categorical([0.5, 0.5], np.eye(2), [[1.0, 0.0], [0.0, 1.0]])
    off = HMMParameters.categorical([0.5, 0.5], [[0.9, 0.1], [0.0, 1.0]], [[0.8, 0.2], [0.0, 1.0]])
    errors = parameter_errors(off, true)
    assert errors["emissionprob"] == pytest.approx(0.2)
    assert errors["transmat"] == pytest.approx(0.1)


def test_models_of_different_size_are_not_compared():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"\(3, 5\) and \(2, 5\)"):
        parameter_errors(planted_hmm(3, 5, rng=rng), planted_hmm(2, 5, rng=rng))


def test_smoothed_rows_are_distributions_without_zeros():
    certain = HMMParameters.categorical([1.0, 0.0], np.eye(2), np.eye(2, 5))
    model = smooth(certain, 0.1)
    for rows in (model.startprob, model.transmat, model.emission.probs):
        np.testing.assert_allclose(rows.sum(axis=-1), 1.0)
        assert rows.min() == pytest.approx(0.1 / rows.shape[-1])
    np.testing.assert_array_equal(smooth(certain, 0.0).emission.probs, certain.emission.probs)


@pytest.mark.parametrize("signed", [False, True])
def test_order_and_length_of_directions_do_not_matter(signed):
    rng = np.random.default_rng(0)
    true = rng.standard_normal((7, 4))
    learned = true[:, rng.permutation(4)] * rng.uniform(0.1, 9.0, 4)
    np.testing.assert_allclose(direction_angles(learned, true, signed=signed), 0.0, atol=1e-5)


def test_angles_are_in_the_order_of_the_true_directions():
    degrees = np.array([50.0, 1e-7, 10.0])
    turn = np.radians(degrees)
    true = np.zeros((6, 3))
    learned = np.zeros((6, 3))
    for j in range(3):
        true[2 * j, j] = 1.0
        learned[2 * j : 2 * j + 2, j] = np.cos(turn[j]), np.sin(turn[j])
    np.testing.assert_allclose(direction_angles(learned[:, [2, 0, 1]], true), degrees, rtol=1e-6)
    flipped = learned * [1.0, -1.0, -1.0]
    np.testing.assert_allclose(direction_angles(flipped, true), degrees, rtol=1e-6)


def test_signs_count_when_asked_for_in_the_matching_too():
    opposite = np.array([[1.0, -1.0], [0.1, 0.1]])
    np.testing.assert_allclose(direction_angles(opposite[:, ::-1], opposite, signed=True), 0.0)
    np.testing.assert_allclose(direction_angles([[-1.0], [0.0]], [[1.0], [0.0]]), 0.0)
    np.testing.assert_allclose(
        direction_angles([[-1.0], [0.0]], [[1.0], [0.0]], signed=True), 180.0
    )


def test_more_learned_than_true_directions_and_fewer():
    rng = np.random.default_rng(0)
    true = rng.standard_normal((9, 3))
    spare = np.column_stack([rng.standard_normal((9, 2)), true])
    np.testing.assert_allclose(direction_angles(spare, true), 0.0, atol=1e-5)
    np.testing.assert_allclose(direction_angles(true[:, :2], true), [0.0, 0.0, 90.0], atol=1e-5)
    assert direction_angles(true[:, :2], true, signed=True)[2] == 180.0


def test_a_column_of_zeros_points_nowhere():
    np.testing.assert_allclose(direction_angles(np.diag([1.0, 0.0]), np.eye(2)), [0.0, 90.0])


def test_directions_that_cannot_be_compared():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\)"):
        direction_angles(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        direction_angles(np.full((3, 2), np.nan), np.ones((3, 2)))
