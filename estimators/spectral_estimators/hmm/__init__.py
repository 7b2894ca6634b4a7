"""Hidden Markov models behind scikit-learn's and hmmlearn's interfaces, one file a family."""

from spectral_estimators.hmm.categorical import CategoricalHMM

__all__ = ["CategoricalHMM"]
