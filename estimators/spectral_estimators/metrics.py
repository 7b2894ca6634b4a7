"""How good a model is: bits a symbol, perplexity and coherence of topics, distance from a truth."""

from spectral_nn.metrics import bits_per_symbol, direction_angles, parameter_errors, smooth
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.topics.evaluate import coherence, complete_documents

__all__ = [
    "HMMParameters",
    "bits_per_symbol",
    "coherence",
    "complete_documents",
    "direction_angles",
    "parameter_errors",
    "smooth",
]
