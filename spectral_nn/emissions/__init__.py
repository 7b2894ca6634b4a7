"""Laws of an observation given the hidden state: what hidden Markov models and mixtures share."""

from spectral_nn.emissions.base import (
    Emission,
    FramedEmission,
    LinearEmission,
    LosingEmission,
    MarginalEmission,
    MixedEmission,
    RowEmission,
)
from spectral_nn.emissions.categorical import CategoricalEmission

__all__ = [
    "CategoricalEmission",
    "Emission",
    "FramedEmission",
    "LinearEmission",
    "LosingEmission",
    "MarginalEmission",
    "MixedEmission",
    "RowEmission",
]
