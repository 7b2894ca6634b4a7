"""Learning rules for the ``solver`` of `MLPClassifier` and `MLPRegressor`."""

from spectral_nn.trainers.rules.backprop import Backprop
from spectral_nn.trainers.rules.checkpointed import Checkpointed

__all__ = ["Backprop", "Checkpointed"]
