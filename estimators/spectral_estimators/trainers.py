"""Learning rules for the ``solver`` of `MLPClassifier` and `MLPRegressor`."""

from spectral_nn.trainers.rules.backprop import Backprop
from spectral_nn.trainers.rules.checkpointed import Checkpointed
from spectral_nn.trainers.rules.feedback_alignment import FeedbackAlignment
from spectral_nn.trainers.rules.forward_gradient import ForwardGradient
from spectral_nn.trainers.rules.frozen import Frozen
from spectral_nn.trainers.rules.layer_wise import LayerWise
from spectral_nn.trainers.rules.predictive_coding import PredictiveCoding
from spectral_nn.trainers.rules.randomized import RandomizedAD
from spectral_nn.trainers.rules.synthetic_gradients import SyntheticGradients
from spectral_nn.trainers.rules.target_propagation import TargetPropagation

__all__ = [
    "Backprop",
    "Checkpointed",
    "FeedbackAlignment",
    "ForwardGradient",
    "Frozen",
    "LayerWise",
    "PredictiveCoding",
    "RandomizedAD",
    "SyntheticGradients",
    "TargetPropagation",
]
