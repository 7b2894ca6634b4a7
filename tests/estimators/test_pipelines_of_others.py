"""Two pipelines as people run them on hmmlearn, with the import changed; planted data.

Each asks for one answer from every seed, which hmmlearn's own start does not give.
"""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_estimators import hmmlearn as hmm

LEVELS = np.log2(np.array([0.25, 1.0, 2.0, 3.0, 4.0]) / 2)  # copies of a chromosome's segment


def segments(lengths, probs, mean_length, rng):
    """States that last for geometric times, sequence after sequence."""
    states = []
    for n in lengths:
        lasting = rng.geometric(1 / mean_length, size=n)
        states.append(np.repeat(rng.choice(len(probs), size=n, p=probs), lasting)[:n])
    return np.concatenate(states)


def call_copy_numbers(ratios, lengths, seed):
    """A caller of copy numbers: five levels are known, few chromosomes are long."""
    model = hmm.GaussianHMM(
        n_components=5,
        covariance_type="diag",
        init_params="tsc",
        params="tsc",
        n_iter=100,
        random_state=seed,
    )
    model.means_ = LEVELS[:, None]
    model.fit(ratios.reshape(-1, 1), lengths)
    return model, model.predict(ratios.reshape(-1, 1), lengths)


def test_a_copy_number_caller():
    rng = np.random.default_rng(0)
    lengths = rng.integers(40, 250, size=24)
    states = segments(lengths, [0.02, 0.08, 0.75, 0.1, 0.05], 30, rng)
    noise = np.array([0.5, 0.25, 0.18, 0.2, 0.25])[states] * rng.standard_normal(states.size)
    ratios = LEVELS[states] + noise
    model, called = call_copy_numbers(ratios, lengths, 0)
    assert_array_equal(model.means_, LEVELS[:, None])
    assert np.mean(called == states) > 0.95
    for seed in range(1, 3):
        again, calls = call_copy_numbers(ratios, lengths, seed)
        assert_array_equal(calls, called)
        assert_allclose(again.covars_, model.covars_)


def train(family, signal, lengths, seed):
    """The model of a peak caller: three states, four tracks, kept as JSON."""
    if family == "gaussian":
        model = hmm.GaussianHMM(
            n_components=3, covariance_type="full", random_state=seed, n_iter=200
        )
    else:
        model = hmm.PoissonHMM(n_components=3, random_state=seed, n_iter=200)
    model = model.fit(signal, lengths)
    assert model.monitor_.converged
    kept = {
        "startprob": model.startprob_.tolist(),
        "transmat": model.transmat_.tolist(),
        "n_features": model.n_features,
    }
    if family == "gaussian":
        kept |= {"means": model.means_.tolist(), "covars": model.covars_.tolist()}
    else:
        kept |= {"lambdas": model.lambdas_.tolist()}
    return json.dumps(kept)


def load(family, text):
    """The same model, set by hand from what was kept."""
    kept = json.loads(text)
    if family == "gaussian":
        model = hmm.GaussianHMM(n_components=3, covariance_type="full")
        model.means_, model.covars_ = np.array(kept["means"]), np.array(kept["covars"])
    else:
        model = hmm.PoissonHMM(n_components=3)
        model.lambdas_ = np.array(kept["lambdas"])
    model.startprob_, model.transmat_ = np.array(kept["startprob"]), np.array(kept["transmat"])
    model.n_features = kept["n_features"]
    return model


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_peak_caller(family):
    """Open, nucleosomal and background; fragments of four lengths are counted in bins."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(100, 400, size=60)
    states = segments(lengths, [0.2, 0.3, 0.5], 15, rng)
    rates = np.array([[14.0, 3.0, 1.0, 0.5], [3.0, 9.0, 5.0, 2.0], [0.8, 0.8, 0.4, 0.3]])
    signal = rng.poisson(rates[states])
    if family == "gaussian":  # signals that are averaged over windows
        signal = np.log(rates[states] * rng.gamma(6, 1 / 6, size=(states.size, 4)) + 0.1)
    answers = []
    for seed in range(3):
        model = load(family, train(family, signal, lengths, seed))
        level = (model.means_ if family == "gaussian" else model.lambdas_)[:, 0]
        answers.append(model.predict_proba(signal, lengths)[:, level.argmax()] > 0.5)
    assert np.mean(answers[0] == (states == 0)) > 0.97
    for answer in answers[1:]:
        assert np.mean(answer != answers[0]) < 1e-3
