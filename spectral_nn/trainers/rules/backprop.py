"""Backpropagation, as one rule among others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient
from spectral_nn.trainers.rules.base import Rule, backpropagate

__all__ = ["Backprop"]


@dataclass(frozen=True)
class Backprop(Rule):
    r"""Backpropagation: the gradient itself.

    With the error :math:`e_L` of the outputs, and :math:`z_l = h_{l-1} W_l + b_l`,

    .. math:: \delta_l = e_l \odot \sigma'(z_l), \qquad e_{l-1} = \delta_l W_l^\top, \qquad
        \nabla W_l = h_{l-1}^\top \delta_l

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
    Checkpointed : the same numbers with less memory.

    Notes
    -----
    6 flops a weight and row; the values of all layers are kept until the error is back.
    ``solver=Backprop("sgd")`` and ``solver="sgd"`` take the same steps.

    References
    ----------
    .. [1] Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors",
       Nature 323, 1986, equations 4 to 7.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import Backprop
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32,), solver=Backprop("sgd"), init="random", learning_rate="cosine",
    ...                     learning_rate_init=0.1, max_iter=20, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.88
    True
    """

    name: ClassVar[str] = "backprop"
    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    uses_backward: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    def write(
        self, layers: Sequence[DenseLayer], batch: Batch, into: Sequence[Gradient], **how: Any
    ) -> float:
        """Write the gradient of a batch; return its loss."""
        return backpropagate(layers, batch, into)
