"""Mixtures of Gaussians against SciPy's densities and against responsibilities row by row."""

import numpy as np
import pytest
from hmmlearn.hmm import GMMHMM as Rival
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianPrior, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.emissions.gaussian_mixture import (
    GaussianMixtureEmission,
    GroupedGaussian,
    MixturePrior,
)

K, M, P = 2, 3, 3
KINDS = {
    "spherical": SphericalGaussian,
    "diag": DiagonalGaussian,
    "tied": GroupedGaussian,
    "full": FullGaussian,
}


def law_of(kind, rng):
    roots = rng.standard_normal((K * M, P, P))
    full = roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(P)
    covariances = {
        "spherical": full[:, 0, 0],
        "diag": full.diagonal(axis1=1, axis2=2),
        "tied": full[:K],
        "full": full,
    }[kind]
    components = KINDS[kind](2 * rng.standard_normal((K * M, P)), covariances)
    return GaussianMixtureEmission(rng.dirichlet(np.full(M, 3.0), K), components)


def matrices(law):
    """Covariances (K, M, p, p)."""
    c = law.components.covariances
    full = {
        SphericalGaussian: lambda: c[:, None, None] * np.eye(P),
        DiagonalGaussian: lambda: c[:, :, None] * np.eye(P),
        GroupedGaussian: lambda: np.repeat(c, M, axis=0),
        FullGaussian: lambda: c,
    }[type(law.components)]()
    return full.reshape(K, M, P, P)


def joint_density(law, x):
    """Weights times densities of what is seen (n, K, M)."""
    found = np.empty((len(x), K, M))
    means, covariances = law.components.means.reshape(K, M, P), matrices(law)
    for i, row in enumerate(x):
        seen = ~np.isnan(row)
        for k in range(K):
            for m in range(M):
                mean, covariance = means[k, m][seen], covariances[k, m][np.ix_(seen, seen)]
                one = multivariate_normal(mean, covariance).pdf(row[seen]) if seen.any() else 1.0
                found[i, k, m] = law.weights[k, m] * one
    return found


@pytest.fixture(params=KINDS)
def law(request, rng):
    return law_of(request.param, rng)


@pytest.fixture
def holes(rng):
    """Rows of which some lack entries, one lacks all, and most none."""
    x = 2 * rng.standard_normal((200, P))
    gone = rng.random(x.shape) < 0.4
    gone[::2] = False
    x[gone] = np.nan
    x[7] = np.nan
    return x


def test_densities_are_weighted_sums(law, holes):
    expected = np.log(joint_density(law, holes).sum(axis=2))
    assert_allclose(law.log_likelihoods(holes), expected, rtol=1e-10, atol=1e-12)


def test_one_part_is_the_gaussian_itself(law, rng, holes):
    alone = GaussianMixtureEmission(np.ones((K * M, 1)), law.components)
    mass = rng.dirichlet(np.ones(K * M), len(holes))
    if isinstance(law.components, GroupedGaussian):
        alone = GaussianMixtureEmission(
            np.ones((K, 1)), FullGaussian(np.zeros((K, P)), np.eye(P)[None].repeat(K, 0))
        )
        mass = rng.dirichlet(np.ones(K), len(holes))
    assert_allclose(alone.log_likelihoods(holes), alone.components.log_likelihoods(holes))
    found = alone.maximise(alone.gather(holes, mass)).components
    expected = alone.components.maximise(alone.components.gather(holes, mass))
    assert_allclose(found.means, expected.means, rtol=1e-12, atol=1e-14)
    assert_allclose(found.covariances, expected.covariances, rtol=1e-12, atol=1e-14)


def test_an_m_step_is_that_of_weighted_moments(law, rng):
    x = rng.standard_normal((300, P)) @ rng.standard_normal((P, P))
    mass = rng.dirichlet(np.ones(K), 300)
    joint = joint_density(law, x)
    parts = mass[:, :, None] * joint / joint.sum(axis=2, keepdims=True)
    counts = parts.sum(axis=0)
    found = law.maximise(law.gather(x, mass))
    assert_allclose(found.weights, counts / counts.sum(axis=1, keepdims=True), rtol=1e-11)
    means = np.einsum("nkm,np->kmp", parts, x) / counts[:, :, None]
    assert_allclose(found.components.means.reshape(K, M, P), means, rtol=1e-10, atol=1e-13)
    away = x[:, None, None] - means
    scatter = np.einsum("nkm,nkmi,nkmj->kmij", parts, away, away)
    each = scatter / counts[:, :, None, None]
    diagonal = each.diagonal(axis1=2, axis2=3)
    expected = {
        SphericalGaussian: lambda: diagonal.mean(axis=2).ravel(),
        DiagonalGaussian: lambda: diagonal.reshape(K * M, P),
        GroupedGaussian: lambda: scatter.sum(axis=1) / counts.sum(axis=1)[:, None, None],
        FullGaussian: lambda: each.reshape(K * M, P, P),
    }[type(law.components)]()
    assert_allclose(found.components.covariances, expected, rtol=1e-9, atol=1e-13)


def test_steps_climb_the_posterior_density(law, rng, holes):
    """States of equal weights, rows with missing entries, with every prior."""
    correlated = isinstance(law.components, FullGaussian)
    prior = MixturePrior(
        np.array([0.5, 0.0, 2.0]),
        GaussianPrior(
            0.3,
            0.7,
            0.4,
            rng.uniform(0.5, 2, len(law.components.covariances)) if correlated else 1.2,
        ),
    )
    reached = []
    for _ in range(80):
        logs = law.log_likelihoods(holes)
        total = np.logaddexp.reduce(logs, axis=1)
        reached.append(total.sum() + law.log_prior(prior))
        law = law.maximise(law.gather(holes, np.exp(logs - total[:, None])), prior)
    assert np.diff(reached).min() > -1e-9
    assert reached[-1] - reached[0] > 10


def test_the_m_step_is_the_mode(law, rng):
    """With parts given, nudging anything lowers expected log-likelihood plus log prior."""
    x = rng.standard_normal((80, P))
    parts = rng.dirichlet(np.ones(K * M), 80).reshape(80, K, M)
    prior = MixturePrior(1.5, GaussianPrior(0.3, 2.0, 0.7, 1.5))

    def value(law):
        logs = law.components.log_likelihoods(x).reshape(80, K, M) + np.log(law.weights)
        return np.sum(parts * logs) + law.log_prior(prior)

    best = law.maximise(law.gather_parts(x, parts), prior)
    law_of_parts = type(best.components)
    for _ in range(20):
        weights = best.weights * np.exp(1e-2 * rng.standard_normal((K, M)))
        weights /= weights.sum(axis=1, keepdims=True)
        means, covariances = best.components.means, best.components.covariances
        nudged = means + 1e-3 * rng.standard_normal(means.shape)
        scale = np.exp(
            1e-2 * rng.standard_normal((len(covariances), *[1] * (covariances.ndim - 1)))
        )
        for other in (
            GaussianMixtureEmission(weights, best.components),
            GaussianMixtureEmission(best.weights, law_of_parts(nudged, covariances)),
            GaussianMixtureEmission(best.weights, law_of_parts(means, covariances * scale)),
        ):
            assert value(other) < value(best)


def test_sums_add_up(law, rng, holes):
    mass = rng.dirichlet(np.ones(K), len(holes))
    whole = law.gather(holes, mass)
    parts = law.gather(holes[:70], mass[:70]) + law.gather(holes[70:], mass[70:])
    assert_allclose(parts.counts, whole.counts, rtol=1e-12)
    assert_allclose(parts.components.second, whole.components.second, rtol=1e-10, atol=1e-10)


def test_sums_move_to_the_frame_of_another_law(law, rng):
    x, mass = 2 * rng.standard_normal((90, P)), rng.dirichlet(np.ones(K * M), 90)
    kind = next(name for name, one in KINDS.items() if isinstance(law.components, one))
    other, mass = law_of(kind, rng), mass.reshape(-1, K, M)
    found = law.reframe(law.gather_parts(x, mass), other)
    expected = other.gather_parts(x, mass)
    assert_allclose(found.counts, expected.counts)
    for name in ("first", "second"):
        one, two = (getattr(sums.components, name) for sums in (found, expected))
        assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_parts_without_mass_keep_their_law(law, rng):
    """Also one whose share of every row is below what can be divided by."""
    far = law.components.means.copy()
    far[1] = 1e4
    law = GaussianMixtureEmission(
        law.weights, type(law.components)(far, law.components.covariances)
    )
    x = rng.standard_normal((50, P))
    mass = np.zeros((50, K))
    mass[:, 0] = 1.0
    found = law.maximise(law.gather(x, mass), MixturePrior(0.0, GaussianPrior(scatter=1e-2)))
    kept = [1, *range(M, K * M)]
    assert_allclose(found.components.means[kept], far[kept], rtol=1e-11)
    if not isinstance(law.components, GroupedGaussian):
        assert_array_equal(found.components.covariances[kept], law.components.covariances[kept])
    assert_array_equal(found.weights[1], law.weights[1])
    assert found.weights[0, 1] == 0
    assert np.isfinite(found.log_likelihoods(x)).all()


@pytest.mark.parametrize("free", ["", "m", "c"])
def test_what_is_kept(law, rng, free):
    x, mass = rng.standard_normal((60, P)), rng.dirichlet(np.ones(K), 60)
    prior = MixturePrior(components=GaussianPrior(free=free), keep_weights=free != "")
    found = law.maximise(law.gather(x, mass), prior)
    assert np.array_equal(found.weights, law.weights) == (free != "")
    assert np.allclose(found.components.means, law.components.means, rtol=1e-11) == (
        "m" not in free
    )
    same = np.array_equal(found.components.covariances, law.components.covariances)
    assert same == ("c" not in free)


def test_relaxation_is_the_m_step_at_power_one(law, rng):
    x, mass = rng.standard_normal((200, P)), rng.dirichlet(np.ones(K), 200)
    new = law.maximise(law.gather(x, mass))
    same, far = law.relax(new, 1.0), law.relax(new, 2.0)
    assert_allclose(same.weights, new.weights, rtol=1e-12)
    assert_allclose(same.components.covariances, new.components.covariances, rtol=1e-9)
    assert_allclose(far.weights.sum(axis=1), 1)
    ratio = new.weights**2 / law.weights
    assert_allclose(far.weights, ratio / ratio.sum(axis=1, keepdims=True), rtol=1e-5)
    step = new.components.means - law.components.means
    assert_allclose(far.components.means - law.components.means, 2 * step, rtol=1e-9)


def test_samples_have_the_moments(law, rng):
    states = np.repeat(np.arange(K), 60_000)
    x = law.sample(states, rng)
    means, covariances = law.components.means.reshape(K, M, P), matrices(law)
    for k in range(K):
        mean = law.weights[k] @ means[k]
        assert_allclose(law.mean()[k], mean, rtol=1e-12)
        away = means[k] - mean
        outer = away[:, :, None] * away[:, None]
        expected = np.einsum("m,mij->ij", law.weights[k], covariances[k] + outer)
        scale = np.sqrt(expected.diagonal())
        assert_allclose((x[states == k].mean(axis=0) - mean) / scale, 0, atol=0.02)
        found = np.cov(x[states == k], rowvar=False) / np.outer(scale, scale)
        assert_allclose(found, expected / np.outer(scale, scale), atol=0.03)


def test_a_weight_of_zero_is_never_drawn(rng):
    components = DiagonalGaussian(np.array([[0.0], [50.0]]), np.ones((2, 1)))
    law = GaussianMixtureEmission(np.array([[1.0, 0.0]]), components)
    assert law.sample(np.zeros(1000, dtype=int), rng).max() < 25
    assert_allclose(law.log_likelihoods(np.array([[50.0]]))[0, 0], -1250 - np.log(2 * np.pi) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_pooled_laws_have_hmmlearns_number_of_parameters(kind, holes):
    pooled = KINDS[kind].pooled
    components = (lambda x, n: pooled(x, n, M)) if kind == "tied" else pooled
    law = GaussianMixtureEmission.pooled(holes, K, M, components)
    assert_allclose(law.mean(), np.tile(np.nanmean(holes, axis=0), (K, 1)))
    assert np.isfinite(law.log_likelihoods(holes)).all()
    rival = Rival(K, M, covariance_type=kind)
    rival.n_features = P
    count = rival._get_n_fit_scalars_per_param()
    assert law.n_parameters == count["m"] + count["c"] + count["w"]


@pytest.mark.parametrize("other", [FullGaussian, TiedGaussian])
def test_groups_of_one_and_one_group(other, rng, holes):
    """States of their own are `FullGaussian`, all of them together are `TiedGaussian`."""
    grouped = law_of("full", rng).components
    covariances = grouped.covariances if other is FullGaussian else grouped.covariances[0]
    expected = other(grouped.means, covariances)
    grouped = GroupedGaussian(grouped.means, covariances.reshape(-1, P, P))
    assert_allclose(grouped.log_likelihoods(holes), expected.log_likelihoods(holes))
    mass = rng.dirichlet(np.ones(K * M), len(holes))
    prior = GaussianPrior(0.1, 0.5, 0.3, 1.0)
    found = grouped.maximise(grouped.gather(holes, mass), prior)
    expected = expected.maximise(expected.gather(holes, mass), prior)
    assert_allclose(found.covariances.reshape(expected.covariances.shape), expected.covariances)
    assert_allclose(found.log_prior(prior), expected.log_prior(prior))
