"""Estimators with scikit-learn's interface for models learned by the method of moments."""

from spectral_estimators._base import ModelVersionWarning
from spectral_estimators.compare import TrainersReport, compare_trainers
from spectral_estimators.dawid_skene import DawidSkene
from spectral_estimators.displays import (
    ActiveSubspaceDisplay,
    DensityDisplay,
    DurationDisplay,
    EmissionDisplay,
    LossDisplay,
    ReceptiveFieldDisplay,
    RecoveryDisplay,
    ResidualDisplay,
    SeriesDisplay,
    SpectrumDisplay,
    TopicsDisplay,
    TrainersDisplay,
    TransitionDisplay,
)
from spectral_estimators.equilibrium import (
    EquilibriumMLPClassifier,
    EquilibriumMLPRegressor,
    EquilibriumPropagationClassifier,
)
from spectral_estimators.hmm import (
    GMMHMM,
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
)
from spectral_estimators.hmm_classifier import HMMClassifier
from spectral_estimators.label_propagation import LabelPropagation, LabelSpreading
from spectral_estimators.lagged import Lagged
from spectral_estimators.mixture import GaussianMixture, moments_init
from spectral_estimators.multi_view import MultiViewMixture
from spectral_estimators.multi_view_gaussian import MultiViewGaussianMixture
from spectral_estimators.network import MLPClassifier, MLPRegressor
from spectral_estimators.operators import ObservableOperatorModel
from spectral_estimators.per_sequence import PerSequence
from spectral_estimators.pmi_embedding import PMIEmbedding
from spectral_estimators.saving import TRUSTED_TYPES
from spectral_estimators.spiking import SpikingClassifier
from spectral_estimators.tensor_features import TensorFeatures
from spectral_estimators.topics import LatentDirichletAllocation
from spectral_nn import __version__
from spectral_nn.data import Sequences, SequenceStream, sequences_of_table
from spectral_nn.moments.scores import GaussianMixtureScore, GaussianScore
from spectral_nn.results import RankError, RankWarning, RecoveryWarning

__all__ = [
    "GMMHMM",
    "TRUSTED_TYPES",
    "ActiveSubspaceDisplay",
    "BernoulliHMM",
    "CategoricalHMM",
    "DawidSkene",
    "DensityDisplay",
    "DurationDisplay",
    "EmissionDisplay",
    "EquilibriumMLPClassifier",
    "EquilibriumMLPRegressor",
    "EquilibriumPropagationClassifier",
    "GaussianHMM",
    "GaussianMixture",
    "GaussianMixtureScore",
    "GaussianScore",
    "HMMClassifier",
    "LabelPropagation",
    "LabelSpreading",
    "Lagged",
    "LatentDirichletAllocation",
    "LossDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "ModelVersionWarning",
    "MultiViewGaussianMixture",
    "MultiViewMixture",
    "MultinomialHMM",
    "ObservableOperatorModel",
    "PMIEmbedding",
    "PerSequence",
    "PoissonHMM",
    "RankError",
    "RankWarning",
    "ReceptiveFieldDisplay",
    "RecoveryDisplay",
    "RecoveryWarning",
    "ResidualDisplay",
    "SequenceStream",
    "Sequences",
    "SeriesDisplay",
    "SpectrumDisplay",
    "SpikingClassifier",
    "TensorFeatures",
    "TopicsDisplay",
    "TrainersDisplay",
    "TrainersReport",
    "TransitionDisplay",
    "__version__",
    "compare_trainers",
    "moments_init",
    "sequences_of_table",
]
