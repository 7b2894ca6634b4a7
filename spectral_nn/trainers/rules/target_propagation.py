"""Target propagation: layers learn to reach targets that come down through learned inverses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spectral_nn.arrays import Array, from_numpy
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, Trace, forward
from spectral_nn.trainers.rules.base import Memory, Rule

__all__ = ["TargetPropagation"]


@dataclass(frozen=True)
class TargetPropagation(Rule):
    r"""Target propagation: targets of hidden layers come down through learned inverses.

    The target of the last hidden layer is a step from its values :math:`h_L` against the gradient
    of a row's loss. An inverse :math:`g_l(h) = \sigma(h V_l + c_l)` of each layer :math:`f_l` above
    the first makes of a layer's target one for the layer below:

    .. math:: \hat h_L = h_L - \eta \frac{\partial E}{\partial h_L}, \qquad
        \hat h_{l-1} = g_l(\hat h_l) + [h_{l-1} - g_l(h_l)]

    where the bracket, the difference correction, makes up for what the inverse misses. Layers
    descend :math:`|f_l(h_{l-1}) - \hat h_l|^2 / (2 \eta)`, and inverses
    :math:`|g_l(f_l(h_{l-1} + \epsilon)) - (h_{l-1} + \epsilon)|^2 / 2` with normal noise ε, both as
    means over rows. The linear layer of the outputs has its gradient.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps of layers and inverses alike, with the settings of the estimator.
    difference : bool, default=True
        Whether targets are corrected.
    step : float, default=0.3
        η, how far the first target is from the values, in gradients of a row's loss. Where targets
        leave the values that inverses know, learning breaks down.
    noise : float, default=0.3
        Standard deviation of ε.

    Raises
    ------
    ValueError
        If `step` is not positive, or `noise` is negative.

    See Also
    --------
    SyntheticGradients : predictions of errors in the place of targets.

    Notes
    -----
    With exact inverses of linear layers the change of a target is that of the one above through the
    inverse matrix, a Gauss-Newton step, where backpropagation has the transpose [3]_. With one
    hidden layer there is nothing to invert, and the direction is the gradient.

    Without the difference correction, what inverses miss is taken for an error: on MNIST-1D, three
    hidden layers then learn less than if they were left as they were drawn.

    4 flops a weight and row for layers, and 14 a weight of an inverse, which has as many weights
    as its layer. Layers with a way around them (``residual=True``) are refused.

    References
    ----------
    .. [1] Bengio, "How auto-encoders could provide credit assignment in deep networks via target
       propagation", arXiv 1407.7906, 2014.
    .. [2] Lee, Zhang, Fischer, Bengio, "Difference target propagation", ECML PKDD 2015, equations
       13 to 16 and algorithm 1.
    .. [3] Meulemans, Carzaniga, Suykens, Sacramento, Grewe, "A theoretical framework for target
       propagation", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import TargetPropagation
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), activation="tanh", solver=TargetPropagation(), batch_size=50,
    ...                     init="random", learning_rate="cosine", learning_rate_init=0.01,
    ...                     max_iter=20, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    """

    name: ClassVar[str] = "target propagation"
    uses_backward: ClassVar[bool] = True

    difference: bool = True
    step: float = 0.3
    noise: float = 0.3

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if not self.step > 0:
            raise ValueError(f"step={self.step} leads to no target; give a positive number")
        if not self.noise >= 0:
            raise ValueError(f"noise={self.noise} is no standard deviation; give 0 or more")

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Draw weights of the inverses as those of layers are drawn; their intercepts are zero."""
        if any(layer.skip for layer in layers):
            raise ValueError(
                f"solver={self.name!r} inverts layers, and residual=True adds their inputs to what "
                "comes out; use residual=False or another solver"
            )
        learned = []
        for layer in layers[1:-1]:
            fan_in, fan_out = layer.coef.shape
            bound = np.sqrt(6 / (fan_in + fan_out))  # Glorot, Bengio 2010, equation 16
            weights = rng.uniform(-bound, bound, (fan_out, fan_in))
            learned += [from_numpy(part, like=layer.coef) for part in (weights, np.zeros(fan_in))]
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
        """Write the gradients of the local losses of layers and inverses on a batch."""
        n_rows = batch.X.shape[0]
        parts = list(zip(memory.learned[::2], memory.learned[1::2], strict=True))
        into_inverses = list(zip(into_learned[::2], into_learned[1::2], strict=True))
        traces = forward(layers, batch.X)
        value, error = batch.loss(traces[-1].out)
        error = layers[-1].pull_back(traces[-1], error, into[-1])
        change = -self.step * n_rows * error  # from values to targets
        for i in range(len(layers) - 2, -1, -1):
            layer, trace = layers[i], traces[i]
            missed = change / (-self.step * n_rows)
            layer.write_gradient(trace, layer.sums_error(trace, missed), into[i])
            if i > 0:
                inverse = DenseLayer(*parts[i - 1], layers[i - 1].activation)
                change = self._change_below(inverse, trace, change)
                noise = self.noise * rng.standard_normal(tuple(trace.below.shape))
                below = trace.below + from_numpy(noise, like=trace.below)
                learn_inverse(inverse, layer, below, into_inverses[i - 1])
        return value

    def _change_below(self, inverse: DenseLayer, trace: Trace, change: Array) -> Array:
        """Return the way (rows, fan_in) from a layer's input to its target."""
        target = inverse.forward(trace.out + change).out
        start = inverse.forward(trace.out).out if self.difference else trace.below
        return target - start


def learn_inverse(inverse: DenseLayer, layer: DenseLayer, below: Array, into: Gradient) -> None:
    """Write the gradient of half the mean squared distance of inputs to what an inverse finds."""
    seen = inverse.forward(layer.forward(below).out)
    error = (seen.out - below) / below.shape[0]
    inverse.write_gradient(seen, inverse.sums_error(seen, error), into)
