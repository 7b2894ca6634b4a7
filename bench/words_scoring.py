"""What taggers without labels are judged by, all sides by the same functions.

States get no names in a fit. *Many-to-one* calls each state by the tag that it meets most often,
and counts the words that are then right; the *V-measure* is the harmonic mean of how far states say
tags and tags say states (Rosenberg, Hirschberg, EMNLP-CoNLL 2007). Both look at held-out words,
those that training did not show among them, and at the most likely path of states. *Bits* are those
of a held-out word that training showed; the others are missing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import v_measure_score
from sklearn.metrics.cluster import contingency_matrix

from bench.words_data import MISSING, Split
from spectral_estimators import CategoricalHMM
from spectral_nn.metrics import bits_per_symbol
from spectral_nn.models.chains.parameters import HMMParameters


class Score(NamedTuple):
    """How good a tagger is.

    Attributes
    ----------
    accuracy, v_measure : float
        Percent; higher is better.
    bits : float
        A word; lower is better.
    """

    accuracy: float
    v_measure: float
    bits: float


def score(parameters: HMMParameters, split: Split) -> Score:
    """Held-out score of a model of either side."""
    model = as_estimator(parameters)
    held_out = (split.test[:, None], split.test_lengths)
    states = model.predict(*held_out)
    return Score(
        100 * many_to_one(split.test_tags, states),
        100 * float(v_measure_score(split.test_tags, states)),
        bits_per_symbol(model.score(*held_out), int(np.count_nonzero(split.test != MISSING))),
    )


def many_to_one(tags: ArrayLike, states: ArrayLike) -> float:
    """Share of positions that are right if each state is called by its commonest tag.

    Parameters
    ----------
    tags : array of shape (n,)
    states : array of shape (n,)
    """
    table = contingency_matrix(tags, states)
    return float(table.max(axis=0).sum() / table.sum())


def objective(
    parameters: HMMParameters, split: Split, emission_prior: NDArray[np.float64]
) -> float:
    """What every side climbs: log likelihood of the training part plus log prior, nats.

    Parameters
    ----------
    parameters : HMMParameters
    split : Split
    emission_prior : array that broadcasts to (K, d)
        Dirichlet parameters of the emissions.
    """
    log_prior = parameters.emission.log_prior(emission_prior - 1)
    return as_estimator(parameters).score(split.train[:, None], split.lengths) + log_prior


def as_estimator(parameters: HMMParameters) -> CategoricalHMM:
    """Our estimator with given parameters, which decodes and scores exactly, in float64."""
    model = CategoricalHMM(parameters.n_components, missing=MISSING)
    model.startprob_ = parameters.startprob
    model.transmat_ = parameters.transmat
    model.emissionprob_ = parameters.emission.probs
    return model
