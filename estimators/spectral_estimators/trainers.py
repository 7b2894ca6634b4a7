"""Learning rules for the ``solver`` of `MLPClassifier` and `MLPRegressor`."""

from spectral_nn.trainers.rules.backprop import Backprop
from spectral_nn.trainers.rules.checkpointed import Checkpointed
from spectral_nn.trainers.rules.forward_gradient import ForwardGradient
from spectral_nn.trainers.rules.randomized import RandomizedAD

__all__ = ["Backprop", "Checkpointed", "ForwardGradient", "RandomizedAD"]
