"""Synthetic gradients: each layer learns by a prediction of its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, forward
from spectral_nn.trainers.rules.base import Memory, Rule

__all__ = ["SyntheticGradients"]


@dataclass(frozen=True)
class SyntheticGradients(Rule):
    r"""Synthetic gradients: hidden layers learn by predictions of their errors.

    A linear module of each hidden layer predicts the gradient :math:`e_l` of a row's loss with
    respect to the values :math:`h_l` of the layer, from these and the row's targets y. The layer
    takes the prediction for the error, and sends it through its weights to the layer below, whose
    module learns to predict that; the module of the last hidden layer learns from the true error.

    .. math:: \hat e_l = h_l A_l + y B_l + c_l, \qquad
        e_{l-1} = (\hat e_l \odot \sigma'(z_l)) W_l^\top, \qquad
        \nabla W_l = h_{l-1}^\top (\hat e_l \odot \sigma'(z_l))

    with :math:`z_l = h_{l-1} W_l + b_l`; modules descend the mean over rows of
    :math:`|\hat e_l - e_l|^2 / 2`.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps of layers and modules alike, with the settings of the estimator.
    condition : bool, default=True
        Whether modules see the targets, of classes one column a class; without them they predict
        from the values of the layer alone.

    Raises
    ------
    ValueError
        If ``optimizer`` is not one of these.

    See Also
    --------
    Backprop : the errors themselves.

    Notes
    -----
    A layer has its direction as soon as its values are there, so that layers could learn at
    different times. Here they do so in lock-step, batch by batch: what is simulated is the
    direction, and no time is won.

    6 flops a weight and row, as backpropagation, and 4 a weight of the modules; a layer of k units
    has a module of k (k + q) weights for q targets. Modules start at zero. They learn much faster
    from columns that are standardised, or at least centred. Where the learning rate is too large,
    modules and layers drive each other away, and the loss grows: divide it by three.

    References
    ----------
    .. [1] Jaderberg, Czarnecki, Osindero, Vinyals, Graves, Silver, Kavukcuoglu, "Decoupled neural
       interfaces using synthetic gradients", ICML 2017, section 2.1; linear modules that see the
       labels are those of its section 3.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import scale
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import SyntheticGradients
    >>> X, y = load_digits(return_X_y=True)
    >>> X = scale(X)
    >>> net = MLPClassifier((32, 32), solver=SyntheticGradients(), init="random", batch_size=50,
    ...                     learning_rate="cosine", learning_rate_init=0.003, max_iter=20,
    ...                     random_state=0)
    >>> net.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85
    True
    """

    name: ClassVar[str] = "synthetic gradients"
    uses_backward: ClassVar[bool] = True
    locks_layers: ClassVar[bool] = False

    condition: bool = True

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Return modules of zeros: weights and intercepts for each hidden layer."""
        learned = []
        for layer in layers[:-1]:
            n_units = layer.intercept.shape[0]
            n_seen = n_units + (n_outputs if self.condition else 0)
            learned += [
                from_numpy(np.zeros(shape), like=layer.intercept)
                for shape in ((n_seen, n_units), (n_units,))
            ]
        return Memory(learned)

    def write(
        self,
        layers: Sequence[DenseLayer],
        batch: Batch,
        into: Sequence[Gradient],
        *,
        memory: Memory,
        into_learned: Sequence[Array],
        rng: np.random.Generator,
        stage: int,
    ) -> float:
        """Write what predicted errors make of a batch, and the gradients of the modules."""
        n_rows = batch.X.shape[0]
        modules = list(zip(memory.learned[::2], memory.learned[1::2], strict=True))
        into_modules = list(zip(into_learned[::2], into_learned[1::2], strict=True))
        traces = forward(layers, batch.X)
        value, error = batch.loss(traces[-1].out)
        error = layers[-1].pull_back(traces[-1], error, into[-1])
        for i in range(len(layers) - 2, -1, -1):
            module = DenseLayer(*modules[i], None)
            seen = module.forward(self._inputs(traces[i].out, batch))
            # Modules predict errors of single rows; those of the mean are smaller by their number.
            predicted = seen.out / n_rows
            module.write_gradient(seen, predicted - error, into_modules[i])
            if i > 0:
                error = layers[i].pull_back(traces[i], predicted, into[i])
            else:
                delta = layers[0].sums_error(traces[0], predicted)
                layers[0].write_gradient(traces[0], delta, into[0])
        return value

    def _inputs(self, values: Array, batch: Batch) -> Array:
        """What a module sees: values (rows, k), and targets if they are to be seen."""
        if not self.condition:
            return values
        return get_namespace(values).concat([values, batch.targets], axis=1)
