"""Models on data that carry next to nothing, and from starts that contradict them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from spectral_estimators import BernoulliHMM, CategoricalHMM, MultinomialHMM, RankWarning

FITTED = ("startprob_", "transmat_", "emissionprob_")
INITS = ["tensor", "random", "anchor"]


def assert_probabilities(model):
    for name in FITTED:
        values = getattr(model, name)
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert_allclose(values.sum(axis=-1), 1)


@pytest.mark.parametrize(
    ("init", "X", "message"),
    [
        ("tensor", [[0, 1], [1, 0]], "no moments that n_components=2 states could be read off"),
        ("tensor", [[0], [1]], "no moments that n_components=2"),
        ("anchor", [[0], [1]], "no anchors for n_components=2: .* there are 1"),
    ],
)
@pytest.mark.parametrize("n_iter", [0, 5])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_short_sequences_fall_back_on_random_starts(init, X, message, n_iter, method):
    X = [np.array(x) for x in X]
    model = CategoricalHMM(2, init=init, n_iter=n_iter, random_state=0)
    with pytest.warns(RankWarning, match=f"{message}.*Random starts"):
        getattr(model, method)(X)
    assert model.report_.winner == "random"
    assert_probabilities(model)
    assert not model.report_.sigma_ratio


def test_pairs_are_learned_from_random_starts():
    X = [np.array(x) for x in [[0, 1], [1, 0], [0, 0]] * 20]
    with pytest.warns(RankWarning):
        model = CategoricalHMM(2, random_state=0).fit(X)
    assert model.score(X) > -60 * np.log(3) - 1  # as far as the three pairs can be told apart


@pytest.mark.parametrize("init", INITS)
def test_more_states_than_observations_fit_with_a_warning(init):
    model = CategoricalHMM(5, init=init, emissionprob_prior=1.0, random_state=0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit([0, 1, 1])
    told = [str(w.message) for w in found if w.category is RankWarning]
    assert any("n_components=5 states are more than the 3 observations" in one for one in told)
    assert_probabilities(model)
    assert model.score([0, 1, 1]) > -0.1


def test_what_was_never_observed_is_no_data():
    X = np.ma.masked_all(5, dtype=int)
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="Every one of the 5 observations in X is missing"):
            getattr(CategoricalHMM(2, n_features=3), method)(X)


def contradicted(**settings):
    """A model whose emissions make the symbol 2 impossible."""
    model = CategoricalHMM(2, n_features=3, random_state=0, **settings)
    model.emissionprob_ = [[1, 0, 0], [0, 1, 0]]
    return model


@pytest.mark.parametrize("X", [[0, 2, 2, 2, 1, 2], [0, 2, 1] * 4000])
@pytest.mark.parametrize("init", INITS)
def test_an_impossible_start_ends_at_once_with_a_warning(X, init):
    told = []
    model = contradicted(
        init_params="st", params="st", init=init, verbose=lambda *step: told.append(step[0])
    )
    with pytest.warns(UserWarning, match="X is impossible under the start"):
        model.fit(X)
    assert model.monitor_.history == [-np.inf]
    assert "EM" not in told
    assert_probabilities(model)
    assert_allclose(model.emissionprob_, [[1, 0, 0], [0, 1, 0]])


def test_priors_fill_no_zeros_that_are_given():
    """The default prior of emissions would: it has pseudo-counts for every symbol."""
    X = [0, 1, 1, 0, 1, 0]
    for params in ("ste", "st"):
        model = contradicted(init_params="st", params=params).fit(X)
        assert np.isfinite(model.monitor_.history).all()
        assert_allclose(model.emissionprob_, [[1, 0, 0], [0, 1, 0]])


@st.composite
def fits(draw):
    """Tiny data, settings, and parameters with zeros that some fits begin with."""
    d, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    lists = draw(st.lists(st.lists(st.integers(-1, d - 1), min_size=1, max_size=6), min_size=1))
    if max(map(max, lists)) < 0:
        lists[0][0] = 0
    number = st.none() | st.floats(1e-3, 1e3)
    chosen = {
        "n_components": k,
        "n_features": d,
        "init": draw(st.sampled_from(INITS)),
        "n_iter": draw(st.sampled_from([0, 1, 3])),
        "params": "".join(draw(st.sets(st.sampled_from("ste")))),
        "init_params": "".join(draw(st.sets(st.sampled_from("ste")))),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "emissionprob_prior": draw(number),
    }
    for part in ("startprob_prior", "transmat_prior"):
        chosen[part] = draw(number) or 1.0

    def distribution(n):
        weights = draw(
            st.lists(st.sampled_from([0.0, 0.0, 1e-9, 1.0, 3.0]), min_size=n, max_size=n)
        )
        weights[draw(st.integers(0, n - 1))] += 1
        return np.array(weights) / sum(weights)

    given_ = {
        "startprob_": distribution(k),
        "transmat_": np.array([distribution(k) for _ in range(k)]),
        "emissionprob_": np.array([distribution(d) for _ in range(k)]),
    }
    kept = {name: given_[name] for name in given_ if name[0] not in chosen["init_params"]}
    y = draw(st.none() | st.just([np.maximum(np.array(x) % (k + 1) - 1, -1) for x in lists]))
    return [np.array(x) for x in lists], y, chosen, kept


@settings(max_examples=150, deadline=None)
@given(fits())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_is_fitted_is_a_probability(case):
    """Tiny data, priors, zeros that are kept, missing values, labels: no NaN comes out."""
    X, y, chosen, kept = case
    model = CategoricalHMM(**chosen, n_init=2, random_state=0, missing=-1)
    for name, value in kept.items():
        setattr(model, name, value)
    if y is None and sum(map(len, X)) % 2:
        model.partial_fit(X)
    else:
        model.fit(X, y)
    assert_probabilities(model)
    history = model.monitor_.history
    assert history == [-np.inf] or np.isfinite(history).all()
    for name in ("singular_values", "sigma_ratio"):
        figures = getattr(model.report_, name)
        assert figures is None or np.isfinite(figures).all()


@st.composite
def fits_of_rows(draw):
    """Tiny rows of marks or of counts, settings, and emissions with zeros that some begin with."""
    family = draw(st.sampled_from([BernoulliHMM, MultinomialHMM]))
    marks = family is BernoulliHMM
    n, p, k = draw(st.integers(1, 8)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    X = rng.integers(0, 2, (n, p)) if marks else rng.multinomial(3, np.ones(p) / p, n)
    holes = rng.random(X.shape) < draw(st.sampled_from([0.0, 0.4]))
    holes[0] = False
    chosen = {
        "n_components": k,
        "init": draw(st.sampled_from(["tensor", "random", "kmeans"])),
        "n_iter": draw(st.sampled_from([0, 1, 3])),
        "emissionprob_prior": draw(st.sampled_from([0.5, 1.0, 3.0])),
        "init_params": draw(st.sampled_from(["ste", "st"])),
    }
    if not marks:
        chosen["n_trials"] = draw(st.sampled_from([None, 3]))
    emission = rng.integers(0, 2, (k, p)) if marks else np.eye(p)[rng.integers(0, p, k)]
    y = draw(st.none() | st.just(np.arange(n) % (k + 1) - 1))
    return family(**chosen, random_state=0), np.ma.masked_array(X, holes), y, emission


@settings(max_examples=60, deadline=None)
@given(fits_of_rows())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_is_fitted_to_rows_is_a_probability(case):
    model, X, y, emission = case
    if "e" not in model.init_params:
        model.emissionprob_ = emission
    model.fit(X, y=y)
    for name in FITTED:
        values = getattr(model, name)
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
    history = model.monitor_.history
    assert history == [-np.inf] or np.isfinite(history).all()
    assert not np.isnan(model.score(X))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
