"""What `MLPRegressor` and `MLPClassifier` share: settings, the fit, and what it leaves behind."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._devices import (
    MovableMixin,
    check_device,
    home_of,
    move_fields,
    runner_at,
)
from spectral_estimators._input_laws import LAW_CONSTRAINTS, score_of_laws
from spectral_estimators._network_input import layer_sizes
from spectral_estimators._network_sensitivity import SensitivityMixin
from spectral_estimators._progress import epoch_line, listener, reports_steps
from spectral_estimators._reading import (
    Encoder,
    Given,
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
from spectral_estimators._tables import is_chunked, is_remote
from spectral_estimators._validation import spawn_rng
from spectral_nn.arrays import Array, is_foreign, same_precision, to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.draws import ScikitDraws
from spectral_nn.models.network.fit import fit_table, start_table
from spectral_nn.models.network.options import (
    INITS,
    INPUT_MODELS,
    NetworkFit,
    NetworkOptions,
    SolverState,
)
from spectral_nn.models.network.report import line_angles
from spectral_nn.trainers import TRAINERS, Adam, Trainer
from spectral_nn.trainers.minibatch import MiniBatchTrainer
from spectral_nn.trainers.rules.base import Rule, RuleTrainer
from spectral_nn.trainers.sgd import LEARNING_RATES
from spectral_nn.warn import warn

__all__ = ["BaseNetwork"]

_SHARE = [Interval(Real, 0, 1, closed="left")]


class BaseNetwork(CallbackSupportMixin, SensitivityMixin, MovableMixin, SpectralEstimator):
    """The common part of the network estimators."""

    _numeric: ClassVar[bool] = True  # whether targets are numbers

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions(set(TRAINERS)), Rule],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose", callable],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": _SHARE,
        "beta_1": _SHARE,
        "beta_2": _SHARE,
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Real, 1, None, closed="both")],  # infinity is one of them
        "init": [StrOptions(set(INITS))],
        "input_model": [StrOptions(set(INPUT_MODELS)), callable],
        "n_jobs": [Integral, None],
        "device": [str, None],
        "input_distribution": LAW_CONSTRAINTS,
        "residual": ["boolean"],
        "stochastic_depth": _SHARE,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (10,),
        activation: str = "relu",
        *,
        solver: str = "lbfgs",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15_000,
        init: str = "tensor",
        input_model: Any = "auto",
        n_jobs: int | None = None,
        device: str | None = None,
        input_distribution: Any = None,
        residual: bool = False,
        stochastic_depth: float = 0.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.init = init
        self.input_model = input_model
        self.n_jobs = n_jobs
        self.device = device
        self.input_distribution = input_distribution
        self.residual = residual
        self.stochastic_depth = stochastic_depth

    @reports_steps
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find a start, and refine it.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d); or what need not fit in memory
            float32 is computed in float32; anything else in float64.  Arrays of PyTorch or CuPy
            are computed where they live.  A zarr array, an HDF5 dataset or a large array mapped
            into memory is read chunk by chunk in every pass; so is an iterable of tuples (X, y) or
            (X, y, sample_weight) that can be walked again and again; of a dask array or frame, or
            a list of delayed tuples, sums are taken where the chunks live.
        y : array, shape (n,) or (n, q); left out where the chunks of X bring their own
            Numbers for regression; labels, or a table of 0 and 1 (multilabel), to classify.
        sample_weight : array, shape (n,), optional
            A weight of two is a row that is there twice, up to what is drawn by row: batches,
            validation rows, and with moments the rows of the race and of the noise level.  A
            weight of zero is a row that is not there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault, or the step at which the loss was no longer finite.  The
            estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If the solver did not converge, saying why; or the moments do not carry the start.
        RecoveryWarning
            If moments are not likely to give the weights of the network that made the data, or can
            give no start, so that a random one takes its place.
        """
        check_constraints(self)
        check_device(self)
        sizes = layer_sizes(self.hidden_layer_sizes, self.init)
        resume = self.warm_start and hasattr(self, "coefs_")
        rng = self._draws()
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(X, y, sample_weight, run, resume=resume)
            options = self._options(sizes, given, run, resume=resume)
            result = fit_table(
                given.rows,
                options,
                run=run,
                rng=rng,
                start=self._resume_from(options, given) if resume else None,
                on_step=listener(self, epoch_line),
            )
        if not resume:
            told_columns(self, given)
        self._assign(result, given.settings, rng, resume=resume)
        if self.max_iter and not result.converged:
            limits = ", ".join(
                f"{setting.name}={getattr(self, setting.name)}"
                for setting in fields(getattr(options.trainer, "optimizer", options.trainer))
                if setting.name.startswith("max_")
            )
            warn(
                f"The fit by solver={options.trainer.name!r} ended before it converged to "
                f"tol={self.tol:g}: {result.message}. Raise {limits} or tol, or scale the "
                "columns of X.",
                ConvergenceWarning,
            )
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """One epoch over a batch, after the start that the first batch makes."""
        check_constraints(self)
        check_device(self)
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: one batch has no validation "
                "rows. Set early_stopping=False."
            )
        if self.learning_rate == "cosine":
            raise ValueError(
                "partial_fit does not support learning_rate='cosine', which lowers steps towards "
                "the last of max_iter epochs: no batch is known to be the last. Set "
                "learning_rate='constant'."
            )
        sizes = layer_sizes(self.hidden_layer_sizes, self.init)
        resume = hasattr(self, "coefs_")
        if is_chunked(X):
            raise ValueError(
                "partial_fit takes one batch in memory, and X comes in chunks. Call partial_fit "
                "for each of them, or fit with all."
            )
        rng = self._rng if resume and hasattr(self, "_rng") else self._draws()
        state = self._state() if resume else None
        with runner_at(home_of(X), self.n_jobs, self.device, is_remote(X)) as run:
            given = self._read(X, y, sample_weight, run, resume=resume, batch=True, classes=classes)
            rows, settings = given.rows, given.settings
            options = self._options(sizes, given, run, resume=resume)
            by_batches = "rows" in options.trainer.needs
            trainer = options.trainer if by_batches else self._trainer(Adam.name)
            epoch = replace(options, trainer=trainer.with_max_iter(1))
            on_step = listener(self, epoch_line)
            how: dict[str, Any] = {"run": run, "rng": rng, "on_step": on_step}
            if resume:
                start = self._resume_from(options, given)
            else:
                start, name, report = start_table(rows, options, **how)
                settings |= {"init_": name, "report_": report}
            result = fit_table(rows, epoch, start=start, state=state, **how)
        if not resume:
            told_columns(self, given)
        self._assign(result, settings, rng, resume=resume)
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, run: Any, *, resume: bool, **how: Any
    ) -> Given:
        """What the user gave, checked."""
        return read_rows(
            self,
            X,
            y,
            sample_weight,
            run,
            resume=resume,
            numeric=self._numeric,
            targets=partial(self._targets, resume=resume, **how),
        )

    @abstractmethod
    def _targets(
        self, y: Any, *, resume: bool, batch: bool = False, classes: Any = None
    ) -> tuple[Encoder, dict[str, Any]]:
        """How targets become columns for the core, and the attributes that go with them."""

    def _options(self, sizes: Any, given: Given, run: Any, *, resume: bool) -> NetworkOptions:
        """Gather the constructor's arguments for the recipe."""
        if self.stochastic_depth and (not self.residual or self.solver == "lbfgs"):
            raise ValueError(
                f"stochastic_depth={self.stochastic_depth:g} lets batches go around layers: it "
                f"needs residual=True and a solver on batches, and residual is {self.residual}, "
                f"solver {self.solver!r}. Set residual=True and solver='adam'."
            )
        by_moments = self.init != "random" and not resume
        laws = self.input_distribution if by_moments else None
        return NetworkOptions(
            hidden_layer_sizes=sizes,
            activation=self.activation,
            output=given.settings["out_activation_"],
            init=self.init,
            trainer=self._trainer(self.solver),
            alpha=self.alpha,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            input_model=self.input_model,
            input_score=score_of_laws(laws, self.input_model, given.rows, run),
            residual=self.residual,
            depth_drop=self.stochastic_depth,
        )

    def _max_steps(self) -> int:
        """Most steps of a climb that callbacks are told."""
        return self.max_iter

    def _trainer(self, solver: str | Rule) -> Trainer:
        """Make a trainer of the constructor's arguments that have the names of its settings."""
        if isinstance(solver, Rule):
            optimizer = self._trainer(solver.optimizer)
            assert isinstance(optimizer, MiniBatchTrainer)
            return RuleTrainer(solver, optimizer)
        kind = TRAINERS[solver]
        return kind(**{setting.name: getattr(self, setting.name) for setting in fields(kind)})

    def _draws(self) -> Any:
        """What a fit draws from: scikit-learn's numbers from a random start, else a Generator."""
        if self.init == "random":
            return ScikitDraws(check_random_state(self.random_state))
        return spawn_rng(self.random_state)

    def _state(self) -> SolverState | None:
        """What the last fit left for `partial_fit`, under the name that scikit-learn gives it."""
        optimizer = getattr(self, "_optimizer", None)
        return None if optimizer is None else SolverState(self._scaling, optimizer)

    def _move(self, put: Callable[[Any], Any]) -> Self:
        """Move what `partial_fit` goes on from, too."""
        if hasattr(self, "_optimizer"):
            self._optimizer: Any = move_fields(self._optimizer, put)
        return super()._move(put)

    def _resume_from(self, options: NetworkOptions, given: Given) -> Network:
        """Take the fitted network as a start, if it still has the right shape.

        Raises
        ------
        ValueError
            Naming ``hidden_layer_sizes`` or ``y``.
        """
        widths = tuple(len(intercept) for intercept in self.intercepts_)
        if options.hidden_layer_sizes not in ("auto", widths[:-1]):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes}, but the fitted network that this "
                f"call would go on from has {widths[:-1]}. Use a new estimator (clone) for another "
                "width."
            )
        if given.rows.n_outputs != widths[-1]:
            raise ValueError(
                f"y has {given.rows.n_outputs} columns of targets, but the fitted network that "
                f"this call would go on from has {widths[-1]} outputs."
            )
        return self._network(options.output)

    def _network(self, output: str) -> Network:
        """Network of the fitted attributes, whoever set them."""
        return Network(
            coefs=tuple(as_array(coef) for coef in self.coefs_),
            intercepts=tuple(as_array(intercept) for intercept in self.intercepts_),
            activation=self.activation,
            output=output,
            unit=getattr(self, "output_scale_", 1.0),
            residual=self.residual,
            depth_drop=self.stochastic_depth,
        )

    def _forward(self, X: Any, output: str | None = None) -> Array:
        """Outputs (n, q) for rows in memory; ``output`` in the place of the fitted one."""
        check_is_fitted(self)
        network = self._network(output or self.out_activation_)
        table = read_inputs(self, X, coefs_=network.coefs[0])
        if is_foreign(table):
            n = len(network.coefs)
            table, *parts = same_precision(table, *network.coefs, *network.intercepts)
            network = replace(network, coefs=tuple(parts[:n]), intercepts=tuple(parts[n:]))
        with np.errstate(all="ignore"):
            return check_answers(network.predict(table))

    def _assign(
        self,
        result: NetworkFit,
        settings: dict[str, Any],
        rng: Any,
        *,
        resume: bool,
    ) -> None:
        """Put a finished fit on the estimator, all at once; a resumed fit adds to its curves."""
        network = result.network
        values: dict[str, Any] = {
            "init_": result.init,
            "report_": replace(result.report, unit_angles=_unit_angles(network)),
            **settings,
        }
        if resume:
            del values["init_"], values["report_"]  # those of the first fit
        values["coefs_"] = list(network.coefs)
        values["intercepts_"] = list(network.intercepts)
        values["output_scale_"] = network.unit
        values["n_layers_"] = len(network.coefs) + 1
        values["n_outputs_"] = network.coefs[-1].shape[1]
        values["n_components_"] = network.coefs[0].shape[1]
        values["n_iter_"] = result.n_iter
        values["converged_"] = result.converged
        values["loss_"] = float(result.loss)
        before = self.__dict__ if resume else {}
        past = before.get("loss_times_") or [0.0]
        times = [past[-1] + seconds for seconds in result.seconds]
        values["loss_curve_"] = before.get("loss_curve_", []) + list(result.loss_curve)
        values["loss_times_"] = before.get("loss_times_", []) + times
        values["t_"] = before.get("t_", 0) + result.n_iter * result.n_rows
        values["gradient_cosines_"] = before.get("gradient_cosines_", []) + list(result.cosines)
        values["best_loss_"] = min([*values["loss_curve_"], values["loss_"]])
        values["validation_scores_"] = values["best_validation_score_"] = None
        if result.validation_scores is not None:
            scores = (before.get("validation_scores_") or []) + list(result.validation_scores)
            values["validation_scores_"] = scores
            values["best_validation_score_"] = max(scores, default=-np.inf)
            values["best_loss_"] = None
        scaling, optimizer = result.solver_state or (None, None)
        values["_scaling"], values["_optimizer"], values["_rng"] = scaling, optimizer, rng
        self.__dict__.update(values)  # at once: Ctrl-C leaves no half of it

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X may be sparse."""
        return with_input_tags(super().__sklearn_tags__(), sparse=True)


def _unit_angles(network: Network) -> NDArray[np.float64]:
    """Degrees from each unit of the first layer to the nearest other one."""
    return line_angles(to_numpy(network.coefs[0]))
