"""Feedback alignment: errors come back through weights that never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spectral_nn.arrays import from_numpy
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, forward
from spectral_nn.trainers.rules.base import Memory, Rule

__all__ = ["FeedbackAlignment"]


@dataclass(frozen=True)
class FeedbackAlignment(Rule):
    r"""Send errors back through fixed random weights, layer by layer or straight to each layer.

    With random :math:`B_l` in the place of the weights of the layers above, and the error
    :math:`e_L` of the outputs,

    .. math:: \delta_l = e_l \odot \sigma'(z_l), \qquad \nabla W_l \approx h_{l-1}^\top \delta_l,
        \qquad e_{l-1} = \delta_l B_l^\top \text{ (layered)} \quad\text{or}\quad
        e_{l-1} = e_L B_l^\top \text{ (direct)}

    Weights learn to agree with the feedback, so that the direction becomes useful: see
    ``gradient_cosines_`` of the fitted network.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.
    direct : bool, default=True
        Whether the error of the outputs goes to each layer at once.

    Raises
    ------
    ValueError
        If ``optimizer`` is not one of these.

    See Also
    --------
    Backprop : feedback through the weights themselves.

    Notes
    -----
    Layered, as many flops as backpropagation; direct, the way back costs 2 k q flops a row for each
    layer of k units and q outputs.  Direct, no layer waits for another to send its error.  Entries
    of B are normal with the variance 1 / (its rows), and meet neither penalty nor optimiser.

    References
    ----------
    .. [1] Lillicrap, Cownden, Tweed, Akerman, "Random synaptic feedback weights support error
       backpropagation for deep learning", Nature Communications 7, 2016.
    .. [2] Nøkland, "Direct feedback alignment provides learning in deep neural networks", NIPS
       2016, equations 4 and 5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import FeedbackAlignment
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), solver=FeedbackAlignment(), init="random",
    ...                     learning_rate="cosine", learning_rate_init=0.01, max_iter=20,
    ...                     batch_size=32, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    >>> net.gradient_cosines_[-1] > net.gradient_cosines_[0]
    True
    """

    name: ClassVar[str] = "feedback alignment"

    direct: bool = True

    @property
    def uses_backward(self) -> bool:  # type: ignore[override]
        """Whether errors pass backwards from layer to layer."""
        return not self.direct

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Draw the feedback of each layer but the first."""
        feedback = []
        for layer in layers[1:]:
            fan_in, fan_out = layer.coef.shape
            shape = (fan_in, n_outputs if self.direct else fan_out)
            drawn = rng.standard_normal(shape) / np.sqrt(fan_in)
            feedback.append(from_numpy(drawn, like=layer.coef))
        return Memory(fixed=feedback)

    def write(
        self,
        layers: Sequence[DenseLayer],
        batch: Batch,
        into: Sequence[Gradient],
        *,
        memory: Memory,
        **how: Any,
    ) -> float:
        """Write the direction; return the loss."""
        traces = forward(layers, batch.X)
        value, of_outputs = batch.loss(traces[-1].out)
        error = of_outputs
        for i in range(len(layers) - 1, -1, -1):
            delta = layers[i].sums_error(traces[i], error)
            layers[i].write_gradient(traces[i], delta, into[i])
            if i == 0:
                break
            back = memory.fixed[i - 1]
            error = (
                of_outputs @ back.T if self.direct else layers[i].error_below(delta, error, back)
            )
        return value
