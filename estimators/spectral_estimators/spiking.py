"""`SpikingClassifier`: neurons that fire or do not, trained through time."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._batches import make_batch_trainer, refuse_chunks, warn_of_epochs
from spectral_estimators._class_outputs import ClassOutputs
from spectral_estimators._devices import MovableMixin, home_of, runner_at
from spectral_estimators._network_input import check_weight_range, layer_sizes
from spectral_estimators._progress import epoch_line, listener, reports_steps
from spectral_estimators._reading import (
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
from spectral_nn.models.spiking import (
    Neuron,
    SpikingFit,
    SpikingNetwork,
    SpikingOptions,
    fit_spiking,
)
from spectral_nn.trainers.sgd import LEARNING_RATES

__all__ = ["SpikingClassifier"]


class SpikingClassifier(CallbackSupportMixin, ClassOutputs, MovableMixin, SpectralEstimator):
    r"""Classification by layers of spiking neurons, trained by a surrogate gradient.

    A neuron has a potential that decays, takes in a current, and falls by the threshold, 1, after
    a spike:

    .. math:: U_t = \lambda U_{t-1} + I_t - S_{t-1}, \qquad S_t = [U_t > 1]

    The first layer is driven by the constant current :math:`x W_1 + b_1` for T steps, the next by
    the spikes of the one below, and the outputs are linear in the rates, the share of the steps
    in which neurons of the last hidden layer fire.  ``fit`` lowers the log loss

    .. math:: \frac{1}{\sum_i s_i} \Big(\sum_i s_i \ell(y_i, f(x_i))
        + \frac{\alpha}{2} \sum_l \|W_l\|_F^2\Big)

    of batches of rows, with sample weights s, by backpropagation through time.  There the
    derivative of a spike, which is zero or infinite, is replaced by
    :math:`dS / dU := (1 + \kappa |U - 1|)^{-2}`.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(100,)
        Neurons of each hidden layer.
    n_steps : int, default=16
        T.  Rates take T + 1 values; time and memory grow in proportion.
    decay : float, default=0.9
        λ, between 0 and 1.  A neuron fires now and then at any current above 1 - λ; with λ = 1 it
        forgets nothing, and its rate is the current, within 0 and 1.
    surrogate_slope : float, default=5.0
        κ, how fast the replaced derivative falls beside the threshold.
    solver : {"adam", "sgd"}, default="adam"
        Takes the steps.
    alpha : float, default=0.0001
        The penalty α on weights; intercepts are free.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        How steps go on; see `MLPClassifier`.
    learning_rate_init : float, default=0.005
        Steps of Adam; first steps of gradient descent.
    max_iter : int, default=100
        Most epochs.
    random_state : int, RandomState or None
        Equal seeds give equal networks.
    tol : float, default=1e-4
        The fit ends when ``n_iter_no_change`` epochs in a row gained less.
    verbose : bool, int or callable, default=False
        Print progress to standard output; or hand it to a function ``(stage, step, loss)``.
    momentum : float, default=0.9
        Share of the last step that gradient descent takes again.
    nesterovs_momentum : bool, default=True
        Whether its gradient counts as if taken after that share.
    n_iter_no_change : int or inf, default=10
        See ``tol``.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    coefs_ : list of arrays (fan_in, fan_out)
        W, layer by layer.
    intercepts_ : list of arrays (fan_out,)
        b, layer by layer.
    n_spikes_ : float
        Spikes of all neurons in all steps that a training row costs, on average.
    loss_ : float
        The loss, as a mean over the last epoch.
    loss_curve_ : list of float
        The same for each epoch.
    n_iter_ : int
        Epochs.
    out_activation_ : str
        "logistic" for two classes or several labels, "softmax" for more classes.
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MLPClassifier : Units with an activation function, without time.

    Notes
    -----
    Columns of X should be of the order of one: of weak currents no neuron fires, and of strong ones
    all do, in every step.

    Of a network that has learned, only sums of weights are needed, one for each spike and each
    neuron that it reaches: `spikes_per_sample` is what a prediction costs in hardware that waits
    for events.  Here each step is a product of matrices, whoever fires.

    **Cost.**  For n rows an epoch, 3 n T multiply-adds a weight between hidden layers, 2 n one of
    the first layer and 3 n one of the outputs, and 15 n T operations a neuron; memory for 3 T
    numbers a neuron and row of a batch.

    References
    ----------
    .. [1] Neftci, Mostafa, Zenke, "Surrogate gradient learning in spiking neural networks", IEEE
       Signal Processing Magazine 36, 2019.
    .. [2] Zenke, Ganguli, "SuperSpike: supervised learning in multilayer spiking neural networks",
       Neural Computation 30, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SpikingClassifier((20,), batch_size=16, learning_rate="cosine", random_state=0)
    >>> net.fit(scale(X), y).score(scale(X), y) > 0.9
    True
    >>> net.spikes_per_sample(scale(X)).shape
    (150,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "decay": [Interval(Real, 0, 1, closed="both")],
        "surrogate_slope": [Interval(Real, 0, None, closed="neither")],
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

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        n_steps: int = 16,
        decay: float = 0.9,
        surrogate_slope: float = 5.0,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.005,
        max_iter: int = 100,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        n_iter_no_change: float = 10,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_steps = n_steps
        self.decay = decay
        self.surrogate_slope = surrogate_slope
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.n_iter_no_change = n_iter_no_change

    @reports_steps
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw a start, and train it on batches.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
            float32 is computed in float32; anything else in float64.  Arrays of PyTorch or CuPy
            are computed where they live.
        y : array, shape (n,), or (n, q) of 0 and 1 for several labels
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
            If ``max_iter`` epochs were not enough.
        """
        check_constraints(self)
        sizes = layer_sizes(self.hidden_layer_sizes, "random")
        if not sizes:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes} has no layer, and only hidden "
                "layers spike: give one at least."
            )
        refuse_chunks(self, X)
        with runner_at(home_of(X), None, None, False) as run:
            how: dict[str, Any] = {"numeric": False, "targets": self._targets}
            given = read_rows(self, X, y, sample_weight, run, resume=False, **how)
            assert isinstance(given.rows, Rows)
            check_weight_range(to_numpy(given.rows.weight))
            options = SpikingOptions(
                hidden_layer_sizes=sizes,
                neuron=self._neuron(),
                n_steps=self.n_steps,
                output=given.settings["out_activation_"],
                trainer=make_batch_trainer(self),
                alpha=self.alpha,
            )
            on_step = listener(self, epoch_line)
            rng = spawn_rng(self.random_state)
            result = fit_spiking(given.rows, options, rng=rng, on_step=on_step)
        told_columns(self, given)
        self._assign(result, given.settings)
        warn_of_epochs(self, result.minimum)
        return self

    def spikes_per_sample(self, X: Any) -> NDArray:
        """Count spikes: what predictions cost where only spikes cost.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        counts : array (n,)
            Spikes of all neurons in all steps.
        """
        network, table = self._read(X)
        return network.count_spikes(table)

    def _outputs(self, X: Any) -> Array:
        """Outputs (n, q) for rows in memory."""
        network, table = self._read(X)
        with np.errstate(all="ignore"):
            return check_answers(network.predict(table))

    def _read(self, X: Any) -> tuple[SpikingNetwork, Any]:
        """The network of the fitted attributes, whoever set them, and X, in one library."""
        check_is_fitted(self)
        network = SpikingNetwork(
            tuple(map(as_array, self.coefs_)),
            tuple(map(as_array, self.intercepts_)),
            self._neuron(),
            self.n_steps,
            self.out_activation_,
        )
        table = read_inputs(self, X, coefs_=network.coefs[0])
        return network.on(table.data if issparse(table) else table), table

    def _max_steps(self) -> int:
        """Most epochs that callbacks are told."""
        return self.max_iter

    def _neuron(self) -> Neuron:
        return Neuron(self.decay, self.surrogate_slope)

    def _assign(self, result: SpikingFit, settings: dict[str, Any]) -> None:
        """Put a finished fit on the estimator, all at once."""
        values: dict[str, Any] = {
            **settings,
            "coefs_": list(result.network.coefs),
            "intercepts_": list(result.network.intercepts),
            "n_spikes_": result.n_spikes,
            "n_iter_": result.minimum.n_iter,
            "loss_": float(result.minimum.value),
            "loss_curve_": result.minimum.history,
        }
        self.__dict__.update(values)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X may be sparse."""
        return with_input_tags(super().__sklearn_tags__(), sparse=True)
