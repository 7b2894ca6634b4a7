"""What files of saved models hold: the types to trust where they are loaded without pickle."""

from scipy.sparse import csr_array

from spectral_estimators import reports, trainers
from spectral_estimators._progress import ConvergenceMonitor
from spectral_estimators.dawid_skene import DawidSkene
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
from spectral_estimators.mixture import GaussianMixture
from spectral_estimators.multi_view import MultiViewMixture
from spectral_estimators.multi_view_gaussian import MultiViewGaussianMixture
from spectral_estimators.network import MLPClassifier, MLPRegressor
from spectral_estimators.operators import ObservableOperatorModel
from spectral_estimators.per_sequence import PerSequence
from spectral_estimators.pmi_embedding import PMIEmbedding, WordsSeen
from spectral_estimators.spiking import SpikingClassifier
from spectral_estimators.tensor_features import TensorFeatures
from spectral_estimators.topics import LatentDirichletAllocation
from spectral_nn.emissions.bernoulli import BernoulliEmission
from spectral_nn.emissions.gaussian import DiagonalGaussian, GaussianSums, SphericalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian, TiedGaussian
from spectral_nn.emissions.gaussian_mixture import (
    GaussianMixtureEmission,
    GroupedGaussian,
    MixtureSums,
)
from spectral_nn.emissions.multinomial import MultinomialEmission
from spectral_nn.emissions.poisson import PoissonEmission, PoissonSums
from spectral_nn.models.chains.instalments import RowsSeen
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.models.network.draws import ScikitDraws
from spectral_nn.models.network.evidence import Evidence
from spectral_nn.models.network.features import Stream
from spectral_nn.models.network.moments import Summary
from spectral_nn.models.network.scaling import Scaling
from spectral_nn.models.network.stream import StreamMoments
from spectral_nn.models.operators.solve import Operators
from spectral_nn.moments.cooccurrences import CoOccurrences
from spectral_nn.moments.documents import DocumentMoments
from spectral_nn.moments.frame import ColumnMoments, Frame, InputMoments
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.moments.scores import GaussianMixtureScore, GaussianScore
from spectral_nn.trainers.adam import AdamState
from spectral_nn.trainers.rules.base import Memory, RuleState
from spectral_nn.trainers.sgd import SGDState

__all__ = ["TRUSTED_TYPES"]

_ESTIMATORS = (
    BernoulliHMM,
    CategoricalHMM,
    DawidSkene,
    EquilibriumMLPClassifier,
    EquilibriumMLPRegressor,
    EquilibriumPropagationClassifier,
    GMMHMM,
    GaussianHMM,
    GaussianMixture,
    HMMClassifier,
    LabelPropagation,
    LabelSpreading,
    Lagged,
    LatentDirichletAllocation,
    MLPClassifier,
    MLPRegressor,
    MultiViewGaussianMixture,
    MultiViewMixture,
    MultinomialHMM,
    ObservableOperatorModel,
    PMIEmbedding,
    PerSequence,
    PoissonHMM,
    SpikingClassifier,
    TensorFeatures,
)
_SETTINGS = (
    GaussianMixtureScore,
    GaussianScore,
    *(getattr(trainers, name) for name in trainers.__all__),
)
_RESULTS = (
    ConvergenceMonitor,
    DocumentMoments,
    Operators,
    *(getattr(reports, name) for name in reports.__all__ if name != "FitReport"),  # their base
)
_KEPT_FOR_PARTIAL_FIT = (
    AdamState,
    BernoulliEmission,
    CoOccurrences,
    ColumnMoments,
    DiagonalGaussian,
    Evidence,
    Frame,
    FullGaussian,
    GaussianMixtureEmission,
    GaussianSums,
    GroupedGaussian,
    HMMStatistics,
    InputMoments,
    Memory,
    MixtureSums,
    MultinomialEmission,
    NgramCounts,
    PoissonEmission,
    PoissonSums,
    RowsSeen,
    RuleState,
    SGDState,
    Scaling,
    ScikitDraws,
    SphericalGaussian,
    Stream,
    StreamMoments,
    Summary,
    TiedGaussian,
    WordsSeen,
    csr_array,
)

TRUSTED_TYPES: tuple[type, ...] = (*_ESTIMATORS, *_SETTINGS, *_RESULTS, *_KEPT_FOR_PARTIAL_FIT)
"""All types in files of this package's models, for the argument ``trusted`` of `skops.io.load`.

They hold numbers, strings and each other: to load them calls no function that a file names. What a
user has put into a model, such as a function or an estimator of another package, is not among them.
"""
