"""What to fit, and what a fit returns, for networks with hidden layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from spectral_nn.models.base import Options
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.models.network.scaling import Penalty, Scaling
from spectral_nn.trainers.base import Trainer
from spectral_nn.trainers.lbfgs import LBFGS

__all__ = ["INITS", "INPUT_MODELS", "NetworkFit", "NetworkOptions", "SolverState"]

INITS = ("tensor", "nn-lift", "random")
INPUT_MODELS = ("auto", "gaussian", "mixture", "cubic")


@dataclass(frozen=True, eq=False)
class NetworkOptions(Options):
    """What to fit.

    Attributes
    ----------
    hidden_layer_sizes : units of each hidden layer; "auto" for one layer whose width the moments
        choose.
    activation : of the hidden units, a key of `spectral_nn.models.network.activations.ACTIVATIONS`.
    output : a key of `spectral_nn.models.network.outputs.OUTPUTS`.
    init : "tensor", "nn-lift" or "random".
    trainer : refines the start, see `spectral_nn.trainers.TRAINERS`.
    alpha : l2 penalty on weights, divided by the sum of the sample weights; intercepts are free.
    early_stopping : whether validation rows decide when to stop, and which step to keep.
    validation_fraction : share of the rows held out then.
    n_iter_no_change : steps in a row whose scores gain less than the trainer's `tol` that end it.
    input_model : what the score of the inputs is taken from: "auto", "gaussian", "mixture",
        "cubic", or a callable score.
    input_score : score of the laws that the inputs are known to have, which races beside the models
        of "auto"; None if they are not known.
    residual, depth_drop : see `spectral_nn.models.network.dense.Shape`.
    """

    hidden_layer_sizes: tuple[int, ...] | Literal["auto"] = (10,)
    activation: str = "relu"
    output: str = "identity"
    init: str = "tensor"
    trainer: Trainer = field(default_factory=LBFGS)
    alpha: float | Penalty = 1e-4
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float = 10
    input_model: str | Callable[..., Any] = "auto"
    input_score: Callable[..., Any] | None = None
    residual: bool = False
    depth_drop: float = 0.0


class SolverState(NamedTuple):
    """What a trainer needs to go on from an earlier fit, and the units that it was fitted in."""

    scaling: Scaling
    trainer: Any


@dataclass(frozen=True, eq=False)
class NetworkFit:
    """A fitted network.

    Attributes
    ----------
    network : the model.
    init : where it comes from: "tensor", "nn-lift", "random", or "given".
    n_rows : rows that it was trained on.
    loss_curve : penalised training loss after each step on all rows, or its mean over each epoch.
    seconds : wall clock since the start of the fit, start included, at each entry of `loss_curve`.
    validation_scores : R^2 or accuracy on the validation rows after each step; None without early
        stopping.
    n_iter : steps or epochs of the refinement; the length of `loss_curve`.  Steps of the race and
        of repair, which count towards `max_iter`, are in the report.
    converged : whether the trainer stopped by itself rather than at a limit.
    message : why it stopped.
    loss : of the network as returned, on the training rows, penalty included; of mini-batches
        without early stopping, the last entry of `loss_curve`.
    report : what the start and the race had to say.
    solver_state : what the trainer needs to go on; None if it cannot.
    cosines : see `spectral_nn.trainers.base.Minimum`.
    """

    network: Network
    init: str
    n_rows: int
    loss_curve: list[float]
    seconds: list[float]
    validation_scores: list[float] | None
    n_iter: int
    converged: bool
    message: str
    loss: float
    report: NetworkReport
    solver_state: SolverState | None = None
    cosines: Sequence[float] = ()
