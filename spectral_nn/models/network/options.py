"""What to fit, and what a fit returns, for networks with hidden layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.scaling import Penalty, Scaling
from spectral_nn.trainers.adam import AdamState

__all__ = ["INITS", "INPUT_MODELS", "SOLVERS", "NetworkFit", "NetworkOptions", "SolverState"]

INITS = ("tensor", "nn-lift", "random")
INPUT_MODELS = ("auto", "gaussian", "mixture", "cubic")
SOLVERS = ("lbfgs", "adam")


@dataclass(frozen=True, eq=False)
class NetworkOptions:
    """What to fit.

    Attributes
    ----------
    hidden_layer_sizes : units of each hidden layer; "auto" for one layer whose width the moments
        choose.
    activation : of the hidden units, a key of `spectral_nn.models.network.activations.ACTIVATIONS`.
    output : "identity" with squared error, "logistic" or "softmax" with log loss.
    init : "tensor", "nn-lift" or "random".
    solver : "lbfgs" or "adam".
    alpha : l2 penalty on weights, divided by the sum of the sample weights; intercepts are free.
    batch_size : rows of one step of Adam; "auto" for the lesser of 200 and n.
    learning_rate_init : step of Adam.
    max_iter : most steps of L-BFGS, or epochs of Adam; 0 leaves the start as it is.
    max_fun : L-BFGS stops after the step that reaches so many evaluations on all rows.
    tol : L-BFGS stops at a gradient below it (largest entry), Adam and early stopping at a gain
        below it.
    shuffle : whether each epoch of Adam takes the rows in a new order.
    early_stopping : whether validation rows decide when to stop, and which step to keep.
    validation_fraction : share of the rows held out then.
    n_iter_no_change : epochs without a gain of `tol` that end the fit.
    beta_1, beta_2, epsilon : of Adam.
    input_model : what the score of the inputs is taken from: "auto", "gaussian", "mixture",
        "cubic", or a callable score.
    """

    hidden_layer_sizes: tuple[int, ...] | Literal["auto"] = (10,)
    activation: str = "relu"
    output: str = "identity"
    init: str = "tensor"
    solver: str = "lbfgs"
    alpha: float | Penalty = 1e-4
    batch_size: int | Literal["auto"] = "auto"
    learning_rate_init: float = 1e-3
    max_iter: int = 200
    max_fun: int = 15_000
    tol: float = 1e-4
    shuffle: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float = 10
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    input_model: str | Callable[..., Any] = "auto"

    def batch_rows(self, n: int) -> int:
        """Rows of one step of Adam, for n in all."""
        return min(n, 200 if self.batch_size == "auto" else int(self.batch_size))


class SolverState(NamedTuple):
    """What Adam needs to go on from an earlier fit, and the units that it was fitted in."""

    scaling: Scaling
    adam: AdamState


@dataclass(frozen=True, eq=False)
class NetworkFit:
    """A fitted network.

    Attributes
    ----------
    network : the model.
    init : where it comes from: "tensor", "nn-lift", "random", or "given".
    loss_curve : penalised training loss after each step (L-BFGS), or its mean over each epoch
        (Adam).
    seconds : wall clock since the start of the fit, start included, at each entry of `loss_curve`.
    validation_scores : R^2 or accuracy on the validation rows after each step; None without early
        stopping.
    n_iter : steps of L-BFGS or epochs of Adam in the refinement; the length of `loss_curve`.  Steps
        of the race and of repair, which count towards `max_iter`, are in the diagnostics.
    converged : whether the solver stopped by itself rather than at a limit.
    message : why it stopped.
    loss : of the network as returned, on the training rows, penalty included; with Adam and no
        early stopping, the last entry of `loss_curve`.
    diagnostics : what the start had to say.
    solver_state : what Adam needs to go on; None after L-BFGS.
    """

    network: Network
    init: str
    loss_curve: list[float]
    seconds: list[float]
    validation_scores: list[float] | None
    n_iter: int
    converged: bool
    message: str
    loss: float
    diagnostics: dict[str, Any] = field(default_factory=dict)
    solver_state: Any = None
