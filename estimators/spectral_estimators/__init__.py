"""Estimators with scikit-learn's interface for models learned by the method of moments."""

from spectral_estimators.displays import EmissionDisplay, SpectrumDisplay, TransitionDisplay
from spectral_estimators.hmm import CategoricalHMM
from spectral_estimators.per_sequence import PerSequence
from spectral_nn import __version__
from spectral_nn.results import RankWarning
from spectral_nn.sequences import Sequences, SequenceStream

__all__ = [
    "CategoricalHMM",
    "EmissionDisplay",
    "PerSequence",
    "RankWarning",
    "SequenceStream",
    "Sequences",
    "SpectrumDisplay",
    "TransitionDisplay",
    "__version__",
]
