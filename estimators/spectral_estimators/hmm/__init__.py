"""Hidden Markov models behind scikit-learn's and hmmlearn's interfaces, one file a family."""

from spectral_estimators.hmm.bernoulli import BernoulliHMM
from spectral_estimators.hmm.categorical import CategoricalHMM
from spectral_estimators.hmm.gaussian import GaussianHMM
from spectral_estimators.hmm.gmm import GMMHMM
from spectral_estimators.hmm.multinomial import MultinomialHMM
from spectral_estimators.hmm.poisson import PoissonHMM

__all__ = [
    "GMMHMM",
    "BernoulliHMM",
    "CategoricalHMM",
    "GaussianHMM",
    "MultinomialHMM",
    "PoissonHMM",
]
