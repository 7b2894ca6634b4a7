"""Standard errors against derivatives of the exact log-likelihood, closed forms and identities."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data import Sequences
from spectral_nn.emissions import CategoricalEmission
from spectral_nn.emissions.bernoulli import BernoulliEmission
from spectral_nn.emissions.gaussian import DiagonalGaussian, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.emissions.gaussian_mixture import GaussianMixtureEmission, GroupedGaussian
from spectral_nn.emissions.multinomial import MultinomialEmission
from spectral_nn.emissions.poisson import PoissonEmission
from spectral_nn.models.chains import recursions
from spectral_nn.models.chains.errors import cut_blocks, find_standard_errors
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.inference import log_likelihoods
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import Priors, maximise

MEANS = np.array([[0.0, 1.0], [3.0, -1.0]])
FULL = np.array([[[1.0, 0.4], [0.4, 0.5]], [[2.0, -0.6], [-0.6, 1.0]]])
SPREAD = np.array([[0.0, 1.0], [3.0, -1.0], [-3.0, -3.0], [6.0, 4.0]])
LAWS = {
    "categorical": CategoricalEmission(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])),
    "multinomial": MultinomialEmission(np.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]]), 4),
    "bernoulli": BernoulliEmission(np.array([[0.8, 0.3, 0.9], [0.2, 0.6, 0.3]])),
    "poisson": PoissonEmission(np.array([[1.0, 4.0], [5.0, 2.0]])),
    "spherical": SphericalGaussian(MEANS, np.array([0.5, 2.0])),
    "diag": DiagonalGaussian(MEANS, np.array([[0.5, 1.0], [2.0, 0.8]])),
    "tied": TiedGaussian(MEANS, FULL[0]),
    "full": FullGaussian(MEANS, FULL),
    "mixture": GaussianMixtureEmission(
        np.array([[0.6, 0.4], [0.3, 0.7]]),
        DiagonalGaussian(SPREAD, np.array([[0.3, 0.5], [0.6, 0.4], [0.5, 0.8], [0.4, 0.3]])),
    ),
    "mixture, tied": GaussianMixtureEmission(
        np.array([[0.6, 0.4], [0.3, 0.7]]), GroupedGaussian(SPREAD, FULL / 3)
    ),
}
LENGTH, N_SEQUENCES = 6, 60


def climbed(parameters, data):
    """Where EM ends, on flat priors."""
    priors = Priors(emission=None if parameters.emission.rows else 0.0)
    for _ in range(3000):
        new = maximise(expect_exact(parameters, data), parameters, priors)
        change = max(
            np.abs(new.transmat - parameters.transmat).max(),
            np.abs(new.emission.mean() - parameters.emission.mean()).max(),
        )
        parameters = new
        if change < 1e-12:
            break
    return parameters


def drawn(law, n_sequences=N_SEQUENCES, length=LENGTH, holes=0.0, seed=0):
    """Sequences of a sticky chain, entries of rows missing at random; and where EM ends on them."""
    rng = np.random.default_rng(seed)
    K = law.n_components
    truth = HMMParameters(np.full(K, 1 / K), 0.6 * np.eye(K) + 0.4 / K, law)
    rows = [recursions.sample(truth, length, rng)[0] for _ in range(n_sequences)]
    values = np.concatenate(rows)
    if law.rows:
        values = values.astype(float)
        values[rng.random(values.shape) < holes] = np.nan
    else:
        values = values.astype(np.int32)
    data = Sequences(values, length * np.arange(n_sequences + 1))
    return climbed(truth, data), data


def theta_of(parameters):
    """All parameters without those that others determine, and the way back."""
    emission = parameters.emission
    mixed = isinstance(emission, GaussianMixtureEmission)
    law = emission.components if mixed else emission
    names = [name for name in ("probs", "rates", "means", "covariances") if hasattr(law, name)]
    fields = {"startprob": parameters.startprob, "transmat": parameters.transmat}
    fields |= {"weights": emission.weights} if mixed else {}
    fields |= {name: getattr(law, name) for name in names}
    rows = ["startprob", "transmat", "weights"]
    rows += [] if isinstance(emission, BernoulliEmission) else ["probs"]
    matrices = ["covariances"] if isinstance(law, FullGaussian) else []
    free = {name: np.ones(value.shape, dtype=bool) for name, value in fields.items()}
    for name in fields:
        if name in rows:
            free[name][..., -1] = False
        if name in matrices:
            free[name] = np.triu(free[name])

    def back(theta):
        found, ends = {}, np.cumsum([mask.sum() for mask in free.values()])[:-1]
        for (name, mask), part in zip(free.items(), np.split(theta, ends), strict=True):
            value = np.zeros(mask.shape)
            value[mask] = part
            if name in rows:
                value[..., -1] = 1 - value.sum(axis=-1)
            if name in matrices:
                value += np.swapaxes(np.triu(value, 1), -1, -2)
            found[name] = value
        moved = replace(law, **{name: found[name] for name in names})
        moved = replace(emission, weights=found["weights"], components=moved) if mixed else moved
        return HMMParameters(found["startprob"], found["transmat"], moved), found

    return np.concatenate([fields[name][mask] for name, mask in free.items()]), back


def by_differences(parameters, data, h=2e-4):
    """Standard errors from differences of the log-likelihoods of sequences, in the plain scale."""
    theta, back = theta_of(parameters)
    q, m = theta.size, len(data)
    steps = h * np.eye(q)

    def value(step):
        return log_likelihoods(back(theta + step)[0], data)

    scores = np.array([(value(s) - value(-s)) / (2 * h) for s in steps]).T
    assert np.abs(scores.sum(axis=0)).max() < 1e-3 * m  # a maximum
    hessian = np.array(
        [
            [
                (value(a + b) - value(a - b) - value(b - a) + value(-a - b)).sum() / (4 * h**2)
                for b in steps
            ]
            for a in steps
        ]
    )
    inverse, squares = np.linalg.inv(-hessian), scores.T @ scores
    covariances = {
        "hessian": inverse,
        "robust": inverse @ squares @ inverse * m / (m - 1),
        "opg": np.linalg.inv(squares) * (m - q - 1) / m,
    }

    def everything(step):
        return np.concatenate([a.ravel() for a in back(theta + step)[1].values()])

    jacobian = np.array([(everything(s) - everything(-s)) / (2 * h) for s in steps]).T
    return {
        kind: np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
        for kind, covariance in covariances.items()
    }


@pytest.mark.parametrize("name", LAWS)
def test_they_are_those_of_the_exact_likelihood(name):
    """All kinds, a sequence a block, and rows that lack some entries."""
    parameters, data = drawn(LAWS[name], holes=0.1)
    for kind, expected in by_differences(parameters, data).items():
        found = find_standard_errors(parameters, data, kind=kind, block=LENGTH)
        errors = np.concatenate([a.ravel() for a in found.errors.values()])
        assert_allclose(errors, expected, rtol=2e-3)
        assert found.n_blocks == N_SEQUENCES
        assert found.distance < 1e-3


def test_one_state_has_closed_forms(rng):
    x = rng.normal(3.0, 2.0, (400, 1))
    one = np.ones(1), np.ones((1, 1))
    s = x.std()
    ends = np.array([0, 400])

    def errors(law, values):
        return find_standard_errors(
            HMMParameters(*one, law), Sequences(values, ends), kind="hessian"
        ).errors

    gaussian = errors(DiagonalGaussian(x.mean(axis=0)[None], np.full((1, 1), s**2)), x)
    assert_allclose(gaussian["means"], s / 20, rtol=1e-6)
    assert_allclose(gaussian["covariances"], s**2 * np.sqrt(2 / 400), rtol=1e-6)
    assert np.isnan(gaussian["transmat"]).all()
    marks = (x > 4).astype(float)
    p = marks.mean()
    bernoulli = errors(BernoulliEmission(np.full((1, 1), p)), marks)
    categorical = errors(CategoricalEmission(np.array([[1 - p, p]])), marks[:, 0].astype(np.int32))
    for found in (bernoulli, categorical):
        assert_allclose(found["probs"], np.sqrt(p * (1 - p) / 400), rtol=1e-6)
    counts = np.floor(np.abs(x))
    rate = counts.mean()
    found = errors(PoissonEmission(np.full((1, 1), rate)), counts)
    assert_allclose(found["rates"], np.sqrt(rate / 400), rtol=1e-6)


@pytest.mark.parametrize("law", [FullGaussian, TiedGaussian])
def test_columns_that_are_nearly_the_same(law, rng):
    """Correlation 1 - 1e-10; errors of covariances have the closed form all the same."""
    x = rng.standard_normal((300, 1)) + 1e-5 * rng.standard_normal((300, 2))
    mean, S = x.mean(axis=0), np.cov(x.T, bias=True)
    one = law(mean[None], S if law is TiedGaussian else S[None])
    parameters = HMMParameters(np.ones(1), np.ones((1, 1)), one)
    found = find_standard_errors(parameters, Sequences(x, np.array([0, 300])), kind="hessian")
    assert_allclose(found["means"][0], np.sqrt(np.diag(S) / 300), rtol=1e-2)
    expected = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / 300)
    # How much rounding is left depends on how a kernel multiplies.
    assert_allclose(found["covariances"].reshape(2, 2), expected, rtol=1e-2)


def test_robust_errors_of_one_state_are_those_of_a_mean_of_blocks(rng):
    """Of correlated rows, too: blocks tell how far their sums spread."""
    x = np.repeat(rng.standard_normal((60, 1)), 20, axis=0)
    law = DiagonalGaussian(x.mean(axis=0)[None], np.full((1, 1), x.var()))
    one = HMMParameters(np.ones(1), np.ones((1, 1)), law)
    data = Sequences(x, np.array([0, 1200]))
    robust = find_standard_errors(one, data, block=20).errors["means"]
    assert_allclose(robust, x[::20].std(ddof=1) / np.sqrt(60), rtol=1e-6)
    plain = find_standard_errors(one, data, kind="hessian").errors["means"]
    assert_allclose(plain, x.std() / np.sqrt(1200), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-7, 1e7])
@pytest.mark.parametrize("name", ["diag", "full"])
def test_units_of_the_data_do_not_matter(name, factor):
    parameters, data = drawn(LAWS[name], n_sequences=20, length=15)
    law = parameters.emission
    moved = replace(law, means=factor * law.means, covariances=factor**2 * law.covariances)
    scaled = Sequences(factor * data.values, data.offsets)
    for kind in ("robust", "opg"):
        plain = find_standard_errors(parameters, data, kind=kind).errors
        found = find_standard_errors(replace(parameters, emission=moved), scaled, kind=kind).errors
        assert_allclose(found["transmat"], plain["transmat"], rtol=1e-5)
        assert_allclose(found["means"], factor * plain["means"], rtol=1e-5)
        assert_allclose(found["covariances"], factor**2 * plain["covariances"], rtol=1e-5)


@pytest.mark.parametrize("never", [0.0, 1e-9])
def test_what_never_happens_has_none_and_spoils_nothing(never):
    """A fourth symbol that nobody writes, and a state that is never entered."""
    parameters, data = drawn(LAWS["categorical"])
    probs = parameters.emission.probs
    K, d = probs.shape
    wider = np.full((K + 1, d + 1), never)
    wider[:K, :d], wider[K, :d] = probs, 1 / d
    trans = np.full((K + 1, K + 1), never)
    trans[:K, :K], trans[K, :K] = parameters.transmat, 1 / K
    start = np.append(parameters.startprob, never)
    other = HMMParameters.categorical(
        *(a / a.sum(axis=-1, keepdims=True) for a in (start, trans, wider))
    )
    for kind in ("robust", "hessian", "opg"):
        expected = find_standard_errors(parameters, data, kind=kind, block=LENGTH).errors
        found = find_standard_errors(other, data, kind=kind, block=LENGTH).errors
        assert_allclose(found["probs"][:K, :d], expected["probs"], rtol=1e-5)
        assert_allclose(found["transmat"][:K, :K], expected["transmat"], rtol=1e-5)
        for name in ("startprob", "transmat", "probs"):
            assert np.isnan(found[name][..., -1]).all()
        assert np.isnan(found["probs"][K]).all()
        assert np.isnan(found["transmat"][K]).all()


def test_marks_and_rates_at_the_edge_are_held_fixed():
    x = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]] * 40)
    ends = np.array([0, 80])
    one = np.ones(1), np.ones((1, 1))
    for law in (
        BernoulliEmission(np.array([[0.0, 1.0, 0.5]])),
        PoissonEmission(x.mean(axis=0)[None]),
    ):
        (found,) = list(
            find_standard_errors(
                HMMParameters(*one, law), Sequences(x, ends), kind="hessian"
            ).errors.values()
        )[2:]
        assert np.isnan(found[0, 0])
        assert np.isnan(found[0, 1]) == isinstance(law, BernoulliEmission)
        assert np.isfinite(found[0, 2])


def test_few_sequences_say_nothing_of_the_first_state():
    for n_sequences in (9, 10):
        parameters, data = drawn(LAWS["diag"], n_sequences=n_sequences, length=40)
        found = find_standard_errors(parameters, data, kind="hessian")
        assert np.isnan(found.errors["startprob"]).all() == (n_sequences < 10)
        assert np.isfinite(found.errors["transmat"]).all()


def test_wrong_tails_show_in_robust_errors_alone():
    rng = np.random.default_rng(1)
    states = np.cumsum(rng.random(6000) < 0.05) % 2
    noise = rng.standard_t(5, 6000) / np.sqrt(5 / 3)
    x = (4.0 * states + noise)[:, None]
    law = DiagonalGaussian(np.array([[0.0], [4.0]]), np.ones((2, 1)))
    data = Sequences(x, np.array([0, 6000]))
    parameters = climbed(HMMParameters([0.5, 0.5], [[0.95, 0.05], [0.05, 0.95]], law), data)
    robust, plain = (
        find_standard_errors(parameters, data, kind=k).errors for k in ("robust", "hessian")
    )
    assert (robust["covariances"] > 1.3 * plain["covariances"]).all()
    assert_allclose(robust["means"], plain["means"], rtol=0.25)


def test_intervals_stay_within_what_is_allowed():
    parameters, data = drawn(LAWS["full"], n_sequences=12)
    found = find_standard_errors(parameters, data, kind="hessian")
    wide, narrow = found.intervals(0.999), found.intervals(0.5)
    for name, value in found.values.items():
        assert (wide[name][0] < narrow[name][0]).all()
        assert (narrow[name][0] < value).all()
        assert (value < narrow[name][1]).all()
        assert (narrow[name][1] < wide[name][1]).all()
    assert (wide["transmat"] > 0).all()
    assert (wide["transmat"] < 1).all()
    assert (wide["covariances"][:, :, [0, 1], [0, 1]] > 0).all()
    error, value = found.errors["means"], found.values["means"]
    assert_allclose(
        found.intervals(0.95)["means"], [value - 1.959964 * error, value + 1.959964 * error]
    )
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        found.intervals(95)


def test_a_model_that_is_no_maximum_is_reported():
    parameters, data = drawn(LAWS["diag"])
    away = replace(parameters.emission, means=parameters.emission.means + 0.2)
    with pytest.warns(UserWarning, match="standard errors from a maximum"):
        find_standard_errors(replace(parameters, emission=away), data, kind="opg", block=LENGTH)


def test_states_that_are_alike_are_reported():
    parameters, data = drawn(LAWS["diag"])
    law = parameters.emission
    alike = replace(law, means=law.means[[0, 0]], covariances=law.covariances[[0, 0]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        find_standard_errors(replace(parameters, emission=alike), data, kind="hessian")
    assert any("information" in str(one.message) for one in caught)


def test_what_cannot_be_done_is_refused():
    parameters, data = drawn(LAWS["categorical"])
    with pytest.raises(ValueError, match="needs more blocks than free parameters, 7; X has 4"):
        find_standard_errors(parameters, data, block=90)
    with pytest.raises(ValueError, match="kind must be one of 'robust'"):
        find_standard_errors(parameters, data, kind="sandwich")
    impossible = HMMParameters.categorical([0.5, 0.5], np.full((2, 2), 0.5), [[1.0, 0.0, 0.0]] * 2)
    with pytest.raises(ValueError, match="impossible"):
        find_standard_errors(impossible, data)


def test_blocks_hold_whole_sequences_where_these_are_short():
    assert_array_equal(cut_blocks(np.array([0, 10]), 3), [0, 3, 6, 9, 10])
    assert_array_equal(cut_blocks(np.array([0, 2, 5, 7, 9]), 4), [0, 2, 7, 9])
    assert_array_equal(cut_blocks(np.array([0, 3, 6, 9]), 3), [0, 3, 6, 9])
    assert_array_equal(cut_blocks(np.array([0, 3]), 1000), [0, 3])
