"""Taggers without labels, and what they are compared with: fits to words, at one emission prior.

The prior makes a part of the held-out bits, whoever fits, so all sides get the same one. A random
support of the same sparsity tells whether it is the anchors that help, or zeros of any kind.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import ours
from bench.rivals import hmmlearn
from bench.words_data import Split
from bench.words_scoring import Score, objective, score
from spectral_estimators import CategoricalHMM
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.moments.ngrams import smooth_frequency

TOL = 3e-6  # nats a word: our default, which hmmlearn gets too
TO_CONVERGENCE = 1000
STEPS_ON_SUPPORT, STEPS_RELEASED = 20, 2


@dataclass(frozen=True, eq=False)
class Tagger:
    """A fit, and what came of it.

    Attributes
    ----------
    parameters : HMMParameters
    support : ndarray of bool (K, d)
        States that each word had in EM.
    seconds : float
        Of the fit alone.
    objective : float
        What the fit climbed, at its end, nats.
    score : Score
        On held-out sentences.
    """

    parameters: HMMParameters
    support: NDArray[np.bool_]
    seconds: float
    objective: float
    score: Score

    def details(self) -> dict[str, float]:
        """What the JSON keeps."""
        return {
            "accuracy": self.score.accuracy,
            "V-measure": self.score.v_measure,
            "bits": self.score.bits,
            "seconds": self.seconds,
            "objective": self.objective,
        }


def emission_prior(split: Split, n_components: int, pseudo_counts: float) -> NDArray[np.float64]:
    """Dirichlet parameters (K, d): one, and the pseudo-counts of a state by frequency of words."""
    frequency = smooth_frequency(np.bincount(split.train, minlength=split.n_symbols))
    return np.tile(1 + pseudo_counts * frequency, (n_components, 1))


def fit(split: Split, n_components: int, seed: int = 0, **options: Any) -> Tagger:
    """Fit our estimator with its defaults, but for ``options``."""
    parameters, seconds, model = ours.fit(
        split.train, split.offsets, n_components, split.n_symbols, seed=seed, **options
    )
    reached = model.monitor_.history[-1]
    return Tagger(parameters, model.support_, seconds, reached, score(parameters, split))


def climb(
    split: Split, prior: NDArray[np.float64], seed: int, n_iter: int = TO_CONVERGENCE
) -> Tagger:
    """Run our EM from one random start, at most ``n_iter`` steps."""
    options = {"init": "random", "n_init": 1, "n_iter": n_iter}
    return fit(split, len(prior), seed, emissionprob_prior=prior, **options)


def climb_hmmlearn(split: Split, prior: NDArray[np.float64], seed: int, n_iter: int) -> Tagger:
    """Run hmmlearn's EM from one of its random starts, at most ``n_iter`` steps."""
    parameters, seconds, _ = hmmlearn.fit(
        split.train,
        split.offsets,
        len(prior),
        split.n_symbols,
        n_init=1,
        n_iter=n_iter,
        seed=seed,
        emissionprob_prior=prior,
        tol=TOL * split.train.size,
    )
    reached = objective(parameters, split, prior)
    return Tagger(
        parameters, parameters.emission.probs > 0, seconds, reached, score(parameters, split)
    )


def fit_on_random_support(
    split: Split, like: Tagger, prior: NDArray[np.float64], seed: int = 0
) -> Tagger:
    """Fit with as many states for each word as ``like`` had in EM, but states drawn at random.

    All else is as from anchors: transitions are fitted to the bigrams, EM leaves zeros alone, and
    in two steps more each word may have any state.
    """
    rng = np.random.default_rng(seed)
    possible = like.support
    drawn = rng.random(possible.shape).argsort(axis=0).argsort(axis=0) < possible.sum(axis=0)
    share = np.where(drawn, rng.exponential(size=possible.shape), 0.0)
    counts = np.bincount(split.train, minlength=split.n_symbols)
    emission = share / share.sum(axis=0) * counts
    model = CategoricalHMM(
        len(possible), emissionprob_prior=prior, init_params="st", n_iter=STEPS_ON_SUPPORT
    )
    model.emissionprob_ = emission / emission.sum(axis=1, keepdims=True)
    begin = time.perf_counter()
    model.fit(split.train[:, None], lengths=split.lengths)
    model.emissionprob_ = 0.999 * model.emissionprob_ + 0.001 * (counts + 1) / (counts + 1).sum()
    model.set_params(init_params="", n_iter=STEPS_RELEASED).fit(split.train[:, None], split.lengths)
    seconds = time.perf_counter() - begin
    parameters = HMMParameters.categorical(model.startprob_, model.transmat_, model.emissionprob_)
    reached = model.monitor_.history[-1]
    return Tagger(parameters, possible, seconds, reached, score(parameters, split))


def best_of(taggers: Sequence[Tagger]) -> Tagger:
    """The one with the highest objective, which took the seconds of all."""
    winner = max(taggers, key=lambda one: one.objective)
    return replace(winner, seconds=sum(one.seconds for one in taggers))
