"""Hidden Markov models behind scikit-learn's and hmmlearn's interfaces, one file a family."""

from spectral_estimators.hmm.bernoulli import BernoulliHMM
from spectral_estimators.hmm.categorical import CategoricalHMM
from spectral_estimators.hmm.gaussian import GaussianHMM
from spectral_estimators.hmm.multinomial import MultinomialHMM
from spectral_estimators.hmm.poisson import PoissonHMM

__all__ = ["BernoulliHMM", "CategoricalHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM"]
