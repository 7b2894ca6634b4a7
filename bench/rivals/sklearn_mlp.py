"""scikit-learn's ``MLPRegressor``, all settings its defaults but those given."""

import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

Layers = list[NDArray[np.floating]]


def fit(
    X: NDArray[np.floating],
    y: NDArray[np.floating],
    hidden: int | tuple[int, ...],
    activation: str,
    solver: str,
    max_iter: int,
    seed: int,
    **settings: Any,
) -> tuple[Layers, Layers, float, MLPRegressor]:
    """Backprop from one random start, without the warning that `max_iter` was too few.

    Parameters
    ----------
    X : (n, d)
    y : (n,) or (n, q)
    hidden : widths of the hidden layers
    activation : "identity", "logistic", "tanh" or "relu"
    solver : "lbfgs", "adam" or "sgd"
    max_iter : iterations, for the last two epochs
    seed : ``random_state``
    **settings : further keywords of ``MLPRegressor``

    Returns
    -------
    coefs, intercepts : one array a layer, (fan_in, fan_out) and (fan_out,)
    seconds : wall time of the fit
    model : the fitted estimator
    """
    model = MLPRegressor(
        hidden_layer_sizes=hidden,
        activation=activation,
        solver=solver,
        max_iter=max_iter,
        random_state=seed,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - begin
    return model.coefs_, model.intercepts_, seconds, model
