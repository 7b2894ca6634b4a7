"""Pictures of fitted models, as scikit-learn's displays.

The data are in the constructor, the drawing in ``plot``, and ``from_estimator`` does both.
Matplotlib is imported when something is drawn.
"""

from spectral_estimators.displays.densities import DensityDisplay
from spectral_estimators.displays.directions import (
    ActiveSubspaceDisplay,
    ReceptiveFieldDisplay,
)
from spectral_estimators.displays.hidden_markov import (
    EmissionDisplay,
    TransitionDisplay,
    state_order,
)
from spectral_estimators.displays.network import LossDisplay, RecoveryDisplay
from spectral_estimators.displays.residuals import ResidualDisplay
from spectral_estimators.displays.series import DurationDisplay, SeriesDisplay
from spectral_estimators.displays.spectrum import SpectrumDisplay
from spectral_estimators.displays.topics import TopicsDisplay
from spectral_estimators.displays.trainers import TrainersDisplay

__all__ = [
    "ActiveSubspaceDisplay",
    "DensityDisplay",
    "DurationDisplay",
    "EmissionDisplay",
    "LossDisplay",
    "ReceptiveFieldDisplay",
    "RecoveryDisplay",
    "ResidualDisplay",
    "SeriesDisplay",
    "SpectrumDisplay",
    "TopicsDisplay",
    "TrainersDisplay",
    "TransitionDisplay",
    "state_order",
]
