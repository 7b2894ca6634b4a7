"""Learning rules for the ``solver`` of `MLPClassifier` and `MLPRegressor`."""

from spectral_nn.trainers.rules.backprop import Backprop

__all__ = ["Backprop"]
