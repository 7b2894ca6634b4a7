"""`forecast`, `icl` and `summary` of every family: forms of X, and answers by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import (
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
    Sequences,
    SequenceStream,
)
from tests.oracles import all_paths

START, TRANS = np.array([0.6, 0.4]), np.array([[0.9, 0.1], [0.3, 0.7]])
SETTINGS = {
    "categorical": (CategoricalHMM, {}, {"emissionprob_": [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]}),
    "gaussian": (
        GaussianHMM,
        {"covariance_type": "full"},
        {"means_": [[0.0, 1.0], [3.0, -1.0]], "covars_": [[[1, 0.5], [0.5, 2]], np.eye(2)]},
    ),
    "poisson": (PoissonHMM, {}, {"lambdas_": [[1.0, 4.0], [6.0, 2.0]]}),
    "multinomial": (MultinomialHMM, {"n_trials": 9}, {"emissionprob_": [[0.7, 0.3], [0.2, 0.8]]}),
    "bernoulli": (BernoulliHMM, {}, {"emissionprob_": [[0.8, 0.1, 0.5], [0.2, 0.6, 0.5]]}),
}


@pytest.fixture(params=SETTINGS)
def model(request):
    family, settings, emissions = SETTINGS[request.param]
    model = family(2, random_state=0, **settings)
    model.startprob_, model.transmat_ = START, TRANS
    for name, value in emissions.items():
        setattr(model, name, np.array(value, dtype=float))
    return model


def likelihoods(model, X):
    """Of each row in each state (n, 2)."""
    law = model._emission(2)
    return np.exp(law.log_likelihoods(X.astype(float))) if law.rows else law.probs.T[X[:, 0]]


def test_forecasts_sum_over_all_paths(model):
    """Past and future together: K^(T + h) paths, those of the past weighed by what was seen."""
    X = model.sample(5)[0]
    table = np.append(likelihoods(model, X), np.ones((1, 2)), axis=0)
    codes = np.array([0, 1, 2, 3, 4, 5, 5, 5])
    paths, p = all_paths(START, TRANS, table, codes)
    p /= p.sum()
    found = model.forecast(X, 3, quantiles=(0.1, 0.8))
    assert_array_equal(found.levels, [0.1, 0.8])
    law = model._emission(2)
    for step in range(3):
        states = np.bincount(paths[:, 5 + step], p, 2)
        assert_allclose(found.states[step], states, rtol=1e-10)
        assert_allclose(found.mean[step], states @ law.mean(), rtol=1e-10)
        for i, level in enumerate(found.levels if law.rows else []):
            x = found.quantiles[step, :, i]
            assert (states @ law.cdf(x[None])[0] >= level - 1e-12).all()
            assert (states @ law.cdf(np.nextafter(x, -np.inf)[None])[0] < level + 1e-12).all()
    assert (found.quantiles is None) == (not law.rows)


def test_one_step_ahead_is_predict_next(model):
    X = model.sample(30)[0]
    assert_allclose(model.forecast(X, 1).mean[0], model.predict_next(X), rtol=1e-12)
    assert_allclose(model.forecast(X[:0], 1).states[0], START)
    far = model.forecast(X, 200).states[-1]
    assert_allclose(far, model.get_stationary_distribution(), rtol=1e-9)


def test_forms_of_prefixes(model):
    X = model.sample(30)[0]
    one = model.forecast(X[:10], 4, quantiles=[0.5])
    d = one.mean.shape[1]
    assert one.states.shape == (4, 2)
    many = [
        model.forecast([X[:10], X[10:]], 4, quantiles=[0.5]),
        model.forecast(Sequences.from_list([X[:10], X[10:]]), 4, quantiles=[0.5]),
        model.forecast(X, 4, quantiles=[0.5], lengths=[10, 20]),
    ]
    for found in many:
        assert found.states.shape == (2, 4, 2)
        assert found.mean.shape == (2, 4, d)
        for name in ("states", "mean", "quantiles"):
            expected = getattr(one, name)
            if expected is None:
                assert getattr(found, name) is None
            else:
                assert_allclose(getattr(found, name)[0], expected, rtol=1e-12)
    if one.quantiles is not None:
        assert one.quantiles.shape == (4, d, 1)
        assert many[0].quantiles.shape == (2, 4, d, 1)
    assert model.forecast(X, 2, quantiles=None).quantiles is None


def test_missing_observations_are_steps(model):
    """A prefix that ends with two missing rows says what its beginning says two steps later."""
    X = model.sample(12)[0]
    model.set_params(missing=-1)
    longer = np.append(X, np.full((2, X.shape[1]), -1), axis=0)
    if isinstance(model, GaussianHMM):
        longer = np.ma.masked_equal(longer, -1)
    assert_allclose(model.forecast(longer, 1).mean[0], model.forecast(X, 3).mean[2], rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"steps": "10"}, "steps must be a whole number of at least 1, got '10'"),
        ({"steps": None}, "steps must be a whole number of at least 1, got None"),
        ({"steps": np.inf}, "steps must be a whole number"),
        ({"steps": np.nan}, "steps must be a whole number"),
        ({"steps": 1, "quantiles": (0.5, 1.0)}, "quantiles must be a row of levels between 0"),
        ({"steps": 1, "quantiles": (0.5, np.nan)}, "quantiles must be"),
        ({"steps": 1, "quantiles": 0.5}, "quantiles must be"),
    ],
)
def test_bad_arguments(model, arguments, words):
    with pytest.raises(ValueError, match=words):
        model.forecast(model.sample(3)[0], **arguments)


def test_icl_is_that_of_the_best_path(model):
    X = model.sample(8)[0]
    table = likelihoods(model, X)
    _, first = all_paths(START, TRANS, table, np.arange(3))
    _, second = all_paths(START, TRANS, table, np.arange(3, 8))
    p = model.summary(X).n_parameters
    expected = -2 * np.log(first.max() * second.max()) + p * np.log(8)
    for X_given, lengths in ((X, [3, 5]), ([X[:3], X[3:]], None)):
        assert_allclose(model.icl(X_given, lengths), expected, rtol=1e-10)
    assert model.icl(X, [3, 5]) >= model.bic(X, [3, 5])


def test_summaries_agree_with_the_methods(model):
    X, _ = model.sample(400)
    stream = SequenceStream([X[:100], X[100:]])
    found = model.summary(stream)
    lengths = [100, 300]
    assert found.n_observations == 400
    for name in ("aic", "bic", "icl"):
        assert_allclose(getattr(found, name), getattr(model, name)(X, lengths), rtol=1e-12)
    assert_allclose(found.log_likelihood, model.score(X, lengths=lengths), rtol=1e-12)
    posterior = model.predict_proba([X[:100], X[100:]]).values
    assert_allclose(found.occupancy, posterior.mean(axis=0), rtol=1e-12)
    assert_allclose(found.mean_stay, [10, 10 / 3], rtol=1e-12)
    assert_allclose(found.stationary, [0.75, 0.25], rtol=1e-12)
    assert_allclose(found.mean, model._emission(2).mean())
    of_symbols = isinstance(model, CategoricalHMM)
    assert len(str(found).splitlines()) == 7 + 2 + of_symbols + 2
    assert ("probability of a symbol" in str(found)) == of_symbols


def test_columns_of_a_summary_are_named_by_symbol():
    model = CategoricalHMM(2)
    model.startprob_, model.transmat_ = START, TRANS
    model.emissionprob_ = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    numbers = model.summary([0, 1, 2])
    assert numbers.symbols.tolist() == [0, 1, 2]
    model.symbols_ = ["fog", "sun", "thunderstorm"]
    found = model.summary(["fog", "sun", "sun"])
    head, names, *states = str(found).splitlines()[8:]
    assert head.endswith("probability of a symbol")
    assert names.split() == list(found.symbols) == model.symbols_
    assert [len(line) for line in states] == [len(names)] * 2
    assert states[0].split()[-3:] == ["0.7", "0.2", "0.1"]


def test_icl_counts_a_split_of_one_state_against_it():
    """Two states of one law: BIC loses by parameters alone, ICL also by what paths leave open."""
    X = np.random.default_rng(0).poisson(4.0, (500, 1))
    one, two = PoissonHMM(1), PoissonHMM(2)
    for model, k in ((one, 1), (two, 2)):
        model.startprob_, model.transmat_ = np.full(k, 1 / k), np.full((k, k), 1 / k)
        model.lambdas_ = np.full((k, 1), 4.0)
    assert_allclose(one.icl(X), one.bic(X), rtol=1e-12)
    assert_allclose(two.icl(X) - two.bic(X), 2 * 500 * np.log(2), rtol=1e-10)
