"""Expected counts as a sum, the M-step, over-relaxation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import dirichlet

from spectral_nn.emissions import CategoricalEmission
from spectral_nn.models.chains.observations import gather
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import (
    HMMStatistics,
    Priors,
    maximise,
    relax,
)
from tests.oracles import random_hmm

K, D = 3, 5


@pytest.fixture
def parameters(rng):
    return HMMParameters.categorical(*random_hmm(K, D, rng))


def parts(parameters):
    return parameters.startprob, parameters.transmat, parameters.emission.probs


@pytest.fixture
def statistics(rng):
    counts = [rng.gamma(1.0, 3.0, shape) for shape in ((K,), (K, K), (K, D))]
    return HMMStatistics(*counts, -12.5, 0.3, 4)


def test_statistics_add_up(statistics):
    both = statistics + statistics + statistics
    for name in ("start", "trans", "emission", "log_likelihood"):
        assert_allclose(getattr(both, name), 3 * np.asarray(getattr(statistics, name)))
    assert (both.n_cuts, both.disagreement) == (12, pytest.approx(0.9))
    assert statistics.lane_error == both.lane_error == pytest.approx(0.3 / 4)
    assert HMMStatistics(*[np.zeros(1)] * 3, 0.0).lane_error == 0


def test_m_step_normalises_counts_and_pseudo_counts(statistics, parameters):
    priors = Priors(0.5, np.eye(K), np.arange(D) / 10)
    found = maximise(statistics, parameters, priors)
    start = statistics.start + 0.5
    trans = statistics.trans + np.eye(K)
    emit = statistics.emission + np.arange(D) / 10
    assert_allclose(found.startprob, start / start.sum(), rtol=1e-14)
    assert_allclose(found.transmat, trans / trans.sum(axis=1, keepdims=True), rtol=1e-14)
    assert_allclose(found.emission.probs, emit / emit.sum(axis=1, keepdims=True), rtol=1e-14)


def test_m_step_does_not_lower_the_expected_log_posterior(statistics, parameters, rng):
    """The mode of counts and prior beats every other model."""
    priors = Priors(0.5, 1.0, 0.25)

    def value(p):
        emit = np.sum(statistics.emission * np.log(p.emission.probs))
        start = np.sum(statistics.start * np.log(p.startprob))
        trans = np.sum(statistics.trans * np.log(p.transmat))
        return emit + start + trans + priors.log_density(p)

    best = maximise(statistics, parameters, priors)
    for _ in range(20):
        assert value(HMMParameters.categorical(*random_hmm(K, D, rng))) < value(best)
    nudged = HMMParameters.categorical(
        *(0.999 * a + 0.001 / a.shape[-1] for a in (best.startprob, best.transmat)),
        best.emission.probs,
    )
    assert value(nudged) < value(best)


@pytest.mark.parametrize("update", ["", "s", "t", "e", "st", "ste"])
def test_update_chooses_what_moves(statistics, parameters, update):
    found = maximise(statistics, parameters, Priors(), update)
    for letter, new, old in zip("ste", parts(found), parts(parameters), strict=True):
        same = np.array_equal(new, old)
        assert same == (letter not in update)


def test_rows_without_counts_stay(parameters):
    trans, emit = np.ones((K, K)), np.ones((K, D))
    trans[1], emit[2] = 0, 0
    found = maximise(HMMStatistics(np.zeros(K), trans, emit, 0.0), parameters, Priors())
    assert_array_equal(found.startprob, parameters.startprob)
    assert_array_equal(found.transmat[1], parameters.transmat[1])
    assert_array_equal(found.emission.probs[2], parameters.emission.probs[2])
    assert_allclose(found.transmat[[0, 2]], 1 / K)


def test_sparse_priors_cut_off_at_zero(parameters):
    trans = np.tile([0.2, 1.0, 3.0], (K, 1))
    statistics = HMMStatistics(np.ones(K), trans, np.ones((K, D)), 0.0)
    found = maximise(statistics, parameters, Priors(trans=-0.5))
    assert_allclose(found.transmat, np.tile([0.0, 0.5 / 3.0, 2.5 / 3.0], (K, 1)))


def test_gathering_sums_labels_and_drops_what_is_missing(rng):
    mass = rng.random(((D + 1) * (K + 1), K))
    expected = np.zeros((K, D))
    for code, row in enumerate(mass):
        if code % (D + 1) < D:
            expected[:, code % (D + 1)] += row
    law = CategoricalEmission(np.full((K, D), 1 / D))
    assert_allclose(gather(law, None, mass, labelled=True), expected)
    assert_allclose(gather(law, None, mass[: D + 1]), mass[:D].T)


def test_log_density_is_that_of_dirichlet_rows(parameters, rng):
    other = HMMParameters.categorical(*random_hmm(K, D, rng))
    alpha = 1 + rng.random(D)
    priors = Priors(0.5, 2.0, alpha - 1)

    def expected(p):
        rows = [(p.startprob, np.full(K, 1.5))]
        rows += [(row, np.full(K, 3.0)) for row in p.transmat]
        rows += [(row, alpha) for row in p.emission.probs]
        return sum(dirichlet.logpdf(row, a) for row, a in rows)

    found = priors.log_density(parameters) - priors.log_density(other)
    assert_allclose(found, expected(parameters) - expected(other), rtol=1e-10)


def test_log_density_at_zero_probabilities():
    corner = HMMParameters.categorical([1.0, 0.0], np.eye(2), np.eye(2))
    assert Priors().log_density(corner) == 0.0
    assert Priors(start=np.array([1.0, 0.0])).log_density(corner) == 0.0
    assert Priors(trans=1.0).log_density(corner) == -np.inf
    assert np.isfinite(Priors(-0.5, -0.5, -0.5).log_density(corner))


def test_relaxing_by_one_is_the_m_step(parameters, rng):
    new = HMMParameters.categorical(*random_hmm(K, D, rng, sparse=True))
    found = relax(parameters, new, 1.0)
    for reached, step in zip(parts(found), parts(new), strict=True):
        assert_allclose(reached, step, rtol=0, atol=4e-16)


def test_relaxing_goes_further_on_the_same_way(parameters, rng):
    new = HMMParameters.categorical(*random_hmm(K, D, rng))
    found = relax(parameters, new, 2.5)
    for old, step, reached in zip(parts(parameters), parts(new), parts(found), strict=True):
        expected = old * (step / old) ** 2.5
        expected /= expected.sum(axis=-1, keepdims=True)
        assert_allclose(reached, expected, rtol=1e-5)  # how far is settled in single precision
        assert_allclose(reached.sum(axis=-1), 1)


def test_relaxing_keeps_zeros_and_never_breaks(parameters):
    old = HMMParameters.categorical([0.5, 0.5, 0.0], np.eye(3), np.full((3, 2), 0.5))
    new = HMMParameters.categorical(
        [0.0, 0.4, 0.6], np.full((3, 3), 1 / 3), [[1, 0], [1e-300, 1], [0.5, 0.5]]
    )
    found = relax(old, new, 3.0)
    for array in (found.startprob, found.transmat, found.emission.probs):
        assert np.isfinite(array).all()
        assert (array >= 0).all()
        assert_allclose(array.sum(axis=-1), 1)
    assert found.startprob[0] == 0
    assert_allclose(found.startprob, new.startprob)  # from zero there is no way to go beyond
    assert_array_equal(found.emission.probs[0], [1, 0])


def test_relaxing_leaves_parts_that_did_not_move_alone(statistics, parameters):
    moved = relax(parameters, maximise(statistics, parameters, Priors(), "e"), 1.7)
    assert_array_equal(moved.startprob, parameters.startprob)
    assert_array_equal(moved.transmat, parameters.transmat)
    assert not np.array_equal(moved.emission.probs, parameters.emission.probs)
