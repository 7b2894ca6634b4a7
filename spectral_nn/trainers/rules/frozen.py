"""Hidden layers that do not learn: what every other rule has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient
from spectral_nn.trainers.rules.base import Rule

__all__ = ["Frozen"]


@dataclass(frozen=True)
class Frozen(Rule):
    """Leave the hidden layers as they started, and learn the output layer alone.

    From a random start these are random features; a rule that ends no better has taught the hidden
    layers nothing.  From ``init="tensor"`` they are the units that moments found.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.

    Raises
    ------
    ValueError
        If ``optimizer`` is not one of these.

    See Also
    --------
    Backprop : all layers learn, by the gradient.

    Notes
    -----
    2 flops a weight and row forward, and 2 a weight of the output layer.  The penalty ``alpha`` is
    on the output layer alone.

    References
    ----------
    .. [1] Rahimi, Recht, "Weighted sums of random kitchen sinks", NIPS 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import Frozen
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((64,), solver=Frozen(), init="random", learning_rate="cosine",
    ...                     learning_rate_init=0.01, max_iter=20, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.8
    True
    """

    name: ClassVar[str] = "frozen"
    locks_layers: ClassVar[bool] = False

    def learning(self, stage: int, n_layers: int) -> list[bool]:
        """Return that only the last layer learns."""
        return [False] * (n_layers - 1) + [True]

    def write(
        self, layers: Sequence[DenseLayer], batch: Batch, into: Sequence[Gradient], **how: Any
    ) -> float:
        """Write the gradient of the output layer; return the loss."""
        values = batch.X
        for layer in layers[:-1]:  # no layer's values are kept longer than the next one needs them
            values = layer.forward(values).out
        last = layers[-1].forward(values)
        value, error = batch.loss(last.out)
        layers[-1].write_gradient(last, error, into[-1])
        return value
