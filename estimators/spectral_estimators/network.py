"""`MLPRegressor` and `MLPClassifier`: shallow networks, started from moments of the data."""

from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import type_of_target

from spectral_estimators._network_base import BaseNetwork
from spectral_estimators._network_input import (
    check_known,
    columns,
    counts,
    fit_classes,
    one_hot,
)
from spectral_estimators._reading import Encoder, by_chunks
from spectral_estimators._sklearn_compat import StrOptions
from spectral_nn.arrays import clip, from_numpy, get_namespace, is_foreign, to_numpy
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.stored import is_dask

__all__ = ["MLPClassifier", "MLPRegressor"]

_LINKS = {"log": "exp", "softplus": "softplus"}
"""Output functions of counts."""


class MLPRegressor(RegressorMixin, BaseNetwork):
    r"""Regression by a network whose hidden units are found by moments, then refined.

    The network is

    .. math:: f(x) = \sum_{j=1}^{k} a_j\, \sigma(w_j^\top x + b_j) + c

    for one hidden layer, and ``fit`` lowers

    .. math:: \frac{1}{2 \sum_i s_i} \Big(\frac{1}{q} \sum_i s_i \|y_i - f(x_i)\|^2
        + \alpha \sum_l \|W_l\|_F^2\Big)

    for q outputs and sample weights s; or with ``loss="poisson"``, half the Poisson deviance of
    a rate, :math:`e^{f(x)}` or another function of f (``link``), in the place of the squares.
    Backpropagation starts from random weights.  Here
    the start comes from cross-moments of y with products of x: tensors whose rank-one terms are the
    directions w_j.  It can stand in for ``sklearn.neural_network.MLPRegressor``; what differs is
    listed under Notes.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        What ``fit`` lowers, for numbers of any kind or for counts (y not negative), whose mean
        ``predict`` then gives.
    hidden_layer_sizes : int, tuple of int, or "auto", default=(10,)
        Units of each hidden layer.  "auto": one layer, its width k read off the moments
        (``report_`` shows the evidence).
    activation : str, default="relu"
        σ of the hidden units: "relu", "tanh", "logistic", "softplus", "erf", "square",
        "squared_relu" or "identity".
    solver : {"lbfgs", "adam", "sgd"} or rule, default="lbfgs"
        What refines the start: L-BFGS on all rows; Adam or gradient descent on batches; or one of
        the alternatives to backpropagation in `spectral_estimators.trainers`.
    alpha : float, default=0.0001
        The penalty α on weights; intercepts are free.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        How the steps of gradient descent go on: as they began; divided by
        ``(rows seen + 1) ** power_t``; divided by five where the fit would stop otherwise, for
        want of gains, until they are 1e-6; or along half a cosine, to nothing after ``max_iter``
        epochs.  Adam knows the last alone, and keeps its steps otherwise.
    learning_rate_init : float, default=0.001
        Steps of Adam; first steps of gradient descent.
    power_t : float, default=0.5
        Of ``learning_rate="invscaling"``.
    max_iter : int, default=200
        Most steps of L-BFGS, or epochs over batches.  0: the start as it is, which with
        ``init="tensor"`` is the pure method of moments.
    shuffle : bool, default=True
        Whether each epoch over batches takes the rows in a new order.
    random_state : int, RandomState or None
        Equal seeds give equal networks, whatever ``n_jobs``; with ``init="random"``, what is drawn
        is what scikit-learn draws.  L-BFGS keeps 20 pairs of steps, where scikit-learn's keeps 10:
        after ten steps they part.
    tol : float, default=1e-4
        L-BFGS stops when no entry of the gradient is larger; other solvers and early stopping when
        ``n_iter_no_change`` steps in a row gained less.  Not relative to y, unless that is far
        from one (see Notes): a y of small deviation is better scaled to 1.
    verbose : bool, int or callable, default=False
        Print progress to standard output; or hand it to a function ``(stage, step, loss)``.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted network instead of a new start.
    momentum : float, default=0.9
        Share of the last step that gradient descent takes again.
    nesterovs_momentum : bool, default=True
        Whether its gradient counts as if taken after that share (Nesterov's momentum).
    early_stopping : bool, default=False
        Whether held-out rows decide when to stop, and which step to keep.  Here it works with
        all solvers.
    validation_fraction : float, default=0.1
        Share of the rows held out for it.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of Adam.
    n_iter_no_change : int or inf, default=10
        Steps or epochs without a gain of ``tol`` that end the fit.
    max_fun : int, default=15000
        Most evaluations of the loss on all rows by L-BFGS, beside ``max_iter``.
    init : {"tensor", "nn-lift", "random"}, default="tensor"
        Where the start comes from.  "tensor": moments of all orders decomposed together, raced
        against random starts; and, with L-BFGS, repaired: where rows are fewer than
        5 d k² or decompositions disagree, and ``max_iter`` allows 185 steps, units that stand in a
        poor optimum are replaced.  "nn-lift": the textbook algorithm [1]_, for comparison.
        "random": plain backpropagation from a random draw, as scikit-learn does it.  Where moments
        can give no start, "tensor" is "random", with a `RecoveryWarning` that says why: with no
        hidden layer or several, with "square" and "identity" units, of which moments show only the
        span and the quadratic form, where X has one row only or nothing that varies, and where rows
        are under a twentieth of 5 d k², as on most small tables, unless ``max_iter=0``.
    input_model : {"auto", "gaussian", "mixture", "cubic"} or callable, default="auto"
        What the moments assume of the rows of X.  A callable is a score function of your own:
        called with X (n, d) and theta (d,), it returns S1 (n, d), S2 (n, d, d) and S3 contracted
        with theta (n, d, d), as `GaussianScore` and `GaussianMixtureScore` do.
    n_jobs : int, optional
        Workers for every pass over the rows, those of L-BFGS included, as joblib means it:
        threads, or what a `joblib.parallel_config` around ``fit`` says (processes, or a dask
        cluster).  The result does not depend on it.
    device : str, optional
        "cuda" (or "cuda:1"): chunks of NumPy data are streamed to this GPU, which may hold fewer
        than all, and results come back as NumPy; mini-batches stay on the processor.  Arrays of
        CuPy or PyTorch are computed where they live, with ``device=None``.
    input_distribution : frozen law of scipy.stats, or list of one for each column, optional
        Laws that the columns of X were drawn from, independently of each other; one law is for all
        columns.  Their scores then race beside the models of ``input_model="auto"``, as "score".
        It pays for symmetric laws (uniform, Student's t); for laws with one end (exponential,
        gamma) it does not.  They must be continuous, their densities without kinks.  A
        `RecoveryWarning` says where X does not follow them.
    link : {"log", "softplus"}, optional
        How rates follow from the network, with ``loss="poisson"`` alone.  "log" (the default, and
        scikit-learn's): the rate is :math:`e^{f(x)}`, units multiply.  "softplus": it is
        :math:`s \log(1 + e^{f(x)})` with s near a fifth of the mean count (``output_scale_``),
        units add up, but for rates far below the mean.  Choose it where counts are those of a sum
        of units, such as the subunits of a cell: moments of y then show them, where an exponential
        mixes them.
    residual : bool, default=False
        Whether what enters a hidden layer is added to what leaves it, where it is as wide as the
        hidden layer below (He et al., 2016).
    stochastic_depth : float, default=0.0
        With ``residual=True`` and batches: probability with which a batch goes around the last of
        these layers; around the others it grows to that in equal steps.  Predictions count each
        layer by its probability to be there [3]_.

    Attributes
    ----------
    coefs_ : list of arrays
        ``coefs_[i]``, of the dtype of X, maps layer i to layer i + 1: (d, k), (k, q).
    intercepts_ : list of arrays
        (k,), (q,).
    init_ : str
        Which start won: "tensor", "random" or "nn-lift".
    report_ : NetworkReport
        What moments and race had to say; ``print`` shows it as a table.
    loss_, best_loss_ : float
        Training loss at the end, and the least; ``best_loss_`` is None with early stopping.
    loss_curve_, loss_times_ : list of float
        Training loss after each of ``n_iter_`` steps or epochs, and the seconds since ``fit``
        began; resumed fits add to both.
    validation_scores_, best_validation_score_ : list of float and float, or None
        R² on the held-out rows.
    gradient_cosines_ : list of float
        Of the hidden layers' step to their gradient, on the first batch of each epoch; empty
        unless ``solver`` is a rule that takes something else for the gradient.
    n_iter_, t_ : int
        Steps or epochs of refinement in the last call (those of the race and of repair, which count
        towards ``max_iter``, are in ``report_``); rows seen in all.
    converged_ : bool
        Whether the last call stopped by itself rather than at ``max_iter``.
    n_components_ : int
        k, the width of the first hidden layer.
    n_layers_, n_outputs_ : int
        Layers, inputs and outputs included; q.
    out_activation_ : str
        "identity"; with ``loss="poisson"`` "exp", or "softplus".
    output_scale_ : float
        By what the values of this function are multiplied to give predictions: a power of two with
        ``link="softplus"``, else 1.
    n_features_in_, feature_names_in_ : int and array (d,)
        Columns of X, and their names if it has any.

    See Also
    --------
    MLPClassifier : The same for classes.
    TensorFeatures : The directions alone, for other estimators.
    EquilibriumMLPRegressor : One layer, applied until nothing changes.
    compare_trainers : Rules for ``solver``, side by side.
    sklearn.neural_network.MLPRegressor : Backpropagation from random weights.

    Notes
    -----
    **How far to trust a start.**  With near-Gaussian inputs and ReLU units, moments and refinement
    find a planted network where backpropagation of the same width does not, given n of 5 to 10
    times d k² rows; fewer are warned of.  With tanh and logistic units random starts do as well,
    and the race takes the better.  On everyday tables no gain was seen over random starts:
    expect the same loss, no more.

    **Different from scikit-learn.**  Defaults: ``hidden_layer_sizes`` (ten units; scikit-learn 100,
    more than moments can tell apart in most data), ``solver`` (L-BFGS; scikit-learn Adam) and
    ``init``.  ``max_iter=0`` is allowed.  The gradient of the squared error of several outputs is
    that of the formula above (scikit-learn's is q times as large beside the penalty).
    ``partial_fit`` takes an epoch of Adam where ``solver="lbfgs"``.  ``loss_curve_``,
    ``best_loss_`` and early stopping exist with L-BFGS as well.  A failed ``fit`` leaves the
    estimator as it was.

    **Scale.**  A y whose deviation or mean is beyond 2^20 is standardised inside, columns of X
    beyond 2^32 and weights beyond 2^±32 are divided by powers of two; so is a y of deviation below
    2^-20, if the penalty is small beside its variance (else a warning says so).  What is lowered
    remains the loss above; ``tol`` then is in units of the deviation of y, random starts are drawn
    in those of X and y, and attributes are in the user's.  What no number of the dtype of X can
    carry is an error.

    **Cost.**  4 n d k flops a step, for one output.  The moment passes take
    O(n d² + n d k² + n k⁴ / 2) once, and memory d² + k⁴ an output, whatever n is.

    References
    ----------
    .. [1] Janzamin, Sedghi, Anandkumar, "Beating the perils of non-convexity: guaranteed training
       of neural networks using tensor methods", arXiv 1506.08473, 2016, Algorithm 1.
    .. [2] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [3] Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016,
       equations 2, 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((3000, 5))
    >>> y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2] - X[:, 3], 0)
    >>> net = MLPRegressor(hidden_layer_sizes=(2,), init="tensor", random_state=0).fit(X, y)
    >>> round(net.score(X, y), 3), net.init_
    (1.0, 'tensor')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
        "link": [StrOptions(set(_LINKS)), None],
    }

    def __init__(
        self,
        loss: str = "squared_error",
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
        link: str | None = None,
        residual: bool = False,
        stochastic_depth: float = 0.0,
    ) -> None:
        self.loss, self.link = loss, link
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            init=init,
            input_model=input_model,
            n_jobs=n_jobs,
            device=device,
            input_distribution=input_distribution,
            residual=residual,
            stochastic_depth=stochastic_depth,
        )

    def predict(self, X: Any) -> NDArray:
        """Outputs of the network.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        y : array (n,), or (n, q) for several outputs
            In float32 if X and the data of ``fit`` are.
        """
        return by_chunks(self._predict, X)

    def _predict(self, X: Any) -> Any:
        """Outputs for rows in memory."""
        outputs = self._forward(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of what the mean of y leaves unexplained: R², or of counts D².

        D², with ``loss="poisson"``, is that of `sklearn.metrics.d2_tweedie_score` at power 1, as in
        `sklearn.linear_model.PoissonRegressor`; several outputs count equally.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
        sample_weight : array, shape (n,), optional

        Returns
        -------
        float
        """
        if self.loss != "poisson":
            return float(super().score(X, y, sample_weight))
        from sklearn.metrics import d2_tweedie_score  # slow to import

        true, rates = (np.reshape(to_numpy(a), (len(a), -1)) for a in (y, self.predict(X)))
        rates = np.maximum(rates, np.finfo(rates.dtype).tiny)  # an exponential may underflow
        weight = None if sample_weight is None else to_numpy(sample_weight)
        of_each = [
            d2_tweedie_score(count, rate, sample_weight=weight, power=1)
            for count, rate in zip(true.T, rates.T, strict=True)
        ]
        return float(np.mean(of_each))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take the steps of one epoch on a batch of rows, of Adam where ``solver="lbfgs"``.

        The first call on a new estimator makes the start, by ``init``, from its own rows: let that
        batch be a large one.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
        sample_weight : array, shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault.  The estimator is then as it was before.
        """
        return self._partial_fit(X, y, sample_weight)

    def _targets(
        self, y: Any, *, resume: bool, batch: bool = False, classes: Any = None
    ) -> tuple[Encoder, dict[str, Any]]:
        """One column for each output, and the output that suits loss and link."""
        if self.loss == "poisson":
            return counts, {"out_activation_": _LINKS[self.link or "log"]}
        if self.link is not None:
            raise ValueError(
                f"link={self.link!r} is for counts, and loss={self.loss!r} has none. Use "
                'loss="poisson", or leave link out.'
            )
        return columns, {"out_activation_": "identity"}

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MLPClassifier(ClassifierMixin, BaseNetwork):
    r"""Classification by a network whose hidden units are found by moments, then refined.

    The network is

    .. math:: p(x) = g\Big(\sum_{j=1}^{k} a_j\, \sigma(w_j^\top x + b_j) + c\Big)

    for one hidden layer, where g is the logistic function for two classes and for each of several
    labels, and the softmax for more classes.  ``fit`` lowers the log loss

    .. math:: \frac{1}{\sum_i s_i} \Big(-\sum_i s_i \log p_{y_i}(x_i)
        + \frac{\alpha}{2} \sum_l \|W_l\|_F^2\Big)

    for sample weights s.  Backpropagation starts from random weights.  Here the start comes from
    cross-moments of the classes with products of x: tensors whose rank-one terms are the directions
    w_j.  It can stand in for ``sklearn.neural_network.MLPClassifier``; what differs is listed under
    Notes.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size : as in `MLPRegressor`
    learning_rate, learning_rate_init, power_t, max_iter, shuffle : as in `MLPRegressor`
    random_state, tol, verbose, warm_start, momentum, nesterovs_momentum : as in `MLPRegressor`
    early_stopping, validation_fraction : bool and float, default=False, 0.1
        As in `MLPRegressor`; rows are held out class by class.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in `MLPRegressor`
    init, input_model, n_jobs, device, input_distribution : as in `MLPRegressor`
        But nothing is repaired.
    residual, stochastic_depth : bool and float, default=False, 0.0
        As in `MLPRegressor`.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    validation_scores_, best_validation_score_ : list of float and float, or None
        Accuracy on the held-out rows.
    out_activation_ : str
        "logistic" for two classes or several labels, "softmax" for more classes.
    coefs_, intercepts_, init_, report_, loss_, best_loss_ : as in `MLPRegressor`
    loss_curve_, loss_times_, gradient_cosines_, n_iter_, t_ : as in `MLPRegressor`
    n_components_, n_layers_, n_outputs_, output_scale_ : as in `MLPRegressor`
    n_features_in_, feature_names_in_ : as in `MLPRegressor`

    See Also
    --------
    MLPRegressor : The same for numbers; how far to trust a start, and what a fit costs.
    EquilibriumMLPClassifier : One layer, applied until nothing changes.
    SpikingClassifier : Units that fire.
    sklearn.neural_network.MLPClassifier : Backpropagation from random weights.

    Notes
    -----
    **Different from scikit-learn**, beside what differs in `MLPRegressor`: validation rows are
    drawn class by class with more than two classes too, unless ``init="random"``, and a class of
    one row is trained on.  Of a single class, ``predict_proba`` has one column, not two.
    ``predict_log_proba`` is finite.

    **Scale.**  Columns of X beyond 2^32 and weights beyond 2^±32 are divided by powers of two
    inside; what is lowered remains the loss above, and attributes are in the user's units.  What
    no number of the dtype of X can carry is an error.

    References
    ----------
    .. [1] Janzamin, Sedghi, Anandkumar, "Beating the perils of non-convexity: guaranteed training
       of neural networks using tensor methods", arXiv 1506.08473, 2016, Algorithm 1.
    .. [2] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 2))
    >>> y = np.where(np.abs(X).sum(axis=1) > 1.2, "outside", "inside")
    >>> net = MLPClassifier(hidden_layer_sizes=(8,), init="random", tol=1e-3, random_state=0)
    >>> net.fit(X, y).predict([[0.1, 0.1], [2.0, 1.0]]).tolist()
    ['inside', 'outside']
    """

    _numeric: ClassVar[bool] = False  # labels may be strings

    def predict(self, X: Any) -> NDArray:
        """Likeliest class of each row, or for several labels which of them apply.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        y : array (n,), or (n, q) of 0 and 1 for several labels
        """
        return by_chunks(self._predict, X)

    def _predict(self, X: Any) -> Any:
        """Labels of rows in memory; numbers of a foreign X's library, for such an X."""
        outputs = to_numpy(self._forward(X))
        if outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        labels = self._label_binarizer.inverse_transform(outputs)
        return (
            from_numpy(labels, like=X) if is_foreign(X) and labels.dtype.kind in "iufb" else labels
        )

    def predict_proba(self, X: Any) -> NDArray:
        """Probability of each class.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        probabilities : array (n, n_classes)
            In the order of ``classes_``.  Rows sum to one, except for several labels, where each
            column is the probability that its label applies.  None is less than the least normal
            number of its dtype, 2e-308 or 1e-38, so that all have a logarithm.
        """
        return by_chunks(self._probabilities, X)

    def _probabilities(self, X: Any) -> Any:
        """Probabilities of rows in memory."""
        raw = self._forward(X, "identity")
        xp = get_namespace(raw)
        if len(self.classes_) == 1:
            return xp.ones_like(raw)
        if raw.shape[1] == 1:
            raw = xp.concat([-raw, raw], axis=1)
        proba = OUTPUTS[self.out_activation_].value(raw, axis=1)
        return clip(proba, low=float(xp.finfo(proba.dtype).smallest_normal))

    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithm of `predict_proba`, always finite.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        log_probabilities : array (n, n_classes)
        """
        proba = self.predict_proba(X)
        return np.log(proba) if is_dask(proba) else get_namespace(proba).log(proba)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Take the steps of one epoch on a batch of rows, of Adam where ``solver="lbfgs"``.

        The first call on a new estimator makes the start, by ``init``, from its own rows: let that
        batch be a large one.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,), or (n, q) of 0 and 1 for several labels
        sample_weight : array, shape (n,), optional
        classes : array (n_classes,)
            All labels that will ever come, needed by the first call unless y is multilabel; later
            calls may leave it out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault.  The estimator is then as it was before.
        """
        if classes is None and not hasattr(self, "coefs_"):
            if not type_of_target(y, input_name="y").startswith("multilabel"):
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: all labels that "
                    "will ever come, np.unique(y) of all data."
                )
        elif classes is not None and type_of_target(y, input_name="y").startswith("multilabel"):
            classes = None  # the columns of y say it
        return self._partial_fit(X, y, sample_weight, classes)

    def _targets(
        self, y: Any, *, resume: bool, batch: bool = False, classes: Any = None
    ) -> tuple[Encoder, dict[str, Any]]:
        """Columns of 0 and 1, the classes they stand for, and the output that suits them."""
        if resume and hasattr(self, "_label_binarizer"):  # not if only the weights were set by hand
            binarizer = self._label_binarizer
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes={np.unique(classes).tolist()} is not what earlier calls were given: "
                    f"{self.classes_.tolist()}."
                )
        else:
            binarizer = fit_classes(y if classes is None else classes)
        check_known(binarizer, y, same=resume and not batch)
        return partial(one_hot, binarizer), {
            "_label_binarizer": binarizer,
            "classes_": binarizer.classes_,
            "out_activation_": "softmax" if binarizer.y_type_ == "multiclass" else "logistic",
        }

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y may hold several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
