"""The Gaussian laws against SciPy's densities and against conditional expectations row by row."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian

K, P = 3, 4
LAWS = [SphericalGaussian, DiagonalGaussian, TiedGaussian, FullGaussian]


def law_of(kind, rng, offset=0.0):
    roots = rng.standard_normal((K, P, P))
    full = roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(P)
    covariances = {
        SphericalGaussian: full[:, 0, 0],
        DiagonalGaussian: full.diagonal(axis1=1, axis2=2),
        TiedGaussian: full[0],
        FullGaussian: full,
    }[kind]
    return kind(offset + rng.standard_normal((K, P)), np.array(covariances))


def matrices(law):
    """Covariances (K, p, p)."""
    c = law.covariances
    return {
        SphericalGaussian: lambda: c[:, None, None] * np.eye(P),
        DiagonalGaussian: lambda: c[:, :, None] * np.eye(P),
        TiedGaussian: lambda: np.tile(c, (K, 1, 1)),
        FullGaussian: lambda: c,
    }[type(law)]()


@pytest.fixture(params=LAWS, ids=lambda kind: kind.__name__)
def law(request, rng):
    return law_of(request.param, rng)


@pytest.fixture
def holes(rng):
    """Rows of which some lack entries, one lacks all, and most none."""
    x = 2 * rng.standard_normal((300, P))
    gone = rng.random(x.shape) < 0.4
    gone[::2] = False
    x[gone] = np.nan
    x[7] = np.nan
    return x


def density(law, x):
    """Log-densities row by row, of what is seen."""
    found = np.zeros((x.shape[0], K))
    for i, row in enumerate(x):
        seen = ~np.isnan(row)
        for k, (mean, covariance) in enumerate(zip(law.means, matrices(law), strict=True)):
            if seen.any():
                part = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
                found[i, k] = part.logpdf(row[seen])
    return found


def expectation(law, x, mass):
    """Weight, first and second moments of every state, completed row by row."""
    weight, first, second = np.zeros(K), np.zeros((K, P)), np.zeros((K, P, P))
    for row, share in zip(x, mass, strict=True):
        seen = ~np.isnan(row)
        if not seen.any():
            continue
        gone = ~seen
        for k, (mean, cov) in enumerate(zip(law.means, matrices(law), strict=True)):
            slope = cov[np.ix_(gone, seen)] @ np.linalg.inv(cov[np.ix_(seen, seen)])
            whole, rest = row.copy(), np.zeros((P, P))
            whole[gone] = mean[gone] + slope @ (row[seen] - mean[seen])
            rest[np.ix_(gone, gone)] = cov[np.ix_(gone, gone)] - slope @ cov[np.ix_(seen, gone)]
            weight[k] += share[k]
            first[k] += share[k] * whole
            second[k] += share[k] * (np.outer(whole, whole) + rest)
    return weight, first, second


def test_densities_are_scipys(law, holes):
    assert_allclose(law.log_likelihoods(holes), density(law, holes), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", LAWS, ids=lambda kind: kind.__name__)
def test_densities_far_from_zero(kind, rng):
    """A million standard deviations: squares in the frame lose nothing."""
    law = law_of(kind, rng, offset=1e6)
    x = law.sample(rng.integers(K, size=50), rng)
    assert_allclose(law.log_likelihoods(x), density(law, x), rtol=1e-9)


def test_an_m_step_of_complete_rows_is_that_of_weighted_moments(law, rng):
    x = 5 + rng.standard_normal((200, P)) @ rng.standard_normal((P, P))
    mass = rng.dirichlet(np.ones(K), 200)
    found = law.maximise(law.gather(x, mass))
    share = mass / mass.sum(axis=0)
    assert_allclose(found.means, share.T @ x, rtol=1e-12)
    each = np.stack([np.cov(x, rowvar=False, aweights=w, bias=True) for w in mass.T])
    diagonal = each.diagonal(axis1=1, axis2=2)
    expected = {
        SphericalGaussian: lambda: diagonal.mean(axis=1),
        DiagonalGaussian: lambda: diagonal,
        TiedGaussian: lambda: np.einsum("k,kij->ij", mass.sum(axis=0) / 200, each),
        FullGaussian: lambda: each,
    }[type(law)]()
    assert_allclose(found.covariances, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", [TiedGaussian, FullGaussian], ids=lambda kind: kind.__name__)
def test_missing_entries_are_completed(kind, rng, holes):
    law = law_of(kind, rng)
    mass = rng.dirichlet(np.ones(K), holes.shape[0])
    weight, first, second = expectation(law, holes, mass)
    means = first / weight[:, None]
    scatter = second - weight[:, None, None] * means[:, :, None] * means[:, None]
    found = law.maximise(law.gather(holes, mass))
    assert_allclose(found.means, means, rtol=1e-10, atol=1e-12)
    tied = kind is TiedGaussian
    expected = scatter.sum(axis=0) / weight.sum() if tied else scatter / weight[:, None, None]
    assert_allclose(found.covariances, expected, rtol=1e-9, atol=1e-12)


def test_steps_climb_the_likelihood_of_what_is_seen(law, rng, holes):
    """A mixture with equal weights: EM with missing entries never loses, up to a fixed point."""
    reached = []
    for _ in range(60):
        logs = law.log_likelihoods(holes)
        top = logs.max(axis=1, keepdims=True)
        mass = np.exp(logs - top)
        reached.append(float(np.sum(np.log(mass.mean(axis=1)) + top[:, 0])))
        law = law.maximise(law.gather(holes, mass / mass.sum(axis=1, keepdims=True)))
    assert np.diff(reached).min() > -1e-9
    assert reached[-1] - reached[0] > 10


def test_sums_add_up(law, rng, holes):
    mass = rng.dirichlet(np.ones(K), holes.shape[0])
    whole = law.gather(holes, mass)
    parts = law.gather(holes[:100], mass[:100]) + law.gather(holes[100:], mass[100:])
    for one, other in zip(vars(whole).values(), vars(parts).values(), strict=True):
        assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_sums_move_to_the_frame_of_another_law(law, rng):
    x, mass = 5 + rng.standard_normal((90, P)), rng.dirichlet(np.ones(K), 90)
    other = law_of(type(law), rng, offset=3.0)
    found, expected = law.reframe(law.gather(x, mass), other), other.gather(x, mass)
    for name in ("weight", "first", "second"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-9)


def test_columns_move_with_what_is_seen_of_them(rng, holes):
    law, other = (law_of(DiagonalGaussian, rng, offset) for offset in (0.0, 3.0))
    mass = rng.dirichlet(np.ones(K), len(holes))
    found, expected = law.reframe(law.gather(holes, mass), other), other.gather(holes, mass)
    assert_allclose(found.second, expected.second, rtol=1e-9)


def test_the_m_step_is_the_mode_of_likelihood_and_prior(law, rng):
    """Nudging any mean or variance lowers expected log-likelihood plus log prior."""
    x = rng.standard_normal((60, P))
    mass = rng.dirichlet(np.ones(K), 60)
    prior = GaussianPrior(0.3, 2.0, np.full(P, 0.7), 1.5)

    def value(law):
        return np.sum(mass * law.log_likelihoods(x)) + law.log_prior(prior)

    best = law.maximise(law.gather(x, mass), prior)
    for _ in range(20):
        means = best.means + 1e-3 * rng.standard_normal(best.means.shape)
        assert value(type(law)(means, best.covariances)) < value(best)
        root = np.eye(P) + 1e-3 * rng.standard_normal((P, P))
        moved = best.covariances
        if moved.shape[-2:] == (P, P) and type(law) in (TiedGaussian, FullGaussian):
            moved = root @ moved @ root.T
        else:
            moved = moved * np.exp(1e-3 * rng.standard_normal(moved.shape))
        assert value(type(law)(best.means, moved)) < value(best)


@pytest.mark.parametrize("free", ["m", "c", ""])
def test_parts_that_are_kept(law, rng, free):
    x, mass = rng.standard_normal((50, P)), rng.dirichlet(np.ones(K), 50)
    found = law.maximise(law.gather(x, mass), GaussianPrior(free=free))
    assert np.allclose(found.means, law.means, rtol=1e-12) == ("m" not in free)
    assert np.array_equal(found.covariances, law.covariances) == ("c" not in free)


@pytest.mark.parametrize("least", [0.0, 1e-308, 1e-100, 1e-20])
def test_states_without_mass_keep_their_law(law, rng, least):
    """With a scatter and no weight of the prior, a variance would be one over the mass."""
    x, mass = rng.standard_normal((50, P)), np.full((50, K), least)
    mass[:, 1] = 1.0
    found = law.maximise(law.gather(x, mass), GaussianPrior(scatter=1e-2))
    assert_allclose(found.means[[0, 2]], law.means[[0, 2]], rtol=1e-12)
    if type(law) is not TiedGaussian:
        assert_array_equal(found.covariances[[0, 2]], law.covariances[[0, 2]])


def test_columns_that_a_state_never_saw_keep_theirs(rng):
    law = law_of(DiagonalGaussian, rng)
    x = rng.standard_normal((50, P))
    x[:, 2] = np.nan
    found = law.maximise(law.gather(x, np.full((50, K), 1 / K)))
    assert_allclose(found.means[:, 2], law.means[:, 2], rtol=1e-12)
    assert_array_equal(found.covariances[:, 2], law.covariances[:, 2])


def test_floors_bound_every_direction(law, rng):
    """Rows on a line: without a floor covariances are singular."""
    x = rng.standard_normal((80, 1)) * np.ones(P)
    floor = np.array([1.0, 2.0, 3.0, 4.0]) * 1e-2
    found = law.maximise(law.gather(x, np.full((80, K), 1 / K)), GaussianPrior(floor=floor))
    least = np.diag(floor) if type(law) is not SphericalGaussian else floor.mean() * np.eye(P)
    for covariance in matrices(found):
        assert np.linalg.eigvalsh(covariance - least)[0] > -1e-12
    assert_allclose(found.variances, np.tile(x.var(axis=0), (K, 1)), rtol=0.2)


def test_relaxation_reaches_beyond_and_stays_positive(law, rng):
    x, mass = rng.standard_normal((90, P)), rng.dirichlet(np.ones(K), 90)
    new = law.maximise(law.gather(x, mass))
    assert_allclose(law.relax(new, 1.0).covariances, new.covariances, rtol=1e-9)
    far = law.relax(new, 3.0)
    assert_allclose(far.means - law.means, 3 * (new.means - law.means), rtol=1e-9)
    for covariance in matrices(far):
        assert np.linalg.eigvalsh(covariance)[0] > 0


def test_relaxation_to_next_to_nothing_is_the_m_step(law):
    """Beyond it, covariances over those of the M-step are no numbers."""
    tiny = replace(law, covariances=1e-310 * np.ones_like(law.covariances))
    if np.shape(law.covariances)[-2:] == (P, P):
        tiny = replace(tiny, covariances=tiny.covariances * np.eye(P))
    assert_array_equal(law.relax(tiny, 3.0).covariances, tiny.covariances)


def test_samples_have_the_moments(law, rng):
    states = np.repeat(np.arange(K), 40_000)
    x = law.sample(states, rng)
    for k, covariance in enumerate(matrices(law)):
        scale = np.sqrt(covariance.diagonal())
        assert_allclose((x[states == k].mean(axis=0) - law.means[k]) / scale, 0, atol=0.03)
        found = np.cov(x[states == k], rowvar=False) / np.outer(scale, scale)
        assert_allclose(found, covariance / np.outer(scale, scale), atol=0.04)


@pytest.mark.parametrize("kind", LAWS, ids=lambda kind: kind.__name__)
def test_pooled_laws(kind, rng, holes):
    x = np.column_stack([holes[:, :3], np.full(300, 7.0)])
    law = kind.pooled(x, K)
    assert_allclose(law.means, np.tile(np.nanmean(x, axis=0), (K, 1)))
    assert np.isfinite(law.log_likelihoods(x)).all()
    full = {SphericalGaussian: K, DiagonalGaussian: K * P, TiedGaussian: 10, FullGaussian: 10 * K}
    assert law.n_parameters == K * P + full[kind]
