"""Networks that answer with a fixed point: deep equilibrium, and equilibrium propagation."""

from numbers import Integral, Real
from typing import Any, ClassVar

from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from spectral_estimators._batches import make_batch_trainer
from spectral_estimators._class_outputs import ClassOutputs
from spectral_estimators._equilibrium_base import BaseEquilibrium
from spectral_estimators._network_input import columns, layer_sizes
from spectral_estimators._reading import Encoder, as_array
from spectral_estimators._sklearn_compat import Interval, StrOptions
from spectral_nn.arrays import Array, clip, get_namespace
from spectral_nn.data.rows import Rows
from spectral_nn.models.base import OnStep
from spectral_nn.models.equilibrium.deep import CONTRACTIVE, GRADIENTS, EquilibriumNetwork
from spectral_nn.models.equilibrium.fit import (
    DeepOptions,
    EquilibriumFit,
    HopfieldOptions,
    fit_deep,
    fit_hopfield,
)
from spectral_nn.models.equilibrium.fixed_point import Answers
from spectral_nn.models.equilibrium.hopfield import NUDGES, HopfieldNetwork
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.runners.base import Runner

__all__ = [
    "EquilibriumMLPClassifier",
    "EquilibriumMLPRegressor",
    "EquilibriumPropagationClassifier",
]


class _EquilibriumMLP(BaseEquilibrium):
    """What regression and classification by a deep equilibrium network share."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEquilibrium._parameter_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(CONTRACTIVE))],
        "gradient": [StrOptions(set(GRADIENTS))],
        "max_spectral_norm": [Interval(Real, 0, 1, closed="neither")],
        "init": [StrOptions({"random", "tensor"})],
    }

    _remedy = "Raise max_fixed_point_iter or fixed_point_tol, or lower max_spectral_norm."

    def __init__(
        self,
        n_units: int = 100,
        activation: str = "relu",
        *,
        gradient: str = "implicit",
        max_spectral_norm: float = 0.9,
        max_fixed_point_iter: int = 100,
        fixed_point_tol: float = 1e-4,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        n_iter_no_change: float = 10,
        init: str = "random",
    ) -> None:
        self.n_units = n_units
        self.activation = activation
        self.gradient = gradient
        self.max_spectral_norm = max_spectral_norm
        self.max_fixed_point_iter = max_fixed_point_iter
        self.fixed_point_tol = fixed_point_tol
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
        self.init = init

    def _fit_rows(
        self, rows: Rows, output: str, run: Runner, on_step: OnStep | None
    ) -> EquilibriumFit:
        options = DeepOptions(
            n_units=self.n_units,
            activation=self.activation,
            output=output,
            init=self.init,
            trainer=make_batch_trainer(self),
            alpha=self.alpha,
            max_norm=self.max_spectral_norm,
            gradient=self.gradient,
            iteration=self._iteration(),
        )
        return fit_deep(rows, options, run=run, rng=self._rng(), on_step=on_step)

    def _parts(self, model: EquilibriumNetwork) -> dict[str, Any]:
        return {
            "recurrent_coef_": model.recurrent,
            "coefs_": list(model.network.coefs),
            "intercepts_": list(model.network.intercepts),
        }

    def _model(self) -> EquilibriumNetwork:
        network = Network(
            tuple(as_array(coef) for coef in self.coefs_),
            tuple(as_array(intercept) for intercept in self.intercepts_),
            self.activation,
            self.out_activation_,
        )
        return EquilibriumNetwork(as_array(self.recurrent_coef_), network)

    def _answer(self, model: EquilibriumNetwork, X: Any) -> Answers:
        answers = model.answer(X, self._iteration())
        value = OUTPUTS[self.out_activation_].value
        return answers._replace(outputs=value(answers.outputs, axis=1))


class EquilibriumMLPRegressor(RegressorMixin, _EquilibriumMLP):
    r"""Regression by a deep equilibrium network: one layer, applied until nothing changes.

    .. math:: z = \sigma(z W + x U + b), \qquad f(x) = z V + c

    The hidden state z of a row is the fixed point of a layer that feeds itself, as that of a
    network of infinitely many equal layers would be (Bai, Kolter, Koltun 2019).  Whatever the
    number of steps that it takes to find z, its gradient takes the memory of one layer.  ``fit``
    lowers what `MLPRegressor` lowers, with W among the weights of the penalty.

    Parameters
    ----------
    n_units : int, default=100
        k, the length of z.
    activation : {"relu", "tanh", "logistic", "softplus", "identity"}, default="relu"
        σ, whose slope must not be above 1.
    gradient : {"implicit", "jacobian-free", "unrolled"}, default="implicit"
        How errors go back through the fixed point.  "implicit": they are a fixed point as well, of
        the transposed layer [1]_.  "jacobian-free": through the last step alone, which is no
        gradient but mostly points downhill [2]_.  "unrolled": through all steps that were taken,
        which are kept in memory.
    max_spectral_norm : float, default=0.9
        Bound on the spectral norm of W, below 1, so that z exists, is unique, and is found.
    max_fixed_point_iter : int, default=100
        Most steps towards z.
    fixed_point_tol : float, default=1e-4
        z is found when a step would change it by less than this share of its norm.
    solver : {"adam", "sgd"}, default="adam"
        What takes steps on batches.
    alpha : float, default=0.0001
        Penalty on weights; intercepts are free.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" is min(200, n).
    learning_rate, learning_rate_init, momentum : as in `MLPRegressor`
    nesterovs_momentum : as in `MLPRegressor`
    max_iter : int, default=200
        Most epochs.
    random_state : int, RandomState or None
        Draws the start and the order of rows.
    tol : float, default=1e-4
        The fit ends when ``n_iter_no_change`` epochs in a row gained less.
    verbose : bool, int or callable, default=False
        Print progress to standard output; or hand it to a function ``(stage, step, loss)``.
    n_iter_no_change : int or inf, default=10
        Epochs without a gain of ``tol`` that end the fit.
    init : {"random", "tensor"}, default="random"
        Where U, V, b and c start, as in `MLPRegressor`: drawn as scikit-learn does, or found by
        moments of the data.  W starts at zero.

    Attributes
    ----------
    recurrent_coef_ : array (k, k)
        W.
    coefs_ : list of arrays (d, k) and (k, q)
        U and V.
    intercepts_ : list of arrays (k,) and (q,)
        b and c.
    init_ : str
        "random" or "tensor".
    loss_ : float
        Mean of the training loss over the last epoch.
    loss_curve_ : list of float
        The same for each epoch.
    n_iter_ : int
        Epochs.
    residual_ : float
        By which share of its norm the last step changed z of the training row that moved most,
        under the fitted network.
    n_fixed_point_iter_ : int
        Steps towards z of the training row that took most.
    out_activation_ : str
        "identity".
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    EquilibriumMLPClassifier : The same for classes.
    MLPRegressor : Without W, a network with one hidden layer.

    Notes
    -----
    W is a matrix that is trained, times whatever factor up to 1 brings its norm down to the bound;
    its gradient goes through that factor.  So the bound holds after each step, and the fixed point
    exists after each.  Without one, an implicit gradient is exact only as long as training happens
    to stay where steps shrink: on MNIST-1D such fits fail.

    With a bound c, steps shrink distances by c at least: ``log(tol) / log(c)`` of them, 88 by
    default, are always enough.  The usual number is 10 to 40.

    **Cost.**  2 n (d + q) k for a row's inputs and outputs, and n k² for each step, of z and of the
    errors; 7 k³ / 3 a batch for the norm.  Memory O(n k) for n rows of a batch, and for
    ``gradient="unrolled"`` that times the number of steps.

    References
    ----------
    .. [1] Bai, Kolter, Koltun, "Deep equilibrium models", NeurIPS 2019, theorem 1.
    .. [2] Wu Fung, Heaton, Li, McKenzie, Osher, Yin, "JFB: Jacobian-free backpropagation for
       implicit networks", AAAI 2022.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, (500, 2))
    >>> y = np.sin(3 * X[:, 0]) * X[:, 1]
    >>> net = EquilibriumMLPRegressor(32, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> net.score(X, y) > 0.95, float(np.linalg.norm(net.recurrent_coef_, 2)) < 0.901
    (True, True)
    """

    def predict(self, X: Any) -> NDArray:
        """Outputs of the network.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        y : array (n,), or (n, q) for several outputs
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _targets(self, y: Any) -> tuple[Encoder, dict[str, Any]]:
        return columns, {"out_activation_": "identity"}

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class EquilibriumMLPClassifier(ClassOutputs, _EquilibriumMLP):
    r"""Classification by a deep equilibrium network: one layer, applied until nothing changes.

    .. math:: z = \sigma(z W + x U + b), \qquad p(x) = g(z V + c)

    where g is the logistic function for two classes and for each of several labels, and the
    softmax for more classes.  ``fit`` lowers what `MLPClassifier` lowers, with W among the weights
    of the penalty.  Gradients are implicit [1]_, or Jacobian-free [2]_.

    Parameters
    ----------
    n_units, activation, gradient, max_spectral_norm : as in `EquilibriumMLPRegressor`
    max_fixed_point_iter, fixed_point_tol, solver, alpha : as in `EquilibriumMLPRegressor`
    batch_size, learning_rate, learning_rate_init, max_iter : as in `EquilibriumMLPRegressor`
    random_state, tol, verbose, momentum : as in `EquilibriumMLPRegressor`
    nesterovs_momentum, n_iter_no_change, init : as in `EquilibriumMLPRegressor`

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    out_activation_ : str
        "logistic" for two classes or several labels, "softmax" for more classes.
    recurrent_coef_, coefs_, intercepts_, init_ : as in `EquilibriumMLPRegressor`
    loss_, loss_curve_, n_iter_ : as in `EquilibriumMLPRegressor`
    residual_, n_fixed_point_iter_ : as in `EquilibriumMLPRegressor`
    n_features_in_, feature_names_in_ : as in `EquilibriumMLPRegressor`

    See Also
    --------
    EquilibriumMLPRegressor : The same for numbers; equations, papers and costs.
    EquilibriumPropagationClassifier : An equilibrium that learns without sending errors back.

    References
    ----------
    .. [1] Bai, Kolter, Koltun, "Deep equilibrium models", NeurIPS 2019, theorem 1.
    .. [2] Wu Fung, Heaton, Li, McKenzie, Osher, Yin, "JFB: Jacobian-free backpropagation for
       implicit networks", AAAI 2022.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 2))
    >>> y = np.where(np.abs(X).sum(axis=1) > 1.2, "outside", "inside")
    >>> net = EquilibriumMLPClassifier(16, learning_rate_init=0.01, random_state=0)
    >>> net.fit(X, y).predict([[0.1, 0.1], [2.0, 1.0]]).tolist()
    ['inside', 'outside']
    """


class EquilibriumPropagationClassifier(ClassOutputs, BaseEquilibrium):
    r"""Classification by a Hopfield network that learns from how a nudge moves its states.

    Layers of states in [0, 1], the inputs :math:`s_0 = x` below and the outputs :math:`s_L` above,
    go down the energy

    .. math:: E(s) = \sum_{l \ge 1} \Big(\tfrac12 \|s_l\|^2 - s_{l-1} W_l s_l^\top
        - b_l s_l^\top\Big), \qquad s_l \leftarrow
        \mathrm{clip}_{[0, 1]}\big(s_l - dt\, \partial E / \partial s_l\big)

    one layer after another, until they stand still.  Then the outputs are pulled towards the label,
    by :math:`\beta \|s_L - y\|^2 / 2` beside E, and away from it, by :math:`-\beta`; and each
    weight learns from the difference between the products of the two states at its ends:

    .. math:: \Delta W_l \propto \frac{1}{2 \beta} \Big(s_{l-1}^{\beta\top} s_l^{\beta}
        - s_{l-1}^{-\beta\top} s_l^{-\beta}\Big)

    For a small β that is the gradient of the squared error of the outputs; no errors are sent back.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(100,)
        Units of each hidden layer.
    beta : float, default=0.5
        β, the strength of a nudge, below 1.
    nudge : {"symmetric", "one-sided"}, default="symmetric"
        Whether labels push away as well [2]_, which makes the bias of the gradient one of order
        β², or only pull [1]_.
    dt : float, default=1.0
        Length of a step of the states, up to 1, which takes each layer, in turn, to where the
        energy is least as a function of that layer alone.
    max_fixed_point_iter : int, default=100
        Most steps of a phase.
    fixed_point_tol : float, default=1e-4
        A row stands still when a step would change its states by less than this share of their
        norm.
    solver, alpha, batch_size, learning_rate, learning_rate_init : as in `EquilibriumMLPRegressor`
    max_iter, random_state, tol, verbose, momentum : as in `EquilibriumMLPRegressor`
    nesterovs_momentum, n_iter_no_change : as in `EquilibriumMLPRegressor`

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    coefs_ : list of arrays (fan_in, fan_out)
        W, layer by layer.
    intercepts_ : list of arrays (fan_out,)
        b, layer by layer.
    loss_ : float
        Half the squared error of the outputs, and the penalty, as a mean over the last epoch.
    loss_curve_ : list of float
        The same for each epoch.
    n_iter_ : int
        Epochs.
    residual_ : float
        By which share of its norm the last step of the free phase changed the states of the
        training row that moved most.
    n_fixed_point_iter_ : int
        Steps of the free phase of the training row that took most.
    init_, out_activation_ : str
        "random"; "logistic" for two classes or several labels, "softmax" for more classes.
    n_features_in_, feature_names_in_ : as in `EquilibriumMLPRegressor`

    See Also
    --------
    EquilibriumMLPClassifier : An equilibrium that is differentiated.

    Notes
    -----
    Outputs are trained to be 1 for the label and else 0 by squared errors.  So they estimate
    probabilities; `predict_proba` keeps them a rounding error away from 0 and 1, and divides those
    of a row by their sum.

    A small β measures the gradient: on digits, before training, the cosine to the exact one is
    1.000 at 0.001, and .64 at 0.5.  But states at their bounds, which a small nudge does not move,
    then learn nothing: 0.5 told digits apart better (96 to 98 % of held-out rows in three draws)
    than 0.1 (77 to 96 %).

    Columns of X should be of the order of one, best in [0, 1] (`sklearn.preprocessing.MinMaxScaler`
    does that), or all states stand at their bounds.

    **Cost.**  2 n multiply-adds a weight and step, in three phases.  Memory is that of the states.

    References
    ----------
    .. [1] Scellier, Bengio, "Equilibrium propagation: bridging the gap between energy-based models
       and backpropagation", Frontiers in Computational Neuroscience 11, 2017, equation 10.
    .. [2] Laborieux, Ernoult, Scellier, Bengio, Grollier, Querlioz, "Scaling equilibrium
       propagation to deep ConvNets by drastically reducing its gradient estimator bias", Frontiers
       in Neuroscience 15, 2021, equation 7.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import minmax_scale
    >>> X, y = load_iris(return_X_y=True)
    >>> net = EquilibriumPropagationClassifier((20,), learning_rate_init=0.01, random_state=0)
    >>> net.fit(minmax_scale(X), y).score(minmax_scale(X), y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEquilibrium._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, 1, closed="neither")],
        "nudge": [StrOptions(set(NUDGES))],
        "dt": [Interval(Real, 0, 1, closed="right")],
    }

    _remedy = "Raise max_fixed_point_iter or fixed_point_tol."

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        beta: float = 0.5,
        nudge: str = "symmetric",
        dt: float = 1.0,
        max_fixed_point_iter: int = 100,
        fixed_point_tol: float = 1e-4,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        n_iter_no_change: float = 10,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.beta = beta
        self.nudge = nudge
        self.dt = dt
        self.max_fixed_point_iter = max_fixed_point_iter
        self.fixed_point_tol = fixed_point_tol
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

    def _outputs(self, X: Any) -> Array:
        outputs = super()._outputs(X)
        xp = get_namespace(outputs)
        eps = float(xp.finfo(outputs.dtype).eps)
        inside = clip(outputs, low=eps, high=1 - eps)  # nothing is certain, or impossible
        if self.out_activation_ != "softmax":
            return inside
        return inside / xp.sum(inside, axis=1, keepdims=True)

    def _fit_rows(
        self, rows: Rows, output: str, run: Runner, on_step: OnStep | None
    ) -> EquilibriumFit:
        options = HopfieldOptions(
            hidden_layer_sizes=self._sizes(),
            trainer=make_batch_trainer(self),
            alpha=self.alpha,
            beta=self.beta,
            nudge=self.nudge,
            iteration=self._iteration(),
            dt=self.dt,
        )
        return fit_hopfield(rows, options, rng=self._rng(), on_step=on_step)

    def _sizes(self) -> tuple[int, ...]:
        sizes = layer_sizes(self.hidden_layer_sizes, "random")
        if not sizes:
            raise ValueError(
                "hidden_layer_sizes is empty: without a hidden layer there is nothing to propagate "
                "through. Give the units of one layer at least."
            )
        return sizes

    def _parts(self, model: HopfieldNetwork) -> dict[str, Any]:
        return {"coefs_": list(model.coefs), "intercepts_": list(model.intercepts)}

    def _model(self) -> HopfieldNetwork:
        return HopfieldNetwork(
            tuple(as_array(coef) for coef in self.coefs_),
            tuple(as_array(intercept) for intercept in self.intercepts_),
        )

    def _answer(self, model: HopfieldNetwork, X: Any) -> Answers:
        return model.answer(X, self._iteration(), self.dt)
