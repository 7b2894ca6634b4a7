"""Hidden Markov models under the names that hmmlearn gives them, for a change of one import.

``from hmmlearn import hmm`` becomes ``from spectral_estimators import hmmlearn as hmm``.
"""

from spectral_estimators.hmm import (
    GMMHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
)

__all__ = ["GMMHMM", "CategoricalHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM"]
