"""Features of past and future by loops, starts on planted chains, and ways out of poor optima."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

from spectral_nn.data import Sequences
from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior
from spectral_nn.emissions.gaussian_full import FullGaussian
from spectral_nn.models.base import Start
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.frames import Frames
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.row_starts import MAKERS, kinds_of_rows, make_row_starts
from spectral_nn.models.chains.split_merge import improve, make_candidates
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.models.fit import advance
from spectral_nn.runners.base import SerialRunner
from spectral_nn.trainers.halving import Round


def chain(K, stay, n, rng):
    return np.cumsum(rng.integers(1, K, size=n) * (rng.random(n) > stay)) % K


def frames_of(x, begins=(0,), law=DiagonalGaussian, K=3):
    starts = np.zeros(len(x), dtype=bool)
    starts[list(begins)] = True
    return Frames(x, starts, law.pooled(x, K))


def equal_means(n, rng, p=2):
    states = chain(3, 0.95, n, rng)
    return rng.standard_normal((n, p)) * np.array([0.4, 1.0, 2.5])[states][:, None], states


def agreement(mass, states):
    """Share of rows that the likeliest state gets right, states matched."""
    K = mass.shape[1]
    table = np.zeros((K, K))
    np.add.at(table, (mass.argmax(axis=1), states), 1)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(states)


# -- frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.97])
def test_averages_start_anew_in_each_stretch(rng, decay):
    frames = frames_of(rng.standard_normal((40, 2)), begins=(0, 7, 8, 30))
    g = frames.features
    before, after = np.zeros_like(g), np.zeros_like(g)
    for a, b in pairwise([0, 7, 8, 30, 40]):
        for t in range(a + 1, b):
            before[t] = decay * before[t - 1] + (1 - decay) * g[t - 1]
        for t in range(b - 2, a - 1, -1):
            after[t] = decay * after[t + 1] + (1 - decay) * g[t + 1]
    assert_allclose(frames._average(decay), before, atol=1e-12)
    assert_allclose(frames._average(decay, backwards=True), after, atol=1e-12)


def test_variates_do_not_hang_on_one_way_to_decompose(rng, monkeypatch):
    x = rng.standard_normal((300, 2))
    expected = vars(frames_of(x).canonical)

    def fails(a):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fails)
    for name, found in vars(frames_of(x).canonical).items():
        assert_allclose(np.abs(found), np.abs(expected[name]), rtol=1e-6, atol=1e-8)


def test_variates_are_canonical(rng):
    """Unit variance, uncorrelated, and correlated across time as their correlations say."""
    x, _ = equal_means(5000, rng)
    past, future, correlations = vars(frames_of(x).canonical).values()
    r = 4
    assert_allclose(np.cov(past[:, :r], rowvar=False), np.eye(r), atol=0.05)
    assert_allclose(np.cov(future[:, :r], rowvar=False), np.eye(r), atol=0.05)
    cross = past[:, :r].T @ future[:, :r] / len(x)
    assert_allclose(cross, np.diag(correlations[:r]), atol=1e-8)
    assert (np.diff(correlations) <= 1e-12).all()
    assert correlations[0] > 0.6  # the variance of a row says what comes next
    assert correlations[2] < 0.3  # three states have two such directions
    assert np.abs(np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]) < 0.1  # and its value does not


def test_features_of_correlated_laws_hold_products(rng):
    x = rng.standard_normal((200, 3))
    assert frames_of(x, law=FullGaussian).features.shape == (200, 9)
    assert frames_of(x).features.shape == (200, 6)
    assert frames_of(rng.standard_normal((200, 20)), law=FullGaussian).features.shape == (200, 32)


def test_missing_entries_are_the_mean(rng):
    x = rng.standard_normal((100, 2)) + 5
    x[::3, 0] = np.nan
    z = frames_of(x).standardised
    assert_array_equal(z[::3, 0], 0)
    assert_allclose(np.mean(z[~np.isnan(x[:, 0]), 0]), 0, atol=1e-12)


# -- starts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("n", [1, 2, 30, 400])
def test_assignments_are_probabilities(kind, n, rng):
    x = np.round(rng.standard_normal((n, 2)))  # many rows are equal
    if n > 2:
        x[1] = np.nan
    frames = frames_of(x, begins=(0,) if n < 10 else (0, 9, 10))
    for number in range(2):
        mass, transmat = MAKERS[kind](frames, 3, number, rng)
        assert mass.shape == (n, 3)
        assert_allclose(mass.sum(axis=1), 1)
        assert_allclose(transmat.sum(axis=1), 1)
        assert (transmat > 0).all()


@pytest.mark.parametrize("kind", ["tensor", "variates"])
def test_starts_that_see_time_tell_equal_means_apart(kind, rng):
    x, states = equal_means(8000, rng)
    frames = frames_of(x)
    assert agreement(MAKERS[kind](frames, 3, 0, rng).mass, states) > 0.7
    assert agreement(MAKERS["kmeans"](frames, 3, 0, rng).mass, states) < 0.6


def test_moments_alone_read_off_a_model(rng):
    """The decomposition, without a step of EM on rows."""
    states = chain(4, 0.9, 20_000, rng)
    means = np.array([[0, 0], [1, 4], [4, 1], [5, 6.0]])
    x = means[states] + rng.standard_normal((20_000, 2))
    (start,) = make_row_starts(frames_of(x, K=4), HMMOptions(4, 0, law=None), ["tensor"], rng)
    found = start.parameters
    order = found.emission.means[:, 0].argsort()
    assert_allclose(found.emission.means[order], means, atol=0.35)
    assert_allclose(found.transmat.diagonal(), 0.9, atol=0.06)


def test_portfolios():
    default = kinds_of_rows(HMMOptions(3, 0))
    assert len(default) == 16
    assert default[:6] == ["tensor", "variates", "segments", "kmeans", "smoothed", "random"]
    assert kinds_of_rows(HMMOptions(3, 0, n_init=2)) == ["tensor", "variates"]
    assert len(kinds_of_rows(HMMOptions(3, 0, n_init=40))) == 40
    assert kinds_of_rows(HMMOptions(3, 0, n_iter=0)) == ["tensor"]
    assert kinds_of_rows(HMMOptions(3, 0, init="kmeans", n_init=3)) == ["kmeans"] * 3
    kept = kinds_of_rows(HMMOptions(3, 0, fixed={"transmat": np.eye(3)}))
    assert kept.count("positions") == 2


# -- split and merge -------------------------------------------------------------------------------


@pytest.fixture
def stuck():
    """Five groups; two of the model's states share one of them, and one has two."""
    rng = np.random.default_rng(3)
    states = chain(5, 0.8, 4000, rng)
    levels = np.array([[0, 0], [8, 0], [0, 8], [8, 8], [20, 4.0]])
    x = levels[states] + rng.standard_normal((4000, 2))
    frames = frames_of(x, K=5)
    means = np.array([[0, 0], [8, 0], [4, 8], [19.5, 4], [20.5, 4.0]])
    law = DiagonalGaussian(means, np.ones((5, 2)) * [[1, 1], [1, 1], [17, 1], [1, 1], [1, 1]])
    even = np.full((5, 5), 0.2)
    return frames, Start("tensor", HMMParameters(even[0], even, law)), levels


def climbing(frames):
    """EM steps on all frames; objectives."""
    model = ChainModel(Priors(emission=GaussianPrior()), dtype=np.float64)
    data = Sequences(frames.x, frames.offsets)
    climb = partial(advance, model, tol=1e-2, run=SerialRunner(), figure="likelihood")
    return lambda starts, one: climb(starts, [data], n_iter=one.n_steps)


def test_em_alone_stays_and_merging_gets_out(stuck, rng):
    frames, start, levels = stuck
    climb = climbing(frames)
    ((alone, value, _),) = climb([start], Round(1, 200, 0))
    assert np.sum(alone.parameters.emission.means[:, 0] > 15) == 2
    found = improve(start, frames, climb, GaussianPrior(), rng)
    means = found.parameters.emission.means
    assert_allclose(np.sort(means.sum(axis=1)), np.sort(levels.sum(axis=1)), atol=0.3)
    data = Sequences(frames.x, frames.offsets)
    assert expect_exact(found.parameters, data).log_likelihood > value + 1000


def test_candidates_keep_zeros_and_mass(stuck, rng):
    frames, start, _ = stuck
    transmat = np.full((5, 5), 0.25)
    np.fill_diagonal(transmat[:, ::-1], 0.0)
    start = Start("x", HMMParameters(np.full(5, 0.2), transmat, start.parameters.emission))
    candidates = make_candidates(start, frames, GaussianPrior(), rng)
    assert len(candidates) == 10
    for candidate in candidates:
        assert_array_equal(candidate.parameters.transmat == 0, transmat == 0)
        assert_allclose(candidate.parameters.transmat.sum(axis=1), 1)
        assert np.isfinite(candidate.parameters.emission.means).all()
