"""What the estimators with equilibria share: settings, the fit, and what it leaves behind."""

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._batches import refuse_chunks, warn_of_epochs
from spectral_estimators._devices import MovableMixin, home_of, runner_at
from spectral_estimators._network_input import check_weight_range
from spectral_estimators._progress import epoch_line, listener, reports_steps
from spectral_estimators._reading import (
    Encoder,
    as_array,
    check_answers,
    read_inputs,
    read_rows,
    told_columns,
)
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
    with_input_tags,
)
from spectral_estimators._validation import spawn_rng
from spectral_nn.arrays import Array, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.base import OnStep
from spectral_nn.models.equilibrium.fit import EquilibriumFit
from spectral_nn.models.equilibrium.fixed_point import Answers, Iteration
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.sgd import LEARNING_RATES
from spectral_nn.warn import warn

__all__ = ["BaseEquilibrium"]


class BaseEquilibrium(CallbackSupportMixin, MovableMixin, SpectralEstimator):
    """The common part; a subclass has its own settings, and a model."""

    _numeric: ClassVar[bool] = True  # whether targets are numbers

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_fixed_point_iter": [Interval(Integral, 1, None, closed="left")],
        "fixed_point_tol": [Interval(Real, 0, 1, closed="both")],
        "solver": [StrOptions({"adam", "sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose", callable],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "n_iter_no_change": [Interval(Real, 1, None, closed="both")],  # infinity is one of them
    }

    max_fixed_point_iter: int
    fixed_point_tol: float
    solver: str
    random_state: Any
    verbose: Any
    max_iter: int
    tol: float

    @reports_steps
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw a start, and train it on batches.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
            float32 is computed in float32; anything else in float64.  Arrays of PyTorch or CuPy
            are computed where they live.
        y : array, shape (n,) or (n, q)
            Numbers for regression; labels, or a table of 0 and 1 (multilabel), to classify.
        sample_weight : array, shape (n,), optional
            How much each row counts in its batch.  A weight of zero is a row that is not there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault, or the epoch at which the loss was no longer finite.  The
            estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs were not enough, or ``max_fixed_point_iter`` steps for the states
            of the rows of X under the fitted network.
        """
        check_constraints(self)
        refuse_chunks(self, X)
        on_step = listener(self, epoch_line)
        with runner_at(home_of(X), None, None, False) as run:
            how: dict[str, Any] = {"numeric": self._numeric, "targets": self._targets}
            given = read_rows(self, X, y, sample_weight, run, resume=False, **how)
            assert isinstance(given.rows, Rows)
            check_weight_range(to_numpy(given.rows.weight))
            result = self._fit_rows(given.rows, given.settings["out_activation_"], run, on_step)
        told_columns(self, given)
        self._assign(result, given.settings, like=given.rows.like)
        warn_of_epochs(self, result.minimum)
        self._warn_of_motion(result.answers)
        return self

    @abstractmethod
    def _targets(self, y: Any) -> tuple[Encoder, dict[str, Any]]:
        """How targets become columns for the core, and the attributes that go with them."""

    @abstractmethod
    def _fit_rows(
        self, rows: Rows, output: str, run: Runner, on_step: OnStep | None
    ) -> EquilibriumFit:
        """Fit the model of the constructor's arguments."""

    @abstractmethod
    def _parts(self, model: Any) -> dict[str, Any]:
        """The attributes that hold a model."""

    @abstractmethod
    def _model(self) -> Any:
        """The model of the fitted attributes, whoever set them."""

    @abstractmethod
    def _answer(self, model: Any, X: Any) -> Answers:
        """What a model says of X, in the library of both."""

    def _outputs(self, X: Any) -> Array:
        """Outputs (n, q) for rows in memory; warns of states that did not come to rest."""
        check_is_fitted(self)
        table = read_inputs(self, X, coefs_=as_array(self.coefs_[0]))
        like = table.data if issparse(table) else table
        with np.errstate(all="ignore"):
            answers = self._answer(self._model().on(like), table)
        self._warn_of_motion(answers)
        return check_answers(answers.outputs)

    def _warn_of_motion(self, answers: Answers) -> None:
        if not answers.converged:
            warn(
                f"States still moved after max_fixed_point_iter={self.max_fixed_point_iter} steps: "
                f"the last changed a row by {answers.residual:.2g} of its norm, which is above "
                f"fixed_point_tol={self.fixed_point_tol:g}. {self._remedy}",
                ConvergenceWarning,
            )

    _remedy: ClassVar[str]

    def _iteration(self) -> Iteration:
        return Iteration(self.fixed_point_tol, self.max_fixed_point_iter)

    def _max_steps(self) -> int:
        """Most epochs that callbacks are told."""
        return self.max_iter

    def _rng(self) -> np.random.Generator:
        return spawn_rng(self.random_state)

    def _assign(self, result: EquilibriumFit, settings: dict[str, Any], like: Array) -> None:
        """Put a finished fit on the estimator, all at once."""
        values: dict[str, Any] = {**settings, **self._parts(result.model.on(like))}
        values["init_"] = result.init
        values["n_iter_"] = result.minimum.n_iter
        values["loss_"] = float(result.minimum.value)
        values["loss_curve_"] = result.minimum.history
        values["residual_"] = result.answers.residual
        values["n_fixed_point_iter_"] = result.answers.n_iter
        self.__dict__.update(values)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X may be sparse."""
        return with_input_tags(super().__sklearn_tags__(), sparse=True)
