"""What fits found out: the types of ``report_``."""

from spectral_nn.models.chains.report import ChainReport, OrderEvidence
from spectral_nn.models.mixtures.report import ClassesReport, MixtureReport, ViewsEvidence
from spectral_nn.models.network.report import NetworkReport, RepairRound
from spectral_nn.models.operators.report import OperatorReport, RankEvidence
from spectral_nn.models.report import FitReport, StartReport
from spectral_nn.models.topics.report import TopicEvidence, TopicReport

__all__ = [
    "ChainReport",
    "ClassesReport",
    "FitReport",
    "MixtureReport",
    "NetworkReport",
    "OperatorReport",
    "OrderEvidence",
    "RankEvidence",
    "RepairRound",
    "StartReport",
    "TopicEvidence",
    "TopicReport",
    "ViewsEvidence",
]
